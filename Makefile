# Each target does all that it needs, from a fresh clone on.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ORACLE := .cache/original
SSH := ssh -F .lab/ssh/config
MANAGER := FLISWARM_HOST=ssh://manager FLISWARM_SSH_COMMAND="$(SSH)"

.PHONY: help demo demo-down test lint unit lab integration bench
.DEFAULT_GOAL := help

help:
	@echo "make demo       build an observatory on this machine and take a picture with it"
	@echo "make demo-down  take it away again"
	@echo "make test       run all checks and all tests"
	@echo "make lint       run the checks alone"
	@echo "make bench      measure against sdss-fliswarm 0.7, in one run"

demo: lab
	$(BIN)/fliswarm up -i inventory/lab
	$(MANAGER) $(BIN)/fliswarm talk -c gfa expose 2.0
	@echo "The FITS files on the manager, newest first:"
	@$(SSH) manager 'find /data -name "*.fits*" -printf "%T+  %8s bytes  %p\n" | sort -r | head -n 6'
	@echo 'Try: export $(MANAGER); $(BIN)/fliswarm status'

demo-down: $(VENV)/installed
	$(BIN)/ansible-playbook lab/down.yml

test: lint unit integration

lint: $(VENV)/tested
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/ansible-lint --offline

unit: $(VENV)/tested
	$(BIN)/pytest tests/unit tests/contract tests/robust tests/oracle tests/test_layers.py

integration: $(VENV)/tested lab
	$(BIN)/pytest tests/integration

# The original runs ping; iptables lets the addresses of dead nodes swallow everything.
bench: $(VENV)/tested $(ORACLE)/installed lab
	@command -v ping iptables >/dev/null || apt-get install --yes --quiet iputils-ping iptables
	$(BIN)/fliswarm up -i inventory/lab
	@status=0; $(BIN)/python -m bench $(ORACLE) --lab || status=$$?; \
	echo "the lab's cameras, back as they were:"; \
	$(BIN)/fliswarm up -i inventory/lab && exit $$status

$(ORACLE)/installed:
	$(PYTHON) -m venv $(ORACLE)
	$(ORACLE)/bin/pip install --quiet sdss-fliswarm==0.7.0
	@touch $@

lab: $(VENV)/installed
	$(BIN)/ansible-playbook lab/up.yml

# The virtual environment: what fliswarm needs, and then what its tests need as well.
$(VENV)/installed: pyproject.toml
	@$(PYTHON) lab/scripts/make_venv.py $(VENV)
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/tested: $(VENV)/installed
	$(BIN)/pip install --quiet --editable '.[test]'
	@touch $@
