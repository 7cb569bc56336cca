"""How models behave: a file for each measure, each finding with its own error or null reference."""

from __future__ import annotations

from importlib import import_module

_MEASURES = (
    "gradients",
    "memory",
    "order",
    "length",
    "padding",
    "learning",
    "embedding",
    "recall",
    "learning_size",
)


def load() -> None:
    """Imports every measure, which registers it; in this order an analysis takes them."""
    for name in _MEASURES:
        import_module(f"unrolled.evidence.behaviour.{name}")
