"""Labels for texts from an export folder: onnxruntime, tokenizers and NumPy, nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unrolled.deploy.manifest import LABELS, MODEL, TOKENIZER, damaged, parse_json, read_manifest
from unrolled.deploy.onnx_guard import check_onnx
from unrolled.errors import DataError, MachineError, UsageError
from unrolled.types import FloatArray

PROBABILITIES, READING, TOKENS = "probabilities", "reading", "tokens"
BATCH_ROWS = 64
BATCH_STEPS = 32_768
BATCH_NUMBERS = 16_000_000
MOST_APART = 1.3


class Predictor:
    """A trained classifier that runs without Keras.

    Every file is compared with the manifest before it is parsed, and the model is refused unless it holds
    plain weights and known operators only. Safe to share between threads.

    Args:
        folder: what ``unrolled export --format onnx`` made.
        num_threads: cores that one call may use.

    Raises:
        DataError: the folder is no export, or a file in it is damaged or foreign.
        MachineError: onnxruntime is not installed, or refuses the model.
    """

    def __init__(self, folder: Path | str, *, num_threads: int = 1) -> None:
        self.manifest = read_manifest(Path(folder))
        if self.manifest.format != "onnx":
            raise DataError(
                str(folder),
                f"this export cannot be run without Keras (got format={self.manifest.format!r})",
                expected="an export in ONNX",
                action="unrolled export RUN --format onnx",
            )
        self.labels: tuple[str, ...] = self._read_labels()
        self._session = self._start(num_threads)
        self._tokenizer = self._read_tokenizer()

    @property
    def name(self) -> str:
        """The name of the run that was exported."""
        return self.manifest.name

    @property
    def knows_words(self) -> bool:
        """Whether it takes texts; a model trained on token ids alone takes those."""
        return self._tokenizer is not None

    def predict(self, texts: Sequence[str]) -> list[str]:
        """The most likely label of each text.

        Raises:
            UsageError: ``texts`` is a single string.
            DataError: an element is no text.
        """
        return [self.labels[index] for index in self.predict_proba(texts).argmax(axis=1)]

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Probabilities, float32, shape (texts, labels), in the order of :attr:`labels`."""
        return self.predict_tokens(self.encode(texts))

    def encode(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        """Token ids of each text, int64, all of them: cutting to the model's length comes later."""
        return [np.array(found.ids, np.int64) for found in self.tokenize(texts)]

    def tokenize(self, texts: Sequence[str]) -> list[Any]:
        """The ``tokenizers.Encoding`` of each text: ids, and where in the text each word stands."""
        checked = self._check(texts)
        if self._tokenizer is None:
            raise DataError(
                self.name,
                "the model knows no words: its data came as token ids",
                expected="a model trained on texts",
                action="train on the raw reviews, or Predictor.predict_tokens",
            )
        # Threads of the tokenizer pay from a few dozen texts on, and cost a single one its latency.
        if len(checked) < BATCH_ROWS:
            return [self._tokenizer.encode(text) for text in checked]
        return list(self._tokenizer.encode_batch(checked))

    def predict_tokens(self, sequences: Sequence[NDArray[np.int64]]) -> FloatArray:
        """Probabilities for sequences of token ids, float32, shape (sequences, labels).

        Sequences of similar length share a batch; the order of the answers is that of the questions.
        """
        found = np.empty((len(sequences), len(self.labels)), np.float32)
        length = self.manifest.length
        rows = [row[-length:] for row in sequences] if length else list(sequences)
        for members in self._batches(rows):
            found[members] = self.run(_pad([rows[member] for member in members]))
        return found

    def run(self, tokens: NDArray[np.int64]) -> FloatArray:
        """Probabilities for one padded batch as it is: int64 (batch, time), zeros on the left."""
        return np.asarray(self.outputs(tokens, [PROBABILITIES])[0], np.float32)

    def outputs(self, tokens: NDArray[np.int64], names: Sequence[str]) -> list[Any]:
        """The named outputs for one padded batch; what they do not need is not computed."""
        return list(self._session.run(list(names), {TOKENS: tokens}, self._options))

    def _check(self, texts: Sequence[str]) -> list[str]:
        if isinstance(texts, str | bytes):
            raise UsageError(
                "texts",
                f"a single {type(texts).__name__} instead of several texts",
                expected="a list of str",
                action="put it in a list: [text]",
            )
        checked = list(texts)
        for row, text in enumerate(checked):
            if not isinstance(text, str):
                raise DataError(
                    f"text {row}", f"not a text (got type={type(text).__name__})", expected="a str"
                )
            if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
                raise DataError(
                    f"text {row}", "half a character (a lone surrogate)", expected="valid Unicode"
                )
        return checked

    def _batches(self, rows: Sequence[NDArray[np.int64]]) -> Iterator[NDArray[np.int64]]:
        """Row numbers of each batch, shortest first, within a budget of steps and memory."""
        lengths = np.array([len(row) for row in rows], np.int64)
        most = BATCH_ROWS
        if self.manifest.features:
            most = max(1, min(most, BATCH_NUMBERS // self.manifest.features))
        batch: list[int] = []
        for member in np.argsort(lengths, kind="stable"):
            # Padding costs a network as much as words do.
            apart = bool(self.manifest.length and batch) and lengths[member] > MOST_APART * lengths[batch[0]]
            full = len(batch) == most or (len(batch) + 1) * lengths[member] > BATCH_STEPS
            if batch and (full or apart):
                yield np.array(batch)
                batch = []
            batch.append(int(member))
        if batch:
            yield np.array(batch)

    def _read_labels(self) -> tuple[str, ...]:
        path = self.manifest.folder / LABELS
        labels = parse_json(path, self.manifest.read(LABELS))
        if not isinstance(labels, list) or len(labels) < 2 or not all(isinstance(x, str) for x in labels):
            raise damaged(path, "not a list of labels")
        return tuple(labels)

    def _read_tokenizer(self) -> Any:
        if TOKENIZER not in self.manifest.files:
            return None
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_buffer(self.manifest.read(TOKENIZER))
        except DataError:
            raise
        except Exception as error:
            # The library raises bare Exception for whatever it cannot parse.
            raise damaged(self.manifest.folder / TOKENIZER, f"no tokenizer ({error})") from None
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    def _start(self, num_threads: int) -> Any:
        try:
            import onnxruntime
        except ImportError:
            raise MachineError(
                "onnxruntime",
                "the package is not installed",
                expected="what predicting without Keras needs",
                action="pip install 'unrolled[serve]'",
            ) from None
        path = self.manifest.folder / MODEL
        payload = self.manifest.read(MODEL)
        check_onnx(payload, path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # A pool that spins while idle would take the core from whoever calls.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(payload, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise damaged(path, f"the runtime refuses the model ({_one_line(error)})") from None
        names = {node.name for node in session.get_outputs()}
        inputs = [(node.name, node.type) for node in session.get_inputs()]
        if inputs != [(TOKENS, "tensor(int64)")] or PROBABILITIES not in names:
            raise damaged(path, f"other inputs or outputs than an export's (got inputs={inputs})")
        self._options = onnxruntime.RunOptions()
        self._options.log_severity_level = 3
        self._options.only_execute_path_to_fetches = True
        return session


def _pad(rows: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The rows as one array, zeros on the left, at least one column."""
    longest = max((len(row) for row in rows), default=0)
    padded = np.zeros((len(rows), max(1, longest)), np.int64)
    for number, row in enumerate(rows):
        if len(row):
            padded[number, -len(row) :] = row
    return padded


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
