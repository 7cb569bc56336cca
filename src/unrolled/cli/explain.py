"""``unrolled explain``: an answer, word by word."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from unrolled.evidence.words.explain import Explanation

FOR = (46, 160, 67)
AGAINST = (218, 54, 51)
FAINT = 0.15
"""Below this share of the strongest attribution a word is left plain."""


def explain(
    run: Annotated[Path, typer.Argument(help="A finished run's folder.")],
    text: Annotated[str, typer.Argument(help="The text to explain.")],
    label: Annotated[str | None, typer.Option(help="Explain this label instead of the run's answer.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Show which words of a text speak for a model's answer, and which against it."""
    from unrolled.evidence.words.explain import explain as explain_text
    from unrolled.training.fitted import load_run

    found = explain_text(load_run(run), text, label)
    if as_json:
        print(json.dumps({"run": str(run), **asdict(found)}, ensure_ascii=False, indent=1))
        return
    print_explanation(found)


def print_explanation(found: Explanation) -> None:
    """Prints coloured words on a terminal; elsewhere a line for each word, attribution first."""
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(f"{found.label}: {found.probability:.4f}")
    if console.is_terminal and console.color_system:
        line = Text()
        strongest = max(map(abs, found.attributions), default=0.0)
        for word, value, known in zip(found.tokens, found.attributions, found.known, strict=True):
            line.append(_printable(word), style=_style(value, strongest, known)).append(" ")
        # Words wrap at blanks here; soft wrapping is for lines that are cut out and pasted.
        console.print(line, soft_wrap=False)
        console.print(
            f"Green speaks for {found.label}, red against it, the stronger the brighter.", style="dim"
        )
    else:
        for word, value, known in zip(found.tokens, found.attributions, found.known, strict=True):
            print(f"{value:+.4f}\t{_printable(word)}{'' if known else ' (unknown)'}")
    for remark in _remarks(found):
        console.print(remark, style="dim")


def _remarks(found: Explanation) -> list[str]:
    start, missed = found.baseline_probability, found.completeness_error
    sums = f"Each word's part in the log-odds of {found.label}, from {start:.4f} on"
    remarks = [f"{sums}; the parts miss the whole by {missed:.2%}."]
    if abs(found.padding) > 1e-6:
        remarks.append(f"The padding adds {found.padding:+.4f}: this model reads it as words.")
    if found.num_unread:
        remarks.append(f"The first {found.num_unread} words were not read: the model is too short for them.")
    unknown = sum(not known for known in found.known)
    if unknown:
        remarks.append(f"{unknown} of {len(found.known)} words are unknown to the model.")
    return remarks


def _style(value: float, strongest: float, known: bool) -> str:
    """White on a colour that is mixed with black less, the stronger the word."""
    share = abs(value) / strongest if strongest else 0.0
    if share < FAINT:
        return "" if known else "dim italic"
    red, green, blue = (round(part * (0.35 + 0.65 * share)) for part in (FOR if value > 0 else AGAINST))
    return f"{'bold ' if share > 0.5 else ''}rgb(255,255,255) on rgb({red},{green},{blue})"


def _printable(word: str) -> str:
    """The word without what would command a terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in word)
