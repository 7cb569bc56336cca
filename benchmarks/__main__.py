"""``python -m benchmarks``: ``unrolled benchmark`` with its options; without any, against Keras on JAX."""

from __future__ import annotations

import sys


def main() -> None:
    """Hands the command line on."""
    from unrolled.cli.__main__ import main as run

    sys.argv = ["unrolled", "benchmark", *(sys.argv[1:] or ["--against", "keras-jax"])]
    run()


if __name__ == "__main__":
    main()
