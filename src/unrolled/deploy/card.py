"""The card of an export: a README that says what the model is, how good, on what, and how to call it."""

from __future__ import annotations

import re

from unrolled.deploy.figures import Figures
from unrolled.deploy.manifest import Manifest
from unrolled.deploy.report import ExportReport, Parity
from unrolled.deploy.snippets import SNIPPETS
from unrolled.deploy.source import RunSource


def write_card(source: RunSource, manifest: Manifest, report: ExportReport, figures: Figures | None) -> str:
    """The card in Markdown. Names from the data are escaped: a label is text, never markup."""
    parts = [
        f"# {plain(source.name)}: {' or '.join(map(plain, source.classes[:6]))}"
        + (" or others" if len(source.classes) > 6 else ""),
        _summary(source, manifest),
        "## Use it",
        _use(manifest, source, exact=report.exact),
        "## How good it is",
        _quality(source, figures),
        "## What it was trained on",
        _data(source),
        "## What it cannot do",
        _limits(manifest, figures),
        "## Proof",
        _proof(report, manifest),
        "## Files",
        _files(manifest),
    ]
    return "\n\n".join(parts) + "\n"


def _summary(source: RunSource, manifest: Manifest) -> str:
    count = int(source.record.get("parameters") or 0)
    precision = "weights in eight bits" if manifest.precision == "int8" else "float32"
    option = " --int8" if manifest.precision == "int8" else ""
    return (
        f"Labels a text as one of {len(source.classes)} classes. Architecture `{manifest.architecture}`, "
        f"{count:,} parameters, {precision}. Exported as {manifest.format} by "
        f"`unrolled export RUN --format {manifest.format}{option}`."
    )


def _use(manifest: Manifest, source: RunSource, *, exact: bool) -> str:
    snippet, needs = SNIPPETS[manifest.format]
    if source.vocabulary is None:
        return (
            "The model takes token ids (0 pads on the left, 1 starts, 2 stands for an unknown word, words "
            "from 4 by falling frequency); the data came without its words, so there is no tokenizer here."
        )
    cut = f"[-{manifest.length}:]" if manifest.length else ""
    code = snippet.replace("[CUT]", cut).replace("LENGTH", str(manifest.length))
    masked = manifest.masked and "Conv1D" in " ".join(source.weights)
    note = ""
    if manifest.format == "keras" and (masked or exact or manifest.architecture == "embedding_dense"):
        code = code.replace("import numpy as np\n", "import numpy as np\nimport unrolled.layers\n")
        note = "\n\nThe package `unrolled` brings layers that Keras lacks: import it before loading."
    return f"With {needs}, in this folder:\n\n```python\n{code}```{note}"


def _quality(source: RunSource, figures: Figures | None) -> str:
    if figures is None or source.data is None:
        return (
            "Nothing is known here: the estimator was saved without its data. Measure it on labelled texts."
        )
    low, high = figures.interval
    training = source.plan["training"]
    chosen = (
        "The weights are those of the best epoch on a validation part; the test part was read once."
        if training["protocol"] == "standard"
        else "The weights are those of the last epoch, and the test part served as validation: optimistic."
    )
    rows = [
        f"On {len(source.data.test):,} test items, one run (seed {training['seed']}). The interval covers",
        "the choice of items, not the luck of training.",
        "",
        "| measure | value |",
        "|---|---|",
        f"| accuracy | {figures.accuracy:.4f} (95% interval {low:.4f} to {high:.4f}) |",
        f"| always guessing the most frequent class | {figures.largest_class:.4f} |",
        f"| balanced accuracy | {figures.balanced_accuracy:.4f} |",
        f"| macro F1 | {figures.macro_f1:.4f} |",
        f"| cross-entropy (nats) | {figures.loss:.4f} |",
        "",
        "| class | test items | found (recall) | right when said (precision) |",
        "|---|---|---|---|",
        *(
            f"| {plain(name)} | {total:,} | {recall:.4f} | {precision:.4f} |"
            for name, total, recall, precision in figures.per_class
        ),
        "",
        chosen,
    ]
    return "\n".join(rows)


def _data(source: RunSource) -> str:
    data, training = source.data, source.plan["training"]
    if data is None:
        return f"Texts with the digest `{source.plan['data_sha256']}`, by an estimator in Python."
    reads = f"the last {source.spec.length:,} tokens of a text are read"
    if not source.spec.neural:
        reads = f"n-grams up to {getattr(source.spec, 'ngrams', 1)} words, the whole text is read"
    sizes = f"{len(data.train):,} items to learn from, {len(data.validation):,} to choose on"
    most = training["epochs"]
    epochs = f"at most {most} epoch{'s' * (most != 1)}, weights of epoch {source.record.get('chosen_epoch')}"
    words = min(source.spec.vocabulary_size, data.vocabulary_size)
    lines = [
        f"- Data set {plain(data.name)}: {sizes}, {len(data.test):,} to test; sha256 `{data.sha256}`.",
        f"- Protocol `{training['protocol']}`, seed {training['seed']}, {epochs}.",
        f"- Vocabulary of {words:,} ids; {reads}.",
    ]
    if data.best_accuracy is not None:
        lines.append(f"- No classifier can be expected above {data.best_accuracy:.3f} on this data.")
    lines += [f"- {plain(notice)}" for notice in data.notices]
    return "\n".join(lines)


def _limits(manifest: Manifest, figures: Figures | None) -> str:
    unknown = "" if figures is None else f" ({figures.unknown_share:.1%} of the test words)"
    lines = [
        "- It knows its classes only: every text gets one of them, whatever it is about.",
        f"- Words outside its vocabulary are all the same to it{unknown}.",
        "- Its probabilities were not calibrated: 0.9 need not mean right nine times in ten.",
        "- The figures hold for texts like those of the data set, in its language and of its time.",
    ]
    if manifest.length:
        cut = "" if figures is None else f" ({figures.cut_share:.1%} of the test items are longer)"
        lines.insert(1, f"- Of a longer text it reads the last {manifest.length:,} tokens{cut}.")
    if not manifest.masked:
        lines.append("- Padding runs through the network as a word, as in the lab it reproduces.")
    return "\n".join(lines)


def _proof(report: ExportReport, manifest: Manifest) -> str:
    parity = report.parity
    lines = [_parity(parity, manifest)]
    if report.exact and manifest.format == "onnx":
        lines.append(
            "Its recurrent operators compute tanh as `ScaledTanh` with 1 and 1, the same function: ONNX "
            "Runtime approximates `Tanh`, and over this model's steps the error grew too large."
        )
    if report.quantization is not None:
        before, after = report.quantization.accuracy
        full, small = report.quantization.bytes
        lines.append(
            f"Eight bits change accuracy by {after - before:+.4f} on {report.quantization.num_items:,} "
            f"{'test items' if parity.real else 'random texts, measured against float32'} "
            f"({before:.4f} before, {after:.4f} after) and save {1 - small / full:.0%} of the file "
            f"({full:,} bytes before, {small:,} after)."
        )
    return "\n\n".join(lines)


def _parity(parity: Parity, manifest: Manifest) -> str:
    asked = f"{parity.num_texts:,} {'test items' if parity.real else 'random texts of its own words'}"
    if parity.num_stretched:
        asked += f" and {parity.num_stretched} inputs stretched to other lengths"
    low, high = parity.lengths
    bound = f" (at most {parity.tolerance:g} is accepted)" if parity.tolerance is not None else ", measured"
    labels = (
        "all labels are equal" if not parity.labels_changed else f"{parity.labels_changed:,} labels differ"
    )
    undecided = (
        f"; {parity.num_undecided:,} inputs lie so close to the boundary that either label is right"
        if parity.num_undecided
        else ""
    )
    reads = ""
    if manifest.length and high > manifest.length and not manifest.masked:
        reads = f" Of inputs beyond {manifest.length:,} tokens the graph itself reads the last ones."
    return (
        f"Compared with the trained model on {asked}, {low:,} to {high:,} tokens long: the largest "
        f"difference of a probability is {parity.max_difference:.1e}{bound}, {labels}{undecided}.{reads}"
    )


def _files(manifest: Manifest) -> str:
    purposes = {
        "model.onnx": "the network: `tokens` int64 (batch, time) to `probabilities` float32 (batch, classes)",
        "model.keras": "the network, for `keras.saving.load_model`",
        "model.safetensors": "the weights by name",
        "tokenizer.json": "words to token ids, for Hugging Face's `tokenizers`",
        "labels.json": "the labels in the order of the probabilities",
        "config.json": "architecture and training, every setting",
    }
    rows = [
        f"| `{name}` | {purposes.get(name, '')} | {size:,} | `{sha256[:16]}…` |"
        for name, (sha256, size) in manifest.files.items()
    ]
    return "\n".join(
        [
            "| file | holds | bytes | sha256 |",
            "|---|---|---|---|",
            *rows,
            "",
            "`manifest.json` holds the digests in full.",
        ]
    )


def plain(text: str) -> str:
    """Foreign text as Markdown that shows it and does nothing else, on one line.

    >>> plain("a|b\\n<i>")
    'a\\\\|b \\\\<i\\\\>'
    """
    return re.sub(r"([\\`*_{}\[\]()#+!|<>~&])", r"\\\1", " ".join(text.split())[:200])
