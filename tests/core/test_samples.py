import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core import samples
from synthfilter.core.hashing import mix
from synthfilter.core.samples import Sample, make_sample, merge_samples


def sample_of(keys: list[int], most: int) -> Sample:
    hashes = mix(np.array(keys, np.uint64))
    return make_sample(hashes, np.ones((len(keys), 1), np.int64), most)


def content(sample: Sample) -> tuple:
    return sample.hashes.tolist(), sample.counts.tolist(), sample.below


@given(
    st.lists(st.integers(0, 50), max_size=200),
    st.lists(st.integers(0, 200), max_size=4),
    st.integers(1, 30),
)
def test_parts_in_any_order_give_the_sample_of_the_whole(keys, cuts, most):
    cuts = sorted(min(cut, len(keys)) for cut in cuts)
    edges = list(zip([0, *cuts], [*cuts, len(keys)], strict=True))
    parts = [sample_of(keys[a:b], most) for a, b in edges]
    whole = content(sample_of(keys, most))
    assert content(merge_samples(parts, most)) == whole
    assert content(merge_samples(parts[::-1], most)) == whole


@given(st.lists(st.integers(0, 50), max_size=200), st.integers(1, 60))
def test_every_key_that_is_kept_is_counted_exactly(keys, most):
    found = sample_of(keys, most)
    truth = {int(mix(np.array([k], np.uint64))[0]): keys.count(k) for k in keys}
    expected = sorted(truth.items())[:most]
    counted = zip(found.hashes.tolist(), found.counts[:, 0].tolist(), strict=True)
    assert list(counted) == expected


@given(st.lists(st.integers(0, 50), max_size=100), st.integers(1, 60))
def test_a_sample_comes_back_from_its_text(keys, most):
    found = sample_of(keys, most)
    assert content(samples.from_text(samples.to_text(found))) == content(found)


def test_the_number_of_keys_is_estimated_within_its_interval():
    inside = 0
    for seed in range(40):
        hashes = mix(np.arange(20_000, dtype=np.uint64) + np.uint64(seed << 32))
        found = make_sample(hashes, np.ones((20_000, 1), np.int64), 512)
        estimate, low, high = samples.estimate_keys(found)
        assert estimate == pytest.approx(20_000, rel=0.25)
        inside += low <= 20_000 <= high
    assert inside >= 31  # of 36 expected; fewer has a probability of 1 in 100


def test_few_keys_are_counted_and_not_estimated():
    assert samples.estimate_keys(sample_of([1, 2, 2, 3], 10)) == (3, 3, 3)


def test_the_share_of_keys_that_are_new_is_found_under_different_limits():
    old = sample_of(list(range(30_000)), 2048)
    new = sample_of(list(range(20_000, 40_000)), 1024)
    assert samples.share_unseen(new, old) == pytest.approx(0.5, abs=0.06)
    assert samples.share_unseen(new, new) == 0


def test_nothing_is_said_of_no_keys():
    none = sample_of([], 10)
    assert samples.share_unseen(none, sample_of([1], 10)) is None
    assert samples.estimate_keys(none) == (0, 0, 0)
    assert content(merge_samples([none, none], 10)) == ([], [], samples.ALL)


def test_what_another_sampler_left_out_stays_out():
    keys = np.arange(10_000, dtype=np.uint64)
    hashes, ones = mix(keys), np.ones((10_000, 1), np.int64)
    found = make_sample(hashes, ones, 4096, samples.ALL // 16)
    assert found.below == samples.ALL // 16
    assert (found.hashes < np.uint64(found.below)).all()
    assert samples.estimate_keys(found)[0] == pytest.approx(10_000, rel=0.15)


@pytest.mark.parametrize("text", ["", "no!", "AAAA", "KLUv/SAAAQAA"])
def test_other_text_is_refused(text):
    with pytest.raises(ValueError, match="expected a sample of hashes"):
        samples.from_text(text)
