"""``unrolled benchmark``: how fast this machine trains and answers, beside its floor and its peers."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from unrolled.errors import UsageError, nearest

MODES = ("training", "inference", "scaling", "ablation")


def benchmark(
    mode: Annotated[str, typer.Argument(help="training, inference, scaling or ablation.")] = "training",
    models: Annotated[
        str | None, typer.Option(help="Names, separated by commas; those of the mode without it.")
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
        str | None, typer.Option(help="For ablation: tricks to switch off, one at a time; all without it.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Batches, or calls, per round; the mode's number without it.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each side.")] = 5,
    batch: Annotated[int, typer.Option(min=1, help="Sequences per step.")] = 128,
    dropout: Annotated[
        float | None,
        typer.Option(min=0, max=0.99, help="Input dropout of recurrent layers, instead of their own."),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of our side; one per core without it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    out: Annotated[Path | None, typer.Option(help="A file for the same document.")] = None,
) -> None:
    """Time training, inference or growth on this machine, beside its floor and, when asked, its peers."""
    if mode not in MODES:
        raise UsageError(
            "benchmark",
            f"unknown mode (got mode={mode!r})",
            expected=", ".join(MODES),
            action=nearest(mode, MODES),
        )
    _refuse("--without", without, mode, ("ablation",))
    _refuse("--against", against, mode, ("training", "inference"))
    from unrolled.benchmark.environments import parse_pythons, select_peers
    from unrolled.benchmark.run import Request, run_benchmark
    from unrolled.benchmark.switches import check_switches
    from unrolled.cli.benchmark_tables import print_benchmark
    from unrolled.cli.lab import parse_protocol
    from unrolled.training.scheduler import usable_cores

    cores = usable_cores()
    if threads is not None and threads > cores:
        raise UsageError(
            "--threads",
            f"more than this process may use (got threads={threads})",
            expected=f"1 to {cores}",
            action=f"--threads {cores}",
        )
    request = Request(
        mode=mode,
        models=_split(models) or None,
        protocol=parse_protocol(protocol),
        data=data,
        peers=tuple(select_peers(against)),
        pythons=parse_pythons(peer_python or []),
        helped=helped,
        without=tuple(check_switches(_split(without))),
        steps=steps,
        rounds=rounds,
        batch=batch,
        dropout=dropout,
        threads=threads or cores,
        command=shlex.join(["unrolled", *sys.argv[1:]]),
    )
    document = run_benchmark(request, tell=_tell, keep=lambda found: _save(found, out))
    if as_json:
        print(json.dumps(document, indent=1))
    else:
        print_benchmark(document)


def _split(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _refuse(option: str, value: str | None, mode: str, modes: tuple[str, ...]) -> None:
    """Refuses what would otherwise be passed over without a word."""
    if value and mode not in modes:
        raise UsageError(
            option,
            f"does not apply here (got mode={mode!r})",
            expected=f"the mode {' or '.join(modes)}",
            action=f"unrolled benchmark {modes[0]} {option} {value}",
        )


def _save(document: dict[str, Any], path: Path | None) -> None:
    """Writes what there is so far, so that a long benchmark may be stopped and leaves something."""
    from unrolled.data.storage import write_atomically

    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (json.dumps(document, indent=1) + "\n").encode())


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
