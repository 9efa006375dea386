# Everyday commands; `make` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help env run cluster test cluster-test faults lint format types bench clean

help: ## List these commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

$(BIN)/.installed: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --requirement requirements.lock
	$(BIN)/pip install --quiet --no-deps --editable .
	@touch $@

env: $(BIN)/.installed ## Make the environment in .venv

run: env ## Start a node in development mode: unsealed, one vault ready, tokens printed
	$(BIN)/kms-layer --configuration config/embedded.toml --development

cluster: env ## Run FoundationDB, three nodes and a load balancer on loopback
	$(BIN)/python compose/local.py

test: env ## Run all tests
	$(BIN)/pytest

cluster-test: env ## Three nodes over one database, with the full counts; figures are printed
	KMS_CLUSTER_COUNT=10000 KMS_CLUSTER_WORKERS=2 $(BIN)/pytest tests/cluster

faults: env ## Models under 100,000 steps of drawn store faults each; nodes and FoundationDB killed under load
	KMS_FAULT_STEPS=100000 KMS_FAULT_TURNS=10 $(BIN)/pytest tests/faults

lint: env ## Check style, and that imports run downwards only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: env ## Check types
	$(BIN)/mypy

format: env ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: env ## Measure under load, alone or against a reference server (needs wrk); 20 minutes or more
	$(BIN)/python -m tests.bench.run

clean: ## Remove the environment and what development mode keeps
	rm -rf $(VENV) .dev .cluster .mypy_cache .ruff_cache .pytest_cache .hypothesis
