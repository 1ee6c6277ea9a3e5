"""What is said beside each reason for leaving a document out: its evidence."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core import hashing, schema
from synthfilter.core.batches import column
from synthfilter.core.schema import Reason
from synthfilter.detection.lengths import Threshold


def tell_evidence(
    decisions: pa.RecordBatch,
    threshold: Threshold,
    options: Mapping[Reason, str],
    conflicts: Sequence[str],
) -> pa.Array:
    """Returns what to say beside the reasons of `schema.DECISION` rows.

    Args:
      decisions: The rows.
      threshold: That human documents have reached.
      options: What to say of the options behind other reasons.
      conflicts: What to say of conflicts about human and about synthetic documents.
    """
    reason = column(decisions, schema.REASON)
    said = pa.array([options.get(each) for each in Reason], pa.string())
    said = said.take(decisions.column(schema.REASON))
    reached = pa.array([f"threshold={value}" for value in threshold.values])
    bands = threshold.bands_of(column(decisions, schema.WORDS))
    flagged = pa.array(reason == Reason.HUMAN_SCORED_SYNTHETIC)
    said = pc.if_else(flagged, reached.take(pa.array(bands)), said)
    disputed = pa.array(reason == Reason.CONFLICT)
    origin = decisions.column(schema.ORIGIN)
    said = pc.if_else(disputed, pa.array(conflicts, pa.string()).take(origin), said)
    similarity = column(decisions, schema.SIMILARITY)
    match = hashing.hex_hashes(
        column(decisions, schema.MATCH_HI), column(decisions, schema.MATCH_LO)
    )
    exact = (reason == Reason.EXACT_COPY).tolist()
    near = [
        "" if same else f" similarity {value:.3f}"
        for same, value in zip(exact, similarity.tolist(), strict=True)
    ]
    match = pc.binary_join_element_wise(match, pa.array(near, pa.string()), "")
    said = pc.if_else(pa.array(similarity > 0), match, said)
    reused = np.isin(reason, (Reason.USED_BEFORE, Reason.TOO_DEEP))
    if not reused.any():
        return said
    return pc.replace_with_mask(
        said, pa.array(reused), tell_reuse(decisions.filter(pa.array(reused)))
    )


def tell_reuse(decisions: pa.RecordBatch) -> pa.Array:
    """Returns what to say of documents that were used before, or are too deep."""
    names = (schema.MATCH_BUILD, schema.USES, schema.DEPTH)
    told = zip(*(column(decisions, name).tolist() for name in names), strict=True)
    match = hashing.hex_hashes(
        column(decisions, schema.MATCH_HI), column(decisions, schema.MATCH_LO)
    ).to_pylist()
    said = []
    for (build, uses, depth), text in zip(told, match, strict=True):
        line = f"generation={depth - 1 if depth else 'unknown'}"
        if uses:
            line = f"build={build:016x} uses={uses} {line} hash={text}"
        said.append(line)
    return pa.array(said, pa.string())
