"""Pairs of candidates are compared once, wherever that is."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter import near_groups, near_pairs
from synthfilter.core.batches import concat_batches
from synthfilter.core.schema import RANK_CORE, RANK_OTHERS, Origin
from synthfilter.decisions.minhash import Shingles
from synthfilter.decisions.near import Candidates, true_similarity
from synthfilter.inputs.blocks import Block

DOCUMENTS = 21
END = st.integers(0, DOCUMENTS - 1)
# As they are found: the lower document first.
PAIRS = st.lists(
    st.tuples(END | st.integers(0, 20).map(lambda row: row // 7 * 7), END)
    .filter(lambda pair: pair[0] != pair[1])
    .map(lambda pair: tuple(sorted(pair))),
    min_size=20,
    max_size=60,
)
SHINGLES = st.lists(
    st.sampled_from([[1, 2, 3], [1, 2, 3, 4], [1, 2, 3], [1, 5], [6], []]),
    min_size=DOCUMENTS,
    max_size=DOCUMENTS,
)
BLOCK = Block(7, "f", "f", "x", Origin.HUMAN, {}, 0, 1, DOCUMENTS, 0, 100, False)


def found_pairs(
    pairs: Iterable[tuple[int, int]], crowded: tuple[int, ...] = ()
) -> near_pairs.Found:
    ends = np.array(list(pairs), np.uint64).reshape(-1, 2)
    found = Candidates(ends, np.array(crowded, np.uint64))
    return near_pairs.pair_batches(found)


def pairs_of(groups: near_pairs.Groups) -> list[tuple[int, int]]:
    """The pairs, the lower document first, in their own order."""
    return [tuple(sorted(pair)) for pair in groups.order[groups.pairs].tolist()]


@given(PAIRS, st.integers(1, 4), st.integers(1, 5), st.data())
def test_groups_are_the_same_whatever_parts_the_pairs_come_in(
    pairs, cells, partners, data
) -> None:
    cut = data.draw(st.integers(0, len(pairs)))
    # Documents may share bands in several parts.
    parts = [found_pairs(pairs, (3, 5)), found_pairs(pairs[:cut], (5, 7))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_pairs, "MAX_PARTNERS", partners)
        whole = near_pairs.group_pairs(None, [found_pairs(pairs, (3, 5, 7))], cells)
        found = near_pairs.group_pairs(None, iter(parts[::-1]), cells)
    for one, other in zip(found, whole, strict=True):
        assert np.array_equal(one, other)
    assert found.order.tolist() == sorted({end for pair in pairs for end in pair})
    crowded = {3, 5, 7} & set(found.order.tolist())
    assert set(found.order[found.crowded].tolist()) == crowded
    assert sorted(pairs_of(found)) == sorted(set(pairs))
    assert set(found.cell.tolist()) <= set(range(cells))


@given(PAIRS, st.integers(1, 5))
def test_only_what_has_many_partners_is_a_hub(pairs, partners) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_pairs, "MAX_PARTNERS", partners)
        found = near_pairs.group_pairs(None, [found_pairs(pairs)], 3)
    ends = [end for pair in set(pairs) for end in pair]
    many = {end for end in ends if ends.count(end) > partners}
    for place, pair in enumerate(found.order[found.pairs].tolist()):
        assert bool(many & set(pair)) == (place >= found.with_hubs)
    assert set(found.hubs.tolist()) <= many
    near_hubs = found.order[found.pairs[found.with_hubs :]].tolist()
    assert {hub for _, hub in near_hubs} <= many
    # By the document, and then by how large the hub is.
    keys = [(row, -ends.count(hub), hub) for row, hub in near_hubs]
    assert keys == sorted(keys)


def read_rows(
    shingles: list[list[int]], rank: list[int], rows: list[int]
) -> pa.RecordBatch:
    """`READ` rows as if some documents had been read."""
    return pa.RecordBatch.from_pylist(
        [
            {
                "order": row,
                "rank": rank[row],
                "content_hi": row,
                "content_lo": row,
                "block": BLOCK.key,
                "row": row,
                "shingles": shingles[row],
            }
            for row in rows
        ],
        schema=near_groups.READ,
    )


def compared(
    groups: near_pairs.Groups, shingles: list[list[int]], rank: list[int], step: int
) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """What all documents, read in steps, come to in their cells."""

    def read(_element, _blocks, wanted: np.ndarray, _words) -> Iterable[pa.RecordBatch]:
        # As they lie in the block, whatever their place in the order.
        rows = sorted(wanted.tolist(), key=lambda row: row * 8 % 21)
        for start in range(0, len(rows), step):
            yield read_rows(shingles, rank, rows[start : start + step])

    cells: dict[int, list[tuple[pa.RecordBatch, pa.RecordBatch]]] = {}
    options = (7, []), {7: BLOCK}, groups
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_groups, "read_shingles", read)
        hubs = near_groups.gather_read(None, near_groups.read_hubs(*options, 5))
        for cell, parts in near_groups.read_candidates(*options, hubs, 0.5, 5, None):
            cells.setdefault(cell, []).append(parts)
    found = [near_groups.compare_cell(each, groups, 0.5) for each in cells.items()]
    told, alike = zip(near_groups.NOTHING_COMPARED, *found, strict=True)
    return concat_batches(told), concat_batches(alike)


@given(PAIRS, SHINGLES, st.integers(1, 4), st.sampled_from([1, 2, 3, 1024]), END)
def test_what_is_alike_is_found_once_in_cells_and_by_hubs(
    pairs, shingles, cells, partners, step
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_pairs, "MAX_PARTNERS", partners)
        groups = near_pairs.group_pairs(None, [found_pairs(pairs)], cells)
    # One in three is of a reference set: those are not compared with each other.
    rank = [row + (0 if row % 3 == 0 else RANK_OTHERS) for row in range(DOCUMENTS)]
    told, alike = compared(groups, shingles, rank, step + 1)
    assert set(told["order"].to_pylist()) == set(groups.order.tolist())
    offsets = np.cumsum([0, *map(len, shingles)])
    whole = Shingles(np.array([s for each in shingles for s in each]), offsets)
    named = pairs_of(groups)
    true = true_similarity(whole, np.array(named, np.int64).reshape(-1, 2)).tolist()
    told_rank = np.array(rank, np.uint64)[groups.order.astype(int)]
    split = near_groups.split_pairs(groups, alike, told_rank)
    order = groups.order.tolist()

    def name(pair: list[int]) -> tuple[int, ...]:
        return tuple(sorted(order[row] for row in pair))

    reference = {row for row in range(DOCUMENTS) if rank[row] < RANK_CORE}
    found = {
        name(pair): similarity
        for pair, similarity in zip(
            split.compared.tolist(), split.similarity.tolist(), strict=True
        )
    }
    later = {name(pair) for pair in split.later.tolist()}
    assert not later & found.keys()
    assert len(alike) == sum(similarity > 0 for similarity in found.values())
    for pair, similarity in zip(named, true, strict=True):
        if set(pair) <= reference:
            assert found.get(pair, 0) == 0 and pair not in later
        elif pair in found:
            assert found[pair] == (similarity if similarity >= 0.5 else 0)
        else:
            # One of them is near a hub.
            assert pair in later
            assert any(
                found.get(tuple(sorted((row, hub))), 0) > 0
                for row in pair
                for hub in groups.hubs.tolist()
            )


def test_a_batch_may_be_compared_with_hubs_and_in_cells_to_its_last_document() -> None:
    pairs = [(0, row) for row in range(1, 10)] + [(8, 9)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_pairs, "MAX_PARTNERS", 3)
        groups = near_pairs.group_pairs(None, [found_pairs(pairs)], 2)
    rank = [RANK_OTHERS] * DOCUMENTS
    shingles = [[1, 2]] + [[3 * row, 3 * row + 1] for row in range(1, DOCUMENTS)]
    told, alike = compared(groups, shingles, rank, step=1)
    assert set(told["order"].to_pylist()) == set(range(10))
    assert not alike.num_rows


def test_pairs_of_documents_that_are_all_paired_meet_in_one_cell() -> None:
    # Two crowds that one pair ties together.
    pairs = [(a, b) for a in range(10) for b in range(a + 1, 10)]
    pairs += [(a + 10, b + 10) for a, b in pairs] + [(9, 10)]
    found = near_pairs.group_pairs(None, [found_pairs(pairs)], 7)
    document, cell = found.members.T
    # Only those that tie them together are in two cells.
    assert np.flatnonzero(np.bincount(document) > 1).tolist() == [9, 10]
    assert len(set(cell.tolist())) == 3


def test_of_what_is_compared_with_hubs_alone_no_shingles_travel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(near_pairs, "MAX_PARTNERS", 3)
    pairs = [(0, row) for row in range(1, 10)] + [(8, 9)]
    groups = near_pairs.group_pairs(None, [found_pairs(pairs)], 2)
    # The last one is near the hub, too.
    shingles = [[1, 2, 3]] + [[row + 5] for row in range(8)] + [[1, 2, 3, 4]]
    shingles += [[]] * DOCUMENTS
    sent = []

    def read(*_) -> list[pa.RecordBatch]:
        rank = [RANK_OTHERS] * DOCUMENTS
        return [read_rows(shingles, rank, list(range(10)))]

    monkeypatch.setattr(near_groups, "read_shingles", read)
    element = (7, []), {7: BLOCK}, groups
    hubs = read_rows(shingles, [RANK_OTHERS] * DOCUMENTS, [0])
    for _, (part, _alike) in near_groups.read_candidates(*element, hubs, 0.5, 5, None):
        sent += part.to_pylist()
    assert len(sent) == 10
    assert {row["order"] for row in sent if row["shingles"]} == {8}


def test_of_several_documents_of_one_text_the_best_is_told() -> None:
    rank = [5, 3, 9]
    rows = read_rows([[], [], []], rank, [0, 1, 2]).to_pylist()
    rows = [{**row, "order": 4} for row in rows]
    batch = pa.RecordBatch.from_pylist(rows, schema=near_groups.READ)
    assert near_groups.each_once(batch).column("rank").to_pylist() == [3]
