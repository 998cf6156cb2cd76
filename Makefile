# Every target works from a fresh clone; `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.setup
BUILD := $(VENV)/.build
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -o -name Cargo.toml)
export PYO3_PYTHON := $(abspath $(BIN)/python)

.PHONY: help
help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.PHONY: setup
setup: $(SETUP) ## Make .venv with everything that building, testing and training need (torch among it).

$(SETUP): pyproject.toml
	@command -v cargo >/dev/null || { echo "cargo is missing: install Rust first, see README.md, section Install" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is older than 3.11: name a newer one with make PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --group dev
	@touch $@

.PHONY: build
build: $(BUILD) ## Build the release extension and install lmfast[torch] into .venv, editable.

$(BUILD): $(SETUP) $(RUST_SOURCES)
	$(BIN)/maturin develop --quiet --release --locked --extras torch
	@touch $@

.PHONY: demo
demo: build ## Run the main job on real text: raw text to a table of language models, in runs/demo.
	$(BIN)/lmfast demo

.PHONY: lint
lint: build ## Check formats, lints, types and the stub of the compiled module.
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked --quiet -- --deny warnings
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest lmfast._core

# How many cases a property of the Rust tests is tried with where it does not say so itself; 256 and more by hand.
export PROPTEST_CASES ?= 100

.PHONY: test
test: build ## Run every test, Rust and Python.
	cargo test --locked --quiet
	$(BIN)/pytest

DATA := $(abspath $(or $(LMFAST_DATA),../shared))

.PHONY: acceptance
acceptance: build ## Run the acceptance programs of tokenizers and n-grams, quickly, where LMFAST_DATA has them.
	@for name in tokenization ngram; do \
		if [ -f $(DATA)/checks/$$name.py ]; then \
			$(BIN)/python $(DATA)/checks/$$name.py --quick; \
		else \
			echo "no acceptance program $$name.py in $(DATA): skipped"; \
		fi; \
	done

.PHONY: bench
bench: build ## Run the benchmarks; the table goes to benches/results by hand, see benches/README.md.
	$(BIN)/pytest benches --benchmark-enable --benchmark-only --benchmark-columns=min,median,max,rounds --benchmark-sort=name

.PHONY: wheel
wheel: $(SETUP) ## Build one abi3 wheel for every Python from 3.11 on, into dist.
	$(BIN)/maturin build --profile dist --locked --out dist

.PHONY: clean
clean: ## Remove what the other targets made, but not runs.
	cargo clean
	rm -rf $(VENV) dist
