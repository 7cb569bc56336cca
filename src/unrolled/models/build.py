"""From a spec to a Keras model."""

from __future__ import annotations

import re
from typing import Any

from unrolled.models.spec import ModelSpec, make_spec


def build_model(model: str | ModelSpec, *, seed: int | None = None, **settings: Any) -> Any:
    """A plain, uncompiled ``keras.Model`` for an architecture.

    The input is token ids, shape (batch, length), 0 where padded; with ``features`` it is numbers, shape
    (batch, length, features + 1), the last 1 where a step is real and 0 where padded. The output is the
    probability of the second of two classes, shape (batch, 1), or of each of more, shape (batch, classes).

    Args:
        model: a registry name ("lstm") or a finished spec.
        seed: fixes initial weights and dropout; None leaves Keras' global seed in charge.
        settings: fields of the spec, for a registry name only: ``vocabulary_size``, ``length``,
            ``embedding_size``, ``units`` and so on.

    Returns:
        keras.Sequential, built, on the Keras backend in use.

    Raises:
        UsageError: an unknown name or setting, or an architecture that is no network.
    """
    from unrolled.layers import keras

    if isinstance(model, ModelSpec):
        spec = model.model_copy(update=settings) if settings else model
        spec = make_spec(**spec.model_dump())
    else:
        spec = make_spec(model, **settings)
    if seed is not None:
        keras.utils.set_random_seed(seed)
    features = int(getattr(spec, "features", 0))
    dtype = "int32" if "embedding_size" in type(spec).model_fields and not features else "float32"
    step = (features + 1,) if features else ()
    binary = spec.classes == 2
    return keras.Sequential(
        [
            keras.Input((spec.length, *step), dtype=dtype, name="steps" if features else "tokens"),
            *_named(spec.layers()),
            keras.layers.Dense(
                1 if binary else spec.classes, activation="sigmoid" if binary else "softmax", name="output"
            ),
        ],
        name=spec.architecture,
    )


def _named(layers: list[Any]) -> list[Any]:
    """The layers, named by kind and place: Keras' own names count what the process has built before."""
    seen: dict[str, int] = {}
    for layer in layers:
        kind = re.sub(r"_\d+$", "", layer.name)
        seen[kind] = seen.get(kind, 0) + 1
        layer.name = kind if seen[kind] == 1 else f"{kind}_{seen[kind]}"
    return layers


def outline_model(spec: ModelSpec) -> Any:
    """The network of a spec with shapes and names but no weights: enough to count, at no cost.

    Its variables are never initialised, so it can be described and not be called.
    """
    from unrolled.layers import keras

    with keras.StatelessScope(initialize_variables=False):
        return build_model(spec)


def chain_layers(network: Any, *, fused: bool) -> Any:
    """A model with the variables of ``network`` for token ids of any length, as training uses it.

    Args:
        network: a sequential model of :func:`build_model`.
        fused: whether layers are computed together where that gives the same function for less work.
    """
    from unrolled.layers import accelerate, loosen_length

    return accelerate(network) if fused else loosen_length(network)
