# Calls things, decides nothing. Every target sets up .venv first if need be (again when the pins change).
#   make run [SOURCE=sgd DATA=../shared/data/sgd PROFILE=laptop MINUTES=20 SEED=0 ARGS="--conversations 50"]
#   make test [TESTS="tests/test_settings.py -k names" WORKERS=2]     make check     make ui     make clean-venv
#   make server (Prefect, MLflow, a worker)     make deploy     make soak [KILLS=500 SEED=0]

PYTHON ?= python3.11
PROFILE ?= laptop
SOURCE ?= simulated
KILLS ?= 500
WORKERS ?= 2
READY = .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help setup run test check ui server deploy soak clean-venv

help:
	@sed -n 's/^#   //p' Makefile

setup: $(READY)

$(READY): pyproject.toml constraints.txt .ci/set_up.py
	@command -v $(PYTHON) >/dev/null || { echo "make: no $(PYTHON) here; install Python 3.11 or name one: make PYTHON=…"; exit 1; }
	@$(PYTHON) .ci/set_up.py
	@touch $@

run: $(READY)
	.venv/bin/apprentice run --profile $(PROFILE) --source $(SOURCE)$(if $(DATA), --path "$(DATA)")$(if $(MINUTES), --minutes $(MINUTES))$(if $(SEED), --seed $(SEED))$(if $(ARGS), $(ARGS))

# A file's tests stay in one process, which they share fixtures in; the longest files come first (tests/conftest.py).
test: $(READY)
	.venv/bin/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

check: $(READY)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/mypy benchmarks/*.py
	.venv/bin/lint-imports

ui: $(READY)
	.venv/bin/apprentice ui

server: $(READY)
	.venv/bin/apprentice server

deploy: $(READY)
	.venv/bin/apprentice deploy

soak: $(READY)
	.venv/bin/python benchmarks/crashes.py --kills $(KILLS) --seed $(or $(SEED),0)

clean-venv:
	rm -rf .venv
