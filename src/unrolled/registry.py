"""Named parts: a new architecture, data source or measure joins by one decorator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from unrolled.errors import UsageError, nearest

T = TypeVar("T")


class Registry(Generic[T]):
    """Maps public names to parts, in the order in which they were registered.

    Args:
        kind: what the parts are, singular, as error messages name it ("model").

    >>> sources: Registry[type] = Registry("source")
    >>> @sources.register("demo")
    ... class Demo: ...
    >>> sources.names()
    ('demo',)
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._parts: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that files its argument under ``name``; a name is taken once."""

        def file_under(part: T) -> T:
            if name in self._parts:
                raise UsageError(
                    f"register {self.kind}",
                    f"the name is taken (got name={name!r})",
                    expected="a new name",
                    action="choose another, or remove the first registration",
                )
            self._parts[name] = part
            return part

        return file_under

    def get(self, name: str) -> T:
        """The part filed under ``name``.

        Raises:
            UsageError: the name is unknown; the message lists the nearest known names.
        """
        try:
            return self._parts[name]
        except KeyError:
            raise UsageError(
                self.kind,
                f"unknown name (got {self.kind}={name!r})",
                expected=f"one of {', '.join(sorted(self._parts))}",
                action=nearest(name, self._parts),
            ) from None

    def names(self) -> tuple[str, ...]:
        """All names, in registration order."""
        return tuple(self._parts)

    def __contains__(self, name: object) -> bool:
        return name in self._parts

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)
