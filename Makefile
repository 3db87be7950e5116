# Two commands are enough: `make run` starts a node, `make test` checks the whole project.
# Each makes its own virtual environment from the hashed locks first, and does so again only when a lock has changed.

# The Python to build the environment with. Empty: the first of python3, python3.13, python3.12 and python3.11 that is
# new enough. Naming another version than the environment has rebuilds it.
PYTHON ?=
VENV ?= .venv
# More arguments for pytest, such as PYTEST_ARGS="-k journal -x".
PYTEST_ARGS ?=
CRASH_ROUNDS ?= 1000
VERIFY_SEEDS ?= 1000
# How long `make fuzz` searches in each target, and in which; empty: in all.
FUZZ_S ?= 60
FUZZ_TARGETS ?=

RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip --disable-pip-version-check --quiet
# A lock names all that is installed, so nothing is left to resolve. pip 23, which comes with Debian 12, refuses a hashed
# lock as soon as there is a newer release of something that a package in it asks for with an extra: coverage[toml].
INSTALL_LOCK := $(PIP) install --require-hashes --no-deps --requirement
INSTALL_SELF := $(PIP) install --no-deps --no-build-isolation --editable .
# The stamps lie inside the environment, so they vanish with it; the first names the Python that was asked for.
VENV_MADE := $(VENV)/.made-$(notdir $(PYTHON))
RUN_READY := $(VENV)/.run-ready
TEST_READY := $(VENV)/.test-ready
FUZZ_READY := $(VENV)/.fuzz-ready

SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
VERSION := import sys; print(sys.version_info[:2])

.DEFAULT_GOAL := help
.PHONY: help run test storm verify crash demo cluster hosts bench fuzz lint ruff-check ruff-format mypy imports spelling format reference lock clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(RUN_READY) ## start a node and say what to do next
	@exec $(RUN) node.py

test: $(TEST_READY) ## run all tests
	@$(RUN) -m pytest --numprocesses 2 --dist loadfile $(PYTEST_ARGS)

storm: $(TEST_READY) ## run the simulator seed after seed, until Ctrl-C
	@$(RUN) -m simulation --until-stopped

verify: $(RUN_READY) ## prove the promises under VERIFY_SEEDS (1000) simulated worlds
	@$(RUN) -m ctl verify --seeds $(VERIFY_SEEDS)

crash: $(TEST_READY) ## kill a node CRASH_ROUNDS (1000) times and count what was lost
	@$(RUN) -m bench.crash --rounds $(CRASH_ROUNDS)

demo: $(TEST_READY) ## watch two scripted people, one of them offline, while the node is killed
	@$(RUN) -m bench.demo

cluster: $(TEST_READY) ## watch three hosts, people at all of them, shards that move, and a host that is killed
	@$(RUN) -m bench.cluster

hosts: $(TEST_READY) ## cut, slow down, stop and kill three hosts with networks of their own (as root)
	@$(RUN) -m bench.hosts

bench: $(TEST_READY) ## measure every bar and write bench/latest.json
	@$(RUN) -m bench

fuzz: $(FUZZ_READY) ## search FUZZ_S (60) seconds in each fuzz target for inputs that break a promise
	@$(RUN) -m tests.fuzz --seconds $(FUZZ_S) $(FUZZ_TARGETS)

lint: ruff-check ruff-format mypy imports spelling ## run all linters (with --keep-going: even after one has failed)

ruff-check: $(TEST_READY)
	@$(RUN) -m ruff check .

ruff-format: $(TEST_READY)
	@$(RUN) -m ruff format --check .

mypy: $(TEST_READY)
	@$(RUN) -m mypy

imports: $(TEST_READY)
	@$(VENV)/bin/lint-imports --no-logo

spelling: $(TEST_READY)
	@$(RUN) -m codespell_lib

format: $(TEST_READY) ## mend layout and import order
	@$(RUN) -m ruff check --fix-only .
	@$(RUN) -m ruff format .

reference: $(TEST_READY) ## write cluster.toml and docs/configuration.md again from config/schema.py
	@$(RUN) -m config.reference

# Locked on the oldest supported Python, whose set of packages holds that of the newer ones.
lock: $(TEST_READY) ## resolve the dependencies of setup.cfg again
	@CUSTOM_COMPILE_COMMAND="make lock" $(RUN) -m piptools compile --quiet --upgrade --generate-hashes --allow-unsafe \
		--strip-extras --no-emit-options --build-deps-for editable --output-file requirements.lock setup.cfg
	@CUSTOM_COMPILE_COMMAND="make lock" $(RUN) -m piptools compile --quiet --upgrade --generate-hashes --allow-unsafe \
		--strip-extras --no-emit-options --build-deps-for editable --extra dev --constraint requirements.lock \
		--output-file requirements-dev.lock setup.cfg
	@CUSTOM_COMPILE_COMMAND="make lock" $(RUN) -m piptools compile --quiet --upgrade --generate-hashes --allow-unsafe \
		--strip-extras --no-emit-options --extra fuzz --constraint requirements.lock \
		--output-file requirements-fuzz.lock setup.cfg

# Beside the tests' packages, not instead of them: the targets stand on tests/.
$(FUZZ_READY): requirements-fuzz.lock $(TEST_READY)
	@echo "Installing what the fuzz targets need ..."
	@$(INSTALL_LOCK) requirements-fuzz.lock
	@$(PIP) check
	@touch $@

clean: ## remove the environment and every cache; data/ stays
	@rm -rf $(VENV) build dist roost.egg-info .coverage htmlcov \
		.pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .fuzz
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV_MADE):
	@set -eu; \
	python="$(PYTHON)"; \
	if [ -z "$$python" ]; then \
		if $(RUN) -c '$(SUPPORTED)' 2>/dev/null && $(PIP) --version >/dev/null 2>&1; then touch $@; exit 0; fi; \
		for candidate in python3 python3.13 python3.12 python3.11; do \
			if $$candidate -c '$(SUPPORTED)' 2>/dev/null; then python=$$candidate; break; fi; \
		done; \
	fi; \
	if [ -z "$$python" ]; then \
		echo "Roost needs Python 3.11, 3.12 or 3.13, and found none of them: install one (on Debian or Ubuntu:" \
			"apt-get install python3 python3-venv) or name it: make run PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi; \
	if ! $$python -c '$(SUPPORTED)'; then \
		echo "PYTHON=$$python does not run Python 3.11, 3.12 or 3.13, which Roost needs: name another." >&2; exit 1; \
	fi; \
	if ! $$python -c 'import ensurepip, venv' 2>/dev/null; then \
		version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		echo "Python $$version is here, but its venv module is not: apt-get install python$$version-venv" >&2; exit 1; \
	fi; \
	if [ "$$($(RUN) -c '$(VERSION)' 2>/dev/null)" != "$$($$python -c '$(VERSION)')" ] \
			|| ! $(PIP) --version >/dev/null 2>&1; then \
		echo "Making the environment in $(VENV) with $$($$python --version) ..."; \
		$$python -m venv --clear $(VENV); \
	fi; \
	touch $@

# Each lock is installed once; the project itself lies beside it as an editable install, so it needs no second run.
$(RUN_READY): requirements.lock setup.cfg pyproject.toml $(VENV_MADE)
	@echo "Installing what Roost needs ..."
	@$(INSTALL_LOCK) requirements.lock
	@$(INSTALL_SELF)
	@$(PIP) check
	@touch $@

$(TEST_READY): requirements-dev.lock setup.cfg pyproject.toml $(VENV_MADE)
	@echo "Installing what Roost and its tests need ..."
	@$(INSTALL_LOCK) requirements-dev.lock
	@$(INSTALL_SELF)
	@$(PIP) check
	@touch $@
