"""A training step of our recurrent layers against Keras' own, in turns, in one process.

usage: python -m benchmarks [--models lstm,gru] [--rounds 5] [--batch 128] [--length 500] [--padding masked]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import Any

import numpy as np

EPOCH = 25_000
MODELS = "simple_rnn,gru,lstm,cnn_lstm,cnn_gru"


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=MODELS, help="names, separated by commas")
    parser.add_argument("--rounds", type=int, default=5, help="timed steps per side, after one that compiles")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--length", type=int, default=500)
    parser.add_argument("--padding", choices=("masked", "word"), default="masked")
    parser.add_argument("--threads", type=int, default=1, help="1 is how studies train")
    return parser.parse_args()


def make_batch(options: argparse.Namespace) -> Any:
    """A batch with the lengths of film reviews: log-normal, median 174, cut at the length."""
    from unrolled.types import SequenceBatch

    rng = np.random.default_rng(0)
    lengths = np.clip(np.exp(rng.normal(np.log(174), 0.65, options.batch)), 10, options.length).astype(int)
    tokens = np.zeros((options.batch, options.length), np.int32)
    for row, length in zip(tokens, lengths, strict=True):
        row[options.length - length :] = np.minimum(rng.zipf(1.3, length) + 3, 9_999)
    return SequenceBatch(
        tokens, np.arange(options.batch, dtype=np.int32) % 2, np.ones(options.batch, np.float32)
    )


def build(name: str, options: argparse.Namespace, *, plain: bool) -> Any:
    """The network of ``name``; ``plain`` puts Keras' own recurrent layers in the places of ours."""
    from unrolled import layers
    from unrolled.models import make_spec
    from unrolled.training.network import Network

    ours = {kind: getattr(layers, kind) for kind in ("SimpleRNN", "GRU", "LSTM")}
    try:
        if plain:
            for kind in ours:
                setattr(layers, kind, getattr(layers.keras.layers, kind))
        spec = make_spec(name, length=options.length, padding=options.padding)
        return Network(spec, seed=0, learning_rate=1e-3, fused=not plain)
    finally:
        for kind, layer in ours.items():
            setattr(layers, kind, layer)


def time_model(name: str, options: argparse.Namespace) -> tuple[list[float], list[float], float, float]:
    """Seconds of every step of ours and of Keras', and the last loss of each."""
    batch = make_batch(options)
    sides = [build(name, options, plain=plain) for plain in (False, True)]
    states = [side.initial_state() for side in sides]
    seconds: tuple[list[float], list[float]] = ([], [])
    losses = [0.0, 0.0]
    for turn in range(options.rounds + 1):
        for place, side in enumerate(sides):
            start = time.perf_counter()
            states[place], loss, _ = side.step(states[place], batch)
            losses[place] = float(loss)
            if turn:
                seconds[place].append(time.perf_counter() - start)
    return *seconds, losses[0], losses[1]


def main() -> None:
    """Prints the table."""
    options = parse_arguments()
    if options.threads == 1:
        from unrolled.training.scheduler import worker_environment

        os.environ.update(worker_environment(os.environ))
    os.environ["NUMBA_NUM_THREADS"] = str(options.threads)
    from unrolled.evidence.machine import describe_machine

    machine = describe_machine()
    print(
        f"{machine.processor}, {machine.cores} cores; threads: {options.threads}; padding: {options.padding}"
    )
    print(f"batch {options.batch}, length {options.length}; an epoch is {EPOCH:,} sequences; medians")
    head = f"{'model':<12}{'ours s/epoch':>14}{'keras s/epoch':>15}{'ratio':>8}"
    print(f"{head}   loss after {options.rounds + 1} steps")
    for name in options.models.split(","):
        ours, theirs, loss, other = time_model(name, options)
        ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
        steps = EPOCH / options.batch
        mine, keras = (statistics.median(side) * steps for side in (ours, theirs))
        print(
            f"{name:<12}{mine:>14.1f}{keras:>15.1f}{ratio:>7.1f}×   {loss:.5f} against {other:.5f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
