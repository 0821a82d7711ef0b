# Every target makes what it needs; `make run` and `make test` are all that a new machine takes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install run test check format types lint contracts docs golden tiny servers ray clients fuzz browser latex wheel release-check clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## An environment in .venv with all that development needs

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

run: install ## The loop on 30 of the shipped example queries with the embedded pair
	$(BIN)/tpo run --limit 30

test: install ## The tests
	$(BIN)/python -m pytest

check: format lint types contracts docs test ## Every check, tests included

format: install
	$(BIN)/ruff format --check .

lint: install
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

contracts: install
	$(BIN)/lint-imports

golden: install ## Every request and reply of each method against the recording (minutes)
	$(BIN)/python -m benchmarks.golden check benchmarks/results/golden.json.gz

docs: install ## Build the site into build/site; a warning is an error
	$(BIN)/zensical build --strict --clean

tiny: install ## The embedded pair, trained again from its seed (slow: leave it to itself)
	$(BIN)/python -m training.make --out src/tpo/tiny

servers: install ## The tests against real vLLM servers, in an environment of their own
	bash tests/servers/run.sh

ray: ## The tests on a two-node Ray cluster of this machine, in an environment of their own
	bash tests/scale/ray.sh

clients: install ## The endpoint's tests with real client packages, in an environment of their own
	bash tests/serve/clients.sh

fuzz: install ## Ten minutes of random requests to the endpoint, made from its OpenAPI document
	bash tests/serve/clients.sh --collect-only -q > /dev/null
	$(BIN)/python -m tests.serve.fuzz 600

browser: install ## The tests of the page, in Chromium
	bash tests/browser.sh

latex: install ## The tables of a sweep and a benchmark, compiled by the LaTeX engines of this machine
	$(BIN)/python -m pytest tests/experiments/test_tables.py

wheel: install ## Build the wheel and the source distribution into dist
	rm -rf dist
	$(BIN)/python -m build --quiet

release-check: wheel ## Install the wheel in an empty environment and run the README's commands from it
	bash tests/release_check.sh

clean: ## Remove what the other targets made
	rm -rf $(VENV) .venv-* .pytest_cache .mypy_cache .ruff_cache build dist
