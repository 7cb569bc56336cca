"""Every setting of a comparison on one's own data: a record that reads and writes TOML."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unrolled.errors import DataError, UsageError, nearest

Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]


def _unset(description: str, example: Any, **limits: Any) -> Any:
    """A field that is None unless set; ``example`` shows in the file what it looks like."""
    return Field(None, description=description, examples=[example], **limits)


def _set(default: Any, description: str, **limits: Any) -> Any:
    return Field(default, description=description, **limits)


class Section(BaseModel):
    """One table of the file. Unknown keys are errors; descriptions are the file's comments."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class DataSection(Section):
    """Where the texts are, and how they are divided and read."""

    path: str | None = _unset("CSV, TSV, JSONL, Parquet, or a folder for each class.", "reviews.csv")
    text_column: str | None = _unset("Holds the texts; found by name or content when unset.", "text")
    label_column: str | None = _unset("Holds the labels; found likewise.", "label")
    group_column: str | None = _unset(
        "Rows of one group (an author, a product) never stand on both sides of a split.", "author"
    )
    split_column: str | None = _unset(
        "Says train, validation or test for every row; a column called split when unset.", "part"
    )
    test_fraction: Fraction = _set(0.2, "Share of the rows for the test part, where none is given.")
    validation_fraction: Fraction = _set(0.1, "Share of what then remains for choosing the best epoch.")
    split_seed: int = _set(0, "Which rows are drawn; the same on every machine.", ge=0)
    token_units: Literal["auto", "words", "unspaced", "characters"] = _set(
        "auto",
        "What a token is: words between separators; unspaced, which reads scripts without spaces (Chinese, "
        "Japanese, Thai) character by character; characters, for all scripts; auto looks at the texts.",
    )


class ModelsSection(Section):
    """Which architectures, and how large. What is unset keeps each architecture's own default."""

    names: tuple[str, ...] | Literal["auto"] = _set(
        "auto", 'Names that `unrolled models` lists, as ["linear", "gru"]; auto picks by the data\'s size.'
    )
    vocabulary_size: int | None = _unset("Token ids that networks know.", 10_000, ge=4)
    length: int | None = _unset("Steps per text; the beginning of longer ones is cut off.", 500, ge=1)
    embedding_size: int | None = _unset("Numbers per word.", 100, ge=1)
    units: int | None = _unset("Hidden units of a recurrent layer.", 100, ge=1)
    filters: int | None = _unset("Filters of a convolution.", 32, ge=1)
    hidden_units: int | None = _unset("Units of a dense layer.", 250, ge=1)
    dropout: float | None = _unset("Share of a recurrent layer's inputs switched off.", 0.3, ge=0.0, lt=1.0)


class TrainingSection(Section):
    """How they are trained."""

    seeds: int = _set(3, "Runs of each network; intervals need two or more.", ge=1)
    epochs: int = _set(10, "Passes over the training part, at most.", ge=1)
    patience: int = _set(3, "Epochs without improvement before a run stops; 0 trains them all.", ge=0)
    batch_size: int | None = _unset("Texts per step; 128, or 32 for a small corpus, when unset.", 32, ge=1)
    learning_rate: float = _set(1e-3, "Adam's.", gt=0.0, allow_inf_nan=False)
    class_weights: Literal["none", "balanced"] | dict[str, float] = _set(
        "none",
        "What a text of each class counts in the loss: none, balanced (rare classes count more), or "
        "{ spam = 5.0, ham = 1.0 }. With weights, the best epoch is chosen by balanced accuracy.",
    )
    workers: int | None = _unset("Processes side by side; one per core when unset.", 2, ge=1)


class LimitsSection(Section):
    """What the study and the chosen model may cost."""

    time: str | None = _unset(
        "How long the whole study may take (90s, 10m, 1h30m): seeds, then epochs, then costly models are "
        "dropped to fit.",
        "10m",
    )
    budget: str | None = _unset("What the chosen model may cost.", "latency_ms<5,size_mb<10")


class HintsSection(Section):
    """What is looked for in the data before training."""

    near_duplicates: bool = _set(True, "Texts of the test or validation part that nearly stand in train.")
    label_noise: bool = _set(True, "Labels that a model fitted without them contradicts with confidence.")


class ComparisonSettings(Section):
    """All settings of ``unrolled compare``."""

    data: DataSection = DataSection()
    models: ModelsSection = ModelsSection()
    training: TrainingSection = TrainingSection()
    limits: LimitsSection = LimitsSection()
    hints: HintsSection = HintsSection()

    def model_settings(self) -> dict[str, Any]:
        """The fields of specs that were set."""
        return self.models.model_dump(exclude={"names"}, exclude_none=True)

    def with_changes(self, changes: Mapping[str, Mapping[str, Any]], where: str) -> ComparisonSettings:
        """These settings with ``changes`` (by section, then key) over them; None changes nothing.

        Raises:
            UsageError: as :func:`parse_settings`, naming ``where``.
        """
        document = self.model_dump(exclude_none=True)
        for section, values in changes.items():
            document[section] |= {key: value for key, value in values.items() if value is not None}
        return parse_settings(document, where)


def sections() -> dict[str, type[Section]]:
    """The sections of the file by name, in order."""
    return {
        name: field.annotation
        for name, field in ComparisonSettings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
    }


def parse_settings(document: Mapping[str, Any], where: str) -> ComparisonSettings:
    """The settings that ``document`` (parsed TOML) holds; what it leaves out keeps its default.

    Args:
        document: sections by name.
        where: the file, for messages.

    Raises:
        UsageError: an unknown section or key, or a value that does not fit.
    """
    known = sections()
    for section, values in document.items():
        if section not in known:
            holders = [name for name, kind in known.items() if section in kind.model_fields]
            hint = f"{section} belongs under [{holders[0]}]" if holders else f"[{nearest(section, known)}]"
            raise UsageError(
                where,
                f"unknown section (got {section!r})",
                expected=f"one of {', '.join(f'[{name}]' for name in known)}",
                action=hint,
            )
        if not isinstance(values, Mapping):
            raise UsageError(where, f"not a section (got {section}={values!r})", expected=f"[{section}]")
        fields = known[section].model_fields
        for key in values:
            if key not in fields:
                raise UsageError(
                    f"{where}, [{section}]",
                    f"unknown key (got {key!r})",
                    expected=f"one of {', '.join(fields)}",
                    action=nearest(key, fields),
                )
    try:
        return ComparisonSettings.model_validate(dict(document))
    except ValidationError as error:
        first = error.errors()[0]
        section, key = str(first["loc"][0]), str(first["loc"][1])
        raise UsageError(
            f"{where}, [{section}]",
            f"{key} does not fit (got {key}={first['input']!r})",
            expected=first["msg"][0].lower() + first["msg"][1:],
            action=str(known[section].model_fields[key].description).rstrip("."),
        ) from None


def read_settings(path: Path) -> ComparisonSettings:
    """The settings in a TOML file.

    Raises:
        DataError: there is no such file, or it is no TOML.
        UsageError: as :func:`parse_settings`.
    """
    try:
        document = tomllib.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise DataError(
            str(path), "there is no such file", expected="a TOML file", action=f"unrolled init {path}"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            str(path), f"it is no TOML ({error})", expected="key = value below [section]", action="correct it"
        ) from None
    return parse_settings(document, str(path))


def write_settings(settings: ComparisonSettings) -> str:
    """The settings as TOML with every key, its meaning before it; unset ones stand as comments."""
    import tomli_w

    lines = ["# Settings of `unrolled compare --config FILE`. Options on the command line come first.", ""]
    for name, kind in sections().items():
        lines += [f"# {(kind.__doc__ or '').strip()}", f"[{name}]"]
        values = getattr(settings, name)
        for key, field in kind.model_fields.items():
            lines += [f"# {line}" for line in _wrapped(field.description or "")]
            value = getattr(values, key)
            shown = (field.examples or [""])[0] if value is None else value
            entry = tomli_w.dumps({key: _plain(shown)}).strip()
            if isinstance(shown, Mapping):
                pairs = ", ".join(tomli_w.dumps({k: v}).strip() for k, v in shown.items())
                entry = f"{key} = {{ {pairs} }}"
            lines.append(f"# {entry}" if value is None else re.sub(r"\s*\n\s*", " ", entry))
        lines.append("")
    return "\n".join(lines)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 100)


_TIME = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?:in)?)?(?:(\d+(?:\.\d+)?)s?)?")


def parse_time(text: str) -> float:
    """Seconds in a text such as 90s, 10m or 1h30m; a plain number is seconds.

    Raises:
        UsageError: it is none, or not above 0.

    >>> parse_time("10m"), parse_time("1h30m"), parse_time("45")
    (600.0, 5400.0, 45.0)
    """
    match = _TIME.fullmatch(text.strip().replace(" ", ""))
    hours, minutes, seconds = (float(part or 0) for part in match.groups()) if match else (0.0, 0.0, 0.0)
    total = 3600 * hours + 60 * minutes + seconds
    if not total:
        raise UsageError(
            "time", f"not a time (got time={text!r})", expected="hours, minutes, seconds", action="10m"
        )
    return total
