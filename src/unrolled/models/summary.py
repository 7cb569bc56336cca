"""Layers, shapes and parameters of a built network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer as a summary shows it.

    Args:
        name: the layer's name within the model.
        type: its class.
        output_shape: (batch, …), None where free.
        parameters: trainable and other weights, counted as numbers.
    """

    name: str
    type: str
    output_shape: tuple[int | None, ...]
    parameters: int


def summarise(network: Any) -> tuple[LayerRow, ...]:
    """The rows of a Keras model's summary, in order; the parameters add up to ``network.count_params()``."""
    return tuple(
        LayerRow(layer.name, type(layer).__name__, tuple(layer.output.shape), int(layer.count_params()))
        for layer in network.layers
    )
