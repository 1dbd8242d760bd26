# Each target does all that it needs, from a fresh clone on.

PYTHON ?= python3
# Versions of Python and ansible-core: those that suit this machine, or PAIR=oldest or PAIR=newest. Each has its own environment.
PAIR ?=
ifneq ($(filter-out oldest newest,$(PAIR)),)
$(error PAIR must be oldest or newest, not $(PAIR))
endif
VENV := .venv$(PAIR:%=-%)
ANSIBLE_oldest := ansible-core==2.19.*
ANSIBLE_newest := ansible-core>=2.22.0rc1,<2.23
BIN := $(VENV)/bin
ORACLE := .cache/original
IMPORTER := .cache/importer
SSH := ssh -F $(CURDIR)/.lab/ssh/config
MANAGER := FLISWARM_HOST=ssh://manager FLISWARM_SSH_COMMAND="$(SSH)"

# A test that fails is run once more, which is told at the end: docs/decisions/0023-tests-that-fail-once.md.
AGAIN := --reruns 1 --rerun-show-tracebacks

.PHONY: help demo demo-down test short lint unit behaviour molecule collection lab integration bench mutants
.DEFAULT_GOAL := help

help:
	@echo "make demo       build an observatory on this machine and take a picture with it"
	@echo "make demo-down  take it away again"
	@echo "make test       run all checks and all tests"
	@echo "make short      run the checks, the quick tests and one scenario; with another PAIR"
	@echo "make lint       run the checks alone"
	@echo "make unit       run the quick tests alone"
	@echo "make behaviour  run the whole controller against faults, and beside sdss-fliswarm 0.7"
	@echo "make collection  check the Ansible collection as it is published"
	@echo "make molecule   test the collection's roles on bare hosts; SCENARIO=name for one"
	@echo "make test PAIR=oldest, PAIR=newest   ... with the oldest and the newest Python and ansible-core"
	@echo "make rehearsal  a year of an observatory on the lab: nodes come and go, updates fail, engines die"
	@echo "make mutants    break the pure modules on purpose, and list what no test sees; MODULE=name for one"
	@echo "make bench      measure against sdss-fliswarm 0.7, in one run"

demo: lab
	$(BIN)/fliswarm up -i inventory/lab
	$(MANAGER) $(BIN)/fliswarm talk -c gfa expose 2.0
	@echo "The FITS files on the manager, newest first:"
	@$(SSH) manager 'find /data -name "*.fits*" -printf "%T+  %8s bytes  %p\n" | sort -r | head -n 6'
	@echo 'Try: export $(MANAGER); $(CURDIR)/$(BIN)/fliswarm status'

demo-down: $(VENV)/installed
	$(BIN)/ansible-playbook lab/down.yml

# Some parts beside each other: tests/parts.py.
test: $(VENV)/tested
	$(BIN)/python -m tests.parts $(MAKE)

short: $(VENV)/tested
	$(BIN)/python -m tests.parts --short $(MAKE) SCENARIO=docker_engine

lint: $(VENV)/tested
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/ansible-lint --offline

# Most of these wait, for a process or a peer: many at a time.
unit: $(VENV)/tested
	$(BIN)/pytest -n 10 --dist worksteal -m 'not rehearsal' $(AGAIN) tests/unit tests/contract tests/test_layers.py

# These measure how soon something happens, and share programs within a file: few at a time.
behaviour: $(VENV)/tested
	$(BIN)/pytest -n 4 --dist loadfile $(AGAIN) tests/robust tests/oracle

# The collection as others get it: built, installed elsewhere, judged by Galaxy's own checks.
collection: $(VENV)/tested $(IMPORTER)/installed
	@command -v shellcheck >/dev/null || apt-get install --yes --quiet shellcheck
	$(BIN)/pytest tests/collection

integration: $(VENV)/tested lab
	$(BIN)/pytest tests/integration -m 'not rehearsal' $(AGAIN) -o faulthandler_timeout=900

# What an operator does in a year, and what goes wrong: not run on a change.
rehearsal: $(VENV)/tested lab
	$(BIN)/fliswarm up -i inventory/lab
	$(BIN)/pytest tests/unit tests/integration -m rehearsal -o faulthandler_timeout=1800
	$(BIN)/python -m tests.scenarios kept

# Each scenario on hosts of its own, on the lab's engine; molecule/README.md.
molecule: $(VENV)/tested lab
	$(BIN)/python -m tests.scenarios $(SCENARIO)

# Not a part of the tests: it tells how good they are. Half an hour.
mutants: $(VENV)/tested
	$(BIN)/python -m tests.mutants $(MODULE)

# The original runs ping; iptables lets the addresses of dead nodes swallow everything.
bench: $(VENV)/tested $(ORACLE)/installed lab
	@{ command -v ping && command -v iptables; } >/dev/null || apt-get install --yes --quiet iputils-ping iptables
	LAB_TRANSPORT=tcp $(BIN)/fliswarm up -i inventory/lab
	@status=0; $(BIN)/python -m bench $(ORACLE) --lab || status=$$?; \
	echo "the lab's cameras, back as they were:"; \
	$(BIN)/fliswarm up -i inventory/lab && exit $$status
	$(BIN)/python -m bench.site

$(ORACLE)/installed:
	$(PYTHON) -m venv $(ORACLE)
	$(ORACLE)/bin/pip install --quiet sdss-fliswarm==0.7.0
	@touch $@

$(IMPORTER)/installed:
	$(PYTHON) -m venv $(IMPORTER)
	$(IMPORTER)/bin/pip install --quiet 'antsibull-changelog>=0.29,<1' 'galaxy-importer>=0.4.40,<0.5'
	@touch $@

lab: $(VENV)/installed
	$(BIN)/ansible-playbook lab/up.yml

# The virtual environment: what fliswarm needs, and then what its tests need as well.
$(VENV)/installed: pyproject.toml
	@python=$(PYTHON); [ "$(PAIR)" != newest ] || python=$$(lab/scripts/python.sh .cache/python) && \
	$(PYTHON) lab/scripts/make_venv.py $(VENV) $$python
	$(BIN)/pip install --quiet --editable . $(ANSIBLE_$(PAIR):%='%')
	@touch $@

$(VENV)/tested: $(VENV)/installed
	$(BIN)/pip install --quiet --editable '.[test]' $(ANSIBLE_$(PAIR):%='%')
	@touch $@
