# make run   set up .venv and start the lab on http://127.0.0.1:8501
# make test  set up everything that the tests need (including Chromium) and run all checks

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Show the progress of downloads in a terminal, but keep logs short.
define install
	@echo "Installing PyTorch, Streamlit and the other packages into $(VENV); this takes some minutes the first time."
	$(BIN)/python -m pip install $(if $(shell test -t 2 && echo terminal),,--quiet) -c constraints.txt $(1)
endef

.PHONY: run test test-all test-shuffled test-slow test-gpu test-cluster mutation check format bench constraints clean

run: $(VENV)/.run
	$(BIN)/python -m lab serve

test: $(VENV)/.dev
	PATH="$(CURDIR)/$(BIN):$$PATH" bash .ci/check

# As in CI: including the long tests, of complete process lifetimes and of details of pages.
test-all:
	LAB_TESTS=all $(MAKE) test

# Random orders of files, classes and tests reveal tests that depend on others.
test-shuffled: $(VENV)/.dev
	for seed in 1 2 3 4 5; do \
	    $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -p randomly --randomly-seed=$$seed \
	        --randomly-dont-reset-seed || exit 1; \
	done

test-slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow

test-gpu: $(VENV)/.dev
	$(BIN)/python -m pytest -m gpu

test-cluster: $(VENV)/.dev
	bash .ci/cluster
	$(BIN)/python -m pytest -m cluster -rP

mutation: $(VENV)/.dev
	$(BIN)/python -m tests.mutation

check: $(VENV)/.dev
	PATH="$(CURDIR)/$(BIN):$$PATH" bash .ci/check --no-tests

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.training
	$(BIN)/python -m benchmarks.speedrun
	$(BIN)/python -m benchmarks.overhead
	$(BIN)/python -m benchmarks.inside

$(VENV)/bin/python:
	@$(PYTHON) -m lab.platforms
	@echo "Making a virtual environment in $(VENV)."
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml requirements.txt constraints.txt | $(VENV)/bin/python
	$(call install,-e .)
	touch $@

$(VENV)/.dev: pyproject.toml requirements.txt requirements-dev.txt constraints.txt | $(VENV)/bin/python
	$(call install,-r requirements-dev.txt -e .)
	touch $(VENV)/.run $@

# Pin the installed versions, after the tests have passed with them.
constraints: $(VENV)/.dev
	$(BIN)/python .ci/constraints.py > constraints.txt.new
	mv constraints.txt.new constraints.txt

clean:
	rm -rf $(VENV) *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
