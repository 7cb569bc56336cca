"""A checkpoint is whole, or it is not used."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from unrolled.errors import DataError, MachineError
from unrolled.training.checkpoint import (
    NAME,
    PREVIOUS,
    Checkpoint,
    drop_checkpoints,
    load_checkpoint,
    save_checkpoint,
)


def state(number: int) -> Checkpoint:
    values = np.random.default_rng(number).normal(size=(60, 70)).astype(np.float32)
    return Checkpoint(
        {"a": values, "steps": np.array(number, np.int32)}, {"epoch": number, "loss": 0.1 + 0.2}
    )


def same(found: Checkpoint | None, expected: Checkpoint) -> bool:
    return (
        found is not None
        and found.facts == expected.facts
        and all(np.array_equal(found.tensors[name], tensor) for name, tensor in expected.tensors.items())
        and all(found.tensors[name].shape == tensor.shape for name, tensor in expected.tensors.items())
    )


def test_round_trip_keeps_every_bit(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) is None
    save_checkpoint(tmp_path, state(1))
    save_checkpoint(tmp_path, state(2))
    assert same(load_checkpoint(tmp_path), state(2))
    (tmp_path / NAME).unlink()
    assert same(load_checkpoint(tmp_path), state(1)), "the one before must stand"
    drop_checkpoints(tmp_path)
    assert load_checkpoint(tmp_path) is None


def test_every_truncation_falls_back_and_says_so(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(1))
    save_checkpoint(tmp_path, state(2))
    whole = (tmp_path / NAME).read_bytes()
    for size in (0, 1, 40, *range(4096, len(whole), 4096), len(whole) - 1):
        (tmp_path / NAME).write_bytes(whole[:size])
        found = load_checkpoint(tmp_path)
        assert same(found, state(1))
        assert found is not None
        assert "checksum" in found.damaged[0]


def test_flipped_bits_are_never_silent(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(1))
    save_checkpoint(tmp_path, state(2))
    whole = (tmp_path / NAME).read_bytes()
    for place in np.random.default_rng(0).integers(len(whole) * 8, size=1000):
        broken = bytearray(whole)
        broken[place // 8] ^= 1 << (place % 8)
        (tmp_path / NAME).write_bytes(broken)
        assert same(load_checkpoint(tmp_path), state(1))


def test_two_damaged_files_are_an_error(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, state(1))
    save_checkpoint(tmp_path, state(2))
    for name in (NAME, PREVIOUS):
        (tmp_path / name).write_bytes(b"unrolled.state/1 and then nothing")
    with pytest.raises(DataError, match=r"no checkpoint can be used.*Try: delete the run's folder"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("call", ["fsync", "replace", "write"])
def test_a_full_disk_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    save_checkpoint(tmp_path, state(1))

    def refuse(*arguments: object, **named: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if call == "fsync":
            patch.setattr(os, "fsync", refuse)
        elif call == "replace":
            patch.setattr(Path, "replace", refuse)
        else:
            patch.setattr("tempfile.mkstemp", refuse)
        with pytest.raises(MachineError, match="No space left"):
            save_checkpoint(tmp_path, state(2))
    assert same(load_checkpoint(tmp_path), state(1))
    assert not list(tmp_path.glob("*.tmp"))
