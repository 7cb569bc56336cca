"""The lock, the Makefile and the declared dependencies agree with each other and with the code."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCKS = ("requirements.txt", "requirements-dev.txt")
GROUPS = {"requirements.txt": ("build",), "requirements-dev.txt": ("build", "dev")}


def locked(name: str) -> dict[str, tuple[Requirement, int]]:
    """Each locked package with its requirement and number of hashes."""
    text = re.sub(r"\\\n", " ", (ROOT / name).read_text("utf-8"))
    entries = {}
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            requirement = Requirement(line.split(" --hash")[0])
            entries[canonicalize_name(requirement.name)] = (requirement, line.count("--hash=sha256:"))
    return entries


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_is_pinned_and_hashed_and_no_index_is_named(name: str) -> None:
    for requirement, hashes in locked(name).values():
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement
        assert hashes >= 1, requirement
    text = (ROOT / name).read_text("utf-8")
    assert not re.search(r"://|^\s*--?(i|f|index|extra|find|trusted)\b", text, re.MULTILINE)


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_meets_what_is_declared(name: str) -> None:
    packages = locked(name)
    declared = [*PROJECT["project"]["dependencies"]]
    declared += [line for group in GROUPS[name] for line in PROJECT["dependency-groups"][group]]
    for requirement in map(Requirement, declared):
        entry, _ = packages[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(str(entry.specifier).removeprefix("=="), prereleases=True)


def test_the_lock_is_complete_for_this_machine() -> None:
    """pip installs it without looking at dependencies, so a missing one would surface only at run time."""
    packages = locked("requirements-dev.txt")
    for name, (requirement, _) in packages.items():
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        for needed in map(Requirement, importlib.metadata.requires(name) or ()):
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                entry, _ = packages[canonicalize_name(needed.name)]
                assert needed.specifier.contains(str(entry.specifier)[2:], prereleases=True), (name, needed)


def test_both_locks_agree() -> None:
    core, development = map(locked, LOCKS)
    assert {name: str(development[name][0]) for name in core} == {n: str(r) for n, (r, _) in core.items()}


@pytest.mark.parametrize("unwanted", ["torch", "tensorflow", "torchtext", "nvidia", "jax-cuda"])
def test_the_install_stays_small(unwanted: str) -> None:
    assert not [name for name in locked("requirements-dev.txt") if name.startswith(unwanted)]


def test_every_import_is_declared() -> None:
    project = PROJECT["project"]
    lines = [
        *project["dependencies"],
        *(x for extra in project["optional-dependencies"].values() for x in extra),
    ]
    declared = {canonicalize_name(Requirement(line).name) for line in lines} | {"unrolled"}
    owners = importlib.metadata.packages_distributions()
    undeclared = set()
    # Programs of the benchmark that run in environments of their own, which they bring themselves.
    peers = ROOT / "src" / "unrolled" / "benchmark" / "peers"
    for path in (ROOT / "src").rglob("*.py"):
        if path.parent == peers:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            for module in {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"unrolled"}:
                if not declared & set(map(canonicalize_name, owners.get(module, ["nothing"]))):
                    undeclared.add(f"{path.relative_to(ROOT)}: {module}")
    assert undeclared == set()


def test_every_target_is_in_the_help() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert targets is not None
    command = ["make", "--silent", "--no-print-directory", "help"]
    # Called by a make of its own, it would add what that make says about folders.
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    run = subprocess.run(command, cwd=ROOT, env=outside, capture_output=True, text=True, check=True)
    shown = {line.split()[0] for line in run.stdout.splitlines()[1:]}
    assert shown == set(targets[1].split())
    assert {"install", "lab", "test", "test-all", "check", "bench", "help", "clean"} <= shown


def test_an_old_python_is_refused_in_one_line(tmp_path: Path) -> None:
    """The Makefile's own search, with nothing on the path but commands that are too old."""
    for name in ("python", "python3"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text("utf-8"))
    for name in ("requirements.txt", "pyproject.toml"):
        (tmp_path / name).touch()
    make = shutil.which("make")
    assert make is not None
    run = subprocess.run(
        [make, "-s", "install"],
        cwd=tmp_path,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode != 0
    assert "no Python 3.11 to 3.14" in run.stderr
    assert not (tmp_path / ".venv").exists()
