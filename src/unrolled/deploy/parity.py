"""Is an export the network it came from? Asked on real inputs, of lengths that training never saw too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from unrolled.deploy.report import Parity
from unrolled.deploy.source import RunSource
from unrolled.errors import MachineError
from unrolled.types import FloatArray, IntArray, LongArray, Ragged

TOLERANCE = 1e-5
NUM_TEXTS = 1_000
NUM_STRETCHED = 40
#: Where the length is free, twice this many tokens are tried.
FREE_LENGTH = 500


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is asked.

    Args:
        texts: test items, cut as the run cuts them.
        rows: which test items they are, int64.
        stretched: real tokens at lengths from 1 to twice the trained one.
    """

    texts: Ragged
    rows: LongArray
    stretched: Ragged


def choose_inputs(source: RunSource) -> Inputs:
    """Test items spread evenly over the test part, and lengths from 1 to twice the trained one.

    Without data, random words of the vocabulary take their place.
    """
    tokens = source.data.test.tokens if source.data is not None else _random_tokens(source)
    count = min(NUM_TEXTS, len(tokens))
    rows = np.linspace(0, len(tokens) - 1, count).round().astype(np.int64)
    length = source.spec.length if source.spec.neural else FREE_LENGTH
    texts = _last(tokens.take(rows), source.spec.length)
    # Real text without a gap, long enough to be cut anywhere.
    stream = tokens.values[:2_000_000]
    stream = stream if len(stream) >= 2 * length else np.resize(stream, 2 * length)
    sizes = np.unique(np.linspace(1, 2 * length, NUM_STRETCHED).round().astype(np.int64))
    starts = np.linspace(0, len(stream) - 2 * length, len(sizes)).astype(np.int64)
    pieces = [stream[start : start + size] for start, size in zip(starts, sizes, strict=True)]
    return Inputs(texts, rows, Ragged.from_lists(pieces))


def _random_tokens(source: RunSource) -> Ragged:
    """Sequences of 1 token to the trained length, made of the vocabulary's words at random, from one seed."""
    random = np.random.default_rng(0)
    known = source.vocabulary.size if source.vocabulary is not None else source.spec.vocabulary_size
    longest = source.spec.length if source.spec.neural else FREE_LENGTH
    lengths = random.integers(1, longest + 1, 200)
    return Ragged.from_lists([random.integers(2, known, length) for length in lengths])


def _last(tokens: Ragged, length: int) -> Ragged:
    if tokens.lengths.max(initial=0) <= length:
        return tokens
    return Ragged.from_lists([tokens[row][-length:] for row in range(len(tokens))])


Answer = Callable[[Ragged], FloatArray]


def compare(
    inputs: Inputs,
    expected: Answer,
    found: Answer,
    *,
    stretched: tuple[Answer, ...],
    tolerance: float | None,
    real: bool,
) -> tuple[Parity, FloatArray]:
    """The comparison, and the export's answers on the test items.

    Args:
        inputs: what is asked.
        expected: the network's answers.
        found: the export's, for items as the run reads them.
        stretched: the export's for sequences read whole, one way of calling it each.
        tolerance: bound on the differences; None when they are only measured.
        real: whether the inputs are test items.

    Raises:
        MachineError: an answer is no number.
    """
    answers = found(inputs.texts)
    pairs = [(expected(inputs.texts), answers)]
    if stretched:
        whole = expected(inputs.stretched)
        pairs += [(whole, answer(inputs.stretched)) for answer in stretched]
    difference, changed, undecided = 0.0, 0, 0
    for wanted, got in pairs:
        if not np.isfinite(got).all():
            raise _failed("an answer is no number", tolerance)
        difference = max(difference, float(np.abs(wanted - got).max(initial=0.0)))
        best = np.sort(wanted, axis=1)
        close = best[:, -1] - best[:, -2] <= 2 * (tolerance or 0.0)
        changed += int(((wanted.argmax(axis=1) != got.argmax(axis=1)) & ~close).sum())
        undecided += int(close.sum())
    lengths = np.concatenate([inputs.texts.lengths, inputs.stretched.lengths if stretched else []])
    parity = Parity(
        real=real,
        num_texts=len(inputs.texts),
        num_stretched=len(inputs.stretched) if stretched else 0,
        lengths=(int(lengths.min()), int(lengths.max())),
        max_difference=difference,
        labels_changed=changed,
        num_undecided=undecided,
        tolerance=tolerance,
    )
    return parity, answers


def insist(parity: Parity) -> None:
    """Returns when an export kept to its tolerance.

    Raises:
        MachineError: it did not.
    """
    changed, difference = parity.labels_changed, parity.max_difference
    if parity.tolerance is not None and (difference > parity.tolerance or changed):
        raise _failed(
            f"the largest difference is {difference:.2e} and {changed} labels differ", parity.tolerance
        )


def accuracy(probabilities: FloatArray, labels: IntArray) -> float:
    """Share of items whose most likely class is the right one."""
    return float((probabilities.argmax(axis=1) == labels).mean())


def _failed(what: str, tolerance: float | None) -> MachineError:
    return MachineError(
        "export",
        f"the export does not answer as the trained network does ({what}); nothing was written",
        expected=f"differences up to {tolerance or TOLERANCE:g} and the same labels",
        action="--tolerance 1e-4, if labels agree and you accept it; else report it with the run's folder",
    )
