# One command a task, the same on a laptop and in CI.  Each sets up what it needs.
PYTHON ?= python3
PORT ?= 8080
BENCH ?=
SOAK ?= 10
MINUTES ?= 30
SEED ?= 1
RESULTS := benchmarks/results
VENV := .venv
BIN := $(VENV)/bin

.PHONY: serve test attack check docs bench bench-full soak clean
.DELETE_ON_ERROR:

serve: $(VENV)/serve.stamp  ## a server on $(PORT)
	@exec $(BIN)/twistd -n terminable --port $(PORT)

test: $(VENV)/dev.stamp  ## the suite, by pytest with the coverage gate; what is not live by trial too
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2 --ignore=tests/live
	$(BIN)/coverage run -m pytest tests/live/test_spool_postgresql.py
	$(BIN)/coverage combine -q
	$(BIN)/coverage report
	$(BIN)/pytest -n 3 --dist loadfile tests/live
	$(BIN)/trial -j 2 tests/test_*.py

attack: $(VENV)/dev.stamp  ## random use and misuse, for MINUTES, beginning with SEED
	$(BIN)/python -W ignore -m tests.attacks.fuzz --minutes $(MINUTES) --seed $(SEED)

check: $(VENV)/dev.stamp  ## lint, format, types, floors
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_floors.py

docs: $(VENV)/dev.stamp  ## docs/_build/html; the prose links to the API, so that comes first
	$(BIN)/python -m pydoctor -q
	$(BIN)/sphinx-build -n -W --keep-going -q docs docs/_build/html

bench: $(VENV)/dev.stamp  ## side by side with whom is installed, in less than five minutes
	$(BIN)/python benchmarks/run.py $(BENCH)

bench-full: $(VENV)/dev.stamp  ## the figures in the README: fetch the peers, measure for less than an hour
	$(BIN)/python benchmarks/peers/install.py
	@status=0; $(BIN)/python benchmarks/run.py --full --save $(RESULTS)/comparison.json \
	  --plots $(RESULTS) $(BENCH) || status=$$?; \
	$(BIN)/python benchmarks/readme.py && exit $$status

soak: $(VENV)/dev.stamp  ## servers that are ended and renewed under load, for $(SOAK) minutes
	$(BIN)/python -m tests.soak --minutes $(SOAK)

clean:
	rm -rf $(VENV) build dist *.egg-info docs/_build _trial_temp* .coverage* benchmarks/peers/fetched \
	  .hypothesis .mypy_cache .pytest_cache .ruff_cache twistd.pid twistd.log
	find . -name __pycache__ -prune -exec rm -rf {} +
	find . -name dropin.cache -delete

$(VENV)/pyvenv.cfg:
	$(PYTHON) -m venv $(VENV)

$(VENV)/serve.stamp: setup.py pyproject.toml | $(VENV)/pyvenv.cfg
	$(BIN)/pip install -q -e '.[progress,http2]'
	@touch $@

$(VENV)/dev.stamp: setup.py pyproject.toml | $(VENV)/pyvenv.cfg
	$(BIN)/pip install -q -e '.[dev]'
	@touch $@
