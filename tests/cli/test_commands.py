"""The commands as a user runs them: what they print where, and how they end."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest


def unrolled(*arguments: str, cwd: Path | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "unrolled.cli", *arguments],
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of sentences that one word decides, as CSV."""
    rng = np.random.default_rng(0)
    words = {"bad": ["awful", "dull"], "fair": ["decent", "fine"], "good": ["superb", "lovely"]}
    filler = ["the", "film", "plot", "with", "music", "and", "a", "scene"]
    path = tmp_path_factory.mktemp("data") / "opinions.csv"
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for row in range(240):
            label = list(words)[row % 3]
            text = [*rng.choice(filler, rng.integers(3, 9)), rng.choice(words[label])]
            rng.shuffle(text)
            writer.writerow([" ".join([*text, str(row)]), label])
    return path


@pytest.fixture(scope="module")
def study(table: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("study")
    arguments = ["--models", "linear,embedding_dense", "--seeds", "2", "--epochs", "3", "--out", str(folder)]
    done = unrolled("lab", "--no-report", "--data", str(table), *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_help_is_short_and_loads_no_framework() -> None:
    code = (
        "import sys; from unrolled.cli.__main__ import app; from typer.testing import CliRunner\n"
        "result = CliRunner().invoke(app, ['--help']); print(result.output)\n"
        "heavy = {'keras', 'jax', 'numba', 'sklearn', 'scipy', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for command in ("lab", "models", "train", "evaluate", "predict"):
        assert command in done.stdout


def test_lab_leaves_what_the_contract_names(study: tuple[Path, dict], table: Path) -> None:
    folder, results = study
    assert {"schema", "protocol", "dataset", "machine", "models", "comparison", "front", "verdicts"} == set(
        results
    )
    assert results == json.loads((folder / "results.json").read_text())
    assert results["dataset"]["name"] == "opinions"
    assert {"train", "validation", "test", "sha256"} <= set(results["dataset"])
    assert results["dataset"]["train"] + results["dataset"]["validation"] + results["dataset"]["test"] == 240
    by_name = {model["name"]: model for model in results["models"]}
    assert len(by_name["linear"]["test_accuracy"]["values"]) == 1
    neural = by_name["embedding_dense"]
    assert len(neural["test_accuracy"]["values"]) == 2
    low, high = neural["test_accuracy"]["ci95"]
    assert low <= neural["test_accuracy"]["mean"] <= high
    for key in ("parameters", "flops_per_sequence", "seconds_per_epoch", "peak_memory_bytes", "latency_ms"):
        assert neural[key], key
    assert by_name["linear"]["test_accuracy"]["mean"] > 0.9
    assert results["verdicts"][0].startswith(("linear", "embedding_dense"))
    for name in ("record.json", "history.json", "weights.safetensors", "tokenizer.json"):
        assert (folder / "runs" / "embedding_dense-seed1" / name).exists(), name
    assert (folder / "config.toml").exists()

    again = unrolled(
        "lab",
        "--no-report",
        "--data",
        str(table),
        "--models",
        "linear",
        "--epochs",
        "3",
        "--out",
        str(folder),
    )
    assert again.returncode == 0, again.stderr
    assert "0 of 1 runs to do" in again.stderr
    assert "linear" in again.stdout


def test_predict_and_evaluate_answer_from_a_run(study: tuple[Path, dict], table: Path) -> None:
    folder, _ = study
    run = str(folder / "runs" / "linear-seed0")
    done = unrolled("predict", run, "--json", stdin="superb music\nan awful plot\n")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["predictions"]
    assert [row["label"] for row in found] == ["good", "bad"]
    assert sum(found[0]["probabilities"].values()) == pytest.approx(1.0, abs=1e-6)
    plain = unrolled("predict", run, "a decent film")
    assert plain.stdout.startswith("fair\t")
    measured = unrolled("evaluate", run, str(table), "--json")
    assert json.loads(measured.stdout)["accuracy"] > 0.9
    neural = unrolled("predict", str(folder / "runs" / "embedding_dense-seed0"), "superb lovely")
    assert neural.returncode == 0, neural.stderr


def test_models_as_json_hold_layers_that_add_up() -> None:
    done = unrolled("models", "--json")
    assert done.returncode == 0, done.stderr
    models = {model["name"]: model for model in json.loads(done.stdout)["models"]}
    assert models["cnn"]["parameters"] == 3_010_133
    for model in models.values():
        if model["parameters"] is not None:
            assert sum(layer["parameters"] for layer in model["layers"]) == model["parameters"]
    assert models["lstm"]["layers"][1]["output_shape"] == [None, 100]


def test_train_makes_one_run_in_a_folder(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    done = unrolled("train", str(table), "--model", "linear", "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "done"
    assert unrolled("predict", str(out), "an awful plot").stdout.startswith("bad\t")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["lab", "--models", "lsmt"], 2, "Try: lstm"),
        (["lab", "--protocol", "notebok"], 2, "Try: notebook"),
        (["lab", "--seeds", "0"], 2, "seeds"),
        (["lab", "--data", "nowhere.csv"], 3, "nowhere.csv"),
        (["predict", "."], 3, "not a run's folder"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_mistakes_end_in_a_line_and_a_status(
    arguments: list[str], status: int, message: str, tmp_path: Path
) -> None:
    done = unrolled(*arguments, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_two_studies_in_one_folder_and_ctrl_c(table: Path, tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "unrolled.cli", "lab", "--data", str(table)),
        *(
            "--models",
            "embedding_dense",
            "--epochs",
            "4000",
            "--protocol",
            "notebook",
            "--out",
            str(tmp_path),
        ),
    ]
    # A shell that runs in the background has its children ignore Ctrl-C; a terminal's do not. A child starts
    # with the default action for every signal that its parent handles; a hook before its start would fork.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    first = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    signal.signal(signal.SIGINT, before)
    try:
        history = tmp_path / "runs" / "embedding_dense-seed0" / "history.json"
        while not history.exists():
            assert first.poll() is None, first.stderr
            time.sleep(0.05)
        second = subprocess.run(command, capture_output=True, text=True)
        assert second.returncode == 5, second.stderr
        assert "another process is working" in second.stderr
        first.send_signal(signal.SIGINT)
        _, err = first.communicate(timeout=60)
    finally:
        first.kill()
    assert first.returncode == 130, err
    assert "the same command again: it goes on" in err
    assert (history.parent / "state.checkpoint").exists()


def test_data_describes_and_writes(table: Path, tmp_path: Path) -> None:
    done = unrolled("data", str(table), "--write", str(tmp_path / "out"), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (part,) = found["parts"]
    assert part["num_by_class"] == {"bad": 80, "fair": 80, "good": 80}
    assert [Path(name).name for name in found["files"]] == ["train.csv"]
    with (tmp_path / "out" / "train.csv").open(newline="") as stream:
        assert sum(1 for _ in csv.reader(stream)) == 241
    assert "240" in unrolled("data", str(table)).stdout
    assert unrolled("data", str(tmp_path / "missing.csv")).returncode == 3
