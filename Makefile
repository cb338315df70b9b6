# `make` prints what there is. Each target sets up what it needs, from nothing.

PYTHON ?= python3
VENV   := .venv
KEDRO  := $(VENV)/bin/kedro
READY  := $(VENV)/.requirements-installed
SEEDS  ?=
# Plugins of Kedro start programs by their names.
IN_VENV := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"

.DEFAULT_GOAL := help
.PHONY: help setup data study demo test format mlflow serve viz

help: ## Print this list.
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 16

setup: $(READY) ## Create .venv with the pinned requirements, or reuse it.

# Written last, so that a set-up that was cut short is done again.
$(READY): requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || { \
		echo "Python 3.11, 3.12 or 3.13 is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name one: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

data: $(READY) ## Get Fashion-MNIST into data/01_raw, where it is not there yet.
	@PYTHON=$(VENV)/bin/python scripts/get_data.sh data/01_raw/fashion_mnist

study: data ## Run the whole study: six experiments, seeds 0, 1 and 2; SEEDS=1 for fewer.
	$(KEDRO) run $(if $(SEEDS),--params=seeds=$(SEEDS))

demo: data ## Run the same study in miniature: fewer images, epochs and seeds, real images.
	$(KEDRO) run --env=demo

test: $(READY) ## Check style and types, then run the tests.
	$(VENV)/bin/ruff check --quiet .
	$(VENV)/bin/ruff format --quiet --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder

format: $(READY) ## Format the code.
	$(VENV)/bin/ruff check --fix --quiet .
	$(VENV)/bin/ruff format --quiet .

mlflow: $(READY) ## Open MLflow's user interface on the tracked runs.
	$(IN_VENV) $(KEDRO) mlflow ui

serve: $(READY) ## Serve the best network of the studies run so far at http://127.0.0.1:5001.
	MLFLOW_TRACKING_URI=sqlite:///$(CURDIR)/mlflow.db $(IN_VENV) $(VENV)/bin/mlflow models serve \
		--env-manager local --host 127.0.0.1 --port 5001 --model-uri models:/fashion-mnist-cnn@champion

viz: $(READY) ## Open kedro-viz on the pipelines.
	$(IN_VENV) $(KEDRO) viz run
