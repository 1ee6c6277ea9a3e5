"""What workers have done so far, told through small files that the driver reads.

A local runner blocks until it is done and has no counters on the way, so each worker
process appends its beats to a file of its own. Where there is no folder (a remote
runner, which has a page for this) nothing is written.
"""

import os
from pathlib import Path
from typing import NamedTuple


class Done(NamedTuple):
    """How much of a stage is done: blocks or files, and bytes of input or text."""

    parts: int = 0
    bytes: int = 0


def beat(folder: str | None, stage: str, parts: int, size: int) -> None:
    """Adds parts and bytes to what this process has done of a stage."""
    if folder is None:
        return
    line = f"{stage} {parts} {size}\n"
    with (Path(folder) / f"{os.getpid()}.beats").open("a") as file:
        file.write(line)


def read_beats(folder: str) -> dict[str, Done]:
    """Returns what all processes have done, by stage."""
    total: dict[str, Done] = {}
    for path in sorted(Path(folder).glob("*.beats")):
        for line in path.read_text().splitlines():
            stage, parts, size = line.split()
            before = total.get(stage, Done())
            total[stage] = Done(before.parts + int(parts), before.bytes + int(size))
    return total
