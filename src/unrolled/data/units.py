"""What a token is: a word between separators, or a character where a script puts no spaces.

Thai, Chinese and Japanese are written without spaces between words. Split at separators alone, each clause
becomes one "word" that never occurs again, and no model can learn from that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

Units: TypeAlias = Literal["words", "unspaced", "characters"]
"""``words`` stand between separators, as in Keras; ``unspaced`` takes every character of a script without
spaces as a word of its own and leaves other scripts' words whole; ``characters`` does that to all scripts."""

# Ideographs, kana and their punctuation, in rising order; then the scripts of South-East Asia.
_IDEOGRAPHIC = (
    (0x2E80, 0x2FDF),
    (0x3000, 0x312F),
    (0x31C0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xA000, 0xA4CF),
    (0xF900, 0xFAFF),
    (0xFF01, 0xFF9F),
    (0x20000, 0x3FFFF),
)
_SYLLABIC = ((0x0E00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19FF), (0x1A20, 0x1AAF))


def _class(ranges: Sequence[tuple[int, int]]) -> str:
    return "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


UNSPACED = _class(sorted((*_IDEOGRAPHIC, *_SYLLABIC)))
"""The content of a regular expression's brackets: plain characters, so that every engine reads it alike."""

ISOLATED: dict[Units, str | None] = {"words": None, "unspaced": f"[{UNSPACED}]", "characters": r"[^\n]"}
"""The pattern whose every match becomes a token of its own, as ``tokenizer.json`` holds it."""

_ANY_UNSPACED = re.compile(f"[{UNSPACED}]")
_PIECES = re.compile(f"[{UNSPACED}]|[^{UNSPACED}]+")

SAMPLE_TEXTS = 1_000
SAMPLE_CHARACTERS = 2_000
# Mean characters of a written word: Chinese has 1.5 to 2, Thai 4 to 5 with its vowel signs.
_LONGEST_MEAN = {"ideographic": 2.5, "syllabic": 8.0}
LONG_WORD = 20.0


def isolate(words: list[str], units: Units) -> list[str]:
    """The tokens of a text whose words are ``words``; the same list where nothing is to be cut."""
    if units == "characters":
        return list("".join(words))
    if units == "words" or not any(map(_ANY_UNSPACED.search, words)):
        return words
    return [piece for word in words for piece in _PIECES.findall(word)]


def suggest_units(words_of_texts: Sequence[Sequence[str]]) -> tuple[Units, str | None]:
    """Which units suit a corpus, and the sentence that a reader must know; None where words do.

    Args:
        words_of_texts: the words of some texts, split at separators; a thousand are enough.

    >>> suggest_units([["good", "film"]])
    ('words', None)
    >>> suggest_units([["这部电影非常好看"], ["演员的表演很糟糕"]])[0]
    'unspaced'
    >>> suggest_units([["这", "部", "电影", "非常", "好看"]])[0]
    'words'
    """
    words = [word for row in words_of_texts for word in row if word]
    total = sum(map(len, words))
    if not total:
        return "words", None
    for kind, ranges in (("ideographic", _IDEOGRAPHIC), ("syllabic", _SYLLABIC)):
        found = re.compile(f"[{_class(ranges)}]")
        written = [word for word in words if found.search(word)]
        share = sum(len(found.findall(word)) for word in written) / total
        if share >= 0.2 and sum(map(len, written)) / len(written) > _LONGEST_MEAN[kind]:
            return "unspaced", (
                f"{share:.0%} of the text is in a script without spaces between words: each of its "
                "characters is read as a word of its own (units = unspaced)."
            )
    mean = total / len(words)
    if mean > LONG_WORD:
        return "words", (
            f"words are {mean:.0f} characters long on average: texts without spaces? "
            "Try units = characters, which reads every character on its own."
        )
    return "words", None
