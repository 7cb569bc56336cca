"""What an ONNX file may hold before the runtime sees it, and the reader that looks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from unrolled.deploy import manifest, onnx_guard
from unrolled.deploy.backward import read_float_weights
from unrolled.deploy.manifest import read_capped
from unrolled.deploy.onnx_guard import check_onnx
from unrolled.deploy.wire import MalformedError, fields, message
from unrolled.errors import DataError

Exports = Callable[..., Path]
PATH = Path("model.onnx")


def small_model(**changes: object) -> onnx.ModelProto:
    tokens = helper.make_tensor_value_info("tokens", TensorProto.INT64, ["batch", "time"])
    answer = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", "time"])
    weight = numpy_helper.from_array(np.float32([[1.0, 2.0]]), "weight")
    nodes = [
        helper.make_node("Cast", ["tokens"], ["numbers"], to=1),
        helper.make_node("Mul", ["numbers", "weight"], ["probabilities"]),
    ]
    graph = helper.make_graph(nodes, "small", [tokens], [answer], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def external_data(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"


def external_location_alone(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_location = TensorProto.EXTERNAL


def external_entry_alone(model: onnx.ModelProto) -> None:
    entry = model.graph.initializer[0].external_data.add()
    entry.key, entry.value = "location", "secrets"


def external_in_a_constant(model: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.float32([1.0]), "inner")
    tensor.data_location = TensorProto.EXTERNAL
    model.graph.node[0].attribute.append(helper.make_attribute("value", tensor))


def custom_domain_of_a_node(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.example"


def custom_domain_of_the_model(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def another_operator(model: onnx.ModelProto) -> None:
    model.graph.node[0].op_type = "Loop"


def a_function(model: onnx.ModelProto) -> None:
    model.functions.append(helper.make_function("f", "F", ["x"], ["y"], [], [helper.make_opsetid("", 17)]))


def training_code(model: onnx.ModelProto) -> None:
    model.training_info.add()


def sparse_weights(model: onnx.ModelProto) -> None:
    values = numpy_helper.from_array(np.float32([1.0]), "sparse")
    places = numpy_helper.from_array(np.int64([0]), "places")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [3]))


def a_subgraph_with_another_operator(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([helper.make_node("Loop", [], ["y"])], "inner", [], [])
    model.graph.node[0].attribute.append(helper.make_attribute("body", inner))


def graphs_in_graphs(model: onnx.ModelProto) -> None:
    inner = helper.make_graph([], "bottom", [], [])
    for depth in range(8):
        node = helper.make_node("Add", [], [str(depth)])
        node.attribute.append(helper.make_attribute("body", inner))
        inner = helper.make_graph([node], "level", [], [])
    model.graph.node[0].attribute.append(helper.make_attribute("body", inner))


def many_nodes(model: onnx.ModelProto) -> None:
    model.graph.node.extend(helper.make_node("Add", [], []) for _ in range(onnx_guard.MAX_NODES + 1))


FORBIDDEN = {
    external_data: "kept in another file",
    external_location_alone: "kept in another file",
    external_entry_alone: "kept in another file",
    external_in_a_constant: "kept in another file",
    custom_domain_of_a_node: "another domain .got domain=b'com.example'",
    custom_domain_of_the_model: "another domain .got domain=b'com.microsoft'",
    another_operator: "operator that no export holds .got operator='Loop'",
    a_function: "functions or training code",
    training_code: "functions or training code",
    sparse_weights: "sparse weights",
    a_subgraph_with_another_operator: "operator='Loop'",
    graphs_in_graphs: "nested deeper",
    many_nodes: "more than 2,000 nodes",
}


@pytest.mark.parametrize("change", FORBIDDEN, ids=lambda change: change.__name__)
def test_what_no_export_holds_is_refused(change: Callable[[onnx.ModelProto], None]) -> None:
    model = small_model()
    check_onnx(model.SerializeToString(), PATH)
    change(model)
    with pytest.raises(DataError, match=FORBIDDEN[change]) as caught:
        check_onnx(model.SerializeToString(), PATH)
    assert str(caught.value).startswith("model.onnx: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["lstm", "cnn_gru", "linear"])
def test_exports_pass(exports: Exports, name: str) -> None:
    payload = (exports(name, 3) / "model.onnx").read_bytes()
    check_onnx(payload, PATH)
    used = {node.op_type for node in onnx.load_from_string(payload).graph.node}
    assert used <= onnx_guard.OPERATORS


def test_int8_exports_pass(exports: Exports) -> None:
    check_onnx((exports("lstm", 3, int8=True) / "model.onnx").read_bytes(), PATH)


def test_files_beyond_their_limit_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"x" * 101)
    with pytest.raises(DataError, match=r"too large .more than 100 bytes"):
        read_capped(path, 100)
    assert len(read_capped(path, 101)) == 101
    monkeypatch.setitem(manifest.MAX_BYTES, "model.onnx", 50)
    described = manifest.Manifest(
        tmp_path, "n", "a", "onnx", "float32", None, None, True, None, False, {"model.onnx": ("0" * 64, 101)}
    )
    with pytest.raises(DataError, match=r"too large .more than 50 bytes"):
        described.read("model.onnx")


def test_every_cut_of_a_model_is_refused_or_harmless() -> None:
    """A file cut anywhere is no model; where the graph is whole by chance, nothing else is let through."""
    payload = small_model().SerializeToString()
    refused = 0
    for end in range(len(payload)):
        try:
            check_onnx(payload[:end], PATH)
        except DataError:
            refused += 1
    assert refused >= len(payload) - 20
    with pytest.raises(DataError, match="got 0 graphs"):
        check_onnx(b"", PATH)


@settings(max_examples=300)
@given(st.binary(max_size=80), st.booleans())
def test_any_bytes_end_in_an_answer_or_in_a_refusal(payload: bytes, in_a_graph: bool) -> None:
    if in_a_graph:
        payload = b"\x3a" + bytes([len(payload)]) + payload
    with suppress(DataError):
        check_onnx(payload, PATH)


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(st.integers(1, 15), st.one_of(st.integers(0, 2**64 - 1), st.binary(max_size=300))),
        max_size=8,
    )
)
def test_the_wire_reader_gives_back_what_was_written(parts: list[tuple[int, int | bytes]]) -> None:
    def varint(number: int) -> bytes:
        found = bytearray()
        while True:
            number, byte = number >> 7, number & 127
            found.append(byte | (128 if number else 0))
            if not number:
                return bytes(found)

    payload = b"".join(
        varint(field << 3) + varint(value)
        if isinstance(value, int)
        else varint(field << 3 | 2) + varint(len(value)) + value
        for field, value in parts
    )
    found = [
        (field, value if isinstance(value, int) else bytes(value))
        for field, value in fields(memoryview(payload))
    ]
    assert found == parts
    for end in range(len(payload)):
        try:
            whole = list(fields(memoryview(payload)[:end]))
        except MalformedError:
            continue
        assert len(whole) < len(parts)


@pytest.mark.parametrize(
    ("payload", "message_part"),
    [
        (b"\x08" + b"\xff" * 10, "cut short"),
        (b"\x0b", "unknown kind"),
        (b"\x0a\xff\xff\xff\xff\x0f", "cut short"),
        (b"\x0d\x00\x00", "cut short"),
        (b"\x09" + b"\x00" * 7, "cut short"),
    ],
)
def test_the_wire_reader_refuses_what_is_no_message(payload: bytes, message_part: str) -> None:
    with pytest.raises(MalformedError, match=message_part):
        list(fields(memoryview(payload)))
    with pytest.raises(MalformedError, match="wrong kind"):
        message(7)


def test_weights_are_read_from_the_file_as_onnx_reads_them(exports: Exports) -> None:
    payload = (exports("cnn_gru", 3) / "model.onnx").read_bytes()
    found = read_float_weights(payload)
    expected = {
        tensor.name: numpy_helper.to_array(tensor)
        for tensor in onnx.load_from_string(payload).graph.initializer
        if tensor.data_type == TensorProto.FLOAT
    }
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(found[name], array)
