"""Which model to take: the Pareto front, and the best one within a budget."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unrolled.errors import UsageError, nearest

if TYPE_CHECKING:
    from unrolled.evidence.results import ModelResults, StudyResults

EXAMPLE = "latency_ms<5,size_mb<10"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A figure of a model that a budget may limit.

    Args:
        read: the figure out of a model's results; None where it was not measured.
        words: what it is, in a sentence ("takes … per text").
        unit: after a figure; "" for none.
        more_is_better: True for accuracy alone; everything else is a cost.
    """

    read: Callable[[ModelResults], float | None]
    words: str
    unit: str = ""
    more_is_better: bool = False


def _megabytes(count: int | None) -> float | None:
    return None if count is None else count / 1e6


QUANTITIES: dict[str, Quantity] = {
    "accuracy": Quantity(
        lambda model: model.test_accuracy.mean if model.test_accuracy else None,
        "test accuracy",
        more_is_better=True,
    ),
    "latency_ms": Quantity(
        lambda model: model.latency_ms.p50 if model.latency_ms else None, "median latency", "ms"
    ),
    "latency_p95_ms": Quantity(
        lambda model: model.latency_ms.p95 if model.latency_ms else None, "latency in 19 of 20 calls", "ms"
    ),
    "size_mb": Quantity(lambda model: _megabytes(model.weights_bytes), "size on disk", "MB"),
    "memory_mb": Quantity(lambda model: _megabytes(model.peak_memory_bytes), "peak memory in training", "MB"),
    "training_seconds": Quantity(lambda model: model.training_seconds, "training time", "s"),
    "seconds_per_epoch": Quantity(
        lambda model: model.seconds_per_epoch.median if model.seconds_per_epoch else None,
        "time per epoch",
        "s",
    ),
    "parameters": Quantity(lambda model: model.parameters, "number of parameters"),
    "flops_per_sequence": Quantity(lambda model: model.flops_per_sequence, "operations per text"),
}
"""What a budget may name. Sizes count 1 MB = 1,000,000 bytes; times and memory are this study's machine's."""

FRONT_QUANTITIES = ("accuracy", "latency_ms", "size_mb", "training_seconds")


@dataclass(frozen=True, slots=True)
class Limit:
    """One condition of a budget, such as ``latency_ms<5``.

    Args:
        quantity: a key of :data:`QUANTITIES`.
        operator: "<", "<=", ">" or ">=".
        bound: the figure that is not to be passed.
    """

    quantity: str
    operator: str
    bound: float

    def holds(self, model: ModelResults) -> bool:
        """Whether the model meets the condition; a figure that was not measured meets none."""
        value = QUANTITIES[self.quantity].read(model)
        if value is None:
            return False
        strict = {"<": value < self.bound, ">": value > self.bound}
        loose = {"<=": value <= self.bound, ">=": value >= self.bound}
        return {**strict, **loose}[self.operator]

    def __str__(self) -> str:
        return f"{self.quantity}{self.operator}{self.bound:g}"


@dataclass(frozen=True, slots=True)
class Budget:
    """Conditions that must all be met; none at all is a budget too."""

    limits: tuple[Limit, ...]

    def holds(self, model: ModelResults) -> bool:
        """Whether the model meets every condition."""
        return all(limit.holds(model) for limit in self.limits)

    def __str__(self) -> str:
        return ",".join(map(str, self.limits))


@dataclass(frozen=True, slots=True)
class Choice:
    """What to take, and why.

    Args:
        model: registry name; None when no model meets the budget.
        reason: one sentence.
        fitting: the models that meet the budget, most accurate first.
        front: the models of the whole study that no other beats in everything.
    """

    model: str | None
    reason: str
    fitting: tuple[str, ...]
    front: tuple[str, ...]


def parse_budget(text: str) -> Budget:
    """The conditions in a text such as ``latency_ms<5,size_mb<10,accuracy>=0.9``.

    Raises:
        UsageError: a condition cannot be read, names no known quantity, points the wrong way, holds no
            positive number, or says the same thing twice.

    >>> [str(limit) for limit in parse_budget("latency_ms < 5, size_mb<=1e1").limits]
    ['latency_ms<5', 'size_mb<=10']
    """
    parts = [part.strip() for part in text.split(",")]
    limits = [_parse_limit(part) for part in parts]
    seen: set[tuple[str, str]] = set()
    for limit in limits:
        key = limit.quantity, limit.operator[0]
        if key in seen:
            raise _bad(
                f"{limit.quantity} is limited twice (got budget={text!r})", "one limit for each quantity"
            )
        seen.add(key)
    return Budget(tuple(limits))


def _parse_limit(part: str) -> Limit:
    match = re.fullmatch(r"([A-Za-z_]\w*)\s*(<=|>=|<|>)\s*([^\s<>=]+)", part)
    if match is None:
        raise _bad(
            f"a condition cannot be read (got {part!r})", "conditions as NAME<NUMBER, with commas between"
        )
    name, operator, number = match.groups()
    if name not in QUANTITIES:
        raise _bad(
            f"unknown quantity (got {name!r})",
            f"one of {', '.join(QUANTITIES)}",
            nearest(name, QUANTITIES),
        )
    try:
        bound = float(number)
    except ValueError:
        bound = math.nan
    if not math.isfinite(bound) or bound <= 0:
        raise _bad(f"{name} is held against no positive number (got {number!r})", "a number above 0")
    wanted = ">" if QUANTITIES[name].more_is_better else "<"
    if not operator.startswith(wanted):
        raise _bad(
            f"{name} is limited on the wrong side (got {part!r})",
            f"{name}{wanted}{number}: " + ("a floor" if wanted == ">" else "a cost has a ceiling, no floor"),
            f"{name}{wanted}{number}",
        )
    if name == "accuracy" and bound >= 1:
        raise _bad(f"an accuracy is out of range (got {part!r})", "a share below 1", "accuracy>0.9")
    return Limit(name, operator, bound)


def _bad(what: str, expected: str, action: str = f'--budget "{EXAMPLE}"') -> UsageError:
    return UsageError("--budget", what, expected=expected, action=action)


def pareto_front(
    models: Sequence[ModelResults], quantities: Iterable[str] = FRONT_QUANTITIES
) -> tuple[str, ...]:
    """The models that no other beats: in the order given, those worth a thought.

    A model is off the front when another is at least as good in every quantity and better in one. The
    figures are compared as measured: a lead within noise counts here, which the letters of
    :mod:`unrolled.evidence.statistics` tell apart. A model that misses a figure is left out.

    Args:
        models: results of a study.
        quantities: keys of :data:`QUANTITIES`.
    """
    chosen = [QUANTITIES[name] for name in quantities]
    points: dict[str, tuple[float, ...]] = {}
    for model in models:
        values = [quantity.read(model) for quantity in chosen]
        known = [value for value in values if value is not None]
        if len(known) == len(chosen):
            # Turned around where more is better, so that less is better everywhere.
            points[model.name] = tuple(
                -value if quantity.more_is_better else value
                for value, quantity in zip(known, chosen, strict=True)
            )
    return tuple(
        name
        for name, point in points.items()
        if not any(_beats(other, point) for rival, other in points.items() if rival != name)
    )


def _beats(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    pairs = list(zip(first, second, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def choose(results: StudyResults, budget: Budget) -> Choice:
    """The most accurate model that meets the budget, and the reason in one sentence.

    The sentence names what the choice costs, the better models that the budget shut out, and a cheaper
    model that the study cannot tell apart from the choice, where there is one.

    Args:
        results: of a study with at least one finished model; others count as not fitting.
        budget: as :func:`parse_budget` reads it.
    """
    ranked = sorted(
        (model for model in results.models if model.test_accuracy is not None), key=lambda m: -_accuracy(m)
    )
    front = pareto_front(results.models)
    fitting = [model for model in ranked if budget.holds(model)]
    names = tuple(model.name for model in fitting)
    if not fitting:
        return Choice(None, _nothing_fits(ranked, budget), names, front)
    best = fitting[0]
    reason = f"{best.name} is the most accurate of {_count(len(fitting), 'model')}"
    reason += f" within {budget}" if budget.limits else ""
    reason += f": {_accuracy(best):.3f}" + "".join(
        f", {QUANTITIES[limit.quantity].words} {_shown(limit.quantity, best)}"
        for limit in budget.limits
        if limit.quantity != "accuracy"
    )
    better = ranked[: ranked.index(best)]
    if better:
        first = better[0]
        broken = next(limit for limit in budget.limits if not limit.holds(first))
        others = f" and {_count(len(better) - 1, 'other')}" if len(better) > 1 else ""
        reason += (
            f"; {first.name} ({_accuracy(first):.3f}){others} would be more accurate but "
            f"{'do' if others else 'does'} not fit ({first.name}: "
            f"{QUANTITIES[broken.quantity].words} {_shown(broken.quantity, first)})"
        )
    cheaper = _cheaper_equal(best, fitting[1:])
    if cheaper is not None:
        reason += f"; {cheaper.name} cannot be told apart from it and is faster and smaller"
    return Choice(best.name, reason + ".", names, front)


def _cheaper_equal(best: ModelResults, others: Sequence[ModelResults]) -> ModelResults | None:
    """The fastest model that shares a letter with ``best`` and beats it in latency and size."""

    def costs(model: ModelResults) -> tuple[float, float]:
        return tuple(  # type: ignore[return-value]
            math.inf if (value := QUANTITIES[name].read(model)) is None else value
            for name in ("latency_ms", "size_mb")
        )

    mine = costs(best)
    equal = [
        model
        for model in others
        if set(model.letters) & set(best.letters)
        and all(a < b for a, b in zip(costs(model), mine, strict=True))
    ]
    return min(equal, key=lambda model: costs(model)[0], default=None)


def _nothing_fits(ranked: Sequence[ModelResults], budget: Budget) -> str:
    """Why nothing fits: a limit that every model breaks, with the model that comes nearest to it."""
    start = f"No model fits {budget}".rstrip()
    for limit in budget.limits:
        quantity = QUANTITIES[limit.quantity]
        known = [(value, model) for model in ranked if (value := quantity.read(model)) is not None]
        if not known:
            return f"{start}: {limit.quantity} was not measured."
        if not any(limit.holds(model) for _, model in known):
            sign = -1 if quantity.more_is_better else 1
            nearest_model = min(known, key=lambda pair: sign * pair[0])[1]
            return (
                f"{start}: the nearest to {limit} is {nearest_model.name} with "
                f"{_shown(limit.quantity, nearest_model)}."
            )
    if not ranked:
        return f"{start}: no run has finished."
    return f"{start}: each limit can be met, but no model meets them all together."


def _accuracy(model: ModelResults) -> float:
    return model.test_accuracy.mean if model.test_accuracy else -math.inf


def _shown(name: str, model: ModelResults) -> str:
    quantity = QUANTITIES[name]
    value = quantity.read(model)
    return "not measured" if value is None else f"{_figure(value)} {quantity.unit}".rstrip()


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
