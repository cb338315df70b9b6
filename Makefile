# `make` lists the targets. Each target installs whatever it still needs.

PYTHON ?= python3
VENV   := .venv
KEDRO  := $(VENV)/bin/kedro
READY  := $(VENV)/.requirements-installed
# Both come from make's command line only: shells have variables of the same name for other purposes.
SEEDS  =
# Environment of conf for study, mlflow, serve and viz: ENV=demo shows what `make demo` has made.
ENV    =
IN_ENV = $(if $(ENV),"--env=$(ENV)")
# Kedro plugins start programs by name, so the environment must be on PATH.
IN_VENV := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"

.DEFAULT_GOAL := help
.PHONY: help setup unmoved data study demo test soak format mlflow serve viz

help: ## Print this list.
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

setup: $(READY) ## Create .venv with the pinned requirements, or reuse it.

# The programs in .venv begin with the path of its Python, which is wrong once the project was moved.
unmoved:
	@python=$$(sed -n '1s/^#!//p' $(VENV)/bin/kedro 2>/dev/null); [ -z "$$python" ] || [ -x "$${python%% *}" ] || { \
		echo "This project was moved, but $(VENV) cannot be: remove it (rm -rf $(VENV)), and run make again." >&2; exit 1; }

# Touched last, so that an interrupted set-up runs again.
$(READY): requirements.txt | unmoved
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || { \
		echo "Python 3.11, 3.12 or 3.13 is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Choose another: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -r requirements.txt
# On all cores, unlike pip. Some packages have templates that are not valid Python.
	@$(VENV)/bin/python -m compileall -qq -j 0 $(VENV)/lib || true
	@touch $@

data: $(READY) ## Get Fashion-MNIST into data/01_raw, if it is missing.
	@PYTHON=$(VENV)/bin/python scripts/get_data.sh data/01_raw/fashion_mnist

study: data ## Run the whole study with seeds 0, 1 and 2; SEEDS=1 runs seed 0 only.
	$(KEDRO) run $(IN_ENV) $(if $(SEEDS),"--params=seeds=$(SEEDS)")

demo: data ## Run the study in miniature: real images, but fewer of them, and fewer epochs and seeds.
	$(KEDRO) run --env=demo

test: $(READY) ## Check style and types, then run the tests.
	$(VENV)/bin/ruff check --quiet .
	$(VENV)/bin/ruff format --quiet --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder

soak: $(READY) ## Kill and disturb small studies for an hour, and count what is lost.
	PYTHONPATH=src $(VENV)/bin/python -m tests.reliability.harness

format: $(READY) ## Format the code.
	$(VENV)/bin/ruff check --fix --quiet .
	$(VENV)/bin/ruff format --quiet .

mlflow: $(READY) ## Open MLflow's user interface on the tracked runs.
	$(KEDRO) tracking $(IN_ENV)

serve: $(READY) ## Serve the best network so far at http://127.0.0.1:5001.
	$(KEDRO) serve $(IN_ENV)

viz: $(READY) ## Show the pipelines in Kedro-Viz.
	$(IN_VENV) $(KEDRO) viz run $(IN_ENV)
