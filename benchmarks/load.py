"""Load for a server on this machine: open loop by a clock of its own, closed loop by its connections."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

PATIENCE_SECONDS = 10.0
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
        self.answer: asyncio.Future[tuple[int, bytes]] | None = None
        self.received = b""
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.open = transport, True  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self.answer is not None and not self.answer.done():
            self.answer.set_result((0, b""))

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return
        head = head.lower()
        size = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        if len(body) >= size and self.answer is not None and not self.answer.done():
            self.received = b""
            self.answer.set_result((int(head[9:12]), head))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and head of the answer; status 0 where the connection ended or patience did."""
        assert self.transport is not None
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                status, head = await self.answer
        except TimeoutError:
            self.close()
            return 0, b""
        if b"connection: close" in head:
            self.close()
        return status, head

    def close(self) -> None:
        """Ends it."""
        self.open = False
        if self.transport is not None:
            self.transport.close()


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
    free: deque[Connection] = deque()
    tasks: set[asyncio.Task[None]] = set()
    connections = 0

    async def one(request: bytes, due: float) -> None:
        nonlocal connections
        connection = None
        while free and connection is None:
            found = free.pop()
            if found.open:
                connection = found
            else:
                connections -= 1
        if connection is None:
            if connections >= MOST_CONNECTIONS:
                tally.failed += 1
                return
            connections += 1
            try:
                connection = await connect(port)
            except OSError:
                connections -= 1
                tally.failed += 1
                return
        status, head = await connection.ask(request)
        tally.add(status, head, time.perf_counter() - due)
        free.append(connection)

    begun = due = time.perf_counter()
    while True:
        due += chance.expovariate(rate)
        if due - begun > seconds:
            break
        # Sleeping has a grain of about a millisecond; what is overdue by then goes out at once.
        if (early := due - time.perf_counter()) > 0.0005:
            await asyncio.sleep(early)
        task = asyncio.create_task(one(requests[tally.offered % len(requests)], due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        tally.offered += 1
        if tally.offered % 16 == 0:
            await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    # Answers that were still under way when the time was over belong to its requests all the same.
    tally.seconds = max(seconds, time.perf_counter() - begun)
    for connection in free:
        connection.close()
    return tally
