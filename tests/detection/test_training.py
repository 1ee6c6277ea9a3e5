import numpy as np
import pyarrow as pa
import pytest

from synthfilter.detection.fasttext_model import fold, serialise
from synthfilter.detection.training import (
    MAX_REPEATS,
    SEEDS,
    WEIGHT_SCALE,
    average_weights,
    balance_classes,
    cut_windows,
    train_detector,
    train_lines,
    training_lines,
)

HUMAN = "We took the bus, and it rained; my sister didn't mind."
MACHINE = "Furthermore, the tapestry of innovation underscores a pivotal realm."
COLUMN = pa.array([f"{text} {i}" for i in range(40) for text in (HUMAN, MACHINE)])
SYNTHETIC = np.arange(80) % 2 == 1
STRATA = ["letters/all"] * 80


def numbers(count):
    return " ".join(map(str, range(count)))


def test_windows_cut_a_document_without_losing_a_token():
    lines, document = cut_windows(pa.array(["", numbers(150), "a b"]), window_tokens=60)
    assert document.tolist() == [1, 1, 1, 2]
    assert [len(line.split()) for line in lines] == [60, 60, 30, 2]
    assert b" ".join(lines[:3]).decode() == numbers(150)


def test_a_short_rest_joins_the_window_before():
    lines, _ = cut_windows(pa.array([numbers(149)]), window_tokens=60)
    assert [len(line.split()) for line in lines] == [60, 89]


def test_a_long_document_gives_windows_spread_over_it():
    lines, _ = cut_windows(pa.array([numbers(1000)]), window_tokens=10, max_windows=4)
    assert [line.split()[0] for line in lines] == [b"0", b"250", b"500", b"750"]


def test_the_smaller_class_is_repeated_in_its_stratum_only():
    synthetic = np.array([0, 0, 1, 1, 1, 1, 1, 0], bool)
    strata = ["a"] * 7 + ["b"]
    keys = np.arange(8, dtype=np.uint64)
    windows, repeats = balance_classes(synthetic, strata, keys)
    assert sorted(windows.tolist()) == [0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7]
    assert repeats[windows == 0].tolist() == [0, 1, 2]
    assert repeats[windows > 1].max() == 0


def test_repetition_has_a_limit():
    synthetic = np.arange(1000) > 0
    windows, repeats = balance_classes(
        synthetic, ["a"] * 1000, np.zeros(1000, np.uint64)
    )
    assert (windows == 0).sum() == MAX_REPEATS
    assert repeats.max() == MAX_REPEATS - 1


def test_a_label_inside_the_text_does_not_label():
    column = pa.array(["__label__synthetic is a word", "plain"])
    lines = training_lines(column, np.array([False, True]), ["s", "s"])
    assert sorted(lines) == [
        b"__label__human label synthetic is a word",
        b"__label__synthetic plain",
    ]
    spaced = training_lines(column, np.array([False, True]), ["s", "s"], "spaces")
    assert b"__label__human is a word" in spaced


def test_lines_do_not_depend_on_the_order_of_documents():
    order = np.argsort(np.sin(np.arange(80)))
    shuffled = training_lines(COLUMN.take(pa.array(order)), SYNTHETIC[order], STRATA)
    assert shuffled == training_lines(COLUMN, SYNTHETIC, STRATA)


def test_training_twice_gives_the_same_bytes():
    small = {"bucket": 2000, "epoch": 2}
    first, second = (
        serialise(train_detector(COLUMN, SYNTHETIC, STRATA, **small)) for _ in range(2)
    )
    assert first == second


def test_the_model_is_the_mean_of_its_seeds():
    lines = training_lines(COLUMN, SYNTHETIC, STRATA)
    each = [
        fold(train_lines(lines, seed=seed, bucket=2000), 1, WEIGHT_SCALE).input
        for seed in SEEDS
    ]
    trained = train_detector(COLUMN, SYNTHETIC, STRATA, bucket=2000)
    sign = 1 if trained.labels[1] == "__label__synthetic" else -1
    assert np.allclose(trained.input, sign * np.mean(each, axis=0), atol=1e-6)
    assert not np.allclose(each[0], each[1], atol=1e-6)


def test_models_of_other_words_cannot_be_averaged():
    some = [b"__label__human a b", b"__label__synthetic c d"] * 3
    other = [b"__label__human a b", b"__label__synthetic e f"] * 3
    models = [fold(train_lines(x, bucket=100), 1) for x in (some, other)]
    with pytest.raises(ValueError, match="one dictionary"):
        average_weights(models)


def test_the_trained_model_tells_its_classes_apart():
    from synthfilter.detection.linear import LinearModel

    model = train_detector(COLUMN, SYNTHETIC, STRATA, bucket=2000)
    index = model.labels.index("__label__synthetic")
    logit = LinearModel(model, index, "words").evidence(COLUMN).logit
    assert logit[SYNTHETIC].min() > 0 > logit[~SYNTHETIC].max()
    assert model.args.dim == 1


def test_one_class_alone_cannot_be_trained_on():
    with pytest.raises(ValueError, match="both labels to train on, none synthetic"):
        train_lines([b"__label__human only"])


def test_training_that_diverges_is_an_error():
    with pytest.raises(ValueError, match=r"diverged|finite"):
        train_detector(COLUMN, SYNTHETIC, STRATA, lr=1e30, bucket=2000)
