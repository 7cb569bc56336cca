"""The exported model's side: ONNX Runtime behind ``Predictor``, without Keras or JAX."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.benchmark.peers.wire import read_job, serve
from unrolled.deploy.predictor import Predictor


class Answerer:
    """A predictor for the rows of a job.

    Args:
        threads: that one call may use.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def start_inference(self, job: str) -> dict[str, Any]:
        """Loads the export beside the job."""
        found = read_job(job)
        self.predictor = Predictor(Path(job) / "export", num_threads=self.threads)
        split = np.split(found.values.astype(np.int64), found.offsets[1:-1])
        self.rows = list(split)
        self.predictor.predict_tokens(self.rows[:1])
        return {}

    def one(self, way: str, items: list[int]) -> dict[str, Any]:
        """Milliseconds of each answer for a single sequence."""
        times = []
        for item in items:
            begun = time.perf_counter()
            self.predictor.predict_tokens([self.rows[item]])
            times.append((time.perf_counter() - begun) * 1e3)
        return {"ms": times}

    def bulk(self) -> dict[str, Any]:
        """Seconds for all rows, and the probability of the last class."""
        begun = time.perf_counter()
        found = self.predictor.predict_tokens(self.rows)
        return {"seconds": time.perf_counter() - begun, "outputs": found[:, -1].tolist()}


def main() -> None:
    """Serves requests."""
    answerer = Answerer(int(sys.argv[1]))
    serve({name: getattr(answerer, name) for name in ("start_inference", "one", "bulk")})


if __name__ == "__main__":
    main()
