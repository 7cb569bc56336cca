"""The floor against counts made by hand, and against literal loops over positions."""

from __future__ import annotations

import numpy as np
import pytest

from unrolled.benchmark.floor import Rates, Work, count_step
from unrolled.benchmark.job import describe_layers
from unrolled.models import make_spec

# Two reviews of four positions: two words (the same), and four words.
TOKENS = np.array([[0, 0, 5, 5], [5, 6, 7, 6]], np.int32)
OUTPUT = 6 * 3 * 1 * 2
"""The last layer of networks with 3 units, for both reviews."""


def flops(name: str, tokens: np.ndarray = TOKENS, *, padding: str, **settings: object) -> float:
    spec = make_spec(name, length=4, vocabulary_size=10, padding=padding, **settings)
    return count_step(describe_layers(spec), tokens, masked=padding == "masked", parameters=0).flops


SIZES = {"embedding_size": 2, "units": 3}


@pytest.mark.parametrize(("name", "gates"), [("simple_rnn", 1), ("gru", 3), ("lstm", 4)])
def test_masked_recurrence_computes_words_and_projects_distinct_tokens(name: str, gates: int) -> None:
    # 6 words; 3 distinct tokens.
    expected = 6 * gates * 3 * (3 * 6 + 2 * 3) + OUTPUT
    assert flops(name, padding="masked", **SIZES, dropout=0.0) == expected


def test_dropout_projects_the_words_of_each_review_by_what_it_keeps() -> None:
    # Of 6 words one review has 1 distinct, the other 3.
    expected = 6 * 4 * 3 * (3 * 6 + 2 * 0.75 * 4) + OUTPUT
    assert flops("lstm", padding="masked", **SIZES, dropout=0.25) == expected


def test_padding_as_a_word_is_one_path_without_dropout() -> None:
    # 6 words and the longest padding, 2; 3 distinct words and the padding.
    assert flops("gru", padding="word", **SIZES) == 6 * 3 * 3 * (3 * 8 + 2 * 4) + OUTPUT


def test_padding_as_a_word_is_a_path_for_each_review_with_dropout() -> None:
    # 6 words and one step of the padding that one review has; distinct: 1 and the padding, 3.
    expected = 6 * 3 * 3 * (3 * 7 + 2 * 0.75 * 5) + OUTPUT
    assert flops("gru", padding="word", **SIZES, dropout=0.25) == expected


def test_the_longest_padding_stands_for_all_others() -> None:
    tokens = np.array([[0, 0, 0, 5], [0, 0, 6, 6], [0, 5, 6, 7]], np.int32)
    output = 6 * 3 * 3
    # 6 words and a path of 3 steps; 3 distinct words and the padding.
    assert flops("gru", tokens, padding="word", **SIZES) == 6 * 3 * 3 * (3 * 9 + 2 * 4) + output
    # 6 words and a step of padding for each of 3 reviews; distinct words 1, 1, 3, and 3 paddings.
    dropped = flops("gru", tokens, padding="word", **SIZES, dropout=0.25)
    assert dropped == 6 * 3 * 3 * (3 * 9 + 2 * 0.75 * 8) + output


def test_both_directions_count() -> None:
    one = flops("lstm", padding="masked", **SIZES, dropout=0.25) - OUTPUT
    both = flops("bilstm", padding="masked", **SIZES, dropout=0.25)
    assert both == 2 * one + 6 * 6 * 1 * 2


def test_a_second_layer_reads_the_first() -> None:
    first = 6 * 4 * 3 * (3 * 6 + 2 * 0.75 * 4)
    second = 6 * 4 * 3 * (3 * 6 + 3 * 0.75 * 6)
    assert flops("stacked_lstm", padding="masked", **SIZES, dropout=0.25) == first + second + OUTPUT


def test_convolution_projects_distinct_tokens_and_its_recurrence_all_windows() -> None:
    sizes = {**SIZES, "filters": 5, "kernel_size": 3, "pool_size": 2}
    convolution = 6 * 2 * 3 * 5 * 3
    # Windows with a word: 1 and 2.
    recurrence = 6 * 3 * 3 * (3 * 3 + 5 * 3)
    assert flops("cnn_gru", padding="masked", **sizes) == convolution + recurrence + OUTPUT
    # As a word: one distinct token more; one window of padding, for all.
    convolution = 6 * 2 * 3 * 5 * 4
    recurrence = 6 * 3 * 3 * (3 * 4 + 5 * 4)
    assert flops("cnn_gru", padding="word", **sizes) == convolution + recurrence + OUTPUT


def test_flattened_positions_count_distinct_words_of_each_position() -> None:
    output = 6 * 7 * 2
    # Positions: {5}, {6}, {5, 7}, {5, 6}.
    expected = 6 * 2 * 7 * 6 + output
    assert flops("embedding_dense", padding="masked", embedding_size=2, hidden_units=7) == expected
    # As a word, padding is one more in each of the first two.
    expected = 6 * 2 * 7 * 8 + output
    assert flops("embedding_dense", padding="word", embedding_size=2, hidden_units=7) == expected


def test_flattened_windows_count_words_and_one_padding() -> None:
    sizes = {"embedding_size": 2, "hidden_units": 7, "filters": 5, "kernel_size": 3, "pool_size": 2}
    convolution, output = 6 * 2 * 3 * 5, 6 * 7 * 2
    assert flops("cnn", padding="masked", **sizes) == convolution * 3 + 6 * 5 * 7 * 3 + output
    assert flops("cnn", padding="word", **sizes) == convolution * 4 + 6 * 5 * 7 * 4 + output


def test_raw_ids_need_no_gradient_of_their_own() -> None:
    assert flops("dense", padding="masked", hidden_units=7) == 4 * 4 * 7 * 2 + 6 * 7 * 2


def test_floor_of_the_lab_is_the_formula() -> None:
    """6·G·H·(D + H)·S, where nothing is padded, shared or folded."""
    tokens = np.arange(1, 1 + 4 * 50, dtype=np.int32).reshape(4, 50)
    sizes = {"vocabulary_size": 1_000, "embedding_size": 100, "units": 100}
    spec = make_spec("lstm", length=50, **sizes, dropout=0.0)
    work = count_step(describe_layers(spec), tokens, masked=True, parameters=1_000)
    assert work.flops == 6 * 4 * 100 * (100 + 100) * (4 * 50) + 6 * 100 * 4
    assert work.adam_bytes == 28_000


def test_seconds_add_products_and_bytes() -> None:
    rates = Rates(2, flops_per_second=100.0, bytes_per_second=10.0)
    assert (Work(50.0, 20.0) + Work(50.0, 0.0)).seconds(rates) == pytest.approx(3.0)
    assert Work(50.0, 20.0).times(4).seconds(rates) == pytest.approx(10.0)
