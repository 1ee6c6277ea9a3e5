"""Dead letters: how many a build may have, and which of them are written."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Optional

import numpy as np

from synthfilter.core.errors import ShortageError, UserError
from synthfilter.core.schema import BLOCKS_PER_FILE, Reason
from synthfilter.core.text import printable

# Files that an error message names at most.
_NAMED = 3


@dataclasses.dataclass(frozen=True)
class Letters:
    """How many records of a block could not be read.

    Attributes:
      file: That the block is from.
      records: All of the block.
      dead: Those that could not be read.
      broken: Whether one of them says that the file is broken.
    """

    file: str
    records: int
    dead: int
    broken: bool = False


def check_most(most: Optional[float]) -> None:
    """Raises UserError unless the value is a whole number, a share below 1, or None."""
    if most is None:
        return
    if not (math.isfinite(most) and most >= 0) or (most >= 1 and most % 1):
        raise UserError(
            "max_dead_letters must be a whole number or, below 1, a share of all "
            f"records, got {most:g}"
        )


def check_letters(found: Iterable[Letters], most: float) -> None:
    """Checks that not too many records could not be read.

    Args:
      found: Of all blocks.
      most: A number of records, or below 1 a share of them.

    Raises:
      ShortageError: more could not be read; names the worst files.
    """
    by_file: dict[str, int] = {}
    records = 0
    for block in found:
        records += block.records
        by_file[block.file] = by_file.get(block.file, 0) + block.dead
    dead = sum(by_file.values())
    if dead <= (most if most >= 1 else most * records):
        return
    worst = sorted(by_file.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(
        f"{printable(name, 120)} {count:,}" for name, count in worst[:_NAMED] if count
    )
    raise ShortageError(
        f"{dead:,} of {records:,} records cannot be read, more than "
        f"max_dead_letters={most:g}; most of them in {named}; synthfilter score FILE "
        "tells why, record by record: mend the files, leave them out or raise "
        "max_dead_letters"
    )


def find_unwritten(
    found: Mapping[int, Letters], key: int, reason: np.ndarray, most: int
) -> np.ndarray:
    """Returns which rows of a block are dead letters that are not written.

    Of each file the first ones are written, and the last: where reading stopped, it
    says so.

    Args:
      found: Of all blocks, by key.
      key: The block's.
      reason: `Reason` of all rows of the block, in order.
      most: First dead letters of a file to be written.
    """
    first = key - key % BLOCKS_PER_FILE
    before = sum(found[other].dead for other in range(first, key) if other in found)
    dead = reason == Reason.DEAD_LETTER
    unwritten = dead & (before + np.cumsum(dead) > most)
    later = range(key + 1, first + BLOCKS_PER_FILE)
    if unwritten.any() and not any(found[k].dead for k in later if k in found):
        unwritten[np.flatnonzero(dead)[-1]] = False
    return unwritten
