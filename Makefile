# Each target does its own set-up. `make` lists them.
# Tools run as `python -m`, because a blank in the checkout's path breaks the first line (`#!`) of their scripts.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOL := .venv-tool
SHELL := bash
.SHELLFLAGS := -o pipefail -c
export PIP_ROOT_USER_ACTION := ignore

# Two environments in one folder: what the demos need is there sooner than what the tests need.
DEMO_READY := $(VENV)/.demo
READY := $(VENV)/.ready
FOR_DEMO := $(firstword $(wildcard $(READY)) $(DEMO_READY))

# constraints.txt holds the versions that CI passed, for the Python that its first line names. Another Python gets the
# newest in pyproject.toml's ranges, because some of these versions have no wheel for it. So does `make CONSTRAINTS=`.
CONSTRAINTS = $(shell $(BIN)/python -c 'import sys; print("--constraint constraints.txt" * \
	("# Python %d.%d:" % sys.version_info[:2] in open("constraints.txt").readline()))')

# A dot for each package, because a hundred of them take a minute or two.
DOTS := awk '/^ *Collecting/ { printf "."; fflush() } /^Installing/ { printf " installing "; fflush() } END { print "" }'
INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --no-color

.DEFAULT_GOAL := help
.PHONY: help demo demo-arena demo-mesh test bench fuzz lint constraints release clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(FOR_DEMO) ## run the eshop story on a real Kafka and PostgreSQL, and show its trace and its two graphs
	@$(BIN)/python -m examples.eshop.demo

demo-arena: $(FOR_DEMO) ## the mesh arena: who talks to whom, on the network and in the trace
	@$(BIN)/python -m examples.mesh_arena.demo

demo-mesh: $(FOR_DEMO) ## the eshop with a real Envoy beside each service, its spans in the trace (ARGS=opentelemetry)
	@$(BIN)/python -m examples.eshop.mesh_demo $(ARGS)

test: $(READY) lint ## lint, then every test, on a real Kafka, PostgreSQL and Jaeger
	$(BIN)/python -m pytest $(ARGS)

bench: $(READY) ## overhead: bare against autotrace, interleaved, as ratios
	$(BIN)/python -m benchmarks $(ARGS)

fuzz: $(READY) ## look for SQL that breaks a promise of autotrace.sql, with atheris (ARGS="-max_total_time=60 FOLDER")
	@$(BIN)/python -c 'import atheris' 2>/dev/null \
		|| { echo "installing atheris into $(VENV)"; $(INSTALL) --quiet atheris; }
	@nice $(BIN)/python -m fuzz.fuzz_sql $(ARGS)

lint: $(READY) ## ruff (lint, format) and mypy --strict
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy autotrace

constraints: ## renew constraints.txt: the newest versions in pyproject.toml's ranges. `make test`, then commit it
	@rm -rf $(VENV)
	@$(MAKE) --no-print-directory $(READY) CONSTRAINTS=
	@$(BIN)/python -c 'import sys; print("# Python %d.%d: the versions that CI passed. " \
		"Renewed by `make constraints`." % sys.version_info[:2])' > constraints.txt
	@$(BIN)/python -m pip freeze --exclude-editable | grep -v '^#' >> constraints.txt
	@echo "constraints.txt is new: run 'make test' before you commit it"

release: $(READY) ## build sdist and wheel into dist/, and check them in clean environments; nothing is uploaded
	@echo "installing build and twine into $(VENV)"
	@$(INSTALL) --quiet --editable '.[release]'
	@.ci/release "$$PWD/$(BIN)/python"

clean: ## remove the virtual environment
	rm -rf $(VENV) $(TOOL)

$(DEMO_READY): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing what the demos need into $(VENV), from the package index (about 25 packages, half a minute)"
	@$(INSTALL) $(CONSTRAINTS) --editable '.[demo]' | $(DOTS)
	@touch $@

$(READY): pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing what the tests need into $(VENV), from the package index (about 110 packages, a minute or two)"
	@$(INSTALL) $(CONSTRAINTS) --editable '.[test]' | $(DOTS)
	@touch $@

# Debian's python3 cannot make an environment with pip in it. There virtualenv does, from a folder of its own: nothing is
# installed beside Debian's packages.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "Python 3.10 or later is needed: make PYTHON=python3.11 ..."; exit 1; }
	@echo "making the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 \
		|| { rm -rf $(VENV); echo "$(PYTHON) has no ensurepip: getting virtualenv into $(TOOL), from the package index"; \
			$(PYTHON) -m pip install --quiet --disable-pip-version-check --target $(TOOL) virtualenv \
			&& PYTHONPATH=$(TOOL) $(PYTHON) -m virtualenv --quiet $(VENV) && rm -rf $(TOOL); } \
		|| { rm -rf $(VENV) $(TOOL); \
			echo "$(PYTHON) has neither ensurepip nor pip. On Debian: apt install python3-venv"; exit 1; }
