"""Request bodies: received within limits, then checked field by field."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.requests import ClientDisconnect, Request

from unrolled.deploy.server.problems import Problem
from unrolled.deploy.server.settings import ServerSettings
from unrolled.errors import nearest


async def read_json(request: Request, settings: ServerSettings) -> dict[str, Any]:
    """The JSON object in a request's body.

    Raises:
        Problem: 415 another media type, 413 too large (told or found), 408 too slow, 400 malformed.
    """
    media = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media != "application/json":
        raise Problem(415, f"the body is no JSON (got content-type={media[:80]!r})", "application/json")
    if request.headers.get("content-encoding", "identity") != "identity":
        raise Problem(415, "the body is compressed", "a plain body")
    told = request.headers.get("content-length", "0")
    too_large = Problem(413, "the body is too large", f"up to {settings.max_body_bytes:,} bytes", close=True)
    if not told.isdecimal() or int(told[:20]) > settings.max_body_bytes:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(settings.receive_seconds):
            async for part in request.stream():
                body += part
                if len(body) > settings.max_body_bytes:
                    raise too_large
    except TimeoutError:
        rule = f"the whole request within {settings.receive_seconds:g} s"
        raise Problem(408, "the body came too slowly", rule, close=True) from None
    except ClientDisconnect:
        raise Problem(400, "the client left", close=True) from None
    try:
        found = json.loads(bytes(body).decode(), parse_constant=_refuse, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        raise Problem(400, "the body is not JSON", "one JSON object, UTF-8, each key once") from None
    if not isinstance(found, dict):
        raise Problem(422, f"the body is {_kind(found)}", "an object")
    return found


def check_keys(body: dict[str, Any], *keys: str) -> None:
    """Raises 422 for a key that is not among ``keys``."""
    for key in body:
        if key not in keys:
            close = nearest(key[:40], keys)
            raise Problem(
                422, f"unknown field (got {key[:40]!r})", f"one of {', '.join(keys)}; near: {close}"
            )


def check_texts(value: Any, settings: ServerSettings, *, field: str = "texts") -> list[str]:
    """The texts, or 422: no list, too many, too long, no text, half a character."""
    if not isinstance(value, list):
        raise Problem(422, f"{field} is {_kind(value)}", "a list of texts")
    if not 1 <= len(value) <= settings.max_texts:
        raise Problem(422, f"{field} holds {len(value)} texts", f"1 to {settings.max_texts}")
    return [check_text(text, settings, field=f"{field}[{number}]") for number, text in enumerate(value)]


def check_text(value: Any, settings: ServerSettings, *, field: str = "text") -> str:
    """The text, or 422."""
    if not isinstance(value, str):
        raise Problem(422, f"{field} is {_kind(value)}", "a text")
    if len(value) > settings.max_characters:
        raise Problem(422, f"{field} has {len(value):,} characters", f"up to {settings.max_characters:,}")
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise Problem(422, f"{field} holds half a character (a lone surrogate)", "valid Unicode")
    return value


def check_name(value: Any, *, field: str) -> str | None:
    """A text or None, or 422."""
    if value is not None and not isinstance(value, str):
        raise Problem(422, f"{field} is {_kind(value)}", "a text")
    return value


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "missing"}
    return kinds.get(type(value), "a number")


def _refuse(name: str) -> None:
    raise ValueError(name)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found
