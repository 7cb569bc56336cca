"""A second reader of generated reviews: it knows words and no grammar, and shares no code with the generator.

It shows two things. The text alone fixes every role, so a classifier that sees only words can reach the best
accuracy; and the roles alone fix the verdict.
"""

from __future__ import annotations

from collections.abc import Sequence

FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'

PRAISE = (
    "superb brilliant wonderful charming moving gripping delightful clever funny elegant tender inspired "
    "graceful thrilling splendid touching witty dazzling loved enjoyed admired adored triumph delight gem joy"
)
BLAME = (
    "dreadful boring awful clumsy tedious lifeless stupid dull shallow pointless lazy hollow dismal painful "
    "ugly wooden tiresome messy hated loathed resented despised disaster bore mess chore"
)
POSITIVE, NEGATIVE = set(PRAISE.split()), set(BLAME.split())
MARKERS = {
    "negator": "not never hardly scarcely nobody nothing",
    "intensifier": "truly utterly deeply thoroughly",
    "contrast": "yet but however nevertheless",
    "discounter": "critics newspapers poster trailer neighbour brother actor actress hero heroine villain "
    "although",
    "verdict": "overall verdict ultimately altogether conclusion",
}
ROLE_OF_MARKER = {word: role for role, line in MARKERS.items() for word in line.split()}


def split_words(text: str) -> list[str]:
    """Words as Keras' default tokenization cuts them, written out."""
    spaced = "".join(" " if letter in FILTERS else letter for letter in text.lower())
    return [word for word in spaced.split(" ") if word]


def read_roles(text: str) -> list[str]:
    """Role names from the words alone."""
    roles: list[str] = []
    last_polar = None
    someone_else = False
    for place, word in enumerate(split_words(text)):
        role = ROLE_OF_MARKER.get(word, "filler")
        if word in POSITIVE | NEGATIVE:
            role = "positive" if word in POSITIVE else "negative"
            if someone_else:
                role = "discounted"
            last_polar, someone_else = place, False
        elif role == "discounter":
            someone_else = True
        elif role == "contrast":
            assert last_polar is not None
            roles[last_polar] = "discounted"
        roles.append(role)
    return roles


def judge(roles: Sequence[str]) -> int:
    """Evidence from role names alone: cut after each praise or blame, multiply what each piece holds."""
    evidence = 0
    start = 0
    for place, role in enumerate(roles):
        if role in ("positive", "negative", "discounted"):
            piece = list(roles[start:place])
            sign = {"positive": 1, "negative": -1, "discounted": 0}[role]
            evidence += (
                sign
                * (-1) ** piece.count("negator")
                * 2 ** piece.count("intensifier")
                * 3 ** piece.count("verdict")
            )
            start = place + 1
    return evidence
