"""What an ONNX file may hold before it reaches the runtime: plain weights and the operators we write.

The file is walked in its wire format (protocol buffers), field by field, without copying and without the
``onnx`` package, which a predictor does not need. Refused are weights kept in other files, operators of other
domains, functions, and every operator that no exporter of ours writes.
"""

from __future__ import annotations

from pathlib import Path

from unrolled.deploy.manifest import damaged
from unrolled.deploy.wire import MalformedError, fields, message

OPERATORS = frozenset(
    (
        *("Add", "Cast", "Concat", "Conv", "Div", "Flatten", "Gather", "Gemm", "Greater", "GreaterOrEqual"),
        *("GRU", "LSTM", "MatMul", "Max", "MaxPool", "Mod", "Mul", "Neg", "Pad", "RNN", "ReduceSum", "Relu"),
        *("Reshape", "ReverseSequence", "Shape", "Sigmoid", "Slice", "Softmax", "Squeeze", "Sub"),
        *("TfIdfVectorizer", "Transpose", "Unsqueeze", "Where"),
    )
)
MAX_NODES = 2_000
MAX_DEPTH = 4

# Field numbers of onnx.proto, fixed for good by the format's rules.
_MODEL_GRAPH, _MODEL_OPSET, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 8, 20, 25
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14
_OPSET_DOMAIN = 1


def check_onnx(payload: bytes, path: Path) -> None:
    """Returns when ``payload`` is an ONNX model that is safe to hand to the runtime.

    Raises:
        DataError: it is not; ``path`` names the file in the message.
    """
    try:
        _check_model(memoryview(payload))
    except MalformedError as error:
        raise damaged(path, str(error)) from None


def _check_model(model: memoryview) -> None:
    graphs = 0
    for field, value in fields(model):
        if field == _MODEL_GRAPH:
            graphs += 1
            _check_graph(message(value), 0, [0])
        elif field == _MODEL_OPSET:
            for inner, domain in fields(message(value)):
                if inner == _OPSET_DOMAIN:
                    _check_domain(message(domain))
        elif field in (_MODEL_TRAINING, _MODEL_FUNCTIONS):
            raise MalformedError("the model brings functions or training code of its own")
    if graphs != 1:
        raise MalformedError(f"no ONNX model (got {graphs} graphs)")


def _check_graph(graph: memoryview, depth: int, num_nodes: list[int]) -> None:
    if depth > MAX_DEPTH:
        raise MalformedError(f"graphs are nested deeper than {MAX_DEPTH}")
    for field, value in fields(graph):
        if field == _GRAPH_NODE:
            num_nodes[0] += 1
            if num_nodes[0] > MAX_NODES:
                raise MalformedError(f"more than {MAX_NODES:,} nodes")
            _check_node(message(value), depth, num_nodes)
        elif field == _GRAPH_INITIALIZER:
            _check_tensor(message(value))
        elif field == _GRAPH_SPARSE:
            raise MalformedError("sparse weights, which no export holds")


def _check_node(node: memoryview, depth: int, num_nodes: list[int]) -> None:
    for field, value in fields(node):
        if field == _NODE_DOMAIN:
            _check_domain(message(value))
        elif field == _NODE_OPERATOR:
            operator = bytes(message(value)).decode("utf-8", "replace")
            if operator not in OPERATORS:
                raise MalformedError(f"an operator that no export holds (got operator={operator[:40]!r})")
        elif field == _NODE_ATTRIBUTE:
            for inner, part in fields(message(value)):
                if inner in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
                    _check_graph(message(part), depth + 1, num_nodes)
                elif inner in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
                    _check_tensor(message(part))


def _check_tensor(tensor: memoryview) -> None:
    for field, value in fields(tensor):
        if field == _TENSOR_EXTERNAL or (field == _TENSOR_LOCATION and value != 0):
            raise MalformedError("weights are kept in another file")


def _check_domain(domain: memoryview) -> None:
    if bytes(domain) not in (b"", b"ai.onnx"):
        raise MalformedError(f"operators of another domain (got domain={bytes(domain[:40])!r})")
