"""The decisions, batch by batch: what the transforms of a build apply in this order.

facts -> judge -> (by content) -> texts.settle_texts -> summarise -> bounds -> choose
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from synthfilter.core import books, schema
from synthfilter.core.batches import column, concat_batches, split_by_key
from synthfilter.core.errors import ShortageError
from synthfilter.core.hashing import hash_names, order_hash
from synthfilter.core.schema import Origin, Reason
from synthfilter.decisions import cells, mixture
from synthfilter.decisions.cells import Bounds, Choice
from synthfilter.decisions.copies import rank_documents
from synthfilter.decisions.counted import COUNTED
from synthfilter.decisions.groups import PLAIN, Grouping, tell_groups
from synthfilter.decisions.mixture import Targets
from synthfilter.decisions.origin import OutsideEvidence, weigh
from synthfilter.decisions.rules import MixtureRules
from synthfilter.decisions.summary import (
    Summary,
    sum_chosen,
    sum_slices,
    sum_sources,
)
from synthfilter.decisions.survey import suspicion
from synthfilter.decisions.weighted import weighted_keys

_NO_TIME = np.iinfo(np.int64).max
_BOUND_PARTITIONS = 64


def judge_facts(
    facts: pa.RecordBatch,
    block: int,
    declared: Origin,
    threshold: np.ndarray,
    max_ai_score: float | None,
    outside: OutsideEvidence,
    keep: Sequence[str],
    grouping: Grouping = PLAIN,
) -> pa.RecordBatch:
    """Returns `schema.JUDGED` rows for the facts of one block.

    What is said of each by itself; `texts.settle_origins` tells what it counts as.

    Args:
      facts: All facts of the block, in order.
      block: Its key.
      declared: Its declared origin.
      threshold: From which score on each document counts as machine text, float32.
      max_ai_score: Synthetic documents above it go; see `origin.OriginRules`.
      outside: What is known of origins besides.
      keep: Which of several copies stays, see `copies.rank_documents`.
      grouping: How the mixture tells documents apart.
    """
    rows = facts.num_rows
    named = np.full(rows, declared, np.uint8)
    score = column(facts, schema.AI_SCORE)
    claims = outside.add(
        column(facts, schema.CLAIMS),
        facts.column(schema.URL),
        facts.column(schema.CREATED),
        column(facts, schema.CONTENT_HI),
        column(facts, schema.CONTENT_LO),
    )
    unusable = column(facts, schema.REASON)
    claims, reason = weigh(named, claims, score, unusable, threshold, max_ai_score)
    columns = {
        schema.BLOCK: np.full(rows, block, np.int64),
        schema.ROW: np.arange(rows, dtype=np.int32),
        schema.RANK: rank_facts(facts, named, keep),
        schema.SOURCE_KEY: hash_names(facts.column(schema.SOURCE)),
        schema.DECLARED: named,
        schema.ORIGIN: named,
        schema.REASON: reason,
        schema.CLAIMS: claims,
        schema.SUSPICION: suspicion(score, score >= threshold, ~np.isnan(score)),
        **tell_groups(facts, grouping),
    }
    return pa.RecordBatch.from_arrays(
        [
            pa.array(columns[name]) if name in columns else facts.column(name)
            for name in schema.JUDGED.names
        ],
        schema=schema.JUDGED,
    )


def rank_facts(
    facts: pa.RecordBatch, declared: np.ndarray, keep: Sequence[str]
) -> np.ndarray:
    """Returns the rank of each document among its copies; see `rank_documents`."""
    created = facts.column(schema.CREATED).fill_null(_NO_TIME).to_numpy()
    reviewed, size = column(facts, schema.REVIEWED), column(facts, schema.BYTES)
    return rank_documents(keep, declared, reviewed, size, created)


def leave_reference(decided: pa.RecordBatch) -> pa.RecordBatch:
    """Returns the rows that are no documents of a reference set."""
    mine = column(decided, schema.DECLARED) != Origin.REFERENCE
    return decided if mine.all() else decided.filter(pa.array(mine))


def summarise(decided: pa.RecordBatch, unit: str, weighted: bool = False) -> Summary:
    """Returns the summary of `schema.DECIDED` rows.

    Args:
      decided: The rows.
      unit: The unit of weights.
      weighted: Whether documents weigh differently in the random order.
    """
    value = {name: column(decided, name) for name in schema.DECIDED.names}
    mixed = keep_alive(decided)
    return Summary(
        books=count_books(decided),
        weights=cells.histogram(
            column(mixed, schema.STRATUM),
            cell_codes(mixed),
            order_keys(mixed, weighted),
            weights(mixed, unit),
        ),
        slices=sum_slices(
            schema.slice_keys(value[schema.BLOCK], value[schema.ROW]),
            value[schema.DECLARED],
        ),
        sources=sum_sources(value[schema.SOURCE_KEY], value[schema.REASON]),
    )


def keep_alive(decided: pa.RecordBatch) -> pa.RecordBatch:
    """Returns the rows that are still in."""
    alive = column(decided, schema.REASON) == Reason.KEPT
    return decided if alive.all() else decided.filter(pa.array(alive))


def cell_codes(decided: pa.RecordBatch) -> np.ndarray:
    """Returns the code of each document's cell in its stratum; see `cells`."""
    return cells.cell_codes(
        column(decided, schema.GROUP),
        column(decided, schema.FRESH),
        column(decided, schema.DECLARED) == Origin.CORE,
    )


def order_keys(decided: pa.RecordBatch, weighted: bool) -> np.ndarray:
    """Returns the place of each document in the order of its cell, uint64."""
    order = column(decided, schema.ORDER)
    if not weighted:
        return order
    return weighted_keys(order, column(decided, schema.WEIGHT))


def count_books(decisions: pa.RecordBatch) -> np.ndarray:
    """Returns the books of `schema.DECIDED` or `schema.DECISION` rows."""
    names = (schema.DECLARED, schema.ORIGIN, schema.REASON, schema.BYTES, schema.WORDS)
    return books.count(*(column(decisions, name) for name in names))


def weights(rows: pa.RecordBatch, unit: str) -> np.ndarray:
    """Returns what each document weighs in a unit."""
    if unit == "docs":
        return np.ones(rows.num_rows, np.int32)
    return column(rows, {"bytes": schema.BYTES, "words": schema.WORDS}[unit])


@dataclasses.dataclass(frozen=True, eq=False)
class MixturePlan:
    """What the mixture is to be, and how far that settles which documents are in it.

    Attributes:
      targets: What each cell and group is to weigh.
      choice: The cells, and what is settled in each.
      unit: The unit of weights.
      weighted: Whether documents weigh differently in the random order.
    """

    targets: Targets
    choice: Choice
    unit: str
    weighted: bool


def plan_mixture(
    summary: Summary,
    rules: MixtureRules,
    weighted: bool = False,
    true_shares: tuple[float, float] = COUNTED,
) -> MixturePlan:
    """Returns the plan for what is left after copies; see `mixture.plan_targets`.

    Args:
      summary: Of all documents.
      rules: What is asked.
      weighted: Whether documents weigh differently in the random order.
      true_shares: How much of what counts as human, and as synthetic, is synthetic.

    Raises:
      ShortageError: what is asked cannot be; or the policy is to fail on a shortage,
        and there is one; or nothing would be kept.
    """
    available = cells.sum_cells(summary.weights)
    targets = mixture.plan_targets(available, rules, *true_shares)
    if not targets.weight.any():
        cause = f" for lack of {targets.limited_by}" if targets.limited_by else ""
        *most, last = (f"{g.available} {name}" for name, g in targets.groups.items())
        have = f"{', '.join(most)} and {last}" if most else last
        raise ShortageError(
            f"the set would be empty{cause}: {have} {rules.unit} are left after "
            f"filters and copies ({books.tell_losses(summary.books)}); see the shares "
            "and filters asked for"
        )
    choice = cells.settle_choice(summary.weights, available, targets.weight, targets.up)
    return MixturePlan(targets, choice, rules.unit, weighted)


def boundary_rows(
    decided: pa.RecordBatch, plan: MixturePlan
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields `(partition, rows)` of the documents among which a bound must be found."""
    mixed = keep_alive(decided)
    cell = _find_cells(mixed, plan)
    key = order_keys(mixed, plan.weighted)
    rows = np.flatnonzero(cells.bins(key) == plan.choice.bin[cell])
    if not len(rows):
        return
    found = {
        "cell": cell[rows],
        "key": key[rows],
        schema.ORDER: column(mixed, schema.ORDER)[rows],
        schema.IDENTITY: column(mixed, schema.IDENTITY)[rows],
        "weight": weights(mixed, plan.unit)[rows],
    }
    batch = pa.RecordBatch.from_pydict(found)
    yield from split_by_key(batch, found["cell"] % _BOUND_PARTITIONS)


def find_bounds(
    element: tuple[int, Iterable[pa.RecordBatch]], plan: MixturePlan
) -> Bounds:
    """Returns the bounds of the cells of a partition."""
    rows = concat_batches(element[1])
    return cells.find_bounds(
        plan.choice, *(column(rows, name) for name in rows.schema.names)
    )


def choose(
    decided: pa.RecordBatch, plan: MixturePlan, bounds: Bounds
) -> pa.RecordBatch:
    """Returns `schema.DECISION` rows: what was still in is kept, or left out now."""
    copies = choose_copies(decided, plan, bounds)
    reason = column(decided, schema.REASON)
    gone = (reason == Reason.KEPT) & (copies == 0)
    known = {name: decided.column(name) for name in schema.DECIDED.names}
    known |= {
        schema.REASON: pa.array(np.where(gone, np.uint8(Reason.MIXTURE), reason)),
        schema.COPIES: pa.array(copies),
    }
    return pa.RecordBatch.from_arrays(
        [known[name] for name in schema.DECISION.names], schema=schema.DECISION
    )


def choose_copies(
    decided: pa.RecordBatch, plan: MixturePlan, bounds: Bounds
) -> np.ndarray:
    """Returns how often each document is in the set, int32."""
    alive = np.flatnonzero(column(decided, schema.REASON) == Reason.KEPT)
    mixed = keep_alive(decided)
    copies = np.zeros(decided.num_rows, np.int32)
    copies[alive] = cells.count_copies(
        plan.choice,
        bounds,
        _find_cells(mixed, plan),
        order_keys(mixed, plan.weighted),
        column(mixed, schema.ORDER),
        column(mixed, schema.IDENTITY),
    )
    return copies


def count_chosen(
    decided: pa.RecordBatch, plan: MixturePlan, bounds: Bounds
) -> np.ndarray:
    """Returns the bytes of each slice that are in the set: int64 [slices, 2]."""
    size = column(decided, schema.BYTES) * choose_copies(decided, plan, bounds).astype(
        np.int64
    )
    block, row = column(decided, schema.BLOCK), column(decided, schema.ROW)
    return sum_chosen(schema.slice_keys(block, row), size)


def _find_cells(mixed: pa.RecordBatch, plan: MixturePlan) -> np.ndarray:
    return plan.choice.find(column(mixed, schema.STRATUM), cell_codes(mixed))


def complete_verdicts(
    verdicts: pa.RecordBatch, facts: pa.RecordBatch, declared: Origin, seed: int
) -> pa.RecordBatch:
    """Returns the `schema.DECISION` rows of `schema.VERDICT` rows of one block.

    Args:
      verdicts: What was decided about some documents of the block.
      facts: All facts of the block, in order.
      declared: Its declared origin.
      seed: Of the random order.
    """
    mine = facts.take(verdicts.column(schema.ROW))
    hi, lo = column(mine, schema.CONTENT_HI), column(mine, schema.CONTENT_LO)
    rows = verdicts.num_rows
    known = {name: verdicts.column(name) for name in schema.VERDICT.names}
    known |= {n: mine.column(n) for n in (schema.IDENTITY, schema.BYTES, schema.WORDS)}
    known[schema.ORDER] = pa.array(order_hash(hi, lo, seed))
    known[schema.DECLARED] = pa.array(np.full(rows, declared, np.uint8))
    return pa.RecordBatch.from_arrays(
        [known[name] for name in schema.DECISION.names], schema=schema.DECISION
    )
