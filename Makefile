# Every target works from a fresh clone; the environment is made on first need, and only as much of it as is needed:
# `core` is what Moon runs with, `full` adds the model SDKs, MCP and the secret rules, `made` the tools for development.
PREFIX ?= $(HOME)/.local
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
# Asked for by running it: a version manager's stand-in can be on PATH and start nothing.
FIND_PYTHON = for each in python3 python3.13 python3.12 python3.11 python3.10 /usr/bin/python3 /opt/homebrew/bin/python3; do \
	"$$each" -c 'import ensurepip, sqlite3, sys, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null && echo "$$each" && break; done
PYTHON ?= $(shell $(FIND_PYTHON))
# An upgrade of Python takes away the interpreter of an environment, or what it finds there; an interrupted `make` leaves half.
VENV_WORKS := $(shell $(PY) -E -s -c 'import sys; from importlib.util import find_spec as find; \
	needed = ("pip", "yaml", "jsonschema", "dateutil", "zstandard"); \
	sys.exit(sys.version_info < (3, 10) or not all(map(find, needed)))' 2>/dev/null && echo yes)

.PHONY: help venv demo picture test test-long mutation lint types check e2e attack attack-crash attack-gateway attack-races soak fuzz prove audit attack-copies attack-shared fleet-demo bench bench-fleet bench-distill bench-recall bench-recall-speed docs install uninstall clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

ifndef VENV_WORKS
.PHONY: $(VENV)/.core
endif
$(VENV)/.core: pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python 3.10 or later with venv found" >&2; \
		echo "hint: install one (Debian: apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(if $(VENV_WORKS),,$(PYTHON) -m venv --clear $(VENV))
	$(PIP) -e .
	@# What venv brings along of setuptools would be loaded at every start of the interpreter.
	@$(PY) -m pip uninstall --quiet --yes setuptools
	@touch $@

$(VENV)/.full: $(VENV)/.core
	$(PIP) -e '.[models,mcp]'
	@$(PIP) -e '.[secrets]' || echo "make: the maintained secret rules have no package for this machine; Moon's own rules do the work"
	@touch $@

$(VENV)/.made: $(VENV)/.full
	$(PIP) -e '.[dev]'
	@touch $@

venv: $(VENV)/.made ## Make the project's own Python environment

demo: $(VENV)/.core ## The whole job on recorded sessions, in a temporary folder, explained as it goes
	@$(PY) -E -s tests/demo/demo.py

test: venv ## Unit, contract, integration and shell tests
	$(PY) -m pytest -n auto --maxprocesses 8
	$(VENV)/bin/bats tests/shell

test-long: SEED := $(or $(SEED),$(shell date +%s))
test-long: venv ## Properties with twenty times the examples, drawn from SEED (printed; the clock's unless given)
	@echo "make test-long SEED=$(SEED)"
	$(PY) -m pytest -n auto --maxprocesses 8 -m hypothesis --hypothesis-profile long --hypothesis-seed $(SEED)

mutation: venv ## Break Moon on purpose and list what no test notices (TARGETS="guard vault", SAMPLE=0 for all, SEED)
	nice $(PY) tests/mutation/mutate.py --sample $(or $(SAMPLE),40) --seed $(or $(SEED),1) $(TARGETS)

lint: venv ## Style (ruff)
	$(VENV)/bin/ruff check lib tests
	$(VENV)/bin/ruff format --check --quiet lib tests

types: venv ## Types (mypy --strict)
	$(VENV)/bin/mypy

check: lint types test ## All of the above

e2e: venv ## The same job against the real OpenClaw and QMD, installed into .cache/
	$(PY) tests/e2e/install.py all
	$(PY) -m pytest tests/e2e

attack: SEED := $(or $(SEED),$(shell date +%s))
attack: venv ## Promises under attack: endings, scripts, odd strings, secrets, slow text (SEED printed; the clock's unless given)
	@echo "make attack SEED=$(SEED)"
	$(PY) tests/attack/transcripts.py --seed $(SEED) --count 100
	$(PY) tests/attack/scripts.py
	$(PY) tests/attack/strings.py --seed $(SEED)
	$(PY) tests/attack/secrets.py --seed $(SEED) --harmless docs lib tests/recorded

attack-crash: SEED := $(or $(SEED),$(shell date +%s))
attack-crash: venv ## Kill a whole cycle at every system call, with and without the power (Linux, strace; POINTS=100 for fewer)
	@echo "make attack-crash SEED=$(SEED)"
	$(PY) tests/attack/crash.py --seed $(SEED) --points $(or $(POINTS),0)
	$(PY) tests/attack/forget.py

attack-gateway: SEED := $(or $(SEED),$(shell date +%s))
attack-gateway: venv ## The same on the real OpenClaw: kills around prune and rollover, runs begun right before a reset (KILLS=200 RUNS=100)
	$(PY) tests/e2e/install.py all
	@echo "make attack-gateway SEED=$(SEED)"
	$(PY) tests/attack/transcripts.py --seed $(SEED) --count 0 --real 12
	$(PY) tests/attack/rollover.py --seed $(SEED) --kills $(or $(KILLS),200) --runs $(or $(RUNS),100)

attack-races: SEED := $(or $(SEED),$(shell date +%s))
attack-races: venv ## Everything at once: OpenClaw between any two stations, two timers and hands, recall beside a rebuild (REAL=1)
	$(if $(REAL),$(PY) tests/e2e/install.py)
	@echo "make attack-races SEED=$(SEED)"
	$(PY) tests/attack/races.py --seed $(SEED) --seconds $(or $(SECONDS),30) $(if $(REAL),--real)

soak: SEED := $(or $(SEED),$(shell date +%s))
soak: venv ## A day of ticks on living stores with random faults, counted at the end (TICKS=2880 SEED=… REPORT=folder; REAL=1 MINUTES=15)
	@echo "make soak SEED=$(SEED)"
	$(if $(REAL),$(PY) tests/e2e/install.py && $(PY) tests/attack/real_soak.py --seed $(SEED) --minutes $(or $(MINUTES),15))
	$(if $(REAL),,$(PY) tests/attack/soak.py --ticks $(or $(TICKS),2880) --seed $(SEED) $(if $(REPORT),--report $(REPORT)))

fuzz: venv ## Coverage-guided fuzzing of what reads events, questions, documents, secrets, the ledger (MINUTES=20 each; SEED, TARGETS)
	$(PIP) -e '.[fuzz]'
	$(PY) tests/attack/fuzz.py --minutes $(or $(MINUTES),20) --seed $(or $(SEED),1) $(if $(TARGETS),--targets $(TARGETS))

prove: SEED := $(or $(SEED),$(shell date +%s))
prove: venv ## Every attack in its short form, and a table of what was tried and what broke (some minutes)
	@echo "make prove SEED=$(SEED)"
	$(PY) tests/attack/prove.py --seed $(SEED)

# S101: assertions say what holds. S603, S606: programs are started without a shell, which is the rule here. S608: SQL is
# put together of Moon's own words, and every value is bound.
audit: venv ## Known faults of what Moon depends on (needs PyPI's own service), and what ruff's security rules find
	$(VENV)/bin/ruff check --no-cache --select S --ignore S101,S603,S606,S608 lib
	$(PIP) pip-audit
	$(VENV)/bin/pip-audit --skip-editable --progress-spinner off
attack-copies: SEED := $(or $(SEED),$(shell date +%s))
attack-copies: venv ## Three hosts, one bucket, and whatever networks, rights, kills and strangers do to it (FAULTS=150)
	$(PY) tests/attack/copies.py --seed $(SEED) --faults $(or $(FAULTS),150)

fleet-demo: venv ## Three hosts copy into one bucket, one dies, a fourth is restored and answers what only it had heard
	@$(PY) -E -s tests/demo/fleet_demo.py

attack-shared: SEED := $(or $(SEED),$(shell date +%s))
attack-shared: venv ## A server killed, connections cut, roles shut out while machines send to a shared index (FAULTS=150)
	$(PY) tests/attack/shared_index.py --seed $(SEED) --faults $(or $(FAULTS),150)

bench-fleet: venv ## What copying costs, before and with encryption, beside cp and SHA-256 of the same run
	$(PY) tests/bench/bench_fleet.py
	$(PY) tests/bench/bench_fleet_index.py --rows $(or $(ROWS),1000000) --seed $(or $(SEED),4711)

bench: venv ## What Moon costs beside references of the same run, into docs/performance.md (SEED, EVENTS, SESSIONS; QUICK=1 only prints)
	$(PY) tests/bench/bench.py --seed $(or $(SEED),4711) --events $(or $(EVENTS),500000) --sessions $(or $(SESSIONS),10000) $(if $(QUICK),--quick)

bench-distill: venv ## What distillers keep of planted facts and of long chats (DATA="a.json"), and how many lines are right (QUICK=1)
	$(if $(QUICK),,$(PIP) -e '.[bench]')
	$(PY) tests/bench/bench_distill.py $(if $(QUICK),--length 800)
	$(PY) tests/bench/bench_precision.py $(if $(QUICK),--length 6000)
	$(if $(QUICK),,PYTHONPATH=. $(PY) tests/bench/bench_map.py)
	$(if $(DATA),$(PY) tests/bench/bench_memory.py $(if $(QUICK),--quick) $(DATA))

bench-recall: venv ## How often the right message comes back for a question (DATA="a.json b.json")
	PYTHONPATH=. $(PY) tests/bench/bench_recall.py

bench-recall-speed: venv ## How long an answer takes, beside `qmd search` (DATA=…, EVENTS=1000000)
	PYTHONPATH=. $(PY) tests/bench/bench_recall_speed.py

docs: $(VENV)/.core ## Write what is rendered: moon.yaml.example, docs/configuration.md, docs/troubleshooting.md
	$(PY) -E -s lib/launch.py docs

picture: venv ## Draw what the README shows first, from a real run: docs/pictures/terminal.svg
	$(PY) -E -s tests/demo/picture.py

install: $(VENV)/.full ## Link the executables into PREFIX/bin and start the timer
	@$(PY) -E -s lib/launch.py install --prefix '$(PREFIX)'

uninstall: ## Take back exactly what install made; archives stay
	@$(if $(VENV_WORKS),$(PY),$(PYTHON)) -E -s lib/launch.py install uninstall

clean: ## Remove what tests and tools left in this folder; the environment, which installed commands run with, stays
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis build lib/*.egg-info
	find lib tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## The environment and the real OpenClaw, too; refused while Moon is installed from here
	@! grep -qsF '"checkout": "$(CURDIR)"' "$(or $(MOON_HOME),$(HOME)/.lilac_metaflora)/state/install.json" || { \
		echo "make: the installed commands run from here, and would run no more" >&2; echo "hint: make uninstall" >&2; exit 1; }
	rm -rf $(VENV) .cache
