"""The models of one server, and the threads that run them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from unrolled.deploy.backward import NOT_RECURRENT
from unrolled.deploy.explain import TextExplainer
from unrolled.deploy.predictor import Predictor
from unrolled.deploy.server.batching import MicroBatcher
from unrolled.deploy.server.metrics import Metrics
from unrolled.deploy.server.problems import Problem
from unrolled.deploy.server.settings import ServerSettings
from unrolled.errors import UsageError, nearest
from unrolled.types import FloatArray

#: Explanations cost as much as hundreds of predictions; more than these wait in no line.
MAX_EXPLANATIONS = 8


class Serving:
    """Predictors by name, each behind its queue.

    Args:
        predictors: exports; names that repeat get a number.
        settings: limits.

    Raises:
        UsageError: no model, or one that knows no words.
    """

    def __init__(self, predictors: Sequence[Predictor], settings: ServerSettings) -> None:
        if not predictors:
            raise UsageError("serve", "no model", expected="one run or export at least")
        self.settings, self.metrics = settings, Metrics()
        self.predictors: dict[str, Predictor] = {}
        for predictor in predictors:
            if not predictor.knows_words:
                raise UsageError(
                    predictor.name,
                    "the model knows no words: its data came as token ids",
                    expected="models trained on texts",
                )
            name, number = predictor.name, 1
            while name in self.predictors:
                number += 1
                name = f"{predictor.name}-{number}"
            self.predictors[name] = predictor
        self.explainers = {name: TextExplainer(found) for name, found in self.predictors.items()}
        self._executor = ThreadPoolExecutor(settings.workers, "model")
        self._batchers: dict[str, MicroBatcher] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._explaining = 0
        #: Requests that connections let in and have not answered yet.
        self.admitted = 0
        self.ready = False

    async def start(self) -> None:
        """Warms every model up and opens the queues."""
        loop = asyncio.get_running_loop()
        for name, predictor in self.predictors.items():
            await loop.run_in_executor(self._executor, predictor.predict_proba, ["warm up"])
            batcher = MicroBatcher(
                name,
                predictor.predict_proba,
                executor=self._executor,
                settings=self.settings,
                metrics=self.metrics,
            )
            self._batchers[name] = batcher
            self._tasks.append(asyncio.create_task(batcher.run()))
        self.ready = True

    async def stop(self) -> None:
        """Ends the tasks; answers under way were given before."""
        self.ready = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._executor.shutdown(wait=False, cancel_futures=True)

    @property
    def full(self) -> bool:
        """Whether what was let in fills passes and queues, also where it has not reached them yet.

        The event loop reads all that has arrived before it works on any of it, so that queues alone would
        let a whole burst in.
        """
        room = (self.settings.max_queue + self.settings.max_batch) * len(self.predictors)
        return self.busy or self.admitted >= room

    @property
    def busy(self) -> bool:
        """Whether every queue is full, so that a request need not even be read."""
        return bool(self._batchers) and all(batcher.full for batcher in self._batchers.values())

    def choose(self, name: str | None) -> list[str]:
        """The models a request means: the one it names, or all.

        Raises:
            Problem: 404 for an unknown name.
        """
        if name is None:
            return list(self.predictors)
        if name not in self.predictors:
            close = nearest(name[:80], self.predictors)
            raise Problem(
                404, f"there is no such model (got {name[:80]!r})", f"a served model; near: {close}"
            )
        return [name]

    async def predict(self, name: str, texts: list[str]) -> FloatArray:
        """Probabilities of one model, float32, shape (texts, labels)."""
        return await self._batchers[name].predict(texts)

    async def explain(self, name: str, text: str, label: str | None) -> dict[str, Any]:
        """One model's explanation, ready for JSON.

        Raises:
            Problem: 503 when too many are wanted, 422 for an unknown label.
        """
        if self._explaining >= MAX_EXPLANATIONS * len(self.predictors):
            raise Problem(503, "too many explanations wait", f"up to {MAX_EXPLANATIONS} for each model")
        self._explaining += 1
        try:
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(self.settings.deadline_seconds):
                found = await loop.run_in_executor(self._executor, self.explainers[name].explain, text, label)
        except TimeoutError:
            raise Problem(503, "the explanation took too long") from None
        except UsageError as error:
            raise Problem(422, error.what, error.expected) from None
        finally:
            self._explaining -= 1
        return {**asdict(found), "model": name}

    def describe(self, name: str) -> dict[str, Any]:
        """What ``/models`` says of one model."""
        predictor = self.predictors[name]
        manifest = predictor.manifest
        return {
            "name": name,
            "architecture": manifest.architecture,
            "precision": manifest.precision,
            "labels": list(predictor.labels),
            "length": manifest.length,
            "recurrent": self.explainers[name].backward.reason != NOT_RECURRENT,
        }
