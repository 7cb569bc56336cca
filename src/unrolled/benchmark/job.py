"""What all sides of a benchmark compute, written to a folder that each of them reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.data.encoding import clip_vocabulary
from unrolled.errors import DataError, UsageError
from unrolled.models import ModelSpec, architectures
from unrolled.models.build import outline_model
from unrolled.training.batching import Batcher, padded_lengths
from unrolled.training.network import Network
from unrolled.training.settings import Protocol, plan_spec
from unrolled.types import EncodedDataset, EncodedSplit, LongArray, Ragged

LEARNING_RATE = 1e-3


@dataclass(frozen=True, slots=True)
class Plan:
    """One model's share of a benchmark.

    Args:
        name: registry name.
        spec: what is built.
        lengths: the padded lengths that the engine would use, rising.
        batches: the rows of each timed batch, int64, in the order in which they are trained.
        steps_per_epoch: batches of a whole epoch, the last one included.
        parameters: weights, counted as numbers.
    """

    name: str
    spec: ModelSpec
    lengths: tuple[int, ...]
    batches: tuple[LongArray, ...]
    steps_per_epoch: int
    parameters: int

    @property
    def batch_size(self) -> int:
        """Rows of each batch."""
        return len(self.batches[0])

    @property
    def has_dropout(self) -> bool:
        """Whether sides draw masks of their own, so that their losses agree in distribution alone."""
        return bool(getattr(self.spec, "dropout", 0.0))


def neural_names(names: list[str] | None, default: tuple[str, ...]) -> list[str]:
    """The architectures called ``names``, which must be networks; ``default`` for None.

    Raises:
        UsageError: an unknown name, or one that Keras does not train.
    """
    zoo = architectures()
    found = [zoo.get(name) for name in (names or default)]
    for architecture in found:
        if not architecture.spec.neural:
            raise UsageError(
                "--models",
                f"not a network (got model={architecture.name})",
                expected="architectures that Keras trains",
                action=f"leave {architecture.name} out",
            )
    return [architecture.name for architecture in found]


def make_plan(
    name: str,
    data: EncodedDataset,
    protocol: Protocol,
    *,
    batch_size: int,
    num_steps: int,
    dropout: float | None = None,
) -> Plan:
    """Chooses the batches to time: an even sample of those that the engine would make of an epoch.

    The epoch's batches are ranked by the words that are read in them and the ranks divided into ``num_steps``
    equal parts; the middle one of each part is taken. The mean time of these steps times the number of steps
    is then an estimate for the epoch that knows its short and its long batches. They keep the order that
    they have in the epoch.

    Args:
        name: registry name.
        data: all of its training part is the epoch.
        protocol: decides on padding and on whether lengths are grouped.
        batch_size: rows per step; cut to what the data has.
        num_steps: batches to take; cut likewise.
        dropout: of the inputs of recurrent layers, instead of the architecture's own.

    Raises:
        DataError: the data holds no whole batch.
    """
    spec = plan_spec(architectures().get(name), protocol, data)
    if dropout is not None and "dropout" in type(spec).model_fields:
        spec = spec.model_copy(update={"dropout": dropout})
    train = data.train
    batch_size = min(batch_size, len(train))
    if batch_size < 1:
        raise DataError(data.name, "the training part is empty", expected="one sequence at least")
    lengths = padded_lengths(spec, train, group=protocol == "standard")
    order = Batcher(spec, batch_size, lengths).epoch_order(train, 0, 1)
    whole = [place for place, rows in enumerate(order) if len(rows) == batch_size]
    read = np.minimum(train.tokens.lengths, spec.length)
    ranked = sorted(whole, key=lambda place: (int(read[order[place]].sum()), place))
    num_steps = min(num_steps, len(ranked))
    middles = ((np.arange(num_steps) + 0.5) * len(ranked) / num_steps).astype(int)
    chosen = sorted(ranked[middle] for middle in middles)
    return Plan(
        name,
        spec,
        lengths,
        tuple(order[place] for place in chosen),
        len(order),
        int(outline_model(spec).count_params()),
    )


def plan_answers(
    name: str, data: EncodedDataset, protocol: Protocol, *, num_reviews: int, batch_size: int
) -> Plan:
    """The model for whole batches of ``num_reviews`` sequences, in their order; the rest is left out."""
    spec = plan_spec(architectures().get(name), protocol, data)
    batch_size = min(batch_size, num_reviews)
    count = num_reviews // batch_size
    return Plan(
        name,
        spec,
        padded_lengths(spec, data.train, group=protocol == "standard"),
        tuple(np.arange(count * batch_size).reshape(count, batch_size)),
        count,
        int(outline_model(spec).count_params()),
    )


def write_job(plan: Plan, train: EncodedSplit, folder: Path) -> Path:
    """Writes the tokens, labels, layers and initial weights that every side starts from.

    Returns:
        ``folder``.
    """
    from safetensors.numpy import save

    rows = np.concatenate(plan.batches)
    split = clipped(train.take(rows), plan.spec.vocabulary_size)
    network = Network(plan.spec, seed=0, learning_rate=LEARNING_RATE)
    weights = network.weights(network.initial_state())
    facts = {
        "name": plan.name,
        "spec": plan.spec.model_dump(),
        "layers": describe_layers(plan.spec),
        "length": plan.spec.length,
        "edges": list(plan.lengths),
        "batch": plan.batch_size,
        "masked": plan.spec.padding == "masked",
        "classes": plan.spec.classes,
        "float_inputs": "embedding_size" not in type(plan.spec).model_fields,
        "learning_rate": LEARNING_RATE,
    }
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "values.npy", split.tokens.values)
    np.save(folder / "offsets.npy", split.tokens.offsets)
    np.save(folder / "labels.npy", split.labels)
    arrays = {f"{place:03d}": np.ascontiguousarray(array) for place, array in enumerate(weights.values())}
    (folder / "weights.safetensors").write_bytes(save(arrays))
    (folder / "job.json").write_text(json.dumps(facts), "utf-8")
    return folder


def clipped(split: EncodedSplit, vocabulary_size: int) -> EncodedSplit:
    """The same items with the ids that a model knows."""
    values = clip_vocabulary(split.tokens.values, vocabulary_size)
    return EncodedSplit(Ragged(values, split.tokens.offsets), split.labels)


def describe_layers(spec: ModelSpec) -> list[dict[str, Any]]:
    """The layers of a spec, front to back, in words that need no Keras."""
    fields: dict[str, Any] = spec.model_dump()
    layers: list[dict[str, Any]] = []
    if "embedding_size" in fields:
        layers.append(
            {
                "kind": "embedding",
                "vocabulary_size": spec.vocabulary_size,
                "size": fields["embedding_size"],
            }
        )
    if "filters" in fields:
        layers.append({"kind": "convolution", "filters": fields["filters"], "width": fields["kernel_size"]})
        layers.append({"kind": "pooling", "size": fields["pool_size"]})
    if "cell" in fields:
        layers += [
            {
                "kind": "recurrence",
                "cell": fields["cell"],
                "units": fields["units"],
                "dropout": fields["dropout"],
                "bidirectional": fields["bidirectional"],
                "every": number < fields["num_layers"],
            }
            for number in range(1, fields["num_layers"] + 1)
        ]
    else:
        if "embedding_size" in fields:
            layers.append({"kind": "flatten"})
        layers.append({"kind": "dense", "units": fields["hidden_units"]})
    return [*layers, {"kind": "output", "classes": spec.classes}]
