import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.bands import BANDS
from synthfilter.core.profiles import (
    BINS,
    HUMAN,
    SYNTHETIC,
    count_profiles,
    join_profiles,
    read_profiles,
    score_bins,
)

SCORES = st.floats(0, 1, width=32)
DOCUMENTS = st.lists(
    st.tuples(SCORES, st.integers(0, 900), st.booleans(), st.sampled_from("abc"))
)


def profiles_of(documents):
    score, words, synthetic, source = (
        zip(*documents, strict=True) if documents else [()] * 4
    )
    return count_profiles(
        np.array(score, np.float32),
        np.array(words, np.int64),
        np.array(synthetic, bool),
        list(source),
    )


def test_profiles_that_say_the_same_are_the_same():
    documents = [(0.2, 30, False, "a"), (0.9, 300, True, "b")]
    one, again = profiles_of(documents), profiles_of(documents)
    known = one.counts.sum(axis=0)
    others = [
        profiles_of(documents[:1]),
        dataclasses.replace(one, own=(True, False)),
        dataclasses.replace(one, known=known),
        dataclasses.replace(one, known=known[::-1]),
    ]
    assert one == again and hash(one) == hash(again)
    assert len({one, again, *others}) == 5
    assert one != "a profile"


def same(one, other):
    return one.sources == other.sources and (one.counts == other.counts).all()


def test_bins_are_a_quarter_of_the_logit_and_hold_every_score():
    score = np.array([0, 0.0004, 0.49999, 0.5, 0.56, 0.57, 0.9997, 1], np.float32)
    assert score_bins(score).tolist() == [0, 0, 31, 32, 32, 33, 63, 63]
    assert score_bins(score).dtype == np.uint8
    assert score_bins(np.zeros(0, np.float32)).tolist() == []


@given(st.lists(SCORES, min_size=1))
def test_a_higher_score_has_no_lower_bin(scores):
    found = score_bins(np.sort(np.array(scores, np.float32))).astype(int)
    assert (np.diff(found) >= 0).all()
    assert 0 <= found.min() <= found.max() < BINS


def test_documents_are_counted_by_source_class_length_and_score():
    score = np.array([0.5, 0.5, 0.9, np.nan], np.float32)
    words = np.array([10, 10, 500, 500])
    synthetic = np.array([False, False, True, True])
    found = count_profiles(score, words, synthetic, ["b", "b", "a", "a"])
    assert found.sources == ("a", "b")
    assert found.counts.shape == (2, 2, len(BANDS), BINS)
    assert found.counts[1, HUMAN, 0, 32] == 2
    assert found.counts[0, SYNTHETIC, 4, score_bins(score[2:3])[0]] == 1
    assert found.counts.sum() == 3


@given(DOCUMENTS)
def test_profiles_come_back_from_json(documents):
    found = profiles_of(documents)
    assert same(read_profiles(json.loads(json.dumps(found.as_json()))), found)


@given(DOCUMENTS, DOCUMENTS)
def test_profiles_of_parts_join_to_those_of_all(one, other):
    joined = join_profiles([profiles_of(one), profiles_of(other)])
    assert same(joined, profiles_of(one + other))


@given(DOCUMENTS)
def test_the_two_classes_of_profiles_join_to_all(documents):
    found = profiles_of(documents)
    human, synthetic = found.of(HUMAN), found.of(SYNTHETIC)
    assert not human.counts[:, SYNTHETIC].any()
    assert human.counts.any(axis=(1, 2, 3)).all()
    assert same(join_profiles([human, synthetic]), found)


def test_the_json_is_short():
    found = profiles_of([(0.5, 10, False, "a"), (0.6, 10, False, "a")])
    assert found.as_json() == {"a": {"human": {"under 50": "32: 1 1"}}}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([1], "expected an object of sources, got"),
        ({"a": 1}, "expected an object of classes, got 1"),
        ({"a": {"human": "x"}}, "expected an object of lengths, got 'x'"),
        ({"a": {"bot": {}}}, "human, synthetic, got 'bot'"),
        ({"a": {"human": {"long": "1: 1"}}}, "400 and more, got 'long'"),
        ({"a": {"human": {"under 50": [1]}}}, r"counts as text, got \[1\]"),
        ({"a": {"human": {"under 50": "1: -1"}}}, "a bin and counts such as"),
        ({"a": {"human": {"under 50": "63: 1 1"}}}, "counts in 64 bins"),
        ({"a": {"human": {"under 50": "0: 999999999999999999"}}}, "in all at most"),
    ],
)
def test_wrong_json_is_refused_in_one_line(found, message):
    with pytest.raises((TypeError, ValueError), match=message) as caught:
        read_profiles(found)
    assert "\n" not in str(caught.value)


def weighted(documents, weight):
    score, words, synthetic, source = (
        zip(*documents, strict=True) if documents else [()] * 4
    )
    return count_profiles(
        np.array(score, np.float32),
        np.array(words, np.int64),
        np.array(synthetic, bool),
        list(source),
        np.array(weight, np.float64),
    )


@given(DOCUMENTS)
def test_weights_that_are_all_the_same_change_nothing(documents):
    found = weighted(documents, np.ones(len(documents)))
    assert same(found, profiles_of(documents))


@given(DOCUMENTS, st.randoms(use_true_random=False))
def test_weighted_counts_add_up_to_the_effective_size(documents, random):
    weight = [random.choice([0.2, 1.0, 5.0]) for _ in documents]
    found = weighted(documents, weight)
    for source, of_source in zip(found.sources, found.counts, strict=True):
        for synthetic in (False, True):
            mine = np.array(
                [
                    w
                    for (_, _, s, name), w in zip(documents, weight, strict=True)
                    if (s, name) == (synthetic, source)
                ]
            )
            size = mine.sum() ** 2 / (mine**2).sum() if len(mine) else 0
            total = of_source[int(synthetic)].sum()
            assert abs(total - size) <= 0.5 + 1e-6
            assert (of_source >= 0).all()


def test_a_document_counts_for_its_weight():
    few = [(0.1, 10, False, "a")] * 50
    many = [(0.9, 10, False, "a")] * 50
    found = weighted(few + many, [0.1] * 50 + [1.0] * 50)
    low, high = (found.counts[0, HUMAN, 0, score_bins(x)] for x in (0.1, 0.9))
    assert high == pytest.approx(10 * low, abs=5)
    assert low + high == round(55**2 / 50.5)
