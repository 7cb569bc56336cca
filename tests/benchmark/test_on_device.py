"""What the command does on a GPU, as far as a processor can show it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from unrolled.benchmark import run
from unrolled.benchmark.environments import PEERS
from unrolled.benchmark.floor import Rates
from unrolled.benchmark.job import make_plan, write_job
from unrolled.benchmark.on_device import device_bytes, device_name, measure_device_rates
from unrolled.benchmark.ours import Trainer
from unrolled.benchmark.peers.wire import GPU_VARIABLE, check_device
from unrolled.benchmark.sides import Command, peer_command
from unrolled.benchmark.training import Range, Timing, _fastest
from unrolled.cli.__main__ import app
from unrolled.errors import UsageError
from unrolled.training import device
from unrolled.types import EncodedDataset, EncodedSplit, Ragged

STEPS = 3


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "computes_on_gpu", lambda: True)


def rounds(job: Path, seeds: int = 1) -> list[list[float]]:
    trainer = Trainer([], seeds)
    trainer.start(str(job), helped=False)
    return [trainer.round()["losses"] for _ in range(2)]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sequences of 1 to 40 tokens whose label is their first token's parity."""
    random = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(random.integers(1, 41, 64))])
    tokens = random.integers(1, 60, offsets[-1]).astype(np.int32)
    split = EncodedSplit(Ragged(tokens, offsets), (tokens[offsets[:-1]] % 2).astype(np.int32))
    data = EncodedDataset("toy", ("bad", "good"), split, split, split, 60, "0" * 64)
    plan = make_plan("simple_rnn", data, "standard", batch_size=16, num_steps=STEPS)
    return write_job(plan, split, tmp_path_factory.mktemp("job") / "job")


@pytest.mark.parametrize("seeds", [1, 2])
def test_passes_take_the_steps_that_rounds_take(
    job: Path, seeds: int, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    expected = rounds(job)
    request.getfixturevalue("on_gpu")
    # Several programs, the last of them shorter.
    monkeypatch.setattr("unrolled.benchmark.on_device.STEPS", 2)
    found = rounds(job, seeds)
    assert np.shape(found) == (2, STEPS)
    np.testing.assert_allclose(found, expected, rtol=2e-4)
    # The second round goes on where the first one ended.
    assert found[1][0] < found[0][0]


def test_several_seeds_are_charged_their_share(job: Path, on_gpu: None, monkeypatch: Any) -> None:
    trainer = Trainer([], 4)
    note = trainer.start(str(job), helped=False)["note"]
    assert "4 seeds" in note
    clock = iter([10.0, 18.0])
    monkeypatch.setattr("unrolled.benchmark.on_device.time.perf_counter", lambda: next(clock))
    assert trainer.round()["seconds"] == 2.0


def test_rates_are_those_of_a_product_and_an_addition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unrolled.benchmark.on_device.fastest", lambda call: [call(), 0.5][1])
    assert measure_device_rates(size=64, numbers=1_000) == Rates(1, 4 * 64**3, 16_000)


@pytest.mark.parametrize(("stats", "expected"), [({"peak_bytes_in_use": 7}, 7), (None, 0)])
def test_a_device_has_a_name_and_may_not_count_its_memory(
    stats: Any, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import jax

    found = SimpleNamespace(device_kind="Fast Thing", memory_stats=lambda: stats)
    monkeypatch.setattr(jax, "devices", lambda: [found])
    assert (device_name(), device_bytes()) == ("Fast Thing", expected)


def test_more_seeds_are_no_peer() -> None:
    def timing(name: str, seconds: float) -> Timing:
        return Timing(name, False, Range(seconds, seconds, seconds), 0.0, 0, 0, (), 0.0, "")

    sides = [timing("unrolled", 2.0), timing("unrolled, 4 seeds", 1.0), timing("torch", 6.0)]
    found = _fastest(sides, [[2.0], [1.0], [6.0]], helped=False)
    assert found is not None
    assert (found.name, found.ratio.median) == ("torch", 3.0)


@pytest.mark.parametrize("gpu", [False, True])
def test_peers_are_built_for_the_gpu_that_they_are_to_use(gpu: bool, monkeypatch: Any) -> None:
    monkeypatch.delenv("TF_FORCE_GPU_ALLOW_GROWTH", raising=False)
    built: list[tuple[str, bool]] = []

    def pretend(peer: Any, tell: Any, *, gpu: bool) -> Path:
        built.append((peer.name, gpu))
        return Path("python")

    monkeypatch.setattr("unrolled.benchmark.environments.build", pretend)
    from unrolled.benchmark.environments import prepare_peer

    commands = [prepare_peer(peer, {}, print, gpu=gpu) for peer in PEERS.values()]
    assert built == [("keras-tensorflow", gpu), ("torch", gpu)]
    for command in commands:
        hidden = command.environment.get("CUDA_VISIBLE_DEVICES") == ""
        assert hidden is not gpu
        assert ("TF_FORCE_GPU_ALLOW_GROWTH" in command.environment) is gpu
    folder = Path(run.__file__).parent / "peers"
    for peer in PEERS.values():
        pins = peer.pinned_in(gpu=gpu)
        assert pins is None or (folder / pins).read_text()


def test_the_command_times_seeds_and_peers_on_the_gpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From the command line to its table, with sides that answer what a GPU might."""
    asked: list[tuple[str, str]] = []

    class Pretended:
        def __init__(self, command: Command, log: Path) -> None:
            self.name, self.command = command.name, command
            self.peak_bytes, self.device_bytes = 10**9, 3 * 10**9

        def ask(self, what: str, **details: Any) -> dict[str, Any]:
            asked.append((self.name, what))
            if what == "rates":
                rates = {"threads": 1, "flops_per_second": 4e13, "bytes_per_second": 2e12}
                return {"device": "Fast Thing", **rates}
            if what == "start":
                return {"note": ""}
            return {"seconds": 0.5 if "seeds" in self.name else 1.0, "losses": [0.7, 0.6]}

        def __enter__(self) -> Pretended:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(run, "sees_gpu", lambda: True)
    monkeypatch.setattr(run, "Side", Pretended)
    monkeypatch.setattr("unrolled.benchmark.training.Side", Pretended)
    out = tmp_path / "found.json"
    options = ["--models", "simple_rnn", "--steps", "2", "--rounds", "1", "--against", "keras-jax"]
    result = CliRunner().invoke(app, ["benchmark", *options, "--out", str(out)], catch_exceptions=False)
    assert "Fast Thing: 40,000 GFLOP/s, 2,000.0 GB/s." in result.stdout
    assert "unrolled, 4 seeds" in result.stdout
    assert "fastest peer: keras-jax, 1.0× our time" in result.stdout
    assert " 3,000 " in result.stdout
    assert "thread" not in result.stdout
    (model,) = json.loads(out.read_text())["models"]
    assert [side["name"] for side in model["sides"]] == [
        "unrolled",
        "unrolled, 4 seeds",
        "keras-jax",
        "keras-jax",
    ]
    assert asked[0] == ("unrolled", "rates")


def test_an_ablation_is_of_a_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "sees_gpu", lambda: True)
    result = CliRunner().invoke(app, ["benchmark", "ablation", "--models", "gru"])
    assert isinstance(result.exception, UsageError)
    assert "JAX_PLATFORMS=cpu" in str(result.exception)


def test_a_peer_that_sees_no_gpu_is_not_timed_beside_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(GPU_VARIABLE, raising=False)
    check_device(on_gpu=False)
    wanted = peer_command("torch", Path("python"), "torch_peer", gpu=True).environment
    monkeypatch.setenv(GPU_VARIABLE, wanted[GPU_VARIABLE])
    check_device(on_gpu=True)
    with pytest.raises(RuntimeError, match="sees no GPU"):
        check_device(on_gpu=False)
