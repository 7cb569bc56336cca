"""The state of a run on disk: whole, checked, and never lost to a crash.

One file holds a magic word, the sha256 of all that follows, and a safetensors payload. It is written to a
temporary file, synced and renamed; the one before stays beside it. A file that fails its checksum is never
used: loading falls back to the one before, and says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.data.storage import write_atomically
from unrolled.errors import DataError, MachineError

MAGIC = b"unrolled.state/1"
NAME = "state.checkpoint"
PREVIOUS = "state.previous.checkpoint"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Arrays by name, and the facts that belong to them.

    Args:
        tensors: arrays of any shape and numeric dtype.
        facts: values that JSON can hold.
        damaged: what was wrong with newer files that had to be passed over; empty when none was.
    """

    tensors: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any]
    damaged: tuple[str, ...] = ()


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes ``checkpoint`` into ``folder``; the one that was there becomes the previous one.

    Raises:
        MachineError: the disk refuses; the last whole checkpoint still loads.
    """
    from safetensors.numpy import save

    payload = save(
        {name: np.asarray(tensor, order="C") for name, tensor in checkpoint.tensors.items()},
        metadata={"facts": json.dumps(checkpoint.facts)},
    )
    current = folder / NAME
    try:
        if current.exists():
            # A rename, so at every moment at least one of the two names holds a whole file.
            current.replace(folder / PREVIOUS)
    except OSError as error:
        raise MachineError(
            str(current),
            f"the disk refuses ({error.strerror or error})",
            expected="a folder that may be written",
            action="free space or mend the permissions, then run the same command again",
        ) from error
    write_atomically(current, MAGIC + hashlib.sha256(payload).digest() + payload)


def load_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint in ``folder`` whose checksum holds, or None where there is none.

    Raises:
        DataError: there are checkpoints, and every one of them is damaged.
    """
    damaged: list[str] = []
    for name in (NAME, PREVIOUS):
        path = folder / name
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            damaged.append(f"{path}: unreadable ({error.strerror or error})")
            continue
        head = len(MAGIC) + 32
        payload = content[head:]
        if content[: len(MAGIC)] != MAGIC or hashlib.sha256(payload).digest() != content[len(MAGIC) : head]:
            damaged.append(f"{path}: the checksum does not fit")
            continue
        return Checkpoint(*_unpack(payload), damaged=tuple(damaged))
    if damaged:
        raise DataError(
            str(folder),
            f"no checkpoint can be used: {'; '.join(damaged)}",
            expected="at least one whole checkpoint",
            action="delete the run's folder and start the run again",
        )
    return None


def _unpack(payload: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    from safetensors.numpy import load

    size = int.from_bytes(payload[:8], "little")
    header = json.loads(payload[8 : 8 + size])
    return load(payload), json.loads(header["__metadata__"]["facts"])


def drop_checkpoints(folder: Path) -> None:
    """Removes both files, once a finished run no longer needs them."""
    for name in (NAME, PREVIOUS):
        (folder / name).unlink(missing_ok=True)
