"""The registry of measures, and the analysis of a study: every measure that is not current, one file each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from unrolled.evidence.findings import Finding, is_current, save_findings
from unrolled.registry import Registry
from unrolled.types import digest

if TYPE_CHECKING:
    from unrolled.evidence.subjects import FinishedStudy

Run = Callable[["FinishedStudy"], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Measure:
    """One question that is put to a study.

    Args:
        name: registry name, and the name of its file.
        summary: what it finds out, in one line.
        run: yields its findings, model by model in the order of the study.
        on_request: whether it runs only when it is named, since it costs much more than the others.
        version: raised whenever the same study would get other figures, so that stored ones become stale.
    """

    name: str
    summary: str
    run: Run
    on_request: bool
    version: int


class Watcher(Protocol):
    """What is told how an analysis goes on."""

    def begin(self, measure: str, num_models: int) -> None:
        """A measure begins that will yield at most ``num_models`` findings."""

    def advance(self, measure: str, model: str) -> None:
        """A finding is there; ``model`` is "" for one about the whole study."""

    def end(self, measure: str, was_current: bool) -> None:
        """A measure's file is there; ``was_current`` says that it was before."""


_registry: Registry[Measure] = Registry("measure")
_FAMILIES = ("complexity", "behaviour", "words")


def register_measure(
    name: str, summary: str, *, on_request: bool = False, version: int = 1
) -> Callable[[Run], Run]:
    """A decorator that enters a generator of findings under ``name``; arguments as in :class:`Measure`."""

    def enter(run: Run) -> Run:
        _registry.register(name)(Measure(name, summary, run, on_request, version))
        return run

    return enter


def measures() -> Registry[Measure]:
    """All measures, in the order in which an analysis takes them."""
    for family in _FAMILIES:
        import_module(f"unrolled.evidence.{family}").load()
    return _registry


def select_measures(names: Sequence[str] | None) -> tuple[Measure, ...]:
    """The measures called ``names``, in that order; for None all that do not wait to be asked for.

    Raises:
        UsageError: a name is unknown; the message lists the nearest.
    """
    known = measures()
    if names is None:
        return tuple(known.get(name) for name in known if not known.get(name).on_request)
    return tuple(known.get(name) for name in dict.fromkeys(names))


def fingerprint(measure: Measure, study: FinishedStudy) -> str:
    """Names what a measure's findings rest on: its version, the data, and every run's weights."""
    parts = [measure.name, str(measure.version), study.data.sha256]
    for subject in study.subjects:
        for run in subject.runs:
            parts += [run.plan.run_id, (run.record.weights_sha256 if run.record else None) or ""]
    return digest(*parts)


def analyse_study(
    study: FinishedStudy, chosen: Iterable[Measure], watcher: Watcher | None = None
) -> tuple[str, ...]:
    """Takes every chosen measure that is not current and stores its findings as soon as they are whole.

    An analysis that is stopped goes on where it was: with the first measure that has no current file.

    Args:
        study: as :func:`unrolled.evidence.subjects.open_study` gives it.
        chosen: from :func:`select_measures`.
        watcher: told of every step.

    Returns:
        Names of the measures that were taken now; the others were current.

    Raises:
        MachineError: the disk refuses.
    """
    taken = []
    for measure in chosen:
        mark = fingerprint(measure, study)
        current = is_current(study.folder, measure.name, mark)
        if not current:
            if watcher:
                watcher.begin(measure.name, len(study.subjects))
            findings = []
            for finding in measure.run(study):
                findings.append(finding)
                if watcher:
                    watcher.advance(measure.name, finding.model)
            save_findings(study.folder, measure.name, findings, fingerprint=mark)
            taken.append(measure.name)
        if watcher:
            watcher.end(measure.name, current)
    return tuple(taken)


def analysis_file(folder: Path, measure: str) -> Path:
    """Where a measure's findings are stored below a study's folder."""
    from unrolled.evidence.findings import FOLDER

    return folder / FOLDER / f"{measure}.json"
