# Everyday commands; `make` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help env test-env run cluster test cluster-test test-clients test-kubernetes container-test soak audit-test reseal-test migration-test judge faults simulate hunt fuzz docs test-docs lock wheel sdist deb sbom lint format types bench clean

help: ## List these commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

# The locks list every package, with the SHA-256 of its files, so nothing else is looked for, and nothing else is taken;
# pip shows what it does.
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-deps
LOCKED := $(PIP) --require-hashes

$(BIN)/.node: requirements.lock requirements-build.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON): install Python 3.11 or newer." >&2; exit 1; }
	@$(PYTHON) .ci/check_python.py
	@echo "Making the environment of a node in $(VENV): about 20 MB to download, a minute at most."
	$(PYTHON) -m venv $(VENV)
	$(LOCKED) --requirement requirements.lock --requirement requirements-build.lock
	$(PIP) --no-build-isolation --editable .
	@touch $@

$(BIN)/.tests: $(BIN)/.node requirements-test.lock
	@echo "Adding what the tests need: about 170 MB to download, some minutes at most."
	$(LOCKED) --requirement requirements-test.lock
	@touch $@

$(BIN)/.fuzz: $(BIN)/.tests requirements-fuzz.lock
	$(LOCKED) --requirement requirements-fuzz.lock
	@touch $@

$(BIN)/.docs: $(BIN)/.node requirements-docs.lock
	@echo "Adding what the site needs: about 40 MB to download."
	$(LOCKED) --requirement requirements-docs.lock
	@touch $@

env: $(BIN)/.node ## Make the environment of a node in .venv

test-env: $(BIN)/.tests ## Add what tests, lint, types and benches need

run: env ## Start a node in development mode: unsealed, one vault ready, tokens printed
	$(BIN)/kms-layer --configuration config/embedded.toml --development

cluster: env ## Run FoundationDB, three nodes and a load balancer on loopback
	$(BIN)/python compose/local.py

test: test-env ## Run all tests, in PROCESSES (3)
	$(BIN)/pytest --numprocesses $(or $(PROCESSES),3) --dist loadfile --no-loadscope-reorder

cluster-test: test-env ## Three nodes over one database, with the full counts; figures are printed
	KMS_CLUSTER_COUNT=10000 KMS_CLUSTER_TREE=100000 KMS_CLUSTER_WORKERS=2 $(BIN)/pytest --timeout 0 tests/cluster

test-clients: test-env ## Build clients of many registries, run each against a node, write what they did into docs/clients.md
	KMS_TEST_CLIENTS=$(or $(KMS_TEST_CLIENTS),1) $(BIN)/pytest --timeout 0 --durations 10 tests/clients
	KMS_TEST_CLIENTS= $(BIN)/pytest --quiet tests/clients

soak: test-env ## A node under load for MINUTES (60): TLS, audit, 1,000 vaults, killed workers, outages of the store, a full disk
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),60)

audit-test: test-env ## Tamper a thousand times with audit logs of 100,000 lines; kill a node 200 times while it writes one
	KMS_AUDIT_TAMPERINGS=1000 KMS_AUDIT_LINES=100000 KMS_AUDIT_KILLS=200 \
		$(BIN)/pytest --timeout 0 --numprocesses 2 --dist worksteal --durations 10 tests/audit/log/test_verification.py \
		tests/conformance/test_audit_proofs.py

judge: test-env ## Have CALLS (200000) calls to three nodes that are killed or stand still judged for linearizability (Go)
	KMS_JUDGE_CALLS=$(or $(CALLS),200000) KMS_JUDGE_PAUSE=$(or $(PAUSE),10) $(BIN)/pytest --timeout 0 tests/judge

reseal-test: test-env ## Rotate and reseal 200,000 records under load, interrupted five times
	KMS_FAULT_RECORDS=200000 $(BIN)/pytest --timeout 0 tests/reseal

migration-test: test-env ## Migrate 50,000 secrets and 500 keys from OpenBao, read meanwhile and interrupted three times; an hour
	KMS_MIGRATION_SECRETS=$(or $(SECRETS),50000) KMS_MIGRATION_KEYS=$(or $(KEYS),500) \
		$(BIN)/pytest --timeout 0 --capture no tests/migration

test-kubernetes: test-env ## Build a Kubernetes API server and etcd (Go), which keep secrets and sign tokens by keys of a node
	KMS_TEST_KUBERNETES=1 $(BIN)/pytest --timeout 0 --capture no tests/apiserver

container-test: test-env ## Run the demo of containers, and the Debian package under systemd (podman, debootstrap; root)
	KMS_TEST_CONTAINERS=1 $(BIN)/pytest --timeout 0 tests/containers

faults: test-env ## Models under 100,000 steps of drawn store faults each; nodes and FoundationDB killed under load
	KMS_FAULT_STEPS=100000 KMS_FAULT_TURNS=10 $(BIN)/pytest --timeout 0 tests/faults

lint: test-env ## Check style, and that imports run downwards only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo

types: test-env ## Check types
	$(BIN)/mypy

format: test-env ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

simulate: test-env ## SEEDS (100) simulations from seed FIRST (1) on, with NIGHTS (0) of minutes, in PROCESSES (2), of nodes and everything that goes wrong
	$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),100) --first $(or $(FIRST),1) --nights $(or $(NIGHTS),0) --processes $(or $(PROCESSES),2)

hunt: test-env ## Which seed finds each of the bugs that the simulation must find; hours
	$(BIN)/python -m tests.simulation.hunt

fuzz: $(BIN)/.fuzz ## Fuzz the API and every parser for SECONDS (600), drawn from SEED (1)
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),600) --seed $(or $(SEED),1)

docs: $(BIN)/.docs ## Build the site of the documents in dist/site; a broken link fails it
	$(BIN)/python -m docs.site

test-docs: test-env $(BIN)/.docs ## Build the site and look through it; run every command of every page, with both command lines
	KMS_TEST_DOCUMENTS=all $(BIN)/pytest --numprocesses 2 --dist worksteal tests/documents tests/conformance/test_operator_keys_page.py

lock: ## Write the locks anew, with hashes; UPGRADE="…" takes newer versions of these packages
	$(PYTHON) .ci/lock.py $(UPGRADE)

# The date of the last commit; the same source gives the same bytes.
EPOCH = SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null || echo 315532800)}

sdist: env ## Make the source distribution, in dist: the same wheel is built of it
	$(EPOCH) $(BIN)/python .ci/wheel.py dist sdist

wheel: env ## Make the wheel of the project, in dist: the same source gives the same bytes
	$(EPOCH) $(BIN)/python .ci/wheel.py dist

deb: test-env ## Make the Debian package, in dist, for the Python of this system (PYTHON3=/usr/bin/python3)
	$(EPOCH) $(BIN)/python .ci/deb.py dist

sbom: test-env ## Write what a node is made of, with licences and hashes: dist/clever-kms.cdx.json (CycloneDX)
	@mkdir -p dist
	$(EPOCH) $(BIN)/python .ci/materials.py dist/clever-kms.cdx.json

bench: test-env ## Measure under load, alone or against a reference server (needs wrk); 20 minutes or more
	$(BIN)/python -m tests.bench.run

clean: ## Remove the environment and what development mode keeps
	rm -rf $(VENV) dist build .dev .cluster .mypy_cache .ruff_cache .pytest_cache .hypothesis
