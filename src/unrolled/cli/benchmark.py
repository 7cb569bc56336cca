"""``unrolled benchmark``: how fast this machine trains and answers, beside its floor and its peers."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unrolled.errors import UsageError, nearest

if TYPE_CHECKING:
    from unrolled.training.settings import Protocol
    from unrolled.types import EncodedDataset

MODES = ("training", "inference", "scaling", "ablation")
MODELS = ("embedding_dense", "cnn", "simple_rnn", "gru", "lstm", "cnn_lstm", "cnn_gru")


def benchmark(
    mode: Annotated[str, typer.Argument(help=f"{', '.join(MODES[:-1])} or {MODES[-1]}.")] = "training",
    models: Annotated[
        str | None, typer.Option(help="Names, separated by commas; what the mode is about without it.")
    ] = None,
    protocol: Annotated[str, typer.Option(help="standard (padding masked) or notebook.")] = "standard",
    data: Annotated[str, typer.Option(help="demo, imdb, or a path to your own data.")] = "demo",
    against: Annotated[
        str, typer.Option(help="Peers, separated by commas: keras-jax, keras-tensorflow, torch.")
    ] = "",
    peer_python: Annotated[
        list[str] | None,
        typer.Option(help="NAME=PATH: a peer's interpreter, instead of an environment that is built."),
    ] = None,
    helped: Annotated[
        bool, typer.Option(help="Time peers on batches of our lengths as well, where padding is masked.")
    ] = True,
    without: Annotated[
        str | None, typer.Option(help="ablation: tricks to switch off, one at a time; all without it.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Batches per round.")] = 8,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each side.")] = 5,
    batch: Annotated[int, typer.Option(min=1, help="Sequences per step.")] = 128,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of our side; one per core without it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    out: Annotated[Path | None, typer.Option(help="A file for the same document.")] = None,
) -> None:
    """Time training, inference or growth on this machine, beside its floor and, when asked, its peers."""
    from unrolled.benchmark.environments import parse_pythons, select_peers
    from unrolled.benchmark.job import neural_names
    from unrolled.cli.lab import parse_protocol
    from unrolled.training.scheduler import usable_cores

    if mode not in MODES:
        raise UsageError(
            "benchmark",
            f"unknown mode (got mode={mode!r})",
            expected=", ".join(MODES),
            action=nearest(mode, MODES),
        )
    cores = usable_cores()
    threads = threads or cores
    if threads > cores:
        raise UsageError(
            "--threads",
            f"more than this process may use (got threads={threads})",
            expected=f"1 to {cores}",
            action=f"--threads {cores}",
        )
    names = [name.strip() for name in models.split(",")] if models else None
    chosen = neural_names(names, MODELS)
    wanted = parse_protocol(protocol)
    peers = select_peers(against)
    pythons = parse_pythons(peer_python or [])

    from unrolled.benchmark.environments import prepare_peer
    from unrolled.benchmark.floor import measure_rates
    from unrolled.benchmark.job import make_plan
    from unrolled.benchmark.sides import our_command
    from unrolled.benchmark.training import time_training
    from unrolled.evidence.machine import describe_machine

    commands = [prepare_peer(peer, pythons, _tell) for peer in peers]
    corpus = load(data)
    rates = measure_rates(threads)
    document: dict[str, Any] = {
        "schema": "unrolled.benchmark/1",
        "mode": mode,
        "command": " ".join(["unrolled", *sys.argv[1:]]),
        "machine": asdict(describe_machine()),
        "threads": threads,
        "peer_threads": "as each library chooses",
        "protocol": protocol,
        "dataset": {"name": corpus.name, "sha256": corpus.sha256, "sequences": len(corpus.train)},
        "rates": asdict(rates),
        "rounds": rounds,
        "models": [],
    }
    for name in chosen:
        plan = make_plan(name, corpus, wanted, batch_size=batch, num_steps=steps)
        sides = [(our_command(threads), False), *((command, False) for command in commands)]
        if helped and len(plan.lengths) > 1:
            sides += [(command, True) for command in commands]
        found = time_training(plan, corpus.train, sides, rounds=rounds, rates=rates, tell=_tell)
        document["models"].append(asdict(found))
        save(document, out)
    if as_json:
        print(json.dumps(document, indent=1))
    else:
        print(json.dumps(document, indent=1))


def load(source: str) -> EncodedDataset:
    """A corpus whose whole training part is the epoch."""
    from unrolled.data.encoding import encode_dataset
    from unrolled.data.load import load_dataset

    _tell(f"reading {source}")
    return encode_dataset(load_dataset(source), protocol="notebook")[0]


def save(document: dict[str, Any], path: Path | None) -> None:
    """Writes what there is so far, so that a long benchmark may be stopped."""
    from unrolled.data.storage import write_atomically

    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
