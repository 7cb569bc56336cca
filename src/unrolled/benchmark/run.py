"""A benchmark from request to document: one of four modes, model by model."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.benchmark.environments import Peer, prepare_peer
from unrolled.benchmark.floor import Rates, measure_rates
from unrolled.benchmark.inference import own_commands, time_inference
from unrolled.benchmark.job import make_plan, neural_names, plan_answers
from unrolled.benchmark.scaling import MODELS as GROWING
from unrolled.benchmark.scaling import measure_growth
from unrolled.benchmark.sides import OURS, Command, Side, our_command
from unrolled.benchmark.switches import SWITCHES, applies
from unrolled.benchmark.training import time_training
from unrolled.data.encoding import encode_dataset
from unrolled.data.load import load_dataset
from unrolled.errors import UsageError
from unrolled.evidence.machine import describe_machine
from unrolled.training.device import sees_gpu
from unrolled.training.settings import Protocol
from unrolled.types import EncodedDataset

MODES = ("training", "inference", "scaling", "ablation")
MODELS = ("embedding_dense", "cnn", "simple_rnn", "gru", "lstm", "cnn_lstm", "cnn_gru")
STEPS = {"training": 8, "inference": 20, "scaling": 5, "ablation": 8}
SCHEMA = "unrolled.benchmark/1"
BULK_REVIEWS = 2_000
# Networks that a GPU trains side by side, timed beside one alone.
SEEDS_TOGETHER = 4


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be measured.

    Args:
        mode: one of :data:`MODES`.
        models: names; None for those that the mode is about.
        protocol: decides on padding and batches.
        data: demo, imdb or a path.
        peers: to be compared with.
        pythons: their interpreters, where they are not to be built.
        helped: whether peers get batches of our lengths as well.
        without: tricks to switch off; for "ablation".
        steps: batches (or calls, or steps) in each round; None for the mode's own number.
        rounds: turns of each side.
        batch: sequences per step.
        threads: of our side.
        dropout: of the inputs of recurrent layers, on all sides; None for the architecture's own.
        command: as it was typed, for whoever reads the figures.
    """

    mode: str
    models: list[str] | None
    protocol: Protocol
    data: str
    peers: tuple[Peer, ...]
    pythons: Mapping[str, Path]
    helped: bool
    without: tuple[str, ...]
    steps: int | None
    rounds: int
    batch: int
    threads: int
    dropout: float | None
    command: str


def run_benchmark(
    request: Request, *, tell: Callable[[str], None], keep: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Measures what was asked for.

    Args:
        request: what.
        tell: receives a sentence now and then.
        keep: receives the document as far as it is, after each model.

    Returns:
        A document that JSON can hold: ``schema``, ``mode``, ``command``, ``machine``, ``threads``,
        ``device`` (a GPU's name, else empty), its ``rates``, and ``models``, the latter as the mode's records
        have it.

    Raises:
        UsageError: models that do not fit the mode.
        DataError: the data cannot be used.
        MachineError: our own side failed, or a peer's environment cannot be built.
    """
    default = GROWING if request.mode == "scaling" else MODELS
    names = neural_names(request.models, default)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "mode": request.mode,
        "command": request.command,
        "machine": asdict(describe_machine()),
        "threads": request.threads,
        "rounds": request.rounds,
        "steps": request.steps or STEPS[request.mode],
        "models": [],
    }
    if request.mode == "scaling":
        found = measure_growth(names, threads=request.threads, steps=document["steps"], tell=tell)
        for growth in found:
            document["models"].append(asdict(growth))
            keep(document)
        return document
    gpu = sees_gpu()
    if gpu and request.mode == "ablation":
        raise UsageError(
            "ablation",
            "JAX computes on a GPU here, where none of these tricks is used",
            expected="a processor",
            action=f"JAX_PLATFORMS=cpu {request.command}",
        )
    commands = [prepare_peer(peer, request.pythons, tell, gpu=gpu) for peer in request.peers]
    tell(f"reading {request.data}")
    data = encode_dataset(load_dataset(request.data), protocol="notebook")[0]
    document |= {
        "protocol": request.protocol,
        "batch": request.batch,
        "peer_threads": "as each library chooses",
        "dataset": {"name": data.name, "sha256": data.sha256, "sequences": len(data.train)},
    }
    measure = _answer if request.mode == "inference" else _train
    if request.mode != "inference":
        document |= (
            _device_rates() if gpu else {"device": "", "rates": asdict(measure_rates(request.threads))}
        )
    for name in names:
        document["models"].append(measure(request, name, data, commands, document, tell))
        keep(document)
    return document


def _device_rates() -> dict[str, Any]:
    """The GPU's name and rates, found out by a process that gives its memory back."""
    with (
        tempfile.TemporaryDirectory(prefix="unrolled-benchmark-") as place,
        Side(our_command(1), Path(place) / "log") as side,
    ):
        found = side.ask("rates")
    return {
        "device": found.pop("device"),
        "rates": {field.name: found[field.name] for field in fields(Rates)},
    }


def _train(
    request: Request,
    name: str,
    data: EncodedDataset,
    commands: list[Command],
    document: dict[str, Any],
    tell: Callable[[str], None],
) -> dict[str, Any]:
    plan = make_plan(
        name,
        data,
        request.protocol,
        batch_size=request.batch,
        num_steps=document["steps"],
        dropout=request.dropout,
    )
    sides = [(our_command(request.threads), False)]
    if request.mode == "ablation":
        switches = [s for s in request.without or tuple(SWITCHES) if applies(s, plan.spec, plan.lengths)]
        sides += [
            (our_command(request.threads, name=f"without {switch}", without=[switch]), False)
            for switch in switches
        ]
    else:
        if document["device"]:
            name = f"{OURS}, {SEEDS_TOGETHER} seeds"
            sides.append((our_command(request.threads, name=name, seeds=SEEDS_TOGETHER), False))
        sides += [(command, False) for command in commands]
        if request.helped and len(plan.lengths) > 1:
            sides += [(command, True) for command in commands]
    rates = Rates(**document["rates"])
    return asdict(time_training(plan, data.train, sides, rounds=request.rounds, rates=rates, tell=tell))


def _answer(
    request: Request,
    name: str,
    data: EncodedDataset,
    commands: list[Command],
    document: dict[str, Any],
    tell: Callable[[str], None],
) -> dict[str, Any]:
    rows = min(BULK_REVIEWS, len(data.test))
    # An even sample, since sources come sorted by label.
    sample = data.test.take(np.linspace(0, len(data.test) - 1, rows).astype(np.int64))
    plan = plan_answers(name, data, request.protocol, num_reviews=rows, batch_size=request.batch)
    found = time_inference(
        plan,
        sample,
        [*own_commands(request.threads), *commands],
        calls=document["steps"],
        rounds=request.rounds,
        tell=tell,
    )
    return asdict(found)
