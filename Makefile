# Two commands for everybody:   make demo   make test
# They set up what they need in environments of their own, and need no network the second time.

# 3.11 or newer
PYTHON ?= python3
# Only tests and training need it. Installed before all else, so that nothing pulls in a bigger build.
TORCH  ?= torch==2.13.0
JOBS   ?= 2
# Labelled scans for training and for some tests and benchmarks; not in the repository
DATA   ?= ../shared/data
# Networks to train: rows of src/ctatlas/training/data/members.toml
MEMBERS ?= base base-b base-c
TEAM    := ctatlas/base ctatlas/base-b ctatlas/base-c

DEV    := .venv/bin
LIGHT  := .venv-light/bin
WHEEL  := build/wheel-env/bin

.PHONY: demo test oracles check lint format docs pictures soak bench train-base self-train base-figures base-team light-size clean help

help:
	@sed -n 's/^\([a-z-]*\): .*## /\1|/p' Makefile | column -t -s '|'

demo: .venv-light/.ready ## segment the sample scan with the light install → demo-output/
	$(LIGHT)/ctatlas demo demo-output

test: .venv/.ready oracles ## the whole suite, but for what needs a GPU or half an hour
	$(DEV)/pytest -n $(JOBS) -m "not soak and not gpu"

oracles: # programs of Debian that some tests ask; where they can't be had those tests skip
	@scripts/install_oracles.sh

check: lint ## what to run before a commit: lint and the quick tests
	$(DEV)/pytest -n $(JOBS)

lint: .venv/.ready ## ruff, mypy --strict, import-linter
	$(DEV)/ruff format --check .
	$(DEV)/ruff check .
	$(DEV)/mypy
	$(DEV)/lint-imports --no-cache

format: .venv/.ready ## let ruff mend what it can
	$(DEV)/ruff check --fix .
	$(DEV)/ruff format .

soak: .venv/.ready ## the same tests with forty times as many drawn cases, new ones each time, and 100,000 damaged files
	CTATLAS_MUTATIONS=100000 CTATLAS_MUTATION_JOBS=$(JOBS) $(DEV)/pytest -m "" tests/volume/test_mutations.py
	HYPOTHESIS_PROFILE=soak $(DEV)/pytest -n $(JOBS) -m "not gpu"

docs: .venv/.ready ## the manual → build/site; a link that leads nowhere fails
	rm -rf build/site
	$(DEV)/zensical build --strict --clean

pictures: .venv/.ready ## draw the manual's pictures anew from the sample scan
	$(DEV)/python scripts/make_docs_pictures.py
	$(DEV)/python scripts/make_docs_atlas_pictures.py
	$(DEV)/python scripts/make_docs_defects.py
	PYTHONPATH=. $(DEV)/python scripts/make_docs_benchmark.py

bench: .venv/.ready ## every script in benchmarks/ → build/*.json
	mkdir -p build
	set -e; for script in benchmarks/*.py; do $(DEV)/python "$$script" "build/$$(basename "$$script" .py).json"; done

train-base: .venv/.ready ## train the bundled networks (MEMBERS), each from where it stopped
	set -e; for each in $(MEMBERS); do $(DEV)/python -m ctatlas.training.base runs/base $(DATA) --member $$each $(ARGS); done

self-train: .venv/.ready ## a round of self-training on the pool that train-base built: ctatlas/base learns on
	$(DEV)/python -m ctatlas.training.self_training runs/base $(DATA) $(addprefix --teacher ,$(TEAM))

MODEL    ?= ctatlas/base
# A model trained without ts-example; where empty, that scan is not measured
HELD_OUT ?= ctatlas/base-c
base-figures: .venv/.ready ## measure the bundled model, or MODEL, and bring its page of the manual up to date
	mkdir -p build
	$(DEV)/python benchmarks/base_model.py build/base_model.json --model $(MODEL) --held-out "$(HELD_OUT)" --data $(DATA) \
	  --markdown build/base_model.md --aims build/base_model_aims.md
	$(DEV)/python benchmarks/base_model_robustness.py build/base_model_robustness.json --model $(MODEL) \
	  --data $(DATA) --markdown build/base_model_robustness.md
	$(DEV)/python benchmarks/base_model_grid.py build/base_model_grid.json --model $(MODEL) --data $(DATA) \
	  --markdown build/base_model_grid.md
	$(DEV)/python benchmarks/base_model_confusion.py build/base_model_confusion.json --model $(MODEL) --data $(DATA) \
	  --markdown build/base_model_confusion.md
	$(DEV)/python benchmarks/base_model_speed.py build/base_model_speed.json --model $(MODEL) \
	  --backend default --backend onnxruntime --markdown build/base_model_speed.md
	$(DEV)/python scripts/make_docs_base_model.py build/base_model.json --data $(DATA)
	$(DEV)/python scripts/paste_tables.py docs/base-model-evaluation.md build

base-team: .venv/.ready ## measure the two smaller networks, all three together, and whether they differ where they err
	mkdir -p build
	$(DEV)/python benchmarks/base_model.py build/base_b.json --model ctatlas/base-b --data $(DATA)
	$(DEV)/python benchmarks/base_model.py build/base_c.json --model ctatlas/base-c --held-out ctatlas/base-c --data $(DATA)
	$(DEV)/python benchmarks/base_model.py build/base_team.json $(addprefix --model ,$(TEAM)) --data $(DATA)
	$(DEV)/python scripts/compare_base_models.py build/base_models.md build/base_model.json build/base_b.json \
	  build/base_c.json build/base_team.json
	$(DEV)/python benchmarks/base_model_disagreement.py build/base_model_disagreement.json --data $(DATA) \
	  --markdown build/base_model_disagreement.md
	$(DEV)/python scripts/paste_tables.py docs/base-model-evaluation.md build

light-size: build/wheel-env/.ready ## what the light install takes, from a wheel, and that it segments without torch
	$(WHEEL)/python scripts/install_size.py --at-most-mb 800 --without torch
	cd build && wheel-env/bin/ctatlas demo wheel-demo

clean: ## forget environments and results
	rm -rf .venv .venv-light build dist demo-output .mypy_cache .ruff_cache .pytest_cache

.venv/.ready: pyproject.toml tests/nnunetv2.txt
	$(call environment,.venv)
	$(DEV)/python -m pip install --quiet $(TORCH)
	$(DEV)/python -m pip install --quiet --editable ".[dev,docs]"
	$(DEV)/python -m pip install --quiet --no-deps --requirement tests/nnunetv2.txt
	touch $@

.venv-light/.ready: pyproject.toml
	$(call environment,.venv-light)
	$(LIGHT)/python -m pip install --quiet --editable .
	touch $@

build/wheel-env/.ready: pyproject.toml $(shell find src -type f -not -name '*.pyc')
	$(call environment,build/wheel-env)
	$(WHEEL)/python -m pip install --quiet --force-reinstall --no-deps .
	$(WHEEL)/python -m pip install --quiet .
	touch $@

define environment
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "ctatlas needs Python 3.11 or newer; say which: make PYTHON=python3.12")'
	@echo "setting up $(1) (once)"
	@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
endef

export PIP_DISABLE_PIP_VERSION_CHECK := 1
