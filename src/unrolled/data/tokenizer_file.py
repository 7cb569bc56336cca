"""The form of ``tokenizer.json``: how words, separators and reserved ids stand in it.

Where unknown words have an id, the file is a word-level model. Where they vanish, a word-level model
cannot say so (it insists on a token for the unknown), but byte-pair encoding without merges can: words
are found whole (``ignore_merges``), other words fall into characters, and characters that are no token
are dropped. Characters of such words carry a prefix or stand without the suffix, and words of a single
character are stored with the suffix, so that no character is ever taken for a word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unrolled.data.units import ISOLATED, Units
from unrolled.errors import DataError

PAD, START, UNKNOWN = "<pad>", "<start>", "<unk>"
SUFFIX, PREFIX = "</w>", "##"
# Reserved tokens, prefix and suffix contain separators, so that no word can be equal to one.


@dataclass(frozen=True, slots=True)
class Interpreted:
    """What a ``tokenizer.json`` says; see :class:`unrolled.data.vocabulary.Vocabulary`.

    Args:
        words: word to id, in rising order of ids.
        start: id put before every sequence, or None.
        oov: id of an unknown word, or None.
        index_from: the id below the first word's.
        units: what a token is.
    """

    words: dict[str, int]
    start: int | None
    oov: int | None
    index_from: int
    units: Units


def describe(
    words: Mapping[str, int],
    *,
    separators: str,
    units: Units,
    start: int | None,
    oov: int | None,
    index_from: int,
) -> str:
    """The text of a ``tokenizer.json``, checked and laid out by the ``tokenizers`` library.

    Args:
        words: word to id, in rising order of ids without a gap.
        separators: characters that end a word.
        units: what a token is.
        start: id put before every sequence, or None.
        oov: id of an unknown word, or None where unknown words vanish.
        index_from: the id below the first word's.
    """
    from tokenizers import Tokenizer

    document: dict[str, Any] = {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {"type": "Lowercase"},
        "pre_tokenizer": _pre_tokenizer(separators, units),
        "post_processor": None if start is None else _template(start),
        "decoder": None if oov is not None else _decoder(),
        "model": _model(words, start, oov, index_from),
    }
    return str(Tokenizer.from_str(json.dumps(document)).to_str(pretty=True)) + "\n"


def interpret(document: Any, *, separators: str, where: str) -> Interpreted:
    """The content of a document of :func:`describe`.

    Raises:
        DataError: the document was not written by :func:`describe` with these separators.
    """
    try:
        if document["normalizer"]["type"] != "Lowercase" or document["added_tokens"]:
            raise _foreign(where, "another normalizer, or added tokens")
        splitter = document["pre_tokenizer"]
        known = (name for name in ISOLATED if _holds(splitter, _pre_tokenizer(separators, name)))
        units = next(known, None)
        if units is None:
            raise _foreign(where, "another pre-tokenizer")
        model = document["model"]
        tokens = {str(token): int(number) for token, number in model["vocab"].items()}
        words = {token: n for token, n in tokens.items() if not token.startswith("<")}
        if model["type"] == "BPE":
            if model["merges"] or not model["ignore_merges"]:
                raise _foreign(where, "a byte-pair model with merges")
            words = {token.removesuffix(SUFFIX): number for token, number in words.items()}
        elif model["type"] != "WordLevel":
            raise _foreign(where, f"another model (got type={model['type']!r})")
        oov = tokens[UNKNOWN] if model["type"] == "WordLevel" else None
        start = None if document["post_processor"] is None else tokens[START]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _foreign(where, "the file is cut short or of another kind") from error
    index_from = len(tokens) - len(words) - 1
    ordered = dict(sorted(words.items(), key=lambda item: item[1]))
    return Interpreted(ordered, start, oov, index_from, units)


def _model(words: Mapping[str, int], start: int | None, oov: int | None, index_from: int) -> dict[str, Any]:
    named = {0: PAD, start: START, oov: UNKNOWN}
    tokens = {named.get(number, f"<{number}>"): number for number in range(index_from + 1)}
    if oov is not None:
        return {"type": "WordLevel", "vocab": tokens | dict(words), "unk_token": UNKNOWN}
    tokens |= {word + SUFFIX if len(word) == 1 else word: number for word, number in words.items()}
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": PREFIX,
        "end_of_word_suffix": SUFFIX,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": True,
        "vocab": tokens,
        "merges": [],
    }


def _holds(found: Any, wanted: Any) -> bool:
    """Whether ``found`` says all that ``wanted`` says; the library may have added keys of its own."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            key in found and _holds(found[key], value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(_holds, found, wanted))
    return bool(found == wanted)


def _pre_tokenizer(separators: str, units: Units) -> dict[str, Any]:
    pattern = ISOLATED[units]
    if pattern is None:
        return _splitter(separators)
    single = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [_splitter(separators), single]}


def _splitter(separators: str) -> dict[str, Any]:
    # Only what every regular-expression engine wants escaped inside brackets: readers in other languages
    # reject escapes of plain characters.
    pattern = re.sub(r"([\[\]\\^-])", r"\\\1", separators).replace("\t", r"\t").replace("\n", r"\n")
    pattern = f"[{pattern}]+"
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Removed", "invert": False}


def _template(start: int) -> dict[str, Any]:
    first = {"SpecialToken": {"id": START, "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [first, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [first, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {START: {"id": START, "ids": [start], "tokens": [START]}},
    }


def _decoder() -> dict[str, Any]:
    strip = {"type": "Replace", "pattern": {"String": SUFFIX}, "content": ""}
    join = {"type": "WordPiece", "prefix": PREFIX, "cleanup": False}
    return {"type": "Sequence", "decoders": [strip, join]}


def _foreign(where: str, what: str) -> DataError:
    return DataError(
        where,
        f"not a vocabulary of this project: {what}",
        expected="a tokenizer.json written by Vocabulary.save",
        action="fit a vocabulary and save it",
    )
