"""Packaging: the library, the `synthfilter` command and the default detector."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "(.+)"', (HERE / "synthfilter/version.py").read_text(), re.M
)[1]

setup(
    name="synthfilter",
    version=VERSION,
    description="Keeps model collapse out of training sets: an Apache Beam plugin",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    packages=[*find_packages(include=["synthfilter*"]), "synthfilter.models"],
    package_dir={"synthfilter.models": "models"},
    package_data={
        "synthfilter": [
            "py.typed",
            "beam_providers.yaml",
            "insight/*.css",
            "insight/*.js",
            "insight/*.json",
        ],
        "synthfilter.models": ["*.bin", "*.json"],
    },
    install_requires=[
        "apache-beam>=2.70",
        # Provides `import fasttext`; unlike `fasttext` it has wheels, works on
        # numpy 2 and initialises the whole matrix before training.
        "fasttext-community>=0.11",
        "xxhash>=3.4",
        "pyarrow>=21",  # content-defined chunking in the Parquet writer
        "numpy>=1.26",
        "orjson>=3.10",  # strict JSON: refuses NaN, lone surrogates, bad UTF-8
        "pyyaml>=6.0",  # build.yaml; Beam brings it already
        "zstandard>=0.22",  # .zst input; Beam brings it already
        "c2pa-text>=3,<4",  # C2PA manifests in text; 20 KB, needs nothing else
        "rich>=13.7",  # progress bars and tables
        "packaging>=24.2",  # knows SPDX's licences; Beam brings an older one
        "docstring-parser>=0.15",  # help texts come from the docstrings
        "prometheus-client>=0.20",  # metrics of the monitor; 64 KB, needs nothing else
    ],
    extras_require={
        "gcp": ["apache-beam[gcp]"],
        "aws": ["apache-beam[aws]"],
        # Pipelines written in YAML, and the expansion service for Java and Go.
        "yaml": ["apache-beam[yaml]"],
        # Delta tables, without Spark or a JVM; one wheel for every Python from 3.10 on.
        "ledger": ["deltalake>=1.6,<2"],
        # Sends lineage events; without it they are only written.
        "lineage": ["openlineage-python>=1.54,<2"],
        # Draws charts without a network; one wheel for every Python from 3.7 on.
        "report": ["vl-convert-python>=1.7,<2"],
        "test": [
            "apache-beam[aws,yaml]",  # object stores are tested against
            "moto[server]>=5",  # a real S3 server on this machine
            "pytest>=8",
            "pytest-xdist>=3.6",  # tests on every processor
            "hypothesis>=6.100",
            "ruff==0.17.6",
            "mypy==2.4.1",
            "types-PyYAML",
            "scikit-learn>=1.5",  # an example of a detector
            "vl-convert-python>=1.7,<2",
            "deltalake>=1.6,<2",
            "datasets>=3",  # what cards and Croissant files are read by
            "mlcroissant>=1.1",
            "markdown-it-py>=3",  # shows whether names are markup
            "duckdb>=1.1",  # other engines that read a ledger
            "polars>=1.20",
            "openlineage-python>=1.54,<2",
            "jsonschema>=4.18",  # events are checked against schemas
            "playwright>=1.50",  # drives a real Chromium
            "datasketches>=5.2",  # estimates of distinct n-grams are compared with
        ],
    },
    entry_points={"console_scripts": ["synthfilter=synthfilter.cli:main"]},
)
