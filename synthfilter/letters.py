"""Dead letters in a build: counted before anything is written."""

from collections.abc import Iterable
from typing import Optional

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.pvalue import AsIter

from synthfilter.core import schema
from synthfilter.core.batches import column
from synthfilter.core.schema import Reason
from synthfilter.decisions import letters
from synthfilter.decisions.letters import Letters
from synthfilter.decisions.summary import Summary
from synthfilter.inputs.blocks import Block


def count_letters(element: tuple[Block, pa.RecordBatch]) -> tuple[int, Letters]:
    """Returns the key of a block, and how many of its records could not be read."""
    block, facts = element
    dead = np.count_nonzero(column(facts, schema.REASON) == Reason.DEAD_LETTER)
    broken = pc.starts_with(facts.column(schema.ERROR), schema.BROKEN_FILE)
    found = Letters(block.file, block.rows, int(dead), bool(pc.any(broken).as_py()))
    return block.key, found


def check_dead_letters(
    summary: beam.PCollection, found: beam.PCollection, most: Optional[float]
) -> beam.PCollection:
    """Returns the one `Summary` again, if not too many records could not be read.

    Args:
      summary: The one `Summary`.
      found: What `count_letters` returned of all blocks.
      most: See `letters.check_letters`; None for any number.
    """
    if most is None:
        return summary
    counts = found | "LettersOfAll" >> beam.Values()
    return summary | "CheckLetters" >> beam.Map(pass_checked, AsIter(counts), most)


def pass_checked(summary: Summary, found: Iterable[Letters], most: float) -> Summary:
    """Returns the summary; raises as `letters.check_letters` does."""
    letters.check_letters(found, most)
    return summary
