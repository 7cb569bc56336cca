"""Weights in eight bits: what they save, what they cost, and how far they can miss."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from safetensors.numpy import load_file

from tests.deploy.conftest import corpus, make_run
from unrolled.deploy import Predictor, export_run
from unrolled.deploy.quantize import to_int8

Exports = Callable[..., Path]


def test_int8_is_smaller_and_its_cost_is_measured(exports: Exports) -> None:
    folder = exports("lstm", 3, int8=True)
    report = json.loads((folder.parent / f"{folder.name}.json").read_text())
    assert report["precision"] == "int8"
    assert report["parity"]["tolerance"] is None
    cost = report["quantization"]
    labels = corpus(3)[0].test.labels
    texts = corpus(3)[0].test.tokens
    predictor = Predictor(folder)
    answers = predictor.predict_tokens([texts[row].astype(np.int64) for row in range(len(texts))])
    assert cost["accuracy"][1] == pytest.approx(float((answers.argmax(axis=1) == labels).mean()))
    assert cost["num_items"] == 60
    assert cost["bytes"][1] == (folder / "model.onnx").stat().st_size
    assert "Eight bits change accuracy by" in (folder / "README.md").read_text("utf-8")


def test_int8_of_large_weights_saves_three_quarters(runs: Callable[..., Path], tmp_path: Path) -> None:
    run = make_run(tmp_path, "lstm", classes=2, embedding_size=64, units=64)
    report = export_run(run, tmp_path / "export", int8=True)
    assert report.quantization is not None
    full, small = report.quantization.bytes
    assert small < 0.4 * full
    model = onnx.load(tmp_path / "export" / "model.onnx")
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert kinds["lstm_1.inputs.int8"] == kinds["embedding.int8"] == onnx.TensorProto.INT8
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    restored = weights["lstm_1.state.int8"].astype(np.float32) * weights["lstm_1.state.scale"]
    original = load_file(run / "weights.safetensors")
    kernel = next(array for name, array in original.items() if name.endswith("recurrent_kernel"))
    gates = np.split(kernel, 4, axis=1)
    expected = np.concatenate([gates[place] for place in (0, 3, 1, 2)], axis=1).T
    assert np.abs(restored[0] - expected).max() <= np.abs(expected).max() / 127 / 2 * 1.001


def test_eight_bits_miss_by_half_a_step_at_most() -> None:
    array = np.random.default_rng(0).normal(size=(30, 50)).astype(np.float32)
    for name, axis in (("embedding", 1), ("hidden.kernel", 0)):
        integers, scales = to_int8(name, array)
        assert integers.dtype == np.int8
        assert np.abs(integers).max() == 127
        assert (np.abs(integers * scales - array) <= scales / 2 * 1.0001).all()
        assert scales.shape[axis] == 1
