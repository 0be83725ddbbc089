# Everything is installed into .venv, which the first command makes, with the pins of requirements.txt.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
SETTINGS := requirements.txt pyproject.toml
FAST := not slow and not integration
# Each process computes on one thread, as there are as many processes as cores. Java does without its second compiler:
# a broker that lives for a minute does not pay for it.
PYTEST := OMP_NUM_THREADS=1 JDK_JAVA_OPTIONS=-XX:TieredStopAtLevel=1 $(BIN)/pytest
# Tests of servers wait more than they compute.
WORKERS := $(shell expr $$(nproc) + 2)

.DEFAULT_GOAL := help
.PHONY: help train check test lint fast coverage mutants notebook servers install-servers airflow secrets demo kubernetes-check bench pins clean

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

train: $(VENV)/core  ## install the core, pretrain and train on the bundled data, write the report
	$(BIN)/python train.py --pretrain --train

check: $(VENV)/dev  ## run before a commit: format, lint, types, layers and the fast tests, in a minute
	$(MAKE) --jobs 2 --output-sync=target lint fast

test: $(VENV)/dev  ## install everything for development, static checks, all tests but three long files
	$(MAKE) --jobs 2 --output-sync=target lint install-servers
	$(PYTEST) -n $(WORKERS)

install-servers: $(VENV)/dev  # the tests of a server that cannot be installed are skipped
	-PYTHONPATH=tests $(BIN)/python -m servers --install

lint: $(VENV)/dev  ## check by ruff and mypy, and the layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

fast: $(VENV)/dev  ## run the fast tests, which need no server
	$(PYTEST) -n auto -q -m "$(FAST)" --hypothesis-profile=quick --durations=5 --durations-min=0.5

coverage: $(VENV)/dev  ## run all tests and show which lines and branches they reach, also in processes of their own
	$(PYTEST) -n $(WORKERS) --cov --cov-report=term:skip-covered --cov-report=html:build/coverage

mutants: $(VENV)/dev  ## measure how many of 400 random changes of the code the fast tests notice (ALL=1: of all)
	PYTHONPATH=tests $(BIN)/python -m mutation $(if $(ALL),--all)

notebook: $(VENV)/dev  ## run the notebook and store its outputs
	KEEP_OUTPUTS=1 $(BIN)/pytest -k to_the_end tests/test_notebook.py

servers: $(VENV)/dev  ## install and start Kafka with ZooKeeper, a MongoDB-wire server and PostgreSQL, until Ctrl-C
	PYTHONPATH=tests $(BIN)/python -m servers

airflow: $(VENV)/dev  ## start these servers and Airflow with the three DAGs switched on, until Ctrl-C
	PYTHONPATH=tests $(BIN)/python -m servers --airflow

secrets:  ## make random passwords and keys for docker compose; existing ones stay
	docker/make-secrets.sh

demo: secrets  ## start the stack of docker compose, wait for its first champion, show two scores, print where to look
	docker compose up --detach --build
	docker compose exec airflow-scheduler loan-default status --until-champion 1800
	docker/demo-scores.sh
	@echo "Airflow: http://$$(docker compose port airflow-apiserver 8080), user admin, password in secrets/AIRFLOW_ADMIN_PASSWORD."
	@echo "Drop CSV files of your own into incoming/. Stop with: docker compose down"

kubernetes-check: $(VENV)/dev  ## check kubernetes/ by an API server of Kubernetes (builds it once)
	PYTHONPATH=tests $(BIN)/python kubernetes/validate.py --install

bench: $(VENV)/benchmarks  ## run the measurements of the README (hours); `python -m benchmarks.NAME --help` for one
	$(BIN)/python -m benchmarks.presets
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.time_to_best
	PYTHONPATH=tests $(BIN)/python -m benchmarks.tables
	$(BIN)/python -m benchmarks.labels
	$(BIN)/python -m benchmarks.quality
	$(BIN)/python -m benchmarks.generated
	PYTHONPATH=tests $(BIN)/python -m benchmarks.ingestion

pins: $(VENV)/dev  ## compile requirements.txt again from pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --python-version 3.11 --all-extras --no-header \
		--annotation-style line pyproject.toml --output-file requirements.txt

clean:  ## remove the environment and what was built; runs/, secrets/ and incoming/ stay
	rm -rf $(VENV) build mutants notebooks/runs .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# Each extra has a stamp: a second installation costs nothing as long as the pins stay.
$(VENV)/core: $(VENV)/bin/python $(SETTINGS)
	$(BIN)/pip install --quiet --constraint requirements.txt --editable '.[serving]'
	@touch $@

$(VENV)/dev: $(VENV)/bin/python $(SETTINGS)
	$(BIN)/pip install --quiet --constraint requirements.txt --editable '.[dev,airflow,serving]'
	@touch $@ $(VENV)/core

$(VENV)/benchmarks: $(VENV)/bin/python $(SETTINGS)
	$(BIN)/pip install --quiet --constraint requirements.txt --editable '.[dev,airflow,serving,benchmarks]'
	@touch $@ $(VENV)/core $(VENV)/dev
