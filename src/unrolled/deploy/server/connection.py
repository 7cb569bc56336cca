"""One connection: closed when a request comes too slowly, turned away cheaply when all queues are full."""

from __future__ import annotations

import asyncio
import re

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from unrolled.deploy.server.gate import HEADERS, Gate
from unrolled.deploy.server.problems import Problem
from unrolled.deploy.server.serving import Serving

_HEADER_SECONDS = 10.0
_START = re.compile(rb"POST (/predict|/explain|/v2/models/[\w.~%-]+/infer) HTTP/1\.1\r\n")
_HOST = re.compile(rb"\r\nhost:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n|$)", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,7})[ \t]*(?=\r\n|$)", re.IGNORECASE)
# Whatever else decides how a request is framed, or whether it is let in, takes the long way.
_UNUSUAL = re.compile(
    rb"\r\n(?:transfer-encoding|connection|expect|upgrade|origin)[ \t]*:|\r\n[ \t]", re.IGNORECASE
)


class PatientProtocol(H11Protocol):
    """uvicorn's protocol, which by itself waits for a request head for ever.

    Reading a request costs as much as answering it, so a server that reads what it turns away does nothing
    else once twice its capacity arrives. When there is no room, a request that came in one piece is answered
    503 from its bytes alone; what is not plainly such a request takes the ordinary way.
    """

    serving: Serving
    gate: Gate
    _timer: asyncio.TimerHandle | None = None
    _admitted = False
    _refused_at = float("-inf")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = self.loop.call_later(_HEADER_SECONDS, self._give_up)

    def data_received(self, data: bytes) -> None:
        if route := self._plain_question(data):
            if self.serving.full:
                self._turn_away(route)
                return
            self._admitted = True
            self.serving.admitted += 1
        super().data_received(data)
        busy = self.cycle is not None and not self.cycle.response_complete
        if busy:
            self._stop_timer()
        elif self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_later(_HEADER_SECONDS, self._give_up)

    def on_response_complete(self) -> None:
        self._leave()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._leave()
        super().connection_lost(exc)

    def _leave(self) -> None:
        self.serving.admitted -= self._admitted
        self._admitted = False

    def _plain_question(self, data: bytes) -> str:
        """The route of a POST that is whole, alone on this connection, and for us; else empty."""
        if self.conn.our_state is not h11.IDLE or self.conn.their_state is not h11.IDLE:
            return ""
        if self.conn.trailing_data[0] or self.transport.is_closing():
            return ""
        start = _START.match(data)
        head, end, body = data.partition(b"\r\n\r\n")
        if not start or not end or _UNUSUAL.search(head):
            return ""
        lengths, hosts = _LENGTH.findall(head), _HOST.findall(head)
        if len(lengths) != 1 or len(hosts) != 1 or int(lengths[0]) != len(body):
            return ""
        if not self.gate.knows_host(hosts[0].decode("latin-1")):
            return ""
        path = start[1].decode()
        return path if path in ("/predict", "/explain") else "/v2/models/{name}/infer"

    def _turn_away(self, route: str) -> None:
        self._stop_timer()
        self.transport.write(_REFUSALS[route.startswith("/v2")])
        metrics = self.serving.metrics
        metrics.requests.labels(route, "503").inc()
        metrics.refused.inc()
        self._refused_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._keep_alive(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """As uvicorn's, for connections that were only turned away too: setting a timer each time is dear."""
        rest = self._refused_at + self.timeout_keep_alive - self.loop.time()
        if rest > 0:
            self._keep_alive(rest)
        else:
            super().timeout_keep_alive_handler()

    def _keep_alive(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if (self.cycle is None or self.cycle.response_complete) and not self.transport.is_closing():
            self.transport.close()


def protocol_for(serving: Serving, gate: Gate) -> type[PatientProtocol]:
    """The protocol of one server."""
    return type("BoundProtocol", (PatientProtocol,), {"serving": serving, "gate": gate})


def _refusal(path: str) -> bytes:
    answer = Problem(503, "too many requests wait").response(path)
    headers = [*answer.raw_headers, *HEADERS, (b"cache-control", b"no-store")]
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    return b"HTTP/1.1 503 Service Unavailable\r\n" + lines + b"\r\n" + bytes(answer.body)


_REFUSALS = {False: _refusal("/predict"), True: _refusal("/v2")}
