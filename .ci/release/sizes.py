"""Measures what an installation takes on disk, as the tables of docs/install.md.

    python .ci/release/sizes.py dist/synthfilter-*.whl

Installs the wheel, then extra after extra, into a fresh environment of this Python.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from environments import run

EXTRAS = ("report", "ledger", "lineage", "warc", "aws", "gcp")
# Below it, packages are one line of the table.
SMALL = 1_000_000
# Run by the environment's Python: the bytes of each package that pip has installed.
LIST = """
import importlib.metadata, json
def size(package):
    paths = [file.locate() for file in package.files or () if file.suffix != ".pyc"]
    return sum(path.stat().st_size for path in paths if path.is_file())
found = importlib.metadata.distributions()
print(json.dumps({p.name: [p.version, size(p)] for p in found}))
"""


def measure(wheel: Path) -> dict[str, dict[str, tuple[str, int]]]:
    """Returns the packages that the wheel brings, and those that each extra adds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = str(folder / "environment/bin/python")
        run([sys.executable, "-m", "venv", str(folder / "environment")], folder)
        known = json.loads(run([python, "-c", LIST], folder))
        measured = {}
        for extra in ("", *EXTRAS):
            what = str(wheel.resolve()) + (f"[{extra}]" if extra else "")
            run([python, "-m", "pip", "install", "--quiet", what], folder)
            found = json.loads(run([python, "-c", LIST], folder))
            measured[extra] = {k: v for k, v in found.items() if k not in known}
            known = found
    return measured


def base_table(packages: dict[str, tuple[str, int]]) -> str:
    """Returns the table of what the wheel alone brings, the largest first."""
    rows = sorted(packages.items(), key=lambda item: -item[1][1])
    large = [(f"{name} {v}", size) for name, (v, size) in rows if size >= SMALL]
    small = [size for _, (_, size) in rows if size < SMALL]
    large += [(f"{len(small)} more, each below 1 MB", sum(small))]
    large += [(f"all {len(rows)}", sum(size for _, size in large))]
    lines = [f"| {name} | {size / 1e6:.1f} |" for name, size in large]
    return "\n".join(["| package | MB |", "|---|---:|", *lines])


def extras_table(measured: dict[str, dict[str, tuple[str, int]]]) -> str:
    """Returns the table of what each extra adds to those above it."""
    lines = ["| extra | packages | MB | the largest |", "|---|---:|---:|---|"]
    for extra, packages in measured.items():
        if extra:
            size = sum(size for _, size in packages.values())
            largest = max(packages, key=lambda name: packages[name][1], default="")
            shown = f"{len(packages)} | {size / 1e6:.1f} | {largest}"
            lines.append(f"| `{extra}` | {shown} |")
    return "\n".join(lines)


def main() -> int:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    measured = measure(parser.parse_args().wheel)
    print(base_table(measured[""]), extras_table(measured), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
