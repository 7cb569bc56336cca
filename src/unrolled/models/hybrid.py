"""A convolution under a recurrent layer: phrases first, then their order."""

from __future__ import annotations

from typing import Any

from unrolled.models.convolutional import PhraseSpec
from unrolled.models.recurrent import RecurrenceSpec
from unrolled.models.spec import register_architecture


@register_architecture("cnn_gru_dropout", "The same with input dropout 0.3", cell="gru", dropout=0.3)
@register_architecture("cnn_gru_long", "The same, trained as long as the others", cell="gru")
@register_architecture(
    "cnn_gru", "Conv1D 32×3 and MaxPool 2 under GRU 100, briefly", cell="gru", epochs=3, batch_size=64
)
@register_architecture(
    "cnn_lstm", "Conv1D 32×3 and MaxPool 2 under LSTM 100, dropout 0.3", cell="lstm", dropout=0.3
)
class HybridSpec(PhraseSpec, RecurrenceSpec):
    """Pooling halves the steps that the recurrent layer has to remember across."""

    def layers(self) -> list[Any]:
        """The phrase front, then the recurrent layers."""
        return [*self.phrase_layers(), *self.recurrent_layers()]
