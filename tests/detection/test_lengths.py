"""Thresholds that follow the length of a document."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.detection.lengths import BANDS, Threshold, length_bands, read_bands

SCORES = st.floats(0, 1, width=32)
BY_LENGTH = st.dictionaries(st.integers(0, 60), SCORES, max_size=6)
WORDS = st.lists(st.integers(0, 80), max_size=20)


def test_lengths_fall_into_bands_by_their_first_word() -> None:
    found = length_bands(np.array([0, 49, 50, 99, 100, 199, 200, 399, 400, 10**6]))
    assert found.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert len(BANDS) == 5


def test_a_constant_is_one_band() -> None:
    threshold = Threshold.constant(0.9, "as given")
    assert threshold == Threshold.by_length(0.9, {0: 0.9, 50: 0.9}, "as given")
    assert threshold.as_json() == threshold.value == 0.9
    assert str(threshold) == "0.9"


def test_people_read_from_which_length_a_threshold_holds() -> None:
    threshold = Threshold.by_length(0.95, {100: 0.8878181, 50: 0.91}, "")
    assert str(threshold) == "0.95 under 50 words, 0.91 from 50, 0.8878 from 100"
    assert threshold.as_json() == {"0": 0.95, "50": 0.91, "100": 0.8878181}
    assert threshold.value == 0.8878181


@given(SCORES, BY_LENGTH, WORDS)
def test_each_document_has_the_threshold_of_its_length(overall, bands, words) -> None:
    threshold = Threshold.by_length(overall, bands, "")
    expected = [
        bands[max(starts)] if (starts := [s for s in bands if s <= n]) else overall
        for n in words
    ]
    found = threshold.of(np.array(words, np.int32))
    assert found.dtype == np.float32
    assert found.tolist() == expected


@given(SCORES, BY_LENGTH)
def test_json_gives_the_threshold_back(overall, bands) -> None:
    threshold = Threshold.by_length(overall, bands, "x")
    written = json.loads(json.dumps(threshold.as_json()))
    assert Threshold.from_json(written, "x") == threshold
    assert Threshold.from_json(threshold.as_bands(), "x") == threshold


def test_a_score_equal_to_its_threshold_reaches_it() -> None:
    score = np.array([0.9], np.float32)
    assert (score >= Threshold.constant(0.9, "").of(np.array([5]))).all()


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([0.5], r"an object of words to threshold, got \[0.5\]"),
        ({"-1": 0.5}, "a number of words, got '-1'"),
        ({"1.5": 0.5}, "a number of words, got '1.5'"),
        ({"0": "0.5"}, "a number, got '0.5'"),
        ({"0": True}, "a number, got True"),
        ({"0": None}, "a number, got None"),
    ],
)
def test_what_is_no_threshold_by_length_is_refused(found, message) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        read_bands(found)
