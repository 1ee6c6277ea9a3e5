"""Crowds: what is near their leaders goes, and all else stays to be compared."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter import near_bands, near_crowds, near_groups
from synthfilter.core import schema
from synthfilter.core.hashing import mix
from synthfilter.core.schema import RANK_CORE, RANK_OTHERS, Reason
from synthfilter.decisions.minhash import Bands
from synthfilter.inputs.blocks import Block
from tests.test_near import crowds, left_out

DOCUMENTS = 24
BANDS = 3
BLOCK = Block(7, "f", "f", "x", 0, {}, 0, 1, 99, 0, 100, False)


class Documents:
    """Documents with made-up band keys and shingles, in blocks."""

    def __init__(
        self, keys: list[list[int]], ranks: list[int], shingles: list[list[int]]
    ) -> None:
        self.keys = np.array(keys, np.uint64).reshape(-1, BANDS)
        # Keys of another band are others.
        self.keys = self.keys * np.uint64(BANDS) + np.arange(BANDS, dtype=np.uint64)
        self.ranks, self.shingles = ranks, shingles

    def cut(self, element: Any, *_: Any) -> tuple[pa.RecordBatch, np.ndarray]:
        rows = element[1][0].column("row").to_numpy()
        return element[1][0], self.keys[rows]

    def read(
        self, element: Any, _blocks: Any, wanted: np.ndarray, _words: int
    ) -> Iterable[pa.RecordBatch]:
        for row in element[1][0].column("row").to_pylist()[::-1]:
            if row in wanted:
                told = {"order": row, "rank": self.ranks[row], "row": row, "block": 7}
                told |= {"content_hi": row, "content_lo": row}
                yield pa.RecordBatch.from_pylist(
                    [{**told, "shingles": self.shingles[row]}], schema=near_groups.READ
                )

    def blocks(self, size: int) -> list[tuple[int, list[pa.RecordBatch]]]:
        values = {
            "row": np.arange(len(self.ranks), dtype=np.int32),
            "order": np.arange(len(self.ranks), dtype=np.uint64),
            "rank": np.array(self.ranks, np.uint64),
        }
        batch = pa.RecordBatch.from_pydict(values)
        starts = range(0, len(self.ranks), size)
        return [(7, [batch.slice(start, size)]) for start in starts]

    def followers(self, size: int, crowd: int) -> dict[int, tuple[int, float]]:
        """What is dropped, and for which: steps as `drop_followers` joins them."""
        blocks, near, cut = self.blocks(size), 0.5, ({7: BLOCK}, str, Bands(BANDS, 1))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(near_crowds, "cut_bands", self.cut)
            patch.setattr(near_crowds, "read_shingles", self.read)
            patch.setattr(near_bands, "CROWD", crowd)
            patch.setattr(near_bands, "SAMPLED", 1)
            sample = [self.cut(each)[1].ravel() for each in blocks]
            keys = near_bands.find_crowds(None, sample)
            best = [
                found
                for each in blocks
                for found in near_crowds.find_best(each, *cut, keys)
            ]
            leaders = near_crowds.choose_leaders(None, best[::-1], keys)
            read = near_groups.gather_read(
                None,
                [
                    part
                    for each in blocks
                    for part in near_crowds.read_leaders(each, cut[0], leaders, 5)
                ],
            )
            found = [
                part
                for each in blocks
                for part in near_crowds.find_followers(
                    each, *cut, leaders, read, near, 5, None
                )
            ]
            rows = near_crowds.settle_followers(None, found[::-1], read).to_pylist()
        assert [row["order"] for row in rows] == sorted({row["order"] for row in rows})
        for row in rows:
            reference = self.ranks[row["match_hi"]] < RANK_CORE
            reason = Reason.REFERENCE_COPY if reference else Reason.NEAR_COPY
            assert row["reason"] == reason
        return {row["order"]: (row["match_hi"], row["similarity"]) for row in rows}

    def stay(self, among: Iterable[int]) -> set[int]:
        """Who stays if all that share a band are compared, the best first."""
        place = {
            row: (self.ranks[row], int(mix(np.array([row], np.uint64))[0]))
            for row in among
        }
        kept: set[int] = set()
        for row in sorted(place, key=place.__getitem__):
            reference = self.ranks[row] < RANK_CORE
            if reference or not any(self.alike(row, other) for other in kept):
                kept.add(row)
        return kept

    def alike(self, one: int, other: int) -> bool:
        if not (self.keys[one] == self.keys[other]).any():
            return False
        first, second = set(self.shingles[one]), set(self.shingles[other])
        return len(first & second) >= 0.5 * len(first | second)


KEYS = st.lists(st.integers(0, 2), min_size=BANDS, max_size=BANDS)
RANKS = st.sampled_from([*range(RANK_OTHERS, RANK_OTHERS + 9), 3])
SOME = st.sets(st.integers(0, 9), min_size=3, max_size=8).map(sorted)


@given(
    st.lists(st.tuples(KEYS, RANKS, SOME), min_size=1, max_size=DOCUMENTS),
    st.integers(1, 6),
    st.integers(1, DOCUMENTS),
)
def test_without_followers_stays_what_stays_when_all_are_compared(
    drawn: list[tuple[list[int], int, list[int]]], crowd: int, size: int
) -> None:
    documents = Documents(*map(list, zip(*drawn, strict=True)))
    followers = documents.followers(size, crowd)
    everything = range(len(drawn))
    stay = documents.stay(everything)
    assert not stay & followers.keys()
    assert documents.stay(everything - followers.keys()) == stay
    for row, (leader, similarity) in followers.items():
        assert leader in stay and documents.alike(row, leader)
        both = [set(documents.shingles[each]) for each in (row, leader)]
        true = len(both[0] & both[1]) / len(both[0] | both[1])
        assert similarity == pytest.approx(true)
    # Nor does it matter how documents lie in blocks.
    assert documents.followers(len(drawn), crowd) == followers


def test_all_that_is_near_the_best_of_a_crowd_follows_it() -> None:
    shingles = [[1, 2, 3, row + 9] for row in range(9)] + [[7, 8]]
    ranks = [RANK_OTHERS + row for row in (5, 4, 3, 2, 1, 2, 3, 4, 5, 6)]
    documents = Documents([[1, 1, row] for row in range(10)], ranks, shingles)
    followers = documents.followers(size=4, crowd=10)
    assert {leader for leader, _ in followers.values()} == {4}
    assert followers.keys() == set(range(9)) - {4}
    assert documents.followers(size=4, crowd=11) == {}


def test_nothing_follows_what_a_better_one_outside_of_the_crowd_may_be_near() -> None:
    keys = [[1, 1, row] for row in range(8)] + [[2, 2, 0]]
    ranks = [RANK_OTHERS + row for row in range(1, 9)] + [RANK_OTHERS]
    documents = Documents(keys, ranks, [[1, 2, 3]] * 9)
    # The last one shares the third band with the best of the crowd.
    assert documents.followers(size=3, crowd=5) == {}
    keys[-1][2] = 9
    assert Documents(keys, ranks, [[1, 2, 3]] * 9).followers(3, 5).keys() == {
        *range(1, 8)
    }


def test_of_a_reference_set_nothing_follows() -> None:
    ranks = [3, 4, RANK_OTHERS, RANK_OTHERS + 1]
    documents = Documents([[1, 1, 1]] * 4, ranks, [[1, 2, 3]] * 4)
    assert documents.followers(4, 3) == {2: (0, 1.0), 3: (0, 1.0)}


@given(st.lists(st.lists(st.integers(0, 5), max_size=12), max_size=6))
def test_keys_of_crowds_are_counted_over_all_blocks(parts: list[list[int]]) -> None:
    sample = [np.array(part, np.uint64) for part in parts]
    every = [key for part in parts for key in part]
    often = sorted({key for key in every if every.count(key) >= 8})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_bands, "CROWD", 32)
        patch.setattr(near_bands, "SAMPLED", 4)
        assert near_bands.find_crowds(None, sample).tolist() == often


@pytest.mark.parametrize("crowd", [3, 20])
def test_a_set_with_crowds_is_the_same_and_so_it_is_in_other_blocks(
    workshop, monkeypatch: pytest.MonkeyPatch, crowd: int
) -> None:
    workshop.write("human/h", crowds(), 9)
    first = workshop.build("all", near_duplicates=0.7)
    monkeypatch.setattr(near_bands, "CROWD", crowd)
    monkeypatch.setattr(near_bands, "SAMPLED", 1)
    spied = []
    drop = near_crowds.drop_rows

    def spy(*arguments: Any) -> pa.RecordBatch:
        spied.append(drop(*arguments))
        return spied[-1]

    monkeypatch.setattr(near_crowds, "drop_rows", spy)
    assert workshop.build("crowd", near_duplicates=0.7) == first
    assert 10 < spied[0].num_rows <= first["books"]["left_out"]["near_copy"]
    texts = {f"h-{i}": text for i, text in enumerate(crowds())}
    (workshop.path / "human/h.parquet").unlink()
    names = sorted(texts, key=lambda name: texts[name][::-1])
    workshop.write("human/x", [texts[name] for name in names[:20]], 7, id=names[:20])
    workshop.write("human/y", [texts[name] for name in names[20:]], 11, id=names[20:])
    again = workshop.build("other", near_duplicates=0.7)
    assert again["content_digest"] == first["content_digest"]
    assert again["books"] == first["books"]
    assert left_out(workshop, "crowd") == left_out(workshop, "other")


def test_the_sample_is_of_documents_and_not_of_places(tmp_path: Path) -> None:
    count = near_bands.CountBands(str, Bands(BANDS, 1), 1000)
    documents = Documents([[row, 0, 0] for row in range(500)], [0] * 500, [])
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_bands, "cut_bands", documents.cut)
        for size in (500, 7):
            count.start_bundle()
            parts = [
                tagged.value
                for each in documents.blocks(size)
                for tagged in count.process(each, {})
            ]
            found.append(sorted(np.concatenate(parts).tolist()))
    assert found[0] == found[1]
    assert 0 < len(found[0]) < 1500 / 16
    assert schema.ORDER in documents.blocks(1)[0][1][0].schema.names
