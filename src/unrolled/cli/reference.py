"""The command reference: ``python -m unrolled.cli.reference > docs/commands.md``."""

from __future__ import annotations

from typing import Any

from typer.main import get_command

HEAD = """# Commands

Made by `python -m unrolled.cli.reference`; a test holds it against the program.

Results go to standard output; progress and remarks go to standard error. With `--json` a command prints one
JSON document and nothing else. Exit status: 0 done, 2 wrong usage, 3 bad data, 4 machine or disk, 5 somebody
else is working in that folder, 130 Ctrl-C.
"""


def describe_commands() -> str:
    """Every command with its arguments and options, in Markdown."""
    from unrolled.cli.__main__ import app

    commands: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    return HEAD + "".join(_describe(name, command) for name, command in commands.items())


def _describe(name: str, command: Any) -> str:
    arguments = [part for part in command.params if part.param_type_name == "argument"]
    options = [part for part in command.params if part.param_type_name == "option" and not part.is_eager]
    usage = " ".join(
        ["unrolled", name, *(_place(part) for part in arguments), *(["[OPTIONS]"] if options else [])]
    )
    lines = [f"\n## {name}\n", f"`{usage}`\n", f"{' '.join((command.help or '').split())}\n"]
    if arguments or options:
        lines += ["| | |", "|---|---|"]
        lines += [f"| `{_place(part)}` | {_help(part)} |" for part in arguments]
        lines += [f"| `{_option(part)}` | {_help(part)} |" for part in options]
        lines.append("")
    return "\n".join(lines)


def _place(argument: Any) -> str:
    name = (argument.metavar or argument.name).upper().strip("[]")
    shown = f"{name}..." if argument.nargs == -1 else name
    return shown if argument.required else f"[{shown}]"


def _option(option: Any) -> str:
    names = ", ".join([*option.opts, *option.secondary_opts])
    return names if option.is_flag else f"{names} {option.name.rsplit('_', 1)[-1].upper()}"


def _help(part: Any) -> str:
    text = " ".join((getattr(part, "help", None) or "").split()).replace("|", "\\|")
    default = part.default
    if default is None or isinstance(default, bool) or part.required or default == ():
        return text
    return f"{text} Default: {default}."


if __name__ == "__main__":
    print(describe_commands(), end="")
