"""What a report holds, apart from how it is written: sections of computed sentences, figures and tables."""

from __future__ import annotations

from dataclasses import dataclass

from unrolled.report.charts import Chart
from unrolled.report.charts.tables import Cell


@dataclass(frozen=True, slots=True)
class Figure:
    """One chart.

    Args:
        slug: its file's name and its anchor on the page; lower case, digits and dashes.
        title: what it shows.
        conclusion: what to conclude from it.
        chart: the drawing's content.
    """

    slug: str
    title: str
    conclusion: str
    chart: Chart


@dataclass(frozen=True, slots=True)
class Grid:
    """One table of text and numbers.

    Args:
        slug: its file's name and its anchor.
        title: what it shows.
        columns: headings.
        kinds: how each column writes its numbers, keys of :data:`unrolled.report.words.FORMATS`.
        rows: cells; None where there is no figure.
        note: what the columns mean.
    """

    slug: str
    title: str
    columns: tuple[str, ...]
    kinds: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """A figure that a section would need, and the command that makes it."""

    what: str
    command: str


@dataclass(frozen=True, slots=True)
class Section:
    """The answer to one question.

    Args:
        slug: its anchor.
        question: what is asked.
        headline: the answer in one sentence, computed.
        sentences: what the figures say, computed; one paragraph each.
        figures: charts.
        tables: tables.
        missing: what was not measured.
    """

    slug: str
    question: str
    headline: str
    sentences: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Grid, ...] = ()
    missing: tuple[Missing, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report.

    Args:
        title: of the page.
        subtitle: corpus, sizes and protocol in one line.
        verdict: three sentences.
        overview: the first figures, right under the verdict.
        table: every model, best first.
        sections: one for each question.
        method: how the figures came about, a paragraph each.
        names: what is set as a model's name wherever it stands in a sentence.
    """

    title: str
    subtitle: str
    verdict: tuple[str, ...]
    overview: tuple[Figure, ...]
    table: Grid
    sections: tuple[Section, ...]
    method: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All figures in reading order."""
        return (*self.overview, *(figure for section in self.sections for figure in section.figures))

    @property
    def tables(self) -> tuple[Grid, ...]:
        """All tables in reading order."""
        return (self.table, *(table for section in self.sections for table in section.tables))
