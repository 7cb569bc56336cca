"""One thread, one backend and a throw-away home for everything the tests run."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from unrolled.cache import cache_folder

# Compiled kernels are taken from where the installation left them; their folder changes with their code.
os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_folder("kernels")))
# Set before anything can import Keras or JAX, and inherited by every process that a test starts.
_HOME = Path(tempfile.mkdtemp(prefix="unrolled-tests-"))
_ENVIRONMENT = {
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "UNROLLED_CACHE": str(_HOME / "unrolled"),
    "KERAS_HOME": str(_HOME / "keras"),
    "HF_HOME": str(_HOME / "huggingface"),
    **{f"XDG_{kind}_HOME": str(_HOME / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA", "STATE")},
}
os.environ.update(_ENVIRONMENT)

# Shared machines stall; a time limit for one example would fail on what the code does not decide.
settings.register_profile(
    "unrolled", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("unrolled")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Removes the throw-away home, whatever the tests left in it."""
    shutil.rmtree(_HOME, ignore_errors=True)


# Their tests start processes and take seconds each; begun last, one worker would be left alone with them.
LONG = ("training/test_runs.py", "cli/test_commands.py", "training/test_cohort.py", "cli/test_predict.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first."""
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONG))
