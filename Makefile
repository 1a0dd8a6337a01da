# Everything runs in .venv, which `setup` makes and keeps in step with pyproject.toml and requirements.lock.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
# The user whose recommendations `pipeline` and `sample` print.
USER_ID ?= 1016
# What `serve` answers from: params.PRESET.yaml's releases where one is named.
PRESET ?=
ARTIFACTS := $(CURDIR)/$(if $(PRESET),.$(PRESET)/)artifacts

export PATH := $(BIN):$(PATH)
export PYTHONHASHSEED := 0
export BENTOML_DO_NOT_TRACK := True

.DEFAULT_GOAL := help
.PHONY: help setup pipeline sample best serve stack image test lint check lab bench lock clean

help:  ## say what each target does
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/installed  ## make .venv and install what requirements.lock pins

$(VENV)/installed: pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --quiet --constraint requirements.lock --editable '.[dev]'
	touch $@

pipeline: setup  ## data, training, evaluation, release; then one user's recommendations
	recsys train --mode full --no-gate
	recsys recommend --user $(USER_ID) --k 10 --explain

sample: setup  ## the same on a seeded share of the users, in .sample/; the full artifacts stay as they are
	recsys train --mode sampled --no-gate
	cd .sample && PYTHONPATH=src recsys recommend --user $(USER_ID) --k 10 --explain

best: setup  ## the preset that puts quality first, in .best/; up to two hours
	recsys train --mode full --preset best --no-gate
	cd .best && PYTHONPATH=src recsys recommend --user $(USER_ID) --k 10 --explain

serve: setup  ## the newest release (of PRESET=name) as a service with its page, on http://localhost:3000
	cd bentos/recommender && RECSYS_RELEASES=$(ARTIFACTS)/releases RECSYS_STORE=$(ARTIFACTS)/store \
		bentoml serve service:RecommenderService --port 3000

stack: setup  ## two replicas behind HAProxy, Redis and S3 as processes of this machine, on http://localhost:3000
	python deploy/stack.py

image: setup  ## the container images, built by podman, run with no rights and compared with the command line; as root
	python benchmarks/image/run.py

test: setup  ## all tests
	OMP_NUM_THREADS=1 pytest -n 2 --dist loadgroup

lint: setup  ## style, types, import rules
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-cache

check: lint  ## what must hold before a commit: lint, and all tests but the slow ones
	OMP_NUM_THREADS=1 pytest -n 2 --dist loadgroup -m 'not slow'

lab: setup  ## JupyterLab on the notebooks
	PYTHONSTARTUP=$(CURDIR)/notebooks/startup.py jupyter lab

bench: setup  ## every benchmark in benchmarks/, one after the other, on an idle machine with redis-server, haproxy and podman; most of a day
	set -e; for each in benchmarks/*/run.py benchmarks/serving/growth.py benchmarks/serving/parity.py; do \
		echo $$each; python $$each; done

lock: setup  ## write requirements.lock anew from .venv
	{ sed -n '/^#\|;/p' requirements.lock; pip freeze --exclude-editable --exclude async-timeout | sed 's/+cpu$$//'; } > requirements.lock.new
	mv requirements.lock.new requirements.lock

clean:  ## remove .venv, folders of presets and caches; data, artifacts and releases stay
	rm -rf $(VENV) $(patsubst params.%.yaml,.%,$(wildcard params.*.yaml)) .mypy_cache .ruff_cache .hypothesis build src/*.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
