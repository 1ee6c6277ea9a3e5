# `make demo` and `make test` need nothing but Python 3.10 to 3.13 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

.PHONY: demo test test-flink lint law audit clean model

PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

$(VENV)/installed: setup.py synthfilter/version.py
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) --editable '.[report]'
	@touch $@

$(VENV)/test-installed: $(VENV)/installed
	$(PIP) --editable '.[test]'
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

# A Flink cluster on this machine; needs Java and Maven, downloads 250 MB to .cache/flink.
test-flink: $(VENV)/test-installed
	$(BIN)/python -m pytest -m flink -rs tests/flink

lint: $(VENV)/test-installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Some minutes: the laws of tests/faults on more builds than `make test` has time for.
law: $(VENV)/test-installed
	SYNTHFILTER_LAW_EXAMPLES=$(or $(EXAMPLES),300) $(BIN)/python -m pytest tests/faults/test_law.py --hypothesis-show-statistics

# Known vulnerabilities of the packages that are installed; asks PyPI about them.
AUDIT := $(VENV)/audit
audit: $(VENV)/installed
	@$(PYTHON) -m venv $(AUDIT) && $(AUDIT)/bin/pip --disable-pip-version-check \
	  install --quiet pip-audit || { echo "audit: pip-audit cannot be installed; run this with a network" >&2; exit 1; }
	@$(BIN)/python -m pip --disable-pip-version-check freeze --exclude-editable > $(AUDIT)/installed.txt
	@$(AUDIT)/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off \
	  --requirement $(AUDIT)/installed.txt \
	  || { echo "audit: a vulnerability, or PyPI does not answer; see the line above" >&2; exit 1; }

# Rebuilds the shipped detector: make model DATA='path/*.parquet'
model: $(VENV)/installed
	$(BIN)/python models/train.py --data $(DATA)

clean:
	rm -rf $(VENV) $(DEMO) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
