"""What a server may be told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Limits and places of one server.

    Args:
        host: address to listen on; loopback unless told otherwise.
        port: 0 takes a free one.
        workers: threads that run models.
        max_batch: texts that share one pass; 1 switches micro-batching off.
        max_wait_ms: how long a pass waits to fill up. At 0 batches form by themselves, from what arrives
            while a model is busy, and a lone request never waits.
        max_queue: texts that may wait for each model; beyond it requests get 503.
        deadline_seconds: an answer that takes longer is given up with 503.
        receive_seconds: time a client has to send a request.
        shutdown_seconds: time that answers under way have after SIGTERM.
        max_body_bytes: beyond it 413.
        max_texts: per request, beyond it 422.
        max_characters: per text, beyond it 422.
        allowed_hosts: names that Host may carry besides loopback's.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    max_batch: int = 64
    max_wait_ms: float = 0.0
    max_queue: int = 128
    deadline_seconds: float = 10.0
    receive_seconds: float = 10.0
    shutdown_seconds: float = 8.0
    max_body_bytes: int = 2**20
    max_texts: int = 64
    max_characters: int = 20_000
    allowed_hosts: tuple[str, ...] = ()
