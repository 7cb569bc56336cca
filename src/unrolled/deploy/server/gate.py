"""What every request passes, whatever its route: Host, Origin, headers of the answer, counting."""

from __future__ import annotations

import logging
import time
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unrolled.deploy.server.problems import Problem
from unrolled.deploy.server.serving import Serving

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
HEADERS = [
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
            b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
            # Even a mistake in the page's own scripts cannot turn a text into markup.
            b"require-trusted-types-for 'script'; trusted-types 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
    (b"x-frame-options", b"DENY"),
]
_COSTLY = ("/predict", "/explain", "/v2/models/")
_log = logging.getLogger("unrolled.server")


class Gate:
    """ASGI middleware around the whole application.

    Args:
        app: the application.
        serving: its models.
    """

    def __init__(self, app: ASGIApp, serving: Serving) -> None:
        self._app, self._serving = app, serving
        settings = serving.settings
        names = {settings.host.lower(), *map(str.lower, settings.allowed_hosts)} - {"0.0.0.0", "::", ""}
        self._hosts = LOOPBACK | names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        metrics = self._serving.metrics
        status, path = 0, scope["path"]

        async def guarded_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), *HEADERS]
                if not any(name.lower() == b"cache-control" for name, _ in message["headers"]):
                    message["headers"].append((b"cache-control", b"no-store"))
            await send(message)

        metrics.in_flight.inc()
        try:
            self._check(scope)
            await self._app(scope, receive, guarded_send)
        except Problem as problem:
            if status == 0:
                await problem.response(path)(scope, receive, guarded_send)
        except Exception:
            _log.exception("an answer failed")
            if status == 0:
                await Problem(500, "the server failed", close=True).response(path)(
                    scope, receive, guarded_send
                )
        finally:
            metrics.in_flight.dec()
            route = getattr(scope.get("route"), "path", "other")
            metrics.requests.labels(route, str(status)).inc()
            metrics.seconds.labels(route).observe(time.perf_counter() - started)
            if status == 503:
                metrics.refused.inc()

    def knows_host(self, host: str) -> bool:
        """Whether a Host header names this server."""
        return _name(host) in self._hosts

    def _check(self, scope: Scope) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not self.knows_host(hosts[0]):
            raise Problem(421, "the Host header names another server", "this server's name", close=True)
        for name, value in headers:
            if name == b"origin" and not _same_origin(value.decode("latin-1"), hosts[0]):
                raise Problem(403, "the request comes from another site", "the server's own page")
        if scope["method"] == "POST" and scope["path"].startswith(_COSTLY) and self._serving.busy:
            # Before the body is read: turning away must cost next to nothing.
            raise Problem(503, "too many requests wait")


@lru_cache(256)
def _name(host: str) -> str:
    """The host's name without its port, lower-cased; empty where it is none."""
    try:
        parts = urlsplit(f"//{host}")
        port: Any = parts.port
    except ValueError:
        return ""
    if parts.username is not None or parts.path or parts.query or parts.fragment or port == 0:
        return ""
    return (parts.hostname or "").lower()


def _same_origin(origin: str, host: str) -> bool:
    scheme, separator, place = origin.partition("://")
    return bool(separator) and scheme in ("http", "https") and place.lower() == host.lower()
