"""Requests and answers over pipes, and the job that they are about; for every side of a benchmark."""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
Handler = Callable[..., "dict[str, Any]"]
# Set for a side that is to compute on a GPU.
GPU_VARIABLE = "UNROLLED_PEER_GPU"


@dataclass(frozen=True)
class Job:
    """What all sides compute.

    Args:
        facts: the content of job.json: layers, lengths, batch size, learning rate.
        values: int32, all tokens of all rows.
        offsets: int64, where each row begins, and the end.
        labels: int32, one for each row.
        weights: the initial arrays, in the order of Keras' layers and their variables.
    """

    facts: dict[str, Any]
    values: Any
    offsets: Any
    labels: Any
    weights: list[Any]

    @property
    def num_batches(self) -> int:
        """Batches, all of one size."""
        return len(self.labels) // int(self.facts["batch"])

    def rows(self, number: int) -> range:
        """The rows of a batch."""
        size = int(self.facts["batch"])
        return range(number * size, (number + 1) * size)

    def lengths(self, rows: range, length: int) -> Any:
        """Tokens of each row that are read, int64."""
        return np.minimum(np.diff(self.offsets[rows.start : rows.stop + 1]), length)

    def padded(self, rows: range, length: int, *, right: bool = False) -> Any:
        """The last ``length`` tokens of each row, int32 (rows, length), zeros on the left or the right."""
        found = np.zeros((len(rows), length), np.int32)
        for place, row in enumerate(rows):
            tokens = self.values[
                max(self.offsets[row], self.offsets[row + 1] - length) : self.offsets[row + 1]
            ]
            if right:
                found[place, : len(tokens)] = tokens
            else:
                found[place, length - len(tokens) :] = tokens
        return found

    def batch_length(self, number: int, *, helped: bool) -> int:
        """How far a batch is padded: to the full length, or to the nearest of a few lengths that fits."""
        full = int(self.facts["length"])
        if not helped:
            return full
        longest = int(self.lengths(self.rows(number), full).max(initial=1))
        return next(int(edge) for edge in self.facts["edges"] if edge >= longest)


def read_job(folder: str) -> Job:
    """The job in ``folder``."""
    from safetensors.numpy import load

    place = Path(folder)
    arrays = [np.load(place / f"{name}.npy", allow_pickle=False) for name in ("values", "offsets", "labels")]
    weights = load((place / "weights.safetensors").read_bytes())
    facts = json.loads((place / "job.json").read_text("utf-8"))
    values, offsets, labels = arrays
    return Job(facts, values, offsets, labels, [weights[name] for name in sorted(weights)])


def memory_bytes(kind: str = "VmHWM") -> int:
    """The most memory that this program has held in RAM ("VmHWM"), or what it holds now ("VmRSS").

    Linux starts ``ru_maxrss`` of a program at the peak of the process that started it; the status file
    counts this program alone. Elsewhere there is the peak only.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text("utf-8").splitlines():
            if line.startswith(f"{kind}:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024


def check_device(*, on_gpu: bool) -> None:
    """Refuses to be timed on the processor where the other sides compute on a GPU."""
    if os.environ.get(GPU_VARIABLE) and not on_gpu:
        raise RuntimeError("this library sees no GPU, though JAX does: its build may be for processors alone")


def serve(handlers: Mapping[str, Handler]) -> None:
    """Answers one JSON object a line until the input ends.

    A request is ``{"do": name, ...}``; the rest are keyword arguments of the handler. An answer is what the
    handler returns with ``peak_bytes``, or ``{"error": ...}``. What libraries print goes to standard error.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = handlers[request.pop("do")](**request)
            answer["peak_bytes"] = memory_bytes()
        except Exception as error:
            traceback.print_exc()
            words = COLOURS.sub("", f"{type(error).__name__}: {error}").split()
            answer = {"error": " ".join(words)[:300]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
