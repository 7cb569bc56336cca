"""Whether runs are to be trained on a GPU, found out without taking any of its memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec

from unrolled.models import parse_spec
from unrolled.training.record import RunPlan

_QUESTION = "import jax; print(jax.default_backend())"
_PATIENCE_SECONDS = 60.0


@cache
def sees_gpu() -> bool:
    """Whether a worker's JAX computes on a GPU; asked of a process of its own, and only where JAX has a
    plugin for one.
    """
    has_plugin = find_spec("jax_plugins") is not None or bool(entry_points(group="jax_plugins"))
    if not has_plugin or not sys.executable:
        return False
    # A process that only asks must not take most of the memory in advance, as JAX does.
    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    try:
        asked = subprocess.run(
            [sys.executable, "-c", _QUESTION],
            capture_output=True,
            text=True,
            env=environment,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.stdout.split()[-1:] == ["gpu"]


def computes_on_gpu() -> bool:
    """Whether this process computes on one."""
    import jax

    return jax.default_backend() == "gpu"


def group_seeds(plans: Sequence[RunPlan]) -> list[tuple[RunPlan, ...]]:
    """The networks that differ in nothing but their seed together, in the order of each group's first."""
    groups: dict[str, list[RunPlan]] = {}
    for plan in plans:
        alike = plan
        if parse_spec(plan.model).neural:
            training = plan.training.model_copy(update={"seed": 0})
            alike = plan.model_copy(update={"run_id": "", "training": training})
        groups.setdefault(alike.model_dump_json(), []).append(plan)
    return [tuple(group) for group in groups.values()]
