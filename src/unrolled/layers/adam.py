"""``keras.optimizers.Adam`` whose step over a large variable is one pass."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from unrolled.layers.recurrent import device_obstacle

# Below, all arrays of a step stay in the cache, and there is nothing to win.
FEWEST_NUMBERS = 65_536


class Adam(keras.optimizers.Adam):  # type: ignore[misc]
    """``keras.optimizers.Adam``, fused on a CPU. Arguments, variables and results are Keras' own."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Moves one variable and its two moments."""
        size = 1
        for length in variable.shape:
            size *= length
        if size < FEWEST_NUMBERS or variable.dtype != "float32" or self.amsgrad or device_obstacle():
            super().update_step(gradient, variable, learning_rate)
            return
        from unrolled.kernels.feedforward import adam

        index = self._get_variable_index(variable)
        moments = self._momentums[index], self._velocities[index]
        step = ops.cast(self.iterations + 1, "float32")
        first, second = (ops.power(ops.cast(beta, "float32"), step) for beta in (self.beta_1, self.beta_2))
        length = ops.cast(learning_rate, "float32") * ops.sqrt(1 - second) / (1 - first)
        weights, momentum, velocity = (ops.convert_to_tensor(array) for array in (variable, *moments))
        constants = length, 1 - self.beta_1, 1 - self.beta_2, self.epsilon
        found = adam(weights, momentum, velocity, ops.cast(gradient, "float32"), constants)
        for target, value in zip((variable, *moments), found, strict=True):
            self.assign(target, value)
