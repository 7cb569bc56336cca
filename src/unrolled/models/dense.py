"""Feed-forward networks: on raw token ids, and on a trained embedding."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from unrolled.models.spec import ModelSpec, register_architecture


@register_architecture("dense", "Dense 250 on the raw token ids: what happens without an embedding")
class DenseSpec(ModelSpec):
    """One hidden layer on the padded token ids, read as if they were measurements.

    Padding is the id 0, which multiplies every weight it meets by nothing: both settings of ``padding``
    give the same network.
    """

    hidden_units: int = Field(250, ge=1)
    fixed_length: ClassVar[bool] = True

    def layers(self) -> list[Any]:
        """A single relu layer."""
        from unrolled.layers import keras

        return [keras.layers.Dense(self.hidden_units, activation="relu")]


class EmbeddedSpec(ModelSpec):
    """What all architectures on an embedding share: its size, and where the mask begins.

    Args:
        embedding_size: numbers per word.
        features: 0 for token ids, which are embedded. Otherwise every step is that many numbers and a mark
            (:class:`unrolled.layers.MarkedSteps`), and there is no embedding.
    """

    embedding_size: int = Field(100, ge=1)
    features: int = Field(0, ge=0)

    def embedding(self) -> Any:
        """The embedding layer, or what takes its place; it raises the mask when padding is masked."""
        from unrolled.layers import MarkedSteps, keras

        if self.features:
            return MarkedSteps(masked=self.padding == "masked")

        return keras.layers.Embedding(
            self.vocabulary_size, self.embedding_size, mask_zero=self.padding == "masked"
        )


@register_architecture(
    "embedding_dense", "Embedding, Flatten, Dense 250: every position has weights of its own"
)
class EmbeddingDenseSpec(EmbeddedSpec):
    """A hidden layer over the embeddings of all positions side by side."""

    hidden_units: int = Field(250, ge=1)
    fixed_length: ClassVar[bool] = True

    def layers(self) -> list[Any]:
        """Embedding, flattening, one relu layer."""
        from unrolled.layers import Flatten, keras

        return [self.embedding(), Flatten(), keras.layers.Dense(self.hidden_units, activation="relu")]
