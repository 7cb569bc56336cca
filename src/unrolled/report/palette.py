"""One colour and one marker for each model, the same in every figure, light and dark.

Hue tells the family, lightness and marker the member. Two models that share a marker stay apart in colour
for readers with red-green blindness as well; ``tests/report/test_palette.py`` computes that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tone:
    """How one series is drawn: colours on light and on dark paper, and a marker's shape."""

    light: str
    dark: str
    marker: str


MODELS: dict[str, Tone] = {
    "linear": Tone("#5f6670", "#a7aeb8", "square"),
    "dense": Tone("#8a6a12", "#c7a44a", "diamond"),
    "embedding_dense": Tone("#dd9400", "#f2b84b", "circle"),
    "cnn": Tone("#00835f", "#3fc79d", "circle"),
    "simple_rnn": Tone("#cf4a0a", "#ff8a50", "triangle"),
    "gru": Tone("#a83a86", "#e58ac8", "circle"),
    "lstm": Tone("#0067ab", "#5db4f0", "circle"),
    "bilstm": Tone("#3f9fdb", "#9ad4fb", "diamond"),
    "stacked_lstm": Tone("#123f73", "#7f9fdc", "square"),
    "cnn_lstm": Tone("#4f6fb8", "#8ea6f0", "triangle"),
    "cnn_gru": Tone("#7b3f9c", "#c59bea", "square"),
    "cnn_gru_long": Tone("#5b2a80", "#a98be0", "diamond"),
    "cnn_gru_dropout": Tone("#c06fb0", "#f0b0e0", "triangle"),
}
"""The models of the zoo, by registry name."""

OTHERS = (
    Tone("#7a7a1c", "#c9c95a", "diamond"),
    Tone("#00788a", "#4fc4d6", "square"),
    Tone("#9c4a4a", "#e79a9a", "diamond"),
    Tone("#3d7a3d", "#86cc86", "triangle"),
)
"""For models the zoo does not know, in the order of the study, again from the start when they run out."""

SIGNALS: dict[str, Tone] = {
    "accent": Tone("#0c6b67", "#5cc4bd", "circle"),
    "neutral": Tone("#7d828a", "#8f959e", "circle"),
    "low": Tone("#b35806", "#f1a340", "triangle"),
    "high": Tone("#2166ac", "#7db8e8", "circle"),
}
"""For series that are no models: one that matters, its counterpart, and the two ends of a range."""


def assign_tones(names: Sequence[str]) -> dict[str, str]:
    """The CSS class of every model in a study; a model's class does not depend on the others of the zoo.

    >>> assign_tones(["lstm", "mine"])
    {'lstm': 'tone-lstm', 'mine': 'tone-other-0'}
    """
    tones = {}
    unknown = 0
    for name in names:
        if name in MODELS:
            tones[name] = f"tone-{name}"
        elif name not in tones:
            tones[name] = f"tone-other-{unknown % len(OTHERS)}"
            unknown += 1
    return tones


def all_tones() -> dict[str, Tone]:
    """Every tone by its CSS class."""
    named = {f"tone-{name}": tone for name, tone in (MODELS | SIGNALS).items()}
    return named | {f"tone-other-{place}": tone for place, tone in enumerate(OTHERS)}


def tone_of(css_class: str) -> Tone:
    """The tone behind a CSS class; neutral for one that is not known."""
    return all_tones().get(css_class, SIGNALS["neutral"])
