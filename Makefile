# make demo, make test and make check set everything up by themselves; all that is needed is Python 3.11 to 3.13.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all check matrix docs pictures clean

help:  ## list these verbs
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(READY)  ## install Loupe and its tools into .venv

demo: $(READY)  ## draw pictures, train, calibrate, test, and write a report
	@$(BIN)/loupe demo

TESTS := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

test: $(READY)  ## run the tests, but for those of whole procedures: five minutes, while you work
	@$(TESTS) -m 'not slow and not gpu and not procedure'

test-all: $(READY)  ## run all tests, as before a change is handed in (those marked slow or gpu by name: pytest -m slow)
	@$(TESTS)

check: $(READY)  ## lint, formatting, types
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

matrix: $(READY)  ## train every model on every drawn domain, at tiny size (slow; goes on where it was stopped)
	@$(BIN)/python -m benchmarks.matrix

docs: $(READY)  ## build the site to build/site/index.html, which opens without a network
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo build/site/index.html

pictures: $(READY)  ## draw the documentation's pictures of pages anew; needs Chromium
	@$(BIN)/python -m benchmarks.site_pictures

clean:  ## remove what make setup made
	rm -rf $(VENV)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "Expected Python 3.11 to 3.13, found $$($(PYTHON) --version); set PYTHON=, as in: make setup PYTHON=python3.12"; exit 1; }
	@echo "Setting up $(VENV): downloads about 3 GB, once; takes 8 GB here, and 3 GB more in $${TMPDIR:-/tmp} meanwhile."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip  # old ones take twice as long
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]' || \
		{ echo "Expected to install Loupe, but pip could not: see above. Where it ran out of space, this is what is left:"; df -h . "$${TMPDIR:-/tmp}"; exit 1; }
	@touch $@
