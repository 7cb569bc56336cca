"""What the documents say of the code is there, and what users can set is in the documents."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from unrolled.cli.__main__ import app
from unrolled.cli.reference import describe_commands

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")])
TEXT = "\n".join(path.read_text("utf-8") for path in DOCUMENTS)
LINK = re.compile(r"\]\(([^)#\s]+)")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(path.read_text("utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_every_variable_that_is_read_is_documented() -> None:
    read = {
        name
        for path in [*ROOT.glob("src/**/*.py"), ROOT / "Makefile"]
        for name in re.findall(r"\bUNROLLED_[A-Z_]+\b", path.read_text("utf-8"))
    }
    assert read
    assert not {name for name in read if f"`{name}`" not in TEXT}


def test_the_command_reference_is_what_the_program_says() -> None:
    written = (ROOT / "docs/commands.md").read_text("utf-8")
    assert written == describe_commands(), "python -m unrolled.cli.reference > docs/commands.md"


def test_commands_and_options_in_examples_exist() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    examples = re.findall(r"^(?:\.venv/bin/)?unrolled ([a-z]+)(.*)$", TEXT, re.MULTILINE)
    assert len(examples) >= 4
    for name, rest in examples:
        assert name in commands, name
        options = {text for part in commands[name].params for text in (*part.opts, *part.secondary_opts)}
        assert set(re.findall(r"(?<=\s)--[a-z-]+", rest)) <= options, f"unrolled {name}{rest}"


def test_every_room_stands_in_the_tree_and_in_the_architecture() -> None:
    readme, architecture = (ROOT / name for name in ("README.md", "docs/architecture.md"))
    rooms = {path.parent.name for path in ROOT.glob("src/unrolled/*/__init__.py")}
    for room in rooms:
        assert re.search(rf"^  {room}/ ", readme.read_text("utf-8"), re.MULTILINE), room
        assert f"| `{room}/` |" in architecture.read_text("utf-8"), room
