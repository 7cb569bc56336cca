"""Three tables to try things on: Turkish in three classes, 200 rows, and 200,000 rows.

usage: python examples/make_tables.py [FOLDER]

Writes turkish.csv, small.csv and large.csv, the same bytes every time; only Python is needed. The texts come
from a small grammar of opinions on hotels: clauses about a thing, the last of which decides the class. A
negation turns an opinion round, so that counting words is not enough. One label in twenty-five is wrong, as
people's are.
"""

from __future__ import annotations

import argparse
import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LABEL_NOISE = 0.04


@dataclass(frozen=True)
class Language:
    """Words of one language.

    Args:
        things: what opinions are about.
        good: adjectives that praise.
        bad: adjectives that blame.
        plain: adjectives that do neither.
        says: a clause with {thing} and {word}.
        denies: the same clause denied.
        between: what joins clauses; the last clause decides.
        filler: sentences without an opinion.
        labels: of praise, of blame, of neither.
        columns: names of the text and of the label.
    """

    things: tuple[str, ...]
    good: tuple[str, ...]
    bad: tuple[str, ...]
    plain: tuple[str, ...]
    says: str
    denies: str
    between: str
    filler: tuple[str, ...]
    labels: tuple[str, str, str]
    columns: tuple[str, str]


TURKISH = Language(
    things=("oda", "kahvaltı", "personel", "manzara", "banyo", "yatak", "havuz", "konum", "yemek", "hizmet"),
    good=("harika", "tertemiz", "güzel", "mükemmel", "rahat", "kusursuz"),
    bad=("berbat", "kirli", "gürültülü", "kötü", "soğuk", "bakımsız"),
    plain=("sıradan", "ortalama", "olağan", "vasat", "alışıldık"),
    says="{thing} {word}",
    denies="{thing} hiç {word} değil",
    between=", ama yine de ",
    filler=(
        "Geçen hafta iki gece kaldık.",
        "Uçağımız öğleden sonra indi.",
        "Çocuklarla birlikte gittik.",
        "Otel merkeze on dakika.",
        "Rezervasyonu şubatta yapmıştık.",
        "İstanbul'dan arabayla geldik.",
    ),
    labels=("olumlu", "olumsuz", "tarafsız"),
    columns=("yorum", "sonuç"),
)

ENGLISH = Language(
    things=("room", "breakfast", "staff", "view", "bathroom", "bed", "pool", "location", "food", "service"),
    good=("wonderful", "spotless", "lovely", "excellent", "comfortable", "friendly"),
    bad=("awful", "dirty", "noisy", "terrible", "cold", "rude"),
    plain=("ordinary", "average", "passable", "standard", "unremarkable"),
    says="the {thing} was {word}",
    denies="the {thing} was not {word} at all",
    between=", and yet ",
    filler=(
        "We stayed two nights last week.",
        "Our flight landed in the afternoon.",
        "We went with the children.",
        "The hotel is ten minutes from the centre.",
        "We had booked in February.",
        "We came by car from Leeds.",
    ),
    labels=("positive", "negative", "neutral"),
    columns=("text", "label"),
)


def write_table(path: Path, language: Language, *, rows: int, classes: int, seed: int) -> None:
    """Writes ``rows`` texts of ``classes`` classes (2 leaves out the undecided ones) as CSV in UTF-8."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(language.columns)
        writer.writerows(make_rows(language, rows, classes, random.Random(seed)))


def make_rows(
    language: Language, rows: int, classes: int, chance: random.Random
) -> Iterator[tuple[str, str]]:
    """Pairs of text and label."""
    for number in range(rows):
        truth = chance.randrange(classes)
        other = (truth + 1 + chance.randrange(classes - 1)) % classes
        clauses = [make_clause(language, truth, chance)]
        if chance.random() < 0.4:
            # The last clause has the last word.
            clauses.insert(0, make_clause(language, other, chance))
        opinion = language.between.join(clauses)
        sentences = [
            opinion[0].upper() + opinion[1:] + ".",
            *chance.sample(language.filler, chance.randrange(1, 5)),
        ]
        chance.shuffle(sentences)
        # A number tells texts apart, as names and dates do in real ones.
        sentences.append(f"({number + 1})")
        given = other if chance.random() < LABEL_NOISE else truth
        yield " ".join(sentences), language.labels[given]


def make_clause(language: Language, truth: int, chance: random.Random) -> str:
    """A clause that means praise (0), blame (1) or neither (2)."""
    thing = chance.choice(language.things)
    if truth == 2:
        return language.says.format(thing=thing, word=chance.choice(language.plain))
    words = (language.good, language.bad)
    if chance.random() < 0.3:
        return language.denies.format(thing=thing, word=chance.choice(words[1 - truth]))
    return language.says.format(thing=thing, word=chance.choice(words[truth]))


def main() -> None:
    """Writes the three tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("tables"), help="default: tables")
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / "turkish.csv", TURKISH, rows=1_500, classes=3, seed=1)
    write_table(folder / "small.csv", ENGLISH, rows=200, classes=2, seed=2)
    write_table(folder / "large.csv", ENGLISH, rows=200_000, classes=3, seed=3)
    for path in sorted(folder.glob("*.csv")):
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
