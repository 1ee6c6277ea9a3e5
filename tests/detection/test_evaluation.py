import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.detection.calibration import (
    fit_logistic,
    measured_thresholds,
    source_weights,
)
from synthfilter.detection.evaluation import (
    auroc,
    leave_one_source_out,
    linked_groups,
    share_at_least,
    threshold_at_fpr,
    tpr_at_fpr,
)
from synthfilter.detection.fitting import first_words

SCORES = st.lists(st.sampled_from(np.linspace(0, 1, 9)), min_size=1, max_size=30).map(
    lambda values: np.array(values, np.float32)
)


@given(SCORES, SCORES)
def test_auroc_is_the_share_of_pairs_in_order(human, synthetic):
    pairs = [(h < s) + (h == s) / 2 for h in human for s in synthetic]
    assert auroc(human, synthetic) == pytest.approx(np.mean(pairs))


@given(SCORES, st.floats(0, 0.99))
def test_the_threshold_holds_the_rate_and_is_the_lowest_that_does(human, fpr):
    threshold = np.float32(threshold_at_fpr(human, fpr))
    assert np.mean(human >= threshold) <= fpr + 1e-9
    below = human[human < threshold].max()
    assert np.mean(human >= below) > fpr


def test_ties_at_the_top_are_not_counted_as_found():
    human, synthetic = np.ones(100, np.float32), np.ones(100, np.float32)
    assert tpr_at_fpr(human, synthetic, 0.01) == 0


def test_figures_of_known_scores():
    human, synthetic = np.arange(100) / 100, np.arange(50, 150) / 100
    assert tpr_at_fpr(human, synthetic, 0.01) == 0.51
    assert tpr_at_fpr(human, synthetic, 0.0) == 0.5
    assert auroc(human, synthetic) == pytest.approx(0.875)


def test_an_empty_class_gives_nan_or_an_error():
    none, some = np.zeros(0), np.ones(2)
    assert np.isnan(auroc(none, some)) and np.isnan(auroc(some, none))
    assert np.isnan(tpr_at_fpr(none, some, 0.1)) and np.isnan(share_at_least(none, 1))
    with pytest.raises(ValueError, match="got none"):
        threshold_at_fpr(none, 0.1)
    with pytest.raises(ValueError, match=r"fpr must be in \[0, 1\), got 1"):
        threshold_at_fpr(some, 1)


def test_groups_are_linked_by_shared_texts():
    long = "the same opening of a text that one source took over from another, " * 2
    texts = ["a", long + "x", long + "y", "b", "c"]
    linked = linked_groups(["g1", "g1", "g2", "g3", "g3"], texts)
    assert linked.tolist() == [0, 0, 0, 1, 1]


def test_evidence_comes_from_models_that_saw_neither_source_nor_group(monkeypatch):
    from synthfilter.detection import evaluation

    seen = []
    train = evaluation.train_detector

    def spy(column, synthetic, strata, tokens):
        seen.append(column.to_pylist())
        return train(column, synthetic, strata, tokens, bucket=500, epoch=1)

    monkeypatch.setattr(evaluation, "train_detector", spy)
    texts = [f"w{i % 4} x{i} y z" for i in range(12)]
    [evidence, of_first_words] = leave_one_source_out(
        pa.array(texts),
        np.arange(12) % 2 == 1,
        np.array(["a"] * 4 + ["b"] * 4 + ["c"] * 4, object),
        ["s"] * 12,
        np.array([0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 0, 0]),
        views=[pa.array(texts), first_words(pa.array(texts), 3)],
    )
    assert seen == [texts[4:10], [*texts[:4], *texts[8:]], texts[1:8]]
    assert np.isfinite(evidence.logit).all()
    assert evidence.tokens.tolist() == [6] * 12
    assert of_first_words.tokens.tolist() == [5] * 12
    assert (evidence.logit != of_first_words.logit).any()


def test_the_first_words_of_a_text_are_its_beginning():
    texts = pa.array(
        ["one two three four", "one", "", "one two three"], pa.large_string()
    )
    found = first_words(texts, 3).to_pylist()
    assert found == ["one two three", "one", "", "one two three"]


def test_sources_count_the_same_in_a_threshold_however_large():
    large = np.linspace(0, 0.5, 10_000)
    small = np.linspace(0, 1, 100)
    scores = np.concatenate([large, small])
    sources = np.array(["large"] * 10_000 + ["small"] * 100, object)
    human = np.zeros(len(scores), bool)
    threshold = measured_thresholds(scores, human, sources, (0.05,))[0.05]
    # A tenth of the small source reaches it, none of the large one: 5% on average.
    assert (small >= threshold).sum() == 10
    assert (large >= threshold).sum() == 0


def test_sources_too_small_to_measure_count_as_one():
    sources = np.array(["a"] * 200 + [f"s{i}" for i in range(50)], object)
    weights = source_weights(sources)
    assert weights[:200].sum() == pytest.approx(1)
    assert weights[200:] == pytest.approx([1 / 50] * 50)
    assert source_weights(np.zeros(0, object)).tolist() == []


def test_the_logistic_recovers_a_known_calibration():
    random = np.random.default_rng(1)
    logit = random.normal(0, 3, 40_000)
    synthetic = random.random(40_000) < 1 / (1 + np.exp(-(0.5 * logit - 0.25)))
    slope, intercept = fit_logistic(logit, synthetic)
    base = np.log(synthetic.mean() / (1 - synthetic.mean()))
    assert slope == pytest.approx(0.5, abs=0.02)
    assert intercept == pytest.approx(-0.25 - base, abs=0.05)


def test_the_logistic_balances_the_classes():
    logit = np.array([-1.0, 1.0] * 50 + [1.0, -1.0, 1.0])
    synthetic = np.array([False] * 100 + [True] * 3)
    slope, intercept = fit_logistic(logit, synthetic)
    repeated = fit_logistic(
        np.concatenate([logit, np.tile(logit[100:], 9)]),
        np.concatenate([synthetic, np.ones(27, bool)]),
    )
    assert (slope, intercept) == pytest.approx(repeated, abs=1e-4)


def test_the_logistic_stays_finite_when_classes_do_not_overlap():
    slope, intercept = fit_logistic(np.array([-2.0, -1, 1, 2]), np.arange(4) > 1)
    assert 0 < slope < 100 and abs(intercept) < 100


@pytest.mark.parametrize(
    ("logit", "synthetic", "message"),
    [
        ([1, 2], [True, True], "both classes"),
        ([1, np.nan], [True, False], "finite logits"),
        ([1, 2], [True, False], "got lower"),
    ],
)
def test_the_logistic_says_what_it_cannot_fit(logit, synthetic, message):
    with pytest.raises(ValueError, match=message):
        fit_logistic(np.array(logit, float), np.array(synthetic))


def test_thresholds_come_from_human_scores_alone():
    scores = np.append(np.arange(1000) / 1000, [np.nan, 1, 1]).astype(np.float32)
    synthetic = np.append(np.zeros(1001, bool), [True, True])
    thresholds = measured_thresholds(scores, synthetic, np.full(len(scores), "s"))
    assert list(thresholds) == [0.05, 0.01, 0.001]
    assert list(thresholds.values()) == pytest.approx([0.949, 0.989, 0.998], abs=1e-6)
