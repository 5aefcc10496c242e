# Two commands for a newcomer: make demo, make test. Each sets up .venv by itself.

PYTHON ?= python3
PIP_ARGS ?=
BIN := .venv/bin
READY := .venv/.ready
TESTS ?= tests

.PHONY: help setup demo test check format bench-speed clean

help:
	@echo "make demo         build data, train for two minutes, translate a clip, print a leaderboard (about 8 minutes)"
	@echo "make test         check, then the tests"
	@echo "make check        format, lint, types, import rules"
	@echo "make format       put the code into shape"
	@echo "make bench-speed  measure the ratios that docs/performance.md reports"
	@echo "make setup        only the environment (.venv); PIP_ARGS='...' is handed to pip"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "VIDiff needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; name another with make PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv 2>/dev/null || (rm -rf .venv; \
		echo "python3 has no venv module here; taking virtualenv from pip instead"; \
		$(PYTHON) -m pip install -q --target .venv-bootstrap virtualenv && \
		PYTHONPATH=.venv-bootstrap $(PYTHON) -m virtualenv -q .venv && rm -rf .venv-bootstrap)
	@echo "installing into .venv (some minutes the first time)"
	@$(BIN)/python -m pip install -q --disable-pip-version-check $(PIP_ARGS) -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY)
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python scripts/demo.py

check: $(READY)
	@$(BIN)/ruff format --check -q . || (echo "run make format"; exit 1)
	@$(BIN)/ruff check -q .
	@$(BIN)/mypy
	@$(BIN)/lint-imports > .lint-imports.log || (cat .lint-imports.log; exit 1)

test: check
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile --max-worker-restart 1 $(TESTS)

format: $(READY)
	@$(BIN)/ruff check -q --fix . ; $(BIN)/ruff format -q .

bench-speed: $(READY)
	@$(BIN)/python scripts/bench_speed.py
	@$(BIN)/python scripts/bench_model.py
	@$(BIN)/python scripts/bench_scores.py

clean:
	rm -rf .venv .venv-bootstrap build *.egg-info .mypy_cache .ruff_cache .pytest_cache .lint-imports.log
