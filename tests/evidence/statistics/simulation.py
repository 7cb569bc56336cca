"""Studies drawn by chance, whose truth is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def draw_items(rng: np.random.Generator, num_items: int) -> NDArray[np.float64]:
    """How easy each item is, for every model; about 86% are got right by a run of average skill."""
    return rng.normal(2.0, 1.5, num_items)


def draw_runs(
    rng: np.random.Generator,
    items: NDArray[np.float64],
    num_runs: int,
    *,
    skill: float = 0.0,
    seed_noise: float = 0.1,
    run_noise: float = 0.6,
) -> NDArray[np.bool_]:
    """Runs of one architecture, bool, shape (runs, items).

    Args:
        rng: source of chance.
        items: of :func:`draw_items`; shared by the models that are compared.
        num_runs: how many.
        skill: of the architecture.
        seed_noise: how much a whole run's skill hangs on its seed.
        run_noise: how much each item's answer does.
    """
    shape = (num_runs, len(items))
    seeds = seed_noise * rng.normal(size=(num_runs, 1))
    return items + skill + seeds + run_noise * rng.normal(size=shape) > 0


def resample(
    rng: np.random.Generator, first: NDArray[np.bool_], second: NDArray[np.bool_], count: int
) -> NDArray[np.float64]:
    """The literal bootstrap over runs and items together: differences, float64, shape (count,)."""
    num_items = first.shape[1]
    found = np.empty(count)
    for number in range(count):
        items = rng.integers(num_items, size=num_items)
        means = [runs[rng.integers(len(runs), size=len(runs))][:, items].mean() for runs in (first, second)]
        found[number] = means[0] - means[1]
    return found
