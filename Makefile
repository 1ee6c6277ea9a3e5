# `make demo` and `make test` need nothing but Python 3.10 to 3.13 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

.PHONY: demo test test-packaging docs lint clean model

PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

$(VENV)/installed: setup.py synthfilter/version.py
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) --editable '.[report]'
	@touch $@

$(VENV)/test-installed: $(VENV)/installed
	$(PIP) --editable '.[test]'
	@touch $@

$(VENV)/docs-installed: $(VENV)/installed
	$(PIP) --editable '.[docs]'
	@touch $@

$(VENV)/release-installed: $(VENV)/installed
	$(PIP) build twine
	@touch $@

demo: $(VENV)/installed
	rm -rf $(DEMO)
	$(BIN)/python examples/demo/make_inputs.py $(DEMO)/inputs
	$(BIN)/synthfilter build examples/demo/build.yaml --output $(DEMO)/set
	@echo
	@echo "Look at it:"
	@echo "  $(DEMO)/set/report.html    the build in pictures: open it in a browser"
	@echo "  $(BIN)/synthfilter inspect $(DEMO)/set     the books, the shares, the files"
	@echo "  $(DEMO)/set/data/          the set, Parquet"
	@echo "  $(DEMO)/set/rejected/      what was left out, with the reason and the evidence"
	@echo "  $(DEMO)/set/dead_letter/   what could not be read, with file and line"
	@echo "  $(DEMO)/set/manifest.json  everything above, for programs"

test: $(VENV)/test-installed lint
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

# Builds wheel and sdist, and uses the wheel in a fresh environment of each Python.
test-packaging: $(VENV)/release-installed
	$(BIN)/python release/distributions.py dist
	$(BIN)/python release/environments.py dist/*.whl
	$(BIN)/python release/environments.py dist/*.whl --python 3.10 --lowest

# The pages and the Python reference as a site, in site/: every warning is an error.
docs: $(VENV)/docs-installed
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -c docs -d site/.trees . site
	@echo "Look at it: site/index.html"

lint: $(VENV)/test-installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Rebuilds the shipped detector: make model DATA='path/*.parquet'
model: $(VENV)/installed
	$(BIN)/python models/train.py --data $(DATA)

clean:
	rm -rf $(VENV) $(DEMO) site dist .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
