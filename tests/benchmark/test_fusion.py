"""``benchmarks.fusion``: what it prints is what it found."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_losses_and_accuracies_of_both_networks_are_printed() -> None:
    command = ["-m", "benchmarks.fusion", "demo", "--models", "cnn_gru", "--seeds", "2", "--steps", "4"]
    found = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True)
    for relative_to, bound in (("themselves", 1e-5), ("the largest", 1e-4)):
        differences = re.search(
            rf"differ by at most (\S+) of {relative_to}, (\S+) from weights", found.stdout
        )
        assert differences is not None
        fused, control = map(float, differences.groups())
        assert fused < bound
        assert control < bound
    accuracies = re.findall(r"seed \d: test accuracy (\S+) fused, (\S+) not", found.stdout)
    assert len(accuracies) == 2
    assert all(abs(float(one) - float(other)) < 0.05 for one, other in accuracies)
    assert "95% interval" in found.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["demo", "--models", "lstmm"], "lstmm"),
        (["demo", "--models", "linear"], "no layers to fuse"),
        (["nowhere.csv"], "nowhere.csv"),
        (["demo", "--steps", "0"], "from 1 on"),
    ],
)
def test_a_mistake_ends_in_a_sentence(given: list[str], said: str) -> None:
    command = [sys.executable, "-m", "benchmarks.fusion", *given]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode != 0
    assert said in found.stderr
    assert "Traceback" not in found.stderr
