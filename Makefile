# Two commands on a fresh machine (python3 with venv, and make): `make run` and `make test`.
# Everything is installed into .venv beside this file; nothing outside the clone is changed.

PYTHON ?= python3
VENV   := .venv
ifeq ($(OS),Windows_NT)
BIN    := $(VENV)/Scripts
else
BIN    := $(VENV)/bin
endif
STAMP  := $(VENV)/.rsnb-installed
SIGLIP := $(VENV)/siglip
ARGS   ?=

export UV_HTTP_TIMEOUT ?= 300
# Compiled once here, as pip does; else every program compiles PyTorch anew where PYTHONDONTWRITEBYTECODE is set.
export UV_COMPILE_BYTECODE ?= 1

PYTEST := $(BIN)/python -m pytest -n 2 --dist loadscope

.DEFAULT_GOAL := help
.PHONY: help install run test check faults campaign lab notebooks site browser lint doctor clean

help:
	@echo "make run        install into .venv, execute every notebook; results go to outputs/"
	@echo "make test       the tests: behaviour, and every notebook once with less work (4 minutes on two cores)"
	@echo "make check      what takes longer: kills, long equalities, ViT-B/32 sizes, the notebooks' other forms"
	@echo "make faults     damaged and unusual files, values, kills, disks, streams, servers: a table by kind (minutes)"
	@echo "make campaign   what is run before a release and may take hours"
	@echo "make lint       ruff, and what is asked of the notebooks' and the lecturers' text"
	@echo "make lab        open JupyterLab at a start page, on a copy of the lessons in work/"
	@echo "make doctor     check Python, packages, memory, data and weights"
	@echo "make notebooks  rebuild notebooks/*.ipynb from notebooks/source/*.py and execute them in place"
	@echo "make site       the notebooks as a book of HTML pages in outputs/site, links checked"
	@echo "make browser    JupyterLab, the site and the pages of make run in Chromium (which must be there)"
	@echo "make clean      remove caches, build folders and .venv (keeps outputs/ and runs/)"
	@echo "ARGS passes options on, for example: make run ARGS=\"--data ucm --root ../ucm\""

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10))" || { \
	    echo "Python 3.10 or newer is needed; found: $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "Python's venv module is missing. On Debian or Ubuntu: sudo apt install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv || echo "uv could not be installed; using pip"
	$(BIN)/python -m uv pip install --python $(BIN)/python -c constraints.txt -e ".[dev]" \
	    || $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

run: install
	$(BIN)/python -m rsnb run $(ARGS)

# Every test is in exactly one of these three.
test: install
	$(PYTEST) -m "not check and not campaign" $(ARGS)

check: install $(SIGLIP)
	$(PYTEST) -m "check and not campaign" $(ARGS)
	PYTHONPATH="$(CURDIR)/$(SIGLIP)" $(BIN)/python -m pytest -q tests/test_towers.py -k siglip

# The extra siglip, in a folder of its own: where transformers is installed, every import of open_clip takes a second more.
$(SIGLIP): $(STAMP)
	$(BIN)/python -m uv pip install --quiet --target $(SIGLIP) -c constraints.txt "transformers[sentencepiece]" \
	    || $(BIN)/python -m pip install --quiet --target $(SIGLIP) -c constraints.txt "transformers[sentencepiece]"
	@touch $@

faults: install
	$(BIN)/python -m tests.faults $(ARGS)

campaign: install  # pytest ends with 5 where it finds no test
	$(BIN)/python -m tests.faults
	@$(PYTEST) -m campaign $(ARGS) || { test $$? -eq 5 && echo "no test is marked campaign yet: nothing to do"; }

lab: install
	$(BIN)/python -m rsnb lab $(ARGS)

doctor: install
	$(BIN)/python -m rsnb doctor $(ARGS)

notebooks: install
	$(BIN)/python -m rsnb run --inplace $(ARGS)

site: install
	$(BIN)/python -m rsnb site $(ARGS)

browser: install
	$(BIN)/python -m uv pip install --python $(BIN)/python -c constraints.txt -e ".[dev,browser]" \
	    || $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[dev,browser]"
	npm install --silent --no-save --no-audit --prefix .cache/axe axe-core || echo "no axe-core: its check is skipped"
	$(BIN)/python -m pytest $(wildcard tests/test_browser*.py) $(ARGS)

lint: install
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check rsnb tests notebooks/source
	$(BIN)/python -m pytest -q tests/lint_prose.py $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache
	find rsnb tests notebooks -name __pycache__ -o -name .ipynb_checkpoints | xargs rm -rf
