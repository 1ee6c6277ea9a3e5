import itertools
import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.text import text_buffers
from synthfilter.detection.tokens import (
    SPACES,
    TOKENISATIONS,
    WORDS,
    token_bounds,
    token_lines,
    tokens_per_document,
    words_per_document,
)

HOSTILE = st.lists(
    st.one_of(
        st.text(max_size=6),
        st.sampled_from(
            "don't|'|''|it's'|'s|__label__x|__label__|_|</s>|12.5|é|中文|x_y|A'b'c".split(
                "|"
            )
        ),
        st.sampled_from(["\0", "\n", "\t\v\f\r", " ", "a" * 20]),
    ),
    max_size=12,
).map("".join)


def tokens_of(texts: list[str], tokens: str) -> list[list[str]]:
    data, offsets = text_buffers(pa.array(texts, pa.string()))
    start, end = token_bounds(data, offsets, tokens)
    first = tokens_per_document(start, offsets)
    raw = [data[a:b].tobytes().decode() for a, b in zip(start, end, strict=True)]
    return [raw[a:b] for a, b in itertools.pairwise(first)]


def test_words_are_runs_of_letters_runs_of_digits_and_single_marks():
    text = "Don't pay $1,250 -- it's O'Neill's café; see x2!"
    assert tokens_of([text], WORDS) == [
        "Don't pay $ 1 , 250 - - it's O ' Neill's café ; see x 2 !".split()
    ]


def test_an_apostrophe_joins_only_a_letter_and_a_lower_case_letter():
    text = "dogs' 'tis 90's O'B rock'n'roll a''b"
    assert tokens_of([text], WORDS) == [
        "dogs ' ' tis 90 ' s O ' B rock'n'roll a ' ' b".split()
    ]


def test_the_underscore_separates_and_is_no_token():
    assert tokens_of(["__label__x snake_case _"], WORDS) == [
        ["label", "x", "snake", "case"]
    ]


def test_spaces_cuts_only_where_fasttext_does():
    text = "a.b\tc\vd\fe\rf\0g h\u00a0i"
    assert tokens_of([text], SPACES) == [["a.b", "c", "d", "e", "f", "g", "h\u00a0i"]]


def test_spaces_leaves_out_labels_and_what_follows_an_end_of_line():
    texts = ["a __label__x b", "c </s> d e", "f", "__label__", "x</s> </s>y g"]
    assert tokens_of(texts, SPACES) == [
        ["a", "b"], ["c"], ["f"], [], ["x</s>", "</s>y", "g"]
    ]  # fmt: skip


@pytest.mark.parametrize("tokens", TOKENISATIONS)
def test_empty_and_blank_documents_have_no_token(tokens):
    assert tokens_of(["", " ", "a", "", " \0\n"], tokens) == [[], [], ["a"], [], []]


@pytest.mark.parametrize("tokens", TOKENISATIONS)
@given(st.lists(HOSTILE, max_size=5))
def test_tokens_do_not_depend_on_the_documents_around(tokens, texts):
    assert tokens_of(texts, tokens) == [tokens_of([t], tokens)[0] for t in texts]


@given(st.lists(HOSTILE, max_size=5))
def test_words_agree_with_the_regular_expression_on_ascii(texts):
    texts = [re.sub(r"[^\x20-\x7e]", "", text) for text in texts]
    one_word = r"[A-Za-z]+(?:'(?=[a-z])[A-Za-z]+)*|[0-9]+|[^\sA-Za-z0-9_]"
    assert tokens_of(texts, WORDS) == [re.findall(one_word, text) for text in texts]


@given(st.lists(HOSTILE, max_size=5))
def test_spaces_agrees_with_a_plain_split(texts):
    def split(text):
        words = [w for w in re.split("[ \t\n\v\f\r\0]+", text) if w]
        words = words[: words.index("</s>")] if "</s>" in words else words
        return [word for word in words if not word.startswith("__label__")]

    assert tokens_of(texts, SPACES) == [split(text) for text in texts]


def test_lines_hold_the_tokens_with_one_space_between():
    data, offsets = text_buffers(pa.array(["It's 5.", "", "so!"]))
    start, end = token_bounds(data, offsets, WORDS)
    first = tokens_per_document(start, offsets)
    assert token_lines(data, start, end, first) == [b"It's 5 .", b"", b"so !"]


def words_of(texts: list[str], tokens: str) -> list[int]:
    data, offsets = text_buffers(pa.array(texts, pa.string()))
    start, end = token_bounds(data, offsets, tokens)
    first = tokens_per_document(start, offsets)
    return words_per_document(data, start, end, first, tokens).tolist()


def test_words_are_counted_and_numbers_and_marks_are_not():
    texts = ["It's 5, 7.", "", "x = 1; {", "", "中 é 3", "@[`{ ^~"]
    assert words_of(texts, WORDS) == [1, 0, 1, 0, 2, 0]
    assert words_of(texts, SPACES) == [1, 0, 1, 0, 2, 0]
    assert words_of([], WORDS) == words_of([], SPACES) == []


def test_a_word_between_spaces_may_have_marks_before_it():
    assert words_of(["(\"it's", '("...so', "....so", "--", "3rd", "("], SPACES) == [
        1, 0, 0, 0, 1, 0
    ]  # fmt: skip


@pytest.mark.parametrize("tokens", TOKENISATIONS)
@given(st.lists(HOSTILE, max_size=5))
def test_words_are_the_tokens_that_begin_with_a_letter(tokens, texts):
    start = r"[A-Za-z\x80-\U0010ffff]"
    if tokens == SPACES:
        start = f"[^A-Za-z]{{0,3}}{start}"
    expected = [
        sum(bool(re.match(start, token)) for token in found)
        for found in tokens_of(texts, tokens)
    ]
    assert words_of(texts, tokens) == expected


def test_an_unknown_tokenisation_is_refused():
    with pytest.raises(ValueError, match=r"must be one of .* got 'letters'"):
        token_bounds(np.zeros(0, np.uint8), np.zeros(1, np.int64), "letters")
