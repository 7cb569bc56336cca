"""Errors: one message shape, the promised exit statuses, whole across process boundaries."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.errors import BusyError, DataError, MachineError, UnrolledError, UsageError, nearest

STATUSES = {UnrolledError: 1, UsageError: 2, DataError: 3, MachineError: 4, BusyError: 5}


@pytest.mark.parametrize(("kind", "status"), STATUSES.items())
def test_exit_status(kind, status):
    assert kind("here", "it broke").exit_code == status


def test_builtin_kinds_are_kept():
    assert issubclass(UsageError, ValueError)
    assert issubclass(DataError, ValueError)
    assert issubclass(MachineError, RuntimeError)
    assert issubclass(BusyError, RuntimeError)


@pytest.mark.parametrize(
    ("expected", "action", "message"),
    [
        ("", "", "a.csv, row 7: no label (got label='')."),
        ("one of x, y", "", "a.csv, row 7: no label (got label=''). Expected one of x, y."),
        ("", "fill it", "a.csv, row 7: no label (got label=''). Try: fill it."),
        ("x or y", "fill it", "a.csv, row 7: no label (got label=''). Expected x or y. Try: fill it."),
    ],
)
def test_message_shape(expected, action, message):
    error = DataError("a.csv, row 7", "no label (got label='')", expected=expected, action=action)
    assert str(error) == message


@pytest.mark.parametrize("kind", STATUSES)
def test_pickles_whole(kind):
    error = kind("here", "it broke", expected="a rule", action="mend it")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error)
    assert (copy.where, copy.what, copy.expected, copy.action) == ("here", "it broke", "a rule", "mend it")


@given(st.text(), st.lists(st.text(min_size=1), min_size=1))
def test_nearest_names_only_known_names(name, names):
    answer = nearest(name, names)
    assert answer
    known = sorted(names)
    assert answer == ", ".join(known) or all(part in ", ".join(known) for part in answer.split(", "))


def test_nearest_prefers_the_closest_and_is_brief():
    assert nearest("lsmt", ["gru", "lstm", "bilstm"]).split(", ")[0] == "lstm"
    assert nearest("model", [f"model{i}" for i in range(9)]).count(",") == 2
    assert nearest("zzz", ["lstm", "gru"]) == "gru, lstm"
