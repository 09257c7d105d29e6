# Every target works on a fresh machine: it first makes .venv and installs what it needs.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3.11
BIN := .venv/bin
export UV_LINK_MODE ?= hardlink
# Collecting it makes examples for every route: a minute and a half, in each process.
WITHOUT_FUZZ := --ignore=tests/api/test_fuzz.py
# schemathesis loads its report writer at the very end, which fails beneath Playwright's greenlets.
BROWSER_PLUGINS := -p no:schemathesis
COMPILE := $(BIN)/uv pip compile pyproject.toml --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -q
OURS := ours_on_sqlite,ours_on_postgres

.PHONY: help
help: ## Explain every target
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# Compiled at once: where Python may not write its bytecode, each start would compile for 6 s.
.venv/.run: requirements.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@awk '/^[^ ]/{is_uv = /^uv==/} is_uv && !/#/' requirements.txt > .venv/uv.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r .venv/uv.txt
	@$(BIN)/uv pip install -q --compile-bytecode -p $(BIN)/python --require-hashes -r requirements.txt
	@$(BIN)/uv pip install -q -p $(BIN)/python --no-deps -e .
	@touch $@

.venv/.dev: requirements-dev.txt .venv/.run
	@$(BIN)/uv pip install -q --compile-bytecode -p $(BIN)/python --require-hashes -r requirements-dev.txt
	@touch $@

.PHONY: run
run: .venv/.run ## Start the whole platform; open http://localhost:8000
	@$(BIN)/chat-platform up

.PHONY: stack
stack: tools environments ## Start the production shape: nginx before SERVERS=2 servers, Redis, Postgres
	@$(BIN)/python -m tests.stack

.PHONY: tools
tools: .venv/.dev ## Install what tests need beside Python: a browser, Redis, PgBouncer, nginx
	@$(BIN)/python -m tests.install_tools

.PHONY: lint
lint: .venv/.dev ## Check style, types, layers, Dockerfiles, and pins with known advisories
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/pyright && $(BIN)/lint-imports && $(BIN)/hadolint Dockerfile deploy/*/Dockerfile && $(BIN)/python -m tests.advisories

.PHONY: unit
unit: tools ## Run the fast suite with fakes at the ports, on SQLite
	@$(BIN)/pytest -q -m "not (programs or chain or browser or rig or slow or thorough)" -n auto $(WITHOUT_FUZZ)

.PHONY: unit-postgres
unit-postgres: tools ## Run the same suite with Postgres under it
	@$(BIN)/pytest -q -m "not (programs or chain or browser or rig or slow)" -n auto --database postgres $(WITHOUT_FUZZ)

.PHONY: programs
programs: tools ## Start the launcher and the server, with nothing behind them
	@$(BIN)/pytest -q -m "programs and not (chain or slow)" $(WITHOUT_FUZZ) tests

.PHONY: environments
environments: .venv/.dev ## Install what `make run` would: Letta, LiteLLM and Postgres
	@CHAT_PLATFORM_ENV_DIR=$${CHAT_PLATFORM_ENV_DIR:-$(CURDIR)/.data/env} DATA_DIR=$$(mktemp -d) $(BIN)/chat-platform install

.PHONY: build
build: .venv/.run ## Build the pages, if they are not built or out of date
	@$(BIN)/chat-platform build

.PHONY: chain
chain: tools environments ## Drive the whole embedded platform, by REST and in a real browser
	@$(BIN)/pytest -q -m "chain and not slow" $(BROWSER_PLUGINS) tests/contract tests/launcher tests/e2e

.PHONY: pages
pages: tools ## Drive every page in a real browser, with fakes behind the server
	@$(BIN)/pytest -q -m "browser and not slow" $(BROWSER_PLUGINS) -n 2 tests/pages

.PHONY: test
test: .venv/.dev ## All that must pass before a change lands
	@$(MAKE) --no-print-directory -j --output-sync=target lint tools environments
	@$(MAKE) --no-print-directory -j --output-sync=target unit build
	@$(MAKE) --no-print-directory -j --output-sync=target chain pages

.PHONY: slow-chain
slow-chain: tools environments ## Drive the whole embedded platform long, and stop its parts
	@$(BIN)/pytest -q -m "chain and slow" $(BROWSER_PLUGINS) tests/contract tests/launcher tests/e2e
	@$(BIN)/pytest -q -m "chain and slow" $(BROWSER_PLUGINS) tests/stack

.PHONY: test-stack
test-stack: tools environments ## Drive the production shape as chain and slow-chain drive the embedded one
	@$(BIN)/pytest -q -m "chain" $(BROWSER_PLUGINS) --shape stack tests/contract tests/e2e tests/stack

.PHONY: slow-rest
slow-rest: tools ## Long runs, faults, our own programs, real LiteLLM with its database
	@$(BIN)/pytest -q -m "(programs or rig or slow or thorough) and not chain" tests --ignore=tests/e2e --ignore=tests/pages --ignore=tests/proxy --ignore=tests/containers

# The rig first and alone: it is one for the machine, and slow-rest waits for it.
.PHONY: slow-proxy
slow-proxy: tools ## Long runs of the proxy on both databases, with real LiteLLM
	@$(BIN)/pytest -q -m "rig" --database both tests/proxy
	@$(BIN)/pytest -q -m "slow and not rig" --database both tests/proxy

.PHONY: slow-pages
slow-pages: tools ## Drive the pages in every further way
	@$(BIN)/pytest -q -m "slow" $(BROWSER_PLUGINS) -n 2 tests/pages

.PHONY: sbom
sbom: .venv/.dev ## List what is in the images (CycloneDX), into dist/
	@mkdir -p dist
	@for image in server=requirements-server.txt letta=chat_platform/launcher/letta/requirements.txt litellm=deploy/litellm/requirements.txt; do \
	  $(BIN)/cyclonedx-py requirements --output-reproducible -o dist/sbom-$${image%%=*}.json $${image#*=}; \
	done

# Beside another suite, hence the low priority.
.PHONY: images
images: tools ## Build the container images, and look what is in them
	@nice -n 19 $(BIN)/pytest -q -m rig $(BROWSER_PLUGINS) tests/containers/test_images.py

.PHONY: containers
containers: tools ## Run docker-compose.yml, and kill its services one by one
	@$(BIN)/pytest -q -m rig $(BROWSER_PLUGINS) tests/containers/test_stack.py

.PHONY: test-full
test-full: ## The slow rest, and the fast suite on Postgres
	@$(MAKE) --no-print-directory -j --output-sync=target unit-postgres images
	@$(MAKE) --no-print-directory -j --output-sync=target slow-rest slow-proxy
	@$(MAKE) --no-print-directory slow-chain slow-pages containers

.PHONY: faults
faults: .venv/.dev ## Break everything in new ways for SECONDS (DATABASE=sqlite|postgres), check the laws
	@$(BIN)/python -m tests.faults --seconds $(or $(SECONDS),60) --database $(or $(DATABASE),both)

.PHONY: fuzz
fuzz: .venv/.dev ## Send the API many odd requests (FUZZ_EXAMPLES a route)
	@FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-500} $(BIN)/pytest -q -m slow tests/api/test_fuzz.py

.PHONY: bench-login
bench-login: .venv/.dev ## Show that logins take the same time for known and unknown addresses
	@$(BIN)/python -m benchmarks.login

.PHONY: screenshots
screenshots: tools ## Take pictures of every page in every state into docs/screenshots
	@$(BIN)/python -m tests.pages.screenshots

.PHONY: bench-turns
bench-turns: .venv/.dev ## Measure what turns cost: latency over bare Letta, memory for many at once
	@$(BIN)/python -m benchmarks.turns.capacity
	@$(BIN)/python -m benchmarks.turns.chain

.PHONY: bench-hostile
bench-hostile: .venv/.dev ## Show how long hostile texts keep the server from everybody else
	@$(BIN)/python -m benchmarks.hostile

.PHONY: bench-proxy
bench-proxy: .venv/.dev ## Measure the LLM proxy beside nginx and other gateways (or BEFORE=folder)
	@$(BIN)/python -m benchmarks.proxy $(if $(BEFORE),--only $(OURS) --before $(BEFORE))

.PHONY: bench-load
bench-load: tools environments ## Measure the production shape: 500 pages, 50 answers at once, 1 server and 2
	@$(BIN)/python -m benchmarks.load

.PHONY: soak
soak: tools environments ## Run the production shape for MINUTES=60 with a fault a minute: does it grow, are the books right
	@MINUTES=$(or $(MINUTES),60) $(BIN)/python -m benchmarks.soak

.PHONY: bench-web
bench-web: tools ## Measure the chat page in Chromium beside Chainlit
	@$(BIN)/python -m benchmarks.web

.PHONY: requirements
requirements: .venv/.run ## Compile requirements*.txt from pyproject.toml
	@$(COMPILE) --extra embedded -o requirements.txt
	@$(COMPILE) -c requirements.txt -o requirements-server.txt
	@$(COMPILE) --extra traces -c requirements-server.txt -o requirements-traces.txt
	@$(COMPILE) --extra embedded --extra traces --extra dev -c requirements.txt -c requirements-traces.txt -o requirements-dev.txt

.PHONY: clean
clean: ## Remove what was built; keeps .data, your accounts and memory
	@rm -rf .venv .web .reflex .pytest_cache .ruff_cache .hypothesis
