"""Mask-aware layers against Keras' own on the sequence without its padding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.layers import Conv1D, Flatten, MaxPooling1D, keras


def padded(rng: np.random.Generator, length: int, missing: int, channels: int = 3):
    """A sequence (1, length, channels), and the same behind ``missing`` steps of noise, with its mask."""
    real = rng.normal(size=(1, length, channels)).astype(np.float32)
    noise = rng.normal(size=(1, missing, channels)).astype(np.float32) * 9
    mask = np.array([[False] * missing + [True] * length])
    return real, np.concatenate([noise, real], axis=1), mask


@settings(max_examples=20)
@given(length=st.integers(1, 9), missing=st.integers(0, 5), seed=st.integers(0, 99))
def test_convolution_reads_padding_as_nothing(length: int, missing: int, seed: int) -> None:
    real, whole, mask = padded(np.random.default_rng(seed), length, missing)
    layer = Conv1D(4, 3, padding="same", activation="relu", bias_initializer="ones")
    expected = np.asarray(layer(real))
    found = np.asarray(layer(whole, mask=mask))
    np.testing.assert_allclose(found[:, missing:], expected, atol=1e-5)
    assert (found[:, :missing] == 0).all()


@settings(max_examples=20)
@given(length=st.integers(1, 9), missing=st.integers(0, 5), size=st.integers(1, 3), seed=st.integers(0, 99))
def test_pooling_windows_end_with_the_sequence(length: int, missing: int, size: int, seed: int) -> None:
    real, whole, mask = padded(np.random.default_rng(seed), length, missing)
    layer = MaxPooling1D(size)
    found = np.asarray(layer(whole, mask=mask))
    kept = np.asarray(layer.compute_mask(whole, mask))
    steps = [real[0, max(0, stop - size) : stop].max(axis=0) for stop in range(length, 0, -size)][::-1]
    assert found.shape[1] == -(-(length + missing) // size)
    np.testing.assert_array_equal(found[0, kept[0]], np.array(steps))
    assert (found[0, ~kept[0]] == 0).all()


def test_flattening_puts_zeros_where_padded() -> None:
    _, whole, mask = padded(np.random.default_rng(0), 4, 2)
    found = np.asarray(Flatten()(whole, mask=mask)).reshape(6, 3)
    assert (found[:2] == 0).all()
    np.testing.assert_array_equal(found[2:], whole[0, 2:])


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda: Conv1D(4, 3, padding="valid", strides=2), lambda: keras.layers.Conv1D(4, 3, strides=2)),
        (lambda: MaxPooling1D(2, strides=1), lambda: keras.layers.MaxPooling1D(2, strides=1)),
        (lambda: Flatten(), lambda: keras.layers.Flatten()),
    ],
)
def test_without_a_mask_the_layers_are_keras_own(ours, theirs) -> None:
    inputs = np.random.default_rng(0).normal(size=(2, 7, 3)).astype(np.float32)
    mine, other = ours(), theirs()
    mine.build(inputs.shape)
    other.build(inputs.shape)
    other.set_weights(mine.get_weights())
    np.testing.assert_array_equal(np.asarray(mine(inputs)), np.asarray(other(inputs)))
    again = type(mine).from_config(mine.get_config())
    assert again.get_config() == mine.get_config()


def test_a_mask_that_cannot_follow_is_refused() -> None:
    _, whole, mask = padded(np.random.default_rng(0), 4, 2)
    with pytest.raises(ValueError, match="Expected padding 'same' or 'causal'"):
        Conv1D(4, 3, padding="valid")(whole, mask=mask)
    with pytest.raises(ValueError, match="Expected strides equal to pool_size"):
        MaxPooling1D(2, strides=1)(whole, mask=mask)
