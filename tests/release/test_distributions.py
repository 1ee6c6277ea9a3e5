"""The wheel and the source distribution: what is in them, and that it can be used."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from synthfilter.version import __version__

ROOT = Path(__file__).parents[2]
RELEASE = ROOT / ".ci/release"
CONSUMER = '''\
"""A pipeline of somebody else's, checked as strictly as mypy can."""

from typing import Any

import synthfilter as sf


def whole(output: str, version: str = sf.__version__) -> sf.Build:
    return sf.Build(human=["h/*.parquet"], synthetic_fraction=0.3, output=output)


def handler() -> sf.FastTextModelHandler:
    return sf.FastTextModelHandler(threshold=0.9, min_batch_size=8)


def steps(documents: Any, output: str) -> dict[str, Any]:
    unique = documents | sf.Score(target_fpr=0.01) | sf.Deduplicate(keep=["longest"])
    mixed: dict[str, Any] = unique["kept"] | sf.Mix(max_synthetic_fraction=0.3, seed=1)
    mixed["kept"] | sf.WriteShards(output)
    return mixed
'''
MISTAKES = """
sf.Mix(synthetic_fraction="0.3")
sf.Score(treshold=0.9)
sf.Build(human="h/*.parquet", output="o")
"""


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, RELEASE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


distributions = load("distributions")
environments = load("environments")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Both distributions, built by the setuptools at hand, without a network."""
    folder = tmp_path_factory.mktemp("dist")
    return distributions.build(folder / "dist", isolated=False)


@pytest.fixture(scope="module")
def python(
    built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """A Python that has the wheel, and our packages beside it; and its packages."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    packages = next(folder.glob("lib/python3.*/site-packages"))
    zipfile.ZipFile(built[1]).extractall(packages)
    (packages / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin/python", packages


def test_both_hold_what_the_repository_has_and_nothing_else(
    built: tuple[Path, Path],
) -> None:
    assert distributions.check(*built) == []


def test_the_wheel_has_the_files_that_are_no_modules(built: tuple[Path, Path]) -> None:
    names = set(zipfile.ZipFile(built[1]).namelist())
    for name in (
        "py.typed",
        "insight/page.css",
        "insight/report_page.js",
        "insight/build_facet.json",
        "models/detector.bin",
        "models/detector.json",
    ):
        assert f"synthfilter/{name}" in names
    assert f"synthfilter-{__version__}.dist-info/licenses/LICENSE" in names
    assert {name.partition("/")[0] for name in names} == {
        "synthfilter",
        f"synthfilter-{__version__}.dist-info",
    }
    assert not {"synthfilter/models/train.py", "synthfilter/tests"} & names


def test_what_is_missing_or_too_much_is_named() -> None:
    wanted = {"a.py": "1", "py.typed": "2", "b.py": "3"}
    found = {"a.py": "1", "b.py": "4", "tests/c.py": "5"}
    assert distributions.differences(wanted, found) == [
        "missing: py.typed",
        "does not belong: tests/c.py",
        "is another than in the repository: b.py",
    ]


def test_an_index_shows_the_readme_without_links_to_files(
    built: tuple[Path, Path],
) -> None:
    said = distributions.describe(built[1])
    assert "## Build a set" in said
    assert "docs/outputs.md" in said
    assert "![" not in said
    assert distributions.dead_links("[a](docs/a.md), [b](#b), [c](https://c)") == [
        "leads nowhere: docs/a.md"
    ]


def test_an_installed_wheel_imports_builds_and_verifies(
    python: tuple[Path, Path], tmp_path: Path
) -> None:
    smoke = str(RELEASE / "smoke.py")
    said = environments.run(
        [str(python[0]), "-I", smoke, __version__, str(tmp_path)], tmp_path
    )
    assert str(python[1]) in said
    manifest = json.loads((tmp_path / "set/manifest.json").read_text())
    assert manifest["books"]["kept"] > 0


def test_another_version_than_expected_is_refused(
    python: tuple[Path, Path], tmp_path: Path
) -> None:
    smoke = str(RELEASE / "smoke.py")
    with pytest.raises(RuntimeError, match=r"expected version 9\.9, found 0\."):
        environments.run([str(python[0]), "-I", smoke, "9.9", str(tmp_path)], tmp_path)


def test_mypy_checks_those_who_use_the_public_names(
    python: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "consumer.py").write_text(CONSUMER)
    (tmp_path / "mistakes.py").write_text("import synthfilter as sf\n" + MISTAKES)
    options = ["--strict", "--no-error-summary"]
    options += ["--cache-dir", str(ROOT / ".mypy_cache/consumer")]
    options += ["--python-executable", str(python[0])]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "consumer.py", "mistakes.py"],
        cwd=tmp_path,
        env={
            k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MYPYPATH")
        },
        capture_output=True,
        text=True,
    )
    found = re.findall(r"^(\S+):(\d+): error: .*\[(.+)\]$", done.stdout, re.M)
    assert found == [
        ("mistakes.py", "3", "arg-type"),
        ("mistakes.py", "4", "call-arg"),
        ("mistakes.py", "5", "arg-type"),
    ], done.stdout + done.stderr


def test_the_oldest_packages_are_those_that_setup_names(
    built: tuple[Path, Path],
) -> None:
    lowest = environments.lowest_versions(built[1])
    setup = (ROOT / "setup.py").read_text()
    needed = setup.partition("install_requires=[")[2].partition("\n    ],")[0]
    assert len(lowest) == len(re.findall(r"^ +\"", needed, re.M))
    assert {"pyarrow==21", "c2pa-text==3"} <= set(lowest)


def test_a_python_is_found_by_its_version() -> None:
    here = ".".join(map(str, sys.version_info[:2]))
    assert environments.is_python(sys.executable, here)
    assert not environments.is_python(sys.executable, "3.9")
    assert not environments.is_python("/bin/false", here)
