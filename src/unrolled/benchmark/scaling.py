"""Time and memory of a training step, size by size, each in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median

from unrolled.benchmark.growth import AXES, HELD, Growth, Point, point_settings, summarise_growth
from unrolled.benchmark.sides import Side, our_command
from unrolled.errors import UsageError, nearest
from unrolled.models import architectures, make_spec

MODELS = ("simple_rnn", "gru", "lstm")


def measure_growth(
    names: Sequence[str],
    *,
    threads: int,
    steps: int,
    tell: Callable[[str], None],
    axes: dict[str, tuple[int, ...]] | None = None,
) -> Iterator[Growth]:
    """Growth along each axis for each model, one after the other.

    Sequences hold no padding, so that the length is what is computed. Dropout is as the architecture has it.

    Args:
        names: recurrent architectures.
        threads: of each process.
        steps: timed at each point, after two.
        tell: receives a sentence for each point.
        axes: sizes by axis; :data:`AXES` without it.

    Raises:
        UsageError: an architecture that has no units.
        MachineError: a process failed, for want of memory most likely.
    """
    zoo = architectures()
    for name in names:
        if "units" not in zoo.get(name).spec.model_fields:
            recurrent = [n for n in zoo.names() if "units" in zoo.get(n).spec.model_fields]
            raise UsageError(
                "--models",
                f"no recurrent network (got model={name})",
                expected=", ".join(recurrent),
                action=nearest(name, recurrent),
            )
    for name in names:
        for axis, sizes in (axes or AXES).items():
            points = []
            for size in sizes:
                point = measure_point(name, axis, size, threads=threads, steps=steps)
                points.append(point)
                tell(
                    f"{name}: {axis} {size:,}: {point.step_seconds * 1e3:.1f} ms a step, "
                    f"{point.peak_bytes / 1e6:,.0f} MB"
                )
            held = {key: value for key, value in HELD.items() if key != axis}
            yield summarise_growth(name, axis, held, points)


def measure_point(name: str, axis: str, size: int, *, threads: int, steps: int) -> Point:
    """One size of one axis."""
    settings = point_settings(axis, size)
    spec = make_spec(name, length=settings["length"], units=settings["units"])
    with tempfile.TemporaryDirectory(prefix="unrolled-benchmark-") as place:
        command = our_command(threads, name=f"{name} at {axis} {size}")
        with Side(command, Path(place) / "log") as side:
            answer = side.ask("scale", spec=spec.model_dump(), batch=settings["batch"], steps=steps)
            return Point(size, median(answer["seconds"]), side.peak_bytes, int(answer["resting_bytes"]))
