import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from synthfilter.core.text import text_buffers
from synthfilter.detection import linear
from synthfilter.detection.fasttext_file import parse
from synthfilter.detection.fasttext_hash import word_hashes
from synthfilter.detection.linear import LinearModel
from synthfilter.detection.tokens import (
    SPACES,
    TOKENISATIONS,
    WORDS,
    token_bounds,
    token_lines,
    tokens_per_document,
)
from synthfilter.detection.word_table import WordTable, concatenated

KNOWN = (
    "the of and delve tapestry don't café größe неоднозначность 重要 3 ! "
    "straightforwardness internationalisation-of-things furthermore"
).split()
PIECES = st.one_of(
    st.sampled_from(KNOWN),
    st.text(max_size=5),
    st.sampled_from(["__label__x", "__label__human", "</s>", "'s", "\0", "\x0b", "_"]),
    st.sampled_from(["internationalisation-of-thinks", "y" * 17, "z" * 700, "é" * 40]),
)
TEXT = st.lists(PIECES, max_size=12).map(" ".join)
COLUMN = st.lists(TEXT, max_size=6)
OPTIONS = [{}, {"bucket": 4096}, {"wordNgrams": 1}, {"wordNgrams": 5, "dim": 7}]


def load(path, tokens):
    model = parse(path.read_bytes())
    return LinearModel(model, model.labels.index("__label__synthetic"), tokens)


def probability(model, texts):
    logit = model.evidence(pa.array(texts, pa.string())).logit
    return 1 / (1 + np.exp(-logit))


def as_lines(texts, tokens):
    data, offsets = text_buffers(pa.array(texts, pa.string()))
    start, end = token_bounds(data, offsets, tokens)
    first = tokens_per_document(start, offsets)
    return [line.decode() for line in token_lines(data, start, end, first)]


@pytest.mark.parametrize("options", OPTIONS)
@given(COLUMN)
@example(["", "delve", "no such word", "z" * 700, "中" * 300, "the \0 of"])
@settings(max_examples=60)
def test_words_score_as_stock_fasttext_on_the_same_tokens(train, stock, options, texts):
    path = train(**options)
    expected = stock(path, as_lines(texts, WORDS))
    got = probability(load(path, WORDS), texts)
    assert np.allclose(got, expected, rtol=0, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("options", OPTIONS)
@given(COLUMN)
@example(["", "a </s> b", "__label__human", "delve __label__human of", "</s>"])
@settings(max_examples=60)
def test_spaces_scores_as_stock_fasttext_on_the_line(train, stock, options, texts):
    path = train(**options)
    expected = stock(path, [text.replace("\n", " ") for text in texts])
    got = probability(load(path, SPACES), texts)
    assert np.allclose(got, expected, rtol=0, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("tokens", TOKENISATIONS)
def test_a_token_of_a_megabyte_scores_as_in_stock_fasttext(train, stock, tokens):
    text = "the " + "é" * 500_000 + " of"
    expected = stock(train(), [text])
    got = probability(load(train(), tokens), [text])
    assert abs(got - expected).max() < 1e-6


@given(COLUMN, st.integers(1, 200))
@settings(max_examples=60)
def test_scores_do_not_depend_on_batch_or_chunk_borders(train, texts, chunk_bytes):
    model = load(train(), WORDS)
    column = pa.array(texts, pa.string())
    whole = model.evidence(column)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(linear, "CHUNK_BYTES", chunk_bytes)
        chunked = model.evidence(column)
    alone = [model.evidence(column.slice(i, 1)) for i in range(len(column))]
    for field in ("logit", "tokens", "known", "words"):
        expected = getattr(whole, field).tolist()
        assert np.array_equal(getattr(chunked, field), expected, equal_nan=True)
        rows = [getattr(one, field)[0] for one in alone]
        assert np.array_equal(rows, expected, equal_nan=True)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_any_string_type_slice_and_null_scores_the_same(train, kind):
    model = load(train(), WORDS)
    texts = ["the rain", "delve in", None, "", "gonna go", "tapestry"]
    expected = model.evidence(pa.array(texts[1:5])).logit
    got = model.evidence(pa.array(texts, kind).slice(1, 4)).logit
    assert got.tolist() == expected.tolist()


def test_tokens_known_tokens_and_words_are_counted(train):
    evidence = load(train(), WORDS).evidence(
        pa.array(["the qqq of", "qqq", "", "delve delve", "", "3 ! of 17,5"])
    )
    assert evidence.tokens.tolist() == [3, 1, 0, 2, 0, 6]
    assert evidence.known.tolist() == [2, 0, 0, 2, 0, 3]
    assert evidence.words.tolist() == [3, 1, 0, 2, 0, 1]


def test_an_empty_column_gives_no_score(train):
    evidence = load(train(), WORDS).evidence(pa.array([], pa.string()))
    assert len(evidence.logit) == len(evidence.tokens) == len(evidence.known) == 0


def test_a_document_larger_than_a_chunk_scores_as_in_stock_fasttext(train, stock):
    text = " ".join(KNOWN * 6000)
    assert len(text) > 2.5 * linear.CHUNK_BYTES
    expected = stock(train(), [text])
    assert abs(probability(load(train(), SPACES), [text]) - expected).max() < 1e-5


@given(st.lists(st.binary(min_size=1, max_size=90), max_size=150))
@example([b"\xff" * 5000, b"a", b"\x80"])
def test_hashes_are_those_of_fnv_over_signed_bytes(words):
    def fnv(word):
        state = 2166136261
        for byte in word:
            signed = byte - 256 if byte > 127 else byte
            state = ((state ^ (signed & 0xFFFFFFFF)) * 16777619) & 0xFFFFFFFF
        return state

    got = word_hashes(*concatenated(words))
    assert (got & np.uint64(0xFFFFFFFF)).tolist() == [fnv(word) for word in words]


@given(
    st.sets(st.binary(min_size=1, max_size=24).map(lambda w: w.replace(b"\0", b"0")))
)
def test_the_table_finds_every_word_and_nothing_else(words):
    words = sorted(words)
    inside, outside = words[::2], words[1::2]
    table = WordTable(inside)
    assert table.find(*concatenated(inside)).tolist() == list(range(len(inside)))
    assert (table.find(*concatenated(outside)) == len(inside)).all()


def test_words_that_share_their_ends_are_told_apart():
    words = [
        b"a" * n + middle + b"b" * n for n in (4, 7, 8, 9) for middle in (b"x", b"y")
    ]
    words += [b"c" * n for n in range(1, 40)]
    assert WordTable(words).find(*concatenated(words)).tolist() == list(
        range(len(words))
    )


def test_a_full_vocabulary_is_found_again():
    words = [b"w%d" % i for i in range(50_000)] + [
        b"longer-word-%08d" % i for i in range(999)
    ]
    assert WordTable(words).find(*concatenated(words)).tolist() == list(
        range(len(words))
    )
