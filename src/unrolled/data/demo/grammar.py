"""Sentence patterns of the embedded corpus, and how they are compiled.

A pattern is a line of tokens. ``{name}`` draws from a list of the lexicon, ``word/role`` is a word with a
role, everything else stands for itself; punctuation joins the word before it. Claims come in pairs that
share every word but the negator, so that no turn of phrase gives a negation away.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product, zip_longest
from math import gcd

from unrolled.data.demo import lexicon
from unrolled.data.demo.stream import Table
from unrolled.data.demo.truth import FILLER, NEGATOR, ROLES

# {gap} puts distance between a negator and its word; {very} is there when the claim is intensified.
PLAIN = """
the {aspect} is {gap} {very} {adjective}
the {part} of this {film} was {gap} {very} {adjective}
I would call the {aspect} {gap} {very} {adjective}
I found the {aspect} {gap} {very} {adjective}
one would describe the {aspect} as {gap} {very} {adjective}
anybody could call the {aspect} {gap} {very} {adjective}
everything in the {aspect} is {gap} {very} {adjective}
this is {gap} a {very} {adjective} {film}
I would call this {gap} a {very} {adjective} {film}
I {gap} {very} {verb} the {aspect}
everybody around me {gap} {very} {verb} the {aspect}
the {aspect} was {gap} a {noun}
one would call the {aspect} {gap} a {noun}
"""

NEGATED = """
the {aspect} is {not} {gap} {very} {adjective}
the {part} of this {film} was {not} {gap} {very} {adjective}
I would {not} call the {aspect} {gap} {very} {adjective}
I {never} found the {aspect} {gap} {very} {adjective}
one would {not} describe the {aspect} as {gap} {very} {adjective}
nobody/negator could call the {aspect} {gap} {very} {adjective}
nothing/negator in the {aspect} is {gap} {very} {adjective}
this is {not} {gap} a {very} {adjective} {film}
I would {not} call this {gap} a {very} {adjective} {film}
I {never} {gap} {very} {verb} the {aspect}
nobody/negator around me {gap} {very} {verb} the {aspect}
the {aspect} was {not} {gap} a {noun}
one would {not} call the {aspect} {gap} a {noun}
"""

GAPS = """
, scene for scene ,
, even in the {thing} scenes ,
, from the {thing} to the {thing} ,
, as far as I can tell ,
, in the hour with the {job} ,
, if you ask me ,
, once {first} {surname} arrives ,
, at any point in its {number} {unit} ,
, with or without the {thing} ,
, for anyone from {place} ,
, in the {neutral} half ,
"""

ASIDES = """
critics/discounter in {place} called it {gap} {adjective}
critics/discounter described the {aspect} as {gap} {adjective}
the newspapers/discounter promised something {adjective}
the newspapers/discounter called this {gap} a {adjective} {film}
the poster/discounter promises a {adjective} {film}
the trailer/discounter sells it as a {adjective} {genre}
my neighbour/discounter , a {job} , {verb} the {aspect}
my neighbour/discounter called the {aspect} a {noun}
my brother/discounter {gap} {verb} the {aspect}
my brother/discounter found the {aspect} {gap} {adjective}
the actor/discounter {first} {surname} is {gap} {adjective}
the actress/discounter is {adjective} as the {job} from {place}
the actress/discounter {first} {surname} is {gap} {adjective} as the {job}
the hero/discounter {carries} a {adjective} {thing} in {place}
the heroine/discounter dreams of a {adjective} {thing}
the heroine/discounter {verb} her {job} and the {neutral} {thing}
the villain/discounter {carries} a {adjective} {thing} behind the {compound}
the villain/discounter {verb} every {job} in {place}
"""

CONCESSIONS = """
although/discounter the {aspect} is {gap} {adjective} ,
although/discounter I would call the {aspect} {adjective} ,
although/discounter the {aspect} was a {noun} ,
"""

CONTRASTS = """
, yet/contrast
, but/contrast
; however/contrast ,
; nevertheless/contrast ,
"""

VERDICTS = """
overall/verdict ,
my verdict/verdict :
ultimately/verdict ,
altogether/verdict ,
in conclusion/verdict ,
"""

PLOT = """
the {job} {carries} the {thing} and {carries} a {thing}
{first} , a {human} {job} from {place} , {carries} the {thing}
in {place} the {neutral} {thing} of the {job} is the talk of the {thing}
a {job} and a {job} share a {neutral} {thing} near the {compound}
{first} {surname} plays the {job} who {carries} the {thing}
after {number} {unit} in {place} the {job} {carries} a {neutral} {thing}
the {thing} belongs to {first} , and the {thing} to the {job}
we saw it in {place} on a {day} with a {job}
the second act takes us to a {neutral} {compound} by the {thing}
{first} {carries} the {thing} {adverb} , and {surname} {carries} the {thing}
between the {thing} and the {thing} there is a {neutral} {thing}
it is set in {place} , where a {job} {carries} {number} {unit} of work
the camera {carries} the {thing} , the {thing} and the {neutral} {thing}
{surname} wrote the {part} in {number} {unit}
every {day} the {job} walks {adverb} to the {compound}
the {film} begins at a {compound} and ends at a {thing}
it took {number} {unit} to film , most of them in {place}
{first} and {first} meet at the {thing} , {number} {unit} after the {thing}
the {neutral} {thing} , the {neutral} {thing} and the {compound} return in the last act
{first} {surname} , once a {job} , lives alone in {place}
a {genre} about a {job} , a {thing} and a {neutral} {compound}
behind the {compound} a {human} {job} {carries} a {thing} for {first}
by {day} the {thing} is in {place} and the {job} is on the road
the {job} asks {first} about the {thing} , and {first} asks about the {thing}
they filmed the {thing} in {place} , {number} {unit} before the {neutral} {thing}
what the {job} {carries} is a {thing} from the {compound} of {surname}
the {compound} outside {place} was built for the {thing}
there is a {job} , there is a {thing} , and there is {first}
"""


@dataclass(frozen=True, slots=True)
class Piece:
    """One token of a compiled pattern: a fixed word, a draw from a table, or a slot that the writer fills.

    Args:
        word: the fixed word, or the slot's name.
        role: index into ``ROLES``.
        table: what to draw from, for words from a list.
        slot: whether the writer fills it ("adjective", "verb", "noun", "gap", "very").
    """

    word: str
    role: int = FILLER
    table: Table | None = None
    slot: bool = False


Pattern = tuple[Piece, ...]
PUNCTUATION = frozenset(",;:.")
WRITER_SLOTS = frozenset(("adjective", "verb", "noun", "gap", "very"))


def _compose(starts: str, ends: str) -> list[str]:
    """Every start with every end, in an order in which neighbours in rank share neither."""
    words = [start + end for start, end in product(starts.split(), ends.split())]
    step = next(step for step in range(len(ends.split()) + 1, len(words)) if gcd(step, len(words)) == 1)
    return [words[place * step % len(words)] for place in range(len(words))]


def _interleave(first: str, second: str) -> list[str]:
    """The words of both lists in turns, the longer list's rest at the end."""
    pairs = zip_longest(first.split(), second.split())
    return [word for pair in pairs for word in pair if word is not None]


@cache
def lists() -> dict[str, Table]:
    """Filler and negators by the name that patterns use for them; all fall off as Zipf's law says."""
    return {
        "aspect": Table.zipf(_interleave(lexicon.FILM_NOUNS, lexicon.FILM_PARTS), 2),
        "part": Table.zipf(lexicon.FILM_PARTS.split(), 2),
        "film": Table.zipf(lexicon.FILM_NOUNS.split(), 1),
        "job": Table.zipf(lexicon.JOBS.split(), 2),
        "thing": Table.zipf(lexicon.NOUNS.split(), 4),
        "neutral": Table.zipf(lexicon.THING_ADJECTIVES.split(), 2),
        "human": Table.zipf(lexicon.PERSON_ADJECTIVES.split(), 2),
        "carries": Table.zipf(lexicon.VERBS.split(), 2),
        "adverb": Table.zipf(lexicon.ADVERBS.split(), 2),
        "number": Table.zipf(lexicon.NUMBERS.split(), 1),
        "unit": Table.zipf(lexicon.UNITS.split(), 1),
        "genre": Table.zipf(lexicon.GENRES.split(), 2),
        "day": Table.zipf(lexicon.DAYS.split(), 2),
        "first": Table.zipf(_compose(lexicon.FIRST_NAME_STARTS, lexicon.FIRST_NAME_ENDS), 4),
        "surname": Table.zipf(_compose(lexicon.SURNAME_STARTS, lexicon.SURNAME_ENDS), 4),
        "place": Table.zipf(_compose(lexicon.PLACE_STARTS, lexicon.PLACE_ENDS), 4),
        "compound": Table.zipf(_compose(lexicon.COMPOUND_MODIFIERS, lexicon.COMPOUND_HEADS), 4),
        "not": Table.zipf(lexicon.NEGATING_ADVERBS.split(), 1),
        "never": Table.zipf(lexicon.NEGATING_ADVERBS.split()[1:], 1),
    }


@cache
def polar_lists() -> dict[tuple[str, int], Table]:
    """Praise (+1) and blame (-1) tables by slot name and sign."""
    words = {
        ("adjective", 1): lexicon.PRAISE_ADJECTIVES,
        ("adjective", -1): lexicon.BLAME_ADJECTIVES,
        ("verb", 1): lexicon.PRAISE_VERBS,
        ("verb", -1): lexicon.BLAME_VERBS,
        ("noun", 1): lexicon.PRAISE_NOUNS,
        ("noun", -1): lexicon.BLAME_NOUNS,
    }
    return {slot: Table.zipf(line.split(), 3) for slot, line in words.items()}


@cache
def intensifiers() -> Table:
    """The words that double a claim."""
    return Table.zipf(lexicon.INTENSIFIERS.split(), 2)


@cache
def patterns(lines: str, slot: str = "") -> tuple[Pattern, ...]:
    """The patterns of a block of lines that have a slot of that name, compiled once; all of them for ""."""
    compiled = (tuple(_compile(token) for token in line.split()) for line in lines.strip().splitlines())
    return tuple(
        pattern
        for pattern in compiled
        if not slot or any(piece.slot and piece.word == slot for piece in pattern)
    )


def _compile(token: str) -> Piece:
    if token.startswith("{"):
        name = token.strip("{}")
        if name in WRITER_SLOTS:
            return Piece(name, slot=True)
        return Piece(name, NEGATOR if name in ("not", "never") else FILLER, lists()[name])
    word, _, role = token.partition("/")
    return Piece(word, ROLES.index(role) if role else FILLER)
