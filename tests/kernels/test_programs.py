"""Kernels that were compiled in different processes live together in one."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
from numba.core.registry import CPUDispatcher

import unrolled.kernels
from unrolled.kernels import formulas
from unrolled.kernels.repeated import KERNELS


def test_no_two_compiled_functions_are_linked_under_one_name() -> None:
    for module in iter_modules(unrolled.kernels.__path__):
        import_module(f"unrolled.kernels.{module.name}")
    names = Counter(
        (found.py_func.__module__, found.py_func.__qualname__)
        for found in gc.get_objects()
        if isinstance(found, CPUDispatcher) and found.py_func.__module__.startswith("unrolled.kernels.")
    )
    assert len(names) > 50
    assert [name for name, count in names.items() if count > 1] == []


def test_an_elementwise_formula_needs_a_name_of_its_own() -> None:
    with pytest.raises(ValueError, match="add_row"):
        formulas.elementwise("add_row", lambda a, b: (a - b,), 2)


# Steps of padding for two cells in turn: a state by another cell's code is wrong, or ends the process.
TOGETHER = """
import sys
import jax, jax.numpy as jnp, numpy as np
from unrolled.kernels.recurrent import mode, run
from unrolled.kernels.repeated import run_after_padding
GATES = {"lstm": 4, "gru": 3, "simple_rnn": 1}
random = np.random.default_rng(0)
normal = lambda *shape: jnp.asarray(random.normal(0, 0.3, shape), jnp.float32)
for kernel in sys.argv[1:] * 2:
    gates = GATES[kernel] * 5
    weights = (normal(4, gates), normal(5, gates), *[normal(gates)] * (2 if kernel == "gru" else 1))
    padding, inputs, num = normal(3, 1, 4), normal(3, 30, 4), jnp.array([20, 3, 0])
    wide = jnp.where((jnp.arange(30) < num[:, None])[..., None], padding, inputs)
    start = (jnp.zeros((3, 5)),) * (2 if kernel == "lstm" else 1)
    loss = lambda weights: sum(map(jnp.sum, run_after_padding(kernel, padding, num, inputs, weights, 30)))
    flags = mode(every_output=False, backwards=False)
    plain = lambda weights: sum(
        map(jnp.sum, run(kernel, flags, wide, weights, start, jnp.ones((3, 30), bool))[0])
    )
    for one, other in zip(*(jax.tree.leaves(jax.value_and_grad(f)(weights)) for f in (loss, plain))):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
"""


@pytest.mark.slow
def test_kernels_compiled_apart_are_told_apart(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    for kernel in KERNELS:
        # Each starts counting anew, which is how two functions came by one name.
        subprocess.run(
            [sys.executable, "-m", "unrolled.kernels.programs", f"{kernel}_repeat"],
            env=environment,
            check=True,
        )
    subprocess.run([sys.executable, "-c", TOGETHER, *KERNELS], env=environment, check=True)
