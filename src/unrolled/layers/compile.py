"""Kernels that a program needs, compiled before it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def compile_missing_kernels(program: Callable[..., Any], *arguments: Any) -> None:
    """Has another process compile the kernels that a JAX program calls, if any is missing on this machine.

    Args:
        program: a function of arrays that JAX can trace; it is not run.
        arguments: what it will be called with, or arrays of the same shapes.
    """
    import jax

    from unrolled.kernels import programs

    with programs.only_asking() as names:
        jax.eval_shape(program, *arguments)
    programs.compile_aside(names)
