"""Requests that arrive together share one pass of the model."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from unrolled.deploy.server.metrics import Metrics
from unrolled.deploy.server.problems import Problem
from unrolled.deploy.server.settings import ServerSettings
from unrolled.types import FloatArray

Answer = Callable[[list[str]], FloatArray]


@dataclass(slots=True)
class _Waiting:
    texts: list[str]
    answer: asyncio.Future[FloatArray]
    deadline: float


class MicroBatcher:
    """A bounded queue before one model, and the task that empties it batch by batch.

    Args:
        name: of the model.
        answer: texts to probabilities; runs in the executor.
        executor: where.
        settings: limits.
        metrics: counters.
    """

    def __init__(
        self, name: str, answer: Answer, *, executor: Executor, settings: ServerSettings, metrics: Metrics
    ) -> None:
        self._answer, self._executor, self._settings = answer, executor, settings
        self._queue: deque[_Waiting] = deque()
        self._num_waiting = 0
        self._arrived = asyncio.Event()
        self._texts = metrics.texts.labels(name)
        self._batch = metrics.batch.labels(name)
        metrics.waiting.labels(name).set_function(lambda: self._num_waiting)

    @property
    def full(self) -> bool:
        """Whether not even one more text fits; asked before a body is read."""
        return self._num_waiting >= self._settings.max_queue

    async def predict(self, texts: list[str]) -> FloatArray:
        """Probabilities, float32, shape (texts, labels).

        Raises:
            Problem: 503 when the queue is full or the answer comes too late.
        """
        # An empty queue takes any request within its limits, however small the queue is.
        if self._num_waiting and self._num_waiting + len(texts) > self._settings.max_queue:
            raise Problem(503, "too many requests wait", f"up to {self._settings.max_queue} texts in line")
        loop = asyncio.get_running_loop()
        item = _Waiting(texts, loop.create_future(), loop.time() + self._settings.deadline_seconds)
        self._queue.append(item)
        self._num_waiting += len(texts)
        self._arrived.set()
        try:
            async with asyncio.timeout_at(item.deadline):
                return await item.answer
        except TimeoutError:
            raise Problem(503, "the answer took too long", f"{self._settings.deadline_seconds:g} s") from None

    async def run(self) -> None:
        """Answers what waits, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            if self._settings.max_wait_ms and self._num_waiting < self._settings.max_batch:
                await asyncio.sleep(self._settings.max_wait_ms / 1e3)
            batch = self._take(loop.time())
            if not batch:
                continue
            texts = [text for item in batch for text in item.texts]
            self._batch.observe(len(texts))
            try:
                found = await loop.run_in_executor(self._executor, self._answer, texts)
            except Exception as error:
                for item in batch:
                    if not item.answer.done():
                        item.answer.set_exception(error)
                continue
            self._texts.inc(len(texts))
            start = 0
            for item in batch:
                end = start + len(item.texts)
                if not item.answer.done():
                    item.answer.set_result(found[start:end])
                start = end

    def _take(self, now: float) -> list[_Waiting]:
        """The next requests, in order; those that nobody waits for any more are dropped."""
        batch: list[_Waiting] = []
        size = 0
        while self._queue:
            item = self._queue[0]
            if batch and size + len(item.texts) > self._settings.max_batch:
                break
            self._queue.popleft()
            self._num_waiting -= len(item.texts)
            if item.answer.done() or item.deadline <= now:
                continue
            batch.append(item)
            size += len(item.texts)
        if not self._queue:
            self._arrived.clear()
        return batch
