"""The doctor: in order where it is, and one problem for each thing that is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unrolled.benchmark.doctor import can_write, diagnose, read_features
from unrolled.cli.__main__ import app
from unrolled.kernels import programs


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNROLLED_CACHE", str(tmp_path / "caches"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("UNROLLED_DATA", raising=False)
    return tmp_path / "caches"


def test_a_machine_in_order(caches: Path) -> None:
    diagnosis = diagnose()
    assert diagnosis.problems == ()
    assert {path.layer for path in diagnosis.kernels if not path.fused} == {
        "LSTM(recurrent_dropout=0.3)",
        'LSTM(activation="relu")',
    }
    assert all(path.reason for path in diagnosis.kernels if not path.fused)
    assert diagnosis.data is None
    assert not caches.exists(), "looking leaves no trace"
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0
    assert result.stdout.endswith("Everything is in order.\n")


def test_kernels_that_cannot_be_called(monkeypatch: pytest.MonkeyPatch) -> None:
    from unrolled.layers import recurrent

    assert recurrent.unavailable_because is programs.unavailable_because
    monkeypatch.setattr(recurrent, "unavailable_because", lambda: "jaxlib: an unknown version")
    result = CliRunner().invoke(app, ["doctor", "--json"])
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert not any(path["fused"] for path in document["kernels"])
    (problem,) = document["problems"]
    assert "an unknown version" in problem["what"]
    assert problem["action"]


def test_data_and_caches_out_of_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("")
    monkeypatch.setenv("UNROLLED_CACHE", str(occupied))
    monkeypatch.setenv("UNROLLED_DATA", str(tmp_path / "nowhere"))
    result = CliRunner().invoke(app, ["doctor"])
    lines = [line for line in result.stdout.splitlines() if line.startswith("problem")]
    assert result.exit_code == 1
    assert len(lines) == 4
    assert all("Try: " in line for line in lines)


def test_data_that_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("train", "test"):
        (tmp_path / f"{part}.parquet").write_bytes(b"")
    monkeypatch.setenv("UNROLLED_DATA", str(tmp_path))
    assert diagnose().data == f"tables: {tmp_path}"


def test_cache_sizes(caches: Path) -> None:
    (caches / "programs").mkdir(parents=True)
    (caches / "programs" / "one").write_bytes(b"12345")
    state = {cache.kind: cache for cache in diagnose().caches}["programs"]
    assert (state.num_files, state.size_bytes, state.writable) == (1, 5, True)


def test_features(tmp_path: Path) -> None:
    (tmp_path / "info").write_text("model name : x\nflags : fpu avx2 fma avx512f\n")
    assert read_features(tmp_path / "info") == ("avx2", "fma", "avx512f")
    assert read_features(tmp_path / "none") == ()


def test_can_write(tmp_path: Path) -> None:
    assert can_write(tmp_path / "new" / "folder")
    (tmp_path / "file").write_text("")
    assert not can_write(tmp_path / "file" / "folder")
