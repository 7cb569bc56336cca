"""Registries: order kept, names taken once, unknown names answered with the nearest."""

from __future__ import annotations

import pytest

from unrolled.errors import UsageError
from unrolled.registry import Registry


@pytest.fixture
def models() -> Registry[object]:
    registry: Registry[object] = Registry("model")
    for name in ("lstm", "gru", "cnn"):
        registry.register(name)(name.upper())
    return registry


def test_order_membership_and_lookup(models):
    assert models.names() == tuple(models) == ("lstm", "gru", "cnn")
    assert "gru" in models
    assert "GRU" not in models
    assert models.get("gru") == "GRU"


def test_the_decorator_returns_its_argument_unchanged():
    registry: Registry[type] = Registry("source")

    @registry.register("demo")
    class Demo: ...

    assert registry.get("demo") is Demo


def test_a_name_is_taken_once_and_the_first_stays(models):
    with pytest.raises(UsageError, match=r"the name is taken \(got name='gru'\)"):
        models.register("gru")("other")
    assert models.get("gru") == "GRU"


def test_an_unknown_name_lists_all_and_the_nearest(models):
    with pytest.raises(UsageError) as caught:
        models.get("lsmt")
    assert str(caught.value) == (
        "model: unknown name (got model='lsmt'). Expected one of cnn, gru, lstm. Try: lstm."
    )
    assert caught.value.__cause__ is None
