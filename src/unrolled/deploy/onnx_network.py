"""The networks of the zoo as ONNX graphs, written operator by operator from the run's weights.

The graph takes token ids as the network was trained on them: zeros on the left where a text is shorter than
its batch. All that the two protocols disagree on happens inside the graph, so that whoever calls it needs to
know nothing of masks:

- masked padding: convolutions see zeros there, pooling windows end at the text's end, and recurrent
  operators get the true length of every row. They want padding on the right, so rows are turned round as a
  whole and then back within their length (``ReverseSequence``).
- padding as a word, and weights that belong to positions: rows are filled up and cut to the trained length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.deploy.graph import PROBABILITIES, READING, TOKENS, Graph
from unrolled.deploy.onnx_recurrent import add_recurrent
from unrolled.models import ModelSpec

OUT_OF_VOCABULARY = 2


def weights_by_layer(weights: Mapping[str, NDArray[Any]]) -> list[list[NDArray[Any]]]:
    """The arrays of each layer that has some, in order, from names as "1.LSTM/0.kernel"."""
    layers: dict[int, dict[int, NDArray[Any]]] = {}
    for name, array in weights.items():
        layer, variable = name.split("/")
        layers.setdefault(int(layer.split(".")[0]), {})[int(variable.split(".")[0])] = array
    return [[arrays[number] for number in sorted(arrays)] for _, arrays in sorted(layers.items())]


def network_to_onnx(
    spec: ModelSpec, weights: Mapping[str, NDArray[Any]], *, doc: str, exact_tanh: bool = False
) -> Any:
    """The network of ``spec`` with ``weights`` as an onnx.ModelProto.

    Args:
        spec: of a neural architecture.
        weights: arrays by the names that a run stores them under.
        doc: what the model is, kept in the file.
        exact_tanh: see :func:`unrolled.deploy.onnx_recurrent.add_recurrent`.

    Returns:
        A model from ``tokens`` int64 (batch, time) to ``probabilities`` float32 (batch, classes), and to
        ``reading`` float32 (batch, steps, classes) where the network reads strictly left to right.
    """
    return _Writer(spec, weights_by_layer(weights), exact_tanh).write(doc)


@dataclass(slots=True)
class _Writer:
    """Walks through one architecture, front to back, and takes each layer's weights as it comes to it."""

    spec: Any
    layers: list[list[NDArray[Any]]]
    exact_tanh: bool
    graph: Graph = field(default_factory=Graph)

    @property
    def masked(self) -> bool:
        return bool(self.spec.padding == "masked")

    @property
    def fits(self) -> bool:
        """Whether rows are brought to the trained length: weights or unmasked padding depend on it."""
        return bool(self.spec.fixed_length or not self.masked)

    def write(self, doc: str) -> Any:
        fields = type(self.spec).model_fields
        tokens = self._known_tokens()
        reading = None
        if "embedding_size" not in fields:
            hidden = self._dense(self.graph.add("Cast", [tokens], to=1))
        else:
            mask = self._mask(tokens) if self.masked else None
            steps, axis = self._embed_or_align(tokens, mask)
            if "filters" in fields:
                steps, mask = self._phrases(steps, mask)
                axis = "phrases"
            if "cell" in fields:
                hidden, reading = self._recurrent(steps, mask, axis)
            else:
                hidden = self._dense(self.graph.add("Flatten", [steps], axis=1))
        outputs: list[tuple[str, list[str | int]]] = [(PROBABILITIES, ["batch", self.spec.classes])]
        kernel, bias = self.layers.pop(0)
        head = (self.graph.weight("output.kernel", kernel), self.graph.weight("output.bias", bias))
        self._answer(self.graph.add("Gemm", [hidden, *head]), PROBABILITIES)
        if reading is not None:
            scores = self.graph.add("Add", [self.graph.add("MatMul", [reading, head[0]]), head[1]])
            self._answer(scores, READING)
            outputs.append((READING, ["batch", "steps", self.spec.classes]))
        if self.layers:
            raise ValueError(f"{self.spec.architecture}: {len(self.layers)} layers have no operator")
        return self.graph.build(outputs, name=self.spec.architecture, doc=doc)

    def _known_tokens(self) -> str:
        """Token ids within the vocabulary; of the trained length, or of full pooling windows."""
        graph, spec = self.graph, self.spec
        beyond = graph.add("GreaterOrEqual", [TOKENS, graph.integer(spec.vocabulary_size)])
        tokens = graph.add("Where", [beyond, graph.integer(OUT_OF_VOCABULARY), TOKENS])
        if self.fits:
            tokens = self._pad(tokens, graph.integers(0, spec.length, 0, 0))
            tokens = graph.cut(tokens, -spec.length, axis=1)
        if self.masked and "pool_size" in type(spec).model_fields:
            # Windows end where the text ends: what is missing to the last full one is padded in front.
            steps = graph.add("Shape", [tokens], start=1, end=2)
            missing = graph.add("Mod", [graph.add("Neg", [steps]), graph.integers(spec.pool_size)])
            pads = graph.add("Concat", [graph.integers(0), missing, graph.integers(0, 0)], axis=0)
            tokens = self._pad(tokens, pads)
        return tokens

    def _pad(self, tokens: str, pads: str) -> str:
        return self.graph.add("Pad", [tokens, pads, self.graph.integer(0)])

    def _mask(self, tokens: str) -> str:
        """1 for words and 0 for padding, float32 (batch, time)."""
        graph = self.graph
        return graph.add("Cast", [graph.add("Greater", [tokens, graph.integer(0)])], to=1)

    def _embed_or_align(self, tokens: str, mask: str | None) -> tuple[str, str]:
        """Embeddings (batch, time, size); rows turned to padding on the right where recurrence follows."""
        graph = self.graph
        axis = "words"
        if mask is not None and "cell" in type(self.spec).model_fields and not self._has_phrases:
            tokens = self._padding_to_the_right(tokens, self._lengths(mask), time_axis=1)
            axis = "aligned"
        table = np.array(self.layers.pop(0)[0])
        if self.masked:
            # Padding then reads as zeros by itself; nothing else ever looks this row up.
            table[0] = 0
        return graph.add("Gather", [graph.weight("embedding", table), tokens], axis=0), axis

    @property
    def _has_phrases(self) -> bool:
        return "filters" in type(self.spec).model_fields

    def _phrases(self, steps: str, mask: str | None) -> tuple[str, str | None]:
        """Convolution, relu and pooling: (batch, time, size) to (batch, windows, filters), and its mask."""
        graph, spec = self.graph, self.spec
        kernel, bias = self.layers.pop(0)
        around = spec.kernel_size - 1
        phrases = graph.add("Transpose", [steps], perm=[0, 2, 1])
        phrases = graph.add(
            "Conv",
            [
                phrases,
                graph.weight("convolution.kernel", kernel.transpose(2, 1, 0)),
                graph.weight("convolution.bias", bias),
            ],
            kernel_shape=[spec.kernel_size],
            pads=[around // 2, around - around // 2],
        )
        phrases = graph.add("Relu", [phrases])
        pooling = {"kernel_shape": [spec.pool_size], "strides": [spec.pool_size]}
        if mask is not None:
            column = graph.add("Unsqueeze", [mask, graph.integers(1)])
            # After a relu zero is the least, so a padded step never wins a window against a real one.
            phrases = graph.add("Mul", [phrases, column])
            windows = graph.add("MaxPool", [column], **pooling)
            mask = graph.add("Squeeze", [windows, graph.integers(1)])
        phrases = graph.add("MaxPool", [phrases], **pooling)
        return graph.add("Transpose", [phrases], perm=[0, 2, 1]), mask

    def _recurrent(self, steps: str, mask: str | None, axis: str) -> tuple[str, str | None]:
        """Last state (batch, features), and all states (batch, steps, features) where they are prefixes'."""
        graph, spec = self.graph, self.spec
        lengths = None if mask is None else self._lengths(mask)
        inputs = graph.add("Transpose", [steps], perm=[1, 0, 2])
        if lengths is not None and axis != "aligned":
            inputs = self._padding_to_the_right(inputs, lengths, time_axis=0)
        hidden = states = inputs
        for number in range(1, spec.num_layers + 1):
            states, hidden = add_recurrent(
                graph,
                states,
                self.layers.pop(0),
                cell=spec.cell,
                bidirectional=spec.bidirectional,
                lengths=None if lengths is None else self._at_least_one(lengths),
                exact_tanh=self.exact_tanh,
                name=f"{spec.cell}_{number}",
            )
        if lengths is not None:
            # A row without any word keeps the initial state, which is zero.
            some = graph.add("Cast", [graph.add("Greater", [lengths, graph.integer(0)])], to=1)
            hidden = graph.add("Mul", [hidden, graph.add("Unsqueeze", [some, graph.integers(1)])])
        if spec.bidirectional:
            return hidden, None
        return hidden, graph.add("Transpose", [states], perm=[1, 0, 2])

    def _lengths(self, mask: str) -> str:
        """Real steps of each row, int64 (batch,)."""
        graph = self.graph
        total = graph.add("ReduceSum", [mask, graph.integers(1)], keepdims=0)
        return graph.add("Cast", [total], to=7)

    def _at_least_one(self, lengths: str) -> str:
        graph = self.graph
        return graph.add("Cast", [graph.add("Max", [lengths, graph.integer(1)])], to=6)

    def _padding_to_the_right(self, value: str, lengths: str, *, time_axis: int) -> str:
        """Rows padded on the left, turned to padding on the right with their words in order."""
        backwards = self.graph.cut(value, -1, axis=time_axis, step=-1)
        return self.graph.add(
            "ReverseSequence", [backwards, lengths], time_axis=time_axis, batch_axis=1 - time_axis
        )

    def _dense(self, value: str) -> str:
        kernel, bias = self.layers.pop(0)
        weights = [self.graph.weight("hidden.kernel", kernel), self.graph.weight("hidden.bias", bias)]
        return self.graph.add("Relu", [self.graph.add("Gemm", [value, *weights])])

    def _answer(self, scores: str, name: str) -> None:
        """Scores to probabilities of all classes, along the last axis."""
        graph = self.graph
        if self.spec.classes > 2:
            graph.add("Softmax", [scores], outputs=[name], axis=-1)
            return
        second = graph.add("Sigmoid", [scores])
        first = graph.add("Sub", [graph.number(1.0), second])
        graph.add("Concat", [first, second], outputs=[name], axis=-1)
