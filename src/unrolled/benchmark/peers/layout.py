"""The same weights in the order and layout of PyTorch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

GATES = {"simple_rnn": 1, "gru": 3, "lstm": 4}


def to_torch(layers: Sequence[Mapping[str, Any]], weights: Sequence[Any]) -> dict[str, Any]:
    """Arrays by the names of a ``state_dict`` whose parts are called ``parts.0``, ``parts.1`` and so on.

    Args:
        layers: descriptions of the layers, front to back, with a key "kind".
        weights: float32 arrays in the order of Keras' layers and their variables.
    """
    found: dict[str, Any] = {}
    remaining = iter(weights)
    for number, layer in enumerate(layers):
        part = f"parts.{number}"
        kind = layer["kind"]
        if kind == "embedding":
            found[f"{part}.weight"] = next(remaining)
        elif kind == "convolution":
            # (width, channels, filters) → (filters, channels, width)
            found[f"{part}.weight"] = np.ascontiguousarray(next(remaining).transpose(2, 1, 0))
            found[f"{part}.bias"] = next(remaining)
        elif kind in ("dense", "output"):
            found[f"{part}.weight"] = np.ascontiguousarray(next(remaining).T)
            found[f"{part}.bias"] = next(remaining)
        elif kind == "recurrence":
            for suffix in ("", "_reverse") if layer["bidirectional"] else ("",):
                for name, array in _recurrence(layer["cell"], remaining):
                    found[f"{part}.{name}{suffix}"] = array
    if next(remaining, None) is not None:
        raise ValueError("layout: more arrays than the layers have variables")
    return found


def _recurrence(cell: str, remaining: Iterator[Any]) -> Iterator[tuple[str, Any]]:
    """Kernel, recurrent kernel and bias of one direction."""
    kernel, recurrent, bias = next(remaining), next(remaining), next(remaining)
    yield "weight_ih_l0", _turn(cell, kernel.T)
    yield "weight_hh_l0", _turn(cell, recurrent.T)
    if cell == "gru":
        of_inputs, of_state = bias
    else:
        of_inputs, of_state = bias, np.zeros_like(bias)
    yield "bias_ih_l0", _turn(cell, of_inputs)
    yield "bias_hh_l0", _turn(cell, of_state)


def _turn(cell: str, array: Any) -> Any:
    """The gates in PyTorch's order along the first axis: Keras' GRU has update, reset, proposal."""
    gates = np.split(array, GATES[cell])
    if cell == "gru":
        gates = [gates[1], gates[0], gates[2]]
    return np.ascontiguousarray(np.concatenate(gates), np.float32)
