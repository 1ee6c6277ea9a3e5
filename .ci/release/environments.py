"""Installs a wheel into a fresh environment of each Python there is, and uses it.

    python .ci/release/environments.py dist/synthfilter-*.whl

Pythons are found as `python3.X` on the PATH, in pyenv's folder, or named with --python.
The packages that the wheel needs come from the package index.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from email.parser import BytesParser
from pathlib import Path

VERSIONS = ("3.10", "3.11", "3.12", "3.13")
SMOKE = Path(__file__).resolve().parent / "smoke.py"


def find_pythons(versions: Sequence[str] = VERSIONS) -> dict[str, str]:
    """Returns a Python of each version that this machine has."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    found = {}
    for version in versions:
        known = [shutil.which(f"python{version}") or ""]
        known += map(str, sorted(pyenv.glob(f"{version}.*/bin/python")))
        works = [python for python in known if python and is_python(python, version)]
        if works:
            found[version] = works[0]
    return found


def is_python(path: str, version: str) -> bool:
    """Returns whether a program is a Python of a version, such as 3.12."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([path, "-c", code], capture_output=True, text=True)
    return done.returncode == 0 and done.stdout.strip() == version


def lowest_versions(wheel: Path) -> list[str]:
    """Returns the oldest version of each package that a wheel says is enough for it."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = BytesParser().parsebytes(archive.read(name))
    needs = [str(line) for line in metadata.get_all("Requires-Dist", [])]
    found = [re.fullmatch(r"([\w-]+)(?:<\S+,)?>=([\d.]+)", line) for line in needs]
    return [f"{match[1]}=={match[2]}" for match in found if match]


def use_wheel(
    python: str, wheel: Path, folder: Path, pinned: Sequence[str] = ()
) -> str:
    """Installs a wheel into a new environment, uses it, returns what it said.

    Args:
      python: What makes the environment.
      wheel: The wheel.
      folder: For the environment and what is made in it.
      pinned: Versions of packages that it needs; without them, the newest.

    Raises:
      RuntimeError: a step failed; the message has what was run and what it said.
    """
    version = wheel.name.split("-")[1]
    bin_folder = folder / "environment/bin"
    new, command = str(bin_folder / "python"), str(bin_folder / "synthfilter")
    inputs = folder / "inputs"
    inputs.mkdir(parents=True)
    run([python, "-m", "venv", str(bin_folder.parent)], folder)
    install = [new, "-m", "pip", "install", "--quiet", *pinned]
    run([*install, str(wheel.resolve())], folder)
    run([new, "-m", "pip", "check"], folder)
    said = run([command, "--version"], folder)
    if said.strip() != version:
        raise RuntimeError(f"synthfilter --version: expected {version}, got {said!r}")
    return run([new, "-I", str(SMOKE), version, str(inputs)], folder).splitlines()[-1]


def run(command: Sequence[str], folder: Path) -> str:
    """Runs a command in a folder and returns what it printed.

    Raises:
      RuntimeError: its exit code was not 0.
    """
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=folder, env=clean, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    return done.stdout


def main() -> int:
    """Tries the wheel with every Python, says how it went, returns an exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--python", nargs="+", default=VERSIONS, metavar="3.X")
    parser.add_argument(
        "--all", action="store_true", help="fail if there is no Python of a version"
    )
    parser.add_argument(
        "--lowest", action="store_true", help="with the oldest packages it allows"
    )
    options = parser.parse_args()
    pinned = lowest_versions(options.wheel) if options.lowest else []
    pythons = find_pythons(options.python)
    failed = 0
    for version in options.python:
        if version not in pythons:
            print(f"Python {version}: not on this machine")
            failed += options.all
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                print(use_wheel(pythons[version], options.wheel, Path(folder), pinned))
            except RuntimeError as error:
                print(f"Python {version}: {error}", file=sys.stderr)
                failed += 1
    return 1 if failed or not pythons else 0


if __name__ == "__main__":
    sys.exit(main())
