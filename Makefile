# The commands of the project. `make demo` on a fresh clone does its own set-up.
SHELL := /bin/bash
PY := .venv/bin/python
AUTHNET := .venv/bin/authnet
KILLS ?= 50
SEED ?= 1
MINUTES ?= 5
FAULTY ?= t
SEEDS ?= 1000
START ?= 0
# Tests of processes mostly wait; more workers than cores are faster, each with a network of its own.
WORKERS ?= 3
# NODES and PORT: of a new network; one that is there keeps its own.
NETWORK = $(if $(NODES),--nodes $(NODES)) $(if $(PORT),--base-port $(PORT))

# Processes and tests import our packages often: compile them once.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test check bench bench-rotation soak chaos sim sim-reshare fuzz abuse up down status clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' Makefile

setup: ## Python, Go and npm packages below this folder; a second run takes no time
	@scripts/setup.sh

demo: setup ## start five nodes and tell the story of a login, with real calls
	@$(PY) -m localnet.demo $(NETWORK)

up: setup ## start a local network: NODES=5 PORT=8788
	@$(AUTHNET) localnet up $(NETWORK)

down: ## stop it; its folder stays, `make up` resumes it
	@if [ -x $(AUTHNET) ]; then $(AUTHNET) localnet down; fi

status: ## what the local network is doing
	@$(AUTHNET) localnet status

test: setup ## everything: contracts, unit, vectors, simulator, processes (under 12 minutes)
	@if [ -e contracts/package.json ]; then npm --prefix contracts test --silent; fi
	@$(PY) -m pytest --numprocesses $(WORKERS) --no-loadscope-reorder -m "not soak"

check: setup ## ruff, mypy, import rules, layout rules
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-cache
	@$(PY) -m pytest -q tests/unit/test_layout.py

bench: setup ## measure; writes bench/out/latest.json
	@$(PY) -m bench

bench-rotation: setup ## what a hand-over costs: NODES=5 KEYS=1000,10000
	@$(PY) -m bench.rotation $(if $(NODES),--nodes $(NODES)) $(if $(KEYS),--keys $(KEYS))

soak: setup ## kill processes under load and in hand-overs: KILLS=50 SEED=1; then the tests too long for `make test`
	@$(PY) -m tests.soak --kills $(KILLS) --seed $(SEED)
	@$(PY) -m tests.soak.handovers --seed $(SEED)
	@$(PY) -m pytest -m soak --ignore tests/e2e/test_rotation.py
	@$(PY) -m pytest tests/e2e/test_rotation.py  # one test goes on where the one before ended

chaos: setup ## break a network on purpose: MINUTES=5 SEED=1 NODES=5 FAULTY=t (or beyond)
	@d=$$(mktemp -d -t authnet-chaos-XXXX) && $(AUTHNET) localnet chaos --seed $(SEED) --minutes $(MINUTES) \
	  --faulty $(FAULTY) --nodes $(or $(NODES),5) --base-port $(or $(PORT),9788) --dir $$d \
	  --liar tests/liars/keeper.py --html .cache/chaos-$(SEED).html && rm -rf $$d

fuzz: setup ## spoilt bytes into every decoder: MINUTES=5
	@$(PY) -m tests.fuzz --minutes $(MINUTES)

abuse: setup ## attacks at the doors of a local network beside logins: DIR=.localnet of one that is up
	@$(PY) -m bench.abuse $(if $(DIR),--dir $(DIR))

sim: setup ## sweep the key generation simulator: SEEDS=10000 START=0; SEED=7 replays one
	@$(PY) -m tests.sim.sweep --seeds $(SEEDS) --start $(START) $(if $(filter-out file default,$(origin SEED)),--seed $(SEED))

sim-reshare: setup ## the same for resharings: SEEDS=1000 START=0; SEED=7 replays one
	@$(PY) -m tests.sim.reshare.run --seeds $(SEEDS) --start $(START) $(if $(filter-out file default,$(origin SEED)),--seed $(SEED))

clean: ## stop the local network and delete all that set-up and runs made
	@if [ -x $(AUTHNET) ]; then $(AUTHNET) localnet down; fi
	@rm -rf .venv .cache .localnet* contracts/node_modules tests/torusjs/node_modules build *.egg-info
