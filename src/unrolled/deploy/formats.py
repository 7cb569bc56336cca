"""One function for each format: writes the model into a folder and returns how it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from unrolled.data.storage import write_atomically
from unrolled.deploy.manifest import MODEL, Manifest
from unrolled.deploy.parity import Answer
from unrolled.deploy.source import RunSource
from unrolled.errors import MachineError, UsageError
from unrolled.models.build import chain_layers
from unrolled.registry import Registry
from unrolled.types import Ragged


@dataclass(frozen=True, slots=True)
class Written:
    """A model that was written.

    Args:
        files: the files that hold it.
        facts: fields of the manifest that depend on the model.
        float32_bytes: size of the model file before eight bits; None where nothing was quantized.
    """

    files: tuple[str, ...]
    facts: dict[str, Any]
    float32_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """How a model is written.

    Args:
        int8: weights in eight bits (ONNX only).
        exact: recurrent layers in a way that lies closer to the run's own arithmetic. ONNX: a tanh that ONNX
            Runtime computes to the last bit or so, at half the speed. Keras: the layers of this package.
    """

    int8: bool = False
    exact: bool = False


Writer: TypeAlias = Callable[[RunSource, Path, Options], Written]
FORMATS: Registry[Writer] = Registry("format")


@FORMATS.register("onnx")
def write_onnx(source: RunSource, folder: Path, options: Options) -> Written:
    """``model.onnx``: standard operators, dynamic batch and length, nothing but weights and a graph."""
    try:
        import onnx  # noqa: F401
    except ImportError:
        raise MachineError(
            "onnx",
            "the package is not installed",
            expected="what writing ONNX needs",
            action="pip install 'unrolled[onnx,serve]'",
        ) from None
    from unrolled.deploy.onnx_linear import linear_to_onnx
    from unrolled.deploy.onnx_network import network_to_onnx
    from unrolled.deploy.quantize import quantize

    doc = f"{source.name}, a text classifier"
    if source.spec.neural:
        model = network_to_onnx(source.spec, source.weights, doc=doc, exact_tanh=options.exact)
    else:
        model = linear_to_onnx(source.spec, source.weights, doc=doc)
    float32_bytes = None
    if options.int8:
        float32_bytes = model.ByteSize()
        model = quantize(model)
    write_atomically(folder / MODEL, model.SerializeToString())
    outputs = {output.name for output in model.graph.output}
    window = getattr(source.spec, "pool_size", 1) if "reading" in outputs else None
    facts = {"window": window, "features": None if source.spec.neural else len(source.weights["codes"])}
    return Written((MODEL,), {**facts, "gradients": "gradient" in outputs}, float32_bytes)


@FORMATS.register("keras")
def write_keras(source: RunSource, folder: Path, options: Options) -> Written:
    """``model.keras``: what ``keras.saving.load_model`` reads, with Keras' own layers where they suffice."""
    _needs_network(source, "keras")
    _no_int8(options.int8, "keras")
    from unrolled.deploy.network import build_network

    plain = with_stock_layers(build_network(source), recurrent=not options.exact)
    plain.save(folder / "model.keras")
    return Written(("model.keras",), {})


@FORMATS.register("safetensors")
def write_safetensors(source: RunSource, folder: Path, options: Options) -> Written:
    """``model.safetensors``: the weights by name, to be rebuilt from ``config.json``."""
    _no_int8(options.int8, "safetensors")
    from safetensors.numpy import save

    arrays = {name: np.ascontiguousarray(source.weights[name]) for name in sorted(source.weights)}
    write_atomically(folder / "model.safetensors", save(arrays, metadata={"format": "np"}))
    return Written(("model.safetensors",), {})


def answers(source: RunSource, folder: Path, manifest: Manifest) -> tuple[Answer, tuple[Answer, ...]]:
    """How a written export answers: for items as the run reads them, and for sequences read whole."""
    if manifest.format == "onnx":
        return _onnx_answers(folder)
    from unrolled.deploy import network

    if manifest.format == "keras":
        from unrolled.layers import keras

        # Written a moment ago by this process; foreign .keras files are never loaded.
        loaded = keras.saving.load_model(folder / "model.keras", safe_mode=True)
        if not network.fits_length(source):
            loaded = chain_layers(loaded, fused=False)

        def by_keras(tokens: Ragged) -> Any:
            return network.predict(source, loaded, tokens)

        return by_keras, (by_keras,)
    from dataclasses import replace

    from safetensors.numpy import load_file

    again = replace(source, weights=load_file(folder / "model.safetensors"))
    rebuilt = network.reference(again)
    return rebuilt, (rebuilt,)


def _onnx_answers(folder: Path) -> tuple[Answer, tuple[Answer, ...]]:
    from unrolled.deploy.predictor import Predictor

    predictor = Predictor(folder)

    def as_the_run(tokens: Ragged) -> Any:
        return predictor.predict_tokens([tokens[row].astype(np.int64) for row in range(len(tokens))])

    def one_by_one(tokens: Ragged) -> Any:
        rows = [predictor.run(tokens[row][None].astype(np.int64)) for row in range(len(tokens))]
        return np.concatenate(rows)

    def as_one_batch(tokens: Ragged) -> Any:
        from unrolled.data.padding import pad_sequences

        return predictor.run(pad_sequences(tokens).astype(np.int64))

    return as_the_run, (one_by_one, as_one_batch)


def with_stock_layers(network: Any, *, recurrent: bool = True) -> Any:
    """The same network and weights in layers of ``keras.layers``, except those that must respect a mask.

    Our recurrent layers compute what Keras' own do, so that the file opens wherever Keras is. Convolution,
    pooling and flattening under a mask have no counterpart there: they stay ours, and the card says so.
    So do recurrent layers where ``recurrent`` is False.
    """
    from unrolled.layers import GRU, LSTM, SimpleRNN, keras

    masked = any(getattr(layer, "mask_zero", False) for layer in network.layers)

    def stock(layer: Any) -> Any:
        kind = type(layer)
        if isinstance(layer, keras.layers.Bidirectional):
            return keras.layers.Bidirectional(stock(layer.forward_layer), name=layer.name)
        replaceable = recurrent if isinstance(layer, SimpleRNN | LSTM | GRU) else not masked
        if kind.__module__.startswith("unrolled") and replaceable:
            kind = getattr(keras.layers, kind.__name__)
        return kind.from_config(layer.get_config())

    shape, dtype = network.inputs[0].shape[1:], network.inputs[0].dtype
    inputs = keras.Input(shape, dtype=dtype, name="tokens")
    plain = keras.Sequential([inputs, *map(stock, network.layers)], name=network.name)
    plain.set_weights(network.get_weights())
    return plain


def _needs_network(source: RunSource, name: str) -> None:
    if not source.spec.neural:
        raise UsageError(
            "--format",
            f"{source.spec.architecture} is no network (got format={name!r})",
            expected="onnx or safetensors for this run",
            action="--format onnx",
        )


def _no_int8(int8: bool, name: str) -> None:
    if int8:
        raise UsageError(
            "--int8",
            f"weights in eight bits are for ONNX only (got format={name!r})",
            expected="--format onnx",
            action="--format onnx --int8",
        )
