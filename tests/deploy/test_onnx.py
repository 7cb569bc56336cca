"""The ONNX graph of every architecture against the plain Keras model, at every length and class count."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from safetensors.numpy import load_file

from tests.deploy.conftest import LENGTH, keras_answers, sequences_of_all_lengths
from unrolled.deploy.onnx_linear import linear_to_onnx
from unrolled.deploy.onnx_network import network_to_onnx
from unrolled.models import architectures, parse_spec
from unrolled.training.fitted import load_run
from unrolled.training.record import read_plan
from unrolled.types import Ragged

NETWORKS = [name for name in architectures().names() if architectures().get(name).spec.neural]
RECURRENT = ("simple_rnn", "gru", "lstm", "bilstm", "stacked_lstm", "cnn_lstm", "cnn_gru")
TOLERANCE = 1e-5


def graph(run: Path, **options: bool) -> onnx.ModelProto:
    spec, weights = parse_spec(read_plan(run).model), load_file(run / "weights.safetensors")
    if not spec.neural:
        return linear_to_onnx(spec, weights, doc="")
    return network_to_onnx(spec, weights, doc="", **options)


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def padded(sequences: list[list[int]], extra: int = 0) -> np.ndarray:
    tokens = np.zeros((len(sequences), max(map(len, sequences)) + extra), np.int64)
    for row, sequence in zip(tokens, sequences, strict=True):
        row[len(row) - len(sequence) :] = sequence
    return tokens


def check(run: Path) -> None:
    """Each length alone, all in a batch, and the batch with more padding: as the Keras model answers."""
    spec = parse_spec(read_plan(run).model)
    sequences = sequences_of_all_lengths(spec.vocabulary_size, 2 * LENGTH)
    expected = keras_answers(run, sequences, whole=True)
    assert expected.std(axis=0).max() > 0.01, "the answers hardly differ: nothing would be noticed"
    runtime = session(graph(run))
    alone = [runtime.run(["probabilities"], {"tokens": padded([one])})[0][0] for one in sequences]
    (batch,) = runtime.run(["probabilities"], {"tokens": padded(sequences)})
    (wide,) = runtime.run(["probabilities"], {"tokens": padded(sequences, extra=7)})
    for found in (np.array(alone), batch, wide):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
        assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("protocol", "classes"), [("standard", 3), ("notebook", 2)])
def test_it_answers_as_the_keras_model(
    runs: Callable[..., Path], name: str, protocol: str, classes: int
) -> None:
    check(runs(name, classes, protocol))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("protocol", "classes"), [("standard", 2), ("notebook", 3)])
def test_it_answers_as_the_keras_model_the_other_way_round(
    runs: Callable[..., Path], name: str, protocol: str, classes: int
) -> None:
    check(runs(name, classes, protocol))


@pytest.mark.parametrize("classes", [2, 3])
def test_the_linear_baseline_answers_as_fitted(runs: Callable[..., Path], classes: int) -> None:
    run = runs("linear", classes)
    spec = parse_spec(read_plan(run).model)
    sequences = [*sequences_of_all_lengths(40, 2 * LENGTH), [5, 5, 6, 5, 5], [1]]
    expected = load_run(run).predict_tokens(Ragged.from_lists([np.array(s, np.int32) for s in sequences]))
    assert expected.std(axis=0).max() > 0.01
    runtime = session(graph(run))
    (batch,) = runtime.run(["probabilities"], {"tokens": padded(sequences, extra=3)})
    np.testing.assert_allclose(batch, expected, rtol=0, atol=TOLERANCE)
    assert spec.vocabulary_size > 40


@pytest.mark.parametrize("name", RECURRENT)
def test_the_exact_tanh_is_the_same_function(runs: Callable[..., Path], name: str) -> None:
    run = runs(name, 3)
    spec = parse_spec(read_plan(run).model)
    tokens = padded(sequences_of_all_lengths(spec.vocabulary_size, 2 * LENGTH))
    plain, exact = graph(run), graph(run, exact_tanh=True)
    kinds = [
        tuple(kind.decode() for a in node.attribute if a.name == "activations" for kind in a.strings)
        for node in exact.graph.node
        if node.op_type in ("RNN", "GRU", "LSTM")
    ]
    assert kinds
    assert all("ScaledTanh" in found and "Tanh" not in found for found in kinds)
    one, other = (session(model).run(["probabilities"], {"tokens": tokens})[0] for model in (plain, exact))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["simple_rnn", "gru", "lstm", "stacked_lstm", "cnn_gru"])
@pytest.mark.parametrize("protocol", ["standard", "notebook"])
def test_reading_holds_the_answer_to_every_beginning(
    runs: Callable[..., Path], name: str, protocol: str
) -> None:
    """One pass gives what the Keras model says of each prefix that ends with a step, the last being all."""
    run = runs(name, 3 if protocol == "standard" else 2, protocol)
    window = 2 if name == "cnn_gru" else 1
    sequence = sequences_of_all_lengths(30, LENGTH)[-1]
    runtime = session(graph(run))
    whole, reading = runtime.run(["probabilities", "reading"], {"tokens": padded([sequence])})
    assert reading.shape[1] == LENGTH // window
    np.testing.assert_allclose(reading[0, -1], whole[0], rtol=0, atol=1e-6)
    if window == 1 and protocol == "standard":
        prefixes = [sequence[: end + 1] for end in range(len(sequence))]
        np.testing.assert_allclose(reading[0], keras_answers(run, prefixes), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("name", ["linear", *RECURRENT, "cnn", "dense", "embedding_dense"])
def test_the_graph_is_standard_and_dynamic(runs: Callable[..., Path], name: str) -> None:
    model = graph(runs(name, 2 if name == "linear" else 3))
    assert {opset.domain for opset in model.opset_import} == {""}
    assert {node.domain for node in model.graph.node} == {""}
    (tokens,) = model.graph.input
    assert [axis.dim_param for axis in tokens.type.tensor_type.shape.dim] == ["batch", "time"]
    expected = {"simple_rnn": "RNN", "gru": "GRU", "lstm": "LSTM", "cnn": "Conv", "linear": "TfIdfVectorizer"}
    kinds = {node.op_type for node in model.graph.node}
    assert expected.get(name, "Gemm") in kinds
    onnx.checker.check_model(model, full_check=True)


def test_an_empty_text_and_an_empty_batch(runs: Callable[..., Path]) -> None:
    run = runs("lstm", 3)
    runtime = session(graph(run))
    (found,) = runtime.run(["probabilities"], {"tokens": np.zeros((2, 4), np.int64)})
    np.testing.assert_allclose(found, keras_answers(run, [[0], [0]]), rtol=0, atol=TOLERANCE)
