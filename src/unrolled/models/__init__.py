"""The zoo: a frozen spec for each architecture and one way to build it.

Specs are plain records that load without Keras; only building a network imports it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unrolled.models.build import build_model
    from unrolled.models.spec import Architecture, ModelSpec, architectures, make_spec, parse_spec
    from unrolled.models.summary import LayerRow, summarise

_HOMES = {
    "Architecture": "unrolled.models.spec",
    "LayerRow": "unrolled.models.summary",
    "ModelSpec": "unrolled.models.spec",
    "architectures": "unrolled.models.spec",
    "build_model": "unrolled.models.build",
    "make_spec": "unrolled.models.spec",
    "parse_spec": "unrolled.models.spec",
    "summarise": "unrolled.models.summary",
}

__all__ = [
    "Architecture",
    "LayerRow",
    "ModelSpec",
    "architectures",
    "build_model",
    "make_spec",
    "parse_spec",
    "summarise",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'unrolled.models' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
