import dataclasses
import functools

import numpy as np
import pytest

from synthfilter.core.errors import ShortageError
from synthfilter.core.hashing import mix
from synthfilter.core.profiles import Profiles, count_profiles
from synthfilter.core.schema import Origin
from synthfilter.decisions.prevalence import Fitter
from synthfilter.decisions.survey import (
    Survey,
    add_surveys,
    count_scores,
    group_keys,
    survey,
    suspicion,
    unask,
)
from synthfilter.decisions.truth import (
    Truth,
    estimate_truth,
    is_suspect,
    tell_prevalence,
    tell_shares,
)

HUMAN, SYNTHETIC, UNKNOWN, *_ = Origin
AUTO, KEEP, SHRINK, FAIL = "auto", "keep", "shrink", "fail"
WORDS = 150
THRESHOLD = np.float32(0.9)


def draw(synthetic: bool, documents: int, source: int) -> np.ndarray:
    """Scores: machine text scores higher, in each source in its own way."""
    logit = np.random.default_rng(source).normal(0, 1.5, documents)
    shift = 2.0 + 0.2 * (source % 5) if synthetic else -2.0 - 0.2 * (source % 5)
    return (1 / (1 + np.exp(-logit - shift))).astype(np.float32)


def profiles() -> Profiles:
    scores, labels, sources = [], [], []
    for source in range(10):
        for synthetic in (False, True):
            scores.append(draw(synthetic, 300, source))
            labels.append(np.full(300, synthetic))
            sources.append(np.full(300, f"source {source}"))
    score = np.concatenate(scores)
    return count_profiles(
        score,
        np.full(len(score), WORDS),
        np.concatenate(labels),
        np.concatenate(sources),
    )


PROFILES = profiles()


def crawl(human: int, synthetic: int) -> tuple[np.ndarray, Survey]:
    """Documents of unknown origin of one source, and what the detector saw of them."""
    score = np.concatenate([draw(False, human, 77), draw(True, synthetic, 78)])
    flagged = score >= THRESHOLD
    everything = np.ones(len(score), bool)
    return score, survey(
        np.full(len(score), KEY),
        np.full(len(score), WORDS),
        suspicion(score, flagged, everything),
        flagged.astype(np.uint8),
        np.full(len(score), WORDS),
        everything,
    )


KEY = group_keys(np.array([UNKNOWN], np.uint8), np.array([9], np.uint64))[0]


def suspects(truth: Truth, score: np.ndarray) -> np.ndarray:
    rows = len(score)
    everything = np.ones(rows, bool)
    suspicions = suspicion(score, score >= THRESHOLD, everything)
    order = mix(np.arange(1, rows + 1, dtype=np.uint64))
    found = is_suspect(
        truth, np.full(rows, KEY), np.full(rows, WORDS), suspicions, order
    )
    return found & (score < THRESHOLD)


@pytest.mark.parametrize("synthetic", [0, 100, 500])
def test_hidden_text_is_estimated_among_what_counts_as_human(synthetic: int) -> None:
    score, seen = crawl(500, synthetic)
    truth = estimate_truth(seen, PROFILES, None, SHRINK)
    hidden = (score[500:] < THRESHOLD).sum()
    passed = (score < THRESHOLD).sum()
    assert truth.human_share == pytest.approx(hidden / passed, abs=0.06)
    assert truth.stays is None
    assert not suspects(truth, score).any()


def test_what_is_settled_is_what_it_counts_as() -> None:
    score, seen = crawl(300, 100)
    plain = estimate_truth(seen, PROFILES, None, SHRINK)
    passed = int((score < THRESHOLD).sum()) * WORDS
    flagged = int((score >= THRESHOLD).sum()) * WORDS
    settled = Survey(seen.cells, np.array([passed, 3 * flagged]))
    truth = estimate_truth(settled, PROFILES, None, SHRINK)
    assert truth.human_share == pytest.approx(plain.human_share / 2)
    expected = (3 + plain.synthetic_share) / 4
    assert truth.synthetic_share == pytest.approx(expected)


def test_the_most_suspect_go_first_when_hidden_text_exceeds_the_share() -> None:
    score, seen = crawl(400, 400)
    before = estimate_truth(seen, PROFILES, None, SHRINK)
    asked = before.human_share / 2
    truth = estimate_truth(seen, PROFILES, asked, SHRINK)
    gone = suspects(truth, score)
    assert truth.human_share == pytest.approx(asked, rel=1e-9)
    assert gone.any() and not gone.all()
    assert score[gone].min() > score[~gone & (score < THRESHOLD)].max() - 0.05
    # Machine text is left in a smaller part than before.
    rest = ~gone & (score < THRESHOLD)
    assert rest[400:].sum() / rest.sum() < 0.8 * before.human_share


def test_of_equally_suspect_documents_a_random_part_stays() -> None:
    everything = np.ones(4000, bool)
    score = np.full(4000, 0.5, np.float32)
    seen = survey(
        np.full(4000, KEY),
        np.full(4000, WORDS),
        suspicion(score, ~everything, everything),
        np.full(4000, HUMAN, np.uint8),
        np.full(4000, WORDS),
        everything,
    )
    # A detector that is blind says the same of all; beside them is as much human text.
    seen.settled[HUMAN] = 4000 * WORDS
    before = estimate_truth(seen, PROFILES, None, SHRINK)
    asked = before.human_share / 2
    truth = estimate_truth(seen, PROFILES, asked, SHRINK)
    assert truth.human_share == pytest.approx(asked, rel=1e-9)
    gone = suspects(truth, score)
    # With half of the share, x of the crawl stays: x / (1 + x) = 1 / 4.
    assert gone.mean() == pytest.approx(2 / 3, abs=0.03)


@pytest.mark.parametrize("machine", [0, 99, 300])
@pytest.mark.parametrize("human", [0, 1000])
def test_what_is_known_of_both_classes_lets_the_share_be_held(
    human: int, machine: int
) -> None:
    score, seen = crawl(400, 400)
    nothing = np.zeros(machine, bool)
    seen.known += count_scores(
        np.full(machine, WORDS),
        suspicion(draw(True, machine, 78), nothing, nothing),
        np.full(machine, SYNTHETIC, np.uint8),
    )
    seen.settled[HUMAN] = human
    asked = estimate_truth(seen, PROFILES, None, AUTO).human_share / 2
    truth = estimate_truth(seen, PROFILES, asked, AUTO)
    if machine == 300 and human:
        assert truth.human_share == pytest.approx(asked, rel=1e-9)
        assert suspects(truth, score).any()
    else:
        assert truth.human_share == pytest.approx(2 * asked)
        assert not suspects(truth, score).any()


def test_nothing_goes_where_it_is_to_be_kept() -> None:
    score, seen = crawl(400, 400)
    truth = estimate_truth(seen, PROFILES, 0.01, KEEP)
    assert truth.human_share > 0.01
    assert not suspects(truth, score).any()


def test_a_shortage_can_be_an_error_that_says_what_to_do() -> None:
    _, seen = crawl(400, 400)
    with pytest.raises(ShortageError, match=r"more than the 1\.0% asked for; ask for"):
        estimate_truth(seen, PROFILES, 0.01, FAIL)


def test_no_share_is_held_where_everything_is_suspect() -> None:
    _, seen = crawl(100, 400)
    with pytest.raises(ShortageError, match="and so is the least suspect of it; ask"):
        estimate_truth(seen, PROFILES, 0.0, SHRINK)
    # What is human for certain can stay by itself.
    certain = Survey(seen.cells, np.array([10, 0]))
    truth = estimate_truth(certain, PROFILES, 0.0, SHRINK)
    assert truth.human_share == 0
    score, _ = crawl(100, 400)
    assert suspects(truth, score).sum() == (score < THRESHOLD).sum()


def test_documents_of_known_origin_say_what_machine_text_looks_like() -> None:
    _, seen = crawl(400, 100)
    human = draw(False, 300, 77)
    everything, nothing = np.ones(300, bool), np.zeros(300, bool)
    marked = survey(
        np.full(300, KEY),
        np.full(300, WORDS),
        # Their origin was a question until something else told it.
        unask(suspicion(human, nothing, everything), everything),
        np.full(300, SYNTHETIC, np.uint8),
        np.full(300, WORDS),
        everything,
    )
    before = estimate_truth(seen, PROFILES, None, SHRINK)
    one, other = (
        estimate_truth(add_surveys(parts), PROFILES, None, SHRINK)
        for parts in ([seen, marked], [marked, seen])
    )
    assert before.known.tolist() == [0, 0]
    assert one.known.tolist() == [0, 300]
    assert one.human_share > before.human_share
    assert one.prevalence.all.high > before.prevalence.all.high + 0.1
    assert one.prevalence.all == other.prevalence.all
    told = tell_prevalence(one, {})
    assert told is not None
    assert told["known"] == {"human": 0, "synthetic": 300}
    few = dataclasses.replace(seen, known=marked.known // 5)
    assert 0 < few.known.sum() < 100
    unsaid = estimate_truth(few, PROFILES, None, SHRINK)
    assert unsaid.known.tolist() == [0, 0]
    assert unsaid.prevalence.all == before.prevalence.all


def test_an_estimate_asks_for_the_fitter_of_its_profiles() -> None:
    _, seen = crawl(300, 100)
    made: list[Profiles] = []

    def make(profiles: Profiles) -> Fitter:
        made.append(profiles)
        return Fitter(profiles)

    remembered = functools.lru_cache(make)
    known = dataclasses.replace(seen, known=seen.known + 1)
    for one in (seen, known, seen, known):
        found = estimate_truth(one, PROFILES, None, SHRINK, remembered)
        plain = estimate_truth(one, PROFILES, None, SHRINK)
        assert found.prevalence.all == plain.prevalence.all
    assert [profiles.known.sum() for profiles in made] == [0, known.known.sum()]


def test_without_profiles_the_marks_are_all_that_is_known() -> None:
    score, seen = crawl(300, 300)
    truth = estimate_truth(seen, None, 0.1, FAIL)
    assert (truth.human_share, truth.synthetic_share) == (0, 1)
    assert tell_prevalence(truth, {}) is None
    told = tell_shares(truth, np.zeros((0, 2), np.int64), 30, 10)
    assert told == {"declared": 0.25, "estimated": None, "low": None, "high": None}
    assert not suspects(truth, score).any()


def test_of_nothing_nothing_is_likely() -> None:
    truth = estimate_truth(Survey(), PROFILES, 0.5, FAIL)
    assert (truth.human_share, truth.synthetic_share) == (0, 1)
    assert tell_prevalence(truth, {}) is None
    told = tell_shares(truth, np.zeros((0, 2), np.int64), 0, 0)
    assert set(told.values()) == {None}


def test_shares_of_a_set_are_those_of_its_parts() -> None:
    _, seen = crawl(300, 100)
    truth = estimate_truth(seen, PROFILES, None, SHRINK)
    asked = seen.cells[:, [0, 3]]
    total = int(asked[:, 1].sum())
    # As much again that is human for certain halves everything.
    flagged = (asked[:, 0].view(np.uint64) & np.uint64(1)).astype(bool)
    marked = int(asked[flagged, 1].sum())
    alone = tell_shares(truth, asked, total - marked, marked)
    beside = tell_shares(truth, asked, 2 * total - marked, marked)
    for name in ("declared", "estimated", "low", "high"):
        assert beside[name] == pytest.approx(alone[name] / 2)
    assert alone["low"] <= alone["estimated"] <= alone["high"]
    assert alone["low"] < 0.25 < alone["high"]


def test_the_prevalence_of_each_group_is_told_by_its_name() -> None:
    _, seen = crawl(300, 100)
    truth = estimate_truth(seen, PROFILES, None, SHRINK)
    told = tell_prevalence(truth, {f"{KEY:016x}": "unknown: forum"})
    assert told is not None
    assert told["docs"] == 400
    (group,) = told["groups"]
    assert (group["group"], group["docs"]) == ("unknown: forum", 400)
    assert group["low"] <= 0.25 <= group["high"]
    assert told["em"] == pytest.approx(0.25, abs=0.1)
