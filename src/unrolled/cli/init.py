"""``unrolled init``: a file with every setting of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    file: Annotated[Path, typer.Argument(help="The file to write.")] = Path("unrolled.toml"),
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write a TOML file with every setting of `compare`, its meaning and its default."""
    from unrolled.data.storage import write_atomically
    from unrolled.errors import UsageError
    from unrolled.training.configuration import ComparisonSettings, write_settings

    if file.exists() and not force:
        raise UsageError(
            str(file), "the file is there already", expected="a new file", action="another name, or --force"
        )
    write_atomically(file, write_settings(ComparisonSettings()).encode())
    print(f"{file}: every setting with its default. Edit it, then: unrolled compare DATA --config {file}")
