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


def tell_groups(facts: pa.RecordBatch, grouping: Grouping) -> dict[str, np.ndarray]:
    """Returns the columns by which the mixture knows documents, whoever wrote them.

    `settle_groups` completes them.

    Args:
      facts: `schema.FACTS` rows.
      grouping: How documents are told apart.
    """
    fresh = np.zeros(facts.num_rows, np.uint8)
    if grouping.fresh_from is not None:
        fresh = is_recent(facts, grouping.fresh_from).astype(np.uint8)
    stratum = np.zeros(facts.num_rows, np.int64)
    if grouping.strata is not None:
        stratum = hash_names(facts.column(grouping.strata)).view(np.int64)
    return {
        schema.GROUP: find_categories(facts, grouping),
        schema.STRATUM: stratum,
        schema.FRESH: fresh,
        schema.WEIGHT: facts.column(schema.WEIGHT).to_numpy(),
    }


def settle_groups(
    category: np.ndarray,
    recent: np.ndarray,
    declared: np.ndarray,
    origin: np.ndarray,
    reason: np.ndarray,
    grouping: Grouping,
) -> dict[str, np.ndarray]:
    """Returns group, freshness and reason of documents once their origin is known.

    Args:
      category: Group of each as `tell_groups` told it.
      recent: Its freshness as `tell_groups` told it.
      declared: Declared origin of each.
      origin: Decided origin of each.
      reason: Reason of each so far; those in no group have one after this.
      grouping: How documents are told apart.
    """
    group = add_origins(category, declared, origin, grouping)
    left_out = (group == schema.NO_GROUP) & np.isin(
        origin, (Origin.HUMAN, Origin.SYNTHETIC)
    )
    left_out &= reason == Reason.KEPT
    return {
        schema.GROUP: group,
        schema.FRESH: np.where(group == 0, recent, np.uint8(0)),
        schema.REASON: np.where(left_out, np.uint8(Reason.NO_GROUP), reason),
    }


def find_groups(
    facts: pa.RecordBatch, declared: np.ndarray, origin: np.ndarray, grouping: Grouping
) -> np.ndarray:
    """Returns the number of each document's group, uint8.

    That of its category if it is one of the mixture's, else of its origin.
    """
    return add_origins(find_categories(facts, grouping), declared, origin, grouping)


def find_categories(facts: pa.RecordBatch, grouping: Grouping) -> np.ndarray:
    """Returns the group of each document's category, uint8; NO_GROUP for others."""
    categories = grouping.names[len(_BY_ORIGIN) :]
    if not categories:
        return np.full(facts.num_rows, schema.NO_GROUP, np.uint8)
    found = pc.index_in(
        facts.column(schema.CATEGORY), value_set=pa.array(categories, pa.string())
    )
    at = found.fill_null(-1).to_numpy()
    return np.where(at >= 0, at + len(_BY_ORIGIN), schema.NO_GROUP).astype(np.uint8)


def add_origins(
    category: np.ndarray, declared: np.ndarray, origin: np.ndarray, grouping: Grouping
) -> np.ndarray:
    """Returns the groups of categories, and of origins for documents that have none.

    What the archive has in no group is human: it cannot be left out.
    """
    group = category.copy()
    for number, who in enumerate((Origin.HUMAN, Origin.SYNTHETIC)):
        if _BY_ORIGIN[number] in grouping.listed:
            group[(category == schema.NO_GROUP) & (origin == who)] = number
    group[(declared == Origin.CORE) & (group == schema.NO_GROUP)] = 0
    return group


def find_fresh(facts: pa.RecordBatch, group: np.ndarray, fresh_from: int) -> np.ndarray:
    """Returns which documents of the human group were created from a time on."""
    return (group == 0) & is_recent(facts, fresh_from)


def is_recent(facts: pa.RecordBatch, fresh_from: int) -> np.ndarray:
    """Returns which documents were created from a time on."""
    created = facts.column(schema.CREATED).fill_null(np.iinfo(np.int64).min).to_numpy()
    return created >= fresh_from
