"""One function for each question; each returns a section whose sentences are computed from the facts."""

from __future__ import annotations

from unrolled.report.facts import Facts
from unrolled.report.records import Section
from unrolled.report.sections.basics import answer_cnn, answer_dense, answer_embedding
from unrolled.report.sections.general import answer_limits, answer_long, answer_order
from unrolled.report.sections.gradients import answer_gradients
from unrolled.report.sections.hybrids import answer_cnn_lstm, answer_gru
from unrolled.report.sections.recurrent import answer_lstm, answer_simple_rnn
from unrolled.report.sections.trust import answer_learning, answer_padding, answer_words

ANSWERS = (
    answer_dense,
    answer_embedding,
    answer_cnn,
    answer_simple_rnn,
    answer_gradients,
    answer_lstm,
    answer_cnn_lstm,
    answer_gru,
    answer_order,
    answer_long,
    answer_words,
    answer_learning,
    answer_padding,
    answer_limits,
)
"""In reading order."""


def write_sections(facts: Facts) -> tuple[Section, ...]:
    """All sections."""
    return tuple(answer(facts) for answer in ANSWERS)
