"""What models cost: counted operations beside measured times, and how both grow."""

from __future__ import annotations

from importlib import import_module


def load() -> None:
    """Imports the measure, which registers it."""
    import_module("unrolled.evidence.complexity.measure")
