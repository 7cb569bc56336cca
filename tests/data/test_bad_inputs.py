"""Every bad input with its promised outcome: one line and exit status 3, or loaded with a notice."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import bad_archives as bad
import pytest
from bad_cases import FINE, TABLE, Case
from bad_tables import csv, jsonl

from unrolled.data import load_dataset
from unrolled.errors import DataError

_LARGE = ("dense pages", "depth", "a million members", "endless line", "crowd")
_ALL = [(f"{kind}: {row.name}", row) for kind, rows in TABLE.items() for row in rows]
BOMBS = {name: row for name, row in _ALL if "bomb" in name or row.name in _LARGE}
ROWS = [pytest.param(row, id=name) for name, row in _ALL if name not in BOMBS]


def check_line(message: str, pattern: str) -> None:
    """One line, not too long, that says what the pattern asks for."""
    assert re.search(pattern, message), message
    assert message.isprintable()
    assert len(message) < 800


@pytest.mark.parametrize("row", ROWS)
def test_outcome(row: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sentinel = tmp_path / "sentinel"
    monkeypatch.setenv(bad.SENTINEL, str(sentinel))
    folder = tmp_path / "in"
    folder.mkdir()
    source = row.make(folder)
    if row.notice:
        dataset = load_dataset(source, **dict(row.options))  # type: ignore[arg-type]
        assert any(re.search(row.notice, notice) for notice in dataset.notices), dataset.notices
        assert all("\n" not in notice for notice in dataset.notices)
    else:
        with pytest.raises(DataError) as caught:
            load_dataset(source, **dict(row.options))  # type: ignore[arg-type]
        assert caught.value.exit_code == 3
        check_line(str(caught.value), row.error)
    assert not sentinel.exists(), "the payload was run"


def test_the_payloads_would_run_if_they_were_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, payload in enumerate((bad.Payload(), bad.Evaluation())):
        monkeypatch.setenv(bad.SENTINEL, str(tmp_path / str(number)))
        pickle.loads(pickle.dumps(payload))
        assert (tmp_path / str(number)).exists()


@pytest.mark.parametrize("name", FINE)
def test_odd_but_sound_tables_load_without_a_word(name: str, tmp_path: Path) -> None:
    content, texts, classes = FINE[name]
    dataset = load_dataset(csv(content)(tmp_path))
    assert dataset.train.texts == texts
    assert dataset.classes == classes
    assert dataset.notices == ()


def test_surrogate_pairs_and_shallow_nesting_are_json(tmp_path: Path) -> None:
    nested = '{"text": "\\ud83d\\ude00 [[[[", "label": "x", "more": ' + "[" * 60 + "]" * 60 + "}"
    dataset = load_dataset(jsonl(nested)(tmp_path))
    assert dataset.train.texts is not None
    assert dataset.train.texts[-1] == "\U0001f600 [[[["


GUARD = """
import json, resource, sys, time
from pathlib import Path
import numpy, pyarrow.parquet
from unrolled.data import load_dataset
from unrolled.errors import DataError
for path in json.load(sys.stdin):
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    try:
        load_dataset(Path(path))
        message = ""
    except DataError as error:
        message = str(error)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps([message, grown, time.monotonic() - start]))
"""


@pytest.fixture(scope="module")
def bomb_outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, float, float]]:
    """What a process of its own said to each bomb, the megabytes it grew by, and the seconds it took."""
    paths = [str(row.make(tmp_path_factory.mktemp("bomb"))) for row in BOMBS.values()]
    answer = subprocess.run(
        [sys.executable, "-c", GUARD],
        input=json.dumps(paths),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    outcomes = [tuple(json.loads(text)) for text in answer.stdout.splitlines()]
    return dict(zip(BOMBS, outcomes, strict=True))


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read in Linux' unit")
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_before_they_cost_memory(
    name: str, bomb_outcomes: dict[str, tuple[str, float, float]]
) -> None:
    message, megabytes, seconds = bomb_outcomes[name]
    check_line(message, BOMBS[name].error)
    assert megabytes < 250
    assert seconds < 30
