"""Uses an installed synthfilter; run by the Python that has it, outside the repository.

    python -I smoke.py VERSION FOLDER

Imports every module, makes a set from files written here, and verifies it.
"""

import importlib
import importlib.metadata
import json
import pkgutil
import sys
from pathlib import Path
from typing import Any

HUMAN = [
    f"On day {day} the river rose to step {day % 7} of the quay, and the ferryman "
    "tied his boat to the lamp, lit his pipe and told us about the flood of his youth."
    for day in range(60)
]
MACHINE = [
    f"In conclusion, item {number} highlights the importance of fostering a holistic "
    "approach, as it underscores the need to leverage innovative and robust solutions."
    for number in range(30)
]


def import_all() -> int:
    """Imports every module, and returns how many there are."""
    import synthfilter

    names = [
        module.name
        for module in pkgutil.walk_packages(synthfilter.__path__, "synthfilter.")
        if module.name != "synthfilter.__main__"
    ]
    for name in names:
        importlib.import_module(name)
    for name in synthfilter.__all__:
        getattr(synthfilter, name)
    return len(names)


def build_set(folder: Path) -> dict[str, Any]:
    """Builds a set in a folder, verifies it, and returns its manifest."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from synthfilter.cli import main

    table = pa.table({"id": [f"h{i}" for i in range(60)], "text": HUMAN})
    pq.write_table(table, folder / "human.parquet")
    lines = [
        json.dumps({"id": f"m{number}", "text": text})
        for number, text in enumerate(MACHINE)
    ]
    (folder / "machine.jsonl").write_text("\n".join(lines))
    inputs = ["--human", f"{folder}/human.parquet", "--synthetic"]
    inputs += [f"{folder}/machine.jsonl", "--synthetic-fraction", "0.2"]
    options = ["--flagged-human", "keep", "--near-duplicates", "0.95", "--quiet"]
    output = f"{folder}/set"
    for command in (
        ["build", *inputs, *options, "--output", output],
        ["verify", output],
    ):
        code = main(command)
        if code != 0:
            raise SystemExit(f"synthfilter {' '.join(command)}: exit code {code}")
    manifest: dict[str, Any] = json.loads(Path(output, "manifest.json").read_text())
    return manifest


if __name__ == "__main__":
    version, place = sys.argv[1], Path(sys.argv[2])
    # Before anything is imported, which takes seconds.
    found = importlib.metadata.version("synthfilter")
    if found != version:
        raise SystemExit(f"expected version {version}, found {found}")
    modules = import_all()
    kept = build_set(place)["books"]["kept"]
    if not kept:
        raise SystemExit("the build kept no document")
    where = Path(sys.modules["synthfilter"].__file__ or "").parent
    print(
        f"synthfilter {version} on Python {sys.version.split()[0]}, in {where}: "
        f"{modules} modules imported, a build of {kept} documents verified"
    )
