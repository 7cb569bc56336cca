"""Answers explained: the right words, in the right order, with nothing of the text obeyed as a command."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from unrolled.cli.__main__ import app
from unrolled.cli.explain import print_explanation
from unrolled.errors import UsageError
from unrolled.evidence.words.explain import START_WORD, Explainer, Explanation, explain


@pytest.fixture
def study(train_demo):
    return train_demo("linear", "dense", reviews=60)


def test_the_parts_of_an_answer(study) -> None:
    linear, dense = (subject.fitted[0] for subject in study.subjects)
    text = "The film, a xyzzy, was SUPERB!"
    for run in (linear, dense):
        found = explain(run, text)
        chances = dict(zip(run.plan.classes, run.predict_texts([text])[0], strict=True))
        assert found.probability == pytest.approx(chances[found.label], abs=1e-4)
        assert found.probability >= 0.5
        assert found.tokens == (START_WORD, "the", "film", "a", "xyzzy", "was", "superb")
        assert found.known == (True, True, True, True, False, True, True)
        assert found.completeness_error <= 0.01
        assert found.num_unread == 0
        other = next(name for name in run.plan.classes if name != found.label)
        mirrored = explain(run, text, other)
        assert mirrored.probability == pytest.approx(1 - found.probability, abs=1e-5)
        assert mirrored.attributions == pytest.approx([-value for value in found.attributions], abs=1e-2)


def test_long_and_empty_texts(study) -> None:
    run = study.subjects[1].fitted[0]
    explainer = Explainer(run)
    found = explainer.explain(" ".join(["film"] * 100))
    assert len(found.tokens) == run.spec.length
    assert found.num_unread == 101 - run.spec.length
    assert START_WORD not in found.tokens
    assert explainer.explain("").tokens == (START_WORD,)
    # What was compiled for explaining does not disturb predictions, nor they it.
    run.predict_texts(["a film"])
    assert explainer.explain("a film") == explainer.explain("a film")


def test_an_unknown_label_is_refused(study) -> None:
    with pytest.raises(UsageError, match=r"unknown class \(got label='positiv'\).*Try: positive"):
        explain(study.subjects[0].fitted[0], "a film", "positiv")


def test_the_command(study) -> None:
    folder = str(study.subjects[0].runs[0].folder)
    runner = CliRunner()
    plain = runner.invoke(app, ["explain", folder, "A superb \x1b[31mfilm"])
    assert plain.exit_code == 0, plain.output
    assert "\tsuperb" in plain.stdout
    assert "\x1b" not in plain.stdout
    document = json.loads(
        runner.invoke(app, ["explain", folder, "A superb film", "--label", "negative", "--json"]).stdout
    )
    assert document["label"] == "negative"
    assert document["tokens"][1:] == ["a", "superb", "film"]
    assert len(document["attributions"]) == 4


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in {"FORCE_COLOR": "1", "COLORTERM": "truecolor", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    print_explanation(
        Explanation(
            label="positive",
            probability=0.9,
            tokens=(START_WORD, "[bold]superb", "\x1b]0;gone\x07", "dull"),
            attributions=(0.0, 2.0, 0.01, -1.5),
            known=(True, True, False, True),
            padding=0.25,
            baseline_probability=0.5,
            completeness_error=0.001,
            num_unread=3,
        )
    )
    shown = capsys.readouterr().out
    assert "[bold]superb" in shown, "text from data is no markup"
    assert "\x1b]0;" not in shown
    green, red = shown.index("48;2;46;160;67"), shown.index("48;2;")
    assert red <= green
    for remark in ("padding adds +0.2500", "first 3 words were not read", "1 of 4 words are unknown"):
        assert remark in shown
