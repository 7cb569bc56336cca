"""The page in a real browser: what it shows, and what it says when the server cannot answer."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error, Route, expect

from tests.deploy.server.browser import Visit
from tests.deploy.server.conftest import Running
from unrolled.deploy import Predictor, TextExplainer

TEXT = "I loved the story. The ending, though, was a dreadful mess."
MODELS = {
    "lstm-seed0": "lstm",
    "linear-seed0": "linear",
    "cnn_gru-seed0": "cnn_gru",
    "gru-seed0": "gru",
}


@pytest.fixture
def shown(open_page: Callable[..., Visit]) -> Visit:
    """The page with the text typed in and answered."""
    found = open_page()
    found.type(TEXT)
    return found


def expected(predictor: Predictor, text: str) -> dict[str, float]:
    """What a card should show for a text, in percent."""
    return dict(zip(predictor.labels, (predictor.predict_proba([text])[0] * 100).tolist(), strict=True))


def test_every_model_answers_side_by_side(shown: Visit, predictors: dict[str, Predictor]) -> None:
    assert shown.cards.count() == len(MODELS)
    for name, key in MODELS.items():
        answer = expected(predictors[key], TEXT)
        assert shown.shares(name) == pytest.approx(answer, abs=0.051)
        verdict = shown.card(name).locator(".verdict")
        best = max(answer, key=lambda label: answer[label])
        expect(verdict).to_contain_text(best)
        expect(verdict).to_contain_text(f"{answer[best]:.1f}")


def test_the_answer_is_read_out(shown: Visit, predictors: dict[str, Predictor]) -> None:
    expect(shown.page.locator("#live")).to_contain_text(
        f"lstm-seed0: {predictors['lstm'].predict([TEXT])[0]}"
    )


def test_the_text_stands_in_every_card_as_it_was_typed(shown: Visit) -> None:
    for card in shown.cards.all():
        assert card.locator(".words").evaluate("node => node.textContent") == TEXT


def test_words_carry_their_contribution_in_colour_and_in_figures(
    shown: Visit, predictors: dict[str, Predictor]
) -> None:
    label = shown.page.locator("#target").inner_text().strip("“”")
    explanation = TextExplainer(predictors["lstm"]).explain(TEXT, label)
    words = shown.card("lstm-seed0").locator(".word")
    assert words.count() == len(explanation.words)
    figures = words.evaluate_all("nodes => nodes.map(node => node.dataset.figure)")
    for number, (figure, word) in enumerate(zip(figures, explanation.words, strict=True)):
        assert float(figure.replace("−", "-")) == pytest.approx(word.contribution, abs=0.0051)
        if abs(word.contribution or 0.0) > 0.01:
            side = "for" if (word.contribution or 0.0) > 0 else "against"
            assert side in str(words.nth(number).get_attribute("class")).split()
            assert f"{figure}, {side} {label}" in str(words.nth(number).get_attribute("aria-label"))
    largest = max(range(len(figures)), key=lambda number: abs(explanation.words[number].contribution or 0.0))
    least = min(range(len(figures)), key=lambda number: abs(explanation.words[number].contribution or 0.0))
    tints = words.evaluate_all("nodes => nodes.map(node => getComputedStyle(node).backgroundColor)")
    assert tints[largest] != tints[least]


def test_figures_can_stand_beside_the_words(shown: Visit) -> None:
    after = "node => getComputedStyle(node, '::after').display"
    word = shown.card("lstm-seed0").locator(".word").first
    assert word.evaluate(after) == "none"
    shown.page.get_by_label("Figures beside the words").check()
    assert word.evaluate(after) == "inline-block"


def test_the_table_holds_every_word_of_every_model(shown: Visit) -> None:
    shown.page.get_by_text("All words as a table").click()
    table = shown.page.get_by_role("table")
    rows = table.locator("tbody tr")
    words = [word.strip(".,") for word in TEXT.split()]
    assert [row.locator("th").inner_text() for row in rows.all()] == words
    for column, name in enumerate(MODELS):
        buttons = shown.card(name).locator(".word")
        figures = buttons.evaluate_all("nodes => nodes.map(node => node.dataset.figure)")
        cells = rows.evaluate_all(
            "(rows, column) => rows.map(row => row.cells[column].textContent)", column + 1
        )
        assert cells == figures
    assert table.locator("thead th").nth(1).inner_text().startswith("lstm-seed0")


def test_a_word_is_switched_off_by_a_click(shown: Visit, predictors: dict[str, Predictor]) -> None:
    shown.word("lstm-seed0", "dreadful").click()
    without = TEXT.replace("dreadful", "")
    expect(shown.page.locator("#off")).to_contain_text("1 word switched off")
    label = shown.page.locator("#target").inner_text().split("”")[0].strip("“")
    for name, key in MODELS.items():
        expect(shown.word(name, "dreadful")).to_have_attribute("aria-pressed", "true")
        expect(shown.word(name, "mess")).to_have_attribute("aria-pressed", "false")
        expect(shown.card(name).locator(".delta")).not_to_be_empty()
        before, after = (expected(predictors[key], text) for text in (TEXT, without))
        assert shown.shares(name) == pytest.approx(after, abs=0.051)
        told = shown.card(name).locator(".delta strong").inner_text()
        change = after[label] - before[label]
        if told == "no change":
            assert abs(change) < 0.051
        else:
            assert float(told.split()[0].replace("−", "-")) == pytest.approx(change, abs=0.051)
    expect(shown.page.locator("#live")).to_contain_text("1 word off")
    shown.word("gru-seed0", "mess").click()
    expect(shown.page.locator("#off")).to_contain_text("2 words switched off")
    shown.page.get_by_role("button", name="Switch all on").click()
    expect(shown.page.locator("#off")).to_be_hidden()
    expect(shown.card("lstm-seed0").locator(".delta")).to_be_empty()
    assert shown.shares("lstm-seed0") == pytest.approx(expected(predictors["lstm"], TEXT), abs=0.051)


def test_no_line_begins_with_a_comma(open_page: Callable[..., Visit]) -> None:
    found = open_page(viewport={"width": 360, "height": 740})
    text = "a (long) story, told well, and ‘slowly’, by a river, in autumn, " * 6 + "end.\n\nNew line …"
    found.type(text)
    words = found.card("lstm-seed0").locator(".words")
    assert words.evaluate("node => node.textContent") == text
    split = words.locator(".glued").evaluate_all(
        "nodes => nodes.filter(node => new Set([...node.getClientRects()].map(r => r.top)).size > 1).length"
    )
    assert split == 0
    assert words.locator(".glued").filter(has_text=re.compile(r"^\(long\)$")).count() == 6


def test_places_count_emoji_as_one(open_page: Callable[..., Visit], predictors: dict[str, Predictor]) -> None:
    found = open_page()
    found.type("🎬🎬 a 👩‍🚀 dreadful film 🎬")
    found.word("lstm-seed0", "dreadful").click()
    expect(found.card("lstm-seed0").locator(".delta")).not_to_be_empty()
    answer = expected(predictors["lstm"], "🎬🎬 a 👩‍🚀  film 🎬")
    assert found.shares("lstm-seed0") == pytest.approx(answer, abs=0.051)


def test_the_label_can_be_chosen(shown: Visit) -> None:
    shown.page.get_by_label("Explain").select_option("neutral")
    target = shown.page.locator("#target")
    expect(target).to_have_text("“neutral”")
    shown.wait()
    word = shown.card("gru-seed0").locator(".word").first
    expect(word).to_have_attribute("aria-label", re.compile("neutral$"))
    # A model that does not know the label explains its own answer.
    other = str(shown.card("lstm-seed0").locator(".word").first.get_attribute("aria-label"))
    assert other.endswith(("positive", "negative"))


def test_charts_show_the_reading_and_the_gradient(shown: Visit, predictors: dict[str, Predictor]) -> None:
    label = shown.page.locator("#target").inner_text().strip("“”")
    explanation = TextExplainer(predictors["lstm"]).explain(TEXT, label)
    card = shown.card("lstm-seed0")
    line = str(card.locator("polyline.curve").get_attribute("points")).split()
    assert len(line) == len(explanation.reading)
    assert explanation.reading[-1][0] == len(explanation.words)
    expect(card.get_by_role("img", name="Norm of the gradient")).to_be_visible()
    # The slider is how the curve is read without a mouse.
    for count, share in (explanation.reading[2], explanation.reading[-2]):
        shown.page.get_by_label("Read along").fill(str(count))
        expect(card.locator("figcaption .reader").first).to_contain_text(
            f"after {count}: {share * 100:.1f} %"
        )
    expect(card.locator(".word.ahead")).to_have_count(1)


def test_models_without_a_state_say_why_they_have_no_curve(shown: Visit) -> None:
    card = shown.card("linear-seed0")
    expect(card).to_contain_text("not recurrent and carries no state")
    expect(card.locator("figure")).to_have_count(1)
    expect(card.locator("polyline.curve.prefixes")).to_be_visible()
    expect(shown.card("gru-seed0").locator("figure")).to_have_count(2)


def test_a_sample_fills_the_field(open_page: Callable[..., Visit]) -> None:
    found = open_page()
    found.page.get_by_role("button", name="A turn").click()
    found.wait()
    assert len(found.page.get_by_label("Text", exact=True).input_value()) > 80
    found.page.get_by_role("button", name="Clear").click()
    expect(found.page.locator("#hint")).to_be_visible()
    expect(found.card("lstm-seed0").locator(".word")).to_have_count(0)


def test_a_long_text_says_what_was_grouped_and_what_was_not_read(open_page: Callable[..., Visit]) -> None:
    found = open_page()
    found.type("a long story about the river and the harbour " * 25)
    expect(found.card("linear-seed0")).to_contain_text("2 neighbouring words share one figure")
    expect(found.card("lstm-seed0")).to_contain_text("beyond what the model reads")
    expect(found.card("lstm-seed0").locator(".word").first).to_have_class("word unread")


def test_white_space_is_no_question(open_page: Callable[..., Visit]) -> None:
    found = open_page()
    found.page.get_by_label("Text", exact=True).fill("  \n ")
    expect(found.page.locator("#hint")).to_be_visible()
    expect(found.trouble).to_be_hidden()


def test_a_text_without_words_is_answered(open_page: Callable[..., Visit]) -> None:
    found = open_page()
    found.page.get_by_label("Text", exact=True).fill("?!")
    expect(found.card("lstm-seed0")).to_contain_text("no word in this text")


def test_only_the_newest_answer_is_shown(
    open_page: Callable[..., Visit], predictors: dict[str, Predictor]
) -> None:
    found = open_page(allow=("net::ERR_FAILED", "net::ERR_ABORTED"))
    held: list[Route] = []

    def hold(route: Route) -> None:
        if "slow" in str(route.request.post_data):
            held.append(route)
        else:
            route.continue_()

    found.page.route("**/predict", hold)
    field = found.page.get_by_label("Text", exact=True)
    with found.page.expect_request("**/predict"):
        field.fill("a slow and dreadful film")
    found.type("a quick film")
    assert len(held) == 1
    late = {"label": "positive", "probabilities": {"negative": 0.0, "positive": 1.0}}
    document = {"results": [{"model": name, "predictions": [late]} for name in MODELS]}
    with contextlib.suppress(Error):
        held[0].fulfill(body=json.dumps(document), content_type="application/json")
    found.page.wait_for_timeout(200)
    assert found.shares("lstm-seed0") == pytest.approx(
        expected(predictors["lstm"], "a quick film"), abs=0.051
    )


def test_a_server_that_goes_away_is_told_plainly(
    open_page: Callable[..., Visit], start_server: Callable[..., Running], exports: dict[str, Path]
) -> None:
    own = start_server(exports["linear"])
    found = open_page(own.address, allow=("net::ERR_CONNECTION_REFUSED",))
    found.type("a fine film")
    assert own.stop() == 0
    found.page.get_by_label("Text", exact=True).fill("a dreadful film")
    expect(found.trouble).to_contain_text("The server does not answer")
    expect(found.trouble).to_contain_text("Trying again in 3 seconds")
    # What another text was answered does not stay beside this one.
    expect(found.cards.first.locator(".word")).to_have_count(0)
    expect(found.cards.first.locator(".verdict")).not_to_contain_text("%")


def test_a_word_that_nobody_could_be_asked_about_has_no_effect_beside_it(
    shown: Visit, predictors: dict[str, Predictor]
) -> None:
    shown.word("lstm-seed0", "loved").click()
    expect(shown.card("lstm-seed0").locator(".delta")).to_contain_text("from")
    shown.page.route("**/predict", lambda route: route.fulfill(status=200, body="broken"))
    shown.word("lstm-seed0", "mess").click()
    expect(shown.trouble).to_be_visible()
    for name, key in MODELS.items():
        expect(shown.card(name).locator(".delta")).to_have_text(
            "No answer yet without the words that are off."
        )
        assert shown.shares(name) == pytest.approx(expected(predictors[key], TEXT), abs=0.051)


def test_it_recovers_when_the_server_is_back(open_page: Callable[..., Visit]) -> None:
    found = open_page(allow=("net::ERR_FAILED",))
    found.page.route("**/predict", lambda route: route.abort())
    found.page.get_by_label("Text", exact=True).fill("a fine film")
    expect(found.trouble).to_be_visible()
    found.page.unroute("**/predict")
    found.page.get_by_role("button", name="Try again").click()
    found.wait()
    expect(found.trouble).to_be_hidden()


def test_a_busy_server_is_asked_again_after_the_time_it_names(open_page: Callable[..., Visit]) -> None:
    found = open_page(allow=("503",))
    refusals = iter([True])
    error = {"status": 503, "code": "busy", "message": "too many requests wait", "expected": ""}

    def refuse(route: Route) -> None:
        if next(refusals, False):
            headers = {"retry-after": "2", "content-type": "application/json"}
            route.fulfill(status=503, headers=headers, body=json.dumps({"error": error}))
        else:
            route.continue_()

    found.page.route("**/explain", refuse)
    found.page.get_by_label("Text", exact=True).fill("a fine film")
    expect(found.trouble).to_contain_text("The server is busy: too many requests wait.")
    expect(found.trouble).to_contain_text("Trying again in 2 seconds.")
    found.wait()
    expect(found.trouble).to_be_hidden()


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ({"status": 500, "body": "oops"}, "broke off"),
        ({"status": 200, "body": "<html>"}, "broke off"),
        ({"status": 400, "json": {}}, "declined (400): no reason given"),
    ],
)
def test_odd_answers_are_told_too(open_page: Callable[..., Visit], reply: dict[str, Any], said: str) -> None:
    found = open_page(allow=("500", "400"))
    found.page.route("**/predict", lambda route: route.fulfill(**reply))
    found.page.get_by_label("Text", exact=True).fill("a fine film")
    expect(found.trouble).to_contain_text(said)


def test_a_text_that_is_too_long_is_told_with_the_rule(open_page: Callable[..., Visit]) -> None:
    found = open_page(allow=("422",))
    found.page.get_by_label("Text", exact=True).fill("a film " * 3_000)
    expect(found.trouble).to_contain_text("21,000 characters")
    expect(found.trouble).to_contain_text("up to 20,000")
