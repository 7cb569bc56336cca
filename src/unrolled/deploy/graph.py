"""An ONNX graph under construction: nodes, weights, and names for what flows between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPSET = 17
IR_VERSION = 8
PRODUCER = "unrolled"

#: The one input, token ids int64 (batch, time), and the one output that every model has.
TOKENS, PROBABILITIES = "tokens", "probabilities"
#: Output of models that read strictly left to right: probabilities after every step.
READING = "reading"
#: How many entries of ``reading`` belong to each row, and whether they come first or last: see the card.
END = np.iinfo(np.int64).max


class Graph:
    """Collects nodes and weights; every method returns the name of what it made.

    Only operators of the standard domain are used, so that any ONNX runtime can execute the file.

    >>> graph = Graph()
    >>> graph.add("Relu", [TOKENS])
    'relu_1'
    """

    def __init__(self) -> None:
        self.weights: dict[str, NDArray[Any]] = {}
        self._nodes: list[Any] = []
        self._counts: dict[str, int] = {}

    def add(
        self, operator: str, inputs: Sequence[str], *, outputs: int | Sequence[str] = 1, **attributes: Any
    ) -> str:
        """A node; returns its first output's name.

        Args:
            operator: name in the standard domain.
            inputs: names, "" for an optional input that is left out.
            outputs: how many, or their names.
            attributes: of the operator.
        """
        return self.add_all(operator, inputs, outputs=outputs, **attributes)[0]

    def add_all(
        self, operator: str, inputs: Sequence[str], *, outputs: int | Sequence[str] = 1, **attributes: Any
    ) -> tuple[str, ...]:
        """As :meth:`add`, with the names of all outputs."""
        from onnx import helper

        label = self._label(operator.lower())
        if isinstance(outputs, int):
            names = tuple(label if place == 0 else f"{label}.{place}" for place in range(outputs))
        else:
            names = tuple(outputs)
        self._nodes.append(helper.make_node(operator, list(inputs), list(names), name=label, **attributes))
        return names

    def weight(self, name: str, array: NDArray[Any]) -> str:
        """A float32 weight under a name of its own."""
        self.weights[name] = np.ascontiguousarray(array, np.float32)
        return name

    def integers(self, *values: int) -> str:
        """An int64 vector."""
        return self._constant(np.array(values, np.int64))

    def integer(self, value: int) -> str:
        """An int64 scalar."""
        return self._constant(np.array(value, np.int64))

    def number(self, value: float) -> str:
        """A float32 scalar."""
        return self._constant(np.array(value, np.float32))

    def cut(self, value: str, start: int, *, axis: int, step: int = 1) -> str:
        """Everything from ``start`` (negative counts from the end) along an axis, backwards for step -1."""
        stop = END if step > 0 else -END
        parts = [self.integers(start), self.integers(stop), self.integers(axis), self.integers(step)]
        return self.add("Slice", [value, *parts])

    def sequential(self, value: str, layers: Sequence[tuple[str, dict[str, Any]]]) -> str:
        """``value`` through operators that take one input each."""
        for operator, attributes in layers:
            value = self.add(operator, [value], **attributes)
        return value

    def build(self, outputs: Sequence[tuple[str, Sequence[str | int]]], *, name: str, doc: str) -> Any:
        """The finished, checked model.

        Args:
            outputs: name and symbolic shape of each float32 output.
            name: of the graph.
            doc: what the model is, for whoever opens the file.

        Returns:
            onnx.ModelProto with a dynamic batch and a dynamic length.
        """
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        tokens = helper.make_tensor_value_info(TOKENS, TensorProto.INT64, ["batch", "time"])
        results = [helper.make_tensor_value_info(key, TensorProto.FLOAT, list(s)) for key, s in outputs]
        weights = [numpy_helper.from_array(array, key) for key, array in self.weights.items()]
        graph = helper.make_graph(self._nodes, name, [tokens], results, weights, doc_string=doc)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            producer_name=PRODUCER,
            ir_version=IR_VERSION,
            doc_string=doc,
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    def _constant(self, array: NDArray[Any]) -> str:
        name = f"constant_{array.dtype.name}_{'_'.join(map(str, array.ravel().tolist()))}_{array.ndim}"
        self.weights[name] = array
        return name

    def _label(self, stem: str) -> str:
        self._counts[stem] = self._counts.get(stem, 0) + 1
        return f"{stem}_{self._counts[stem]}"
