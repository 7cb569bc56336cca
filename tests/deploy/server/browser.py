"""What the tests of the page share: how to find a browser, and what they read from the page."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

PATIENCE_MS = 20_000
expect.set_options(timeout=PATIENCE_MS)


def launch() -> Iterator[Browser]:
    """The system's Chromium; no browser is ever fetched."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no chromium on the path (apt-get install chromium)")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@dataclass
class Visit:
    """An open page, and all that went wrong or out while it was open."""

    page: Page
    address: str
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def type(self, text: str) -> None:
        """Puts a text in and waits until every card has explained it."""
        self.page.get_by_label("Text", exact=True).fill(text)
        self.wait()

    def wait(self) -> None:
        """Until no card is busy and none is empty."""
        expect(self.cards.first).to_be_visible()
        for card in self.cards.all():
            expect(card).to_have_attribute("aria-busy", "false")
            expect(card.locator(".word").first).to_be_attached()

    @property
    def cards(self) -> Locator:
        return self.page.locator(".card")

    def card(self, name: str) -> Locator:
        return self.page.get_by_role("article", name=name, exact=True)

    def word(self, name: str, word: str) -> Locator:
        """A word in the card of a model, by its own letters."""
        return self.card(name).locator(".word").filter(has_text=re.compile(f"^{re.escape(word)}$"))

    def shares(self, name: str) -> dict[str, float]:
        """What a card shows for each label, in percent."""
        found = {}
        for row in self.card(name).locator(".bars li").all():
            label, figure = row.locator(".name").inner_text(), row.locator(".figure").inner_text()
            found[label] = float(figure.removesuffix(" %"))
        return found

    @property
    def trouble(self) -> Locator:
        return self.page.get_by_role("alert")


def visit(browser: Browser, address: str, **options: Any) -> Visit:
    """Opens the page and notes down console, errors and requests."""
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(PATIENCE_MS)
    found = Visit(page, address)
    page.on(
        "console",
        lambda message: (
            found.console.append(f"{message.type}: {message.text}") if message.type != "log" else None
        ),
    )
    page.on("pageerror", lambda error: found.console.append(f"error: {error}"))
    page.on("request", lambda request: found.requests.append(request.url))
    page.goto(address)
    expect(found.cards.first).to_be_visible()
    return found
