"""A text in very many documents: neither time nor memory grows faster than the rows."""

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from synthfilter import near_pairs
from synthfilter.core import schema
from synthfilter.core.schema import Reason
from synthfilter.decisions.groups import PLAIN
from synthfilter.decisions.near import (
    MAX_BUCKET,
    Candidates,
    candidate_pairs,
    resolve_greedily,
)
from synthfilter.decisions.origin import OriginRules
from synthfilter.decisions.texts import settle_texts
from synthfilter.near_bands import CROWD
from synthfilter.near_pairs import group_pairs, pair_batches

BOILERPLATE = "please read the terms of use of this site before you go on to " * 2


def use_of(work: Callable[[], Any]) -> tuple[Any, float, int]:
    """Returns what some work returns, its CPU seconds and its most bytes at once."""
    tracemalloc.start()
    try:
        began = time.process_time()
        found = work()
        seconds = time.process_time() - began
        return found, seconds, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def judged(rows: int) -> pa.RecordBatch:
    """Returns rows of documents of which all have the same text."""
    values = {name: np.zeros(rows, np.int64) for name in schema.JUDGED.names}
    values[schema.ROW] = np.arange(rows)
    values[schema.WORDS] += 20
    values[schema.RANK] += schema.RANK_OTHERS >> 1
    return pa.RecordBatch.from_arrays(
        [pa.array(values[field.name]).cast(field.type) for field in schema.JUDGED],
        schema=schema.JUDGED,
    )


def test_a_document_copied_a_million_times_stays_once() -> None:
    rows = judged(10**6)
    settled, seconds, most = use_of(
        lambda: settle_texts(rows, OriginRules(), ("human",), PLAIN, seed=0)
    )
    reason = settled.column(schema.REASON).to_numpy()
    assert np.flatnonzero(reason == Reason.KEPT).tolist() == [0]
    assert (reason[1:] == Reason.EXACT_COPY).all()
    assert seconds < 8
    assert most < 600 * rows.num_rows


@pytest.mark.parametrize("documents", [10**5, 5 * 10**5])
def test_a_band_that_all_share_makes_few_pairs(documents: int) -> None:
    names = np.arange(documents)
    found, seconds, most = use_of(
        lambda: candidate_pairs(np.zeros(documents, np.uint64), names, MAX_BUCKET)
    )
    assert len(found.pairs) < documents
    assert seconds < 8
    assert most < 1000 * documents
    # The best has met all others.
    alike = np.ones(len(found.pairs))
    order = np.argsort(np.bincount(found.pairs.ravel()))[::-1]
    rank = np.empty(documents, np.int64)
    rank[order] = np.arange(documents)
    assert len(resolve_greedily(found.pairs, alike, rank, 0.8).dropped) == documents - 1


@pytest.mark.parametrize("documents", [10**5, 5 * 10**5])
def test_a_crowd_is_compared_with_its_best_where_it_is_read(documents: int) -> None:
    others = np.arange(1, documents, dtype=np.uint64)
    pairs = np.stack([np.zeros_like(others), others], axis=1)
    found = [pair_batches(Candidates(pairs, others))] * 3
    groups, seconds, most = use_of(lambda: group_pairs(None, found, 4))
    assert groups.hubs.tolist() == [0]
    assert len(groups.pairs) == documents - 1
    # Nothing of the crowd goes anywhere.
    assert not len(groups.members)
    assert seconds < 8
    assert most < 400 * documents


@pytest.mark.parametrize("documents", [600, 4000])
def test_a_build_of_one_text_and_one_boilerplate_keeps_one_of_each(
    workshop, monkeypatch: pytest.MonkeyPatch, documents: int
) -> None:
    workshop.write("human/copies", ["The same text everywhere, again."] * 1000, 300)
    texts = [f"{BOILERPLATE}n{i} of {i % 97}" for i in range(documents)]
    workshop.write("human/boilerplate", texts, 500)
    paired = []
    group = near_pairs._merge_pairs

    def spy(found: Any) -> Any:
        paired.append(group(found))
        return paired[-1]

    monkeypatch.setattr(near_pairs, "_merge_pairs", spy)
    began = time.process_time()
    made = workshop.build(near_duplicates=0.7)
    assert made["books"]["kept"] == 2
    assert made["books"]["left_out"]["exact_copy"] == 999
    assert made["books"]["left_out"]["near_copy"] == documents - 1
    # Of a crowd nothing is paired: it is larger than `CROWD`.
    ((order, pairs, _),) = paired
    crowd = documents >= CROWD
    assert (len(order), len(pairs) > 0) == ((0, False) if crowd else (600, True))
    assert time.process_time() - began < 60
