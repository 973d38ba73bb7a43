# Two commands are all a newcomer needs: `make demo` and `make test`. Both make .venv when it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Tests compute on one thread each, so as many run at a time as there are cores; more than four would want much memory.
TOGETHER := --numprocesses auto --maxprocesses 4 --dist worksteal

.PHONY: demo test slow check bench docs clean

demo: $(READY)
	$(BIN)/likewise demo

test: $(READY)
	$(BIN)/pytest -q -m "not slow" $(TOGETHER)

slow: $(READY)
	$(BIN)/pytest -q -m slow $(TOGETHER)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python benchmarks/run.py

docs: $(READY)
	$(BIN)/python docs/build.py

# Torch first and by its exact version; then everything else held to the same constraints.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; call make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet torch==2.13.0 -c constraints.txt
	$(BIN)/python -m pip install --quiet --editable ".[dev]" -c constraints.txt
	touch $(READY)

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
