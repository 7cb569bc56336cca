"""What an export folder holds, what its proof says, and what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from sklearn.metrics import balanced_accuracy_score, f1_score, precision_score, recall_score

from tests.deploy.conftest import (
    CLASSES,
    LENGTH,
    corpus,
    isolated,
    keras_answers,
    make_run,
    sequences_of_all_lengths,
    snippet_of,
)
from unrolled.deploy import Predictor, export_run, formats
from unrolled.deploy.manifest import read_manifest
from unrolled.deploy.parity import TOLERANCE
from unrolled.errors import DataError, MachineError, UsageError
from unrolled.evidence.evaluation import wilson_interval

Exports = Callable[..., Path]


def report_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder.parent / f"{folder.name}.json").read_text())


def own_copy(folder: Path, place: Path) -> Path:
    return Path(shutil.copytree(folder, place / "copy"))


@pytest.mark.parametrize(
    ("format", "model"),
    [("onnx", "model.onnx"), ("keras", "model.keras"), ("safetensors", "model.safetensors")],
)
def test_the_manifest_lists_every_file_with_its_digest(exports: Exports, format: str, model: str) -> None:
    folder = exports("cnn_gru", 3, format=format)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    found = {path.name for path in folder.iterdir()}
    assert found == {model, "tokenizer.json", "labels.json", "config.json", "manifest.json", "README.md"}
    assert set(manifest["files"]) == found - {"manifest.json", "README.md"}
    for name, entry in manifest["files"].items():
        payload = (folder / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(payload).hexdigest(), "bytes": len(payload)}, name
    assert manifest["model"]["length"] == LENGTH
    assert (manifest["name"], manifest["architecture"]) == ("cnn_gru-seed0", "cnn_gru")
    assert json.loads((folder / "labels.json").read_text("utf-8")) == list(CLASSES)
    # Read back by whoever serves it: a file that only its owner can read would not do.
    assert folder.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(("name", "classes"), [("lstm", 2), ("cnn_gru", 3), ("linear", 3)])
def test_the_proof_is_within_the_tolerance(exports: Exports, name: str, classes: int) -> None:
    parity = report_of(exports(name, classes))["parity"]
    assert parity["max_difference"] <= parity["tolerance"] == TOLERANCE == 1e-5
    assert parity["labels_changed"] == 0
    assert (parity["num_texts"], parity["real"]) == (60, True)
    longest = 1000 if name == "linear" else 2 * LENGTH
    assert parity["lengths"] == [1, longest]


def test_an_export_that_answers_otherwise_is_not_written(
    runs: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unrolled.deploy import onnx_recurrent

    # Keras' order of gates instead of ONNX's.
    monkeypatch.setitem(onnx_recurrent.OPERATORS, "lstm", ("LSTM", (0, 1, 2, 3), {}))
    with pytest.raises(MachineError, match="does not answer as the trained network") as caught:
        export_run(runs("lstm"), tmp_path / "export")
    assert "nothing was written" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_tolerance_is_what_was_asked_for(runs: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(
        MachineError, match=r"Expected differences up to 1e-12 .*--tolerance 1e-4, if labels agree"
    ):
        export_run(runs("lstm"), tmp_path / "export", tolerance=1e-12)
    assert list(tmp_path.iterdir()) == []
    report = export_run(runs("linear"), tmp_path / "export", tolerance=1e-3)
    assert report.parity.tolerance == 1e-3
    assert "(at most 0.001 is accepted)" in (tmp_path / "export" / "README.md").read_text("utf-8")
    for tolerance in (0.0, -1.0, 1.0, float("nan")):
        with pytest.raises(UsageError, match="--tolerance: out of range"):
            export_run(runs("linear"), tmp_path / "export", tolerance=tolerance)


def test_what_lies_near_the_tolerance_is_written_the_exact_way(
    runs: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unrolled.deploy import export

    monkeypatch.setitem(export.MARGINS, "onnx", 0.0)
    report = export_run(runs("lstm"), tmp_path / "export")
    assert report.exact
    assert "ScaledTanh" in (tmp_path / "export" / "README.md").read_text("utf-8")
    assert b"ScaledTanh" in (tmp_path / "export" / "model.onnx").read_bytes()
    assert json.loads((tmp_path / "export" / "config.json").read_text())["export"]["exact"] is True
    monkeypatch.setitem(export.MARGINS, "keras", 0.0)
    report = export_run(runs("lstm"), tmp_path / "keras", format="keras")
    assert report.exact
    assert "import unrolled.layers" in snippet_of(tmp_path / "keras")


def test_the_card_says_what_the_figures_are(exports: Exports) -> None:
    folder = exports("lstm", 3)
    card = (folder / "README.md").read_text("utf-8")
    run = folder.parent / "lstm-seed0"
    data = corpus(3)[0]
    chances, labels = np.load(run / "predictions.npy"), data.test.labels
    chosen = chances.argmax(axis=1)
    accuracy = float((chosen == labels).mean())
    low, high = wilson_interval(accuracy, len(labels))
    loss = -np.mean([np.log(float(row[label])) for row, label in zip(chances, labels, strict=True)])
    assert f"| accuracy | {accuracy:.4f} (95% interval {low:.4f} to {high:.4f}) |" in card
    assert f"| balanced accuracy | {balanced_accuracy_score(labels, chosen):.4f} |" in card
    assert f"| macro F1 | {f1_score(labels, chosen, average='macro'):.4f} |" in card
    assert f"| cross-entropy (nats) | {loss:.4f} |" in card
    recall = recall_score(labels, chosen, average=None)
    precision = precision_score(labels, chosen, average=None)
    assert f"| bad | 20 | {recall[0]:.4f} | {precision[0]:.4f} |" in card
    # A label is text, never markup.
    assert f"| good \\| \\*great\\* | 20 | {recall[1]:.4f} | {precision[1]:.4f} |" in card
    assert data.sha256 in card
    assert "`unrolled export RUN --format onnx`" in card
    assert f"the last {LENGTH} tokens" in card
    difference = report_of(folder)["parity"]["max_difference"]
    assert f"the largest difference of a probability is {difference:.1e} (at most 1e-05" in card
    for heading in (
        "Use it",
        "How good it is",
        "What it was trained on",
        "What it cannot do",
        "Proof",
        "Files",
    ):
        assert f"\n## {heading}\n" in card
    manifest = read_manifest(folder)
    for name, (sha256, size) in manifest.files.items():
        assert f"| {size:,} | `{sha256[:16]}…` |" in card, name


@pytest.mark.parametrize(
    ("name", "protocol"), [("gru", "standard"), ("cnn", "notebook"), ("linear", "standard")]
)
def test_the_cards_snippet_answers_without_the_project(exports: Exports, name: str, protocol: str) -> None:
    """The lines as they stand, in an interpreter that has neither this package nor Keras nor JAX."""
    folder = exports(name, 2, protocol)
    blocked = ("unrolled", "keras", "jax", "sklearn", "scipy", "onnx")
    printed = isolated(snippet_of(folder), folder, blocked=blocked).splitlines()
    texts = ["A quiet, lovely film.", "I have seldom been so bored."]
    predictor = Predictor(folder)
    assert len(printed) == 2
    for line, text, chances in zip(printed, texts, predictor.predict_proba(texts), strict=True):
        assert line.endswith(text)
        label, probability = line[: -len(text)].strip().rsplit(" ", 1)
        assert label == predictor.labels[chances.argmax()]
        assert float(probability) == pytest.approx(float(chances.max()), abs=1e-4)


def test_a_keras_export_loads_in_keras_alone_and_answers_as_the_run(exports: Exports) -> None:
    folder = exports("gru", 3, format="keras")
    assert "import unrolled" not in snippet_of(folder)
    sequences = sequences_of_all_lengths(30, LENGTH)
    expected = keras_answers(folder.parent / "gru-seed0", sequences)
    code = (
        "import json, os\n"
        "os.environ['KERAS_BACKEND'] = 'jax'\n"
        "import keras, numpy as np\n"
        "model = keras.saving.load_model('model.keras')\n"
        f"tokens = np.zeros(({len(sequences)}, {LENGTH}), np.int32)\n"
        f"for row, ids in zip(tokens, {sequences!r}):\n"
        "    row[len(row) - len(ids):] = ids\n"
        f"tokens[tokens >= {corpus(3)[0].vocabulary_size - 3}] = 2\n"
        "print(json.dumps(np.asarray(model(tokens)).tolist()))\n"
    )
    found = np.array(json.loads(isolated(code, folder).splitlines()[-1]))
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
    config = json.loads(zipfile.ZipFile(folder / "model.keras").read("config.json"))
    modules = {layer["module"] for layer in config["config"]["layers"]}
    assert not {name for name in modules if name.startswith("unrolled")}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dense", "embedding_dense", "cnn", "bilstm", "stacked_lstm", "cnn_lstm"])
@pytest.mark.parametrize("protocol", ["standard", "notebook"])
def test_the_keras_snippet_runs_as_it_stands(exports: Exports, name: str, protocol: str) -> None:
    folder = exports(name, 2, protocol, format="keras")
    code = "import os\nos.environ['KERAS_BACKEND'] = 'jax'\n" + snippet_of(folder)
    needed = "import unrolled" in code
    done = subprocess.run(
        [sys.executable, *([] if needed else ["-I"]), "-c", code], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    texts = ["A quiet, lovely film.", "I have seldom been so bored."]
    chances = Predictor(exports(name, 2, protocol)).predict_proba(texts)
    for line, text, row in zip(done.stdout.splitlines()[-2:], texts, chances, strict=True):
        probability = float(line[: -len(text)].strip().rsplit(" ", 1)[1])
        assert probability == pytest.approx(float(row.max()), abs=2e-4)


@pytest.mark.parametrize("name", ["lstm", "linear"])
def test_a_safetensors_export_is_complete(exports: Exports, name: str) -> None:
    """Weights, architecture, words and labels: the network can be built again and answers the same."""
    folder = exports(name, 2, format="safetensors")
    run = folder.parent / f"{name}-seed0"
    weights, expected = (
        load_file(path) for path in (folder / "model.safetensors", run / "weights.safetensors")
    )
    assert set(weights) == set(expected)
    for key in weights:
        np.testing.assert_array_equal(weights[key], expected[key])
    config = json.loads((folder / "config.json").read_text("utf-8"))
    plan = json.loads((run / "run.json").read_text("utf-8"))
    assert config["model"] == plan["model"]
    assert config["training"] == plan["training"]
    if name == "lstm":
        from unrolled import build_model

        model = build_model(**{"model": config["model"].pop("architecture"), **config["model"]})
        assert sum(array.size for array in weights.values()) == model.count_params()
    printed = isolated(snippet_of(folder), folder)
    assert all(key in printed for key in weights)


def test_token_ids_without_words_are_exported_without_a_tokenizer(tmp_path: Path) -> None:
    run = make_run(tmp_path, "gru", classes=2, words=False)
    report = export_run(run, tmp_path / "export")
    assert "tokenizer.json" not in report.files
    assert "there is no tokenizer here" in (tmp_path / "export" / "README.md").read_text("utf-8")
    predictor = Predictor(tmp_path / "export")
    assert not predictor.knows_words
    assert predictor.predict_tokens([np.array([5, 6])]).shape == (1, 2)
    with pytest.raises(DataError, match="knows no words"):
        predictor.predict(["a text"])


def test_a_saved_estimator_is_exported_without_data(tmp_path: Path) -> None:
    from unrolled import TextClassifier

    texts = [f"{word} film {row}" for row in range(20) for word in ("awful", "superb")]
    fitted = TextClassifier(model="gru", units=4, embedding_size=4, length=6, epochs=1, random_state=0).fit(
        texts, ["bad", "good"] * 20
    )
    fitted.save(tmp_path / "estimator")
    report = export_run(tmp_path / "estimator", tmp_path / "export")
    assert not report.parity.real
    card = (tmp_path / "export" / "README.md").read_text("utf-8")
    assert "random texts of its own words" in card
    assert "Nothing is known here" in card
    found = Predictor(tmp_path / "export").predict_proba(texts[:8])
    np.testing.assert_allclose(found, fitted.predict_proba(texts[:8]), rtol=0, atol=TOLERANCE)


def test_an_earlier_export_is_replaced_and_anything_else_is_not(exports: Exports, tmp_path: Path) -> None:
    run = exports("linear").parent / "linear-seed0"
    target = tmp_path / "export"
    export_run(run, target)
    (target / "stale").write_text("of the earlier export")
    export_run(run, target, format="safetensors")
    assert "model.safetensors" in {path.name for path in target.iterdir()}
    assert not (target / "stale").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["export"]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("too")
    for place in (mine, tmp_path / "file"):
        with pytest.raises(UsageError, match="taken by something that is no export"):
            export_run(run, place)
    assert (mine / "thesis.txt").read_text() == "years of work"


def test_a_failure_leaves_the_earlier_export_whole(
    exports: Exports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = exports("linear").parent / "linear-seed0"
    export_run(run, tmp_path / "export")
    before = {path.name: path.read_bytes() for path in (tmp_path / "export").iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("unrolled.deploy.export.write_card", full)
    with pytest.raises(OSError, match="No space"):
        export_run(run, tmp_path / "export")
    assert {path.name: path.read_bytes() for path in (tmp_path / "export").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


@pytest.mark.parametrize(
    ("format", "int8", "name", "message"),
    [
        ("onxn", False, "lstm", "Try: onnx"),
        ("keras", False, "linear", "is no network"),
        ("keras", True, "lstm", "eight bits are for ONNX only"),
        ("safetensors", True, "lstm", "eight bits are for ONNX only"),
    ],
)
def test_formats_that_do_not_fit_are_refused(
    runs: Callable[..., Path], tmp_path: Path, format: str, int8: bool, name: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        export_run(runs(name), tmp_path / "export", format=format, int8=int8)
    assert not (tmp_path / "export").exists()


def test_runs_that_are_unfinished_or_damaged_are_refused(runs: Callable[..., Path], tmp_path: Path) -> None:
    study = Path(shutil.copytree(runs("linear").parents[1], tmp_path / "study"))
    run = study / "runs" / "linear-seed0"
    target = tmp_path / "export"
    record = (run / "record.json").read_text()

    def refused(message: str) -> None:
        with pytest.raises(DataError, match=message):
            export_run(run, target)
        assert not target.exists()

    (run / "record.json").write_text(record.replace('"done"', '"diverged"'))
    refused("not finished .got status='diverged'")
    (run / "record.json").unlink()
    refused("not finished .got status='pending'")
    (run / "record.json").write_text(record)
    weights = (run / "weights.safetensors").read_bytes()
    (run / "weights.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    refused("the content has changed")
    (run / "weights.safetensors").write_bytes(weights)
    (run / "predictions.npy").write_bytes(b"nonsense")
    refused("predictions.npy: cannot be read")
    shutil.rmtree(study / "data")
    refused("does not exist")
    with pytest.raises(DataError, match="not a run's folder"):
        export_run(tmp_path, target)


def test_onnx_is_named_where_it_is_missing(
    runs: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MachineError, match=r"pip install 'unrolled\[onnx,serve\]'"):
        export_run(runs("linear"), tmp_path / "export")
    assert set(formats.FORMATS.names()) == {"onnx", "keras", "safetensors"}
