"""Out of the lab: exports that need no Keras, a predictor, a server and its page.

Names resolve on first use. :class:`Predictor` and the server import neither Keras nor JAX nor scikit-learn;
only making an export does, to compare what was written with the network it came from.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unrolled.deploy.explain import TextExplainer
    from unrolled.deploy.export import export_run
    from unrolled.deploy.predictor import Predictor
    from unrolled.deploy.report import ExportReport
    from unrolled.deploy.server.app import create_app
    from unrolled.deploy.server.settings import ServerSettings

_HOMES = {
    "ExportReport": "unrolled.deploy.report",
    "Predictor": "unrolled.deploy.predictor",
    "ServerSettings": "unrolled.deploy.server.settings",
    "create_app": "unrolled.deploy.server.app",
    "TextExplainer": "unrolled.deploy.explain",
    "export_run": "unrolled.deploy.export",
}

__all__ = ["ExportReport", "Predictor", "ServerSettings", "TextExplainer", "create_app", "export_run"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'unrolled.deploy' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
