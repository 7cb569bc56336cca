"""Do ONNX Runtime, the predictor and the Keras model agree on real texts?

usage: python -m benchmarks.agreement RUN DATA [--texts 1000]

Exports the run, asks all three the same texts, and prints for each pair the largest difference of a
probability and how many labels differ. Exit status 1 when a difference exceeds 1e-5 or a label differs
although the two best classes are further apart than that.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

TOLERANCE = 1e-5


def choose_texts(data: str, count: int) -> list[str]:
    """Texts of the test part, or of the only one, drawn from one seed: not those the export tried."""
    from unrolled.data.load import load_dataset

    dataset = load_dataset(data)
    split = dataset.test if dataset.test is not None else dataset.train
    if split.texts is None:
        raise SystemExit(f"{data}: token ids without texts. Expected texts. Try: another source.")
    rows = np.sort(np.random.default_rng(0).permutation(len(split))[:count])
    return [split.texts[row] for row in rows]


def ask_keras(run: Path, texts: list[str]) -> Any:
    """The run's ``keras.Model`` for texts encoded by the run's vocabulary, layer by layer, nothing fused."""
    from unrolled.deploy.network import fits_length, predict, reference
    from unrolled.deploy.source import load_source
    from unrolled.types import Ragged

    source = load_source(run)
    if source.vocabulary is None:
        raise SystemExit(f"{run}: it knows no words. Expected a run trained on texts.")
    sequences = [np.array(ids, np.int32) for ids in source.vocabulary.encode(texts)]
    if not source.spec.neural:
        return reference(source)(Ragged.from_lists(sequences))
    from unrolled.deploy.network import build_network
    from unrolled.models.build import chain_layers

    network = build_network(source)
    if not fits_length(source):
        network = chain_layers(network, fused=False)
    cut = [ids[-source.spec.length :] for ids in sequences]
    return predict(source, network, Ragged.from_lists(cut))


def ask_runtime(export: Path, texts: list[str]) -> Any:
    """ONNX Runtime and tokenizers by hand, a text at a time: what the export's card shows."""
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(export / "tokenizer.json"))
    length = json.loads((export / "manifest.json").read_text("utf-8"))["model"]["length"] or 0
    session = onnxruntime.InferenceSession(export / "model.onnx")
    found = []
    for text in texts:
        tokens = np.array([tokenizer.encode(text).ids[-length:]], np.int64).reshape(1, -1)
        found.append(session.run(["probabilities"], {"tokens": tokens})[0][0])
    return np.array(found)


def main() -> None:
    """Prints the comparison."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.agreement", description=__doc__.splitlines()[0]
    )
    parser.add_argument("run", type=Path, help="a finished run's folder")
    parser.add_argument("data", help="imdb, demo or a path")
    parser.add_argument("--texts", type=int, default=1000)
    options = parser.parse_args()
    from unrolled.deploy import Predictor, export_run

    texts = choose_texts(options.data, options.texts)
    with tempfile.TemporaryDirectory() as folder:
        export = Path(folder) / "export"
        report = export_run(options.run, export)
        answers = {
            "Keras": ask_keras(options.run, texts),
            "ONNX Runtime": ask_runtime(export, texts),
            "Predictor": Predictor(export).predict_proba(texts),
        }
    words = sorted(len(text.split()) for text in texts)
    print(f"{report.name}: {len(texts):,} texts of {words[0]:,} to {words[-1]:,} words")
    failed = False
    for (one, first), (other, second) in combinations(answers.items(), 2):
        difference = float(np.abs(first - second).max())
        changed = first.argmax(axis=1) != second.argmax(axis=1)
        best = np.sort(first, axis=1)
        decided = best[:, -1] - best[:, -2] > 2 * TOLERANCE
        failed |= difference > TOLERANCE or bool((changed & decided).any())
        print(f"{one} and {other}: largest difference {difference:.1e}, {changed.sum():,} labels differ")
    sys.exit(failed)


if __name__ == "__main__":
    main()
