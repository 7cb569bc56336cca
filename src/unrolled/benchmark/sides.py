"""Processes that take turns, each with its own environment, threads and peak memory, asked over pipes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from unrolled.benchmark.peers.wire import GPU_VARIABLE
from unrolled.errors import MachineError
from unrolled.training.memory import KEPT_MEMORY
from unrolled.training.scheduler import worker_environment

#: What fixes thread counts; peers run without it, as their libraries choose.
THREAD_VARIABLES = (
    "NPROC",
    "UNROLLED_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "XLA_FLAGS",
    "GLIBC_TUNABLES",
)
STOP_SECONDS = 10.0
# What the names of our own sides begin with.
OURS = "unrolled"
# The folder comes last on the path, so that nothing of ours hides a library's module.
_LAUNCH = "import sys; sys.path.append(sys.argv[1]); from peers.{module} import main; main()"


@dataclass(frozen=True, slots=True)
class Command:
    """How a side is started.

    Args:
        name: as the tables show it.
        arguments: of the process.
        environment: all of it.
    """

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]


def our_command(threads: int, *, name: str = OURS, without: Iterable[str] = (), seeds: int = 1) -> Command:
    """This package as a study's worker runs it, with ``threads`` threads, and some of its tricks off.

    ``seeds`` are networks side by side, where it computes on a GPU.
    """
    without = list(without)
    environment = our_environment(threads)
    if "kept-memory" in without:
        kept = [part for part in environment["GLIBC_TUNABLES"].split(":") if part not in KEPT_MEMORY]
        environment["GLIBC_TUNABLES"] = ":".join(kept)
    arguments = (sys.executable, "-m", "unrolled.benchmark.ours", "--seeds", str(seeds), *without)
    return Command(name, arguments, environment)


def our_environment(threads: int) -> dict[str, str]:
    """A worker's environment with so many threads, and without programs compiled earlier."""
    environment = worker_environment(os.environ, threads)
    # Compile times are to be compared: no side finds its programs ready.
    environment["JAX_ENABLE_COMPILATION_CACHE"] = "false"
    return environment


def peer_command(
    name: str, python: Path, module: str, backend: str | None = None, *, gpu: bool = False
) -> Command:
    """A peer's program under an interpreter of its own, with the threads that its libraries choose.

    Without ``gpu`` it sees none.
    """
    environment = {key: value for key, value in os.environ.items() if key not in THREAD_VARIABLES}
    if python != Path(sys.executable):
        environment.pop("PYTHONPATH", None)
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONNOUSERSITE": "1"}
    if gpu:
        # Sides share its memory, so none may take most of it in advance.
        environment |= {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
        environment[GPU_VARIABLE] = "1"
    else:
        environment["CUDA_VISIBLE_DEVICES"] = ""
    if backend is not None:
        environment["KERAS_BACKEND"] = backend
    arguments = (str(python), "-W", "ignore", "-c", _LAUNCH.format(module=module), str(Path(__file__).parent))
    return Command(name, arguments, environment)


class Side:
    """One process, started at once and asked one thing at a time.

    Args:
        command: how.
        log: receives what it writes to standard error.
    """

    def __init__(self, command: Command, log: Path) -> None:
        self.name, self.log = command.name, log
        self.peak_bytes = self.device_bytes = 0
        with log.open("ab") as stream:
            try:
                self._process = subprocess.Popen(
                    command.arguments,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=stream,
                    env=dict(command.environment),
                    text=True,
                    encoding="utf-8",
                )
            except OSError as error:
                raise MachineError(
                    command.name,
                    f"it cannot be started (got python={command.arguments[0]!r}: {error.strerror})",
                    expected="a Python interpreter",
                    action="--peer-python NAME=PATH with another one, or leave it out",
                ) from None

        self._requests: IO[str] = self._process.stdin  # type: ignore[assignment]
        self._answers: IO[str] = self._process.stdout  # type: ignore[assignment]

    def ask(self, what: str, **details: Any) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            MachineError: the process answers with an error, or has ended.
        """
        try:
            self._requests.write(json.dumps({"do": what, **details}) + "\n")
            self._requests.flush()
            line = self._answers.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            status = self._process.wait()
            raise self._failed(f"it ended with status {status} during {what!r} ({self._last_words()})")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise self._failed(f"{what!r} failed ({answer['error']})")
        self.peak_bytes = max(self.peak_bytes, int(answer.get("peak_bytes", 0)))
        self.device_bytes = max(self.device_bytes, int(answer.get("device_bytes", 0)))
        return answer

    def close(self) -> None:
        """Ends the process."""
        with contextlib.suppress(BrokenPipeError):
            self._requests.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()

    def __enter__(self) -> Side:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._process.kill()
        self.close()

    def _failed(self, what: str) -> MachineError:
        return MachineError(
            self.name,
            what,
            expected="a side that trains",
            action=f"the same command without {self.name}, or without the model at hand",
        )

    def _last_words(self) -> str:
        lines = self.log.read_text("utf-8", "replace").splitlines()
        return " ".join(lines[-1].split())[:200] if lines else "it said nothing"
