"""What is computed of one block, as steps of a build."""

from collections.abc import Sequence
from typing import Optional

import numpy as np
import pyarrow as pa

from synthfilter.core import hashing, schema
from synthfilter.core.batches import column
from synthfilter.decisions import decide
from synthfilter.decisions.groups import Grouping
from synthfilter.decisions.origin import OutsideEvidence
from synthfilter.detection.lengths import Threshold
from synthfilter.inputs.blocks import Block


def key_block(block: Block) -> tuple[int, Block]:
    """Returns the block under its key."""
    return block.key, block


def judge_block(
    element: tuple[Block, pa.RecordBatch],
    threshold: Threshold,
    max_ai_score: Optional[float],
    outside: OutsideEvidence,
    keep: Sequence[str],
    grouping: Grouping,
) -> pa.RecordBatch:
    """Returns the judged rows of a block; see `decide.judge_facts`."""
    block, facts = element
    return decide.judge_facts(
        facts,
        block.key,
        block.declared,
        threshold.of(column(facts, schema.WORDS)),
        max_ai_score,
        outside,
        keep,
        grouping,
    )


def digest_block(element: tuple[Block, pa.RecordBatch]) -> str:
    """Returns the digest of all documents of a block."""
    block, facts = element
    hi, lo = column(facts, schema.CONTENT_HI), column(facts, schema.CONTENT_LO)
    return hashing.content_digest(hi, lo, np.full(len(hi), block.declared, np.uint8))
