# `make demo` and `make test` need nothing but Python 3.10 to 3.13 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo

.PHONY: demo test test-dataflow test-flink test-java test-go test-packaging collapse docs lint law audit clean model

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

# A Flink cluster on this machine; needs Java and Maven, downloads 250 MB to .cache/flink.
test-flink: $(VENV)/test-installed
	$(BIN)/python -m pytest -m flink -rs tests/flink

# Runs examples/java; needs Java 11 or later and Maven, which fetches 50 MB.
test-java: $(VENV)/test-installed
	SYNTHFILTER_JAVA=1 $(BIN)/python -m pytest tests/examples/test_languages.py

# Runs examples/go; needs Go, which fetches 50 MB and compiles for minutes.
test-go: $(VENV)/test-installed
	SYNTHFILTER_GO=1 $(BIN)/python -m pytest tests/examples/test_languages.py

# Builds wheel and sdist, and uses the wheel in a fresh environment of each Python.
test-packaging: $(VENV)/release-installed
	$(BIN)/python .ci/release/distributions.py dist
	$(BIN)/python .ci/release/environments.py dist/*.whl
	$(BIN)/python .ci/release/environments.py dist/*.whl --python 3.10 --lowest

# What the pipeline saves of a model that learns from its own output: 27 minutes of CPU.
# It goes on where it stopped; COLLAPSE is where the finished runs are. Then
# docs/collapse.md and README.md are renewed.
COLLAPSE ?= .cache/collapse.jsonl
$(VENV)/collapse-installed: $(VENV)/installed
	$(PIP) --editable '.[collapse,neural]'
	@touch $@

collapse: $(VENV)/collapse-installed
	@mkdir -p $(dir $(COLLAPSE))
	$(BIN)/python -m benchmarks.collapse run --results $(COLLAPSE)
	$(BIN)/python -m benchmarks.collapse report --results $(COLLAPSE)

# The pages and the Python reference as a site, in site/: every warning is an error.
docs: $(VENV)/docs-installed
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -c docs -d site/.trees . site
	@echo "Look at it: site/index.html"

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

# What needs Google's packages (0.9 GB): an environment of its own.
test-dataflow:
	$(PYTHON) -m venv .venv-gcp
	.venv-gcp/bin/python -m pip --disable-pip-version-check install --quiet --editable '.[gcp,test]' \
	  'gcp-storage-emulator>=2026.7'
	.venv-gcp/bin/python -m pytest tests/test_graph.py tests/test_dataflow.py \
	  tests/test_pipelines.py tests/test_google_store.py

# Rebuilds the shipped detector: make model DATA='path/*.parquet'
model: $(VENV)/installed
	$(BIN)/python models/train.py --data $(DATA)

clean:
	rm -rf $(VENV) .venv-gcp $(DEMO) .cache site dist .mypy_cache .pytest_cache .ruff_cache .hypothesis build *.egg-info
