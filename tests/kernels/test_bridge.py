"""What the bridge accepts of jaxlib's interface header, and what happens when it does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from unrolled.errors import MachineError
from unrolled.kernels import bridge, caching, programs

HEADER = (Path(jax.ffi.include_dir()) / "xla" / "ffi" / "api" / "c_api.h").read_text(encoding="utf-8")


def test_the_installed_header_is_known() -> None:
    bridge.check_header(HEADER)
    assert bridge.header_problem() is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("XLA_FFI_API_MAJOR 0", "XLA_FFI_API_MAJOR 1", r"unknown version \(got version=1\.\d+\)"),
        ("#define XLA_FFI_API_MINOR", "#define XLA_FFI_OTHER", r"got version=0\.\?"),
        ("  int64_t rank;\n", "", "XLA_FFI_Buffer has changed"),
        ("  void* data;\n  int64_t rank;", "  int64_t rank;\n  void* data;", "XLA_FFI_Buffer has changed"),
        ("struct XLA_FFI_Metadata {", "struct XLA_FFI_Renamed {", "XLA_FFI_Metadata has changed"),
        (
            "  XLA_FFI_ExecutionStage stage;\n  XLA_FFI_Args",
            "  XLA_FFI_Args",
            "XLA_FFI_CallFrame has changed",
        ),
    ],
)
def test_another_interface_is_refused(old: str, new: str, message: str) -> None:
    assert old in HEADER
    with pytest.raises(MachineError, match=message):
        bridge.check_header(HEADER.replace(old, new))


def test_a_later_minor_version_with_the_same_structs_is_accepted() -> None:
    bridge.check_header(HEADER.replace("XLA_FFI_API_MINOR 3", "XLA_FFI_API_MINOR 9"))


@pytest.fixture
def unknown_jaxlib(monkeypatch: pytest.MonkeyPatch):
    """A process whose jaxlib has another interface."""
    monkeypatch.setattr(bridge, "header_problem", lambda: "jaxlib: another interface")
    programs.unavailable_because.cache_clear()
    yield
    programs.unavailable_because.cache_clear()


@pytest.mark.usefixtures("unknown_jaxlib")
def test_an_unknown_jaxlib_warns_once() -> None:
    with pytest.warns(RuntimeWarning, match="another interface"):
        assert programs.unavailable_because() == "jaxlib: another interface"
    assert programs.unavailable_because() is not None


CHECK = """
from unrolled.kernels import programs
callbacks = programs._register("simple_rnn")
print(*(callback.cache_hits for callback in callbacks))
"""


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    programs.load("simple_rnn")
    found = subprocess.run(
        [sys.executable, "-c", CHECK], env=os.environ, capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["1", "1"]


def test_the_cache_moves_with_the_source_and_with_numbas_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from numba.core import config

    usual = caching.cache_directory()
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    assert caching.cache_directory() == tmp_path / usual.name
    copy = tmp_path / "caching.py"
    copy.write_text("changed", encoding="utf-8")
    monkeypatch.setattr(caching, "__file__", str(copy))
    # What is loaded is older than what lies there now, and has to stay apart from it.
    assert caching.cache_directory().name == usual.name
    assert caching._digest_sources() != usual.name
