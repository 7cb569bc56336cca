"""Does fusion compute the same function? Training with it and without it, side by side.

usage: python -m benchmarks.fusion DATA [--protocol notebook] [--models lstm,…] [--seeds 5] [--epochs 1]

Both networks start from the same weights, draw the same dropout and see the same batches. Printed for each
model: the largest relative difference of the loss over the first steps, and, for each seed, the test accuracy
after the last epoch of both, with the mean of the differences and its 95% interval (Student's t over the
seeds). Without fusion every layer is computed by itself, on the same kernels where one applies, and
Adam is Keras' own.

Sums in another order round otherwise, and training may amplify that without bound: a simple RNN whose
gradients explode does. So a third network goes along over the first steps: not fused, its first weights each
moved by one unit in the last place. What fusion changes is to be compared with what that changes. And along
an epoch, at every tenth step, the gradients of both are taken from the same weights, the unfused network's:
their largest difference, relative to the largest entry of each, is what fusion changes before anything
amplifies it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from unrolled.errors import UnrolledError, UsageError

GRADIENT_STEPS = 10


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fusion", description=__doc__.splitlines()[0])
    parser.add_argument("data", help="imdb, demo or a path")
    parser.add_argument("--protocol", choices=("standard", "notebook"), default="notebook")
    parser.add_argument("--models", default="simple_rnn,lstm,cnn_lstm,cnn_gru", help="registry names")
    parser.add_argument("--seeds", type=int, default=5, help="0 leaves the accuracies out")
    parser.add_argument("--epochs", type=_positive, default=1)
    parser.add_argument("--steps", type=_positive, default=50, help="of which losses are compared")
    parser.add_argument("--threads", type=_positive, default=os.cpu_count() or 1)
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on (got {text!r})")
    return int(text)


class Pair:
    """One model under one seed, fused and not."""

    def __init__(self, name: str, options: argparse.Namespace, data: Any, seed: int) -> None:
        from unrolled.models import parse_spec
        from unrolled.training.engine import Engine
        from unrolled.training.network import Network
        from unrolled.training.settings import select_architectures
        from unrolled.training.study import plan_runs

        chosen = select_architectures([name])
        plan = plan_runs(chosen, data, options.protocol, num_seeds=1, first_seed=seed)[0]
        spec, self.seed, self.data = parse_spec(plan.model), seed, data
        if not spec.neural:
            raise UsageError(name, "it has no layers to fuse", expected="a network", action="lstm")
        engine = Engine(None, spec, plan.training, data)
        self.batcher, self.reader = engine.batcher, engine.reader
        rate = plan.training.learning_rate
        self.networks = [Network(spec, seed=seed, learning_rate=rate, fused=fused) for fused in (True, False)]
        self.states = [network.initial_state() for network in self.networks]

    def add_control(self) -> None:
        """A third network, not fused, whose first weights are each one unit in the last place away."""
        state = self.networks[1].initial_state()
        self.networks.append(self.networks[1])
        self.states.append(type(state)(self._moved(state.trainable), state.fixed, state.optimizer))

    def _moved(self, trainable: list[Any]) -> list[Any]:
        """Weights that are each one unit in the last place away, up or down by chance."""
        import jax.numpy as jnp

        directions = np.random.default_rng(self.seed)
        moved = []
        for weights in map(np.asarray, trainable):
            towards = np.where(directions.random(weights.shape) < 0.5, -np.inf, np.inf)
            moved.append(jnp.asarray(np.nextafter(weights, towards.astype(np.float32))))
        return moved

    def train(self, epoch: int, most_steps: int | None = None) -> list[list[float]]:
        """Trains all on the same batches of an epoch, or its first; their losses of each step, in nats."""
        losses = []
        for rows in self.batcher.epoch_order(self.data.train, self.seed, epoch)[:most_steps]:
            batch = self.batcher.batch(self.data.train, rows)
            pair = []
            for place, network in enumerate(self.networks):
                self.states[place], loss, _ = network.step(self.states[place], batch)
                pair.append(float(loss))
            losses.append(pair)
        return losses

    def compare_gradients(self) -> Iterator[tuple[float, float]]:
        """Trains the unfused network for an epoch; at every tenth step how far the fused one's gradients, and
        those at weights one unit in the last place away, are from its own, relative to the largest entry."""
        import jax

        fused, plain = (jax.jit(network.gradients) for network in self.networks[:2])
        state = self.states[1]
        for number, rows in enumerate(self.batcher.epoch_order(self.data.train, self.seed, 0)):
            batch = self.batcher.batch(self.data.train, rows)
            if number % GRADIENT_STEPS == 0:
                given = state.fixed, batch.tokens, batch.labels, batch.weights
                *_, exact = plain(state.trainable, *given)
                *_, own = fused(state.trainable, *given)
                *_, moved = plain(self._moved(state.trainable), *given)
                yield _difference(own, exact), _difference(moved, exact)
            state, _, _ = self.networks[1].step(state, batch)

    def accuracies(self) -> tuple[float, float]:
        """The test accuracy of both, as shares."""
        found = []
        for network, state in zip(self.networks[:2], self.states, strict=False):
            answers = network.predict(state, self.data.test, self.reader).argmax(axis=1)
            found.append(float(np.mean(answers == self.data.test.labels)))
        return found[0], found[1]


def _difference(found: list[Any], exact: list[Any]) -> float:
    """The largest difference of two lists of arrays, relative to the largest entry of each array."""
    pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(found, exact, strict=True)]
    # Unlike Python's, NumPy's maximum is NaN where one of them is.
    tiny = np.finfo(np.float32).tiny
    return float(np.max([np.abs(a - b).max() / max(np.abs(b).max(), tiny) for a, b in pairs]))


def compare(name: str, options: argparse.Namespace, data: Any) -> None:
    """Prints the comparison of one model."""
    from unrolled.evidence.statistics.means import estimate_mean

    pair = Pair(name, options, data, 0)
    pair.add_control()
    losses = np.array(pair.train(0, options.steps))
    differences = np.abs(losses[:, [0, 2]] - losses[:, [1]]) / np.abs(losses[:, [1]])
    fused, control = differences.max(axis=0)
    print(
        f"{name}: losses of {len(losses)} steps differ by at most {fused:.1e} of themselves, "
        f"{control:.1e} from weights one rounding away; "
        f"at the last {losses[-1, 0]:.5f} fused, {losses[-1, 1]:.5f} not",
        flush=True,
    )
    gradients = np.array(list(Pair(name, options, data, 0).compare_gradients())).max(axis=0)
    print(
        f"  gradients from the same weights differ by at most {gradients[0]:.1e} of the largest, "
        f"{gradients[1]:.1e} from weights one rounding away",
        flush=True,
    )
    found = []
    for seed in range(options.seeds):
        pair = Pair(name, options, data, seed)
        for epoch in range(options.epochs):
            pair.train(epoch)
        found.append(pair.accuracies())
        print(f"  seed {seed}: test accuracy {found[-1][0]:.4f} fused, {found[-1][1]:.4f} not", flush=True)
    if not found:
        return
    means = np.mean(found, axis=0)
    estimate = estimate_mean([(one - other) * 100 for one, other in found])
    line = f"  mean {means[0]:.4f} fused, {means[1]:.4f} not; difference {estimate.mean:+.2f} points"
    if estimate.interval is not None:
        line += f" (95% interval {estimate.interval[0]:+.2f} to {estimate.interval[1]:+.2f})"
    print(line, flush=True)


def main() -> None:
    """Compares every model asked for."""
    options = parse()
    from unrolled.training.scheduler import worker_environment

    os.environ.update(worker_environment(os.environ, options.threads))
    from unrolled.data.encoding import encode_dataset
    from unrolled.data.load import load_dataset

    try:
        data, _ = encode_dataset(load_dataset(options.data), protocol=options.protocol)
        epochs = "1 epoch" if options.epochs == 1 else f"{options.epochs} epochs"
        print(f"{options.protocol} protocol, {len(data.train):,} sequences, {epochs} a seed", flush=True)
        for name in options.models.split(","):
            compare(name, options, data)
    except UnrolledError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
