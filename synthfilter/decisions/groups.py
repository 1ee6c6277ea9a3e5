"""Facts to groups: what the mixture tells documents apart by."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core import schema
from synthfilter.core.hashing import hash_names
from synthfilter.core.schema import Origin, Reason
from synthfilter.decisions.rules import HUMAN, SYNTHETIC, group_names, parse_day

_BY_ORIGIN = (HUMAN, SYNTHETIC)


@dataclasses.dataclass(frozen=True)
class Grouping:
    """How the mixture tells documents apart.

    Attributes:
      names: Groups by their numbers: those by origin, then categories.
      listed: Groups of the set; documents of others are in none.
      fresh_from: Milliseconds since 1970 from which on human documents are fresh; None:
        none are.
      strata: Column of `schema.FACTS` in whose values strata are; None: all are one.
    """

    names: tuple[str, ...] = _BY_ORIGIN
    listed: tuple[str, ...] = _BY_ORIGIN
    fresh_from: int | None = None
    strata: str | None = None


PLAIN = Grouping()


def make_grouping(
    mixture: Mapping[str, float], fresh_after: str | None, strata: str | None
) -> Grouping:
    """Returns what the options of a mixture name."""
    return Grouping(
        group_names(mixture),
        group_names(mixture, only_listed=True),
        None if fresh_after is None else parse_day(fresh_after),
        strata,
    )


def tell_groups(
    facts: pa.RecordBatch,
    declared: np.ndarray,
    origin: np.ndarray,
    reason: np.ndarray,
    grouping: Grouping,
) -> dict[str, np.ndarray]:
    """Returns the columns by which the mixture knows documents, and their reasons.

    Args:
      facts: `schema.FACTS` rows.
      declared: Declared origin of each.
      origin: Decided origin of each.
      reason: Reason of each so far; those in no group have one after this.
      grouping: How documents are told apart.
    """
    group = find_groups(facts, declared, origin, grouping)
    fresh = np.zeros(len(group), np.uint8)
    if grouping.fresh_from is not None:
        fresh = find_fresh(facts, group, grouping.fresh_from).astype(np.uint8)
    stratum = np.zeros(len(group), np.int64)
    if grouping.strata is not None:
        stratum = hash_names(facts.column(grouping.strata)).view(np.int64)
    left_out = (group == schema.NO_GROUP) & np.isin(
        origin, (Origin.HUMAN, Origin.SYNTHETIC)
    )
    left_out &= reason == Reason.KEPT
    return {
        schema.GROUP: group,
        schema.STRATUM: stratum,
        schema.FRESH: fresh,
        schema.WEIGHT: facts.column(schema.WEIGHT).to_numpy(),
        schema.REASON: np.where(left_out, np.uint8(Reason.NO_GROUP), reason),
    }


def find_groups(
    facts: pa.RecordBatch, declared: np.ndarray, origin: np.ndarray, grouping: Grouping
) -> np.ndarray:
    """Returns the number of each document's group, uint8.

    That of its category if it is one of the mixture's, else of its origin. What the
    archive has in no group is human: it cannot be left out.
    """
    group = np.full(len(origin), schema.NO_GROUP, np.uint8)
    for number, who in enumerate((Origin.HUMAN, Origin.SYNTHETIC)):
        if _BY_ORIGIN[number] in grouping.listed:
            group[origin == who] = number
    group[(declared == Origin.CORE) & (group == schema.NO_GROUP)] = 0
    categories = grouping.names[len(_BY_ORIGIN) :]
    if categories:
        found = pc.index_in(
            facts.column(schema.CATEGORY), value_set=pa.array(categories, pa.string())
        )
        at = found.fill_null(-1).to_numpy()
        group = np.where(at >= 0, at + len(_BY_ORIGIN), group).astype(np.uint8)
    return group


def find_fresh(facts: pa.RecordBatch, group: np.ndarray, fresh_from: int) -> np.ndarray:
    """Returns which documents of the human group were created from a time on."""
    created = facts.column(schema.CREATED).fill_null(np.iinfo(np.int64).min).to_numpy()
    return (group == 0) & (created >= fresh_from)
