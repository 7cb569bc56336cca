"""The command: what it refuses, what it prints, and one small run of each mode."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from unrolled.benchmark import run
from unrolled.cli import benchmark
from unrolled.cli.__main__ import app
from unrolled.cli.benchmark_tables import print_benchmark
from unrolled.errors import UsageError


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["traning"], "Try: training"),
        (["--against", "torhc"], "Try: torch"),
        (["--models", "linear"], "not a network"),
        (["--models", "lsmt"], "lstm"),
        (["--protocol", "fast"], "standard or notebook"),
        (["--without", "fold"], "the mode ablation"),
        (["ablation", "--without", "fodl"], "Try: fold"),
        (["scaling", "--against", "torch"], "the mode training or inference"),
        (["scaling", "--models", "cnn"], "no recurrent network"),
        (["--threads", "10000"], "more than this process may use"),
        (["--peer-python", "torch"], "NAME=PATH"),
    ],
)
def test_wrong_usage_is_named(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["benchmark", *arguments])
    assert isinstance(result.exception, UsageError), result.output
    assert message in str(result.exception)
    assert result.stdout == ""


def test_the_command_knows_the_modes() -> None:
    assert benchmark.MODES == run.MODES
    assert set(run.STEPS) == set(run.MODES)


MACHINE = {
    "processor": "Processor of a Long Name (Architecture) @ 2.00 GHz",
    "cores": 2,
    "memory_bytes": 16 * 10**9,
    "system": "Linux x86_64",
    "python": "3.12.1",
    "packages": {"keras": "3.15.1", "jax": "0.10.2"},
}


def side(name: str, seconds: float, **others: Any) -> dict[str, Any]:
    return {
        "name": name,
        "helped": False,
        "seconds_per_epoch": {"median": seconds, "lowest": 0.9 * seconds, "highest": 1.1 * seconds},
        "compile_seconds": 12.34,
        "peak_memory_bytes": 1_234_000_000,
        "device_memory_bytes": 0,
        "losses": [0.69314, 0.65432],
        "loss_difference": 1.2e-7,
        "note": "",
        **others,
    }


def training_document() -> dict[str, Any]:
    ratio = {"median": 7.25, "lowest": 6.5, "highest": 8.0}
    sides = [
        side("unrolled", 12.3, loss_difference=0.0),
        side("keras-tensorflow", 168.0),
        side("torch", 97.0, note="packed"),
        side("keras-tensorflow", 80.0, helped=True),
    ]
    model = {
        "name": "embedding_dense",
        "parameters": 13_500_501,
        "random": True,
        "floor": {"flops": 2.3e12, "adam_bytes": 7.4e10},
        "floor_seconds": 4.0,
        "sides": sides,
        "ratio": {"name": "torch", "ratio": ratio},
        "helped_ratio": {"name": "keras-tensorflow", "ratio": ratio},
        "failures": ["keras-jax: it ended."],
    }
    return {
        "mode": "training",
        "command": "unrolled benchmark",
        "machine": MACHINE,
        "threads": 2,
        "rounds": 5,
        "steps": 8,
        "batch": 128,
        "protocol": "standard",
        "dataset": {"name": "imdb", "sequences": 25_000},
        "device": "",
        "rates": {"threads": 2, "flops_per_second": 1.7e11, "bytes_per_second": 2e10},
        "models": [model],
    }


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_and_says_all(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    print_benchmark(training_document())
    printed = capsys.readouterr().out
    assert max(len(line) for line in printed.splitlines()) <= width
    assert "…" not in printed
    row = next(line for line in printed.splitlines() if line.startswith("torch "))
    assert row.split() == ["torch", "97.0", "87.3–107", "24.2", "1,234", "12.3", "0.65432", "1e-07"]
    words = " ".join(printed.split())
    assert "fastest peer: torch, 7.2× our time (6.5 to 8.0)" in words
    assert "fastest peer with our lengths: keras-tensorflow, 7.2×" in words
    for part in ("keras-jax: it ended.", "torch on embedding_dense: packed.", "in distribution alone"):
        assert part in words
    assert "Ours: 2 threads. Peers: threads as each library chooses." in words
    assert printed.splitlines()[-1] == "unrolled benchmark"


def test_an_ablation_is_told_in_times(capsys: pytest.CaptureFixture[str]) -> None:
    document = training_document()
    document["mode"] = "ablation"
    document["models"][0]["sides"] = [side("unrolled", 10.0), side("without adam", 15.0)]
    print_benchmark(document)
    printed = capsys.readouterr().out
    assert "Time without adam 1.50×." in printed
    assert "Peers" not in printed


def unrolled(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "unrolled.cli", "benchmark", *arguments], capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences of one to forty words."""
    path = tmp_path_factory.mktemp("data") / "opinions.csv"
    rows = [
        f"{' '.join(['the film'] * (1 + row % 20))} {row},{('bad', 'good')[row % 2]}" for row in range(120)
    ]
    path.write_text("\n".join(["text,label", *rows]) + "\n")
    return path


@pytest.mark.slow
def test_training_beside_keras(table: Path, tmp_path: Path) -> None:
    """Also that the same function is computed: losses agree, masks and all."""
    options = ("--models", "gru,cnn", "--steps", "3", "--rounds", "2", "--batch", "8", "--threads", "1")
    out = tmp_path / "found" / "benchmark.json"
    done = unrolled(*options, "--data", str(table), "--against", "keras-jax", "--json", "--out", str(out))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads(out.read_text())
    assert {"schema", "mode", "command", "machine", "threads", "rates", "dataset", "models"} <= set(found)
    assert found["threads"] == 1
    assert [model["name"] for model in found["models"]] == ["gru", "cnn"]
    for model in found["models"]:
        assert model["failures"] == []
        ours, keras = model["sides"]
        assert (ours["name"], keras["name"]) == ("unrolled", "keras-jax")
        assert keras["loss_difference"] < 1e-4
        assert len(ours["losses"]) == model["timed_steps"] == 3
        assert 0 < model["floor_seconds"] < ours["seconds_per_epoch"]["median"]
        lowest, middle, highest = (model["ratio"]["ratio"][k] for k in ("lowest", "median", "highest"))
        assert 0 < lowest <= middle <= highest
        assert min(ours["peak_memory_bytes"], keras["peak_memory_bytes"]) > 50_000_000


@pytest.mark.slow
def test_inference_beside_keras(table: Path) -> None:
    options = ("--models", "gru", "--steps", "3", "--rounds", "1", "--batch", "8", "--threads", "1")
    done = unrolled("inference", *options, "--data", str(table), "--against", "keras-jax,torch", "--json")
    assert done.returncode == 0, done.stderr
    (model,) = json.loads(done.stdout)["models"]
    ways = {way["name"]: way for way in model["ways"]}
    assert set(ways) >= {"unrolled", "keras-jax, predict", "keras-jax, model(x)"}
    for way in ways.values():
        assert 0 < way["p50_ms"] <= way["p95_ms"]
        assert way["difference"] is None or way["difference"] < 1e-5
    assert ways["keras-jax, model(x)"]["reviews_per_second"] is None
    assert ("unrolled, ONNX" in ways) != any("onnx" in text for text in model["failures"])


@pytest.mark.slow
def test_growth_and_ablation(table: Path) -> None:
    from unrolled.benchmark.scaling import measure_growth

    heard: list[str] = []
    axes = {"batch": (1, 8)}
    (growth,) = measure_growth(["simple_rnn"], threads=1, steps=1, tell=heard.append, axes=axes)
    assert [point.size for point in growth.points] == [1, 8]
    assert growth.held == {"length": 500, "units": 100}
    assert all(point.peak_bytes > point.resting_bytes > 0 for point in growth.points)
    assert len(heard) == 2
    options = ("--models", "gru", "--steps", "1", "--rounds", "1", "--batch", "8", "--without", "fold,adam")
    done = unrolled("ablation", *options, "--data", str(table), "--json")
    assert done.returncode == 0, done.stderr
    (model,) = json.loads(done.stdout)["models"]
    assert [s["name"] for s in model["sides"]] == ["unrolled", "without fold", "without adam"]
    assert all(s["loss_difference"] < 1e-4 for s in model["sides"])
