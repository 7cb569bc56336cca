"""An interpreter for each peer: the one at hand, one that was named, or one that is built when asked for."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from unrolled.benchmark.sides import Command, peer_command
from unrolled.cache import cache_folder
from unrolled.errors import MachineError, UsageError, nearest

VARIABLES = {"torch": "UNROLLED_PEER_TORCH", "keras-tensorflow": "UNROLLED_PEER_TENSORFLOW"}
READY = ".ready"


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool to be compared with.

    Args:
        name: on the command line and in tables.
        module: its program, in ``peers/``.
        backend: of Keras, for those that are Keras.
        requirements: the file that pins its environment; None for one that runs in ours.
        gpu_requirements: the same with what it takes to compute on a GPU.
    """

    name: str
    module: str
    backend: str | None
    requirements: str | None
    gpu_requirements: str | None

    def pinned_in(self, *, gpu: bool) -> str | None:
        """The file that pins its environment here."""
        return self.gpu_requirements if gpu else self.requirements


PEERS = {
    peer.name: peer
    for peer in (
        Peer("keras-jax", "keras_peer", "jax", None, None),
        Peer("keras-tensorflow", "keras_peer", "tensorflow", "tensorflow.txt", "tensorflow-gpu.txt"),
        Peer("torch", "torch_peer", None, "torch.txt", "torch-gpu.txt"),
    )
}


def select_peers(text: str) -> list[Peer]:
    """The peers that a comma-separated list names.

    Raises:
        UsageError: an unknown one.
    """
    found = []
    for name in filter(None, (part.strip() for part in text.split(","))):
        if name not in PEERS:
            raise UsageError(
                "--against",
                f"unknown name (got peer={name!r})",
                expected=", ".join(PEERS),
                action=nearest(name, PEERS),
            )
        if PEERS[name] not in found:
            found.append(PEERS[name])
    return found


def parse_pythons(given: list[str]) -> dict[str, Path]:
    """Interpreters by peer, from ``NAME=PATH`` and the environment; the option wins.

    Raises:
        UsageError: no ``NAME=PATH``, an unknown name, or no such file.
    """
    found = {name: Path(os.environ[key]) for name, key in VARIABLES.items() if os.environ.get(key)}
    for text in given:
        name, sign, path = text.partition("=")
        if not sign or name not in PEERS:
            raise UsageError(
                "--peer-python",
                f"not understood (got {text!r})",
                expected=f"NAME=PATH with NAME one of {', '.join(PEERS)}",
                action="--peer-python torch=PATH/bin/python",
            )
        found[name] = Path(path).expanduser()
    for name, python in found.items():
        if not python.is_file():
            raise UsageError(
                f"interpreter of {name}",
                f"no such file (got path={str(python)!r})",
                expected="a Python interpreter",
                action=f"leave it out, and an environment for {name} is built",
            )
    return found


def prepare_peer(
    peer: Peer, pythons: Mapping[str, Path], tell: Callable[[str], None], *, gpu: bool = False
) -> Command:
    """How to start a peer, once its environment is there; with ``gpu`` on the GPU that JAX sees.

    Raises:
        MachineError: the environment cannot be built.
    """
    python = pythons.get(peer.name)
    if python is None:
        pins = peer.pinned_in(gpu=gpu)
        python = Path(sys.executable) if pins is None else build(peer, tell, gpu=gpu)
    return peer_command(peer.name, python, peer.module, peer.backend, gpu=gpu)


def build(peer: Peer, tell: Callable[[str], None], *, gpu: bool = False) -> Path:
    """The interpreter of the peer's own environment, built below the cache folder on first use.

    A file in it says that it is complete; one that was interrupted is built anew.

    Raises:
        MachineError: no network, no disk, or no build of the packages for this system.
    """
    pinned = str(peer.pinned_in(gpu=gpu))
    pins = (Path(__file__).parent / "peers" / pinned).read_text("utf-8").split()
    edition = hashlib.sha256(" ".join([*pins, sys.version]).encode()).hexdigest()[:12]
    folder = cache_folder("peers") / f"{peer.name}-{edition}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if (folder / READY).exists():
        return python
    tell(f"{peer.name}: building its environment in {folder}")
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _run(peer, pinned, [sys.executable, "-m", "venv", str(folder)])
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    plain = [pin.partition("+")[0] for pin in pins]
    if plain != pins and _try([*install, *pins]) is None:
        (folder / READY).touch()
        return python
    # The smaller build for processors alone is not to be had everywhere.
    _run(peer, pinned, [*install, *plain])
    (folder / READY).touch()
    return python


def _run(peer: Peer, pinned: str, arguments: list[str]) -> None:
    reason = _try(arguments)
    if reason is not None:
        option = f"--peer-python {peer.name}=PATH"
        raise MachineError(
            peer.name,
            f"its environment cannot be built ({reason})",
            expected=f"the network, and what {pinned} pins, for this system and Python",
            action=f"{option} with an interpreter that has them, or --against without {peer.name}",
        )


def _try(arguments: list[str]) -> str | None:
    """None, or why a command failed, in its own last words."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        done = subprocess.run(arguments, env=clean, capture_output=True, text=True, check=False)
    except OSError as error:
        return error.strerror or str(error)
    if done.returncode == 0:
        return None
    lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return " ".join(lines[-1].split())[:200] if lines else f"status {done.returncode}"
