"""Each switch takes away what it names, in a process of its own, and nothing else changes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, sys
from unrolled.benchmark.switches import switch_off
fused = switch_off(sys.argv[3:])
from unrolled.layers import keras
from unrolled.layers.fusion import fusion_of
from unrolled.models import make_spec
from unrolled.training.network import Network
spec = make_spec(sys.argv[1], vocabulary_size=50, length=8, padding=sys.argv[2])
network = Network(spec, seed=0, learning_rate=1e-3, fused=fused)
recurrent = [layer for layer in network.model.layers if isinstance(layer, keras.layers.RNN)]
print(json.dumps({
    "fusion": fusion_of(network.model.layers, 0) if fused else None,
    "adam": type(network._optimizer).__module__.startswith("unrolled"),
    "kernel": [type(layer).__module__.startswith("unrolled") for layer in recurrent],
}))
"""


def ask(name: str, padding: str, *switches: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, name, padding, *switches], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "padding", "switches", "expected"),
    [
        ("gru", "masked", (), {"fusion": "tokens", "adam": True, "kernel": [True]}),
        ("gru", "masked", ("fold",), {"fusion": None, "adam": True, "kernel": [True]}),
        ("gru", "masked", ("adam",), {"fusion": "tokens", "adam": False, "kernel": [True]}),
        ("gru", "masked", ("fusion",), {"fusion": None, "adam": False, "kernel": [True]}),
        ("gru", "masked", ("kernels",), {"fusion": None, "adam": False, "kernel": [False]}),
        ("cnn_gru", "word", (), {"fusion": "phrases", "adam": True, "kernel": [True]}),
        ("cnn_gru", "word", ("phrases",), {"fusion": None, "adam": True, "kernel": [True]}),
        ("cnn_gru", "masked", ("front",), {"fusion": None, "adam": True, "kernel": [True]}),
        ("embedding_dense", "word", ("positions",), {"fusion": None, "adam": True, "kernel": []}),
    ],
)
def test_a_switch_takes_away_what_it_names(
    name: str, padding: str, switches: tuple[str, ...], expected: dict[str, object]
) -> None:
    assert ask(name, padding, *switches) == expected
