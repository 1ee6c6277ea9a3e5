"""What workers have done so far, told through small files that the driver reads.

A local runner blocks until it is done and has no counters on the way, so each worker
process appends its beats to a file of its own. Where there is no folder (a remote
runner, which has a page for this) nothing is written.
"""

import os
from pathlib import Path
from typing import NamedTuple


class Done(NamedTuple):
    """How much of a stage is done.

    Attributes:
      parts: Files, blocks or shards.
      bytes: Bytes of input, or of text written.
      total: Number of parts there will be; 0 = not known to the workers.
      milliseconds: Of processor time that it took.
    """

    parts: int = 0
    bytes: int = 0
    total: int = 0
    milliseconds: int = 0


def beat(
    folder: str | None,
    stage: str,
    parts: int,
    size: int,
    total: int = 0,
    seconds: float = 0,
) -> None:
    """Adds to what this process has done of a stage.

    Args:
      folder: Of the beats; None tells nobody.
      stage: Which stage.
      parts: Files, blocks or shards that are done.
      size: Bytes of these.
      total: Parts there will be, if that is known.
      seconds: Of processor time that they took.
    """
    if folder is None:
        return
    line = f"{stage} {parts} {size} {total} {seconds * 1000:.0f}\n"
    with (Path(folder) / f"{os.getpid()}.beats").open("a") as file:
        file.write(line)


def read_beats(folder: str) -> dict[str, Done]:
    """Returns what all processes have done, by stage."""
    done: dict[str, Done] = {}
    for path in sorted(Path(folder).glob("*.beats")):
        # A line that is still being written has no end yet; it counts next time.
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                stage, *numbers = line.split()
                parts, size, total, milliseconds = map(int, numbers)
                before = done.get(stage, Done())
                done[stage] = Done(
                    before.parts + parts,
                    before.bytes + size,
                    max(before.total, total),
                    before.milliseconds + milliseconds,
                )
    return done
