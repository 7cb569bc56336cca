"""The file formats that are read, by suffix. A new one is one module and one decorator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from unrolled.data.tables.columns import ColumnRequest
from unrolled.data.tables.table import Table
from unrolled.registry import Registry

Reader: TypeAlias = Callable[[Path, str, ColumnRequest], Table]

READERS: Registry[Reader] = Registry("file format")
"""Suffix, with its dot and in lower case, to the function that reads such a file."""
