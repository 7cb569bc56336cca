"""How far stock models get on the embedded corpus, against the best reachable accuracy.

usage: python -m benchmarks.demo_calibration [--seeds 0,1,2] [--networks gru,lstm] [--median-words 48]

The instruments are scikit-learn's and Keras' own, not this package's layers, so that the corpus is judged
by something else than the product: logistic regression on TF-IDF n-grams, its strength chosen on validation;
and Embedding 100, a recurrent layer of 100 units, a sigmoid, Adam at its defaults, batches of 32 with masked
padding, eight epochs, the test accuracy taken at the epoch that is best on validation.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np

from unrolled.data import encode_dataset, generate_demo
from unrolled.data.encoding import iterate_batches
from unrolled.types import Dataset, EncodedDataset, EncodedSplit, SequenceBatch

STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0)
EPOCHS = 8
BATCH_SIZE = 32
UNITS = 100
# Each padded length is one compilation; the quantiles spread the reviews evenly over five.
QUANTILES = (0.3, 0.6, 0.85, 0.95, 1.0)


def measure_bag_of_words(dataset: Dataset, longest: int) -> float:
    """Test accuracy of a logistic regression on TF-IDF n-grams of 1 to ``longest`` words."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    if dataset.validation is None or dataset.test is None:
        raise ValueError("the corpus needs a validation and a test part")
    vectorizer = TfidfVectorizer(
        ngram_range=(1, longest), token_pattern=r"\b\w+\b", min_df=2, sublinear_tf=True
    )
    train = vectorizer.fit_transform(dataset.train.texts)
    validation = vectorizer.transform(dataset.validation.texts)
    test = vectorizer.transform(dataset.test.texts)
    best = (-1.0, -1.0)
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=2000).fit(train, dataset.train.labels)
        chosen_by = float(model.score(validation, dataset.validation.labels))
        if chosen_by > best[0]:
            best = chosen_by, float(model.score(test, dataset.test.labels))
    return best[1]


def measure_network(
    data: EncodedDataset, kind: str, seed: int, *, epochs: int = EPOCHS
) -> list[tuple[float, float]]:
    """Validation and test accuracy after each epoch of a stock recurrent network."""
    import keras

    keras.utils.set_random_seed(seed)
    recurrent: Any = {
        "simple_rnn": lambda: keras.layers.SimpleRNN(UNITS),
        "gru": lambda: keras.layers.GRU(UNITS),
        "lstm": lambda: keras.layers.LSTM(UNITS),
        "bilstm": lambda: keras.layers.Bidirectional(keras.layers.LSTM(UNITS)),
    }[kind]()
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(data.vocabulary_size, 100, mask_zero=True),
            recurrent,
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy")
    random = np.random.default_rng(seed)
    lengths = [int(np.ceil(n)) for n in np.quantile(data.train.tokens.lengths, QUANTILES)]
    history = []
    for _ in range(epochs):
        batches = list(_cut(data.train, lengths, BATCH_SIZE, data.vocabulary_size, random))
        for place in random.permutation(len(batches)):
            batch = batches[place]
            model.train_on_batch(batch.tokens, batch.labels.astype(np.float32), sample_weight=batch.weights)
        scores = [
            _score(model, split, lengths, data.vocabulary_size) for split in (data.validation, data.test)
        ]
        history.append((scores[0], scores[1]))
    return history


def _cut(
    split: EncodedSplit,
    lengths: list[int],
    batch_size: int,
    vocabulary_size: int,
    random: np.random.Generator | None = None,
) -> Iterator[SequenceBatch]:
    """Batches padded to the shortest of the given lengths that holds each sequence whole, if any does."""
    group = np.minimum(np.searchsorted(lengths, split.tokens.lengths), len(lengths) - 1)
    for place, length in enumerate(lengths):
        rows = np.flatnonzero(group == place)
        if random is not None:
            rows = random.permutation(rows)
        yield from iterate_batches(
            split, batch_size=batch_size, length=length, vocabulary_size=vocabulary_size, order=rows
        )


def _score(model: Any, split: EncodedSplit, lengths: list[int], vocabulary_size: int) -> float:
    right = 0.0
    for batch in _cut(split, lengths, 256, vocabulary_size):
        predicted = np.asarray(model.predict_on_batch(batch.tokens))[:, 0] > 0.5
        right += float(((predicted == batch.labels) * batch.weights).sum())
    return right / len(split)


def main() -> None:
    """Prints one row per model: mean test accuracy over seeds, the distance to the best, and each value."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2", help="a corpus and a network for each")
    parser.add_argument("--networks", default="simple_rnn,gru,lstm,bilstm")
    parser.add_argument("--train", type=int, default=6000)
    parser.add_argument("--median-words", type=int, default=48)
    options = parser.parse_args()
    os.environ["KERAS_BACKEND"] = "jax"
    values: dict[str, list[float]] = {}
    epochs: dict[str, list[int]] = {}
    best = 0.0
    for seed in (int(part) for part in options.seeds.split(",")):
        corpus = generate_demo(seed=seed, train=options.train, median_words=options.median_words)
        best = corpus.best_accuracy or 0.0
        for longest in (1, 2, 3):
            name = f"bag of 1 to {longest} words" if longest > 1 else "bag of words"
            values.setdefault(name, []).append(measure_bag_of_words(corpus, longest))
            print(f"seed {seed}, {name}: {values[name][-1]:.4f}", flush=True)
        data, _ = encode_dataset(corpus, protocol="standard")
        for kind in filter(None, options.networks.split(",")):
            history = measure_network(data, kind, seed)
            chosen = max(range(len(history)), key=lambda epoch: history[epoch][0])
            values.setdefault(kind, []).append(history[chosen][1])
            epochs.setdefault(kind, []).append(chosen + 1)
            course = " ".join(f"{accuracy:.3f}" for _, accuracy in history)
            print(
                f"seed {seed}, {kind}: {history[chosen][1]:.4f} at epoch {chosen + 1} ({course})", flush=True
            )
    print("\n| model | test accuracy | under the best | each seed | best epoch |\n|---|---|---|---|---|")
    for name, accuracies in values.items():
        mean = statistics.mean(accuracies)
        each = " ".join(f"{accuracy:.3f}" for accuracy in accuracies)
        at = " ".join(map(str, epochs.get(name, []))) or "–"
        print(f"| {name} | {mean:.3f} | {100 * (best - mean):.1f} points | {each} | {at} |")


if __name__ == "__main__":
    main()
