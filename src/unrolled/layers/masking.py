"""Convolution, pooling and flattening that keep padding out of the answer.

Keras' own ``Conv1D``, ``MaxPooling1D`` and ``Flatten`` drop a mask: padded steps then leak into the
features beside them. These subclasses compute the same function when no mask arrives, and otherwise
behave as if the padded steps were not there. No weights are added.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


def _as_column(mask: Any, dtype: str) -> Any:
    """The mask as numbers that multiply features: (batch, time) bool → (batch, time, 1) ``dtype``."""
    return ops.expand_dims(ops.cast(mask, dtype), -1)


def _missing_steps(time: int | None, size: int) -> int:
    """Steps to add on the left so that windows of ``size`` fit; 0 while the time is not yet known."""
    return 0 if time is None else -time % size


@keras.saving.register_keras_serializable(package="unrolled")
class MarkedSteps(keras.layers.Layer):  # type: ignore[misc]
    """Numeric steps whose last feature says whether they are real: 1, or 0 where the sequence is padded.

    The mark becomes the mask and goes no further. ``keras.layers.Masking`` takes a value of the data for the
    sign instead, and then hides every real step that happens to hold it.
    """

    def __init__(self, masked: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.masked = masked

    def call(self, inputs: Any) -> Any:
        """(batch, time, features + 1) → (batch, time, features)."""
        return inputs[..., :-1]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """True for real steps, (batch, time) bool; None where padding is read as if it were data."""
        return inputs[..., -1] > 0.5 if self.masked else None

    def compute_output_spec(self, inputs: Any) -> Any:
        """One feature less."""
        return keras.KerasTensor((*inputs.shape[:-1], inputs.shape[-1] - 1), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "masked": self.masked}


@keras.saving.register_keras_serializable(package="unrolled")
class Conv1D(keras.layers.Conv1D):  # type: ignore[misc]
    """``keras.layers.Conv1D`` that reads padded steps as zeros and answers zeros there.

    With a mask the convolution must keep time as it is (``padding`` "same" or "causal", stride 1), so that
    the mask still fits; anything else is refused when the layer is called.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Features (batch, time, channels) → (batch, time, filters); ``mask`` is (batch, time) bool or None.

        Raises:
            ValueError: a mask arrives and the layer changes the number of steps.
        """
        if mask is None:
            return super().call(inputs)
        if self.padding not in ("same", "causal") or self.strides != (1,):
            raise ValueError(
                f"Conv1D {self.name}: a mask cannot follow a layer that changes time (got "
                f"padding={self.padding!r}, strides={self.strides}). Expected padding 'same' or 'causal' "
                "and strides 1. Try: padding='same', or build the model without masking."
            )
        real = _as_column(mask, self.compute_dtype)
        return super().call(inputs * real) * real

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask unchanged: every step keeps its place."""
        return mask


@keras.saving.register_keras_serializable(package="unrolled")
class MaxPooling1D(keras.layers.MaxPooling1D):  # type: ignore[misc]
    """``keras.layers.MaxPooling1D`` in which padded steps never win, and the last step is never dropped.

    With a mask, windows are aligned at the end of the sequence: one more or one less padded step on the
    left then moves no window, where Keras would pair every word with its other neighbour.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.supports_masking = True

    def _check(self) -> int:
        size = int(self.pool_size[0])
        if self.strides != self.pool_size or self.padding != "valid" or self.data_format != "channels_last":
            raise ValueError(
                f"MaxPooling1D {self.name}: masked pooling needs windows that do not overlap (got "
                f"pool_size={self.pool_size}, strides={self.strides}, padding={self.padding!r}). Expected "
                "strides equal to pool_size, padding 'valid', channels last. Try: those, or no masking."
            )
        return size

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Features (batch, time, channels) → (batch, ⌈time / pool⌉, channels) with a mask, else as Keras."""
        if mask is None:
            return super().call(inputs)
        size = self._check()
        missing = _missing_steps(inputs.shape[1], size)
        real = _as_column(mask, self.compute_dtype)
        # Far below any activation, yet finite: infinity times zero would put NaN into the gradient.
        lowest = -1e30
        lifted = inputs * real + lowest * (1.0 - real)
        lifted = ops.pad(lifted, ((0, 0), (missing, 0), (0, 0)), constant_values=lowest)
        pooled = super().call(lifted)
        return pooled * _as_column(self.compute_mask(inputs, mask), self.compute_dtype)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """True for every window with at least one real step, (batch, windows) bool; None without a mask."""
        if mask is None:
            return None
        size = self._check()
        missing = _missing_steps(inputs.shape[1], size)
        padded = ops.pad(_as_column(mask, "float32"), ((0, 0), (missing, 0), (0, 0)))
        return ops.squeeze(ops.max_pool(padded, size, size, "valid"), -1) > 0.5

    def compute_output_spec(self, inputs: Any, mask: Any = None) -> Any:
        """As Keras', but a last, incomplete window counts when a mask arrives."""
        batch, time, channels = inputs.shape
        if mask is None or time is None:
            return super().compute_output_spec(inputs)
        windows = -(-time // int(self.pool_size[0]))
        return keras.KerasTensor((batch, windows, channels), dtype=self.compute_dtype)


@keras.saving.register_keras_serializable(package="unrolled")
class Flatten(keras.layers.Flatten):  # type: ignore[misc]
    """``keras.layers.Flatten`` that puts zeros where the sequence is padded, and consumes the mask."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Features (batch, time, channels) → (batch, time × channels)."""
        return super().call(inputs if mask is None else inputs * _as_column(mask, self.compute_dtype))

    def compute_output_spec(self, inputs: Any, mask: Any = None) -> Any:
        """As Keras'."""
        return super().compute_output_spec(inputs)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """None: nothing is left of time."""
