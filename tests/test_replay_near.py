"""Candidates for several similarities and any documents: those of a build."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.decisions import near
from synthfilter.decisions.near import candidate_pairs
from synthfilter.replay_near import part_candidates

# Band keys, each with the text that it is of; a text has a key once.
ROWS = st.sets(st.tuples(st.integers(0, 4), st.integers(0, 12)), max_size=40)


@given(ROWS, st.sets(st.integers(0, 12)), st.permutations(range(13)))
def test_of_some_texts_there_are_the_pairs_that_a_search_among_them_finds(
    rows: set[tuple[int, int]], alive: set[int], ranks: list[int]
) -> None:
    key, text = np.array(sorted(rows), np.uint64).reshape(-1, 2).T
    mine = np.isin(text, sorted(alive))
    rank = np.array(ranks, np.uint64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near, "MAX_BUCKET", 3)
        found = part_candidates(key, text)
    few = found.pairs[np.isin(found.pairs, sorted(alive)).all(axis=1)]
    left = np.isin(found.text, sorted(alive))
    many = candidate_pairs(found.key[left], found.text[left], 3, rank[found.text[left]])
    wanted = candidate_pairs(key[mine], text[mine], 3, rank[text[mine]])
    pairs = {tuple(pair) for part in (few, many.pairs) for pair in part.tolist()}
    assert pairs == {tuple(pair) for pair in wanted.pairs.tolist()}
    assert many.crowded.tolist() == wanted.crowded.tolist()
