"""Which architectures are worth trying on a corpus, from its size and the length of its texts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unrolled.types import EncodedDataset

TINY, SMALL, LARGE = 500, 3_000, 100_000
LONG = 120


@dataclass(frozen=True, slots=True)
class Ladder:
    """Architectures from simple to costly, and why these, in one sentence."""

    names: tuple[str, ...]
    reason: str


def choose_ladder(data: EncodedDataset) -> Ladder:
    """The architectures that suit the training part's size and the median length of its texts.

    The baseline is always first. Networks with more to learn are added as there is more to learn from;
    long texts get pooling under the recurrence, which halves the steps to remember across, and short ones
    a reader in both directions.
    """
    count = len(data.train)
    length = int(np.median(data.train.tokens.lengths))
    is_long = length >= LONG
    texts = f"{count:,} training texts of {length} tokens (median)"
    if count < TINY:
        return Ladder(("linear", "cnn"), f"{texts}: too few for recurrent networks to learn order from.")
    if count < SMALL:
        names = ("linear", "cnn", "cnn_gru_dropout" if is_long else "gru")
        return Ladder(names, f"{texts}: enough for a small network of each kind.")
    recurrent = ("cnn_gru_long", "cnn_lstm") if is_long else ("gru", "lstm")
    shape = "long texts, so pooling under the recurrence" if is_long else "short texts, so plain recurrence"
    if count >= LARGE:
        return Ladder(
            ("linear", "embedding_dense", "cnn", recurrent[0]),
            f"{texts}: {shape}, and one of each kind, since every epoch is long.",
        )
    last = ("gru",) if is_long else ("bilstm",)
    return Ladder(("linear", "cnn", *recurrent, *last), f"{texts}: {shape}.")
