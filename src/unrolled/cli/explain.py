"""``unrolled explain``: an answer, word by word."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from unrolled.deploy.explain import Explanation as ExportExplanation
    from unrolled.evidence.words.explain import Explanation

FOR = (46, 160, 67)
AGAINST = (218, 54, 51)
FAINT = 0.15
"""Below this share of the strongest attribution a word is left plain."""


def explain(
    model: Annotated[Path, typer.Argument(help="A finished run's folder, or an export's.")],
    text: Annotated[str, typer.Argument(help="The text to explain.")],
    label: Annotated[str | None, typer.Option(help="Explain this label instead of the run's answer.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """Show which words of a text speak for a model's answer, and which against it."""
    from unrolled.cli.answers import open_export

    predictor = open_export(model)
    if predictor is not None:
        from unrolled.deploy.explain import TextExplainer

        answer = TextExplainer(predictor).explain(text, label)
        if as_json:
            print(json.dumps({"export": str(model), **asdict(answer)}, ensure_ascii=False, indent=1))
        else:
            print_export_explanation(answer)
        return
    from unrolled.evidence.words.explain import explain as explain_text
    from unrolled.training.fitted import load_run

    found = explain_text(load_run(model), text, label)
    if as_json:
        print(json.dumps({"run": str(model), **asdict(found)}, ensure_ascii=False, indent=1))
    else:
        print_explanation(found)


def print_explanation(found: Explanation) -> None:
    """Prints coloured words on a terminal; elsewhere a line for each word, attribution first."""
    words = list(zip(found.tokens, found.attributions, found.known, strict=True))
    _print(found.label, found.probability, words, _remarks(found))


def print_export_explanation(found: ExportExplanation) -> None:
    """As :func:`print_explanation`, by words switched off; an export knows no more than its answers."""
    words = [(word.text, word.contribution, True) for word in found.words if word.contribution is not None]
    start, parts, whole = found.empty_probability, found.log_odds_of_parts, found.log_odds_of_whole
    sums = f"{parts:+.4f} together, {whole:+.4f} for the whole text, from {start:.4f} for an empty one"
    remarks = [f"What each word adds to the log-odds of {found.label}, by leaving it out: {sums}."]
    unread = sum(not word.read for word in found.words)
    if unread:
        remarks.append(f"The first {unread} words were not read: the model is too short for them.")
    if found.group_size > 1:
        remarks.append(
            f"{found.group_size} neighbouring words at a time were left out, and share their part."
        )
    _print(found.label, found.probability, words, remarks)


def _print(label: str, probability: float, words: list[tuple[str, float, bool]], remarks: list[str]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(f"{label}: {probability:.4f}")
    if console.is_terminal and console.color_system:
        line = Text()
        strongest = max((abs(value) for _, value, _ in words), default=0.0)
        for word, value, known in words:
            line.append(_printable(word), style=_style(value, strongest, known)).append(" ")
        # Words wrap at blanks here; soft wrapping is for lines that are cut out and pasted.
        console.print(line, soft_wrap=False)
        console.print(f"Green speaks for {label}, red against it, the stronger the brighter.", style="dim")
    else:
        for word, value, known in words:
            print(f"{value:+.4f}\t{_printable(word)}{'' if known else ' (unknown)'}")
    for remark in remarks:
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
