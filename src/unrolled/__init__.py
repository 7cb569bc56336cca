"""Train, compare, explain and ship sequence classifiers, from a bag of words to LSTM hybrids.

Names resolve on first use: ``import unrolled`` loads neither Keras nor JAX, so that the command line
answers at once and :mod:`unrolled.deploy` stays free of both.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from unrolled.data import Vocabulary, load_dataset, pad_sequences
    from unrolled.estimators import SequenceClassifier, TextClassifier
    from unrolled.layers import accelerate
    from unrolled.models import build_model

_HOMES = {
    "SequenceClassifier": "unrolled.estimators",
    "TextClassifier": "unrolled.estimators",
    "accelerate": "unrolled.layers",
    "Vocabulary": "unrolled.data",
    "pad_sequences": "unrolled.data",
    "load_dataset": "unrolled.data",
    "build_model": "unrolled.models",
}

__all__ = [
    "SequenceClassifier",
    "TextClassifier",
    "Vocabulary",
    "__version__",
    "accelerate",
    "build_model",
    "load_dataset",
    "pad_sequences",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'unrolled' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
