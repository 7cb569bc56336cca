"""Seconds per epoch of this package and of its peers, round by round in turns."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from unrolled.benchmark.floor import Rates, Work, count_step
from unrolled.benchmark.job import Plan, clipped, describe_layers, write_job
from unrolled.benchmark.sides import OURS, Command, Side
from unrolled.data.padding import pad_sequences
from unrolled.errors import MachineError
from unrolled.types import EncodedSplit


@dataclass(frozen=True, slots=True)
class Range:
    """A figure that was taken several times."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Range:
        """The median of ``values``, and how far they reach."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Timing:
    """One side of one model.

    Args:
        name: of the side.
        helped: whether it got batches of similar length, cut to a few lengths, as ours are.
        seconds_per_epoch: extrapolated from each round.
        compile_seconds: from an empty process, imports and all, to a step that runs at full speed.
        peak_memory_bytes: of its process.
        device_memory_bytes: the most that it used of a GPU's memory; 0 without one.
        losses: of each step of the first round, in nats.
        loss_difference: the largest relative difference from our losses over the first round.
        note: how it computes, where there was a choice.
    """

    name: str
    helped: bool
    seconds_per_epoch: Range
    compile_seconds: float
    peak_memory_bytes: int
    device_memory_bytes: int
    losses: tuple[float, ...]
    loss_difference: float
    note: str


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as long as ours the fastest of some sides took, round by round."""

    name: str
    ratio: Range


@dataclass(frozen=True, slots=True)
class ModelTiming:
    """All that was measured of one model.

    Args:
        name: registry name.
        parameters: weights.
        batch: sequences per step.
        steps_per_epoch: of a whole epoch.
        timed_steps: in each round.
        random: whether dropout makes losses agree in distribution alone.
        floor: what an epoch must do.
        floor_seconds: how long that takes at the machine's rates.
        sides: ours first.
        ratio: of the fastest peer to ours; None without peers.
        helped_ratio: likewise among peers that were helped.
        failures: sides that could not take part, and why.
    """

    name: str
    parameters: int
    batch: int
    steps_per_epoch: int
    timed_steps: int
    random: bool
    floor: Work
    floor_seconds: float
    sides: tuple[Timing, ...]
    ratio: Ratio | None
    helped_ratio: Ratio | None
    failures: tuple[str, ...]


def time_training(
    plan: Plan,
    train: EncodedSplit,
    commands: Sequence[tuple[Command, bool]],
    *,
    rounds: int,
    rates: Rates,
    tell: Callable[[str], None],
) -> ModelTiming:
    """Times one model on every side.

    A peer that fails is left out and named; a failure of the first side is raised.

    Args:
        plan: the model and its batches.
        train: the rows that ``plan`` means.
        commands: the sides with whether they are helped, ours first.
        rounds: passes over the plan's batches, each side in turn.
        rates: of the machine.
        tell: receives a sentence now and then.

    Raises:
        MachineError: our own side failed.
    """
    with tempfile.TemporaryDirectory(prefix="unrolled-benchmark-") as place, ExitStack() as stack:
        job = write_job(plan, train, Path(place) / "job")
        sides: list[tuple[Side, bool]] = []
        compile_seconds: list[float] = []
        notes: list[str] = []
        failures: list[str] = []
        for number, (command, helped) in enumerate(commands):
            begun = time.perf_counter()
            try:
                side = stack.enter_context(Side(command, Path(place) / f"{number}.log"))
                answer = side.ask("start", job=str(job), helped=helped)
            except MachineError as error:
                if not number:
                    raise
                failures.append(str(error))
                tell(f"{plan.name}: {error}")
                continue
            # What a side tried out before it chose its way is no part of that way.
            ready = time.perf_counter() - begun - answer.get("trial_seconds", 0.0)
            tell(f"{plan.name}: {_label(command.name, helped)} ready in {ready:.1f} s")
            sides.append((side, helped))
            compile_seconds.append(ready)
            notes.append(str(answer["note"]))
        seconds: list[list[float]] = [[] for _ in sides]
        losses: list[tuple[float, ...]] = [()] * len(sides)
        for turn in range(rounds):
            for index, (side, _) in enumerate(sides):
                answer = side.ask("round")
                seconds[index].append(answer["seconds"] / len(plan.batches) * plan.steps_per_epoch)
                losses[index] = losses[index] or tuple(answer["losses"])
            tell(f"{plan.name}: round {turn + 1} of {rounds}")
        timings = tuple(
            Timing(
                side.name,
                helped,
                Range.of(seconds[index]),
                compile_seconds[index],
                side.peak_bytes,
                side.device_bytes,
                losses[index],
                _difference(losses[0], losses[index]),
                notes[index],
            )
            for index, (side, helped) in enumerate(sides)
        )
    floor = count_epoch(plan, train)
    return ModelTiming(
        plan.name,
        plan.parameters,
        plan.batch_size,
        plan.steps_per_epoch,
        len(plan.batches),
        plan.has_dropout,
        floor,
        floor.seconds(rates),
        timings,
        _fastest(timings, seconds, helped=False),
        _fastest(timings, seconds, helped=True),
        tuple(failures),
    )


def count_epoch(plan: Plan, train: EncodedSplit) -> Work:
    """What an epoch must do, counted on the timed batches."""
    layers, spec = describe_layers(plan.spec), plan.spec
    total = Work(0.0, 0.0)
    for rows in plan.batches:
        tokens = pad_sequences(clipped(train.take(rows), spec.vocabulary_size).tokens, spec.length)
        total += count_step(layers, tokens, masked=spec.padding == "masked", parameters=plan.parameters)
    return total.times(plan.steps_per_epoch / len(plan.batches))


def _fastest(timings: Sequence[Timing], seconds: Sequence[list[float]], *, helped: bool) -> Ratio | None:
    """The ratio of the side with the lowest median among the peers, round by round."""
    peers = [
        index
        for index, timing in enumerate(timings)
        if index and timing.helped is helped and not timing.name.startswith(OURS)
    ]
    if not peers:
        return None
    best = min(peers, key=lambda index: timings[index].seconds_per_epoch.median)
    ratios = [theirs / ours for theirs, ours in zip(seconds[best], seconds[0], strict=True)]
    return Ratio(timings[best].name, Range.of(ratios))


def _difference(ours: Sequence[float], theirs: Sequence[float]) -> float:
    found, other = np.asarray(ours), np.asarray(theirs)
    return float(np.max(np.abs(found - other) / np.abs(found)))


def _label(name: str, helped: bool) -> str:
    return f"{name} with our lengths" if helped else name
