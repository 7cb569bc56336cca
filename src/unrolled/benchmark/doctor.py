"""Whether everything that the package uses on this machine is in order, and what to do where it is not."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unrolled.cache import VARIABLE, cache_folder
from unrolled.errors import DataError
from unrolled.types import Machine

CACHES = ("imdb", "kernels", "programs")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "XLA_FLAGS")
FEATURES = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve")


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not in order.

    Args:
        where: the part at fault.
        what: what is wrong with it.
        action: what to try.
    """

    where: str
    what: str
    action: str


@dataclass(frozen=True, slots=True)
class ComputedBy:
    """How one kind of layer is computed on this machine.

    Args:
        layer: the kind, with the arguments that matter.
        fused: whether the kernel computes it.
        reason: why not; empty where it does.
        ordinary: whether users meet it without asking; where it is not fused, something is wrong.
    """

    layer: str
    fused: bool
    reason: str
    ordinary: bool


@dataclass(frozen=True, slots=True)
class CacheState:
    """One kind of cached files.

    Args:
        kind: as :func:`unrolled.cache.cache_folder` takes it.
        folder: where they lie.
        size_bytes: of all files; 0 where there is no folder yet.
        num_files: how many.
        writable: whether this process can add to them.
    """

    kind: str
    folder: str
    size_bytes: int
    num_files: int
    writable: bool


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that was found.

    Args:
        machine: processor, cores, memory, versions.
        features: vector instructions that the processor reports; empty where the system does not say.
        backend: Keras' backend.
        device: the platform that JAX computes on.
        kernels: how each kind of layer is computed.
        compiled_kernels: kernels of this very version that are compiled already; others are on first use.
        caches: each kind of cached files.
        threads: settings of the environment that fix thread counts.
        data: where IMDb lies, as "form: path"; None when it would be fetched.
        problems: what is not in order.
    """

    machine: Machine
    features: tuple[str, ...]
    backend: str
    device: str
    kernels: tuple[ComputedBy, ...]
    compiled_kernels: int
    caches: tuple[CacheState, ...]
    threads: dict[str, str]
    data: str | None
    problems: tuple[Problem, ...]


def diagnose() -> Diagnosis:
    """Looks at the machine; nothing is written, fetched or compiled."""
    from unrolled.evidence.machine import describe_machine

    problems: list[Problem] = []
    paths, backend, device = _examine_layers(problems)
    return Diagnosis(
        machine=describe_machine(),
        features=read_features(),
        backend=backend,
        device=device,
        kernels=paths,
        compiled_kernels=_count_compiled(),
        caches=_examine_caches(problems),
        threads={name: os.environ[name] for name in THREADS if os.environ.get(name)},
        data=_find_data(problems),
        problems=tuple(problems),
    )


def read_features(information: Path = Path("/proc/cpuinfo")) -> tuple[str, ...]:
    """The vector instructions among :data:`FEATURES` that the processor reports."""
    try:
        lines = information.read_text("utf-8").splitlines()
    except OSError:
        return ()
    found = next((line for line in lines if line.startswith(("flags", "Features"))), "").split()
    return tuple(name for name in FEATURES if name in found)


def _examine_layers(problems: list[Problem]) -> tuple[tuple[ComputedBy, ...], str, str]:
    """How each kind of layer is computed, Keras' backend, and the device."""
    from unrolled import layers
    from unrolled.layers.recurrent import device_obstacle

    backend = str(layers.keras.backend.backend())
    device = "unknown"
    if backend == "jax":
        import jax

        device = jax.default_backend()
    kinds: list[tuple[str, Any, bool]] = [
        ("SimpleRNN", layers.SimpleRNN(4), True),
        ("GRU", layers.GRU(4), True),
        ("GRU(reset_after=False)", layers.GRU(4, reset_after=False), True),
        ("LSTM", layers.LSTM(4), True),
        ("LSTM(dropout=0.3)", layers.LSTM(4, dropout=0.3), True),
        ("LSTM(recurrent_dropout=0.3)", layers.LSTM(4, recurrent_dropout=0.3), False),
        ('LSTM(activation="relu")', layers.LSTM(4, activation="relu"), False),
    ]
    with warnings.catch_warnings():
        # The same sentence stands in the diagnosis.
        warnings.simplefilter("ignore", RuntimeWarning)
        everywhere = device_obstacle()
        reasons = [(name, layer.kernel_obstacle(), ordinary) for name, layer, ordinary in kinds]
    reasons += [
        (name, everywhere, True) for name in ("Embedding, Conv1D, MaxPooling1D", "Embedding, Flatten", "Adam")
    ]
    if everywhere is not None:
        action = (
            "unset KERAS_BACKEND"
            if backend != "jax"
            else "JAX_PLATFORMS=cpu, if the CPU is to compute"
            if device != "cpu"
            else "make install, which brings the jaxlib that this release was tested with"
        )
        problems.append(Problem("kernels", f"none is used: {everywhere}", action))
    return (
        tuple(ComputedBy(name, why is None, why or "", usual) for name, why, usual in reasons),
        backend,
        device,
    )


def _count_compiled() -> int:
    from unrolled.kernels.caching import cache_directory

    return len({path.name.split(".")[0] for path in cache_directory().rglob("*.nbi")})


def _examine_caches(problems: list[Problem]) -> tuple[CacheState, ...]:
    states = []
    for kind in CACHES:
        folder = cache_folder(kind)
        sizes = []
        if folder.is_dir():
            for path in folder.rglob("*"):
                try:
                    if path.is_file():
                        sizes.append(path.stat().st_size)
                except OSError:
                    # Somebody else's process took it away in between.
                    continue
        writable = can_write(folder)
        if not writable:
            problems.append(
                Problem(
                    str(folder),
                    f"{kind} cannot be kept there",
                    f"{VARIABLE}=FOLDER with a folder that may be written",
                )
            )
        states.append(CacheState(kind, str(folder), sum(sizes), len(sizes), writable))
    return tuple(states)


def can_write(folder: Path) -> bool:
    """Whether files can be put into ``folder``, or it can be made."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def _find_data(problems: list[Problem]) -> str | None:
    from unrolled.data.imdb.locate import find_copy

    try:
        location = find_copy()
    except DataError as error:
        problems.append(Problem(error.where, error.what, error.action))
        return None
    return None if location is None else f"{location.form}: {location.path}"
