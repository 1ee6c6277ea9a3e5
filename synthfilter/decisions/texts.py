"""Texts: documents of one content meet, and their origin and copies are settled.

The steps between `decide.judge_facts` and `decide.summarise`, a partition at a time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from synthfilter.core import schema
from synthfilter.core.batches import (
    column,
    concat_batches,
    split_by_key,
    with_values,
)
from synthfilter.core.claims import claim_of, with_claim
from synthfilter.core.hashing import mix, order_hash
from synthfilter.core.schema import Evidence, Origin, Reason, Says
from synthfilter.core.uses import partition_of_hash
from synthfilter.decisions.copies import find_exact_copies, rank_origins
from synthfilter.decisions.groups import PLAIN, Grouping, settle_groups
from synthfilter.decisions.origin import (
    FIXED,
    UNSETTLED,
    Judgement,
    OriginRules,
    settle,
    share_claims,
)
from synthfilter.decisions.survey import unask


def split_by_content(
    judged: pa.RecordBatch, partitions: int
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields `(partition, rows)`; documents of the same text meet in one partition."""
    return split_by_key(judged, content_partitions(judged, partitions))


def content_partitions(judged: pa.RecordBatch, partitions: int) -> np.ndarray:
    """Returns the partition of each `schema.JUDGED` row, int64."""
    # What is out for good has no copies, and all empty texts would meet in one place.
    out = ~np.isin(column(judged, schema.REASON), UNSETTLED)
    apart = mix(column(judged, schema.BLOCK).view(np.uint64))
    apart = mix(apart + column(judged, schema.ROW).astype(np.uint64))
    key = np.where(out, apart, column(judged, schema.CONTENT_HI))
    return partition_of_hash(key, partitions)


def settle_texts(
    judged: pa.RecordBatch,
    rules: OriginRules,
    keep: Sequence[str],
    grouping: Grouping,
    seed: int,
) -> pa.RecordBatch:
    """Returns the `schema.DECIDED` rows of `schema.JUDGED` rows of one partition.

    Args:
      judged: All rows of the partition.
      rules: What conflicts and scores do.
      keep: Which of several copies stays.
      grouping: How the mixture tells documents apart.
      seed: Of the random order.
    """
    return settle_copies([settle_origins(judged, rules, keep, grouping)], seed)


def settle_origins(
    judged: pa.RecordBatch, rules: OriginRules, keep: Sequence[str], grouping: Grouping
) -> pa.RecordBatch:
    """Returns `schema.JUDGED` rows with origins, by what is said of all copies.

    A reference set says nothing of the origin of others. That the archive has a text
    says that it is human, and nothing that is said of others changes the archive.

    Args:
      judged: All rows of a partition, as `judge_facts` returns them.
      rules: What conflicts and scores do.
      keep: Which of several copies stays.
      grouping: How the mixture tells documents apart.
    """
    value = {name: column(judged, name) for name in schema.JUDGED.names}
    declared, reason = value[schema.DECLARED], value[schema.REASON]
    usable = np.isin(reason, UNSETTLED)
    claims = share_claims(
        value[schema.CONTENT_HI],
        value[schema.CONTENT_LO],
        value[schema.CLAIMS],
        usable & (declared != Origin.REFERENCE),
        usable & ~np.isin(declared, FIXED),
    )
    found = settle(declared, claims, reason, rules)
    value |= _follow(value, found, keep, grouping)
    return pa.RecordBatch.from_arrays(
        [pa.array(value[name]) for name in schema.JUDGED.names], schema=schema.JUDGED
    )


def _follow(
    value: Mapping[str, np.ndarray],
    found: Judgement,
    keep: Sequence[str],
    grouping: Grouping,
) -> dict[str, np.ndarray]:
    """Returns the columns of documents that follow from what is decided of them."""
    return {
        schema.ORIGIN: found.origin,
        schema.CLAIMS: found.claims,
        schema.RANK: rank_origins(keep, value[schema.RANK], found.origin, found.ground),
        schema.SUSPICION: unask(value[schema.SUSPICION], ~found.open),
        **settle_groups(
            value[schema.GROUP],
            value[schema.FRESH],
            value[schema.DECLARED],
            found.origin,
            found.reason,
            grouping,
        ),
    }


def settle_near(
    decided: pa.RecordBatch,
    near: np.ndarray,
    rules: OriginRules,
    keep: Sequence[str],
    grouping: Grouping,
) -> pa.RecordBatch:
    """Returns `schema.DECIDED` rows with origins as near copies in a ledger have them.

    Args:
      decided: Rows, exact copies settled.
      near: Which are near copies of text that a ledger holds as synthetic.
      rules: What conflicts and scores do.
      keep: Which of several copies stays.
      grouping: How the mixture tells documents apart.
    """
    rows = np.flatnonzero(near & _takes_near(decided))
    if not len(rows):
        return decided
    value = {name: column(decided, name)[rows] for name in schema.DECIDED.names}
    claims = _claim_near(value[schema.CLAIMS])
    found = settle(value[schema.DECLARED], claims, value[schema.REASON], rules)
    # What is in no category was in the group of its origin.
    by_origin = value[schema.GROUP] < len(PLAIN.names)
    value[schema.GROUP] = np.where(
        by_origin, np.uint8(schema.NO_GROUP), value[schema.GROUP]
    )
    changed = _follow(value, found, keep, grouping)
    return with_values(decided, rows, changed)


def may_be_near(decided: pa.RecordBatch, rules: OriginRules) -> np.ndarray:
    """Returns which `schema.DECIDED` rows near copies in a ledger would make synthetic.

    Args:
      decided: Rows, exact copies settled.
      rules: What conflicts and scores do.
    """
    declared, reason = (
        column(decided, name) for name in (schema.DECLARED, schema.REASON)
    )
    claims = _claim_near(column(decided, schema.CLAIMS))
    found = settle(declared, claims, reason, rules)
    human = column(decided, schema.ORIGIN) == Origin.HUMAN
    changed = (found.origin != Origin.HUMAN) | (found.reason != reason)
    return human & changed & (reason == Reason.KEPT) & _takes_near(decided)


def _takes_near(decided: pa.RecordBatch) -> np.ndarray:
    return ~np.isin(column(decided, schema.DECLARED), FIXED)


def _claim_near(claims: np.ndarray) -> np.ndarray:
    """Returns the claims of near copies of text that a ledger holds as synthetic."""
    # That the detector is silent counts where nothing else is said.
    silent = claim_of(claims, Evidence.DETECTOR) == Says.HUMAN
    cleared = with_claim(claims, Evidence.DETECTOR, Says.NOTHING)
    claims = np.where(silent, cleared, claims)
    return with_claim(claims, Evidence.NEAR_LEDGER, Says.SYNTHETIC)


def settle_copies(batches: Iterable[pa.RecordBatch], seed: int) -> pa.RecordBatch:
    """Returns the `schema.DECIDED` rows of one partition.

    Args:
      batches: `schema.JUDGED` rows, their origins settled.
      seed: Of the random order.
    """
    judged = concat_batches(batches)
    value = {name: column(judged, name) for name in schema.JUDGED.names}
    hi, lo = value[schema.CONTENT_HI], value[schema.CONTENT_LO]
    reason = value[schema.REASON].copy()
    still_in = np.flatnonzero(reason == Reason.KEPT)
    rank = [value[n] for n in (schema.RANK, schema.IDENTITY, schema.BLOCK, schema.ROW)]
    copies = find_exact_copies(
        hi[still_in],
        lo[still_in],
        value[schema.WORDS][still_in],
        [key[still_in] for key in rank],
    )
    again = still_in[copies]
    content = mix(hi) ^ lo
    known = content[still_in][value[schema.DECLARED][still_in] == Origin.REFERENCE]
    in_reference = np.isin(content[again], known)
    # The archive stays whole, copies within it included.
    gone = in_reference | (value[schema.DECLARED][again] != Origin.CORE)
    again, in_reference = again[gone], in_reference[gone]
    reason[again] = np.where(in_reference, Reason.REFERENCE_COPY, Reason.EXACT_COPY)
    is_copy = np.zeros(len(reason), np.uint8)
    is_copy[again] = 1
    value |= {
        schema.ORDER: order_hash(hi, lo, seed),
        schema.REASON: reason,
        schema.MATCH_HI: hi * is_copy,
        schema.MATCH_LO: lo * is_copy,
        schema.SIMILARITY: is_copy.astype(np.float32),
        schema.MATCH_BUILD: np.zeros(len(reason), np.uint64),
        schema.USES: np.zeros(len(reason), np.int32),
        schema.DEPTH: np.zeros(len(reason), np.int32),
    }
    return pa.RecordBatch.from_arrays(
        [pa.array(value[name]) for name in schema.DECIDED.names], schema=schema.DECIDED
    )
