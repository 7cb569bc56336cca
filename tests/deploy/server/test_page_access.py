"""The page for everyone: keyboard, screen readers, phones, contrast; and nothing typed becomes code."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import pytest
from playwright.sync_api import Error, expect

from tests.deploy.server.browser import Visit
from tests.deploy.server.conftest import Running

TEXT = "I loved the story. The ending, though, was a dreadful mess."
SCRIPT = "<img src=x onerror=window.hit=1><script>window.hit=1</script>{{7*7}}\"'>"
FILES = resources.files("unrolled.deploy.server").joinpath("page")

CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const ground = (node) => {
    const own = rgba(getComputedStyle(node).backgroundColor);
    if (own[3] === 1) { return own; }
    return over(own, node.parentElement ? ground(node.parentElement) : [255, 255, 255, 1]);
  };
  const light = (color) => {
    const curve = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const [r, g, b] = color.map((value) => curve(value / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    const apart = node.closest("noscript, .unseen, .skip, option");
    if (!text || apart || !node.checkVisibility()) { continue; }
    const style = getComputedStyle(node);
    const back = ground(node);
    const ink = over(rgba(node instanceof SVGElement ? style.fill : style.color), back);
    const [high, low] = [light(ink), light(back)].sort((a, b) => b - a);
    const kind = node.className.baseVal ?? node.className;
    found.push([(high + 0.05) / (low + 0.05), `${kind}: ${text.slice(0, 40)}`]);
  }
  return found.sort((a, b) => a[0] - b[0]);
}"""


def test_the_page_is_used_by_keyboard_alone(open_page: Callable[..., Visit]) -> None:
    found = open_page()
    keyboard = found.page.keyboard
    focused = "document.activeElement.id || document.activeElement.textContent"
    for _ in range(3):
        keyboard.press("Tab")
    assert found.page.evaluate("document.activeElement.id") == "text"
    keyboard.type(TEXT)
    found.wait()
    passed = []
    while not found.page.evaluate("document.activeElement.classList.contains('word')"):
        keyboard.press("Tab")
        passed.append(found.page.evaluate(focused))
        assert len(passed) < 16, passed
    assert {"label", "position", "figures"} <= set(passed)
    assert found.page.evaluate(focused) == "I"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert found.page.evaluate(outline) == "solid"
    for key, word in (("ArrowRight", "loved"), ("End", "mess"), ("ArrowLeft", "dreadful"), ("Home", "I")):
        keyboard.press(key)
        assert found.page.evaluate(focused) == word
    keyboard.press("ArrowRight")
    keyboard.press("Space")
    expect(found.word("lstm-seed0", "loved")).to_have_attribute("aria-pressed", "true")
    expect(found.card("lstm-seed0").locator(".delta")).not_to_be_empty()
    assert found.page.evaluate(focused) == "loved"
    keyboard.press("Enter")
    expect(found.word("lstm-seed0", "loved")).to_have_attribute("aria-pressed", "false")
    # All words of a card are one stop; the next stop is the next card's.
    keyboard.press("Tab")
    card = "document.activeElement.closest('.card').querySelector('h3').textContent"
    assert found.page.evaluate(card) == "linear-seed0"


def test_the_slider_moves_by_keys(open_page: Callable[..., Visit]) -> None:
    found = open_page()
    found.type(TEXT)
    slider = found.page.get_by_label("Read along")
    slider.focus()
    slider.press("ArrowLeft")
    expect(found.page.locator("#position-text")).to_have_text("10 of 11")
    expect(found.card("lstm-seed0").locator("figcaption .reader").first).to_contain_text("after 10")
    expect(slider).to_have_attribute(
        "aria-valuetext", re.compile(r"^after 10 of 11 words, dreadful: lstm-seed0 \d")
    )


def test_everything_to_operate_has_a_name(open_page: Callable[..., Visit]) -> None:
    found = open_page()
    found.type(TEXT)
    for role in ("button", "textbox", "combobox", "checkbox", "slider", "article", "table", "img", "region"):
        places = found.page.get_by_role(role, include_hidden=False)
        for place in places.all():
            name = re.match(rf'- {role}(?: "([^"]+)"|: )', place.aria_snapshot())
            assert name, place.aria_snapshot()
    assert found.page.locator("html").get_attribute("lang") == "en"
    levels = found.page.locator("h1, h2, h3").evaluate_all("nodes => nodes.map(node => +node.tagName[1])")
    assert levels[:2] == [1, 2]
    assert set(levels[2:]) == {3}
    identities = found.page.locator("[id]").evaluate_all("nodes => nodes.map(node => node.id)")
    assert len(identities) == len(set(identities))


@pytest.mark.parametrize("width", [320, 360, 820, 1440])
def test_nothing_scrolls_sideways(open_page: Callable[..., Visit], width: int) -> None:
    found = open_page(viewport={"width": width, "height": 740})
    found.type(f"{TEXT} {'unbreakable' * 12} 🎬 {'a story about ' * 30}")
    found.page.get_by_label("Figures beside the words").check()
    found.page.get_by_text("All words as a table").click()
    found.word("lstm-seed0", "dreadful").click()
    expect(found.card("lstm-seed0").locator(".delta")).not_to_be_empty()
    assert found.page.evaluate("document.documentElement.scrollWidth") <= width
    wide = found.page.locator(".card, .words, .bars, figure").evaluate_all(
        "nodes => nodes.filter(node => node.scrollWidth > node.clientWidth).map(node => node.className)"
    )
    assert wide == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(open_page: Callable[..., Visit], scheme: str) -> None:
    """Every text against what lies behind it, whatever the tint, by WCAG's formula."""
    found = open_page(color_scheme=scheme, allow=("400",))
    found.type(f"{TEXT} {'word ' * 70} {TEXT}")
    found.page.get_by_label("Figures beside the words").check()
    found.page.get_by_label("Read along").fill("80")
    found.page.get_by_text("All words as a table").click()
    found.word("linear-seed0", "dreadful").first.click()
    expect(found.card("lstm-seed0").locator(".delta")).not_to_be_empty()
    found.page.route("**/predict", lambda route: route.fulfill(status=400, json={}))
    found.word("linear-seed0", "mess").first.click()
    expect(found.trouble).to_be_visible()
    contrasts = found.page.evaluate(CONTRASTS)
    assert len(contrasts) > 100
    assert contrasts[0][0] >= 4.5, contrasts[:5]


def test_dark_can_be_chosen(open_page: Callable[..., Visit]) -> None:
    found = open_page(color_scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    light = found.page.evaluate(paper)
    found.page.get_by_role("button", name="Dark").click()
    dark = found.page.evaluate(paper)
    assert dark != light
    found.page.get_by_role("button", name="Light").click()
    assert found.page.evaluate(paper) == light


@pytest.fixture(scope="module")
def planted(
    start_server: Callable[..., Running], exports: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Running:
    """A server whose model and labels are called like markup."""
    folder = tmp_path_factory.mktemp("planted") / "gru"
    shutil.copytree(exports["gru"], folder)
    labels = json.dumps([f"{SCRIPT}{number}" for number in range(3)]).encode()
    (folder / "labels.json").write_bytes(labels)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest["name"] = f"name {SCRIPT}"
    manifest["architecture"] = f"kind {SCRIPT}"
    manifest["files"]["labels.json"] = {"sha256": hashlib.sha256(labels).hexdigest(), "bytes": len(labels)}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return start_server(folder)


def test_texts_labels_and_names_stay_texts(open_page: Callable[..., Visit], planted: Running) -> None:
    found = open_page(planted.address, viewport={"width": 360, "height": 740})
    text = f"{SCRIPT} </textarea> <svg onload=window.hit=1> javascript:window.hit=1"
    found.type(text)
    card = found.cards.first
    assert card.locator(".words").evaluate("node => node.textContent") == text
    assert card.locator("h3").inner_text() == f"name {SCRIPT}"
    assert SCRIPT in card.locator(".verdict .label").inner_text()
    found.page.get_by_label("Explain").select_option(f"{SCRIPT}1")
    found.wait()
    card.locator(".word").first.click()
    expect(card.locator(".delta")).to_contain_text(SCRIPT)
    found.page.get_by_text("All words as a table").click()
    expect(found.page.get_by_role("table")).to_contain_text(SCRIPT)
    assert found.page.evaluate("window.hit") is None
    assert found.page.locator("main img, main script, main iframe").count() == 0
    assert found.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_policy_forbids_markup_from_strings(open_page: Callable[..., Visit]) -> None:
    found = open_page(allow=("TrustedHTML", "Trusted Type"))
    with pytest.raises(Error, match="TrustedHTML"):
        found.page.evaluate("document.body.innerHTML = '<b>bold</b>'")


def test_the_policy_forbids_leaving_the_origin(open_page: Callable[..., Visit], planted: Running) -> None:
    found = open_page(allow=("Content Security Policy", "violates"))
    with pytest.raises(Error, match="Failed to fetch"):
        found.page.evaluate("address => fetch(address + '/models')", planted.address)
    found.requests[:] = [url for url in found.requests if not url.startswith(planted.address)]


def test_files_hold_no_inline_code_and_no_foreign_address() -> None:
    names = {entry.name for entry in FILES.iterdir()}
    assert {"index.html", "page.css", "page.js", "icon.svg"} <= names
    for entry in FILES.iterdir():
        text = entry.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert len(text.splitlines()) <= 400
        assert not re.search(r"https?://|//cdn|@import", text), entry.name
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function", text
        )
    page = FILES.joinpath("index.html").read_text("utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", page)
    linked = set(re.findall(r'(?:src|href)="static/([\w.]+)"', page))
    scripts = "".join(FILES.joinpath(name).read_text("utf-8") for name in names if name.endswith(".js"))
    assert linked | set(re.findall(r'from "\./([\w.]+)"', scripts)) == names - {"index.html"}
