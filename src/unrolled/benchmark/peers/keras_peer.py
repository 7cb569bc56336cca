"""Stock Keras on the backend that ``KERAS_BACKEND`` names: ``fit`` on padded batches, jit by default."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from .wire import Job, check_device, read_job, serve

CELLS = {"simple_rnn": "SimpleRNN", "gru": "GRU", "lstm": "LSTM"}

SQUARES = "squares an embedding's gradient word by word before it adds up, so Adam steps otherwise"


class Trainer:
    """One model, trained round by round on the batches of a job."""

    def start(self, job: str, helped: bool) -> dict[str, Any]:
        """Builds and compiles the model; then it has the job's weights and has seen nothing."""
        check_device(on_gpu=sees_gpu())
        self.job = read_job(job)
        self.model = build(self.job, free_length=helped)
        lengths = [self.job.batch_length(number, helped=helped) for number in range(self.job.num_batches)]
        if helped:
            # A model of free length keeps the masks of the length it was traced at, so windows must fit.
            sizes = [layer["size"] for layer in self.job.facts["layers"] if layer["kind"] == "pooling"]
            lengths = [length + -length % max(sizes, default=1) for length in lengths]
        self.data = [
            (self.job.padded(self.job.rows(number), length), self.job.labels[self.job.rows(number)])
            for number, length in enumerate(lengths)
        ]
        first = [lengths.index(length) for length in sorted(set(lengths))]
        compile_model(self.model, self.job)
        # Twice: what is compiled for the first step of all is not always what later steps run.
        for _ in range(2):
            self._fit([self.data[number] for number in first])
        restore(self.model, self.job)
        import keras

        tensorflow = keras.backend.backend() == "tensorflow"
        return {"note": SQUARES if tensorflow and not self.job.facts["float_inputs"] else ""}

    def round(self) -> dict[str, Any]:
        """One pass over the batches: seconds, and the loss of each step."""
        seconds, losses = self._fit(self.data)
        return {"seconds": seconds, "losses": losses, "device_bytes": device_bytes()}

    def _fit(self, batches: list[tuple[Any, Any]]) -> tuple[float, list[float]]:
        import keras

        clock = _clock(keras)
        if len({tokens.shape for tokens, _ in batches}) == 1:
            tokens = np.concatenate([batch[0] for batch in batches])
            labels = np.concatenate([batch[1] for batch in batches])
            size = len(batches[0][1])
            self.model.fit(tokens, labels, batch_size=size, shuffle=False, verbose=0, callbacks=[clock])
        else:
            source = _stream(keras, batches)
            self.model.fit(source, shuffle=False, verbose=0, callbacks=[clock])
        means = [float(value) for value in clock.means]
        # Keras reports the mean of an epoch so far.
        sums = np.cumsum(np.ones(len(means))) * np.asarray(means)
        return clock.seconds, [float(loss) for loss in np.diff(sums, prepend=0.0)]

    def start_inference(self, job: str) -> dict[str, Any]:
        """A model for the rows of a job, one at a time and in bulk."""
        check_device(on_gpu=sees_gpu())
        self.job = read_job(job)
        self.model = build(self.job, free_length=False)
        compile_model(self.model, self.job)
        restore(self.model, self.job)
        self.length = int(self.job.facts["length"])
        self.tokens = self.job.padded(range(len(self.job.labels)), self.length)
        if self.job.facts["float_inputs"]:
            self.tokens = self.tokens.astype(np.float32)
        self.model.predict(self.tokens[:1], verbose=0)
        np.asarray(self.model(self.tokens[:1]))
        self.model.predict(self.tokens[: int(self.job.facts["batch"])], verbose=0)
        return {}

    def one(self, way: str, items: list[int]) -> dict[str, Any]:
        """Milliseconds of each call for a single row; ``way`` is "predict" or "call"."""
        times = []
        for item in items:
            row = self.tokens[item : item + 1]
            begun = time.perf_counter()
            if way == "predict":
                self.model.predict(row, verbose=0)
            else:
                np.asarray(self.model(row))
            times.append((time.perf_counter() - begun) * 1e3)
        return {"ms": times}

    def bulk(self) -> dict[str, Any]:
        """Seconds for all rows at once, and their outputs."""
        begun = time.perf_counter()
        outputs = self.model.predict(self.tokens, batch_size=int(self.job.facts["batch"]), verbose=0)
        return {"seconds": time.perf_counter() - begun, "outputs": np.asarray(outputs)[:, -1].tolist()}


def build(job: Job, *, free_length: bool) -> Any:
    """The job's layers from keras.layers; what drops a mask there is given one line that heeds it."""
    import keras

    kinds, facts = keras.layers, job.facts
    masked = facts["masked"]
    masking = _masking_layers(keras)
    parts = []
    for layer in facts["layers"]:
        kind = layer["kind"]
        if kind == "embedding":
            parts.append(kinds.Embedding(layer["vocabulary_size"], layer["size"], mask_zero=masked))
        elif kind == "convolution":
            make = masking["Conv1D"] if masked else kinds.Conv1D
            parts.append(make(layer["filters"], layer["width"], padding="same", activation="relu"))
        elif kind == "pooling":
            parts.append((masking["MaxPooling1D"] if masked else kinds.MaxPooling1D)(layer["size"]))
        elif kind == "flatten":
            parts.append(masking["Flatten"]() if masked else kinds.Flatten())
        elif kind == "dense":
            parts.append(kinds.Dense(layer["units"], activation="relu"))
        elif kind == "recurrence":
            cell = getattr(kinds, CELLS[layer["cell"]])(
                layer["units"], dropout=layer["dropout"], return_sequences=layer["every"]
            )
            parts.append(kinds.Bidirectional(cell) if layer["bidirectional"] else cell)
        elif layer["classes"] == 2:
            parts.append(kinds.Dense(1, activation="sigmoid"))
        else:
            parts.append(kinds.Dense(layer["classes"], activation="softmax"))
    keras.utils.set_random_seed(0)
    length = None if free_length else int(facts["length"])
    dtype = "float32" if facts["float_inputs"] else "int32"
    return keras.Sequential([keras.Input((length,), dtype=dtype), *parts])


def compile_model(model: Any, job: Job) -> None:
    """Adam and the loss."""
    import keras

    loss = "binary_crossentropy" if job.facts["classes"] == 2 else "sparse_categorical_crossentropy"
    model.compile(
        optimizer=keras.optimizers.Adam(job.facts["learning_rate"]), loss=loss, metrics=["accuracy"]
    )


def restore(model: Any, job: Job) -> None:
    """The job's weights, and an optimizer that has seen nothing."""
    for variable, array in zip(model.trainable_variables, job.weights, strict=True):
        variable.assign(array)
    for variable in model.optimizer.variables:
        if "learning_rate" not in variable.path:
            variable.assign(np.zeros(variable.shape, variable.dtype))


def sees_gpu() -> bool:
    """Whether the backend computes on a GPU."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    import jax

    return bool(jax.default_backend() == "gpu")


def device_bytes() -> int:
    """The most memory of a GPU that was used; 0 without one."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return int(tf.config.experimental.get_memory_info("GPU:0")["peak"]) if sees_gpu() else 0
    import jax

    return int((jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0))


def _masking_layers(keras: Any) -> dict[str, Any]:
    """Conv1D, MaxPooling1D and Flatten that keep padding out. ReLU before pooling: no value is below 0."""
    ops = keras.ops

    def column(mask: Any) -> Any:
        return ops.expand_dims(ops.cast(mask, "float32"), -1)

    class Conv1D(keras.layers.Conv1D):  # type: ignore[misc]
        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **settings)
            self.supports_masking = True

        def call(self, inputs: Any, mask: Any = None) -> Any:
            return super().call(inputs * column(mask)) * column(mask)

    class MaxPooling1D(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self, size: int) -> None:
            super().__init__()
            self.size, self.supports_masking = size, True

        def windows(self, inputs: Any) -> Any:
            missing = -inputs.shape[1] % self.size if inputs.shape[1] else 0
            return ops.max_pool(
                ops.pad(inputs, ((0, 0), (missing, 0), (0, 0))), self.size, self.size, "valid"
            )

        def call(self, inputs: Any, mask: Any = None) -> Any:
            return self.windows(inputs)

        def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
            return ops.squeeze(self.windows(column(mask)), -1) > 0.5

    class Flatten(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.supports_masking = True

        def call(self, inputs: Any, mask: Any = None) -> Any:
            return ops.reshape(inputs * column(mask), (-1, inputs.shape[1] * inputs.shape[2]))

        def compute_mask(self, inputs: Any, mask: Any = None) -> None:
            return None

    return {"Conv1D": Conv1D, "MaxPooling1D": MaxPooling1D, "Flatten": Flatten}


def _clock(keras: Any) -> Any:
    class Clock(keras.callbacks.Callback):  # type: ignore[misc]
        """The epoch alone, without what ``fit`` sets up around it; losses are kept and not waited for."""

        def __init__(self) -> None:
            super().__init__()
            self.seconds = 0.0
            self.means: list[Any] = []

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.begun = time.perf_counter()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.means.append(logs["loss"])

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.seconds = time.perf_counter() - self.begun

    return Clock()


def _stream(keras: Any, batches: list[tuple[Any, Any]]) -> Any:
    """Batches of unequal length for ``fit``."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        shapes = (tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None,), tf.int32))
        return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=shapes)

    class Batches(keras.utils.PyDataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return len(batches)

        def __getitem__(self, number: int) -> tuple[Any, Any]:
            return batches[number]

    return Batches()


def main() -> None:
    """Serves requests."""
    trainer = Trainer()
    serve({name: getattr(trainer, name) for name in ("start", "round", "start_inference", "one", "bulk")})
