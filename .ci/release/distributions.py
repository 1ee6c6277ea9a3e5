"""Builds the wheel and the source distribution and checks what is in them.

    python .ci/release/distributions.py dist/

Needs `build`, `twine` and git. Both are made of the files that git knows or would
take, in a copy: what lies about in the folder gets into neither.
"""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from email.parser import BytesParser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# What setuptools adds to a source distribution.
_GENERATED = re.compile(r"PKG-INFO|setup\.cfg|synthfilter\.egg-info/.*")
_PACKAGE = "synthfilter/"
_MODEL = re.compile(r"models/[^/]+\.(bin|json)")


def list_files(root: Path = ROOT) -> list[str]:
    """Returns the paths of the repository's files, new ones included."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    said = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    names = sorted(filter(None, said.stdout.split("\0")))
    return [name for name in names if (root / name).is_file()]


def build(folder: Path, isolated: bool = True, root: Path = ROOT) -> tuple[Path, Path]:
    """Builds a source distribution and, from that, a wheel.

    Args:
      folder: Where both are put; what was there goes.
      isolated: Whether setuptools is fetched, or the one of this Python is taken.
      root: The repository.

    Returns:
      The paths of the source distribution and of the wheel.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as copy:
        for name in list_files(root):
            target = Path(copy, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, target)
        options = [] if isolated else ["--no-isolation"]
        command = [sys.executable, "-m", "build", *options, "--outdir", str(folder)]
        done = subprocess.run([*command, copy], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"build failed:\n{done.stdout}{done.stderr}")
    return next(folder.glob("*.tar.gz")), next(folder.glob("*.whl"))


def wanted_in_wheel(names: Iterable[str], root: Path = ROOT) -> dict[str, str]:
    """Returns what a wheel has to have: paths, and the sha256 of their bytes."""
    wanted = {}
    for name in names:
        if name.startswith(_PACKAGE):
            wanted[name] = _digest((root / name).read_bytes())
        elif _MODEL.fullmatch(name):
            wanted[_PACKAGE + name] = _digest((root / name).read_bytes())
    return wanted


def wanted_in_sdist(names: Iterable[str], root: Path = ROOT) -> dict[str, str]:
    """Returns what a source distribution has to have: all but git's and CI's files."""
    kept = (name for name in names if not name.startswith("."))
    return {name: _digest((root / name).read_bytes()) for name in kept}


def read_wheel(path: Path) -> dict[str, str]:
    """Returns the files of a wheel, without those that describe it, as digests."""
    with zipfile.ZipFile(path) as wheel:
        return {
            name: _digest(wheel.read(name))
            for name in wheel.namelist()
            if not name.partition("/")[0].endswith(".dist-info")
        }


def read_sdist(path: Path) -> dict[str, str]:
    """Returns the files of a source distribution, without generated ones."""
    found = {}
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            name = member.name.partition("/")[2]
            content = archive.extractfile(member)
            if content is not None and not _GENERATED.fullmatch(name):
                found[name] = _digest(content.read())
    return found


def differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """Returns a line for each file that is missing, too much or another."""
    return [
        *(f"missing: {name}" for name in sorted(wanted.keys() - found.keys())),
        *(f"does not belong: {name}" for name in sorted(found.keys() - wanted.keys())),
        *(
            f"is another than in the repository: {name}"
            for name in sorted(wanted.keys() & found.keys())
            if wanted[name] != found[name]
        ),
    ]


def describe(wheel: Path) -> str:
    """Returns the long description that a package index shows."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = BytesParser().parsebytes(archive.read(name))
    text = metadata.get_payload()
    return text if isinstance(text, str) else ""


def dead_links(description: str) -> list[str]:
    """Returns what links to files beside the README, which an index does not have."""
    targets = re.findall(r"\]\(([^)]*)\)", description)
    return [f"leads nowhere: {t}" for t in targets if not re.match("https?:|#", t)]


def check(sdist: Path, wheel: Path, root: Path = ROOT) -> list[str]:
    """Returns a line for everything that is wrong with two distributions."""
    names = list_files(root)
    twine = [sys.executable, "-m", "twine", "--no-color", "check", "--strict"]
    done = subprocess.run(
        [*twine, str(sdist), str(wheel)], capture_output=True, text=True
    )
    return [
        *(
            f"sdist: {x}"
            for x in differences(wanted_in_sdist(names), read_sdist(sdist))
        ),
        *(
            f"wheel: {x}"
            for x in differences(wanted_in_wheel(names), read_wheel(wheel))
        ),
        *(f"description: {line}" for line in dead_links(describe(wheel))),
        *([f"twine: {done.stdout}{done.stderr}"] if done.returncode else []),
    ]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def main() -> int:
    """Builds both, prints what is wrong with them, and returns an exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where they are put; emptied before")
    sdist, wheel = build(parser.parse_args().folder)
    problems = check(sdist, wheel)
    for path in (sdist, wheel):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    print("\n".join(problems) or "they hold what they should")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
