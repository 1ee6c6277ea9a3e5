from itertools import combinations
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.hashing import mix
from synthfilter.decisions import near
from synthfilter.decisions.minhash import (
    Shingles,
    band_keys,
    choose_bands,
    shingle_hashes,
    signatures,
)
from synthfilter.decisions.near import (
    candidate_pairs,
    resolve_greedily,
    resolve_in_rounds,
    true_similarity,
)

# key, document: few of each, so that documents share several keys and rows repeat.
ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(-4, 12)), max_size=40)
NODES = 12
EDGES = st.lists(
    st.tuples(
        st.integers(0, NODES - 1),
        st.integers(0, NODES - 1),
        st.sampled_from([0.0, 0.5, 0.7, 0.7000001, 0.9, 1.0]),
    ),
    max_size=40,
)
RANKS = st.permutations(range(NODES))
SMALL_STEPS = st.sampled_from([1, 7, 1 << 20])


def find(rows: list[tuple[int, int]], max_bucket: int = 100, rank=None):
    key, document = np.array(rows, np.int64).reshape(-1, 2).T
    if rank is not None:
        rank = np.array([rank[d] for d in document.tolist()], np.int64)
    return candidate_pairs(key.astype(np.uint64), document, max_bucket, rank)


def naive_pairs(
    rows: list[tuple[int, int]], max_bucket: int, rank: dict[int, int]
) -> tuple[list[list[int]], list[int]]:
    pairs: set[tuple[int, int]] = set()
    capped: set[int] = set()
    for key in {key for key, _ in rows}:
        bucket = sorted({d for k, d in rows if k == key}, key=rank.__getitem__)
        most = max_bucket * (max_bucket + 1) // len(bucket)
        most = min(max(most, 1), max_bucket)
        met = {
            (min(bucket[i], bucket[j]), max(bucket[i], bucket[j]))
            for j in range(len(bucket))
            for i in range(min(j, most))
        }
        pairs |= met
        capped |= {d for d in bucket if sum(d in p for p in met) < len(bucket) - 1}
    return [list(pair) for pair in sorted(pairs)], sorted(capped)


def hash_rank(rows: list[tuple[int, int]]) -> dict[int, int]:
    documents = [document for _, document in rows]
    hashes = mix(np.array(documents, np.int64).astype(np.uint64)).tolist()
    return dict(zip(documents, hashes, strict=True))


@given(ROWS, SMALL_STEPS)
def test_documents_that_share_a_key_are_candidates_once(
    rows: list[tuple[int, int]], step: int
) -> None:
    with mock.patch.object(near, "_CHUNK_PAIRS", step):
        found = find(rows)
    shared = {
        (a, b)
        for (key, a), (other, b) in combinations(sorted(rows, key=lambda r: r[1]), 2)
        if key == other and a != b
    }
    assert found.pairs.tolist() == [list(pair) for pair in sorted(shared)]
    assert not len(found.crowded)


@given(ROWS, st.integers(1, 6), SMALL_STEPS)
def test_in_a_large_bucket_all_are_compared_with_the_first_of_it(
    rows: list[tuple[int, int]], max_bucket: int, step: int
) -> None:
    with mock.patch.object(near, "_CHUNK_PAIRS", step):
        found = find(rows, max_bucket)
    expected = naive_pairs(rows, max_bucket, hash_rank(rows))
    assert (found.pairs.tolist(), found.crowded.tolist()) == expected


@given(ROWS, st.permutations(range(-4, 13)), st.integers(1, 6))
def test_the_first_of_a_bucket_are_those_of_the_best_rank(
    rows: list[tuple[int, int]], order: list[int], max_bucket: int
) -> None:
    rank = {document: place for place, document in enumerate(order)}
    found = find(rows, max_bucket, rank)
    expected = naive_pairs(rows, max_bucket, rank)
    assert (found.pairs.tolist(), found.crowded.tolist()) == expected


@given(ROWS, st.randoms(use_true_random=False), st.integers(1, 6))
def test_candidates_do_not_depend_on_the_order_of_rows(
    rows, random, max_bucket
) -> None:
    shuffled = random.sample(rows, len(rows)) + rows[:3]
    found, again = find(rows, max_bucket), find(shuffled, max_bucket)
    assert found.pairs.tolist() == again.pairs.tolist()
    assert found.crowded.tolist() == again.crowded.tolist()


def test_ids_may_use_all_64_bits() -> None:
    document = np.array([2**64 - 1, 0, 2**63], np.uint64)
    found = candidate_pairs(np.full(3, 2**64 - 1, np.uint64), document, 9)
    assert found.pairs.tolist() == [[0, 2**63], [0, 2**64 - 1], [2**63, 2**64 - 1]]


@pytest.mark.parametrize(
    ("size", "leaders"),
    [(100, 100), (65, 64), (66, 63), (300, 13), (4_000, 1), (20_000, 1)],
)
def test_the_more_documents_share_a_key_the_fewer_meet_all_others(
    size: int, leaders: int
) -> None:
    most = 64 if size != 100 else 100
    found = candidate_pairs(np.zeros(size, np.uint64), np.arange(size), most)
    leaders = min(leaders, size)
    assert len(found.pairs) == leaders * (leaders - 1) // 2 + leaders * (size - leaders)
    assert len(found.crowded) == (size - leaders if size > leaders + 1 else 0)


@given(st.permutations(range(60)), st.integers(1, 5))
def test_of_very_many_copies_of_a_text_the_best_one_stays(
    rank: list[int], max_bucket: int
) -> None:
    found = find([(1, d) for d in range(60)], max_bucket, dict(enumerate(rank)))
    alike = np.ones(len(found.pairs))
    resolved = resolve_greedily(found.pairs, alike, np.array(rank), 0.8)
    best = rank.index(0)
    assert resolved.dropped.tolist() == [d for d in range(60) if d != best]
    assert set(resolved.kept.tolist()) == {best}


def test_a_bucket_without_room_is_an_error() -> None:
    with pytest.raises(ValueError, match="max_bucket must be at least 1, got 0"):
        find([], 0)


# Sets of few hashes, some of them in the top half of the range, some repeated.
HASH = st.sampled_from([0, 1, 2, 3, 2**63, 2**64 - 1])
DOCUMENTS = st.lists(st.lists(HASH, max_size=7), min_size=1, max_size=6)


def as_shingles(documents: list[list[int]]) -> Shingles:
    sizes = [len(document) for document in documents]
    return Shingles(
        np.array([h for document in documents for h in document], np.uint64),
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
    )


@given(DOCUMENTS, st.data(), st.sampled_from([1, 9, 1 << 17]))
def test_the_similarity_is_that_of_the_sets_of_shingles(
    documents: list[list[int]], data: st.DataObject, step: int
) -> None:
    row = st.integers(0, len(documents) - 1)
    pairs = data.draw(st.lists(st.tuples(row, row), max_size=12))
    with mock.patch.object(near, "_CHUNK_SHINGLES", step):
        found = true_similarity(
            as_shingles(documents), np.array(pairs, np.int64).reshape(-1, 2)
        )
    sets = [set(document) for document in documents]
    expected = [
        len(sets[a] & sets[b]) / max(len(sets[a] | sets[b]), 1) for a, b in pairs
    ]
    assert found.tolist() == expected


def test_so_many_pairs_of_short_documents_are_compared_that_steps_are_full() -> None:
    shingles = as_shingles([[5], [5], [6], [], [5, 7]])
    pairs = np.tile([[0, 1], [1, 4], [0, 2], [3, 1], [3, 3]], (50_000, 1))
    expected = np.tile([1, 0.5, 0, 0, 0], 50_000)
    assert np.array_equal(true_similarity(shingles, pairs), expected)


def resolve(
    edges: list[tuple[int, int, float]], rank: list[int], threshold: float
) -> list[tuple[int, int, float]]:
    pairs = np.array([edge[:2] for edge in edges], np.int64).reshape(-1, 2)
    similarity = np.array([edge[2] for edge in edges], np.float64)
    found = resolve_greedily(pairs, similarity, np.array(rank), threshold)
    return list(zip(*(column.tolist() for column in found), strict=True))


def naive_greedy(
    edges: list[tuple[int, int, float]], rank: list[int], threshold: float
) -> list[tuple[int, int, float]]:
    kept: list[int] = []
    dropped = []
    both = edges + [(b, a, similarity) for a, b, similarity in edges]
    for row in sorted(range(len(rank)), key=rank.__getitem__):
        near_kept = [
            (-similarity, rank[b], b)
            for a, b, similarity in both
            if a == row and b in kept and similarity >= threshold
        ]
        if near_kept:
            similarity, _, name = min(near_kept)
            dropped.append((row, name, -similarity))
        else:
            kept.append(row)
    return sorted(dropped)


@given(EDGES, RANKS, st.sampled_from([0.0, 0.7, 1.0]))
def test_what_is_dropped_is_what_one_pass_from_best_to_worst_drops(
    edges: list[tuple[int, int, float]], rank: list[int], threshold: float
) -> None:
    assert resolve(edges, rank, threshold) == naive_greedy(edges, rank, threshold)


@given(EDGES, RANKS, st.sampled_from([0.5, 0.7]))
def test_every_dropped_document_names_a_kept_one_and_no_two_kept_are_near(
    edges: list[tuple[int, int, float]], rank: list[int], threshold: float
) -> None:
    found = resolve(edges, rank, threshold)
    kept = set(range(NODES)) - {row for row, _, _ in found}
    for row, name, similarity in found:
        assert name in kept
        assert rank[name] < rank[row]
        assert similarity >= threshold
        assert {(row, name, similarity), (name, row, similarity)} & set(edges)
    for one, other, similarity in edges:
        assert similarity < threshold or one == other or not {one, other} <= kept


@given(EDGES, RANKS, st.randoms(use_true_random=False))
def test_what_is_dropped_does_not_depend_on_the_order_of_pairs(
    edges, rank, random
) -> None:
    turned = [(b, a, similarity) for a, b, similarity in edges]
    shuffled = random.sample(edges + turned, 2 * len(edges))
    assert resolve(shuffled, rank, 0.7) == resolve(edges, rank, 0.7)


def test_what_is_near_to_a_dropped_document_only_stays() -> None:
    size = 5_001
    chain = [(row, row + 1, 0.9) for row in range(size - 1)]
    found = resolve(chain, list(range(size)), 0.8)
    assert found == [(row, row - 1, 0.9) for row in range(1, size, 2)]


class Crowd:
    """Searches rows of keys again, with similarities that are known."""

    def __init__(self, rows, rank, alike, max_bucket: int, later=()) -> None:
        self.key, self.row = np.array(rows, np.int64).reshape(-1, 2).T
        self.rank, self.alike, self.max_bucket = np.array(rank), alike, max_bucket
        self.compared: list[tuple[int, int]] = []
        pairs, crowded = self.candidates(np.arange(len(rank)))
        put_off = np.array([tuple(pair) in later for pair in pairs.tolist()], bool)
        self.first, self.later = pairs[~put_off], pairs[put_off]
        self.crowded = np.isin(np.arange(len(rank)), crowded)

    def candidates(self, rows: np.ndarray) -> near.Candidates:
        mine = np.isin(self.row, rows)
        row, key = self.row[mine], self.key[mine].astype(np.uint64)
        return candidate_pairs(key, row, self.max_bucket, self.rank[row])

    def similarity(self, pairs: np.ndarray) -> np.ndarray:
        self.compared += map(tuple, pairs.tolist())
        alike = [tuple(pair) in self.alike for pair in pairs.tolist()]
        return np.where(alike, 0.9, 0.1)

    def resolve(self) -> tuple[near.Resolution, np.ndarray]:
        similarity = self.similarity(self.first)
        pairs = near.Pairs(self.first, similarity, self.later, self.crowded)
        return resolve_in_rounds(pairs, self.rank, 0.8, self)


NODE = st.integers(0, NODES - 1)
KEYED = st.sets(st.tuples(st.integers(0, 2), NODE), max_size=30)
FEW = st.integers(1, 4)
SOME = st.sets(st.tuples(NODE, NODE))


@given(KEYED, SOME, SOME, RANKS, FEW)
def test_crowds_are_compared_until_the_result_is_that_of_comparing_all(
    rows, alike, later, rank, max_bucket
) -> None:
    crowd = Crowd(sorted(rows), rank, alike, max_bucket, later)
    found, crowded = crowd.resolve()
    assert len(crowd.compared) == len(set(crowd.compared))
    kept = set(range(NODES)) - set(found.dropped.tolist())
    assert set(crowded.tolist()) <= kept
    shared = {(a, b) for key, a in rows for other, b in rows if key == other and a < b}
    for row, name in zip(found.dropped.tolist(), found.kept.tolist(), strict=True):
        assert name in kept and rank[name] < rank[row]
        assert (min(row, name), max(row, name)) in alike & shared
    left = {(a, b) for a, b in alike & shared if {a, b} <= kept}
    assert {end for pair in left for end in pair} <= set(crowded.tolist())
    if not left:
        whole = [(*pair, 0.9) for pair in alike & shared]
        dropped = {row for row, _, _ in naive_greedy(whole, rank, 0.8)}
        assert set(found.dropped.tolist()) == dropped


@given(KEYED, SOME, SOME, RANKS, FEW)
def test_what_is_put_off_changes_nothing(rows, alike, later, rank, max_bucket) -> None:
    (one, left), (other, same) = (
        Crowd(sorted(rows), rank, alike, max_bucket, some).resolve()
        for some in ((), later)
    )
    assert one.dropped.tolist() == other.dropped.tolist()
    assert left.tolist() == same.tolist()


@given(KEYED, RANKS, FEW)
def test_of_crowds_that_are_alike_nothing_is_left_uncompared(
    rows, rank, max_bucket
) -> None:
    alike = {(a, b) for a in range(NODES) for b in range(a + 1, NODES)}
    found, crowded = Crowd(sorted(rows), rank, alike, max_bucket).resolve()
    kept = set(range(NODES)) - set(found.dropped.tolist())
    for key in range(3):
        assert len({row for k, row in rows if k == key} & kept) <= 1
    assert not len(crowded)


@given(KEYED, RANKS)
def test_a_crowd_of_too_many_that_are_kept_is_not_searched_again(rows, rank) -> None:
    crowd = Crowd(sorted(rows), rank, set(), 1)
    with mock.patch.object(near, "MAX_CROWD", np.count_nonzero(crowd.crowded) - 1):
        found, crowded = crowd.resolve()
    assert not len(found.dropped)
    assert crowd.compared == [tuple(pair) for pair in crowd.first.tolist()]
    assert crowded.tolist() == np.flatnonzero(crowd.crowded).tolist()


def test_nothing_gives_nothing() -> None:
    none = np.zeros((0, 2), np.int64)
    assert candidate_pairs(none[:, 0].astype(np.uint64), none[:, 1], 5).pairs.size == 0
    assert true_similarity(as_shingles([]), none).tolist() == []
    assert resolve([], [], 0.5) == resolve([], [0, 1], 0.5) == []


def with_edits(words: list[str], every: int) -> str:
    return " ".join(
        f"edit{i}" if i % every == every - 1 else word for i, word in enumerate(words)
    )


def test_copies_with_few_edits_are_found_and_those_with_many_are_not() -> None:
    texts = []
    for document in range(40):
        words = [f"w{document}x{i * i % 97}" for i in range(300)]
        texts += [" ".join(words), with_edits(words, 100), with_edits(words, 10)]
    shingles = shingle_hashes(pa.array(texts))
    keys = band_keys(signatures(shingles), choose_bands(0.8))
    owner = np.repeat(np.arange(len(texts)), keys.shape[1])
    pairs, capped = candidate_pairs(keys.ravel(), owner, 100)
    assert not len(capped)
    rank = np.arange(len(texts))[::-1].copy()
    found = resolve_greedily(pairs, true_similarity(shingles, pairs), rank, 0.8)
    originals = np.arange(0, len(texts), 3)
    assert found.dropped.tolist() == originals.tolist()
    assert found.kept.tolist() == (originals + 1).tolist()
    assert found.similarity.min() > 0.8
