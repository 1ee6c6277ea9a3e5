import dataclasses
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthfilter.detection.fasttext_file import parse
from synthfilter.detection.fasttext_model import (
    fold,
    serialise,
    synthetic_labels,
)

LINE = "the rain delve tapestry don't 42 on the bus furthermore"


@pytest.fixture(scope="module")
def data(train):
    return train().read_bytes()


def patched(data: bytes, at: int, layout: str, value) -> bytes:
    changed = bytearray(data)
    struct.pack_into(layout, changed, at, value)
    return bytes(changed)


def refusal(data: bytes) -> str:
    with pytest.raises(ValueError) as caught:
        parse(data, "m.bin")
    message = str(caught.value)
    assert "\n" not in message and message.startswith("m.bin: expected ")
    return message


def test_writing_what_was_read_gives_the_same_bytes(data):
    assert serialise(parse(data)) == data


def test_words_labels_and_shapes_are_read(data):
    model = parse(data)
    assert sorted(model.labels) == ["__label__human", "__label__synthetic"]
    assert b"</s>" in model.words and "größe".encode() in model.words
    assert model.input.shape == (len(model.words) + 5000, 3)
    assert model.label_counts.tolist() == [200, 200]


def test_a_file_cut_anywhere_is_refused(data):
    places = {*range(300), *range(300, len(data), 997), len(data) - 1}
    for place in sorted(places):
        refusal(data[:place])


@pytest.mark.parametrize(
    ("at", "layout", "value", "message"),
    [
        (0, "<i", 1, "magic number"),
        (4, "<i", 99, "version 12, got 99"),
        (8, "<i", 2**31 - 1, "matrix of"),
        (8, "<i", -1, "dim >= 1"),
        (28, "<i", 0, "wordNgrams of 1 to 32"),
        (28, "<i", 2**31 - 1, "wordNgrams of 1 to 32"),
        (32, "<i", 9, "loss of 1 to 4"),
        (36, "<i", 1, "supervised"),
        (40, "<i", 2**31 - 1, "matrix of"),
        (40, "<i", 0, "positive bucket"),
        (48, "<i", -7, "subword lengths"),
        (64, "<i", 2**31 - 1, "words [+] labels"),
        (68, "<i", -5, "words [+] labels"),
        (84, "<q", 2**62, "bytes of the pruning table"),
        (84, "<q", -2, "pruned features"),
    ],
)
def test_a_header_that_cannot_be_is_refused(data, at, layout, value, message):
    import re

    assert re.search(message, refusal(patched(data, at, layout, value)))


def test_absurd_sizes_are_refused_without_being_allocated(data):
    model = parse(data)
    shape_at = len(data) - 2 * 3 * 4 - 16 - 1 - model.input.nbytes - 16
    assert "matrix of" in refusal(patched(data, shape_at, "<q", 2**60))
    entries = patched(patched(data, 64, "<i", 2**31 - 1), 68, "<i", 2**31 - 3)
    assert "dictionary entries" in refusal(entries)


def test_weights_that_are_not_finite_are_refused(data):
    model = parse(data)
    assert "finite output" in refusal(patched(data, len(data) - 4, "<f", np.nan))
    at = len(data) - 2 * 3 * 4 - 17 - model.input.nbytes
    assert "finite input" in refusal(patched(data, at, "<f", np.inf))


def test_more_bytes_than_the_matrices_need_are_refused(data):
    assert "3 more bytes" in refusal(data + b"abc")


@given(st.integers(0, 2000), st.integers(0, 255))
@settings(max_examples=200)
def test_a_changed_byte_is_refused_or_read_but_never_crashes(data, at, value):
    try:
        parse(data[:at] + bytes([value]) + data[at + 1 :])
    except ValueError as error:
        assert "\n" not in str(error)


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(junk):
    refusal(junk)


def test_unsupervised_models_are_refused(tmp_path, training_text):
    import fasttext

    text = tmp_path / "t.txt"
    text.write_bytes(b"\n".join(training_text))
    model = fasttext.train_unsupervised(
        str(text), dim=2, epoch=1, bucket=100, thread=1, verbose=0
    )
    model.save_model(str(tmp_path / "u.bin"))
    assert "supervised" in refusal((tmp_path / "u.bin").read_bytes())


def test_quantised_models_are_read_without_matrices(tmp_path, train):
    import fasttext

    model = fasttext.load_model(str(train(dim=4)))
    model.quantize(retrain=False)
    model.save_model(str(tmp_path / "q.ftz"))
    data = (tmp_path / "q.ftz").read_bytes()
    assert parse(data).input is None
    assert not parse(data).is_linear
    for place in range(0, len(data), 499):
        refusal(data[:place])


def test_folding_keeps_the_scores_of_stock_fasttext(tmp_path, train, stock):
    path = train(dim=16)
    model = parse(path.read_bytes())
    folded = fold(model, model.labels.index("__label__synthetic"))
    small = tmp_path / "folded.bin"
    small.write_bytes(serialise(folded))
    words = LINE.split()
    lines = [" ".join(words[i:j]) for i in range(9) for j in range(i, 10)]
    expected, got = stock(path, lines), stock(small, lines)
    assert np.abs(expected - got).max() < 1e-6
    assert folded.input.shape == (len(model.input), 1)
    assert sorted(folded.output[:, 0].tolist()) == [-0.5, 0.5]
    assert small.stat().st_size < path.stat().st_size / 10


def test_folding_twice_changes_nothing(data):
    once = fold(parse(data), 1)
    assert np.array_equal(fold(once, 1).input, once.input)


def test_folding_scales_the_weights(data):
    plain, flat = fold(parse(data), 1), fold(parse(data), 1, weight_scale=0.3)
    assert np.allclose(plain.input * 0.3, flat.input)


def test_what_is_not_linear_is_not_folded(train):
    with pytest.raises(
        ValueError, match="subwords; score it with the fastText library"
    ):
        fold(parse(train(minn=2, maxn=3).read_bytes()), 1)
    with pytest.raises(ValueError, match="loss 4"):
        fold(parse(train(loss="ova").read_bytes()), 1)


def test_folded_weights_must_be_finite(data):
    model = parse(data)
    huge = dataclasses.replace(model, input=np.full_like(model.input, 1e38))
    with pytest.raises(ValueError, match="finite folded weights"):
        fold(huge, 1, weight_scale=1e30)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["__label__synthetic", "__label__human"], [True, False]),
        (["__label__0", "__label__1"], [False, True]),
        (["__label__real", "__label__AI"], [False, True]),
        (["machine", "human"], [True, False]),
    ],
)
def test_usual_label_names_are_known(labels, expected):
    assert synthetic_labels(labels) == expected


def test_other_labels_can_be_named():
    names = {"synthetic": ["gpt4", "__label__llama"], "human": ["person"]}
    labels = ["__label__gpt4", "__label__person", "__label__llama"]
    assert synthetic_labels(labels, names) == [True, False, True]


@pytest.mark.parametrize(
    "labels", [["__label__pos", "__label__neg"], ["__label__ai", "__label__machine"]]
)
def test_labels_without_a_known_meaning_are_named_in_the_error(labels):
    with pytest.raises(ValueError, match=f"got .*{labels[0]}.*{labels[1]}"):
        synthetic_labels(labels)
