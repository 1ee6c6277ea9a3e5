"""Checks that a tag, the version of the package and the changelog say the same.

python .ci/release/tag.py v0.1.0
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# A version as https://semver.org has them, without what may follow its numbers.
_NUMBER = r"(?:0|[1-9]\d*)"
VERSION = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}")
_RELEASE = re.compile(r"## (\S+) - (\d{4}-\d{2}-\d{2})")


def read_version(root: Path = ROOT) -> str:
    """Returns the version that the package has."""
    text = (root / "synthfilter/version.py").read_text()
    return text.partition('__version__ = "')[2].partition('"')[0]


def read_releases(changelog: str) -> dict[str, str]:
    """Returns the days of the versions that a changelog has, the newest first."""
    found = map(_RELEASE.fullmatch, changelog.splitlines())
    return {match[1]: match[2] for match in found if match}


def problems(tag: str, version: str, changelog: str) -> list[str]:
    """Returns a line for everything that keeps a tag from being released."""
    return [
        *(
            []
            if VERSION.fullmatch(version)
            else [f"{version!r} is no MAJOR.MINOR.PATCH"]
        ),
        *([] if tag == f"v{version}" else [f"expected the tag v{version}, got {tag}"]),
        *(
            []
            if next(iter(read_releases(changelog)), None) == version
            else [f"CHANGELOG.md: expected '## {version} - YYYY-MM-DD' first"]
        ),
    ]


if __name__ == "__main__":
    found = problems(sys.argv[1], read_version(), (ROOT / "CHANGELOG.md").read_text())
    print("\n".join(found) or f"{sys.argv[1]} can be released")
    sys.exit(1 if found else 0)
