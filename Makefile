# Two commands for everyone: `make lab` and `make test`. They need git, make and Python 3.11 to 3.14.

OUT ?= results/demo
ARGS ?=
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help install install-dev lab test test-all check bench lock clean

VENV := .venv
BIN := $(VENV)/bin
CORE := $(VENV)/.core
DEVELOPMENT := $(VENV)/.development
# The lock is complete and hashed, so pip resolves, builds and caches nothing; --no-compile leaves it to
# Python to compile the few thousand files that are ever imported, which halves the time and saves 100 MB.
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet install --no-cache-dir --no-compile
LOCKED := $(PIP) --no-deps --require-hashes --only-binary :all:

# What is compiled once, here, is not compiled by every process of a study.
WARM_UP := import unrolled.cli.__main__, unrolled.cli.lab, unrolled.evidence.summary, unrolled.layers, \
	sklearn.linear_model, scipy.stats, pyarrow.parquet, safetensors.numpy, tokenizers, rich.live; \
	from unrolled.kernels import programs; programs.unavailable_because() or [*map(programs.load, programs.KERNELS)]

# Each worker keeps to one thread, as runs do; whole files stay together for what they share, those that take
# long first (tests/conftest.py).
WORKERS := --numprocesses auto --dist loadfile --no-loadscope-reorder

# Run by make only when a virtual environment has to be made. PYTHON=/path/to/python overrules it.
FIND_PYTHON = for name in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14 python; do \
	"$$name" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' \
	>/dev/null 2>&1 && echo "$$name" && break; done

help:  ## Show this list
	@echo "make TARGET [OUT=$(OUT)] [ARGS='options for the command']"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-14s%s\n", $$1, $$2 }'

lab: $(CORE)  ## Run the lab on the embedded corpus; results go to OUT
	$(BIN)/unrolled lab --data demo --out $(OUT) $(ARGS)
	@echo "The results are in $(OUT): results.json holds every figure."

install: $(CORE)  ## Prepare .venv with what the program needs

install-dev: $(DEVELOPMENT)  ## ... and with what its developers need

test: $(DEVELOPMENT)  ## Run the tests, except those marked slow
	$(BIN)/python -m pytest $(WORKERS) $(ARGS)

test-all: $(DEVELOPMENT)  ## Run all tests
	$(BIN)/python -m pytest -m "slow or not slow" $(WORKERS) $(ARGS)

check: $(DEVELOPMENT)  ## Format, lint, types, direction of imports, tests: what CI runs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_imports.py
	$(MAKE) test

bench: $(CORE)  ## Print the benchmark table
	$(BIN)/python -m benchmarks $(ARGS)

clean:  ## Remove .venv and caches; results stay
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests -type d -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@python=$$($(FIND_PYTHON)); if [ -z "$$python" ]; then \
	echo "make: no Python 3.11 to 3.14 with venv and ensurepip. Expected it as python3. Try: install it (on Debian" \
	"also python3-venv), or make PYTHON=/path/to/python" >&2; exit 4; fi; \
	echo "Preparing $(VENV) with $$($$python --version)" && "$$python" -m venv $(VENV)

$(CORE): requirements.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing $$(grep -c == requirements.txt) packages, about 330 MB to fetch"
	@$(LOCKED) -r requirements.txt
	@$(PIP) --no-deps --no-build-isolation --no-index -e .
	@echo "Compiling what the program imports, and its kernels"
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -W ignore -c "$(WARM_UP)"
	@$(BIN)/unrolled --version
	@touch $@

$(DEVELOPMENT): requirements-dev.txt $(CORE)
	@echo "Installing the tools for development"
	@$(LOCKED) -r requirements-dev.txt
	@touch $@

# Resolves pyproject.toml anew for every supported system and Python. The resolver lives in a throw-away
# environment; the files it writes name no index, and one version of each package serves every Python.
RESOLVE := .lock/bin/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --fork-strategy fewest \
	--custom-compile-command "make lock"

lock:  ## Resolve the requirements anew (needs the network; ARGS=--upgrade moves versions)
	@python=$$($(FIND_PYTHON)); "$${python:?no Python 3.11 to 3.14}" -m venv .lock
	@.lock/bin/python -m pip --disable-pip-version-check --quiet install --no-cache-dir uv
	$(RESOLVE) --all-extras --group build --output-file requirements.txt $(ARGS)
	$(RESOLVE) --all-extras --group build --group dev --constraints requirements.txt --output-file requirements-dev.txt $(ARGS)
	@rm -rf .lock
