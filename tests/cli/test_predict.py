"""``unrolled predict``, ``evaluate`` and ``explain`` on runs and exports: tables of any size, order kept."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.deploy.conftest import CLASSES, command, corpus, exports, runs
from unrolled.deploy import Predictor

__all__ = ["exports", "runs"]

Exports = Callable[..., Path]
GAINED = ["predicted", *(f"probability_{name}" for name in CLASSES)]


@pytest.fixture(scope="module")
def export(exports: Exports) -> Path:
    return exports("gru", 3)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    """Rows of a table whose texts hold all that CSV must quote."""
    random = np.random.default_rng(0)
    words = [*list(corpus(3)[1].index)[:30], "fremd", '"', ",", "\n", "\r", ";", "ß", "😀"]
    texts = ["", *(" ".join(random.choice(words, random.integers(1, 20))) for _ in range(150))]
    return [{"id": f"{number:04}", "text": text, "note": f"n,{number}"} for number, text in enumerate(texts)]


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=40)
    else:
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(
                stream, list(rows[0]), delimiter="\t" if path.suffix == ".tsv" else ",", quoting=csv.QUOTE_ALL
            )
            writer.writeheader()
            writer.writerows(rows)
    return path


def read(payload: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(payload.decode(), newline="")))


def check(found: list[dict[str, str]], rows: list[dict[str, str]], export: Path) -> None:
    assert [list(row) for row in found] == [[*rows[0], *GAINED]] * len(rows)
    assert [{name: row[name] for name in rows[0]} for row in found] == rows
    expected = Predictor(export).predict_proba([row["text"] for row in rows])
    for row, chances in zip(found, expected, strict=True):
        assert row["predicted"] == CLASSES[int(chances.argmax())]
        answers = [float(row[name]) for name in GAINED[1:]]
        np.testing.assert_allclose(answers, chances, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_a_table_keeps_rows_order_and_columns(
    export: Path, rows: list[dict[str, str]], tmp_path: Path, suffix: str
) -> None:
    done = command("predict", export, "--input", write(tmp_path / f"table{suffix}", rows))
    assert done.returncode == 0, done.stderr
    assert done.stderr == b""
    check(read(done.stdout), rows, export)


def test_output_goes_into_a_file_whole_or_not_at_all(
    export: Path, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    table, target = write(tmp_path / "table.csv", rows), tmp_path / "answers.csv"
    done = command("predict", export, "--input", table, "--output", target)
    assert (done.returncode, done.stdout) == (0, b"")
    check(read(target.read_bytes()), rows, export)
    before = target.read_bytes()
    # Far behind what is read ahead, so that answers were written when the row is met.
    table.write_bytes(b"text,id\n" + b"some words,1\n" * 6_000 + b"one,field,too,many\n")
    done = command("predict", export, "--input", table, "--output", target)
    assert done.returncode == 3
    assert b"row 6002" in done.stderr
    assert b"does not fit the header" in done.stderr
    assert target.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"table.csv", "answers.csv"}


def test_a_run_and_its_export_answer_alike(
    exports: Exports, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    export = exports("gru", 3)
    run = export.parent / "gru-seed0"
    table = write(tmp_path / "table.csv", rows)
    answers = [read(command("predict", model, "--input", table).stdout) for model in (run, export)]
    assert len(answers[0]) == len(rows)
    for one, other in zip(*answers, strict=True):
        assert one["predicted"] == other["predicted"]
        for name in GAINED[1:]:
            assert float(one[name]) == pytest.approx(float(other[name]), abs=1e-5)


def test_texts_and_standard_input_are_answered_line_by_line(export: Path) -> None:
    predictor = Predictor(export)
    texts = ["ba bö zeichen1", "Größe", "a\ttab"]
    expected = [
        f"{predictor.labels[row.argmax()]}\t{row.max():.4f}\t{text}".replace("a\ttab", "a tab")
        for text, row in zip(texts, predictor.predict_proba(texts), strict=True)
    ]
    done = command("predict", export, *texts)
    assert done.stdout.decode().splitlines() == expected, done.stderr
    done = command("predict", export, stdin="\r\n".join(texts).encode())
    assert done.stdout.decode().splitlines() == expected
    done = command("predict", export, "--json", *texts)
    document = json.loads(done.stdout)
    assert [row["text"] for row in document["predictions"]] == texts
    assert document["predictions"][0]["probabilities"] == pytest.approx(
        dict(zip(CLASSES, map(float, predictor.predict_proba(texts)[0]), strict=True))
    )
    assert json.loads(command("predict", export, "--json").stdout)["predictions"] == []
    assert command("predict", export).stdout == b""


def test_lines_are_texts_whatever_they_hold(export: Path) -> None:
    """A terminal is not commanded, and a text stays on its line."""
    done = command("predict", export, "one\n\x1b[31mtwo\x07")
    assert done.stdout.count(b"\n") == 1
    assert b"\x1b" not in done.stdout
    assert b"\x07" not in done.stdout


def test_texts_into_a_file_are_a_table(export: Path, tmp_path: Path) -> None:
    target = tmp_path / "answers.csv"
    assert command("predict", export, "ba, bö", "x", "--output", target).returncode == 0
    found = read(target.read_bytes())
    assert [row["text"] for row in found] == ["ba, bö", "x"]
    assert list(found[0]) == ["text", *GAINED]


def test_no_framework_is_loaded_for_an_export(
    export: Path, rows: list[dict[str, str]], tmp_path: Path
) -> None:
    table = write(tmp_path / "table.csv", rows)
    code = (
        "import sys\n"
        "from unrolled.cli.__main__ import app\n"
        f"app(['predict', {str(export)!r}, '--input', {str(table)!r}], standalone_mode=False)\n"
        "heavy = {'keras', 'jax', 'numba', 'sklearn', 'scipy', 'pyarrow', 'rich'} & set(sys.modules)\n"
        "print(heavy, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "set()\n")


@pytest.mark.slow
def test_memory_does_not_grow_with_the_table(exports: Exports, tmp_path: Path) -> None:
    """Ten times the rows, the same memory: as children's peak, which only rises, tells."""
    export = exports("dense", 3)
    head, line = b"text\n", b"ba bo zeichen1 " * 40 + b"\n"
    peaks = []
    for name, count in (("small.csv", 10_000), ("large.csv", 100_000)):
        table = tmp_path / name
        table.write_bytes(head + line * count)
        code = (
            "import resource, subprocess, sys\n"
            "done = subprocess.run([sys.executable, '-m', 'unrolled.cli', *sys.argv[1:]])\n"
            "print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
        )
        target = tmp_path / "out.csv"
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                code,
                "predict",
                str(export),
                "--input",
                str(table),
                "--output",
                str(target),
            ],
            capture_output=True,
            text=True,
        )
        status, peak = map(int, done.stdout.split())
        assert status == 0, done.stderr
        assert target.read_bytes().count(b"\n") == count + 1
        peaks.append(peak)
    assert peaks[1] < peaks[0] * 1.15


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["predict", "EXPORT", "a text", "--input", "table.csv"], 2, "texts and --input are both given"),
        (["predict", "EXPORT", "a text", "--text-column", "text"], 2, "there is no table"),
        (["predict", "EXPORT", "--input", "nowhere.csv"], 3, "no such file"),
        (["predict", "EXPORT", "--input", "table.txt"], 3, "file format is unknown"),
        (["predict", "EXPORT", "--input", "table.csv", "--text-column", "txt"], 3, "Try: text"),
        (["predict", "EXPORT", "--input", "again.csv"], 3, "a column of the answers' name (got 'predicted')"),
        (["predict", ".", "x"], 3, "not a run's folder"),
        (["predict", "nowhere", "x"], 3, "not a run's folder"),
        (["evaluate", "EXPORT", "labels.csv"], 3, "labels that the model does not know (got 'strange')"),
        (["explain", "EXPORT", "ba", "--label", "strange"], 2, "unknown class"),
    ],
)
def test_mistakes_end_in_one_line_and_a_status(
    export: Path, tmp_path: Path, arguments: list[str], status: int, message: str
) -> None:
    (tmp_path / "table.csv").write_text("text,id\nsome words here,1\n")
    (tmp_path / "table.txt").write_text("some words\n")
    (tmp_path / "again.csv").write_text("text,predicted\nsome words here,bad\n")
    (tmp_path / "labels.csv").write_text("text,label\nsome words,bad\nother words,strange\n")
    done = command(*(str(export) if part == "EXPORT" else part for part in arguments), cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert message in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1
    assert done.stdout == b""


def test_bytes_that_are_no_text_are_named_with_their_line(export: Path) -> None:
    done = command("predict", export, stdin=b"fine\nnot \xff fine\n")
    assert done.returncode == 3
    assert b"standard input, line 2: it is not UTF-8 (got byte 0xff at offset 4 of the line)" in done.stderr


@pytest.mark.slow
def test_evaluate_measures_an_export_as_its_run(exports: Exports, tmp_path: Path) -> None:
    export = exports("gru", 3)
    rng = np.random.default_rng(0)
    with (tmp_path / "labelled.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        for row in range(90):
            writer.writerow(
                [" ".join(rng.choice(["ba", "bö", "gie", "mun"], 6)) + f" {row}", CLASSES[row % 3]]
            )
    found = [
        json.loads(command("evaluate", model, tmp_path / "labelled.csv", "--json").stdout)
        for model in (export.parent / "gru-seed0", export)
    ]
    for document in found:
        document.pop("run")
        assert document["num_items"] == 90
    assert found[0].pop("loss") == pytest.approx(found[1].pop("loss"), abs=1e-5)
    assert found[0] == found[1]


def test_explain_takes_an_export(export: Path) -> None:
    done = command("explain", export, "ba bö zeichen1", "--json")
    document = json.loads(done.stdout)
    assert [word["text"] for word in document["words"]] == ["ba", "bö", "zeichen1"]
    plain = command("explain", export, "ba bö zeichen1").stdout.decode().splitlines()
    assert plain[0] == f"{document['label']}: {document['probability']:.4f}"
    assert [line.split("\t")[1] for line in plain[1:4]] == ["ba", "bö", "zeichen1"]
    assert float(plain[1].split("\t")[0]) == pytest.approx(document["words"][0]["contribution"], abs=1e-4)
