"""Other findings, other sentences; and where the evidence does not decide, they say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.report.conftest import ACCURACIES, make_finding, make_results
from unrolled.report.build import build_report
from unrolled.report.facts import Facts
from unrolled.report.sections import ANSWERS, write_sections
from unrolled.report.verdict import write_verdict

Plant = Callable[..., Facts]


def headline(facts: Facts, slug: str) -> str:
    return next(section.headline for section in write_sections(facts) if section.slug == slug)


@pytest.mark.parametrize(
    ("slug", "accuracies", "expected"),
    [
        ("dense", {}, "Nothing is learned"),
        ("dense", {"dense": 0.62}, "Something is learned"),
        ("dense", {"dense": 0.9}, "raw ids do better"),
        ("embedding", {}, "worth 0.170"),
        ("embedding", {"embedding_dense": 0.51}, "undecided"),
        ("embedding", {"embedding_dense": 0.4}, "costs 0.100"),
        ("cnn", {}, "more than"),
        ("cnn", {"cnn": 0.68}, "undecided"),
        ("cnn", {"cnn": 0.6}, "less than"),
        ("simple-rnn", {}, "a drop against cnn and lstm and undecided against embedding_dense"),
        ("simple-rnn", {"simple_rnn": 0.99}, "a gain over embedding_dense, cnn and lstm"),
        ("lstm", {}, "gains 0.275"),
        ("lstm", {"lstm": 0.665}, "cannot be told apart"),
        ("lstm", {"lstm": 0.5}, "loses 0.160"),
        ("cnn-lstm", {}, "better than cnn and worse than lstm"),
        ("cnn-lstm", {"cnn_lstm": 0.93}, "not to be told apart from lstm"),
        ("gru", {}, "does not decide. Dropout gains 0.060"),
        (
            "gru",
            {"gru": 0.8, "cnn_gru_dropout": 0.85},
            "lstm is 0.135 more accurate than gru. Whether dropout",
        ),
        ("gru", {"cnn_gru_dropout": 0.7}, "Dropout costs 0.150"),
        ("limits", {}, "lstm is ahead"),
        ("limits", {"linear": 0.99}, "linear is ahead in accuracy, and in accuracy per megabyte as well"),
    ],
)
def test_accuracies_change_the_headline(
    plant: Plant, slug: str, accuracies: dict[str, float], expected: str
) -> None:
    assert expected in headline(plant(**accuracies), slug)


def _both(measure: str, one: dict[str, Any], other: dict[str, Any]) -> list[Any]:
    return [make_finding(measure, "lstm", one), make_finding(measure, "simple_rnn", other)]


VANISHING, STABLE = (
    {f"behaviour_{when}": kind for when in ("before", "after")} for kind in ("vanishing", "stable")
)
USES, IGNORES = ({"order_matters": uses, "drop": 0.2 * uses} for uses in (True, False))
FALLS, HOLDS = {"gap": 0.1, "gap_low": 0.05, "gap_high": 0.15}, {"gap": 0.0, "gap_low": -0.1, "gap_high": 0.1}
RIGHT, WRONG = (
    {"evidence_share": share, "evidence_share_low": share - 0.02, "shuffled_share": 0.2}
    for share in (0.6, 0.2)
)
SURE, OFF = ({f"is_calibrated_{when}": sure for when in ("before", "after")} for sure in (True, False))
HURT: dict[str, Any] = {"warning": "It costs.", "worst_drop": 0.2, "worst_configuration": "right_word"}


@pytest.mark.parametrize(
    ("slug", "findings", "expected"),
    [
        ("gradients", [], "Not answered here"),
        ("gradients", _both("gradients", STABLE, VANISHING), "still vanish in simple_rnn"),
        ("gradients", _both("gradients", VANISHING, VANISHING), "vanish in every"),
        ("gradients", _both("gradients", STABLE, STABLE), "No model's gradients vanish or explode"),
        ("gradients", _both("gradients", {"behaviour_after": "exploding"}, STABLE), "explode in lstm"),
        ("order", [], "Not answered here"),
        ("order", _both("order", USES, IGNORES), "helps lstm; simple_rnn loses nothing"),
        ("order", _both("order", USES, USES), "helps every model"),
        ("order", _both("order", IGNORES, IGNORES), "No model is shown"),
        ("long", [], "Not answered here"),
        ("long", _both("length", HOLDS, FALLS), "cost simple_rnn accuracy; for lstm no loss"),
        ("long", _both("length", FALLS, FALLS), "every model"),
        ("long", _both("length", HOLDS, HOLDS), "No model is shown"),
        ("words", [], "Not answered here"),
        ("words", _both("words", RIGHT, WRONG), "lstm put weight"),
        ("words", _both("words", RIGHT, RIGHT), "Every model"),
        ("words", _both("words", WRONG, WRONG), "No model is shown"),
        ("words", _both("words", {}, {}), "does not say which"),
        ("learning", [], "Not answered here"),
        ("learning", _both("learning", SURE, OFF), "lstm can be believed"),
        ("learning", _both("learning", SURE, SURE), "Every model"),
        ("learning", _both("learning", OFF, OFF), "No model's probabilities"),
        ("padding", [], "Not answered here"),
        ("padding", _both("padding", HURT, {}), "lstm loses accuracy"),
        ("padding", _both("padding", HURT, HURT), "every network loses"),
        ("padding", _both("padding", {}, {}), "No way of padding"),
    ],
)
def test_findings_change_the_headline(plant: Plant, slug: str, findings: list[Any], expected: str) -> None:
    assert expected in headline(plant(*findings), slug)


@pytest.mark.parametrize(
    ("decided", "expected"),
    [
        (0.004, "more than chance"),
        (0.02, "does not decide between it and gru and bilstm"),
        (1.0, "no model can be"),
    ],
)
def test_the_verdict_says_how_sure_it_is(plant: Plant, decided: float, expected: str) -> None:
    verdict = write_verdict(plant(decided=decided))
    assert len(verdict) == 3
    assert expected in verdict[0]
    assert "single run" in verdict[2]


def test_what_is_missing_comes_with_its_command(plant: Plant) -> None:
    section = next(one for one in write_sections(plant()) if one.slug == "gradients")
    assert "unrolled analyse STUDY --only gradients" in [one.command for one in section.missing]


@pytest.mark.parametrize("kept", [[], ["lstm"], ["dense", "lstm"], ["mine"]])
def test_any_part_of_the_zoo_gives_a_report(kept: list[str]) -> None:
    results = make_results({name: ACCURACIES.get(name, 0.8) for name in kept})
    report = build_report(Facts(results))
    assert len(report.verdict) == 3
    assert len(report.sections) == len(ANSWERS)
