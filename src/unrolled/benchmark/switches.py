"""The tricks of this package, to be switched off one at a time within a process that measures."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

from unrolled.errors import UsageError, nearest
from unrolled.models import ModelSpec

SWITCHES = {
    "fusion": "layers are computed one by one, and Adam is Keras' own",
    "kernels": "Keras' own recurrent layers as well as no fusion: what plain Keras would do in our engine",
    "fold": "embedding and recurrent layer are computed apart: each position is projected, not each word",
    "padding": "padding that is a word is computed step by step, for each sequence by itself",
    "phrases": "convolution, pooling and recurrent layer are computed apart (padding as a word)",
    "front": "embedding, convolution and pooling are Keras' own",
    "positions": "embedding, flattening and dense layer are computed apart",
    "adam": "Adam is Keras' own",
    "lengths": "batches are not grouped by length; all are padded to the full length",
    "kept-memory": "freed memory goes back to the system",
}
_FUSIONS = {"fold": "tokens", "phrases": "phrases", "front": "front", "positions": "positions"}


def check_switches(names: Iterable[str]) -> list[str]:
    """The names, each once.

    Raises:
        UsageError: an unknown one.
    """
    found: list[str] = []
    for name in names:
        if name not in SWITCHES:
            raise UsageError(
                "--without",
                f"unknown name (got {name!r})",
                expected=", ".join(SWITCHES),
                action=nearest(name, SWITCHES),
            )
        if name not in found:
            found.append(name)
    return found


def applies(name: str, spec: ModelSpec, lengths: Sequence[int]) -> bool:
    """Whether a trick is in use for a model at all.

    Args:
        name: of the switch.
        spec: the architecture.
        lengths: to which batches are padded.
    """
    fields = type(spec).model_fields
    recurrent, convolutional = "cell" in fields, "filters" in fields
    together = convolutional and recurrent and spec.padding == "word"
    return {
        "fusion": "embedding_size" in fields,
        "kernels": recurrent,
        "fold": recurrent and not convolutional,
        "padding": recurrent and spec.padding == "word",
        "phrases": together,
        "front": convolutional and not together,
        "positions": "embedding_size" in fields and not recurrent and not convolutional,
        "adam": True,
        "lengths": len(lengths) > 1,
        "kept-memory": sys.platform == "linux",
    }[name]


def switch_off(names: Iterable[str]) -> bool:
    """Switches tricks off for the rest of this process.

    "lengths" and "kept-memory" are decided before it starts, by whoever starts it.

    Returns:
        Whether networks are still to be fused.
    """
    from unrolled import layers
    from unrolled.layers import fusion

    names = check_switches(names)
    if "kernels" in names:
        for kind in ("SimpleRNN", "GRU", "LSTM"):
            setattr(layers, kind, getattr(layers.keras.layers, kind))
    if "adam" in names:
        setattr(layers, "Adam", layers.keras.optimizers.Adam)  # noqa: B010
    if "padding" in names:
        setattr(fusion, "PADDING_AT_ONCE", False)  # noqa: B010
    barred = {_FUSIONS[name] for name in names if name in _FUSIONS}
    if barred:
        find = fusion.fusion_of

        def fusion_of(layers: list[Any], place: int) -> str | None:
            kind = find(layers, place)
            return None if kind in barred else kind

        fusion.fusion_of = fusion_of
    return not {"fusion", "kernels"} & set(names)
