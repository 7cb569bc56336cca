"""A study's results and findings, as the sections ask for them: by model, by pair, and what is missing."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from unrolled.evidence.evaluation import wilson_interval
from unrolled.evidence.findings import Finding
from unrolled.evidence.results import ModelResults, StudyResults
from unrolled.evidence.statistics import LEVEL
from unrolled.report.palette import assign_tones
from unrolled.report.records import Missing
from unrolled.report.words import interval, listed, share, signed

Settings = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What may be said of two models on the same test items.

    Args:
        first: the more accurate as measured.
        second: the other.
        difference: how far apart, not negative.
        low: lower end of its 95% interval.
        high: upper end.
        decided: whether the difference is more than chance, after correction for all pairs of the study.
        smallest: the true difference that such a study finds in 8 of 10 cases.
    """

    first: str
    second: str
    difference: float
    low: float
    high: float
    decided: bool
    smallest: float

    @property
    def winner(self) -> str | None:
        """The better model; None where the evidence does not decide."""
        return self.first if self.decided else None

    @property
    def sentence(self) -> str:
        """The comparison in one sentence, with its interval."""
        bounds = interval(self.low, self.high, "signed")
        if self.decided:
            return f"{self.first} is {share(self.difference)} more accurate than {self.second} ({bounds})."
        return (
            f"{self.first} and {self.second} cannot be told apart: {share(self.difference)} between them "
            f"({bounds}), and a true difference below {share(self.smallest)} would mostly go unseen."
        )


@dataclass(frozen=True)
class Facts:
    """Everything a report is computed from.

    Args:
        results: the study's.
        findings: by measure.
        settings: the spec of each model, by registry name; empty where it is not known.
        study: the study's folder as the user writes it, for commands.
    """

    results: StudyResults
    findings: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    settings: Settings = field(default_factory=dict)
    study: str = "STUDY"

    @cached_property
    def ranked(self) -> tuple[ModelResults, ...]:
        """Models with an accuracy, the most accurate first."""
        done = [model for model in self.results.models if model.test_accuracy is not None]
        return tuple(sorted(done, key=lambda model: -accuracy_of(model)))

    @cached_property
    def tones(self) -> dict[str, str]:
        """The CSS class of each model."""
        return assign_tones([model.name for model in self.results.models])

    @cached_property
    def guessing(self) -> float:
        """The accuracy of always naming one class: the commonest where that is known, else one of many."""
        shares = [1 / max(len(self.results.dataset.classes), 1)]
        for finding in self.findings.get("learning", ()):
            table = finding.tables.get("confusion")
            if table is not None and "true" in table.columns and "count" in table.columns:
                true, count = table.columns.index("true"), table.columns.index("count")
                totals: dict[object, float] = {}
                for row in table.rows:
                    totals[row[true]] = totals.get(row[true], 0.0) + float(row[count] or 0)
                shares.append(max(totals.values(), default=0.0) / max(sum(totals.values()), 1.0))
        return max(shares)

    def model(self, name: str) -> ModelResults | None:
        """A model that has an accuracy; None for one that is not in the study or has none."""
        return next((model for model in self.ranked if model.name == name), None)

    def present(self, names: Iterable[str]) -> list[str]:
        """Those of ``names`` that have an accuracy, in that order."""
        return [name for name in names if self.model(name) is not None]

    def accuracy(self, name: str) -> float:
        """A present model's accuracy."""
        model = self.model(name)
        return accuracy_of(model) if model else float("nan")

    def bounds(self, name: str) -> tuple[float, float]:
        """The 95% interval of a present model's accuracy: over seeds, or else over items."""
        model = self.model(name)
        if model is None or model.test_accuracy is None:
            return float("nan"), float("nan")
        if model.test_accuracy.ci95 is not None:
            low, high = model.test_accuracy.ci95
            return max(low, 0.0), min(high, 1.0)
        return wilson_interval(model.test_accuracy.mean, max(self.results.dataset.test, 1))

    @property
    def over(self) -> str:
        """What the intervals of accuracy are over."""
        several = any(m.test_accuracy and m.test_accuracy.ci95 for m in self.ranked)
        single = any(m.test_accuracy and not m.test_accuracy.ci95 for m in self.ranked)
        if several and single:
            return "seeds, or over test items where there was a single run"
        return "seeds" if several else "test items"

    def judge(self, first: str, second: str) -> Judgement | None:
        """What may be said of two models; None where they were not compared."""
        comparison = self.results.comparison
        if comparison is None:
            return None
        for pair in comparison.pairs:
            if {pair.first, pair.second} == {first, second} and first != second:
                return Judgement(
                    pair.first,
                    pair.second,
                    abs(pair.difference),
                    *pair.interval,
                    pair.adjusted_p_value < LEVEL,
                    pair.smallest_difference,
                )
        return None

    def judged(self, first: str, second: str) -> str:
        """The comparison of two models as a sentence; "" where one is missing."""
        if self.model(first) is None or self.model(second) is None:
            return ""
        found = self.judge(first, second)
        return found.sentence if found else f"{first} and {second} were not compared on the same items."

    def of(self, measure: str, model: str = "") -> Finding | None:
        """A measure's finding about a model."""
        return next((one for one in self.findings.get(measure, ()) if one.model == model), None)

    def value(self, measure: str, model: str, name: str) -> float | None:
        """A figure of a finding; None where it was not measured."""
        finding = self.of(measure, model)
        value = finding.values.get(name) if finding else None
        return float(value) if isinstance(value, int | float) else None

    def lack(self, measure: str, what: str) -> tuple[Missing, ...]:
        """The command that measures what is missing; nothing when it is there."""
        if self.findings.get(measure):
            return ()
        command = f"unrolled analyse {shlex.quote(self.study)} --only {measure}"
        return (Missing(what, command),)

    def lack_models(self, names: Sequence[str]) -> tuple[Missing, ...]:
        """The command that trains models which are missing; nothing when all are there."""
        absent = [name for name in names if self.model(name) is None]
        if not absent:
            return ()
        source = self.results.dataset.name
        source = source if source in ("demo", "imdb") else "DATA"
        command = f"unrolled lab --data {source} --models {','.join(names)}"
        if self.results.protocol != "standard":
            command += f" --protocol {self.results.protocol}"
        return (
            Missing(f"{listed(absent)} {'was' if len(absent) == 1 else 'were'} not trained here", command),
        )

    @property
    def single(self) -> bool:
        """Whether comparisons speak of trained models only, since seeds are not in them."""
        return self.results.comparison is not None and self.results.comparison.scope == "trained_models"


def accuracy_of(model: ModelResults) -> float:
    """A model's mean test accuracy."""
    return model.test_accuracy.mean if model.test_accuracy else float("nan")


def difference(value: float, low: float | None, high: float | None) -> str:
    """A difference with its interval.

    >>> difference(0.28, 0.24, 0.33)
    '+0.280 (95% interval +0.240 to +0.330)'
    """
    bounds = interval(low, high, "signed")
    return signed(value) + (f" ({bounds})" if bounds else "")
