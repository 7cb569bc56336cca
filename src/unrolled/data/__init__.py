"""Sources, vocabulary, splits and padding: everything between a file and a batch of token ids.

Names resolve on first use, so that ``import unrolled.data`` loads no reader, compiler or framework.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unrolled.data.demo import generate_demo
    from unrolled.data.encoding import encode_dataset
    from unrolled.data.load import load_dataset
    from unrolled.data.padding import pad_sequences
    from unrolled.data.vocabulary import Vocabulary

_HOMES = {
    "Vocabulary": "unrolled.data.vocabulary",
    "encode_dataset": "unrolled.data.encoding",
    "generate_demo": "unrolled.data.demo",
    "load_dataset": "unrolled.data.load",
    "pad_sequences": "unrolled.data.padding",
}

__all__ = ["Vocabulary", "encode_dataset", "generate_demo", "load_dataset", "pad_sequences"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'unrolled.data' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
