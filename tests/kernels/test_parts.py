"""Calls dealt out to threads give what one thread gives, whatever the pool, and lock up with none."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from unrolled.kernels import parts
from unrolled.kernels.feedforward import adam, phrases, positions
from unrolled.kernels.recurrent import Lookup, mode, run

GATES = {"simple_rnn": 1, "gru": 3, "gru_reset_before": 3, "lstm": 4}
# More parts than this machine may have cores, and rows that they do not divide.
PARTS, BATCH, TIME, FEATURES, UNITS, ROWS = 3, 11, 7, 5, 6, 9


def _normal(random: np.random.Generator, *shape: int) -> jax.Array:
    return jnp.asarray(random.normal(0, 0.5, shape), jnp.float32)


def _problem(kernel: str, source: str, every: bool) -> tuple[Any, list[jax.Array]]:
    """A loss over one layer, and what to differentiate it by."""
    random = np.random.default_rng(7)
    gates = GATES[kernel] * UNITS
    biases = 2 if kernel.startswith("gru") else 1
    weights = [_normal(random, FEATURES, gates), _normal(random, UNITS, gates)]
    weights += [_normal(random, gates) for _ in range(biases)]
    states = [_normal(random, BATCH, UNITS) for _ in range(2 if kernel == "lstm" else 1)]
    inputs = _normal(random, ROWS, FEATURES) if source != "dense" else _normal(random, BATCH, TIME, FEATURES)
    mask = jnp.asarray(random.random((BATCH, TIME)) < 0.7)
    tokens = jnp.asarray(random.integers(0, ROWS, (BATCH, TIME)), jnp.int32)
    factors = _normal(random, BATCH, FEATURES) if source == "scaled" else None
    lookup = None if source == "dense" else Lookup(tokens, factors)
    flags = mode(every_output=every, backwards=False)

    def loss(inputs: jax.Array, weights: list[jax.Array], states: list[jax.Array]) -> jax.Array:
        last, outputs = run(kernel, flags, inputs, tuple(weights), tuple(states), mask, lookup)
        # Every sequence counts differently, so that exchanged rows are seen.
        each = jnp.arange(1.0, BATCH + 1)[:, None]
        found = sum((state**2 * each).sum() for state in last)
        return found + sum((jnp.sin(array) * each[:, None]).sum() for array in outputs)

    return loss, [inputs, weights, states]


def _in_parts(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setenv(parts.VARIABLE, str(count))
    monkeypatch.setattr(parts, "FEWEST_ROWS", 1)
    monkeypatch.setattr(parts, "WORTH_SPARE_PARTS", 1)


@pytest.mark.parametrize("every", [False, True], ids=["last", "every"])
@pytest.mark.parametrize("source", ["dense", "folded", "scaled"])
@pytest.mark.parametrize("kernel", GATES)
def test_a_layer_in_parts_equals_the_layer(
    monkeypatch: pytest.MonkeyPatch, kernel: str, source: str, every: bool
) -> None:
    loss, arguments = _problem(kernel, source, every)
    found = []
    for count in (1, PARTS):
        _in_parts(monkeypatch, count)
        made = jax.jit(jax.value_and_grad(lambda *given: loss(*given), argnums=(0, 1, 2)))
        found.append(jax.tree.leaves(made(*arguments)))
        # The gradient of the recurrent kernel, once for each part; with spare parts where there is no table.
        dealt_to = PARTS if source != "dense" else 2 * PARTS
        several = f"tensor<{dealt_to}x{UNITS}x{GATES[kernel] * UNITS}xf32>"
        assert (several in made.lower(*arguments).as_text()) == (count == PARTS)
    for whole, dealt in zip(*found, strict=True):
        # Sums in another order: small numbers carry the rounding of large ones.
        np.testing.assert_allclose(dealt, whole, rtol=2e-5, atol=1e-6 * float(jnp.abs(whole).max()))


@pytest.mark.parametrize("masked", [False, True], ids=["word", "masked"])
def test_phrases_in_parts_equal_phrases(monkeypatch: pytest.MonkeyPatch, masked: bool) -> None:
    random = np.random.default_rng(3)
    table, kernel, bias = (_normal(random, *shape) for shape in ((ROWS, FEATURES), (3, FEATURES, 4), (4,)))
    tokens = np.where(random.random((BATCH, TIME)) < 0.3, 0, random.integers(0, ROWS, (BATCH, TIME)))
    tokens = jnp.asarray(np.sort(tokens, axis=1), jnp.int32)

    def loss(*weights: jax.Array) -> jax.Array:
        found = phrases(*weights, tokens, size=2, relu=True, masked=masked)
        return (found**2 * jnp.arange(1.0, BATCH + 1)[:, None, None]).sum()

    found = []
    for count in (1, PARTS):
        _in_parts(monkeypatch, count)
        made = jax.jit(jax.value_and_grad(lambda *given: loss(*given), argnums=(0, 1, 2)))
        found.append(jax.tree.leaves(made(table, kernel, bias)))
    for whole, dealt in zip(*found, strict=True):
        # Sums in another order: small numbers carry the rounding of large ones.
        np.testing.assert_allclose(dealt, whole, rtol=2e-5, atol=1e-6 * float(jnp.abs(whole).max()))


@pytest.mark.parametrize("longest", [0, 2, TIME], ids=["nothing", "short", "full"])
@pytest.mark.parametrize("masked", [False, True], ids=["word", "masked"])
def test_positions_in_parts_equal_positions(
    monkeypatch: pytest.MonkeyPatch, masked: bool, longest: int
) -> None:
    random = np.random.default_rng(4)
    table, kernel = _normal(random, ROWS, FEATURES), _normal(random, TIME * FEATURES, 6)
    lengths = random.integers(0, longest + 1, BATCH)[:, None]
    tokens = np.where(np.arange(TIME) >= TIME - lengths, random.integers(1, ROWS, (BATCH, TIME)), 0)
    tokens = jnp.asarray(tokens, jnp.int32)

    def loss(*weights: jax.Array) -> jax.Array:
        return (positions(*weights, tokens, masked=masked) ** 2 * jnp.arange(1.0, BATCH + 1)[:, None]).sum()

    found = []
    # More parts than positions, too: some have nothing to do.
    for count in (1, PARTS, TIME + 2):
        _in_parts(monkeypatch, count)
        made = jax.jit(jax.value_and_grad(lambda *given: loss(*given), argnums=(0, 1)))
        found.append(jax.tree.leaves(made(table, kernel)))
    for dealt in found[1:]:
        for whole, part in zip(found[0], dealt, strict=True):
            np.testing.assert_allclose(
                part, whole, rtol=2e-5, atol=1e-6 * float(jnp.abs(whole).max()) + 1e-30
            )


def test_adam_in_parts_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    monkeypatch.setattr("unrolled.kernels.feedforward.WORTH_PARTS", 1)
    arrays = [_normal(random, 1031, 3) for _ in range(4)]
    arrays[2] = arrays[2] ** 2
    found = []
    for count in (1, PARTS):
        _in_parts(monkeypatch, count)
        found.append(jax.jit(lambda *given: adam(*given, (0.1, 0.1, 0.001, 1e-7)))(*arrays))
    for whole, dealt in zip(*found, strict=True):
        assert np.asarray(whole).tobytes() == np.asarray(dealt).tobytes()


def test_many_callers_of_one_program_get_their_own_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """XLA uses a call's frame again as soon as the call has answered with a future."""
    _in_parts(monkeypatch, PARTS)
    loss, (inputs, weights, states) = _problem("lstm", "dense", True)
    made = jax.jit(jax.value_and_grad(lambda given: loss(given, weights, states)))
    expected = [np.asarray(made(inputs * scale)[1]) for scale in range(1, 9)]

    def ask(number: int) -> tuple[int, np.ndarray]:
        return number % 8, np.asarray(made(inputs * (number % 8 + 1))[1])

    with ThreadPoolExecutor(8) as pool:
        for number, gradient in pool.map(ask, range(400)):
            assert gradient.tobytes() == expected[number].tobytes()


def test_a_pool_of_one_thread_is_enough() -> None:
    code = (
        "import jax, jax.numpy as jnp\n"
        "from unrolled.kernels.recurrent import run\n"
        "x, k, r = jnp.ones((64, 9, 3)), jnp.ones((3, 4)), jnp.ones((4, 4))\n"
        "last, _ = jax.jit(lambda x: run('simple_rnn', 0, x, (k, r, jnp.ones(4)), (jnp.zeros((64, 4)),),\n"
        "    jnp.ones((64, 9), bool)))(x)\n"
        "assert float(last[0].min()) > 0.99\n"
    )
    environment = {**os.environ, "NPROC": "1", parts.VARIABLE: "4"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        timeout=120,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("said", "rows", "expected"), [("1", 128, 1), ("2", 128, 2), ("8", 20, 2), ("4", 1, 1)]
)
def test_parts_follow_threads_and_rows(
    monkeypatch: pytest.MonkeyPatch, said: str, rows: int, expected: int
) -> None:
    monkeypatch.setenv(parts.VARIABLE, said)
    assert parts.num_parts(rows) == expected


@pytest.mark.parametrize(
    ("said", "rows", "expected"), [("1", 128, 1), ("2", 128, 4), ("2", 95, 2), ("4", 128, 4), ("8", 20, 2)]
)
def test_spare_parts_need_threads_and_rows_enough(
    monkeypatch: pytest.MonkeyPatch, said: str, rows: int, expected: int
) -> None:
    monkeypatch.setenv(parts.VARIABLE, said)
    assert parts.num_parts(rows, spare=True) == expected


@pytest.mark.parametrize("said", ["", "0", "many"])
def test_without_a_number_every_core_is_used(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv(parts.VARIABLE, said)
    assert parts.num_threads() == len(os.sched_getaffinity(0))
