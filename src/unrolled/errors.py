"""Every failure that a user can cause, in one message shape.

A message reads ``where: what happened. Expected rule. Try: action.``, so that whoever meets it learns
where to look, what would have been right, and what to do next. The class decides the exit status.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UnrolledError(Exception):
    """A failure with a place, a cause, a rule and a way out.

    Args:
        where: the file, option or function at fault, as the user knows it ("reviews.csv, row 7").
        what: what happened, without a closing full stop; values as ``(got name=value)``.
        expected: the rule that was broken, completing the words "Expected …".
        action: the next step, completing the words "Try: …".
    """

    exit_code = 1

    def __init__(self, where: str, what: str, *, expected: str = "", action: str = "") -> None:
        self.where, self.what, self.expected, self.action = where, what, expected, action
        parts = [f"{where}: {what}."]
        if expected:
            parts.append(f"Expected {expected}.")
        if action:
            parts.append(f"Try: {action}.")
        super().__init__(" ".join(parts))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickles with its keyword arguments, so that a failure crosses process boundaries whole."""
        return _rebuild, (type(self), self.where, self.what, self.expected, self.action)


def _rebuild(kind: type[UnrolledError], where: str, what: str, expected: str, action: str) -> UnrolledError:
    return kind(where, what, expected=expected, action=action)


class UsageError(UnrolledError, ValueError):
    """An argument, option or setting is wrong. Exit status 2."""

    exit_code = 2


class DataError(UnrolledError, ValueError):
    """The data cannot be used as it is. Exit status 3."""

    exit_code = 3


class MachineError(UnrolledError, RuntimeError):
    """The machine failed: disk, memory, network or a missing part. Exit status 4."""

    exit_code = 4


class BusyError(UnrolledError, RuntimeError):
    """Another process holds what is needed. Exit status 5."""

    exit_code = 5


class StoppedByUserError(UnrolledError):
    """Ctrl-C, after everything was saved. Exit status 130."""

    exit_code = 130


def nearest(name: str, names: Iterable[str], *, count: int = 3) -> str:
    """The known names closest to ``name``, for the "Try" part of a message; all names if none is close.

    >>> nearest("lsmt", ["lstm", "gru", "cnn"])
    'lstm'
    >>> nearest("zzz", ["lstm", "gru"])
    'gru, lstm'
    """
    known = sorted(names)
    close = difflib.get_close_matches(name, known, n=count, cutoff=0.6)
    return ", ".join(close or known)
