"""The arrows between rooms, what an import may cost, and the size and names of files."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "unrolled"

BASE = {"errors", "types", "registry", "cache"}
MAY_IMPORT: dict[str, set[str]] = {
    "data": set(),
    "kernels": set(),
    "layers": {"kernels"},
    "models": {"layers", "data"},
    "training": {"layers", "models", "data"},
    "evidence": {"data", "models", "training"},
    "estimators": {"data", "models", "training"},
    "report": {"evidence", "data", "training"},
    "deploy": {"data", "layers", "models"},
    "benchmark": {"data", "kernels", "layers", "models", "training", "evidence", "deploy"},
    "cli": {
        "data",
        "kernels",
        "layers",
        "models",
        "training",
        "evidence",
        "report",
        "deploy",
        "estimators",
        "benchmark",
    },
}
"""Each room's neighbours, besides itself and the base; ``docs/architecture.md`` draws the same arrows."""

FILES = sorted(PACKAGE.rglob("*.py"))
ALL_FILES = sorted(f for folder in ("src", "tests", "benchmarks") for f in (ROOT / folder).rglob("*.py"))
MODULE = re.compile(r"unrolled(\.[a-z_]+)+")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(source: str, package: str) -> Iterator[tuple[int, str]]:
    """Line and full name of every module of ours that a source names, also as a string to import later.

    Args:
        source: Python code.
        package: the dotted package that holds it, for relative imports.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*parents, *([node.module] if node.module else [])])
            found = [f"{module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and MODULE.fullmatch(node.value):
            found = [node.value]
        else:
            continue
        yield from ((node.lineno, name) for name in found if name.split(".")[0] == "unrolled")


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def wrong_arrows(source: str, room: str, package: str) -> list[str]:
    """Every import that points against the arrows, as "line: module"."""
    rooms = BASE | set(MAY_IMPORT)
    allowed = BASE if room in BASE else BASE | {room} | MAY_IMPORT[room]
    return [
        f"{line}: {name}"
        for line, name in imported(source, package)
        if (parts := name.split("."))[1:] and parts[1] in rooms and parts[1] not in allowed
    ]


@pytest.mark.parametrize("path", [f for f in FILES if f.parent != PACKAGE or f.stem in BASE], ids=name_of)
def test_direction_of_imports(path: Path) -> None:
    package = ".".join(["unrolled", *path.relative_to(PACKAGE).parts[:-1]])
    assert wrong_arrows(path.read_text("utf-8"), room_of(path), package) == []


@pytest.mark.parametrize(
    ("source", "room", "package"),
    [
        ("from unrolled.training.engine import fit", "models", "unrolled.models"),
        ("from unrolled import cli", "data", "unrolled.data"),
        ("import unrolled.models.spec as spec", "layers", "unrolled.layers"),
        ("def f():\n    from ..evidence import cost", "training", "unrolled.training"),
        ("from ...models import build_model", "data", "unrolled.data.imdb"),
        ("HOMES = {'lstm': 'unrolled.models.recurrent'}", "kernels", "unrolled.kernels"),
        ("if TYPE_CHECKING:\n    from unrolled.data import Vocabulary", "types", "unrolled"),
    ],
)
def test_direction_check_sees_wrong_arrows(source: str, room: str, package: str) -> None:
    assert len(wrong_arrows(source, room, package)) == 1


@pytest.mark.parametrize(
    ("source", "room"),
    [
        ("from unrolled.errors import DataError\nfrom unrolled.data.padding import pad_sequences", "models"),
        ("from . import spec\nimport unrolled\nfrom unrolled import __version__", "models"),
        ("'unrolled.encoded/1'", "kernels"),
    ],
)
def test_direction_check_lets_right_arrows_pass(source: str, room: str) -> None:
    assert wrong_arrows(source, room, f"unrolled.{room}") == []


def test_every_module_belongs_to_a_room() -> None:
    assert {room_of(path) for path in FILES} - {"__init__"} <= BASE | set(MAY_IMPORT)


@pytest.mark.parametrize("module", ["unrolled", "unrolled.data", "unrolled.cli.__main__"])
def test_light_imports(module: str) -> None:
    """Names resolve on first use: what only some commands need must not slow the others down."""
    heavy = (
        "{'keras', 'jax', 'jaxlib', 'numba', 'sklearn', 'scipy', 'pyarrow', 'pandas', 'tensorflow', 'torch'}"
    )
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, "[]", "")


@pytest.mark.parametrize("path", ALL_FILES, ids=name_of)
def test_files_stay_readable(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 400
    assert not {"utils", "util", "common", "helpers", "misc"} & set(
        path.relative_to(ROOT).with_suffix("").parts
    )
