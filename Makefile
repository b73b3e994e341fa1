# The only entry a fresh machine needs beside Python 3.11 and git. CI calls the same targets.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
CBOR5  := .venv-cbor5
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# What make soak picks (SOAK= means everything) and what make fuzz and make mutants are told besides.
SOAK         ?= soak
FUZZ_ARGS    ?=
# Tests run on two cores side by side; TEST_ARGS= runs them one after the other.
TEST_ARGS    ?= -n 2 --dist worksteal
MUTANTS_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test check lint cbor-matrix bench mutants soak fuzz system clean

help:
	@echo "make run      set up, then watch people who never meet get each other's news"
	@echo "make test     set up, then all tests"
	@echo "make check    ruff, mypy, import-linter, then all tests with coverage and on two cbor2 versions"
	@echo "make bench    print numbers"
	@echo "make mutants  plant each known fault and see it caught"
	@echo "make soak     the long tests, then the fuzzer"
	@echo "make fuzz     the fuzzer alone"
	@echo "make clean    remove what the above made"

# Each stamp is older than pyproject.toml only when something must be installed.
$(VENV)/.core: pyproject.toml
	@PYTHON=$(PYTHON) tools/system-packages.sh venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed; try make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade 'pip>=25.1'
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	$(PIP) --group dev
	@touch $@

$(VENV)/.fuzz: $(VENV)/.dev
	$(PIP) --group fuzz
	@touch $@

$(CBOR5)/.stamp: $(VENV)/.dev Makefile
	rm -rf $(CBOR5)
	$(PIP) --target $(CBOR5) --no-deps 'cbor2==5.9.0'
	@touch $@

system:
	@tools/system-packages.sh node cc sqlite

run: $(VENV)/.core
	$(BIN)/passalong demo

test: system $(VENV)/.dev
	HYPOTHESIS_PROFILE=ci $(BIN)/python -m pytest $(TEST_ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The phone has cbor2 5.9, the desk 6: the same bytes must come out of both.
cbor-matrix: $(CBOR5)/.stamp
	PYTHONPATH=$(CBOR5) $(BIN)/python -c 'from importlib.metadata import version as v; assert v("cbor2") == "5.9.0", v("cbor2")'
	PYTHONPATH=$(CBOR5) HYPOTHESIS_PROFILE=ci $(BIN)/python -m pytest -q tests/ledger/test_codec.py

check: lint system cbor-matrix
	HYPOTHESIS_PROFILE=ci $(BIN)/python -m pytest --cov $(TEST_ARGS)

bench: $(VENV)/.dev
	$(BIN)/python -m bench

mutants: system $(VENV)/.dev
	$(BIN)/python tools/mutants.py $(MUTANTS_ARGS)

soak: system $(VENV)/.dev
	HYPOTHESIS_PROFILE=night $(BIN)/python -m pytest -m '$(SOAK)' --timeout=7200
	@$(MAKE) --no-print-directory fuzz

fuzz: $(VENV)/.fuzz
	$(BIN)/python tools/fuzz.py $(FUZZ_ARGS)

clean:
	rm -rf $(VENV) $(CBOR5) build dist htmlcov .coverage .coverage.* .hypothesis
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
