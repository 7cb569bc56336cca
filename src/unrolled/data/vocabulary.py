"""Words and their numbers: fitted by frequency, kept as a standard ``tokenizer.json``."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.data.storage import write_atomically
from unrolled.data.tokenizer_file import describe, interpret
from unrolled.data.units import ISOLATED, Units, isolate
from unrolled.errors import DataError, UsageError, nearest
from unrolled.types import Ragged

FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'
"""Characters that separate words like a space does: Keras' default, which keeps the apostrophe."""

_SEPARATE = str.maketrans(dict.fromkeys(FILTERS, " "))
_SEPARATE_BYTES = bytes.maketrans(FILTERS.encode(), b" " * len(FILTERS))


def _lower_pairs() -> dict[int, int]:
    """Lower-case forms that Python's ``str.lower`` lacks or bends: see :func:`split_words`."""
    pairs = {0x3A3: 0x3C3, 0x1C89: 0x1C8A, 0xA7CB: 0x264, 0xA7DC: 0x19B}
    pairs |= {upper: upper + 1 for upper in (0xA7CC, 0xA7CE, 0xA7D2, 0xA7D4, 0xA7DA)}
    pairs |= {upper: upper + 0x20 for upper in range(0x10D50, 0x10D66)}
    return pairs | {upper: upper + 0x1B for upper in range(0x16EA0, 0x16EB9)}


_LOWER = _lower_pairs()
_SPECIAL = re.compile(f"[{''.join(map(chr, _LOWER))}]")


def split_words(text: str) -> list[str]:
    """The words of one text, with empty strings where separators stand side by side.

    Lower-cased code point by code point after Unicode 17, so that every Python, and the Rust
    code behind ``tokenizer.json``, read the same words. Keras calls ``str.lower``, which differs in two
    cases: a capital sigma at a word's end becomes "σ" here and "ς" there, and letters younger than the
    running Python's tables stay capital there. Words end at :data:`FILTERS` and the space, nowhere
    else: other white space is part of a word, as in Keras.

    >>> split_words("Good-bye, John's dog")
    ['good', 'bye', '', "john's", 'dog']
    """
    if text.isascii():
        return text.lower().translate(_SEPARATE).split(" ")
    if _SPECIAL.search(text):
        text = text.translate(_LOWER)
    # str.translate looks up every character of such a text; bytes.translate is 100 times faster, and
    # separators are ASCII, which never occurs inside a longer UTF-8 sequence.
    encoded = text.lower().encode("utf-8", "surrogatepass").translate(_SEPARATE_BYTES)
    return encoded.decode("utf-8", "surrogatepass").split(" ")


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words ranked by frequency, and the rule that turns texts into token ids.

    The defaults are Keras' Tokenizer: a word's id is its rank, unknown words vanish. With ``start=1,
    oov=2, index_from=3`` it is the convention of Keras' IMDb data: 0 pads, 1 starts, 2 stands for an
    unknown word, words count from 4.

    Args:
        index: word to rank; ranks are 1 to the number of words, 1 the most frequent.
        num_words: only ids below it are given out, other words count as unknown; None keeps all.
        start: id put before every sequence; None for none.
        oov: id of an unknown word; None drops unknown words.
        index_from: what is added to a rank to make an id.
        units: "words" as Keras has them; "unspaced" reads scripts without spaces character by character;
            "characters" reads all of them so.

    >>> vocabulary = Vocabulary.fit(["I have books", "Interesting books are useful"])
    >>> vocabulary.index
    {'books': 1, 'i': 2, 'have': 3, 'interesting': 4, 'are': 5, 'useful': 6}
    >>> vocabulary.encode(["Are books useful?"])
    [[5, 1, 6]]
    """

    index: dict[str, int]
    num_words: int | None = None
    start: int | None = None
    oov: int | None = None
    index_from: int = 0
    units: Units = "words"
    _ids: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_settings(self.num_words, self.start, self.oov, self.index_from)
        _check_units(self.units)
        if sorted(self.index.values()) != list(range(1, len(self.index) + 1)):
            raise DataError(
                "Vocabulary",
                f"ranks have gaps or repeat (got {len(self.index)} words)",
                expected="the ranks 1, 2, 3, … each once",
                action="Vocabulary.fit(texts)",
            )
        limit = self.size - self.index_from
        shift = self.index_from
        ids: dict[str, int] = self.index
        if shift or limit <= len(self.index):
            ids = {word: rank + shift for word, rank in self.index.items() if rank < limit}
        object.__setattr__(self, "_ids", ids)

    @classmethod
    def fit(
        cls,
        texts: Iterable[str],
        num_words: int | None = None,
        *,
        start: int | None = None,
        oov: int | None = None,
        index_from: int = 0,
        units: Units = "words",
    ) -> Vocabulary:
        """The vocabulary of ``texts``, most frequent word first, ties in order of first appearance.

        Args:
            texts: the texts to count, each a str; no word of any other text gets a rank.
            num_words: as in :class:`Vocabulary`; ``index`` still ranks every word.
            start: as in :class:`Vocabulary`.
            oov: as in :class:`Vocabulary`.
            index_from: as in :class:`Vocabulary`.
            units: as in :class:`Vocabulary`.

        Raises:
            UsageError: ``texts`` is a single str, or a setting is out of its range.
            DataError: one of ``texts`` is not a str.
        """
        _check_units(units)
        counts: Counter[str] = Counter()
        for text in _checked(texts):
            counts.update(isolate(split_words(text), units))
        counts.pop("", None)
        # Counters keep the order of first appearance and sorting is stable: that is the rule for ties.
        ranked = sorted(counts.items(), key=lambda item: -item[1])
        index = {word: rank for rank, (word, _) in enumerate(ranked, 1)}
        return cls(index, num_words, start, oov, index_from, units)

    @property
    def size(self) -> int:
        """The highest id that can be given out, plus one."""
        size = len(self.index) + self.index_from + 1
        return size if self.num_words is None else min(size, self.num_words)

    def encode(self, texts: Iterable[str]) -> list[list[int]]:
        """Token ids of every text, in order.

        Raises:
            UsageError: ``texts`` is a single str.
            DataError: one of ``texts`` is not a str.
        """
        head = [] if self.start is None else [self.start]
        return [head + list(self._translate(text)) for text in _checked(texts)]

    def encode_ragged(self, texts: Iterable[str]) -> Ragged:
        """The same ids as :meth:`encode` in two flat arrays, an eighth of the memory.

        Raises:
            UsageError: ``texts`` is a single str.
            DataError: one of ``texts`` is not a str.
        """
        head = np.array([] if self.start is None else [self.start], np.int32)
        pieces = [head[:0]]
        lengths = []
        for text in _checked(texts):
            piece = np.fromiter(self._translate(text), np.int32)
            pieces += (head, piece)
            lengths.append(len(head) + len(piece))
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return Ragged(np.concatenate(pieces), offsets)

    def decode(self, sequences: Ragged | Iterable[Sequence[int]]) -> list[str]:
        """The words of every sequence, joined by spaces; padding and start vanish, unknown reads "<unk>".

        Raises:
            DataError: an id belongs to no word.
        """
        words = {number: word for word, number in self._ids.items()}
        silent = {0, self.start}
        if self.oov is not None:
            words[self.oov] = "<unk>"
        texts = []
        if isinstance(sequences, Ragged):
            sequences = [sequences[row].tolist() for row in range(len(sequences))]
        for row, sequence in enumerate(sequences):
            numbers = [int(number) for number in sequence]
            try:
                texts.append(" ".join(words[number] for number in numbers if number not in silent))
            except KeyError as error:
                raise DataError(
                    f"sequence {row}",
                    f"a token id belongs to no word (got id={error.args[0]})",
                    expected=f"ids below {self.size}",
                    action="decode with the vocabulary that encoded it",
                ) from None
        return texts

    def save(self, path: Path | str) -> None:
        """Writes a ``tokenizer.json`` that the Hugging Face ``tokenizers`` library reads.

        ``tokenizers.Tokenizer.from_file(path).encode(text).ids`` equals ``encode([text])[0]`` for every
        text and every setting. The file holds words and their ids, no text. It holds only words that
        are given out: those cut off by ``num_words`` are not in it.

        Raises:
            DataError: a word holds half a surrogate pair, which no UTF-8 file can.
            MachineError: the disk refuses.
        """
        words = dict(sorted(self._ids.items(), key=lambda item: item[1]))
        try:
            "".join(words).encode()
        except UnicodeEncodeError as error:
            raise DataError(
                str(path),
                f"a word cannot be written (got code point U+{ord(error.object[error.start]):04X})",
                expected="text without lone surrogates",
                action="clean the texts before fitting",
            ) from error
        document = describe(
            words,
            separators=FILTERS + " ",
            units=self.units,
            start=self.start,
            oov=self.oov,
            index_from=self.index_from,
        )
        write_atomically(Path(path), document.encode())

    @classmethod
    def load(cls, path: Path | str) -> Vocabulary:
        """The vocabulary that :meth:`save` wrote, giving the same ids as the one that was saved.

        Raises:
            DataError: the file is missing or is no such ``tokenizer.json``.
        """
        try:
            document: Any = json.loads(Path(path).read_bytes())
        except OSError as error:
            raise DataError(
                str(path),
                f"the file cannot be read ({error.strerror})",
                expected="a tokenizer.json",
                action="check the path",
            ) from error
        except (ValueError, RecursionError):
            document = None
        found = interpret(document, separators=FILTERS + " ", where=str(path))
        index = {word: number - found.index_from for word, number in found.words.items()}
        return cls(index, None, found.start, found.oov, found.index_from, found.units)

    def _translate(self, text: str) -> Iterator[int]:
        words = isolate(split_words(text), self.units)
        if self.oov is None:
            # No id is 0, and the empty string is no word: one filter drops both kinds.
            return filter(None, map(self._ids.get, words, repeat(0)))
        return map(self._ids.get, filter(None, words), repeat(self.oov))


def _checked(texts: Iterable[str]) -> Iterator[str]:
    if isinstance(texts, str | bytes):
        raise UsageError(
            "texts",
            f"a single {type(texts).__name__} instead of several texts",
            expected="a list of str",
            action="put it in a list: [text]",
        )
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise DataError(
                f"text {row}",
                f"not a text (got type={type(text).__name__})",
                expected="a str",
                action="drop the row, or fill it with an empty text",
            )
        yield text


def _check_units(units: str) -> None:
    if units not in ISOLATED:
        raise UsageError(
            "Vocabulary",
            f"unknown units (got units={units!r})",
            expected=f"one of {', '.join(ISOLATED)}",
            action=nearest(str(units), ISOLATED),
        )


def _check_settings(num_words: int | None, start: int | None, oov: int | None, index_from: int) -> None:
    if isinstance(index_from, bool) or not isinstance(index_from, int) or index_from < 0:
        raise UsageError(
            "Vocabulary",
            f"index_from is out of range (got index_from={index_from!r})",
            expected="a whole number of at least 0",
            action="index_from=3",
        )
    for name, value in (("start", start), ("oov", oov)):
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= index_from:
            raise UsageError(
                "Vocabulary",
                f"{name} is taken or out of range (got {name}={value!r}, index_from={index_from})",
                expected="an id from 1 to index_from: 0 pads, and words follow index_from",
                action="start=1, oov=2, index_from=3",
            )
    if start is not None and start == oov:
        raise UsageError(
            "Vocabulary",
            f"start and oov are the same (got start={start}, oov={oov})",
            expected="two different ids",
            action="start=1, oov=2, index_from=3",
        )
    if num_words is not None and (
        isinstance(num_words, bool) or not isinstance(num_words, int) or num_words <= index_from
    ):
        raise UsageError(
            "Vocabulary",
            f"num_words is out of range (got num_words={num_words!r}, index_from={index_from})",
            expected="a whole number above index_from",
            action="num_words=10000",
        )
