"""``SimpleRNN``, ``LSTM`` and ``GRU`` of keras.layers that train several times faster on a CPU.

Each is a subclass of Keras' own layer with the same arguments, weights and results. Only the loop over time
is replaced, by one call into a compiled kernel; where a kernel does not apply (another backend, a GPU, an
unusual activation) Keras' own loop runs instead. Padding costs nothing: the kernels skip masked steps.
"""

from __future__ import annotations

from typing import Any

import keras

from unrolled.kernels.programs import unavailable_because

Tensor = Any


def device_obstacle() -> str | None:
    """Why the machine cannot run a kernel under the active Keras backend."""
    if keras.backend.backend() != "jax":
        return f"the Keras backend is {keras.backend.backend()}, not jax"
    platform = _platform()
    if platform != "cpu":
        return f"the device is a {platform}, not a CPU"
    return unavailable_because()


def _platform() -> str:
    """What JAX computes on by default: cpu, gpu or tpu."""
    import jax

    device = jax.config.jax_default_device  # type: ignore[attr-defined]
    return str(getattr(device, "platform", device) or jax.default_backend())


class FusedLoop:
    """What the three layers share: when the kernel applies, and what surrounds it.

    Mixed in before a ``keras.layers.RNN``; replaces ``inner_loop`` alone, so that states, dropout masks and
    shapes stay Keras' own.
    """

    cell: Any
    activations: tuple[tuple[str, str], ...] = (("activation", "tanh"), ("recurrent_activation", "sigmoid"))

    def kernel_obstacle(self) -> str | None:
        """Why this layer runs Keras' loop here and now, in a few words; None when it runs the kernel."""
        layer: Any = self
        cell = self.cell
        if layer.unroll:
            return "unroll=True asks for Keras' unrolled loop"
        if cell.recurrent_dropout:
            return f"recurrent_dropout={cell.recurrent_dropout} changes the state inside the loop"
        if cell.dropout >= 1:
            return f"dropout={cell.dropout} drops every input"
        if cell.dropout and getattr(cell, "implementation", 2) == 1:
            return "implementation=1 draws one dropout mask for each gate"
        for name, expected in self.activations:
            if getattr(cell, name) is not getattr(keras.activations, expected):
                found = getattr(getattr(cell, name), "__name__", repr(getattr(cell, name)))
                return f"{name}={found} has no kernel, only {expected}"
        if layer.compute_dtype != "float32" or cell.compute_dtype != "float32":
            return f"the kernels compute in float32, not {layer.compute_dtype}"
        return device_obstacle()

    def explain_path(self) -> str:
        """One line on how this layer will be computed, and why."""
        obstacle = self.kernel_obstacle()
        return "fused kernel" if obstacle is None else f"Keras' loop: {obstacle}"

    def inner_loop(
        self, sequences: Tensor, initial_state: list[Tensor], mask: Tensor, training: bool = False
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The last output, all outputs and the last states, as ``keras.layers.RNN`` returns them."""
        if keras.tree.is_nested(mask):
            mask = mask[0]
        if mask is not None and len(mask.shape) == 2 and self._reads_on_gpu(sequences):
            return self._gpu_loop(sequences, initial_state, mask, training)
        if (
            getattr(self, "use_cudnn", "auto") is True
            or str(sequences.dtype) != "float32"
            or (mask is not None and len(mask.shape) != 2)
            or 0 in sequences.shape
            or self.kernel_obstacle() is not None
        ):
            result: tuple[Tensor, Tensor, list[Tensor]] = super().inner_loop(  # type: ignore[misc]
                sequences, initial_state, mask=mask, training=training
            )
            return result
        return self._fused_loop(sequences, initial_state, mask, training)

    def _fused_loop(
        self, sequences: Tensor, initial_state: list[Tensor], mask: Tensor, training: bool
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        import jax.numpy as jnp

        from unrolled.kernels.recurrent import mode, run

        layer: Any = self
        every = layer.return_sequences
        sequences = self._drop_inputs(sequences, training)
        kept = jnp.ones(sequences.shape[:2], bool) if mask is None else mask.astype(bool)
        kernel, weights = self._kernel_call()
        flags = mode(every_output=every, backwards=layer.go_backwards)
        states, every_output = run(kernel, flags, sequences, weights, tuple(initial_state), kept)
        outputs = every_output[0] if every else None
        return self._as_keras_returns(states, outputs, None if mask is None else kept)

    def _drop_inputs(self, sequences: Tensor, training: bool) -> Tensor:
        """Input dropout: one mask for each review, the same at every step, drawn by keras.layers.RNN.call."""
        if not (training and self.cell.dropout):
            return sequences
        return sequences * keras.ops.expand_dims(self.cell.get_dropout_mask(sequences[:, 0, :]), 1)

    def _as_keras_returns(
        self, states: tuple[Tensor, ...], outputs: Tensor | None, kept: Tensor | None
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The last output, all outputs (the last alone where they are None) and the last states."""
        import jax.numpy as jnp

        layer: Any = self
        last = states[0]
        if kept is not None and layer.zero_output_for_mask:
            computed = kept[:, ::-1] if layer.go_backwards else kept
            last = jnp.where(computed[:, -1:], last, 0)
            outputs = None if outputs is None else jnp.where(computed[:, :, None], outputs, 0)
        return last, jnp.expand_dims(last, 1) if outputs is None else outputs, list(states)

    def _reads_on_gpu(self, sequences: Tensor) -> bool:
        """Whether a routine of the GPU, which Keras would not use, computes this layer over masked steps."""
        return False

    def _gpu_loop(
        self, sequences: Tensor, initial_state: list[Tensor], mask: Tensor, training: bool
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        raise NotImplementedError

    def _kernel_call(self) -> tuple[str, tuple[Tensor, ...]]:
        """The kernel's name and its weights."""
        raise NotImplementedError

    def _arrays(self) -> tuple[Tensor, Tensor, Tensor]:
        """Kernel, recurrent kernel and bias (None without one) as arrays."""
        cell = self.cell
        bias = None if cell.bias is None else keras.ops.convert_to_tensor(cell.bias)
        return (
            keras.ops.convert_to_tensor(cell.kernel),
            keras.ops.convert_to_tensor(cell.recurrent_kernel),
            bias,
        )


@keras.saving.register_keras_serializable(package="unrolled")
class SimpleRNN(FusedLoop, keras.layers.SimpleRNN):  # type: ignore[misc]
    """``keras.layers.SimpleRNN``, fused on a CPU. Arguments, weights and results are Keras' own."""

    activations = (("activation", "tanh"),)

    def _kernel_call(self) -> tuple[str, tuple[Tensor, ...]]:
        kernel, recurrent, bias = self._arrays()
        return "simple_rnn", (kernel, recurrent, _zeros_like_row(kernel) if bias is None else bias)


@keras.saving.register_keras_serializable(package="unrolled")
class LSTM(FusedLoop, keras.layers.LSTM):  # type: ignore[misc]
    """``keras.layers.LSTM``, fused on a CPU. Arguments, weights and results are Keras' own.

    On a GPU it is cuDNN's, which Keras uses without a mask, and this class with one as well.
    """

    def _reads_on_gpu(self, sequences: Tensor) -> bool:
        cell, layer = self.cell, self
        return (
            keras.backend.backend() == "jax"
            and _platform() == "gpu"
            and layer.use_cudnn is not False
            and not layer.unroll
            and not cell.recurrent_dropout
            and cell.dropout < 1
            and str(sequences.dtype) == layer.compute_dtype == cell.compute_dtype == "float32"
            and all(getattr(cell, name) is getattr(keras.activations, use) for name, use in self.activations)
            and 0 not in sequences.shape
        )

    def _gpu_loop(
        self, sequences: Tensor, initial_state: list[Tensor], mask: Tensor, training: bool
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        from unrolled.layers.cudnn import cudnn_routine, run_real_steps

        weights = self._kernel_call()[1]
        kept = mask.astype(bool)
        routine = cudnn_routine(sequences.shape[2], self.units)
        sequences = self._drop_inputs(sequences, training)
        h, c = initial_state
        states, outputs = run_real_steps(
            routine, sequences, weights, (h, c), kept, backwards=self.go_backwards
        )
        return self._as_keras_returns(states, outputs if self.return_sequences else None, kept)

    def _kernel_call(self) -> tuple[str, tuple[Tensor, ...]]:
        kernel, recurrent, bias = self._arrays()
        return "lstm", (kernel, recurrent, _zeros_like_row(kernel) if bias is None else bias)


@keras.saving.register_keras_serializable(package="unrolled")
class GRU(FusedLoop, keras.layers.GRU):  # type: ignore[misc]
    """``keras.layers.GRU``, fused on a CPU. Arguments, weights and results are Keras' own."""

    def _kernel_call(self) -> tuple[str, tuple[Tensor, ...]]:
        kernel, recurrent, bias = self._arrays()
        none = _zeros_like_row(kernel)
        if not self.cell.reset_after:
            return "gru_reset_before", (kernel, recurrent, none if bias is None else bias, none)
        of_inputs, of_state = (none, none) if bias is None else (bias[0], bias[1])
        return "gru", (kernel, recurrent, of_inputs, of_state)


def _zeros_like_row(kernel: Tensor) -> Tensor:
    import jax.numpy as jnp

    return jnp.zeros(kernel.shape[1], "float32")
