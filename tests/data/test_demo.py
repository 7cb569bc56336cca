"""The embedded corpus: the same everywhere, and true to its own annotations."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from itertools import pairwise
from statistics import NormalDist

import numpy as np
import pytest
from demo_reader import NEGATIVE, POSITIVE, ROLE_OF_MARKER, judge, read_roles, split_words
from hypothesis import given, settings
from hypothesis import strategies as st

from unrolled.data.demo import ROLES, Recipe, describe_roles, generate_demo, weigh_evidence
from unrolled.data.demo.grammar import lists
from unrolled.data.demo.plan import LENGTH_QUANTILES, draw_length
from unrolled.data.demo.stream import Stream, Table
from unrolled.errors import UsageError
from unrolled.types import Dataset, Split

# sha256 over the lines "label TAB roles as digits TAB text" of train, validation and test of
# generate_demo(train=40, validation=10, test=20), as fingerprint() below writes them. It changes only when
# the corpus changes, and then the figures of docs/demo-corpus.md must be measured again.
GOLDEN = "81a780c1d1c999f1db3fc259882666959f7aeff9f65ccd19d6e4cf55651f5e7c"


def parts_of(dataset: Dataset) -> list[Split]:
    assert dataset.validation is not None
    assert dataset.test is not None
    return [dataset.train, dataset.validation, dataset.test]


def lines_of(split: Split) -> list[str]:
    assert split.texts is not None
    assert split.annotations is not None
    return [
        f"{label}\t{''.join(map(str, annotation.roles))}\t{text}"
        for label, annotation, text in zip(split.labels, split.annotations, split.texts, strict=True)
    ]


def fingerprint(dataset: Dataset) -> str:
    lines = [line for part in parts_of(dataset) for line in lines_of(part)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def test_the_corpus_is_the_pinned_one() -> None:
    assert fingerprint(generate_demo(train=40, validation=10, test=20)) == GOLDEN


def test_the_stream_is_splitmix64() -> None:
    # The first outputs for seed 1234567, as published with the algorithm's reference code in C.
    stream = Stream(1234567)
    assert [stream.bits() for _ in range(5)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_the_length_table_is_log_normal() -> None:
    places = [min(max(step / 64, 1 / 256), 255 / 256) for step in range(65)]
    expected = [round(1024 * math.exp(0.6 * NormalDist().inv_cdf(place))) for place in places]
    assert list(LENGTH_QUANTILES) == expected
    assert all(low < high for low, high in pairwise(LENGTH_QUANTILES))


def test_a_table_is_drawn_by_its_weights() -> None:
    table, stream = Table("abc", [1, 2, 5]), Stream(3)
    drawn = [stream.draw(table) for _ in range(8000)]
    counts = [drawn.count(letter) for letter in "abc"]
    # Chi-squared with two degrees of freedom exceeds 13.8 once in a thousand.
    assert sum((n - e) ** 2 / e for n, e in zip(counts, (1000, 2000, 5000), strict=True)) < 13.8


def test_another_process_with_another_hash_seed_writes_the_same() -> None:
    program = (
        "from unrolled.data.demo import generate_demo;"
        "print(generate_demo(train=20, validation=5, test=5, seed=9).sha256)"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": hash_seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("1", "2")
    }
    assert digests == {generate_demo(train=20, validation=5, test=5, seed=9).sha256}


def test_seeds_and_parts_differ() -> None:
    first, second = (
        generate_demo(train=30, test=30, validation=30),
        generate_demo(train=30, test=30, validation=30, seed=1),
    )
    texts = [text for dataset in (first, second) for part in parts_of(dataset) for text in part.texts or ()]
    assert len(set(texts)) == len(texts) == 180
    assert first.sha256 != second.sha256


@given(
    sizes=st.tuples(st.integers(1, 130), st.integers(0, 130), st.integers(0, 130)),
    seed=st.integers(-(2**70), 2**70),
)
@settings(max_examples=6, deadline=None)
def test_a_larger_corpus_continues_a_smaller_one(sizes: tuple[int, int, int], seed: int) -> None:
    train, validation, test = sizes
    small = generate_demo(train=train, validation=validation, test=test, seed=seed, label_noise=0.13)
    large = generate_demo(
        train=train + 37, validation=validation + 90, test=test + 1, seed=seed, label_noise=0.13
    )
    for part, continued in zip(parts_of(small), parts_of(large), strict=True):
        assert lines_of(part) == lines_of(continued)[: len(part)]


@given(
    seed=st.integers(0, 2**64 - 1),
    median_words=st.sampled_from([8, 20, 40, 174]),
    rates=st.lists(st.sampled_from([0, 500, 1000]), min_size=5, max_size=5),
)
@settings(max_examples=25, deadline=None)
def test_an_independent_reader_agrees_word_by_word(seed: int, median_words: int, rates: list[int]) -> None:
    agree, negated, intensified, aside, gap = rates
    recipe = Recipe(
        agree=agree or 500,
        negated=negated,
        intensified=intensified,
        aside=aside,
        gap=gap,
        contrast=300,
        concession=300,
    )
    corpus = generate_demo(
        train=12, validation=2, test=2, seed=seed, median_words=median_words, recipe=recipe
    )
    for part in parts_of(corpus):
        assert part.texts is not None
        assert part.annotations is not None
        for text, annotation in zip(part.texts, part.annotations, strict=True):
            roles = [ROLES[role] for role in annotation.roles]
            assert annotation.roles.dtype == np.int8
            assert len(split_words(text)) == len(text.split()) == len(roles)
            assert read_roles(text) == roles
            assert judge(roles) == weigh_evidence(annotation.roles) == annotation.evidence
            assert annotation.evidence != 0
            assert annotation.label == (annotation.evidence > 0)


def test_every_word_has_one_meaning() -> None:
    corpus = generate_demo(train=1500, validation=0, test=0, median_words=60)
    assert corpus.train.texts is not None
    assert corpus.train.annotations is not None
    meanings: dict[str, set[str]] = {}
    for text, annotation in zip(corpus.train.texts, corpus.train.annotations, strict=True):
        assert text.isascii()
        for word, role in zip(split_words(text), annotation.roles, strict=True):
            meanings.setdefault(word, set()).add(ROLES[role])
    assert set().union(*meanings.values()) == set(ROLES)
    for word, roles in meanings.items():
        roles.discard("discounted")
        assert len(roles) <= 1, word


def test_no_filler_word_has_a_role() -> None:
    filler = {
        word.lower()
        for name, table in lists().items()
        if name not in ("not", "never")
        for word in table.entries
    }
    assert len(filler) > 2500
    assert not filler & (POSITIVE | NEGATIVE | ROLE_OF_MARKER.keys())


def test_articles_fit() -> None:
    corpus = generate_demo(train=400, validation=0, test=0)
    for text in corpus.train.texts or ():
        for article, word in pairwise(text.split()):
            if article.lower() in ("a", "an"):
                assert (article.lower() == "an") == (word[0].lower() in "aeiou"), text


def test_the_rate_of_zero_removes_a_phenomenon() -> None:
    recipe = Recipe(
        negated=0, intensified=0, contrast=0, concession=0, verdict_first=0, verdict_last=0, aside=0
    )
    corpus = generate_demo(train=100, validation=0, test=0, recipe=recipe)
    seen = {ROLES[role] for annotation in corpus.train.annotations or () for role in annotation.roles}
    assert seen == {"filler", "positive", "negative"}


def test_lengths_are_clipped() -> None:
    stream = Stream(5)
    lengths = [draw_length(stream, 100) for _ in range(5000)]
    assert min(lengths) == 25
    assert max(lengths) == 300
    assert abs(np.median(lengths) - 100) < 3


def test_roles_are_described() -> None:
    assert tuple(describe_roles()) == ROLES
    assert all(describe_roles().values())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("train", 0),
        ("test", -1),
        ("validation", -1),
        ("median_words", 7),
        ("label_noise", 0.5),
        ("label_noise", -0.01),
        ("label_noise", math.nan),
    ],
)
def test_numbers_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"{name}={value}"):
        generate_demo(**{"train": 2, "validation": 1, "test": 1, name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("rates", [{"negated": 1001}, {"gap": -1}, {"contrast": 600, "concession": 500}])
def test_rates_out_of_range_are_refused(rates: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="demo recipe: rate out of range"):
        Recipe(**rates)
