"""Recurrent networks over word embeddings: SimpleRNN, GRU, LSTM, in both directions, and stacked."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from unrolled.models.dense import EmbeddedSpec
from unrolled.models.spec import register_architecture

Cell = Literal["simple_rnn", "gru", "lstm"]


class RecurrenceSpec(EmbeddedSpec):
    """The recurrent part that the plain networks and the hybrids share.

    Args:
        cell: which recurrence.
        units: hidden units per layer and direction.
        num_layers: recurrent layers on top of each other.
        bidirectional: whether each layer reads in both directions.
        dropout: share of a layer's inputs switched off, the same for all steps of a review.
        recurrent_dropout: share of the state switched off; takes the slow path.
    """

    cell: Cell = "lstm"
    units: int = Field(100, ge=1)
    num_layers: int = Field(1, ge=1)
    bidirectional: bool = False
    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    recurrent_dropout: float = Field(0.0, ge=0.0, lt=1.0)

    def recurrent_layers(self) -> list[Any]:
        """One layer per ``num_layers``; all but the last answer at every step."""
        from unrolled import layers

        kind = {"simple_rnn": layers.SimpleRNN, "gru": layers.GRU, "lstm": layers.LSTM}[self.cell]
        stack = []
        for number in range(1, self.num_layers + 1):
            layer = kind(
                self.units,
                dropout=self.dropout,
                recurrent_dropout=self.recurrent_dropout,
                return_sequences=number < self.num_layers,
            )
            stack.append(layers.keras.layers.Bidirectional(layer) if self.bidirectional else layer)
        return stack


@register_architecture(
    "stacked_lstm",
    "Embedding, two LSTM 100 on top of each other, dropout 0.3",
    cell="lstm",
    dropout=0.3,
    num_layers=2,
)
@register_architecture(
    "bilstm",
    "Embedding, LSTM 100 in both directions, dropout 0.3",
    cell="lstm",
    dropout=0.3,
    bidirectional=True,
)
@register_architecture("lstm", "Embedding, LSTM 100 with input dropout 0.3", cell="lstm", dropout=0.3)
@register_architecture("gru", "Embedding, GRU 100", cell="gru")
@register_architecture("simple_rnn", "Embedding, SimpleRNN 100", cell="simple_rnn")
class RecurrentSpec(RecurrenceSpec):
    """An embedding read word by word; the last state decides."""

    def layers(self) -> list[Any]:
        """Embedding, then the recurrent layers."""
        return [self.embedding(), *self.recurrent_layers()]
