"""The report as one HTML page that needs nothing else and asks for nothing."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup, escape

from unrolled.report.charts import Chart, data_table, draw
from unrolled.report.charts.heat import SHADES
from unrolled.report.charts.tables import Cell
from unrolled.report.palette import all_tones
from unrolled.report.records import Figure, Grid, Report
from unrolled.report.words import FORMATS

DARK = (
    "--paper:#15181c;--ink:#e6e8eb;--soft:#a9b0b9;--rule:#2d3239;--axis:#6d747d;--wash:#1d2126;"
    "--accent:#5cc4bd;--cool:#7db8e8;--warm:#f1a340;color-scheme:dark"
)


def write_page(report: Report) -> str:
    """The page. Text is escaped everywhere; only the styles and the script of this package may run."""
    environment = Environment(
        loader=FunctionLoader(_template), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {
        "cell": cell,
        "draw": _draw,
        "data": data_of,
        "sentence": lambda text: set_sentence(text, report.names),
    }
    style, script = page_style(), _template("page.js")
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return environment.get_template("page.html.j2").render(
        report=report, style=Markup(style), script=Markup(script), policy=policy
    )


def cell(value: Cell, kind: str) -> str:
    """A table's cell as text; a dash where there is no figure."""
    if value is None:
        return "–"
    if isinstance(value, str) or kind == "text":
        return str(value)
    return FORMATS[kind](value)


def data_of(figure: Figure) -> Grid:
    """The figures of a chart as a table."""
    columns, kinds, rows = data_table(figure.chart)
    return Grid(f"{figure.slug}-data", f"Figures: {figure.title}", columns, kinds, tuple(rows))


def set_sentence(text: str, names: Sequence[str]) -> Markup:
    """A sentence, escaped, with models' names and `commands` set apart."""
    plain = sorted((name for name in names if re.fullmatch(r"[a-z][a-z0-9_]*", name)), key=len, reverse=True)
    pattern = r"(`[^`]+`" + ("|" + rf"\b(?:{'|'.join(plain)})\b" if plain else "") + ")"
    parts = []
    for place, part in enumerate(re.split(pattern, text)):
        if place % 2 == 0:
            parts.append(escape(part))
        elif part.startswith("`"):
            parts.append(Markup("<code>{}</code>").format(part[1:-1]))
        else:
            parts.append(Markup('<span class="model">{}</span>').format(part))
    return Markup("").join(parts)


def page_style() -> str:
    """The page's style: its own, the palette, and both once more for dark paper."""
    light = "".join(f".{name}{{color:{tone.light}}}" for name, tone in all_tones().items())
    shades = "".join(
        f".shade-{step} .cell{{fill:var(--cool);fill-opacity:{step * 0.07:.2f}}}"
        f".fall-{step} .cell{{fill:var(--warm);fill-opacity:{step * 0.07:.2f}}}"
        for step in range(SHADES + 1)
    )
    chosen = _dark(":root[data-theme=dark]")
    system = _dark(":root:not([data-theme=light])")
    return (
        f"{_template('page.css')}{light}{shades}"
        f"@media screen{{{chosen}}}@media screen and (prefers-color-scheme:dark){{{system}}}"
    )


def _dark(root: str) -> str:
    return f"{root}{{{DARK}}}" + "".join(
        f"{root} .{name}{{color:{tone.dark}}}" for name, tone in all_tones().items()
    )


def _draw(chart: Chart, width: int, label: str) -> Markup:
    return draw(chart, width, label=label)


def _template(name: str) -> str:
    return (files("unrolled.report") / "templates" / name).read_text("utf-8")


def _hash(content: str) -> str:
    return "sha256-" + b64encode(sha256(content.encode()).digest()).decode()
