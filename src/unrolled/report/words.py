"""Figures as people read them, and the small parts of sentences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
SAFE_LENGTH = 120


def share(value: float) -> str:
    """An accuracy or another share, to a thousandth.

    >>> share(0.9395)
    '0.940'
    """
    return f"{_half_up(value, 3):.3f}"


def _half_up(value: float, places: int) -> float:
    # 0.9395 is stored a hair below; a nudge far under the last digit rounds it as it was written.
    return round(value + math.copysign(1e-9, value), places)


def signed(value: float) -> str:
    """A difference of shares with its sign.

    >>> signed(-0.0123)
    '−0.012'
    """
    return ("+" if value >= 0 else "−") + share(abs(value))


def count(value: float) -> str:
    """A whole number with its thousands.

    >>> count(347601)
    '347,601'
    """
    return f"{value:,.0f}"


def significant(value: float, digits: int = 3) -> str:
    """A number to so many significant digits, never in scientific notation between 1e-4 and 1e6.

    >>> significant(0.01234), significant(1234.5), significant(3e-9), significant(0.0)
    ('0.0123', '1,234', '3e−9', '0')
    """
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size < -4 or size >= 9:
        mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
        if "." in mantissa:
            mantissa = mantissa.rstrip("0").rstrip(".")
        return f"{mantissa}e{int(power)}".replace("-", "−")
    text = f"{value:,.{max(0, digits - 1 - size)}f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace("-", "−")


def compact(value: float) -> str:
    """A large number with a prefix.

    >>> compact(24_740_302), compact(950), compact(347_601)
    ('24.7 M', '950', '348 k')
    """
    for size, prefix in _PREFIXES:
        if abs(value) >= size * 0.9995:
            return f"{significant(value / size)} {prefix}"
    return significant(value)


def seconds(value: float) -> str:
    """Seconds.

    >>> seconds(0.1399), seconds(7.08), seconds(72.9)
    ('0.14 s', '7.1 s', '73 s')
    """
    return f"{significant(value, 2)} s"


def milliseconds(value: float) -> str:
    """Milliseconds.

    >>> milliseconds(0.5139)
    '0.51 ms'
    """
    return f"{significant(value, 2)} ms"


def megabytes(value: float) -> str:
    """Bytes as megabytes.

    >>> megabytes(677_662_720)
    '678 MB'
    """
    return f"{significant(value / 1e6)} MB"


def whole_steps(value: float) -> str:
    """A number of steps.

    >>> whole_steps(1), whole_steps(40)
    ('1 step', '40 steps')
    """
    return f"{count(value)} step{'' if value == 1 else 's'}"


FORMATS: dict[str, Callable[[float], str]] = {
    "share": share,
    "signed": signed,
    "count": count,
    "number": significant,
    "number2": lambda value: significant(value, 2),
    "signed_number": lambda value: ("+" if value > 0 else "") + significant(value),
    "compact": compact,
    "seconds": seconds,
    "milliseconds": milliseconds,
    "megabytes": megabytes,
    "factor": lambda value: f"{significant(value)}×",
    "text": str,
}
"""How a column or an axis writes its numbers."""


def interval(low: float | None, high: float | None, kind: str = "share") -> str:
    """An interval in words; empty when there is none.

    >>> interval(0.003, 0.019)
    '95% interval 0.003 to 0.019'
    """
    if low is None or high is None:
        return ""
    return f"95% interval {FORMATS[kind](low)} to {FORMATS[kind](high)}"


def listed(names: Sequence[str], last: str = "and") -> str:
    """Names as a list within a sentence.

    >>> listed(["gru", "lstm", "cnn"]), listed(["gru"]), listed([])
    ('gru, lstm and cnn', 'gru', 'none')
    """
    if not names:
        return "none"
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} {last} {names[-1]}"


def roster(names: Sequence[str], among: Sequence[str]) -> str:
    """Names as a list, or, where that would be long, by those that are missing or by their number.

    >>> roster(["a", "b", "c", "d", "e"], ["a", "b", "c", "d", "e", "f"])
    'all but f'
    """
    others = [name for name in among if name not in names]
    if len(names) <= 4:
        return listed(names)
    if len(others) <= 3:
        return f"all but {listed(others)}" if others else "all"
    return f"{len(names)} of {len(names) + len(others)} models"


def opening(names: str) -> str:
    """A roster at the start of a sentence: "All but …", while a model's name keeps its case.

    >>> opening("all but dense"), opening("lstm and gru")
    ('All but dense', 'lstm and gru')
    """
    return capital(names) if names.startswith("all but ") or names == "all" else names


def times(ratio: float) -> str:
    """A ratio as people say it; what is within 5% is "as much".

    >>> times(4.6), times(0.25), times(1.02)
    ('4.6 times', 'a quarter of', 'about as much as')
    """
    if not math.isfinite(ratio) or ratio <= 0:
        return "an unknown multiple of"
    if abs(math.log(ratio)) < 0.05:
        return "about as much as"
    if ratio > 1:
        return f"{significant(ratio, 2)} times"
    for part, name in ((0.5, "half of"), (1 / 3, "a third of"), (0.25, "a quarter of")):
        if abs(ratio / part - 1) < 0.05:
            return name
    return f"{significant(100 * ratio, 2)}% of"


def capital(sentence: str) -> str:
    """A sentence with its first letter large."""
    return sentence[:1].upper() + sentence[1:]


def shorten(text: str, length: int = SAFE_LENGTH) -> str:
    """Text from data as one line of bounded length.

    >>> shorten("a\\nb" + "c" * 10, 6)
    'a bcc…'
    """
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"
