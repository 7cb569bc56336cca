"""``unrolled export`` as a user runs it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.conftest import command, runs

__all__ = ["runs"]

Runs = Callable[..., Path]


@pytest.fixture
def run(runs: Runs, tmp_path: Path) -> Path:
    """A run in its study, of this test's own."""
    study = runs("linear", 3).parents[1]
    return Path(shutil.copytree(study, tmp_path / "study")) / "runs" / "linear-seed0"


def test_it_says_what_was_written_and_how_it_compares(run: Path) -> None:
    done = command("export", run, "--format", "onnx")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    assert lines[0] == f"linear-seed0 as onnx, float32: {run / 'onnx'}"
    listed = {line.split()[0]: int(line.split()[1].replace(",", "")) for line in lines[1:7]}
    assert listed == {path.name: path.stat().st_size for path in (run / "onnx").iterdir()}
    assert lines[7].startswith("Parity: on 60 test items and 40 inputs of other lengths, 1 to 1,000 tokens,")
    assert "at most 1e-05 is accepted), all labels equal" in lines[7]
    assert f'unrolled predict {run / "onnx"} "a text"' in lines[8]
    assert command("predict", run / "onnx", "ba").returncode == 0


def test_json_holds_the_whole_report(run: Path, tmp_path: Path) -> None:
    done = command("export", run, "--int8", "--out", tmp_path / "small", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["precision"] == "int8"
    assert report["folder"] == str(tmp_path / "small")
    assert report["quantization"]["num_items"] == 60
    assert report["parity"]["tolerance"] is None
    plain = command("export", run, "--int8", "--out", tmp_path / "small").stdout.decode()
    before, after = report["quantization"]["accuracy"]
    assert f"Eight bits: accuracy {before:.4f} before and {after:.4f} after ({after - before:+.4f}" in plain


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["RUN", "--format", "onxn"], 2, "Try: onnx"),
        (["RUN", "--format", "keras"], 2, "linear is no network"),
        (["RUN", "--format", "safetensors", "--int8"], 2, "ONNX only"),
        (["RUN", "--out", "taken"], 2, "taken by something that is no export"),
        (["nowhere"], 3, "not a run's folder"),
        (["unfinished"], 3, "the run is not finished (got status='pending')"),
        (["RUN", "--out", "file/export"], 4, "file: File exists"),
    ],
)
def test_mistakes_end_in_one_line_and_a_status(
    run: Path, tmp_path: Path, arguments: list[str], status: int, message: str
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("")
    shutil.copytree(run, tmp_path / "unfinished")
    (tmp_path / "unfinished" / "record.json").unlink()
    done = command("export", *(str(run) if part == "RUN" else part for part in arguments), cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert message in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    assert done.stdout == b""
