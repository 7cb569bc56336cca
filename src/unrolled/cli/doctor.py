"""``unrolled doctor``: what is in order on this machine, and what is not."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from unrolled.benchmark.doctor import Diagnosis


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Say what is in order on this machine and what is not; exit status 1 with one line per problem."""
    from unrolled.benchmark.doctor import diagnose

    diagnosis = diagnose()
    if as_json:
        # The machine is a pydantic record, which dataclasses leave alone.
        print(json.dumps(asdict(diagnosis), indent=1, default=lambda record: record.model_dump()))
    else:
        _print(diagnosis)
    if diagnosis.problems:
        raise typer.Exit(1)


def _print(diagnosis: Diagnosis) -> None:
    machine = diagnosis.machine
    print(f"machine   {machine.processor}, {machine.cores} cores, {machine.memory_bytes / 1e9:.1f} GB")
    print(f"          {machine.system}; vectors: {', '.join(diagnosis.features) or 'not reported'}")
    print(f"versions  Python {machine.python}")
    for name, version in machine.packages.items():
        print(f"          {name} {version}")
    print(f"backend   {diagnosis.backend} on {diagnosis.device}")
    settings = ", ".join(f"{name}={value}" for name, value in diagnosis.threads.items())
    print(f"threads   {settings or 'as the libraries choose; each run of a study keeps to one'}")
    print(f"kernels   {diagnosis.compiled_kernels} compiled already; others are on first use")
    for path in diagnosis.kernels:
        print(f"          {path.layer}: {'kernel' if path.fused else f'Keras ({path.reason})'}")
    for place, cache in enumerate(diagnosis.caches):
        state = "" if cache.writable else ", not writable"
        size = f"{cache.num_files} files, {cache.size_bytes / 1e6:.1f} MB{state}"
        print(f"{'' if place else 'caches':<10}{cache.kind}: {size}, {cache.folder}")
    print(f"IMDb      {diagnosis.data or 'not here; fetched when asked for'}")
    for problem in diagnosis.problems:
        print(f"problem   {problem.where}: {problem.what}. Try: {problem.action}.")
    if not diagnosis.problems:
        print("Everything is in order.")
