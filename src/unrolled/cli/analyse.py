"""``unrolled analyse``: what a study's models do, and why."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from unrolled.evidence.findings import Finding


def analyse(
    study: Annotated[Path, typer.Argument(help="A folder that `unrolled lab` or `unrolled train` made.")],
    only: Annotated[
        str | None, typer.Option(help="Names of measures, separated by commas; `list` names them all.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the findings as JSON on standard output.")
    ] = False,
) -> None:
    """Measure gradients, memory, order, length, padding and more; run it again to go on where it stopped."""
    from unrolled.evidence.measures import measures, select_measures

    if only == "list":
        _print_measures([measures().get(name) for name in measures()], as_json)
        return
    names = [name.strip() for name in only.split(",") if name.strip()] if only is not None else None
    chosen = select_measures(names)
    from unrolled.errors import UsageError
    from unrolled.training.study import check_study

    if not chosen:
        raise UsageError(
            "--only",
            f"no measure is named (got only={only!r})",
            expected="names separated by commas",
            action=", ".join(measures().names()),
        )
    check_study(study)
    found = run(study, [measure.name for measure in chosen])
    if as_json:
        _print_json(study, found)
        return
    _print_files(study, found)


def run(folder: Path, names: list[str] | None = None) -> dict[str, tuple[Finding, ...]]:
    """Takes the measures called ``names`` (None: all that do not wait to be asked for) that are not current.

    Progress goes to standard error.

    Returns:
        Their findings, whether taken now or before.

    Raises:
        StoppedByUserError: Ctrl-C; finished measures are stored.
        BusyError: another process works in the folder.
    """
    from unrolled.errors import StoppedByUserError
    from unrolled.evidence.findings import load_findings
    from unrolled.evidence.measures import analyse_study, select_measures
    from unrolled.evidence.subjects import open_study
    from unrolled.training.study import lease

    chosen = select_measures(names)
    with lease(folder):
        study = open_study(folder)
        try:
            with _Board() as board:
                analyse_study(study, chosen, board)
        except KeyboardInterrupt:
            raise StoppedByUserError(
                str(folder),
                "stopped, and every finished measure is stored",
                action="the same command again: it goes on where it stopped",
            ) from None
    found = load_findings(folder)
    return {measure.name: found[measure.name] for measure in chosen}


class _Board:
    """Measures and models as they are done, on standard error: a bar on a terminal, a line each elsewhere."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self.console = Console(stderr=True)
        self.progress = Progress(
            TextColumn("{task.description:<14}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[model]}"),
            TimeElapsedColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task: Any = None
        self.began = 0.0

    def __enter__(self) -> _Board:
        self.progress.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.progress.stop()

    def begin(self, measure: str, num_models: int) -> None:
        """Shows that a measure begins."""
        import time

        self.began = time.monotonic()
        self.task = self.progress.add_task(measure, total=num_models, model="")

    def advance(self, measure: str, model: str) -> None:
        """Shows that a model is done."""
        self.progress.update(self.task, advance=1, model=model)

    def end(self, measure: str, was_current: bool) -> None:
        """Shows that a measure is done."""
        import time

        if was_current:
            self._say(f"{measure}: current, nothing to do")
            return
        task = next(task for task in self.progress.tasks if task.id == self.task)
        self.progress.update(
            self.task, total=max(task.completed, 1), completed=max(task.completed, 1), model=""
        )
        if not self.console.is_terminal:
            self._say(f"{measure}: done, {time.monotonic() - self.began:.0f} s")

    def _say(self, line: str) -> None:
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)


def _print_json(folder: Path, found: dict[str, tuple[Finding, ...]]) -> None:
    import json

    document = {
        "study": str(folder),
        "measures": {
            name: [finding.model_dump(mode="json") for finding in findings]
            for name, findings in found.items()
        },
    }
    print(json.dumps(document, ensure_ascii=False, indent=1))


def _print_files(folder: Path, found: dict[str, tuple[Finding, ...]]) -> None:
    from unrolled.evidence.measures import analysis_file

    for name, findings in found.items():
        count = f"{len(findings)} finding{'' if len(findings) == 1 else 's'}"
        print(f"{name}: {count} in {analysis_file(folder, name)}")
        for finding in findings:
            # Warnings are for whoever runs the command, not only for readers of the report.
            if finding.values.get("warning"):
                print(f"  {finding.values['warning']}")


def _print_measures(known: list[Any], as_json: bool) -> None:
    if as_json:
        import json

        rows = [{"name": each.name, "summary": each.summary, "on_request": each.on_request} for each in known]
        print(json.dumps({"measures": rows}, indent=1))
        return
    for each in known:
        print(f"{each.name:<14} {each.summary}{' (only when named)' if each.on_request else ''}")
