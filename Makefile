# The commands of the project, each one word. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH_VENV := .bench/venv
export DO_NOT_TRACK := 1
export DBT_SEND_ANONYMOUS_USAGE_STATS := false
export DAGSTER_DISABLE_TELEMETRY := 1
export FEAST_USAGE := False
export PYTHONDONTWRITEBYTECODE ?= 1

.PHONY: help install demo test test-unit lint dev serve bench bench-churn generate lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(VENV)/.installed ## .venv with what requirements.lock names, once

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11 …")'
	@echo "installing into $(VENV) from requirements.lock …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: install ## the synthetic shop, its last three nights, and one member's online answer
	@$(BIN)/huitou demo

test: install ## all tests; those that lack a service say so and are skipped
	@$(BIN)/python -m pytest -n 2 --dist loadscope

test-unit: install ## the tests that need no service
	@$(BIN)/python -m pytest tests/unit

lint: install ## style, types, import directions, generated files
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/huitou generate --check

dev: install ## the Dagster UI with workspace.yaml and the daemon, on loopback
	@$(BIN)/huitou dev

serve: install ## the gateway, on loopback
	@$(BIN)/huitou serve

bench: install ## what must be fast, in ratios taken in one run
	@$(BIN)/python -m bench

bench-churn: install $(BENCH_VENV)/.installed ## the churn model against its peers, those of pymc-marketing too
	@HUITOU_BENCH_PYTHON=$(BENCH_VENV)/bin/python $(BIN)/python -m bench.churn

$(BENCH_VENV)/.installed: requirements-bench.lock
	@echo "installing into $(BENCH_VENV) from requirements-bench.lock …"
	@test -x $(BENCH_VENV)/bin/python || $(PYTHON) -m venv $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python -m pip install --quiet --no-deps --require-hashes -r requirements-bench.lock
	@touch $@

generate: install ## Feast definitions, tag macros, client and tables from their one definition
	@$(BIN)/huitou generate

lock: ## resolve the requirements*.in into locks with hashes
	@$(BIN)/python -m pip install --quiet uv
	@for name in requirements requirements-bench; do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-header $$name.in -o $$name.lock || exit; \
	done

clean: ## what was generated; .venv and .huitou too
	@rm -rf $(VENV) .huitou .bench build *.egg-info .pytest_cache .mypy_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
