"""What sides are given: an even sample of the epoch, and rows padded as the engine pads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from unrolled.benchmark.job import describe_layers, make_plan, neural_names, plan_answers, write_job
from unrolled.benchmark.peers.wire import read_job
from unrolled.errors import UsageError
from unrolled.models import architectures, make_spec
from unrolled.training.batching import Batcher, padded_lengths
from unrolled.types import EncodedDataset, EncodedSplit, Ragged


@pytest.fixture(scope="module")
def data() -> EncodedDataset:
    """12,000 sequences of 1 to 40 tokens, so that lengths are grouped."""
    random = np.random.default_rng(0)
    lengths = random.integers(1, 41, 12_000)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = Ragged(random.integers(1, 60, offsets[-1]).astype(np.int32), offsets)
    split = EncodedSplit(tokens, random.integers(0, 2, 12_000).astype(np.int32))
    small = split.take(np.arange(50))
    return EncodedDataset("toy", ("bad", "good"), split, small, small, 60, "0" * 64)


@pytest.mark.parametrize("protocol", ["standard", "notebook"])
def test_the_sample_is_of_the_epoch_and_as_long_on_average(data: EncodedDataset, protocol: str) -> None:
    plan = make_plan("gru", data, protocol, batch_size=64, num_steps=12)
    lengths = padded_lengths(plan.spec, data.train, group=protocol == "standard")
    order = Batcher(plan.spec, 64, lengths).epoch_order(data.train, 0, 1)
    places = [
        next(p for p, rows in enumerate(order) if np.array_equal(rows, batch)) for batch in plan.batches
    ]
    assert places == sorted(set(places))
    assert plan.steps_per_epoch == len(order) == 188
    whole = np.mean([data.train.tokens.lengths[rows].sum() for rows in order if len(rows) == 64])
    sampled = np.mean([data.train.tokens.lengths[rows].sum() for rows in plan.batches])
    assert sampled == pytest.approx(whole, rel=0.02)
    if protocol == "standard":
        assert len(lengths) > 1
        assert np.ptp([data.train.tokens.lengths[rows].max() for rows in plan.batches]) > 20


def test_small_data_gives_one_whole_batch(data: EncodedDataset) -> None:
    tiny = EncodedDataset("toy", data.classes, data.test, data.test, data.test, 60, "0" * 64)
    plan = make_plan("gru", tiny, "standard", batch_size=128, num_steps=8)
    assert (plan.batch_size, len(plan.batches), plan.steps_per_epoch) == (50, 1, 1)


@pytest.mark.parametrize("name", ["gru", "cnn_lstm"])
def test_peers_pad_as_the_engine_pads(data: EncodedDataset, name: str, tmp_path: Path) -> None:
    plan = make_plan(name, data, "standard", batch_size=64, num_steps=5)
    plan = type(plan)(
        plan.name,
        plan.spec.model_copy(update={"vocabulary_size": 40}),
        plan.lengths,
        plan.batches,
        plan.steps_per_epoch,
        plan.parameters,
    )
    job = read_job(str(write_job(plan, data.train, tmp_path / "job")))
    assert job.num_batches == 5
    batcher = Batcher(plan.spec, 64, plan.lengths)
    for number, rows in enumerate(plan.batches):
        expected = batcher.batch(data.train, rows)
        length = job.batch_length(number, helped=True)
        np.testing.assert_array_equal(job.padded(job.rows(number), length), expected.tokens)
        np.testing.assert_array_equal(job.labels[job.rows(number)], expected.labels)
        right = job.padded(job.rows(number), length, right=True)
        np.testing.assert_array_equal(np.sort(right, 1), np.sort(expected.tokens, 1))
        assert not ((right[:, :-1] == 0) & (right[:, 1:] != 0)).any()
        assert job.batch_length(number, helped=False) == plan.spec.length


@pytest.mark.parametrize("name", [n for n in architectures().names() if n != "linear"])
def test_layers_are_described_one_by_one(name: str) -> None:
    from unrolled.models.build import outline_model

    spec = make_spec(name)
    kinds = {
        "Embedding": "embedding",
        "Conv1D": "convolution",
        "MaxPooling1D": "pooling",
        "Flatten": "flatten",
        "SimpleRNN": "recurrence",
        "GRU": "recurrence",
        "LSTM": "recurrence",
        "Bidirectional": "recurrence",
        "Dense": "dense",
    }
    found = [kinds[type(layer).__name__] for layer in outline_model(spec).layers]
    assert [layer["kind"] for layer in describe_layers(spec)] == [*found[:-1], "output"]


def test_answers_come_in_whole_batches(data: EncodedDataset) -> None:
    plan = plan_answers("gru", data, "standard", num_reviews=50, batch_size=16)
    assert np.array_equal(np.concatenate(plan.batches), np.arange(48))


def test_what_is_no_network_is_refused() -> None:
    assert neural_names(None, ("gru",)) == ["gru"]
    with pytest.raises(UsageError, match="not a network"):
        neural_names(["gru", "linear"], ())


def test_dropout_can_be_chosen(data: EncodedDataset) -> None:
    own = make_plan("lstm", data, "standard", batch_size=64, num_steps=2)
    without = make_plan("lstm", data, "standard", batch_size=64, num_steps=2, dropout=0.0)
    assert (own.spec.dropout, without.spec.dropout) == (0.3, 0.0)
    assert not any(layer["dropout"] for layer in describe_layers(without.spec) if "dropout" in layer)
    # A model that has none is left as it is.
    plain = make_plan("cnn", data, "standard", batch_size=64, num_steps=2, dropout=0.5)
    assert "dropout" not in type(plain.spec).model_fields
