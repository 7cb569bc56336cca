"""The predictor answers as the model does, loads no framework, and refuses what is not an export."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.deploy.conftest import LENGTH, SOURCE, corpus, isolated, keras_answers
from unrolled.deploy import Predictor
from unrolled.errors import DataError, MachineError, UsageError
from unrolled.training.fitted import load_run

Exports = Callable[..., Path]
TEXTS = ["", "ba bö zeichen0", "zeichen1!", "ganz und gar unbekannt", "bö " * 40, "Größe\nÜBER\t§", "😀 ba"]


@pytest.mark.parametrize(
    ("name", "classes", "protocol"),
    [("lstm", 3, "standard"), ("cnn_gru", 3, "standard"), ("cnn", 2, "notebook"), ("linear", 3, "standard")],
)
def test_texts_get_the_answers_of_the_run(exports: Exports, name: str, classes: int, protocol: str) -> None:
    folder = exports(name, classes, protocol)
    predictor = Predictor(folder)
    run = folder.parent / f"{name}-seed0"
    found = predictor.predict_proba(TEXTS)
    assert found.dtype == np.float32
    assert predictor.labels == tuple(load_run(run).plan.classes)
    np.testing.assert_allclose(found, load_run(run).predict_texts(TEXTS), rtol=0, atol=1e-5)
    assert predictor.predict(TEXTS) == [predictor.labels[row.argmax()] for row in found]
    if name != "linear":
        vocabulary = corpus(classes)[1]
        np.testing.assert_allclose(found, keras_answers(run, vocabulary.encode(TEXTS)), rtol=0, atol=1e-5)


def test_neither_company_nor_order_changes_an_answer(exports: Exports) -> None:
    predictor = Predictor(exports("cnn_gru", 3))
    random = np.random.default_rng(0)
    sequences = [random.integers(1, 40, n) for n in random.integers(0, 3 * LENGTH, 300)]
    together = predictor.predict_tokens(sequences)
    alone = np.concatenate([predictor.predict_tokens([one]) for one in sequences])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)
    order = random.permutation(len(sequences))
    np.testing.assert_allclose(
        predictor.predict_tokens([sequences[place] for place in order]), alone[order], rtol=0, atol=1e-6
    )
    assert predictor.predict_proba([]).shape == (0, 3)


def test_many_texts_are_encoded_as_single_ones_are(exports: Exports) -> None:
    """Batches go through the tokenizer's threads, single texts do not."""
    predictor = Predictor(exports("gru"))
    texts = [text for text in TEXTS for _ in range(20)]
    together = predictor.encode(texts)
    assert [row.tolist() for row in together] == [predictor.encode([text])[0].tolist() for text in texts]
    assert [row.tolist() for row in together] == corpus(2)[1].encode(texts)


def test_threads_share_a_predictor(exports: Exports) -> None:
    predictor = Predictor(exports("lstm", 3))
    expected = predictor.predict_proba(TEXTS)
    found: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: found.extend(predictor.predict_proba(TEXTS) for _ in range(20)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80
    for answer in found:
        np.testing.assert_array_equal(answer, expected)


@pytest.mark.parametrize("name", ["gru", "linear"])
def test_no_framework_is_loaded(exports: Exports, name: str) -> None:
    code = (
        f"sys.path.insert(0, {str(SOURCE)!r})\n"
        "import unrolled.deploy\n"
        "from unrolled.deploy import Predictor\n"
        "answers = Predictor('.').predict(['a quiet film', 'ba'])\n"
        "heavy = {'keras', 'jax', 'jaxlib', 'numba', 'sklearn', 'scipy', 'pyarrow', 'onnx', 'pydantic'}\n"
        "print(len(answers), sorted(heavy & set(sys.modules)))\n"
    )
    assert isolated(code, exports(name), blocked=("torch", "tensorflow")).strip() == "2 []"


@pytest.mark.parametrize(
    ("texts", "error", "message"),
    [
        ("one text", UsageError, "a single str instead of several"),
        (["fine", 7], DataError, "text 1: not a text .got type=int"),
        (["half \ud83d"], DataError, "half a character"),
        ([None], DataError, "text 0: not a text .got type=NoneType"),
    ],
)
def test_what_is_no_text_is_refused(exports: Exports, texts: object, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        Predictor(exports("gru")).predict(texts)  # type: ignore[arg-type]


@pytest.fixture
def copy(exports: Exports, tmp_path: Path) -> Path:
    """An export that a test may damage."""
    return Path(shutil.copytree(exports("gru"), tmp_path / "export"))


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "labels.json"])
@pytest.mark.parametrize("how", ["flipped", "cut", "grown", "missing", "empty"])
def test_a_damaged_file_is_refused_in_one_line(copy: Path, name: str, how: str) -> None:
    path = copy / name
    payload = path.read_bytes()
    middle = len(payload) // 2
    damaged = {
        "flipped": payload[:middle] + bytes([payload[middle] ^ 4]) + payload[middle + 1 :],
        "cut": payload[:-1],
        "grown": payload + b"\n",
        "missing": None,
        "empty": b"",
    }[how]
    path.unlink()
    if damaged is not None:
        path.write_bytes(damaged)
    with pytest.raises(
        DataError, match="no such file" if damaged is None else "the content has changed"
    ) as caught:
        Predictor(copy)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Try: " in str(caught.value)


MANIFESTS = {
    "no JSON": (lambda text: "{", "not JSON"),
    "deep": (lambda text: "[" * 100_000, "not JSON"),
    "a list": (lambda text: "[]", "not an export of this version"),
    "another version": (lambda text: text.replace("export/1", "export/2"), "not an export of this version"),
    "no name": (lambda text: text.replace('"name"', '"nome"'), "a field is missing"),
    "a text for a number": (lambda text: text.replace('"length": 10', '"length": "10"'), "wrong kind"),
    "true for a number": (lambda text: text.replace('"length": 10', '"length": true'), "wrong kind"),
    "no length at all": (lambda text: text.replace('"length": 10', '"length": 0'), "wrong kind"),
    "a file less": (
        lambda text: text.replace('"labels.json"', '"etiquettes.json"'),
        "does not list labels.json",
    ),
    "too large": (lambda text: text + " " * 2**20, "too large"),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_manifest_that_is_none_is_refused(copy: Path, case: str) -> None:
    change, message = MANIFESTS[case]
    path = copy / "manifest.json"
    before = path.read_text("utf-8")
    after = change(before)
    assert after != before
    path.write_text(after, "utf-8")
    with pytest.raises(DataError, match=message) as caught:
        Predictor(copy)
    assert "\n" not in str(caught.value)


def rewrite(folder: Path, name: str, payload: bytes) -> None:
    """Puts another file in place and its digest into the manifest, as whoever forges an export would."""
    import hashlib

    (folder / name).write_bytes(payload)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["files"][name] = {"sha256": hashlib.sha256(payload).hexdigest(), "bytes": len(payload)}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")


@pytest.mark.parametrize(
    ("name", "payload", "message"),
    [
        ("labels.json", b'["only one"]', "not a list of labels"),
        ("labels.json", b'["one", 2]', "not a list of labels"),
        ("tokenizer.json", b'{"model": 1}', "no tokenizer"),
        ("model.onnx", b"not a model", "no ONNX model"),
    ],
)
def test_a_forged_file_is_refused_in_one_line(copy: Path, name: str, payload: bytes, message: str) -> None:
    rewrite(copy, name, payload)
    with pytest.raises(DataError, match=message) as caught:
        Predictor(copy)
    assert "\n" not in str(caught.value)


def test_a_model_with_other_inputs_is_refused(copy: Path) -> None:
    from onnx import TensorProto, helper

    value = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in ("tokens", "probabilities")
    ]
    graph = helper.make_graph(
        [helper.make_node("Relu", ["tokens"], ["probabilities"])], "g", value[:1], value[1:]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    rewrite(copy, "model.onnx", model.SerializeToString())
    with pytest.raises(DataError, match="other inputs or outputs than an export's"):
        Predictor(copy)


def test_other_formats_need_keras(exports: Exports) -> None:
    with pytest.raises(DataError, match=r"cannot be run without Keras .got format='safetensors'"):
        Predictor(exports("gru", format="safetensors"))


def test_a_missing_runtime_is_named(exports: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MachineError, match="pip install"):
        Predictor(exports("gru"))
