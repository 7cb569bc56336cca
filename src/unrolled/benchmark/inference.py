"""How long one review waits for its answer, and how many are answered in bulk."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unrolled.benchmark.job import Plan, write_job
from unrolled.benchmark.sides import Command, Side, our_command, our_environment
from unrolled.benchmark.training import Range
from unrolled.deploy.manifest import LABELS, MANIFEST, MODEL, Manifest
from unrolled.errors import MachineError
from unrolled.models import ModelSpec
from unrolled.types import EncodedSplit

WARM_UP_CALLS = 10


@dataclass(frozen=True, slots=True)
class Answers:
    """One way to ask one model.

    Args:
        name: of the side, and of the way where there are several.
        p50_ms: median time of a call with one review, padding included.
        p95_ms: 95 % of calls end within it.
        reviews_per_second: in bulk, round by round; None for a way that is for single reviews.
        peak_memory_bytes: of the process.
        ready_seconds: from nothing to the first answers.
        difference: the largest difference of a probability from ours; None likewise.
    """

    name: str
    p50_ms: float
    p95_ms: float
    reviews_per_second: Range | None
    peak_memory_bytes: int
    ready_seconds: float
    difference: float | None


@dataclass(frozen=True, slots=True)
class ModelAnswers:
    """All that was measured of one model, and the sides that could not take part."""

    name: str
    parameters: int
    reviews: int
    calls: int
    ways: tuple[Answers, ...]
    failures: tuple[str, ...]


def own_commands(threads: int) -> list[Command]:
    """This package's two ways: the network on JAX, and its export on ONNX Runtime."""
    arguments = (sys.executable, "-m", "unrolled.benchmark.onnx_side", str(threads))
    return [our_command(threads), Command("unrolled, ONNX", arguments, our_environment(threads))]


def time_inference(
    plan: Plan,
    split: EncodedSplit,
    commands: Sequence[Command],
    *,
    calls: int,
    rounds: int,
    tell: Callable[[str], None],
) -> ModelAnswers:
    """Times one model on every side, with the weights it is initialised with.

    Args:
        plan: the model; its batches are the reviews.
        split: the rows that ``plan`` means.
        commands: the sides, ours first; a side without a handler for inference is a failure that is named.
        calls: with one review each, in every round.
        rounds: each side in turn.
        tell: receives a sentence now and then.
    """
    with tempfile.TemporaryDirectory(prefix="unrolled-benchmark-") as place, ExitStack() as stack:
        job = write_job(plan, split, Path(place) / "job")
        failures: list[str] = []
        try:
            write_export(plan.spec, job)
        except ImportError as error:
            failures.append(
                f"unrolled, ONNX: {error.name} is not installed. Try: pip install 'unrolled[onnx]'."
            )
            commands = [command for command in commands if command.name != "unrolled, ONNX"]
        sides: list[tuple[Side, float]] = []
        for number, command in enumerate(commands):
            begun = time.perf_counter()
            try:
                side = stack.enter_context(Side(command, Path(place) / f"{number}.log"))
                side.ask("start_inference", job=str(job))
            except MachineError as error:
                if not number:
                    raise
                failures.append(str(error))
                tell(f"{plan.name}: {error}")
                continue
            sides.append((side, time.perf_counter() - begun))
            tell(f"{plan.name}: {command.name} ready in {sides[-1][1]:.1f} s")
        ways = [
            (index, way)
            for index, (side, _) in enumerate(sides)
            for way in (("predict", "call") if side.name.startswith("keras") else ("predict",))
        ]
        reviews = plan.batch_size * len(plan.batches)
        waits: list[list[float]] = [[] for _ in ways]
        speeds: list[list[float]] = [[] for _ in sides]
        outputs: list[list[float]] = [[] for _ in sides]
        for index, way in ways:
            sides[index][0].ask("one", way=way, items=[item % reviews for item in range(WARM_UP_CALLS)])
        for turn in range(rounds):
            items = [item % reviews for item in range(turn * calls, (turn + 1) * calls)]
            for number, (index, way) in enumerate(ways):
                waits[number] += sides[index][0].ask("one", way=way, items=items)["ms"]
            for index, (side, _) in enumerate(sides):
                answer = side.ask("bulk")
                speeds[index].append(reviews / answer["seconds"])
                outputs[index] = answer["outputs"]
            tell(f"{plan.name}: round {turn + 1} of {rounds}")
        found = []
        for (index, way), times in zip(ways, waits, strict=True):
            side, ready = sides[index]
            p50, p95 = (float(value) for value in np.quantile(times, (0.5, 0.95)))
            single = way == "call"
            label = {"call": f"{side.name}, model(x)", "predict": f"{side.name}, predict"}
            found.append(
                Answers(
                    label[way] if side.name.startswith("keras") else side.name,
                    p50,
                    p95,
                    None if single else Range.of(speeds[index]),
                    side.peak_bytes,
                    ready,
                    None if single else float(np.max(np.abs(np.subtract(outputs[index], outputs[0])))),
                )
            )
    return ModelAnswers(plan.name, plan.parameters, reviews, calls * rounds, tuple(found), tuple(failures))


def write_export(spec: ModelSpec, job: Path) -> None:
    """The network of a job with its weights, as ``unrolled export`` writes it, without a card.

    Raises:
        ImportError: the package onnx is not installed.
    """
    from safetensors.numpy import load

    from unrolled.deploy.onnx_network import network_to_onnx
    from unrolled.models.build import outline_model
    from unrolled.training.network import weight_names

    arrays = load((job / "weights.safetensors").read_bytes())
    names = weight_names(outline_model(spec))
    weights = dict(zip(names, (arrays[key] for key in sorted(arrays)), strict=True))
    folder = job / "export"
    folder.mkdir()
    model = network_to_onnx(spec, weights, doc="a network with its initial weights")
    files = {
        MODEL: model.SerializeToString(),
        LABELS: json.dumps([str(label) for label in range(spec.classes)]).encode(),
    }
    for name, payload in files.items():
        (folder / name).write_bytes(payload)
    manifest = Manifest(
        folder=folder,
        name=spec.architecture,
        architecture=spec.architecture,
        format="onnx",
        precision="float32",
        length=spec.length,
        window=None,
        masked=spec.padding == "masked",
        features=None,
        gradients=False,
        files={n: (hashlib.sha256(payload).hexdigest(), len(payload)) for n, payload in files.items()},
    )
    (folder / MANIFEST).write_text(manifest.to_json(), "utf-8")
