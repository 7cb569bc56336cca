"""The small studies of the training tests, for what is measured on them."""

from __future__ import annotations

from tests.training.conftest import corpus, make_study

__all__ = ["corpus", "make_study"]
