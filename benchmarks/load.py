"""Load for a server on this machine: open loop by a clock of its own, closed loop by its connections."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

PATIENCE_SECONDS = 10.0
FIRST_CONNECTIONS = 200
MOST_CONNECTIONS = 1_000


@dataclass
class Tally:
    """What came back: seconds from when a request was due, by outcome."""

    seconds: float
    offered: int = 0
    good: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    refused_without_time: int = 0
    failed: int = 0

    @property
    def goodput(self) -> float:
        """Answers per second."""
        return len(self.good) / self.seconds

    def add(self, status: int, head: bytes, waited: float) -> None:
        """Counts one answer."""
        if status == 200:
            self.good.append(waited)
        elif status == 503:
            self.refused.append(waited)
            self.refused_without_time += b"retry-after:" not in head
        else:
            self.failed += 1


def percentile(values: Sequence[float], percent: int) -> float:
    """A percentile in milliseconds; NaN of nothing."""
    if len(values) < 2:
        return float("nan")
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] * 1e3


def build_request(path: str, body: bytes) -> bytes:
    """One HTTP/1.1 request as bytes."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Connection(asyncio.Protocol):
    """One connection, one request at a time: a client that costs next to nothing."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.on_answer: Answered | None = None
        self.received = b""
        self.open = False
        self.due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.open = transport, True  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        self._tell(0, b"")

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return
        head = head.lower()
        size = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        if len(body) >= size:
            self.received = b""
            if b"connection: close" in head:
                self.close()
            self._tell(int(head[9:12]), head)

    def send(self, request: bytes, on_answer: Answered) -> None:
        """Sends a request; ``on_answer`` gets status and head, or 0 where the connection ended."""
        assert self.transport is not None
        self.on_answer = on_answer
        self.transport.write(request)

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and head of the answer; status 0 where the connection ended or patience did."""
        answer: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        self.send(request, lambda _, status, head: answer.done() or answer.set_result((status, head)))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await answer
        except TimeoutError:
            self.close()
            return 0, b""

    def close(self) -> None:
        """Ends it."""
        self.open = False
        if self.transport is not None:
            self.transport.close()

    def _tell(self, status: int, head: bytes) -> None:
        on_answer, self.on_answer = self.on_answer, None
        if on_answer is not None:
            on_answer(self, status, head)


Answered = Callable[[Connection, int, bytes], object]


async def connect(port: int) -> Connection:
    """A new connection to this machine's ``port``."""
    return (await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port))[1]


async def closed_loop(port: int, requests: Sequence[bytes], *, clients: int, seconds: float) -> Tally:
    """``clients`` that each ask again as soon as they are answered: how much the server can do."""
    tally = Tally(seconds)
    end = time.perf_counter() + seconds

    async def run(number: int) -> None:
        connection = await connect(port)
        turn = number
        while (begun := time.perf_counter()) < end:
            status, head = await connection.ask(requests[turn % len(requests)])
            turn += clients
            tally.offered += 1
            if time.perf_counter() < end:
                tally.add(status, head, time.perf_counter() - begun)
            if not connection.open:
                connection = await connect(port)
        connection.close()

    await asyncio.gather(*(run(number) for number in range(clients)))
    return tally


async def open_loop(
    port: int, requests: Sequence[bytes], *, rate: float, seconds: float, seed: int = 0
) -> Tally:
    """Requests at random moments, ``rate`` a second on average, whether or not the server keeps up.

    Waiting counts from the moment a request was due, so that a generator that falls behind cannot hide it.
    A request that finds no free connection among the largest number of them counts as failed.
    """
    tally, chance = Tally(seconds), random.Random(seed)
    # Opened before the clock runs: what a connection costs is not what is measured.
    free = [await connect(port) for _ in range(FIRST_CONNECTIONS)]
    busy: set[Connection] = set()
    opening: set[asyncio.Task[None]] = set()

    def answered(connection: Connection, status: int, head: bytes) -> None:
        tally.add(status, head, time.perf_counter() - connection.due)
        busy.discard(connection)
        if connection.open:
            free.append(connection)

    def send(connection: Connection, request: bytes, due: float) -> None:
        connection.due = due
        busy.add(connection)
        connection.send(request, answered)

    async def open_and_send(request: bytes, due: float) -> None:
        try:
            send(await connect(port), request, due)
        except OSError:
            tally.failed += 1

    begun = due = time.perf_counter()
    while True:
        due += chance.expovariate(rate)
        if due - begun > seconds:
            break
        # Sleeping has a grain of about a millisecond; what is overdue by then goes out at once.
        if (early := due - time.perf_counter()) > 0.0005:
            await asyncio.sleep(early)
        elif tally.offered % 8 == 0:
            await asyncio.sleep(0)
        request = requests[tally.offered % len(requests)]
        tally.offered += 1
        while free and not free[-1].open:
            free.pop()
        if free:
            send(free.pop(), request, due)
        elif len(busy) + len(opening) < MOST_CONNECTIONS:
            task = asyncio.create_task(open_and_send(request, due))
            opening.add(task)
            task.add_done_callback(opening.discard)
        else:
            tally.failed += 1
    late = time.perf_counter() + PATIENCE_SECONDS
    while (busy or opening) and time.perf_counter() < late:
        await asyncio.sleep(0.005)
    # Answers that were still under way when the time was over belong to its requests all the same.
    tally.seconds = max(seconds, time.perf_counter() - begun)
    tally.failed += len(busy)
    for connection in [*free, *busy]:
        connection.on_answer = None
        connection.close()
    return tally
