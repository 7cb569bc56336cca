"""``unrolled serve``: models behind HTTP, and a page to try them."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from unrolled.deploy.predictor import Predictor


def serve(
    runs: Annotated[list[Path], typer.Argument(help="Finished runs, or exports in ONNX.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.", min=0, max=65_535)] = 8000,
    workers: Annotated[int, typer.Option(help="Threads that run models.", min=1, max=64)] = 1,
    max_batch: Annotated[int, typer.Option(help="Texts that share one pass.", min=1, max=256)] = 64,
    max_wait_ms: Annotated[float, typer.Option(help="Wait for a pass to fill.", min=0, max=1000)] = 0.0,
    max_queue: Annotated[int, typer.Option(help="Texts that may wait.", min=1, max=100_000)] = 128,
    allow_host: Annotated[list[str] | None, typer.Option(help="A name that Host may carry.")] = None,
) -> None:
    """Serve models over HTTP, with a page at /."""
    try:
        from unrolled.deploy.server.run import serve as serve_models
    except ImportError as error:
        from unrolled.errors import MachineError

        raise MachineError(
            "serve",
            f"a package is not installed ({error.name})",
            expected="what serving needs",
            action="pip install 'unrolled[onnx,serve]'",
        ) from None
    from concurrent.futures import ThreadPoolExecutor

    from unrolled.deploy.server.settings import ServerSettings

    settings = ServerSettings(
        host=host,
        port=port,
        workers=workers,
        max_batch=max_batch,
        max_wait_ms=max_wait_ms,
        max_queue=max_queue,
        allowed_hosts=tuple(allow_host or ()),
    )
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        predictors = list(pool.map(_load, runs))

    def announce(address: str) -> None:
        names = ", ".join(predictor.name for predictor in predictors)
        print(f"{address} serves {names}; Ctrl-C ends it.", file=sys.stderr, flush=True)

    serve_models(predictors, settings, on_start=announce)


def _load(run: Path) -> Predictor:
    """An export itself, or a run's, which is made and proved once and then kept in the cache."""
    from unrolled.deploy.manifest import is_export
    from unrolled.deploy.predictor import Predictor
    from unrolled.errors import DataError

    if is_export(run):
        return Predictor(run)
    destination = _place(run)
    if is_export(destination):
        try:
            return Predictor(destination)
        except DataError as error:
            print(f"{error} It is made anew.", file=sys.stderr, flush=True)
    _export(run, destination)
    return Predictor(destination)


def _place(run: Path) -> Path:
    """Where a run's export is kept: under what it is made from, so that a changed run has another place."""
    from unrolled import __version__
    from unrolled.cache import cache_folder
    from unrolled.deploy.manifest import FORMAT

    digest = hashlib.sha256(f"{FORMAT} {__version__}".encode())
    for name in ("run.json", "record.json", "tokenizer.json", "../../tokenizer.json"):
        path = run / name
        digest.update(hashlib.sha256(path.read_bytes() if path.is_file() else b"").digest())
    return cache_folder("exports") / digest.hexdigest()[:32]


def _export(run: Path, destination: Path) -> None:
    """Exports in a process of its own that keeps Keras out of this one."""
    import subprocess

    print(f"Exporting {run} …", file=sys.stderr, flush=True)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from unrolled.errors import UnrolledError\n"
        "from unrolled.deploy.export import export_run\n"
        "try:\n"
        "    export_run(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except UnrolledError as error:\n"
        "    print(f'unrolled: {error}', file=sys.stderr)\n"
        "    sys.exit(error.exit_code)\n"
    )
    command = [sys.executable, "-c", code, str(run), str(destination)]
    status = subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode
    if status:
        raise SystemExit(status)
