"""The server process: uvicorn on connections of our own, with an orderly end."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

import uvicorn

from unrolled.deploy.predictor import Predictor
from unrolled.deploy.server.app import build_app
from unrolled.deploy.server.connection import protocol_for
from unrolled.deploy.server.serving import Serving
from unrolled.deploy.server.settings import ServerSettings
from unrolled.errors import MachineError

KEEP_ALIVE_SECONDS = 15
BACKLOG = 2_048
SWITCH_SECONDS = 0.0005


class Server(uvicorn.Server):
    """Stops on SIGTERM and SIGINT after the answers under way, and then returns instead of dying of it."""

    def __init__(self, config: uvicorn.Config, serving: Serving, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._serving, self._on_start = serving, on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tells the address once connections are taken: before that, a first request would be refused."""
        await super().startup(sockets)
        if self.started:
            self._on_start()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, without raising the signal once more at the end."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        kinds = (signal.SIGINT, signal.SIGTERM)
        before = {kind: signal.signal(kind, self.handle_exit) for kind in kinds}
        try:
            yield
        finally:
            for kind, handler in before.items():
                signal.signal(kind, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """From now on the server is not ready."""
        self._serving.ready = False
        super().handle_exit(sig, frame)


def serve(
    predictors: Sequence[Predictor],
    settings: ServerSettings,
    *,
    on_start: Callable[[str], None] = lambda address: None,
) -> None:
    """Serves until SIGTERM or Ctrl-C.

    Args:
        predictors: exports.
        settings: limits and places.
        on_start: called with the address, once requests are answered there.

    Raises:
        MachineError: the address is taken or not ours.
        UsageError: no model, or one that knows no words.
    """
    serving = Serving(predictors, settings)
    listener = _listen(settings)
    host, port = listener.getsockname()[:2]
    gate = build_app(serving)
    config = uvicorn.Config(
        gate,
        http=protocol_for(serving, gate),
        loop="asyncio",
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(settings.shutdown_seconds),
        backlog=BACKLOG,
    )
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    # A model's thread asks for the interpreter several times a pass. Python's own 5 ms for each hand-over
    # would cost a busy server more than the pass.
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        Server(config, serving, lambda: on_start(address)).run([listener])
    finally:
        listener.close()


def _listen(settings: ServerSettings) -> socket.socket:
    where = f"{settings.host}:{settings.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, OverflowError) as error:
        raise MachineError(
            where,
            f"cannot listen there ({error})",
            expected="a free port of this machine",
            action="--port 0 takes any free one",
        ) from None
    return listener
