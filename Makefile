# Every target works from a fresh clone; the environment is made on first need.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: help venv test lint types check clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

$(VENV)/.made: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -e '.[models,mcp,dev]'
	@touch $@

venv: $(VENV)/.made ## Make the project's own Python environment

lint: venv ## Style (ruff)
	$(VENV)/bin/ruff check lib tests
	$(VENV)/bin/ruff format --check --quiet lib tests

types: venv ## Types (mypy --strict)
	$(VENV)/bin/mypy

test: venv ## Unit, contract, integration and shell tests
	$(PY) -m pytest
	$(VENV)/bin/bats tests/shell

check: lint types test ## All of the above

clean: ## Remove what the other targets made, except the archive of anybody's sessions
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
