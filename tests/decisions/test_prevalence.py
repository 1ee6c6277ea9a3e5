import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthfilter.core.bands import BANDS, length_bands
from synthfilter.core.profiles import Profiles, count_profiles, join_profiles
from synthfilter.decisions.prevalence import (
    SHAPE,
    Fitter,
    Observed,
    estimate_prevalence,
    observe,
)
from synthfilter.decisions.score_models import (
    LEAST_KNOWN,
    draw_models,
    enough_known,
    move_scores,
)

THRESHOLD = 0.9


def scores_around(logit, count, seed=0):
    """Scores whose logits are spread around a value, one standard deviation wide."""
    spread = np.random.default_rng(seed).normal(logit, 1, count)
    return (1 / (1 + np.exp(-spread))).astype(np.float32)


def known_sources():
    """Four human sources and four machine-written ones, one detected badly."""
    parts = []
    for synthetic, middles in ((False, (-5, -4, -4, -3)), (True, (0, 2, 3, 4))):
        for number, middle in enumerate(middles):
            score = scores_around(middle, 400, number)
            words = np.arange(400) * 3
            name = f"{'machine' if synthetic else 'human'} {number}"
            mine = np.full(400, synthetic)
            parts.append(count_profiles(score, words, mine, [name] * 400))
    return join_profiles(parts)


PROFILES = known_sources()


def look_at(human=0, synthetic=0, words=300, group=0, groups=1, logit=2):
    """So many documents of a source that the profiles lack."""
    score = np.concatenate(
        [scores_around(-4, human, 7), scores_around(logit, synthetic, 8)]
    )
    return observe(
        np.full(len(score), group),
        score,
        np.full(len(score), words),
        score >= THRESHOLD,
        np.full(len(score), words),
        groups,
    )


def numbers(found):
    return np.array([*found.groups, found.all])


@pytest.mark.parametrize("share", [0, 0.05, 0.2, 0.5, 0.8, 1])
@pytest.mark.parametrize("count", [300, 3000])
def test_the_true_share_is_in_the_interval(share, count):
    machine = round(share * count)
    observed = look_at(count - machine, machine)
    found = estimate_prevalence(observed, PROFILES)
    assert found.known
    assert found.all.low <= share <= found.all.high
    assert abs(found.all.estimate - share) < 0.15
    assert abs(found.cross_check(observed.weight) - share) < 0.15
    assert found.groups == [found.all]


def test_text_without_any_machine_text_is_estimated_near_none():
    found = estimate_prevalence(look_at(human=2000), PROFILES).all
    assert found.low == 0
    assert found.estimate < 0.1


def test_few_documents_leave_a_wide_interval():
    few = estimate_prevalence(look_at(4, 1), PROFILES).all
    many = estimate_prevalence(look_at(800, 200), PROFILES).all
    assert few.high - few.low > many.high - many.low
    assert few.low < 0.05 and few.high > 0.5


def test_a_lower_confidence_gives_an_interval_inside():
    observed = look_at(240, 60)
    wide = estimate_prevalence(observed, PROFILES, 0.95).all
    narrow = estimate_prevalence(observed, PROFILES, 0.5).all
    assert wide.low <= narrow.low < narrow.high <= wide.high


def test_words_count_where_machine_texts_are_short():
    observed = look_at(150, words=6000) + look_at(0, 150, words=60)
    found = estimate_prevalence(observed, PROFILES).all
    assert found.low <= 60 / 6060 <= found.high
    assert found.high < 0.4
    by_docs = Observed(observed.docs, observed.docs)
    assert estimate_prevalence(by_docs, PROFILES).all.estimate > 0.4


def test_what_is_kept_has_its_own_share():
    observed = look_at(700, 300)
    found = estimate_prevalence(observed, PROFILES)
    assert found.share(observed.weight) == found.all
    unflagged, flagged = observed.weight.copy(), observed.weight.copy()
    unflagged[..., 1], flagged[..., 0] = 0, 0
    low, high = found.share(unflagged), found.share(flagged)
    assert low.estimate < found.all.estimate < high.estimate
    parts = low.estimate * unflagged.sum() + high.estimate * flagged.sum()
    assert parts == pytest.approx(found.all.estimate * observed.weight.sum())
    assert found.share(observed.weight * 0) == (0, 0, 1)


def test_without_profiles_nothing_is_known_but_the_flags():
    observed = look_at(700, 300)
    flagged = observed.weight[..., 1].sum() / observed.weight.sum()
    found = estimate_prevalence(observed, None)
    assert not found.known
    assert found.cross_check(observed.weight) is None
    assert found.all == found.groups[0] == (flagged, 0, 1)
    assert found.cells[..., 1].all() and not found.cells[..., 0].any()


def known_as(*logits, count=400):
    """The profiles, and documents known to be human, and machine text, around these."""
    parts = [scores_around(logit, count, 50 + i) for i, logit in enumerate(logits)]
    machine = np.repeat([False, True], count)[: count * len(logits)]
    if len(logits) == 1:
        machine = ~machine
    score, words = np.concatenate(parts), np.full(len(machine), 300)
    counts = count_profiles(score, words, machine, ["a"] * len(score)).counts
    return dataclasses.replace(PROFILES, known=counts.sum(axis=0))


def test_machine_text_that_scores_like_human_text_can_be_anywhere():
    # Half of it may be such text: nobody can tell.
    observed = look_at(human=1000)
    sure = estimate_prevalence(observed, PROFILES).all
    assert sure.high < 0.3
    warned = estimate_prevalence(observed, known_as(-4)).all
    assert warned.low == 0
    assert 0.5 < warned.high
    assert warned.estimate > 2 * sure.estimate


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_known_documents_of_the_kind_bring_the_estimate_nearer(share):
    machine = round(1000 * share)
    observed = look_at(1000 - machine, machine, logit=-1.5)
    alone = estimate_prevalence(observed, PROFILES).all
    found = estimate_prevalence(observed, known_as(-4, -1.5)).all
    assert abs(found.estimate - share) < 0.8 * abs(alone.estimate - share)
    assert found.low <= share <= found.high


@pytest.mark.parametrize("share", [0, 0.2, 0.5, 0.8])
def test_known_documents_of_another_kind_do_not_replace_the_profiles(share):
    observed = look_at(round(1000 * (1 - share)), round(1000 * share))
    found = estimate_prevalence(observed, known_as(5)).all
    assert found.low <= share <= found.high


def test_few_known_documents_change_nothing():
    few = known_as(-4, 2, count=LEAST_KNOWN - 1)
    enough = known_as(-4, 2, count=LEAST_KNOWN)
    observed = look_at(700, 300)
    plain = numbers(estimate_prevalence(observed, PROFILES))
    assert (numbers(estimate_prevalence(observed, few)) == plain).all()
    assert (numbers(estimate_prevalence(observed, enough)) != plain).any()
    assert enough_known(few.known) == [False, False]
    assert enough_known(known_as(-4).known) == [False, True]


def test_half_of_the_draws_are_of_known_documents():
    plain, found = draw_models(PROFILES), draw_models(known_as(5))
    assert (found.human == plain.human).all()
    band = length_bands(300)
    high, before = (
        (models.synthetic[:, band, -16:].sum(axis=-1) > 0.5).mean()
        for models in (found, plain)
    )
    assert high == pytest.approx(0.5 + before / 2, abs=0.1)
    # Of other lengths nothing is known, so they look like those of all sources.
    for other in {*range(len(BANDS))} - {band}:
        high, before = (
            models.synthetic[:, other, -16:].sum(axis=-1).mean()
            for models in (found, plain)
        )
        assert high == pytest.approx(before, abs=0.15)
    for part in found:
        assert part.sum(axis=-1) == pytest.approx(1)
        assert part.min() > 0


@pytest.mark.parametrize("kind", [0, 1])
def test_profiles_of_one_class_say_nothing(kind):
    assert draw_models(PROFILES.of(kind)) is None
    assert not estimate_prevalence(look_at(10, 10), PROFILES.of(kind)).known


def test_a_detector_that_scores_human_text_higher_says_nothing():
    score = np.concatenate([scores_around(2, 500), scores_around(-2, 500)])
    machine = np.arange(1000) >= 500
    profiles = count_profiles(score, np.full(1000, 300), machine, ["a"] * 1000)
    found = estimate_prevalence(look_at(100), profiles)
    assert not found.known
    assert (found.all.low, found.all.high) == (0, 1)


@pytest.mark.parametrize("groups", [0, 1, 3])
def test_no_documents_leave_everything_open(groups):
    empty = np.zeros((groups, *SHAPE), np.int64)
    found = estimate_prevalence(Observed(empty, empty), PROFILES)
    assert found.all == (0, 0, 1)
    assert found.groups == [(0, 0, 1)] * groups
    assert found.cells.shape == empty.shape
    assert found.cross_check(empty) is None


def test_a_document_without_a_score_is_not_observed():
    score = np.array([0.5, np.nan], np.float32)
    both = np.array([0, 0])
    seen = observe(both, score, both + 10, score > 0.4, both + 1, 1)
    assert seen.docs.sum() == seen.weight.sum() == 1


@pytest.mark.parametrize("confidence", [0, 1, -1, 2])
def test_a_confidence_is_between_0_and_1(confidence):
    with pytest.raises(ValueError, match="confidence must be above 0 and below 1"):
        estimate_prevalence(look_at(1), PROFILES, confidence)


CELLS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.floats(0, 1, width=32),
        st.integers(0, 20_000),
        st.integers(1, 5),
    ),
    max_size=30,
)


def observed_of(rows):
    group, score, words, times = (
        np.array(part) for part in (zip(*rows, strict=True) if rows else [[]] * 4)
    )
    score = np.repeat(score.astype(np.float32), times.astype(int))
    group, words = (np.repeat(x.astype(int), times.astype(int)) for x in (group, words))
    return observe(group, score, words, score >= THRESHOLD, words + 1, 3)


@settings(max_examples=20)
@given(CELLS)
def test_whatever_is_observed_gives_shares_between_0_and_1(rows):
    observed = observed_of(rows)
    found = estimate_prevalence(observed, PROFILES)
    estimate, low, high = numbers(found).T
    assert (low >= 0).all() and (high <= 1).all()
    assert (low <= estimate).all() and (estimate <= high).all()
    assert (found.cells >= 0).all() and (found.cells <= 1).all()
    assert (np.diff(found.cells, axis=2) >= 0).all()
    assert (found.cells[..., 0] <= found.cells[..., 1]).all()


@settings(max_examples=20)
@given(CELLS)
def test_the_order_of_groups_makes_no_difference(rows):
    observed, order = observed_of(rows), [2, 0, 1]
    one = estimate_prevalence(observed, PROFILES)
    other = estimate_prevalence(
        Observed(observed.docs[order], observed.weight[order]), PROFILES
    )
    assert np.allclose(numbers(one)[[*order, 3]], numbers(other), atol=1e-9)
    assert (one.cells[order] == other.cells).all()


@given(CELLS, CELLS)
def test_what_is_observed_of_parts_adds_up(one, other):
    added = observed_of(one) + observed_of(other)
    together = observed_of(one + other)
    assert (added.docs == together.docs).all()
    assert (added.weight == together.weight).all()


def test_drawn_sources_are_probabilities():
    for part in draw_models(PROFILES):
        assert (part > 0).all()
        assert np.allclose(part.sum(axis=-1), 1)


@given(st.floats(-100, 100))
def test_moved_scores_keep_their_sum_and_move_by_so_many_bins(bins):
    shares = np.zeros((1, 1, 64))
    shares[0, 0, 30] = 1
    moved = move_scores(shares, np.array([bins]))[0, 0]
    assert moved.sum() == pytest.approx(1)
    middle = (moved * np.arange(64)).sum()
    assert middle == pytest.approx(np.clip(30 + bins, 0, 63), abs=0.6)


def test_profiles_of_ones_own_text_make_the_interval_narrower():
    observed = look_at(700, 300)
    both = Profiles(PROFILES.sources, PROFILES.counts, (True, True))
    own, other = (estimate_prevalence(observed, p).all for p in (both, PROFILES))
    assert own.low <= 0.3 <= own.high
    assert own.high - own.low < other.high - other.low


def test_less_evidence_makes_it_wider():
    observed = look_at(700, 300)
    widths = [
        found.high - found.low
        for found in (
            estimate_prevalence(observed, PROFILES, evidence=evidence).all
            for evidence in (10, 50, 250)
        )
    ]
    assert widths == sorted(widths, reverse=True)


def test_an_estimate_alone_is_that_of_the_share():
    observed = look_at(700, 300, 300, 0, 2) + look_at(100, 900, 90, 1, 2)
    found = estimate_prevalence(observed, PROFILES)
    assert found.estimate(observed.weight) == found.all.estimate
    assert found.estimate(np.zeros_like(observed.weight)) == 0


def test_a_fitter_that_remembers_says_what_a_new_one_says():
    fitter = Fitter(PROFILES)
    one, other = look_at(700, 300, 300, 0, 2), look_at(100, 900, 90, 1, 2)
    for observed in (one, one + other, other, one):
        found = estimate_prevalence(observed, PROFILES, fitter=fitter)
        new = estimate_prevalence(observed, PROFILES)
        assert (numbers(found) == numbers(new)).all()
        assert (found.cells == new.cells).all()
