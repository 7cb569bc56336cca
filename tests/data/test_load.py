"""Sources as a user gives them: layouts, options, and one digest whatever the format."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from imdb_files import review_members, small_parts, write_archive, write_npz, write_review_folder

from unrolled.data import load_dataset
from unrolled.data.load import SOURCES
from unrolled.errors import DataError, MachineError, UsageError
from unrolled.types import Dataset

ROWS = [("a fine, fine film", "pos"), ('they said "no"', "neg"), ("caf\u00e9\nnoir", "pos"), ("NA", "01")]


def write_csv(path: Path, rows: list[tuple[str, str]] = ROWS, delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, delimiter=delimiter).writerows([("text", "label"), *rows])
    return path


def write_folders(folder: Path, rows: list[tuple[str, str]] = ROWS) -> Path:
    for number, (text, label) in enumerate(rows):
        (folder / label).mkdir(parents=True, exist_ok=True)
        (folder / label / f"{number}.txt").write_bytes(text.encode())
    return folder


def test_the_same_rows_have_one_digest_in_every_format(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        "".join(json.dumps({"label": y, "text": x, "n": i}) + "\n" for i, (x, y) in enumerate(ROWS))
    )
    texts, labels = zip(*ROWS, strict=True)
    pq.write_table(pa.table({"review": texts, "sentiment": labels}), tmp_path / "a.parquet", row_group_size=3)
    pq.write_table(
        pa.table({"text": pa.array(texts, pa.large_string()), "label": pa.array(labels).dictionary_encode()}),
        tmp_path / "b.parquet",
    )
    files = [
        write_csv(tmp_path / "a.csv"),
        write_csv(tmp_path / "a.tsv", delimiter="\t"),
        tmp_path / "a.jsonl",
    ]
    files += [
        write_csv(tmp_path / "semicolons.csv", delimiter=";"),
        tmp_path / "a.parquet",
        tmp_path / "b.parquet",
    ]
    found = [load_dataset(file) for file in files]
    for dataset in found:
        assert (dataset.train.texts, dataset.classes) == (list(texts), ("01", "neg", "pos"))
        assert dataset.train.labels.tolist() == [2, 1, 2, 0]
        assert dataset.test is None
    assert len({dataset.sha256 for dataset in found}) == 1


def test_the_digest_tells_contents_apart(tmp_path: Path) -> None:
    variants = [
        ROWS,
        ROWS[::-1],
        [("a fine, fine film ", "pos"), *ROWS[1:]],
        [(ROWS[0][0], "neg"), *ROWS[1:]],
        [(x, y + "x") for x, y in ROWS],
        ROWS[:3],
        [("ab", "x"), ("c", "y")],
        [("a", "x"), ("bc", "y")],
        [("ab", "x"), ("c", "yz")],
    ]
    digests = {load_dataset(write_csv(tmp_path / f"{i}.csv", rows)).sha256 for i, rows in enumerate(variants)}
    assert len(digests) == len(variants)


def test_numbers_and_booleans_are_the_labels_they_are_written_as(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": 1}\n{"text": "b", "label": true}\n')
    assert load_dataset(tmp_path / "a.jsonl").classes == ("1", "true")
    pq.write_table(pa.table({"text": ["a", "b"], "label": [10, 2]}), tmp_path / "a.parquet")
    assert load_dataset(str(tmp_path / "a.parquet")).classes == ("10", "2")
    pq.write_table(pa.table({"text": ["a", "b"], "label": [True, False]}), tmp_path / "b.parquet")
    assert load_dataset(tmp_path / "b.parquet").classes == ("false", "true")


def test_a_split_column_makes_parts_in_the_order_of_rows(tmp_path: Path) -> None:
    rows = ["a,x,train", "b,y,test", "c,y,Train", "d,x,dev", "e,x,test"]
    (tmp_path / "a.csv").write_text("text,label,split\n" + "\n".join(rows) + "\n")
    dataset = load_dataset(tmp_path / "a.csv")
    assert dataset.validation is not None
    assert dataset.test is not None
    assert [part.texts for part in (dataset.train, dataset.validation, dataset.test)] == [
        ["a", "c"],
        ["d"],
        ["b", "e"],
    ]
    assert dataset.test.labels.tolist() == [1, 0]
    as_label = load_dataset(tmp_path / "a.csv", label_column="split")
    assert as_label.test is None
    assert as_label.classes == ("Train", "dev", "test", "train")


def test_a_row_of_a_part_is_named_by_its_place_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('text,label,split\na,x,train\n"b\nb",y,train\nc,z,test\n')
    with pytest.raises(DataError, match=r"a\.csv, row 4: test has a label"):
        load_dataset(tmp_path / "a.csv")


def test_folders_of_files_of_one_part_each(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv")
    write_csv(tmp_path / "Test.csv", ROWS[:1])
    write_csv(tmp_path / "valid.tsv", ROWS[1:2], delimiter="\t")
    write_csv(tmp_path / "unsup.csv")
    dataset = load_dataset(tmp_path)
    assert dataset.name == tmp_path.name
    assert dataset.validation is not None
    assert dataset.test is not None
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (4, 1, 1)
    assert dataset.notices == (
        "1 text of validation stands also in train.",
        "1 text of test stands also in train.",
    )
    write_csv(tmp_path / "train.tsv", delimiter="\t")
    with pytest.raises(
        DataError, match=r"not clear which is the train part \(candidates: train.csv, train.tsv\)"
    ):
        load_dataset(tmp_path)


def test_a_folder_per_class_with_or_without_parts(tmp_path: Path) -> None:
    rows = [(f"text {i}", "xy"[i % 2]) for i in range(12)]
    alone = load_dataset(write_folders(tmp_path / "alone", rows))
    # Classes by name, files by number: 10 comes after 2.
    assert alone.train.texts == [f"text {i}" for i in (*range(0, 12, 2), *range(1, 12, 2))]
    assert (alone.name, alone.classes) == ("alone", ("x", "y"))
    write_folders(tmp_path / "parts" / "train", rows)
    write_folders(tmp_path / "parts" / "test", rows[:4])
    (tmp_path / "parts" / ".git").mkdir()
    (tmp_path / "parts" / "train" / "x" / "notes.md").write_text("no text")
    parts = load_dataset(tmp_path / "parts")
    assert parts.test is not None
    assert parts.train.texts == alone.train.texts
    assert len(parts.test) == 4
    assert parts.notices[0] == "train: files that are not .txt were left out (1)."
    (tmp_path / "alone" / "z").mkdir()
    with pytest.raises(DataError, match=r"the class 'z' has no \.txt file"):
        load_dataset(tmp_path / "alone")


@pytest.mark.parametrize("form", ["csv", "folder"])
def test_a_separate_test_part(form: str, tmp_path: Path) -> None:
    train = write_csv(tmp_path / "train.csv")
    test = (
        write_csv(tmp_path / "t.csv", ROWS[:2]) if form == "csv" else write_folders(tmp_path / "t", ROWS[:2])
    )
    dataset = load_dataset(train, test=test)
    assert dataset.name == "train"
    assert dataset.test is not None
    assert sorted(dataset.test.texts or ()) == sorted(text for text, _ in ROWS[:2])
    assert dataset.notices == ("2 texts of test stand also in train.",)
    (tmp_path / "in").mkdir()
    write_csv(tmp_path / "in" / "train.csv")
    write_csv(tmp_path / "in" / "test.csv")
    with pytest.raises(UsageError, match="has a test part of its own"):
        load_dataset(tmp_path / "in", test=test)


def check_imdb(dataset: Dataset) -> None:
    assert (dataset.name, dataset.classes) == ("imdb", ("negative", "positive"))
    assert dataset.train.texts == ["a joy, caf\u00e9 and all", "not once did I laugh", "dull and long"]
    assert dataset.train.labels.tolist() == [1, 0, 0]
    assert dataset.train.labels.dtype == np.int32
    assert dataset.test is not None
    assert dataset.test.texts == ["go and see it", "asleep by the second act"]
    assert dataset.test.labels.tolist() == [1, 0]


def write_imdb_tables(folder: Path, kind: str) -> Path:
    found: dict[str, list[tuple[str, str, str, int]]] = {"train": [], "test": []}
    for name, payload in review_members(""):
        pieces = str(name).split("/")
        if len(pieces) == 3 and pieces[1] in ("pos", "neg"):
            stem = pieces[2].removesuffix(".txt")
            identifier = f"{pieces[1]}/{stem}"
            found[pieces[0]].append((identifier, payload.decode(), pieces[1], int(stem.split("_")[1])))
    folder.mkdir()
    for part, rows in found.items():
        rows.sort(key=lambda row: (row[2] == "neg", int(row[0].split("/")[1].split("_")[0])))
        columns = dict(zip(("id", "text", "label", "rating"), zip(*rows, strict=True), strict=True))
        if kind == "parquet":
            pq.write_table(pa.table(columns), folder / f"{part}.parquet")
        else:
            with (folder / f"{part}.csv").open("w", newline="", encoding="utf-8") as stream:
                csv.writer(stream).writerows([tuple(columns), *rows])
    return folder


def test_imdb_is_recognised_and_the_same_in_every_form(tmp_path: Path) -> None:
    forms = [
        write_review_folder(tmp_path / "unpacked"),
        write_review_folder(tmp_path / "around" / "aclImdb").parent,
        write_archive(tmp_path / "aclImdb_v1.tar.gz", review_members()),
        write_archive(tmp_path / "other.tgz", review_members("./aclImdb/")),
        write_imdb_tables(tmp_path / "parquet", "parquet"),
        write_imdb_tables(tmp_path / "csv", "csv"),
    ]
    found = [load_dataset(form) for form in forms]
    for dataset in found:
        check_imdb(dataset)
    assert len({dataset.sha256 for dataset in found}) == 1
    check_imdb(load_dataset(forms[4] / "train.parquet", test=forms[4] / "test.parquet"))


def test_a_table_that_only_resembles_imdb_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("text,label\na<br />b,pos\nb,neg\n")
    dataset = load_dataset(tmp_path / "mine.csv")
    assert (dataset.name, dataset.classes) == ("mine", ("neg", "pos"))
    assert dataset.train.texts == ["a<br />b", "b"]


@pytest.mark.parametrize(
    ("source", "options"),
    [
        ("csv", {"size": 5}),
        ("csv", {"text_column": "text", "label_column": "text"}),
        ("folder", {"text_column": "text"}),
        ("npz", {"label_column": "y"}),
        ("npz", {"test": "x.csv"}),
        ("demo", {"text_column": "text"}),
        ("demo", {"test": "x.csv"}),
        ("demo", {"size": 2}),
        ("imdb", {"size": 100}),
    ],
)
def test_options_that_do_not_apply_are_refused(
    source: str, options: dict[str, object], tmp_path: Path
) -> None:
    paths = {
        "csv": write_csv(tmp_path / "a.csv"),
        "folder": write_folders(tmp_path / "classes"),
        "npz": write_npz(tmp_path / "imdb.npz", small_parts()),
    }
    with pytest.raises(UsageError) as caught:
        load_dataset(paths.get(source, source), **options)  # type: ignore[arg-type]
    assert caught.value.exit_code == 2


def test_the_generated_corpus_has_the_size_and_seed_that_were_asked_for() -> None:
    dataset = load_dataset("demo", size=60, seed=3)
    assert dataset.validation is not None
    assert dataset.test is not None
    assert (dataset.name, len(dataset.train), len(dataset.validation), len(dataset.test)) == (
        "demo",
        60,
        10,
        20,
    )
    assert load_dataset("demo", size=60, seed=3).train.texts == dataset.train.texts
    assert load_dataset("demo", size=60, seed=4).train.texts != dataset.train.texts


def test_names_are_sources_and_paths_are_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert SOURCES.names() == ("demo", "imdb")
    monkeypatch.chdir(tmp_path)
    write_folders(tmp_path / "demo")
    assert load_dataset(Path("demo")).train.texts is not None
    assert load_dataset("./demo").name == "demo"
    assert len(load_dataset("./demo").train) == 4


@pytest.mark.skipif(
    os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="the superuser may read all"
)
def test_a_file_that_may_not_be_read_is_the_machines_fault(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv")
    path.chmod(0)
    with pytest.raises(MachineError) as caught:
        load_dataset(path)
    assert caught.value.exit_code == 4


def test_a_failing_disk_is_the_machines_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error", "a.csv")

    path = write_csv(tmp_path / "a.csv")
    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(MachineError, match=r"a\.csv: it cannot be read \(Input/output error\)") as caught:
        load_dataset(path)
    assert caught.value.exit_code == 4


def test_importing_the_room_loads_nothing_heavy() -> None:
    program = (
        "import sys, unrolled.data, unrolled.data.load\n"
        "print(*{'pyarrow', 'numba', 'keras', 'jax', 'pooch', 'sklearn', 'tokenizers'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == ""
