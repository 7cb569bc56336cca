"""A convolution over word embeddings: detectors of short phrases, wherever they stand."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from unrolled.models.dense import EmbeddedSpec
from unrolled.models.spec import register_architecture


class PhraseSpec(EmbeddedSpec):
    """Embedding, convolution and pooling: the front that ``cnn`` and the hybrids share."""

    filters: int = Field(32, ge=1)
    kernel_size: int = Field(3, ge=1)
    pool_size: int = Field(2, ge=1)

    def phrase_layers(self) -> list[Any]:
        """Embedding, relu convolution of unchanged length, max pooling."""
        from unrolled.layers import Conv1D, MaxPooling1D

        return [
            self.embedding(),
            Conv1D(self.filters, self.kernel_size, padding="same", activation="relu"),
            MaxPooling1D(self.pool_size),
        ]


@register_architecture("cnn", "Embedding, Conv1D 32×3, MaxPool 2, Flatten, Dense 250")
class CnnSpec(PhraseSpec):
    """Phrase detectors whose place in the review still matters, since a Flatten follows."""

    hidden_units: int = Field(250, ge=1)
    fixed_length: ClassVar[bool] = True

    def layers(self) -> list[Any]:
        """The phrase front, flattening, one relu layer."""
        from unrolled.layers import Flatten, keras

        return [*self.phrase_layers(), Flatten(), keras.layers.Dense(self.hidden_units, activation="relu")]
