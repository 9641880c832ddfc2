# Everything a newcomer needs; only CPython >= 3.11, make and a C compiler have to be there already.
#   make demo       install, run cases/texture_1d, leave figure, movie and convergence table in demo/
#   make test       the fast tests            make test-all   every test
#   make lint       ruff and mypy             make docs       HTML in docs/_build/html
#   make validation table and figure of every convergence study in docs/_static (10 minutes)
#   make bench      the benchmarks            make clean      remove what the above left (not runs, not .venv)
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The first interpreter that is new enough; override with `make PYTHON=/path/to/python demo`.
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
VENV ?= .venv
WORKERS ?= 2
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Each worker begins with its own part of the files, so that what a file's tests share is made once.
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
DEMO_CASE := cases/texture_1d

# Stamps: installing again is only due when pyproject.toml is newer than the last installation.
RUNTIME := $(VENV)/.installed-runtime
TOOLS := $(VENV)/.installed-dev

# Parallel tests share the cores already: one thread each for BLAS.
test test-all test-slow: export OMP_NUM_THREADS := 1
test test-all test-slow: export OPENBLAS_NUM_THREADS := 1
test test-all test-slow: export MKL_NUM_THREADS := 1
test test-all test-slow demo: export MPLBACKEND := Agg

.PHONY: help demo test test-all test-slow validation reliability lint docs bench clean distclean

help:
	@sed -n '2,6s/^# *//p' Makefile

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "no Python >= 3.11 found: install one or say make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(RUNTIME): pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) -e '.[test]'
	@touch $@

$(TOOLS): pyproject.toml | $(BIN)/python
	$(PIP_INSTALL) -e '.[dev]'
	@touch $@

# A run never overwrites an earlier one, so `make demo` adds a run each time; the files in demo/ are replaced.
demo: $(RUNTIME)
	@mkdir -p demo
	@rm -f demo/texture_1d.* demo/convergence.*
	$(BIN)/wigner-sim run $(DEMO_CASE)
	$(BIN)/wigner-sim plot $(DEMO_CASE) --output demo/texture_1d.png
	$(BIN)/wigner-sim movie $(DEMO_CASE) --output demo/texture_1d
	$(BIN)/wigner-sim converge $(DEMO_CASE) --dilations 1,1.5,2.25 --orders 0,1,2 \
		--json demo/convergence.json --figure demo/convergence.png | tee demo/convergence.txt
	@echo && echo "left in demo/:" && ls demo

test: $(RUNTIME)
	$(PYTEST) -m "not slow"

test-all: $(RUNTIME)
	$(PYTEST)

# What test-all adds to test (exit status 5: there was none).
test-slow: $(RUNTIME)
	$(PYTEST) -m slow || [ $$? -eq 5 ]

lint: $(TOOLS)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(TOOLS)
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

validation: $(RUNTIME)
	$(BIN)/wigner-sim bench --suite validation --output docs/_static

# What a run survives: kills, full disks, damaged files, wrong cases (an hour; root for a disk of its own).
reliability: $(RUNTIME)
	$(BIN)/python -m benchmarks.reliability --output docs/_static

bench: $(RUNTIME)
	$(BIN)/wigner-sim bench --suite speed --output benchmarks/results

clean:
	rm -rf demo build dist docs/_build docs/generated .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
