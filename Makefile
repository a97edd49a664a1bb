# `make help` explains the targets.
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/python -m uv
NATIVE := annotator/native/kernels.so

.PHONY: help setup setup-dev demo test check format lint types imports bench bench-gpu accuracy lock clean

help:  ## explain the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(NATIVE)  ## make .venv with what annotating on a CPU needs (no TensorFlow)

setup-dev: $(VENV)/dev.stamp  ## add what developing and testing need

demo: setup  ## draw clips from public-domain portraits, name who is in them, and show the result
	$(BIN)/annotator demo

test: setup-dev  ## run the tests
	$(BIN)/pytest -n auto

check: format lint types imports test  ## everything that CI runs

format: setup-dev  ## is the code formatted?
	$(BIN)/ruff format --check .

lint: setup-dev  ## ruff, all rules minus reasoned ignores
	$(BIN)/ruff check .

types: setup-dev  ## mypy, strict
	$(BIN)/mypy

imports: setup-dev  ## do the arrows point one way?
	$(BIN)/lint-imports

bench: setup-dev  ## measure the speed beside other programs and write docs/performance.md (about two hours; CLIPS=folder)
	$(BIN)/python -m benchmarks.speed $(if $(CLIPS),--clips "$(CLIPS)")

bench-gpu:  ## measure the speed on an NVIDIA GPU, in an environment of its own, and write docs/performance-gpu.md
	@command -v nvidia-smi > /dev/null || { echo "There is no NVIDIA GPU here (no nvidia-smi): run it where there is one,"; \
	  echo "or, as a trial: make setup-dev && $(BIN)/python -m benchmarks.speed.gpu --device cpu --quick"; exit 1; }
	$(MAKE) VENV=.venv-gpu .venv-gpu/gpu.stamp
	.venv-gpu/bin/python -m benchmarks.speed.gpu

accuracy: setup-dev  ## measure how sure names are and write docs/accuracy.md (half an hour to three quarters)
	$(BIN)/python -m benchmarks.accuracy

lock: setup-dev  ## resolve the dependencies anew, with hashes and without addresses
	$(UV) pip compile requirements/bootstrap.in --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --quiet -o requirements/bootstrap.lock
	$(UV) pip compile pyproject.toml --extra local-stack --extra tracing --extra web --extra oidc --extra parquet --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --quiet -o requirements/dev.lock
	$(UV) pip compile pyproject.toml -c requirements/dev.lock --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --quiet -o requirements/base.lock
	$(UV) pip compile pyproject.toml --extra tracing --extra web --extra oidc -c requirements/dev.lock --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --quiet -o requirements/image.lock
	$(UV) pip compile pyproject.toml --extra tracing --extra gpu --extra board -c requirements/dev.lock \
	  --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet -o requirements/gpu.lock
	$(UV) pip compile benchmarks/peers/peers.in --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --quiet -o benchmarks/peers/peers.lock
	$(UV) pip compile benchmarks/peers/torch.in -c benchmarks/peers/peers.lock --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --quiet -o benchmarks/peers/torch.lock
	$(UV) pip compile benchmarks/peers/facenet.in --no-deps --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --quiet -o benchmarks/peers/facenet.lock

clean:  ## remove .venv and what the tools cached
	rm -rf $(VENV) .venv-gpu $(NATIVE) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

$(BIN)/uv: requirements/bootstrap.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock
	@touch $@

$(VENV)/base.stamp: $(BIN)/uv requirements/base.lock pyproject.toml
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/base.lock
	@touch $@

# Installing the package compiles it.
$(NATIVE): $(VENV)/base.stamp hatch_build.py annotator/native/kernels.c
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .

$(VENV)/gpu.stamp: $(NATIVE) requirements/gpu.lock
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/gpu.lock
	@touch $@

$(VENV)/dev.stamp: $(NATIVE) requirements/dev.lock
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.lock
	@touch $@
