"""Which words move the answer: attributions with their own error, scored where the truth is known."""

from __future__ import annotations

from importlib import import_module

_MEASURES = ("measure", "pairs")


def load() -> None:
    """Imports every measure, which registers it."""
    for name in _MEASURES:
        import_module(f"unrolled.evidence.words.{name}")
