"""Finished runs of every architecture with weights at random, laid out as a study lays them out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import unrolled
from unrolled.data.encoding import clip_vocabulary, encode_dataset
from unrolled.data.vocabulary import Vocabulary
from unrolled.models import architectures, build_model, parse_spec
from unrolled.training.finish import write_predictions, write_weights
from unrolled.training.network import weight_names
from unrolled.training.record import RECORD, RunRecord, read_plan, write_model
from unrolled.training.study import plan_runs, prepare_study
from unrolled.types import Dataset, EncodedDataset, Split

LENGTH = 10
SMALL = {"length": LENGTH, "embedding_size": 5, "units": 6, "filters": 4, "hidden_units": 7}
CLASSES = ("bad", "good | *great*", "fair")
SOURCE = Path(unrolled.__file__).parents[1]


@cache
def corpus(classes: int) -> tuple[EncodedDataset, Vocabulary]:
    """Texts of 1 to 25 made-up words, one of which tells the class; words of the test part may be unknown."""
    random = np.random.default_rng(classes)
    words = [f"{first}{second}" for first in "bdfglmnrst" for second in ("a", "ö", "ie", "un")]
    parts = {}
    for name, count in (("train", 120), ("validation", 30), ("test", 60)):
        labels = (np.arange(count) % classes).astype(np.int32)
        texts = []
        for row, label in enumerate(labels):
            text = [*random.choice(words, random.integers(0, 24)), f"zeichen{label}"]
            if name == "test":
                text[random.integers(len(text))] = "unbekannt"
            random.shuffle(text)
            texts.append(" ".join(text) + "!" * (row % 3))
        parts[name] = Split(labels, texts)
    dataset = Dataset("toy", CLASSES[:classes], sha256="0" * 64, **parts)
    encoded, vocabulary = encode_dataset(dataset, protocol="standard")
    assert vocabulary is not None
    return encoded, vocabulary


def make_run(
    folder: Path,
    name: str,
    *,
    classes: int = 2,
    protocol: str = "standard",
    words: bool = True,
    **settings: Any,
) -> Path:
    """A finished run of ``name`` below ``folder``: random weights, large enough that answers differ."""
    data, vocabulary = corpus(classes)
    chosen = {**SMALL, "vocabulary_size": data.vocabulary_size - 3, **settings}
    plans = plan_runs(
        [architectures().get(name)], data, protocol, num_seeds=1, epochs=1, model_settings=chosen
    )
    study = prepare_study(folder, data, vocabulary if words else None, protocol, plans)
    run = study.run_folder(study.plans[0])
    spec = parse_spec(study.plans[0].model)
    random = np.random.default_rng(1)
    if spec.neural:
        model = build_model(spec, seed=0)
        variables = [variable for layer in model.layers for variable in layer.trainable_variables]
        # Token ids as numbers are large: smaller weights keep the answers from being certain.
        scale = 0.1 if name == "dense" else 1.0
        weights = {
            label: (scale * (np.asarray(variable) + random.normal(0, 0.3, variable.shape))).astype(np.float32)
            for label, variable in zip(weight_names(model), variables, strict=True)
        }
    else:
        from unrolled.models.linear import fit_linear

        weights = fit_linear(spec, data.train.tokens, data.train.labels).weights_by_name()
    chances = random.dirichlet(np.ones(classes), len(data.test)).astype(np.float32)
    write_predictions(run, chances)
    record = RunRecord(
        run_id=study.plans[0].run_id,
        architecture=name,
        seed=0,
        status="done",
        parameters=sum(array.size for array in weights.values()),
        chosen_epoch=1,
        test_accuracy=0.5,
        weights_sha256=write_weights(run, weights),
    )
    write_model(run / RECORD, record)
    return run


def keras_answers(run: Path, sequences: list[list[int]], *, whole: bool = False) -> np.ndarray:
    """What the plain Keras model answers: one padded batch, eager calls, no code of ``deploy``.

    ``whole`` lets a network that takes any length read beyond the one it was trained with.
    """
    from safetensors.numpy import load_file

    spec = parse_spec(read_plan(run).model)
    weights = load_file(run / "weights.safetensors")
    length = spec.length
    if whole and spec.padding == "masked" and not spec.fixed_length:
        length = max(map(len, sequences))
    model = build_model(spec.model_copy(update={"length": length}))
    variables = [variable for layer in model.layers for variable in layer.trainable_variables]
    for label, variable in zip(weight_names(model), variables, strict=True):
        variable.assign(weights[label])
    tokens = np.zeros((len(sequences), length), np.int32)
    for row, sequence in zip(tokens, sequences, strict=True):
        kept = sequence[-length:]
        row[length - len(kept) :] = kept
    tokens = clip_vocabulary(tokens, spec.vocabulary_size)
    outputs = np.asarray(model(tokens.astype(model.inputs[0].dtype)))
    return outputs if spec.classes > 2 else np.hstack([1 - outputs, outputs])


def sequences_of_all_lengths(spec_vocabulary: int, longest: int) -> list[list[int]]:
    """One sequence of every length from 1 to ``longest``; some ids lie beyond the vocabulary."""
    random = np.random.default_rng(2)
    return [random.integers(1, spec_vocabulary + 3, n).tolist() for n in range(1, longest + 1)]


def isolated(code: str, folder: Path, *, blocked: tuple[str, ...] = ("unrolled",)) -> str:
    """What ``code`` prints in a fresh interpreter in ``folder`` that cannot import what is blocked."""
    guard = (
        "import sys\n"
        "class Blocked:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {set(blocked)!r}:\n"
        "            raise ImportError(name + ' is blocked')\n"
        "sys.meta_path.insert(0, Blocked())\n"
    )
    # -I: neither PYTHONPATH nor the folder itself is searched.
    done = subprocess.run(
        [sys.executable, "-I", "-c", guard + code], cwd=folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def snippet_of(folder: Path) -> str:
    """The code of an export's card."""
    card = (folder / "README.md").read_text("utf-8")
    return card.split("```python\n")[1].split("```")[0]


def command(
    *arguments: object, stdin: bytes = b"", cwd: Path | None = None
) -> subprocess.CompletedProcess[bytes]:
    """``unrolled`` with these arguments, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "unrolled.cli", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        timeout=240,
    )


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``runs("lstm", classes=3)``: a run's folder, made once."""

    @cache
    def make(name: str, classes: int = 2, protocol: str = "standard") -> Path:
        folder = tmp_path_factory.mktemp(f"{name}-{protocol}-{classes}")
        return make_run(folder, name, classes=classes, protocol=protocol)

    return make


@pytest.fixture(scope="session")
def exports(runs: Callable[..., Path]) -> Callable[..., Path]:
    """``exports("lstm", format="keras")``: an export's folder, made once; not to be changed."""
    from unrolled.deploy import export_run

    @cache
    def make(
        name: str, classes: int = 2, protocol: str = "standard", format: str = "onnx", int8: bool = False
    ) -> Path:
        run = runs(name, classes, protocol)
        folder = run.parent / f"{format}-{int8}"
        report = export_run(run, folder, format=format, int8=int8)
        (run.parent / f"{folder.name}.json").write_text(json.dumps(report.to_dict()))
        return folder

    return make
