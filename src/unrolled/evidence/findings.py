"""What an analysis found, in one shape for every measure: plain values, curves and tables, stored as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from unrolled.errors import DataError
from unrolled.training.record import write_model

SCHEMA = 1
FOLDER = "analyses"

Value = float | int | bool | str | None


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Curve(_Frozen):
    """A quantity along an axis.

    Args:
        x: positions, named by ``x_label`` with its unit.
        y: the quantity at each, named by ``y_label`` with its unit; None where it could not be measured.
        low: lower end of the 95% interval at each position; None without an interval.
        high: its upper end.
    """

    x_label: str
    y_label: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    low: tuple[float | None, ...] | None = None
    high: tuple[float | None, ...] | None = None


class Table(_Frozen):
    """Rows under named columns; a cell may be text from data and is never trusted as markup."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


class Finding(_Frozen):
    """One measure of one model.

    Args:
        measure: registry name of the measure, as in ``unrolled analyse --only``.
        model: registry name of the model; "" for a finding about the whole study.
        num_seeds: runs it rests on.
        values: named figures, units as suffix of the name.
        curves: named curves.
        tables: named tables.
        reference: what the figures are to be held against: their own error or a null reference, in words
            and with its figure, such as "completeness error 0.3%" or "shuffled control 0.51".
    """

    measure: str
    model: str
    num_seeds: int
    values: dict[str, Value] = {}
    curves: dict[str, Curve] = {}
    tables: dict[str, Table] = {}
    reference: str


class _Stored(_Frozen):
    """The content of one file."""

    schema_version: int
    measure: str
    fingerprint: str
    findings: tuple[Finding, ...]


def save_findings(folder: Path, measure: str, findings: Sequence[Finding], *, fingerprint: str) -> None:
    """Writes ``analyses/MEASURE.json`` in a study's folder, whole or not at all.

    Args:
        folder: the study's.
        measure: registry name of the measure.
        findings: one for each model, or one for the study.
        fingerprint: names what the findings were computed from (runs and settings); another one makes them
            stale.
    """
    stored = _Stored(
        schema_version=SCHEMA, measure=measure, fingerprint=fingerprint, findings=tuple(findings)
    )
    write_model(folder / FOLDER / f"{measure}.json", stored)


def load_findings(folder: Path) -> dict[str, tuple[Finding, ...]]:
    """All findings of a study by measure, in the order of their names; empty before ``unrolled analyse``.

    Raises:
        DataError: a file is damaged or of another version.
    """
    return {path.stem: _read(path).findings for path in sorted((folder / FOLDER).glob("*.json"))}


def is_current(folder: Path, measure: str, fingerprint: str) -> bool:
    """Whether a measure's findings are there and rest on what ``fingerprint`` names."""
    path = folder / FOLDER / f"{measure}.json"
    return path.exists() and _read(path).fingerprint == fingerprint


def _read(path: Path) -> _Stored:
    try:
        stored = _Stored.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise DataError(
            str(path),
            f"cannot be read as findings ({error.error_count()} faults)",
            expected="a file written by `unrolled analyse`",
            action="delete it and run `unrolled analyse` again",
        ) from error
    if stored.schema_version != SCHEMA:
        raise DataError(
            str(path),
            f"is of another version (got schema_version={stored.schema_version})",
            expected=f"schema_version={SCHEMA}",
            action="delete it and run `unrolled analyse` again",
        )
    return stored
