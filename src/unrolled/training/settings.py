"""How a model is trained: a frozen record, and the values that each protocol gives it."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from unrolled.models import Architecture, ModelSpec, architectures, make_spec
from unrolled.types import EncodedDataset, IntArray

Protocol = Literal["standard", "notebook"]

# Below this many training sequences a batch of 128 leaves too few steps per epoch to learn from.
SMALL_CORPUS = 10_000


class TrainingSettings(BaseModel):
    """Everything about training that is not the architecture.

    Args:
        protocol: "standard" stops early and keeps the epoch that is best on the validation part;
            "notebook" trains a fixed number of epochs and keeps the last.
        epochs: passes over the training part, at most.
        batch_size: sequences per step.
        learning_rate: Adam's; its other settings are Keras' defaults.
        patience: epochs without improvement before stopping; None trains them all.
        seed: fixes initial weights, shuffling and dropout.
        group_lengths: cut batches from sequences of similar length, where padding is masked.
        class_weights: what an item of each class counts in the loss, in index order; None counts all alike.
            With weights the best epoch is the one with the best balanced accuracy.
        threads: that a step may use. The same number gives the same bits; another one sums in another order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: Protocol = "standard"
    epochs: int = Field(10, ge=1)
    batch_size: int = Field(128, ge=1)
    learning_rate: float = Field(1e-3, gt=0.0)
    patience: int | None = Field(3, ge=1)
    seed: int = Field(0, ge=0)
    group_lengths: bool = True
    class_weights: tuple[Annotated[float, Field(gt=0.0, allow_inf_nan=False)], ...] | None = None
    threads: int = Field(1, ge=1, le=255)


def balanced_weights(labels: IntArray, num_classes: int) -> tuple[float, ...]:
    """Weights that let every class count as much as any other, and an item 1 on average.

    Items / (classes × items of the class), the rule of King & Zeng, "Logistic Regression in Rare Events
    Data" (2001), that scikit-learn calls "balanced".

    Args:
        labels: int32, shape (items,); a class that does not occur weighs 1 and is not counted.
        num_classes: how many there are.
    """
    counts = np.bincount(labels, minlength=num_classes)
    present = int((counts > 0).sum())
    return tuple(float(len(labels) / (present * count)) if count else 1.0 for count in counts)


def plan_settings(
    architecture: Architecture,
    protocol: Protocol,
    *,
    num_train: int,
    seed: int = 0,
    epochs: int | None = None,
) -> TrainingSettings:
    """The settings a protocol prescribes for an architecture and a corpus of ``num_train`` sequences.

    ``notebook`` takes epochs and batch size from the lab. ``standard`` treats all networks alike: patience 3,
    batches of 128, or 32 for a small corpus, and at most the lab's epochs: ten, or three for ``cnn_gru``,
    whose brief training is all that tells it from ``cnn_gru_long``.
    """
    if protocol == "notebook":
        return TrainingSettings(
            protocol=protocol,
            epochs=epochs or architecture.epochs,
            batch_size=architecture.batch_size,
            patience=None,
            seed=seed,
            group_lengths=False,
        )
    batch_size = 128 if num_train >= SMALL_CORPUS else 32
    return TrainingSettings(
        protocol=protocol, epochs=epochs or architecture.epochs, batch_size=batch_size, seed=seed
    )


def plan_spec(
    architecture: Architecture, protocol: Protocol, data: EncodedDataset, **settings: int
) -> ModelSpec:
    """The spec of an architecture for a data set: its classes, its vocabulary if smaller, its padding.

    Args:
        architecture: a row of the zoo.
        protocol: decides whether padding is masked or a word.
        data: the encoded corpus.
        settings: fields of the spec that the user chose.
    """
    spec = architecture.spec
    chosen: dict[str, object] = {"classes": len(data.classes)}
    if spec.neural:
        default = int(spec.model_fields["vocabulary_size"].default)
        chosen["vocabulary_size"] = min(default, max(4, data.vocabulary_size))
        longest = max(int(data.train.tokens.lengths.max(initial=1)), 1)
        chosen["length"] = min(int(spec.model_fields["length"].default), longest)
        chosen["padding"] = "word" if protocol == "notebook" else "masked"
    if protocol == "notebook" and spec.neural:
        # The lab pads to its 500 steps whatever the texts are.
        chosen["length"] = int(spec.model_fields["length"].default)
    return make_spec(architecture.name, **{**chosen, **settings})


def select_architectures(names: list[str] | None) -> list[Architecture]:
    """The architectures called ``names``, in that order; the whole zoo for None."""
    zoo = architectures()
    return [zoo.get(name) for name in (names or zoo.names())]
