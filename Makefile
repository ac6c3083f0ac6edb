# Each target works alone right after clone; needed: python3 (3.11 or newer), python3-venv, make.
#
#   make demo        train a VAE on handwritten digits on the CPU; pictures in runs/demo/
#   make test        the whole test suite
#   make fuzz        5,000 random programs with changes in place against a slow reference (and
#                    PyTorch, if it is there); SEED=... draws the same ones again
#   make lint        ruff and mypy
#   make parity      the suite that compares with PyTorch (installs its CPU build)
#   make lessons        rebuild the notebooks in lessons/ from lessons/src/
#   make lessons-check  execute every lesson from a fresh kernel; compare with its outputs
#   make lessons-mutate  do the lessons' checks notice mistakes? All mutants; survivors are listed
#   make bench       side by side with PyTorch: per-op overhead and training steps
#   make gpu-check   everything about the GPU: tests, kernels, speed (says so if there is none)

PYTHON ?= python3
BIN := .venv/bin
TORCH := torch==2.13.0

.PHONY: demo test fuzz lint parity lessons lessons-check lessons-mutate bench gpu-check clean

# One stamp a set of extras: made again when the metadata changes, not when the code does.
.venv/%.stamp: pyproject.toml setup.py | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$*]'
	@touch $@

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/torch.stamp: .venv/test.stamp
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	@touch $@

demo: .venv/plot.stamp
	$(BIN)/tinygen demo

test: .venv/test.stamp
	$(BIN)/python -m pytest -q -n auto --dist loadfile

SEED ?= $(shell date +%s)
fuzz: .venv/test.stamp
	@echo "seed $(SEED)"
	FUZZ=5000 $(BIN)/python -m pytest -q tests/engine/test_fuzz.py --hypothesis-seed=$(SEED)

lint: .venv/test.stamp .venv/lint.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

parity: .venv/torch.stamp
	$(BIN)/python -m pytest -q tests/parity tests/conv tests/nn/test_images.py tests/data \
	    tests/engine/test_fuzz.py tests/engine/test_shared_memory.py

lessons: .venv/lessons-build.stamp
	$(BIN)/python lessons/build.py

lessons-check: .venv/lessons-build.stamp
	$(BIN)/python lessons/build.py --check

# make lessons-mutate MUTANTS='--sample 20' tries twenty of each lesson
MUTANTS ?=
lessons-mutate: .venv/lessons-build.stamp
	$(BIN)/python lessons/mutate.py $(MUTANTS)

bench: .venv/torch.stamp
	$(BIN)/python benchmarks/speed/overhead.py
	$(BIN)/python benchmarks/speed/steps.py

gpu-check: .venv/test.stamp
	$(BIN)/python benchmarks/speed/gpu_check.py

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
