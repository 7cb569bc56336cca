"""Kernels that a program needs, compiled before it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def compile_missing_kernels(program: Callable[..., Any], *arguments: Any) -> None:
    """Makes the kernels that a JAX program calls ready; another process compiles what this machine lacks.

    Args:
        program: a function that ``jax.jit`` gave, which keeps what tracing it found; it is not run.
        arguments: what it will be called with, or arrays of the same shapes.
    """
    import jax

    from unrolled.kernels import programs

    with programs.only_asking() as names:
        jax.eval_shape(program, *arguments)
    programs.compile_aside(names)
    # The program is not traced again, and would not ask again.
    for name in names:
        programs.load(name)
