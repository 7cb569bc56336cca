"""Processes that answer, fail and end; and the environments that they run in."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from unrolled.benchmark import environments
from unrolled.benchmark.environments import PEERS, build, parse_pythons, select_peers
from unrolled.benchmark.sides import THREAD_VARIABLES, Command, Side, our_command, peer_command
from unrolled.benchmark.switches import SWITCHES, applies, check_switches
from unrolled.errors import MachineError, UsageError
from unrolled.models import make_spec

PROGRAM = """
import os, sys
from unrolled.benchmark.peers.wire import serve
def add(a, b): print("a library's words"); return {"sum": a + b}
def fill(size): block = bytearray(size); block[::4096] = b"x" * len(block[::4096]); return {}
def fail(): raise ValueError("\\x1b[1mno luck\\x1b[0m")
def die(): print("out of luck", file=sys.stderr, flush=True); os._exit(7)
serve({"add": add, "fill": fill, "fail": fail, "die": die})
"""


@pytest.fixture
def command() -> Command:
    return Command("echo", (sys.executable, "-c", PROGRAM), os.environ)


def test_a_side_answers_and_keeps_words_out_of_its_answers(command: Command, tmp_path: Path) -> None:
    with Side(command, tmp_path / "log") as side:
        assert side.ask("add", a=2, b=3)["sum"] == 5
        assert side.ask("add", a=2, b=4)["sum"] == 6
    assert "a library's words" in (tmp_path / "log").read_text()


def test_peak_memory_is_the_program_s_own(command: Command, tmp_path: Path) -> None:
    """Not that of the process that started it, which is where Linux starts ru_maxrss."""
    ballast = bytearray(300_000_000)
    ballast[::4096] = b"x" * len(ballast[::4096])
    with Side(command, tmp_path / "log") as side:
        side.ask("add", a=1, b=1)
        small = side.peak_bytes
        assert small < 150_000_000
        side.ask("fill", size=100_000_000)
        assert side.peak_bytes - small > 90_000_000
    del ballast


def test_failures_are_machine_errors_with_the_side_s_name(command: Command, tmp_path: Path) -> None:
    with Side(command, tmp_path / "log") as side:
        with pytest.raises(MachineError, match=r"^echo: 'fail' failed \(ValueError: no luck\)"):
            side.ask("fail")
        assert side.ask("add", a=1, b=1)["sum"] == 2
        with pytest.raises(MachineError, match=r"status 7 during 'die' \(out of luck\)"):
            side.ask("die")
    missing = Command("torch", (str(tmp_path / "python"),), {})
    with pytest.raises(MachineError, match="cannot be started"):
        Side(missing, tmp_path / "log")


def test_threads_are_ours_to_set_and_the_peers_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "somewhere")
    ours = our_command(2).environment
    assert {ours[name] for name in ("NPROC", "UNROLLED_THREADS")} == {"2"}
    here = peer_command("keras-jax", Path(sys.executable), "keras_peer", "jax").environment
    assert not set(THREAD_VARIABLES) & set(here)
    assert (here["KERAS_BACKEND"], here["PYTHONPATH"]) == ("jax", "somewhere")
    assert "PYTHONPATH" not in peer_command("torch", Path("other/python"), "torch_peer").environment


def test_kept_memory_is_switched_off_before_the_process_starts() -> None:
    assert "trim_threshold" in our_command(1).environment["GLIBC_TUNABLES"]
    without = our_command(1, without=["kept-memory"])
    assert "trim_threshold" not in without.environment["GLIBC_TUNABLES"]
    assert without.arguments[-1] == "kept-memory"


def test_peers_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in environments.VARIABLES.values():
        monkeypatch.delenv(variable, raising=False)
    assert [peer.name for peer in select_peers("torch, keras-jax,torch")] == ["torch", "keras-jax"]
    assert select_peers("") == []
    with pytest.raises(UsageError, match="Try: torch"):
        select_peers("troch")
    python, other = tmp_path / "python", tmp_path / "other"
    python.touch()
    other.touch()
    monkeypatch.setenv("UNROLLED_PEER_TORCH", str(other))
    assert parse_pythons([]) == {"torch": other}
    assert parse_pythons([f"torch={python}"]) == {"torch": python}
    for text in ("torch", "tensorflow=python", f"torch={tmp_path / 'none'}"):
        with pytest.raises(UsageError):
            parse_pythons([text])


def test_an_environment_that_cannot_be_built_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNROLLED_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    heard: list[str] = []
    with pytest.raises(MachineError, match=r"^torch: its environment cannot be built .* Try: --peer-python"):
        build(PEERS["torch"], heard.append)
    assert heard
    assert not list(tmp_path.rglob(environments.READY))


def test_an_environment_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNROLLED_CACHE", str(tmp_path))
    commands: list[list[str]] = []
    refused = {"torch==2.13.0+cpu"}

    def pretend(arguments: list[str]) -> str | None:
        commands.append(arguments)
        if "venv" in arguments:
            Path(arguments[-1]).mkdir()
        return "no such build" if refused & set(arguments) else None

    monkeypatch.setattr(environments, "_try", pretend)
    python = build(PEERS["torch"], lambda sentence: None)
    assert [("venv" in command, "torch==2.13.0" in command) for command in commands] == [
        (True, False),
        (False, False),
        (False, True),
    ]
    commands.clear()
    assert build(PEERS["torch"], lambda sentence: None) == python
    assert not commands


def test_switches_are_known_and_belong_to_models() -> None:
    assert check_switches(["fold", "adam", "fold"]) == ["fold", "adam"]
    with pytest.raises(UsageError, match="Try: fold"):
        check_switches(["flod"])

    def used(name: str, padding: str, lengths: tuple[int, ...] = (500,)) -> set[str]:
        spec = make_spec(name, padding=padding)
        return {switch for switch in SWITCHES if applies(switch, spec, lengths)} - {"kept-memory", "adam"}

    assert used("lstm", "masked", (100, 500)) == {"fusion", "kernels", "fold", "lengths"}
    assert used("cnn_gru", "word") == {"fusion", "kernels", "phrases", "padding"}
    assert used("lstm", "word") == {"fusion", "kernels", "fold", "padding"}
    assert used("cnn_gru", "masked") == {"fusion", "kernels", "front"}
    assert used("embedding_dense", "word") == {"fusion", "positions"}
    assert used("dense", "word") == set()
