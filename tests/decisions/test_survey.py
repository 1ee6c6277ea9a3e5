import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.bands import length_bands
from synthfilter.core.profiles import length_bins, score_bins
from synthfilter.core.schema import Origin
from synthfilter.decisions.survey import (
    SHAPE,
    Groups,
    Survey,
    add_surveys,
    group_keys,
    is_asked,
    survey,
    suspicion,
    unask,
)

HUMAN, SYNTHETIC, UNKNOWN, *_ = Origin

# declared, source, words, score where it is the detector's question, weight, alive
DOCUMENT = st.tuples(
    st.sampled_from([HUMAN, UNKNOWN]),
    st.integers(0, 3),
    st.integers(0, 1000),
    st.one_of(st.none(), st.floats(0, 1, width=32)),
    st.integers(0, 9),
    st.booleans(),
)


def keys_of(documents: list[tuple]) -> np.ndarray:
    declared = np.array([row[0] for row in documents], np.uint8)
    source = np.array([row[1] * 977 for row in documents], np.uint64)
    return group_keys(declared, source)


def suspicions_of(documents: list[tuple]) -> np.ndarray:
    asked = np.array([row[3] is not None for row in documents], bool)
    score = scores_of(documents)
    return suspicion(score, score >= np.float32(0.5), asked)


def scores_of(documents: list[tuple]) -> np.ndarray:
    """Of documents that are no question those of one source have none."""
    scores = [
        row[3] if row[3] is not None else np.nan if row[1] == 0 else row[2] / 1000
        for row in documents
    ]
    return np.array(scores, np.float32)


def look_at(documents: list[tuple]) -> Survey:
    flagged = (scores_of(documents) >= np.float32(0.5)).astype(np.uint8)
    return survey(
        keys_of(documents),
        np.array([row[2] for row in documents], np.int32),
        suspicions_of(documents),
        np.where(is_asked(suspicions_of(documents)), flagged, HUMAN).astype(np.uint8),
        np.array([row[4] for row in documents], np.int32),
        np.array([row[5] for row in documents], bool),
    )


@given(st.lists(DOCUMENT), st.integers(0, 20))
def test_surveys_of_parts_add_up_to_that_of_the_whole(
    documents: list[tuple], cut: int
) -> None:
    whole = add_surveys([look_at(documents)])
    parts = add_surveys([look_at(documents[:cut]), look_at(documents[cut:])])
    assert whole.cells.tolist() == parts.cells.tolist()
    assert whole.settled.tolist() == parts.settled.tolist()
    assert whole.known.tolist() == parts.known.tolist()


@given(st.lists(DOCUMENT))
def test_a_survey_counts_each_document_once(documents: list[tuple]) -> None:
    found = look_at(documents)
    asked = [row for row in documents if row[3] is not None]
    assert found.cells[:, 1].sum() == len(asked)
    assert found.cells[:, 2].sum() == sum(row[4] for row in asked)
    assert found.cells[:, 3].sum() == sum(row[4] for row in asked if row[5])
    settled = [row for row in documents if row[3] is None]
    assert found.settled.tolist() == [sum(row[4] for row in settled if row[5]), 0]
    known = np.zeros_like(found.known)
    for row, score in zip(documents, scores_of(documents), strict=True):
        if row[3] is None and not np.isnan(score):
            known[HUMAN, length_bands(row[2]), score_bins(score)] += 1
    assert found.known.tolist() == known.tolist()


@given(st.lists(DOCUMENT), st.integers(0, 5))
def test_tables_hold_every_document_in_the_cell_where_it_is_looked_up(
    documents: list[tuple], most: int
) -> None:
    cells = look_at(documents).cells
    groups = Groups.largest(cells, most)
    table = groups.table(cells[:, 0].view(np.uint64), cells[:, 1])
    assert table.shape == (groups.count, *SHAPE)
    assert table.sum() == cells[:, 1].sum()
    expected = np.zeros_like(table)
    for row, number in zip(documents, groups.number(keys_of(documents)), strict=True):
        if row[3] is not None:
            score = np.float32(row[3])
            place = (length_bins(np.array([row[2]]))[0], score_bins(score))
            expected[(number, *place, int(score >= np.float32(0.5)))] += 1
    assert table.tolist() == expected.tolist()
    words = np.array([row[2] for row in documents], np.int32)
    found = groups.look_up(table, keys_of(documents), words, suspicions_of(documents))
    asked = [row[3] is not None for row in documents]
    assert ((found > 0) == asked).all()


def test_the_largest_groups_are_told_apart_and_the_others_are_one() -> None:
    documents = [(UNKNOWN, source, 100, 0.2, 1, True) for source in [1, 2, 2, 3, 3, 3]]
    groups = Groups.largest(look_at(documents).cells, 2)
    numbers = groups.number(keys_of(documents)).tolist()
    assert numbers[0] == 2
    assert len(set(numbers[1:3])) == len(set(numbers[3:])) == 1
    assert {*numbers[1:]} == {0, 1}
    # The same source under another declaration is another group.
    other = [(HUMAN, 3, 100, 0.2, 1, True)]
    assert groups.number(keys_of(other)).tolist() == [2]


def test_a_suspicion_tells_score_flag_and_question() -> None:
    score = np.array([np.nan, 0.9, 0.9, 0.0, 0.0], np.float32)
    asked = np.array([False, False, True, True, False])
    found = suspicion(score, score >= 0.5, asked)
    assert found.dtype == np.uint16
    assert found[0] == 0
    assert (found[1:] > 0).all() and len(set(found.tolist())) == 5
    assert is_asked(found).tolist() == asked.tolist()


@pytest.mark.parametrize("score", [0.0, 1.0])
@pytest.mark.parametrize("flagged", [False, True])
def test_what_becomes_known_is_no_question_any_more(
    score: float, flagged: bool
) -> None:
    scores, flags = np.array([score], np.float32), np.array([flagged])
    asked = suspicion(scores, flags, np.array([True]))
    known = suspicion(scores, flags, np.array([False]))
    assert is_asked(asked) and not is_asked(known)
    settled = np.array([True])
    assert unask(asked, settled) == unask(known, settled) == known
    assert unask(asked, settled).dtype == np.uint16
    assert unask(asked, ~settled) == asked


def test_documents_of_known_origin_are_counted_by_class_length_and_score() -> None:
    score = np.array([0.2, 0.7, 0.7, np.nan], np.float32)
    words = np.array([10, 700, 700, 700])
    suspicions = suspicion(score, score >= 0.5, np.zeros(4, bool))
    found = survey(
        np.zeros(4, np.uint64),
        words,
        suspicions,
        np.array([HUMAN, SYNTHETIC, SYNTHETIC, SYNTHETIC], np.uint8),
        words,
        # Whether they stay does not matter to what the detector saw.
        np.array([True, False, True, True]),
    )
    assert not len(found.cells)
    assert found.settled.tolist() == [10, 1400]
    assert found.known.sum() == 3
    assert found.known[HUMAN, 0, score_bins(score[0])] == 1
    assert found.known[SYNTHETIC, -1, score_bins(score[1])] == 2
