"""What an architecture is before it is built: a frozen record that survives TOML and JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unrolled.errors import UsageError, nearest
from unrolled.registry import Registry

Padding = Literal["masked", "word"]


class ModelSpec(BaseModel):
    """The settings that every architecture shares. Sub-classes add their own and build the layers.

    Args:
        architecture: the registry name.
        vocabulary_size: number of token ids, the padding 0 included.
        length: steps per sequence after padding and truncation.
        classes: number of labels; two share one sigmoid output, more get a softmax.
        padding: "masked" keeps padding from ever changing a prediction; "word" lets it run through the
            network as if it were a word, as the original lab does.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str
    vocabulary_size: int = Field(10_000, ge=4)
    length: int = Field(500, ge=1)
    classes: int = Field(2, ge=2)
    padding: Padding = "masked"

    #: Whether the weights fix the number of steps (a Flatten followed by a Dense).
    fixed_length: ClassVar[bool] = False
    #: Whether the architecture is a network that Keras trains.
    neural: ClassVar[bool] = True

    def layers(self) -> list[Any]:
        """The Keras layers between the tokens and the output unit, in order, not yet built."""
        raise UsageError(
            "models",
            f"{self.architecture} has no Keras layers",
            expected="a neural architecture",
            action="unrolled models, which lists them",
        )


@dataclass(frozen=True, slots=True)
class Architecture:
    """One row of the zoo: a spec class with the defaults that make it this architecture.

    Args:
        name: registry name, CLI name and label in reports.
        summary: what it is, in one line.
        spec: the record class.
        defaults: fields of ``spec`` that this name fixes.
        epochs: how long the lab trains it under the ``notebook`` protocol.
        batch_size: reviews per step under the ``notebook`` protocol.
    """

    name: str
    summary: str
    spec: type[ModelSpec]
    defaults: Mapping[str, Any]
    epochs: int = 10
    batch_size: int = 128


_registry: Registry[Architecture] = Registry("model")
_FAMILIES = ("linear", "dense", "convolutional", "recurrent", "hybrid")
S = TypeVar("S", bound=type[ModelSpec])


def register_architecture(
    name: str, summary: str, *, epochs: int = 10, batch_size: int = 128, **defaults: Any
) -> Callable[[S], S]:
    """A decorator that enters a spec class into the zoo under ``name`` with ``defaults`` for its fields."""

    def enter(spec: S) -> S:
        _registry.register(name)(Architecture(name, summary, spec, defaults, epochs, batch_size))
        return spec

    return enter


def architectures() -> Registry[Architecture]:
    """The zoo, in the order of the lab."""
    for family in _FAMILIES:
        import_module(f"unrolled.models.{family}")
    return _registry


def make_spec(architecture: str, **settings: Any) -> ModelSpec:
    """The spec of ``architecture`` with ``settings`` over its defaults.

    Args:
        architecture: a registry name; the lab's "cnn_gru (long)" is read as ``cnn_gru_long``.
        settings: fields of the spec.

    Raises:
        UsageError: the name or a setting is unknown, or a value does not fit; the message names the nearest.

    >>> make_spec("lstm", units=64).units
    64
    """
    name = architecture.replace(" (", "_").replace(")", "")
    entry = architectures().get(name)
    for key in settings:
        if key not in entry.spec.model_fields or key == "architecture":
            known = [field for field in entry.spec.model_fields if field != "architecture"]
            raise UsageError(
                f"model {name}",
                f"unknown setting (got {key}={settings[key]!r})",
                expected=f"one of {', '.join(known)}",
                action=nearest(key, known),
            )
    try:
        return entry.spec(**{"architecture": name, **entry.defaults, **settings})
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "settings"
        raise UsageError(
            f"model {name}",
            f"{field} does not fit (got {field}={first['input']!r})",
            expected=first["msg"][0].lower() + first["msg"][1:],
            action=f"another value for {field}",
        ) from None


def parse_spec(settings: Mapping[str, Any]) -> ModelSpec:
    """The spec that ``settings`` (from TOML, JSON or ``model_dump``) describe.

    Raises:
        UsageError: as :func:`make_spec`, or the key "architecture" is missing.
    """
    rest = dict(settings)
    if "architecture" not in rest:
        raise UsageError(
            "model settings",
            f"no architecture is named (got keys {', '.join(map(str, rest)) or 'none'})",
            expected='a key "architecture"',
            action='architecture = "lstm"',
        )
    return make_spec(str(rest.pop("architecture")), **rest)
