"""Classifiers by scikit-learn's conventions, on the same specs, engine and files as the studies.

Names resolve on first use, so that importing this room loads neither scikit-learn nor Keras.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unrolled.estimators.sequence import SequenceClassifier
    from unrolled.estimators.text import TextClassifier

_HOMES = {
    "SequenceClassifier": "unrolled.estimators.sequence",
    "TextClassifier": "unrolled.estimators.text",
}

__all__ = ["SequenceClassifier", "TextClassifier"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'unrolled.estimators' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
