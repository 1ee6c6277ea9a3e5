# `make demo` and `make test` need nothing but Python 3.10 to 3.13 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

.PHONY: demo test test-java test-go lint clean model

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

# Runs examples/java; needs Java 11 or later and Maven, which fetches 50 MB.
test-java: $(VENV)/test-installed
	SYNTHFILTER_JAVA=1 $(BIN)/python -m pytest tests/examples/test_languages.py

# Runs examples/go; needs Go, which fetches 50 MB and compiles for minutes.
test-go: $(VENV)/test-installed
	SYNTHFILTER_GO=1 $(BIN)/python -m pytest tests/examples/test_languages.py

lint: $(VENV)/test-installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

# Rebuilds the shipped detector: make model DATA='path/*.parquet'
model: $(VENV)/installed
	$(BIN)/python models/train.py --data $(DATA)

clean:
	rm -rf $(VENV) $(DEMO) .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
