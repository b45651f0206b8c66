# make demo   the main job on examples/data, offline
# make test   linters, type checkers, layers, tests, notebook
# make bench  ratios against LangChain's PIIMiddleware and Presidio
# make clean  removes the environments and caches
#
# Each makes the environment it needs on its first run (Python 3.10+, make and pip is all it takes) and does not touch
# pip or the network again until pyproject.toml changes.

PYTHON ?= python3
VENV   := .venv
BENCH  := .venv-bench
BIN    := $(VENV)/bin

.DEFAULT_GOAL := test
.PHONY: demo test lint types layers pytest bench clean

demo: $(VENV)/.demo
	$(BIN)/python examples/quickstart.py

test: lint types layers pytest

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test
	$(BIN)/mypy
	$(BIN)/basedpyright --level error

layers: $(VENV)/.test
	$(BIN)/lint-imports

pytest: $(VENV)/.test
	$(BIN)/python -m pytest -q -n 2

bench: $(BENCH)/.bench
	$(BENCH)/bin/python tests/benchmarks/ratios.py

clean:
	rm -rf $(VENV) $(BENCH) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find src tests examples notebooks -name __pycache__ -type d -exec rm -rf {} +
