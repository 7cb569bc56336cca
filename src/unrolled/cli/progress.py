"""What a person watches while a study runs: models × seeds, epoch, loss, time left."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from unrolled.errors import StoppedByUserError
from unrolled.training.record import RunPlan, RunRecord
from unrolled.training.scheduler import Scheduler
from unrolled.training.study import Run, Study

BAR = 10


@dataclass(slots=True)
class _Cell:
    """One run as the screen shows it."""

    plan: RunPlan
    state: str = "waiting"
    epochs_done: int = 0
    share: float = 0.0
    loss: float | None = None
    best: float | None = None
    started: float = 0.0
    together: int = 1
    seconds: float = 0.0
    accuracy: float | None = None
    reason: str = ""

    def take_record(self, record: RunRecord) -> None:
        """Shows how the run ended."""
        self.state, self.accuracy, self.reason = record.status, record.test_accuracy, record.reason

    def text(self) -> Text:
        """The cell's content."""
        if self.state == "done":
            return Text.assemble(("✓ ", "green"), f"{self.accuracy:.3f}")
        if self.state in ("failed", "diverged"):
            return Text(f"✗ {self.state}", style="red")
        if self.state == "waiting":
            return Text("·", style="dim")
        if self.loss is None:
            return Text("compiling", style="dim")
        epochs = self.plan.training.epochs
        filled = round(BAR * self.share)
        bar = ("━" * filled, "cyan"), ("━" * (BAR - filled), "bright_black")
        return Text.assemble(*bar, f" {min(self.epochs_done + 1, epochs)}/{epochs} loss {self.loss:.3f}")


class _Board:
    """All runs of a study, and the time that is left."""

    def __init__(self, study: Study, console: Console) -> None:
        self.console = console
        self.begun = time.monotonic()
        self.cells = {plan.run_id: _Cell(plan) for plan in study.plans}
        self.study = study
        self.live: Live | None = None
        for run in study.runs():
            self._take_run(run)

    def _take_run(self, run: Run) -> None:
        cell = self.cells[run.plan.run_id]
        if run.record is not None and run.finished:
            cell.take_record(run.record)
        cell.epochs_done = len(run.history)

    def note(self, plan: RunPlan, event: dict[str, Any]) -> None:
        """Takes in an event of a worker."""
        cell = self.cells[plan.run_id]
        kind = event["event"]
        if kind == "started":
            cell.state, cell.started, cell.loss = "running", time.monotonic(), None
            cell.together = event.get("together", 1)
        elif kind == "step":
            done = event["epoch"] - 1 + event["step"] / event["steps"]
            cell.epochs_done, cell.loss = event["epoch"] - 1, event["loss"]
            cell.share = min(1.0, done / plan.training.epochs)
        elif kind == "epoch":
            cell.epochs_done, cell.loss = event["epoch"], event["loss"]
            cell.best = max(cell.best or 0.0, event["validation_accuracy"])
        elif kind == "resumed":
            for damage in event["damaged"]:
                self.say(f"{plan.run_id}: {damage}; going on from the checkpoint before it", "yellow")
        elif kind == "ended":
            self._end(plan, cell)

    def _end(self, plan: RunPlan, cell: _Cell) -> None:
        cell.seconds = time.monotonic() - cell.started
        record = self.study.run(plan).record
        if record is None:
            cell.state = "waiting"
            return
        cell.take_record(record)
        done = sum(other.state not in ("waiting", "running") for other in self.cells.values())
        head = f"[{done:>{len(str(len(self.cells)))}}/{len(self.cells)}] {plan.run_id}"
        if record.status == "done":
            epochs = len(record.seconds_per_epoch)
            plural = "" if epochs == 1 else "s"
            tail = f"test accuracy {record.test_accuracy:.4f} after {epochs} epoch{plural}"
            self.say(f"{head}: {tail}, {cell.seconds:.0f} s", "" if self.live is None else None)
        else:
            self.say(f"{head}: {record.status}, {record.reason}", "red")

    def say(self, line: str, style: str | None) -> None:
        """Prints a line above the board; None keeps it to consoles without a board."""
        if style is not None:
            self.console.print(line, style=style or None, highlight=False, markup=False, soft_wrap=True)

    def seconds_left(self, num_workers: int) -> float | None:
        """A guess from what runs of the same or any model took; None before there is anything to go by."""
        now = time.monotonic()
        known: dict[str, list[float]] = {}
        for cell in self.cells.values():
            if cell.seconds:
                known.setdefault(cell.plan.model["architecture"], []).append(cell.seconds / cell.together)
            elif cell.state == "running" and cell.share > 0.05:
                # Runs that share a worker take its time together.
                guess = (now - cell.started) / cell.share / cell.together
                known.setdefault(cell.plan.model["architecture"], []).append(guess)
        if not known:
            return None
        every = [value for values in known.values() for value in values]
        left = 0.0
        for cell in self.cells.values():
            if cell.state in ("waiting", "running"):
                values = known.get(cell.plan.model["architecture"], every)
                spent = (now - cell.started) / cell.together if cell.state == "running" else 0.0
                left += max(0.0, sum(values) / len(values) - spent)
        return left / num_workers

    def render(self, num_workers: int) -> Group:
        """The board as it stands now."""
        seeds = sorted({cell.plan.training.seed for cell in self.cells.values()})
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("model", no_wrap=True)
        for seed in seeds:
            table.add_column(f"seed {seed}", no_wrap=True, min_width=10)
        rows: dict[str, dict[int, _Cell]] = {}
        for cell in self.cells.values():
            rows.setdefault(cell.plan.model["architecture"], {})[cell.plan.training.seed] = cell
        # Many seeds do not fit beside each other: then only what is running shows its bar.
        for name, cells in rows.items():
            table.add_row(name, *(cells[seed].text() if seed in cells else Text("") for seed in seeds))
        done = sum(cell.state not in ("waiting", "running") for cell in self.cells.values())
        elapsed = time.monotonic() - self.begun
        left = self.seconds_left(num_workers)
        tail = "" if left is None else f", about {_clock(left)} left"
        return Group(
            table, Text(f"{done} of {len(self.cells)} runs, {_clock(elapsed)} so far{tail}", style="dim")
        )


def watch(study: Study, *, num_workers: int | None = None) -> None:
    """Runs what a study has left to do, and shows how it goes on standard error.

    On a terminal a table moves; elsewhere one line is printed for each run that ends.

    Raises:
        StoppedByUserError: Ctrl-C, after every run has saved its state.
        MachineError: the disk refuses.
    """
    console = Console(stderr=True)
    board = _Board(study, console)
    scheduler = Scheduler(lambda plan: study.run(plan).folder, board.note, num_workers=num_workers)
    open_plans = [run.plan for run in study.runs() if not run.finished]
    for notice in study.data.notices:
        console.print(f"note: {notice}", style="yellow", highlight=False, markup=False, soft_wrap=True)
    data = study.data
    console.print(
        f"{data.name}: {len(data.train):,} to train on, {len(data.validation):,} to choose on, "
        f"{len(data.test):,} to test on\n"
        f"{len(open_plans)} of {len(study.plans)} runs to do, {scheduler.num_workers} at a time",
        highlight=False,
        soft_wrap=True,
    )
    try:
        if not console.is_terminal:
            scheduler.run(open_plans)
            return
        with Live(
            get_renderable=lambda: board.render(scheduler.num_workers), console=console, refresh_per_second=4
        ) as live:
            board.live = live
            scheduler.run(open_plans)
    except KeyboardInterrupt:
        raise StoppedByUserError(
            str(study.folder),
            "stopped, and every run has saved its state",
            action="the same command again: it goes on where it stopped",
        ) from None


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes else f"{rest} s"
