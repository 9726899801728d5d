# Each target does its own set-up. `make` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help demo demo-arena demo-mesh test bench fuzz lint clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## run the eshop story on real parts and show its trace and its two graphs
	@$(BIN)/python -m examples.eshop.demo

demo-arena: $(READY) ## the mesh arena: who talks to whom, on the network and in the trace
	@$(BIN)/python -m examples.mesh_arena.demo

demo-mesh: $(READY) ## the eshop with a real Envoy beside each service, its spans in the trace (ARGS=opentelemetry)
	@$(BIN)/python -m examples.eshop.mesh_demo $(ARGS)

test: $(READY) lint ## lint, then every test, on a real Kafka, PostgreSQL and Jaeger
	$(BIN)/python -m pytest $(ARGS)

bench: $(READY) ## overhead: bare against autotrace, interleaved, as ratios
	$(BIN)/python -m benchmarks $(ARGS)

fuzz: $(READY) ## look for SQL that breaks a promise of autotrace.sql, with atheris (ARGS="-max_total_time=60 FOLDER")
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --quiet atheris
	@nice $(BIN)/python -m fuzz.fuzz_sql $(ARGS)

lint: $(READY) ## ruff (lint, format) and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy autotrace

clean: ## remove the virtual environment
	rm -rf $(VENV)

# Debian's python3 comes without the module `venv`; virtualenv from PyPI serves there.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or later is needed: make PYTHON=python3.11 ..."; exit 1; }
	@echo "setting up $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) 2>/dev/null || { $(PYTHON) -m pip install --quiet --user --break-system-packages virtualenv && rm -rf $(VENV) && $(PYTHON) -m virtualenv --quiet $(VENV); }
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $(READY)
