"""An export served on one core, and load from another: throughput, latency, and what becomes of an overload.

usage: python -m benchmarks.serving EXPORT [--seconds 15] [--words 48] [--cores 0,1]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import re
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

from benchmarks.load import Tally, build_request, closed_loop, open_loop, percentile

CLIENTS = 32
WARM_UP_SECONDS = 1.0
SHARES = (0.5, 0.9, 2.0)


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__.splitlines()[0])
    parser.add_argument("export", help="an export in ONNX, or a run")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each of the three open loops")
    parser.add_argument("--words", type=int, default=48, help="median length of a review; IMDb's is 174")
    parser.add_argument("--cores", default="0,1", help="the server's and the generator's")
    return parser.parse_args()


@contextlib.contextmanager
def serve(export: str, core: int, *options: str) -> Iterator[tuple[int, int]]:
    """Port and process of a server that may run on ``core`` alone."""
    code = f"import os, sys; os.sched_setaffinity(0, {{{core}}})\n"
    code += "from unrolled.cli.__main__ import main\nsys.exit(main())"
    command = [sys.executable, "-c", code, "serve", export, "--port", "0", *options]
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | one) as process:
        assert process.stderr is not None
        try:
            lines = []
            for line in process.stderr:
                lines.append(line)
                if found := re.search(r"http://127\.0\.0\.1:(\d+) serves", line):
                    yield int(found[1]), process.pid
                    break
            else:
                sys.exit("".join(lines))
        finally:
            process.terminate()


def make_requests(words: int) -> list[bytes]:
    """One-review requests with the embedded corpus' reviews."""
    from unrolled.data import generate_demo

    reviews = generate_demo(train=500, validation=0, test=0, median_words=words).train.texts
    return [build_request("/predict", json.dumps({"texts": [review]}).encode()) for review in reviews]


def processor_seconds(process: int) -> float:
    """Time a process has had on a processor so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(
    name: str, process: int, load: Coroutine[Any, Any, Tally], capacity: float | None = None
) -> Tally:
    """Runs a load and prints its row of the table."""
    before = processor_seconds(process)
    tally = asyncio.run(load)
    used = max(processor_seconds(process) - before, 1e-9)
    share = "" if capacity is None else f"{tally.goodput / capacity:.2f}"
    turned_away = len(tally.refused) / max(tally.offered, 1)
    print(
        f"{name:<34}{tally.offered / tally.seconds:>10.0f}{tally.goodput:>10.0f}{share:>8}"
        f"{percentile(tally.good, 50):>9.1f}{percentile(tally.good, 99):>9.1f}{turned_away:>8.1%}"
        f"{tally.failed:>8}{len(tally.good) / used:>10.0f}{used / tally.seconds:>7.0%}",
        flush=True,
    )
    if tally.refused_without_time:
        print(f"  {tally.refused_without_time} times 503 without Retry-After")
    return tally


def main() -> None:
    """Prints the table."""
    options = parse_arguments()
    server_core, generator_core = map(int, options.cores.split(","))
    requests = make_requests(options.words)
    from unrolled.evidence.machine import describe_machine

    machine = describe_machine()
    os.sched_setaffinity(0, {generator_core})
    # A pause of the generator's collector would count as the server's.
    gc.freeze()
    gc.disable()
    size = sum(map(len, requests)) // len(requests)
    print(f"{machine.processor}, {machine.cores} cores: server on {server_core}, load from {generator_core}")
    print(f"{options.export}; one review to a request, {options.words} words (median), {size} bytes (mean)")
    head = f"{'':<34}{'asked/s':>10}{'good/s':>10}{'share':>8}{'p50 ms':>9}{'p99 ms':>9}{'503':>8}"
    print(f"{head}{'failed':>8}{'good/cpu s':>11}{'core':>6}")
    for name, arguments in {"no micro-batching": ("--max-batch", "1"), "micro-batching": ()}.items():
        with serve(options.export, server_core, *arguments) as (port, process):
            asyncio.run(closed_loop(port, requests, clients=4, seconds=WARM_UP_SECONDS))
            alone = closed_loop(port, requests, clients=1, seconds=options.seconds / 3)
            measure(f"{name}, one client", process, alone)
            many = closed_loop(port, requests, clients=CLIENTS, seconds=options.seconds / 2)
            capacity = measure(f"{name}, {CLIENTS} clients", process, many).goodput
            for share in () if arguments else SHARES:
                load = open_loop(port, requests, rate=share * capacity, seconds=options.seconds)
                measure(f"  open loop at {share:g} of capacity", process, load, capacity)


if __name__ == "__main__":
    main()
