"""The page is one file that asks for nothing, and text from data stays text."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.report.conftest import ACCURACIES, make_finding, make_results
from unrolled.evidence.findings import Table, save_findings
from unrolled.report import write_report
from unrolled.report.build import build_report
from unrolled.report.charts import standalone
from unrolled.report.facts import Facts
from unrolled.report.page import write_page
from unrolled.report.text import write_csv, write_markdown

CHROMIUM = Path("/usr/bin/chromium")
ATTACKS = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<img src=x onerror=alert(3)>",
    "<svg onload=alert(4)>",
    '"><script>alert(5)</script>',
    "'><img src=x onerror=alert(6)>",
    "</title><script>alert(7)</script>",
    "</style><script>alert(8)</script>",
    "</svg><script>alert(9)</script>",
    "<iframe src=javascript:alert(10)>",
    "<a href=javascript:alert(11)>x</a>",
    "<body onload=alert(12)>",
    '" onmouseover="alert(13)',
    "' autofocus onfocus='alert(14)",
    "{{ 7 * 7 }}{% raw %}",
    "]]><script>alert(16)</script>",
    "<!--<script>alert(17)</script>",
    "<math><mtext><script>alert(18)</script>",
    "<details open ontoggle=alert(19)>",
    "`<script>alert(20)</script>`",
)


class Tags(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def hostile() -> Facts:
    names = {attack: 0.5 + place / 50 for place, attack in enumerate(ATTACKS)}
    results = make_results(ACCURACIES | names)
    dataset = results.dataset.model_copy(
        update={"name": ATTACKS[0], "classes": ATTACKS[:2], "notices": ATTACKS}
    )
    strongest = Table(
        columns=("word", "mean_attribution", "count"), rows=tuple((attack, 0.1, 3) for attack in ATTACKS)
    )
    best = max(names | ACCURACIES, key=lambda name: (names | ACCURACIES)[name])
    words = make_finding("words", best, {"evidence_share": 0.5}, tables={"strongest_words": strongest})
    order = make_finding("order", ATTACKS[2], {"drop": 0.1, "order_matters": True})
    return Facts(results.model_copy(update={"dataset": dataset}), {"words": (words,), "order": (order,)})


def test_planted_scripts_stay_text() -> None:
    page = write_page(build_report(hostile()))
    tags = Tags(page).found
    assert len([tag for tag, _ in tags if tag == "script"]) == 1
    assert not {"img", "iframe", "math", "object", "link", "base"} & {tag for tag, _ in tags}
    for tag, attributes in tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        assert (attributes.get("href") or "#").startswith("#")
    assert "49" not in page.split("<title>")[1].split("</title>")[0]


def test_planted_scripts_stay_text_in_markdown_and_figures() -> None:
    report = build_report(hostile())
    assert "<script" not in write_markdown(report).replace("\\", "")
    for figure in report.figures:
        root = ElementTree.fromstring(standalone(figure.chart, figure.title, figure.conclusion))
        assert not [node for node in root.iter() if node.tag.endswith("script")]


def test_csv_holds_the_results_and_no_formulas() -> None:
    results = make_results({"lstm": 0.9351234, "=1+1": 0.8, "@x": 0.7, "-y": 0.6, "+z": 0.5})
    report = build_report(Facts(results))
    rows = list(csv.reader(io.StringIO(write_csv(report.table))))
    by_name = {row[0]: row for row in rows[1:]}
    assert set(by_name) == {"lstm", "'=1+1", "'@x", "'-y", "'+z"}
    for model in results.models:
        row = by_name.get(model.name) or by_name["'" + model.name]
        assert model.test_accuracy is not None
        assert float(row[1]) == model.test_accuracy.mean
        assert int(row[rows[0].index("parameters")]) == model.parameters
    assert "| lstm | 0.935 |" in write_markdown(report)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    facts = hostile()
    document = facts.results.to_json()
    (tmp_path / "results.json").write_text(document, "utf-8")
    for measure, findings in facts.findings.items():
        save_findings(tmp_path, measure, findings, fingerprint="x")
    return write_report(tmp_path)


def test_all_files_are_written(page: Path) -> None:
    assert page.stat().st_size < 5e6
    figures = page.parent / "report" / "figures"
    names = {path.suffix for path in figures.iterdir()}
    assert names == {".svg", ".png", ".csv"}
    for path in figures.glob("*.png"):
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert (page.parent / "report" / "models.csv").exists()


@pytest.fixture
def browser() -> Iterator[Callable[..., object]]:
    if not CHROMIUM.exists():
        pytest.skip("chromium is not installed")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
        chromium = driver.chromium.launch(
            executable_path=str(CHROMIUM), args=[*options, "--disable-background-networking"]
        )
        yield chromium
        chromium.close()


def test_in_a_browser(page: Path, browser: object) -> None:
    view = browser.new_page(viewport={"width": 375, "height": 800})  # type: ignore[attr-defined]
    seen: list[str] = []
    view.on("dialog", lambda dialog: (seen.append(dialog.message), dialog.dismiss()))
    view.on("console", lambda message: seen.append(message.text))
    view.on("pageerror", lambda error: seen.append(str(error)))
    requests: list[str] = []
    view.on("request", lambda request: requests.append(request.url))
    view.goto(page.as_uri())
    assert view.evaluate("document.documentElement.scrollWidth") <= 375
    view.set_viewport_size({"width": 1000, "height": 800})
    point = view.locator("#figure-accuracy .wide .point").first
    point.scroll_into_view_if_needed()
    point.locator(".mark").hover()
    assert "test accuracy" in view.locator("#tip").inner_text()
    view.keyboard.press("Escape")
    point.focus()
    first = view.locator("#tip").inner_text()
    view.keyboard.press("ArrowRight")
    assert view.locator("#tip").inner_text() != first
    before = view.evaluate("getComputedStyle(document.body).backgroundColor")
    view.locator("#theme").click()
    assert view.evaluate("getComputedStyle(document.body).backgroundColor") != before
    assert seen == []
    assert requests == [page.as_uri()]
