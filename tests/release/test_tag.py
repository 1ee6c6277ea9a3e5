"""The version is in one place, and is released only with a tag and a changelog."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from synthfilter.version import __version__

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tag() -> ModuleType:
    spec = importlib.util.spec_from_file_location("tag", ROOT / ".ci/release/tag.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_tag_that_says_what_version_and_changelog_say_is_fine(
    tag: ModuleType,
) -> None:
    changelog = "# Changelog\n\n## 1.2.0 - 2026-03-01\n\n## 1.1.9 - 2026-02-01\n"
    assert tag.problems("v1.2.0", "1.2.0", changelog) == []


@pytest.mark.parametrize(
    ("name", "version", "changelog", "said"),
    [
        ("v1.2.0", "1.3.0", "## 1.3.0 - 2026-03-01", "expected the tag v1.3.0, got"),
        ("1.3.0", "1.3.0", "## 1.3.0 - 2026-03-01", "expected the tag v1.3.0, got"),
        ("v1.3.0", "1.3.0", "## Unreleased", "expected '## 1.3.0 - YYYY-MM-DD' first"),
        ("v1.3.0", "1.3.0", "## 1.3.0", "expected '## 1.3.0 - YYYY-MM-DD' first"),
        ("v1.03", "1.03", "## 1.03 - 2026-03-01", "'1.03' is no MAJOR.MINOR.PATCH"),
    ],
)
def test_what_disagrees_is_named(
    tag: ModuleType, name: str, version: str, changelog: str, said: str
) -> None:
    found = tag.problems(name, version, changelog)
    assert len(found) == 1
    assert said in found[0]


def test_the_changelog_has_the_form_that_it_names(tag: ModuleType) -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    headings = [line for line in changelog.splitlines() if line.startswith("## ")]
    releases = tag.read_releases(changelog)
    unreleased = [line for line in headings if line == "## Unreleased"]
    assert len(headings) == len(releases) + len(unreleased)
    parts = [line for line in changelog.splitlines() if line.startswith("### ")]
    assert parts
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert {line[4:] for line in parts} <= kinds


def test_the_version_of_the_package_is_semantic(tag: ModuleType) -> None:
    assert tag.read_version() == __version__
    assert tag.VERSION.fullmatch(__version__)
