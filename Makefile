# Every target is one command; `make` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
KEEP ?=
BY ?=
OVERLAY ?=
N ?= 20
RUNS ?=
BENCH ?=
MUTATION ?=
SERVICES ?= 1000
SCALE ?=
AUTOSCALERS ?= 10000
FAILOVER ?=
export PYTHONUNBUFFERED := 1
# Test workers and local programs start by the dozen: where the environment forbids bytecode each compiles everything anew.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types unit contract system flake campaign mutation bench bench-live faults scale scale-autoscaler upgrade high-availability soak judge-study crds dashboards docs manifests lock downloader cluster-up cluster-down clean

help: ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/installed: requirements/dev.lock pyproject.toml
	@echo "installing the locked dependencies into $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it with PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(VENV)/installed ## the main job, live: serve, scale, roll out, abort (BY=labels, OVERLAY=high-availability, KEEP=1 leaves it up)
	@$(BIN)/python -m loadtests.demo $(if $(BY),--by $(BY)) $(if $(OVERLAY),--overlay $(OVERLAY)) $(if $(KEEP),--keep)

test: $(VENV)/installed ## everything but the long campaigns: check, contract, system
	@$(BIN)/python -m tests.ladder

check: $(VENV)/installed ## before a commit: lint, types, most of unit (no cluster, no Go, no root)
	@$(BIN)/python -m tests.ladder --only check

lint: $(VENV)/installed ## ruff, import contracts, generated files
	@$(BIN)/python -m tests.ladder --only lint

types: $(VENV)/installed ## mypy, strict
	@$(BIN)/mypy

unit: $(VENV)/installed ## pure functions, virtual time, fakes
	@$(BIN)/pytest -m "not system and not real_api"

contract: $(VENV)/installed ## the same questions to the fake and to the real API server
	@$(BIN)/python -m tests.ladder --only contract

system: $(VENV)/installed ## on the local cluster
	@$(BIN)/python -m tests.ladder --only live

flake: $(VENV)/installed ## the system tests until they have run N times on this code (N=20)
	@$(BIN)/python -m tests.flake --runs $(N)

$(VENV)/downloader/installed: $(VENV)/installed requirements/model-downloader-test.lock
	@$(PYTHON) -m venv $(VENV)/downloader
	@$(VENV)/downloader/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/model-downloader-test.lock
	@touch $@

downloader: $(VENV)/downloader/installed ## model_downloader against servers of S3 and the Hub, in an environment of its own
	@$(VENV)/downloader/bin/python -m pytest -q --noconftest -c model_downloader/pytest.ini --rootdir=. \
		--junitxml=out/test/downloads.xml tests/model_downloader

$(VENV)/bench: $(VENV)/installed requirements/bench.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.lock
	@touch $@

bench: $(VENV)/bench ## the autoscaler beside its peers in simulation (FULL=1, TRACES=DIR, BENCH="--cells 6 --seeds 1"; out/bench/report.md)
	@$(BIN)/python -m loadtests.bench $(if $(FULL),--full) $(if $(TRACES),--traces $(TRACES)) $(BENCH)

bench-live: $(VENV)/installed ## ours, the real HPA and the real KEDA by turns on the local cluster (LIVE="--rounds 1"; out/bench-live/report.md)
	@$(BIN)/python -m loadtests.live $(LIVE)

faults: $(VENV)/bench ## faults and changes under load, in simulation (FAULTS="--only outage --seeds 1"; out/faults/report.md)
	@$(BIN)/python -m loadtests.faults $(FAULTS)

docs: $(VENV)/installed ## the documents as a site (out/docs/index.html)
	@$(BIN)/mkdocs build

scale: $(VENV)/installed ## a thousand services on a real API server (SERVICES=1000 SCALE="--only storm"; out/scale/report.md)
	@$(BIN)/python -m loadtests.scale --services $(SERVICES) $(SCALE)

scale-autoscaler: $(VENV)/installed ## ten thousand InferenceAutoscalers on a real Prometheus (AUTOSCALERS=1000; out/scale-autoscaler/report.md)
	@$(BIN)/python -m loadtests.scale.autoscalers --autoscalers $(AUTOSCALERS) $(SCALE)

upgrade: $(VENV)/installed ## another release under a canary at half the traffic, and back (FROM=v0.1.0; out/upgrade/report.md)
	@$(BIN)/python -m loadtests.upgrade $(if $(FROM),--from $(FROM))

high-availability: $(VENV)/installed ## leaders killed, frozen and cut off in rollouts and surges (FAILOVER="--only committed"; out/failover/report.md)
	@$(BIN)/python -m loadtests.failover $(FAILOVER)

soak: $(VENV)/installed ## hours of random rollouts, loads and faults (MINUTES=30 SOAK="--seed 2"; out/soak/report.md)
	@$(BIN)/python -m loadtests.soak $(if $(MINUTES),--minutes $(MINUTES)) $(SOAK)

judge-study: $(VENV)/installed ## how often judges of canaries are wrong, by simulation: ours and others in use (RUNS=4000)
	@$(BIN)/python -m loadtests.judge_study $(if $(RUNS),--runs $(RUNS))

campaign: $(VENV)/installed ## the fault-injection campaign, or what is left of it (hours; out/campaign/report.md)
	@$(BIN)/python -m tests.campaign --real-api

mutation: $(VENV)/installed ## change the deciding modules line by line: do tests notice? (MUTATION="--only judge"; out/mutation/report.md)
	@$(BIN)/python -m tests.mutation $(MUTATION)

crds: $(VENV)/installed ## generate crds/ from the types
	@$(BIN)/python -m serving_api.crd

dashboards: $(VENV)/installed ## generate manifests/dashboards/ from code
	@$(BIN)/python -m manifests.dashboards.build

manifests: $(VENV)/installed ## generate the recording rules, the Prometheus operator's kinds and the chart's files
	@$(BIN)/python manifests/prometheus/monitors.py
	@$(BIN)/python manifests/helm/chart.py

lock: $(VENV)/installed ## resolve the lock files anew
	@$(BIN)/python requirements/lock.py

cluster-up: $(VENV)/installed ## start the local cluster
	@$(BIN)/python -m localcluster up

cluster-down: $(VENV)/installed ## stop the local cluster
	@$(BIN)/python -m localcluster down

clean: ## remove what was built and measured here (the cluster's cache stays)
	@rm -rf $(VENV) out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
