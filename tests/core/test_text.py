import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.text import (
    count_words,
    normalise,
    text_buffers,
    text_column,
)

INVISIBLE = (
    "\u00ad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\u206a\u206f\ufeff"
)
BLANKS = " \t\n\r\x00\x1f\x7f\x80\x85\x9f\u00a0\u1680\u2003\u2028\u2029\u202f\u3000"
# A letter and its accent, an accented letter, astral letters, a jamo pair.
LETTERS = "aA-e\u0301\u00e9\u0323\u212b\u1100\u1161\U0001f600\U00011099\U000110ba"

TEXTS = st.text(
    st.one_of(
        st.sampled_from(INVISIBLE + BLANKS + LETTERS),
        st.characters(exclude_categories=["Cs", "Cn"]),
    ),
    max_size=12,
)


def reference(text: str | None) -> str:
    """The rules of the docstring, one character at a time."""
    shown = [c for c in text or "" if c not in INVISIBLE]
    plain = "".join(
        " " if c.isspace() or unicodedata.category(c) == "Cc" else c for c in shown
    )
    return " ".join(unicodedata.normalize("NFC", plain).split(" ")).strip(" ")


def collapse(text: str) -> str:
    return " ".join(part for part in text.split(" ") if part)


def expected(texts: list[str | None]) -> list[str]:
    return [collapse(reference(text)) for text in texts]


@given(
    st.lists(st.none() | TEXTS, max_size=8),
    st.sampled_from([pa.string(), pa.large_string(), pa.string_view()]),
)
def test_normalise_equals_the_rules_applied_to_single_characters(
    texts: list[str | None], kind: pa.DataType
) -> None:
    found = normalise(pa.array(texts, kind))
    assert found.type == pa.large_string()
    assert found.to_pylist() == expected(texts)
    found.validate(full=True)


@given(st.lists(TEXTS, max_size=8))
def test_normalising_twice_is_normalising_once(texts: list[str]) -> None:
    once = normalise(pa.array(texts, pa.string()))
    assert normalise(once).equals(once)


@given(st.lists(st.none() | TEXTS, max_size=8), st.data())
def test_normalise_does_not_depend_on_the_borders_of_batches(
    texts: list[str | None], data: st.DataObject
) -> None:
    column = pa.array(texts, pa.string())
    cut = data.draw(st.integers(0, len(texts)))
    parts = [normalise(column[:cut]), normalise(column[cut:])]
    assert pa.concat_arrays(parts).equals(normalise(column))


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("a \u200b b", "a b"),
        ("a\u00a0\u200b\u3000b", "a b"),
        (" \u3000a\t\u00a0", "a"),
        ("\u200b\u200b", ""),
        ("\u200b \u200b", ""),
        ("\ufeffa", "a"),
        ("e\u200b\u0301", "\u00e9"),
        ("e\x00\u0301", "e \u0301"),
        ("a\x7fb\x80c", "a b c"),
        ("soft\u00adhyphen", "softhyphen"),
        ("<b>Case, stays!</b>", "<b>Case, stays!</b>"),
        ("   ", ""),
        ("", ""),
    ],
)
def test_blanks_and_marks_of_all_kinds_leave_single_spaces(
    text: str, normal: str
) -> None:
    assert normalise(pa.array([text])).to_pylist() == [normal]
    among_others = pa.array(["\u00e9 ", text, " x"])
    assert normalise(among_others).to_pylist() == ["\u00e9", normal, "x"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_a_column_of_no_documents_is_normalised(kind: pa.DataType) -> None:
    assert normalise(pa.array([], kind)).to_pylist() == []
    assert normalise(pa.array(["", None], kind)).to_pylist() == ["", ""]


@given(st.lists(st.none() | TEXTS, min_size=1, max_size=6), st.data())
def test_text_buffers_are_the_bytes_of_the_slice(
    texts: list[str | None], data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(texts)))
    stop = data.draw(st.integers(start, len(texts)))
    kind = data.draw(st.sampled_from([pa.string(), pa.large_string()]))
    raw, offsets = text_buffers(pa.array(texts, kind)[start:stop])
    chosen = [text or "" for text in texts[start:stop]]
    assert raw.tobytes() == "".join(chosen).encode()
    assert offsets[0] == 0
    assert text_column(raw, offsets).to_pylist() == chosen


@given(st.lists(st.none() | TEXTS, max_size=5))
def test_words_are_what_spaces_part(texts: list[str | None]) -> None:
    normal = normalise(pa.array(texts, pa.string()))
    found = count_words(normal)
    assert found.dtype == np.int32
    assert found.tolist() == [len(text.split()) for text in normal.to_pylist()]
