"""Tables as practitioners bring them, made by a script: three languages, any number of rows and classes.

``python -m benchmarks.own_tables OUT.csv --rows 200 --language german`` writes one; the texts are word salad
with opinions in it, of our own making.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

LABELS = ("negative", "neutral", "positive")

WORDS = {
    "german": {
        "filler": (
            "der die das Film Geschichte Musik Kamera und mit über für wäre Straße Gefühl Szene "
            "Schauspieler Anfang Ende manchmal während könnte größer schön lang kurz drei Stunden "
            "Kino Abend gestern"
        ),
        "negative": "schrecklich langweilig öde misslungen überflüssig",
        "neutral": "ordentlich mittelmäßig durchschnittlich brauchbar gewöhnlich",
        "positive": "wunderbar großartig fesselnd herrlich überzeugend",
    },
    "english": {
        "filler": (
            "the a film story music camera and with about for would street feeling scene actor "
            "beginning end sometimes while could larger long short three hours cinema evening "
            "yesterday people"
        ),
        "negative": "dreadful boring dull botched pointless",
        "neutral": "decent mediocre average usable ordinary",
        "positive": "wonderful superb gripping lovely convincing",
    },
    "chinese": {
        "filler": ("电影 故事 音乐 镜头 和 关于 街道 感觉 场景 演员 开头 结尾 有时 三个 小时 昨天 晚上"),
        "negative": "糟糕 无聊 乏味 失败",
        "neutral": "普通 一般 平常 还行",
        "positive": "精彩 感人 出色 好看",
    },
}


def write_table(
    path: Path,
    *,
    rows: int,
    classes: int = 3,
    language: str = "english",
    noise: float = 0.05,
    shares: tuple[float, ...] | None = None,
    seed: int = 0,
) -> list[int]:
    """Writes ``path`` with columns text, label, author and part; returns the wrong labels' row numbers.

    Rows are numbered as a spreadsheet does it: the header is row 1. A text holds two words of its class
    among filler; a share ``noise`` of the labels is wrong. Authors write about ten texts each.

    Args:
        path: the CSV file to write.
        rows: texts.
        classes: 2 or 3.
        language: a key of ``WORDS``; Chinese is written without spaces.
        noise: share of wrong labels.
        shares: how often each class occurs; equally often when None.
        seed: fixes everything.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    words = {kind: line.split() for kind, line in WORDS[language].items()}
    labels = (LABELS[0], LABELS[2]) if classes == 2 else LABELS
    joint = "" if language == "chinese" else " "
    true = random.choice(classes, rows, p=shares)
    wrong = random.random(rows) < noise
    given = np.where(wrong, (true + random.integers(1, classes, rows)) % classes, true)
    lengths = np.clip(random.lognormal(2.8, 0.5, rows), 6, 120).astype(int)
    authors = random.integers(0, max(2, rows // 10), rows)
    parts = random.choice(["train", "validation", "test"], rows, p=[0.7, 0.1, 0.2])
    filler = np.array(words["filler"])
    ranks = 1.0 / np.arange(1, len(filler) + 1)
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label", "author", "part"])
        for row in range(rows):
            text = list(random.choice(filler, lengths[row], p=ranks / ranks.sum()))
            # A number tells texts apart, as names and dates do in real ones.
            text.insert(int(random.integers(len(text))), f"{random.integers(10**6)}")
            for word in random.choice(words[labels[true[row]]], 2):
                text.insert(int(random.integers(len(text) + 1)), str(word))
            writer.writerow([joint.join(text), labels[given[row]], f"author{authors[row]}", parts[row]])
    return [int(row) + 2 for row in np.flatnonzero(wrong)]


def main() -> None:
    """Writes the table that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--classes", type=int, default=3, choices=(2, 3))
    parser.add_argument("--language", choices=tuple(WORDS), default="english")
    parser.add_argument("--noise", type=float, default=0.05)
    chosen = parser.parse_args()
    wrong = write_table(
        chosen.out, rows=chosen.rows, classes=chosen.classes, language=chosen.language, noise=chosen.noise
    )
    print(f"{chosen.out}: {chosen.rows:,} rows, {len(wrong):,} labels wrong on purpose")


if __name__ == "__main__":
    main()
