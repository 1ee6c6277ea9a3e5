from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.errors import UserError
from synthfilter.core.hashing import mix
from synthfilter.decisions import minhash
from synthfilter.decisions.minhash import (
    Bands,
    Shingles,
    band_keys,
    candidate_probability,
    choose_bands,
    estimate_similarity,
    shingle_hashes,
    signatures,
)

KINDS = st.sampled_from([pa.string(), pa.large_string(), pa.string_view()])
MARKS = (
    "\u201c\u201d\u2019\u2014\u2026\u00ab\u00bf\u00b7\u3001\u3002\uff01\uff61\u30fb"
    " _-\0'"
)
# Each of these is a word by itself.
ALONE = "\u6f22\u5b57\u3005\u3042\u30a2\uff71"
# Words of all lengths around the eight bytes that are loaded at once.
WORDS = st.one_of(
    st.sampled_from(
        [
            "a",
            "B",
            "b",
            "7",
            "é",
            "É",
            "ª",
            "한국",
            "😀",
            "\uff21",
            *ALONE,
            "a\u6f22b\u5b57",
        ]
    ),
    st.integers(1, 50).map("x".__mul__),
    st.text("ab", min_size=7, max_size=26),
)
TEXTS = st.lists(WORDS | st.sampled_from(MARKS + " "), max_size=14).flatmap(
    lambda parts: st.sampled_from(["", " ", ", "]).map(lambda gap: gap.join(parts))
)
COLUMNS = st.lists(st.none() | TEXTS, max_size=8)
# What this version gives; a change makes stored signatures worthless.
HASHES = ["5d4076857512b86d", "9205e0c01e1bcee9"]
MINIMA = [[55797, 48596, 26350], [1825, 60734, 26975]]
KEY = "dd9762974b999f02"
STEPS = st.sampled_from([1, 20, 1 << 18])


def naive_shingles(text: str | None, size: int = 5) -> list[tuple[object, ...]]:
    apart = "".join(f" {c} " if c in ALONE else c for c in text or "")
    kept = "".join(
        (c.lower() if c.isalnum() else " ") if c < "\x80" else " " if c in MARKS else c
        for c in apart
    )
    words = kept.split()
    if 0 < len(words) < size:
        return [("whole", len(words), *words)]
    return [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]


def per_document(shingles: Shingles) -> list[list[int]]:
    return [part.tolist() for part in np.split(shingles.hashes, shingles.offsets)[1:-1]]


def hashed(*texts: str | None, size: int = 5) -> list[list[int]]:
    return per_document(shingle_hashes(pa.array(texts, pa.string()), size))


@given(COLUMNS, KINDS, st.integers(1, 6), STEPS)
def test_two_shingles_have_the_same_hash_when_their_words_are_the_same(
    texts: list[str | None], kind: pa.DataType, size: int, step: int
) -> None:
    with mock.patch.object(minhash, "_CHUNK_BYTES", step):
        found = shingle_hashes(pa.array(texts, kind), size)
    assert found.hashes.dtype == np.uint64
    assert found.offsets.dtype == np.int64
    assert len(found.offsets) == len(texts) + 1
    hash_of: dict[tuple[object, ...], int] = {}
    for text, hashes in zip(texts, per_document(found), strict=True):
        naive = naive_shingles(text, size)
        assert len(hashes) == len(naive)
        for shingle, value in zip(naive, hashes, strict=True):
            assert hash_of.setdefault(shingle, value) == value
    assert len(set(hash_of.values())) == len(hash_of)


@given(COLUMNS, st.data(), STEPS)
def test_shingles_and_signatures_do_not_depend_on_the_borders_of_batches(
    texts: list[str | None], data: st.DataObject, step: int
) -> None:
    column = pa.array(texts, pa.string())
    cut = data.draw(st.integers(0, len(texts)))
    whole = shingle_hashes(column)
    parts = [shingle_hashes(column[:cut]), shingle_hashes(column[cut:])]
    assert per_document(whole) == [d for part in parts for d in per_document(part)]
    with mock.patch.object(minhash, "_CHUNK_SHINGLES", step):
        found = np.concatenate([signatures(part, 8) for part in parts])
    assert np.array_equal(found, signatures(whole, 8))


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("It is what it is.", "it IS, what... it -- is"),
        (
            "\u201cDon\u2019t,\u201d she said \u2014 twice.",
            '"Don\'t," she said - twice.',
        ),
        ("«où» est-il ?", "où est il"),
        ("snake_case\0nul", "snake case nul"),
    ],
)
def test_case_and_punctuation_do_not_make_texts_different(
    text: str, other: str
) -> None:
    first, second = hashed(text, other)
    assert first == second != []


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("one two", "onetwo"),
        ("one two", "two one"),
        ("one two", "one two two"),
        ("one", "one one"),
        ("one two three four", "one two three four one two three four"),
        ("café", "cafe"),
        ("x" * 8, "x" * 9),
        ("x" * 1_000_000, "x" * 999_999 + "y"),
        ("x" * 1_000_000, "x" * 500_000 + "y" + "x" * 499_999),
        ("12345678ABCDEFGH", "ABCDEFGH12345678"),
        ("x" * 8 + "12345678ABCDEFGH", "x" * 8 + "ABCDEFGH12345678"),
    ],
)
def test_short_texts_are_compared_whole(text: str, other: str) -> None:
    first, second = hashed(text, other)
    assert len(first) >= 1
    assert not set(first) & set(second)


def test_a_text_without_words_has_no_shingles_and_a_row_of_zeros() -> None:
    column = pa.array([None, "", "... — !", "word", "\0"])
    shingles = shingle_hashes(column)
    assert np.diff(shingles.offsets).tolist() == [0, 0, 0, 1, 0]
    rows = signatures(shingles)
    assert rows.any(axis=1).tolist() == [False, False, False, True, False]


def test_a_word_does_not_run_into_the_next_document() -> None:
    assert hashed("abc", "def", "", "longer than", "eight bytes") == [
        hashed(text)[0] for text in ("abc", "def", "", "longer than", "eight bytes")
    ]
    assert hashed("abc", "def")[0] != hashed("abcdef")[0]


def test_a_change_of_a_han_character_changes_the_five_shingles_around_it() -> None:
    text = "\u5929\u5730\u7384\u9ec4\u5b87\u5b99\u6d2a\u8352" * 2 + "abc"
    first, second = hashed(text, text.replace("\u8352\u5929", "\u65e5\u5929"))
    assert len(first) == len(second) == 13
    assert sum(a != b for a, b in zip(first, second, strict=True)) == 5


def test_no_documents_have_no_shingles_and_no_signatures() -> None:
    shingles = shingle_hashes(pa.array([], pa.string()))
    assert shingles.hashes.tolist() == []
    assert shingles.offsets.tolist() == [0]
    rows = signatures(shingles)
    assert rows.shape == (0, 112)
    assert band_keys(rows, Bands(18, 6)).shape == (0, 18)
    assert estimate_similarity(rows, rows).shape == (0,)


def test_stored_signatures_stay_comparable() -> None:
    column = pa.array(["The quick brown fox jumps over the lazy dog.", "one two"])
    shingles = shingle_hashes(column)
    assert [f"{value:016x}" for value in shingles.hashes[-2:]] == HASHES
    assert signatures(shingles)[:, [0, 1, 111]].tolist() == MINIMA
    keys = band_keys(signatures(shingles), Bands(18, 6))
    assert f"{keys[0, 17]:016x}" == KEY


def planted(shared: int, different: int, pairs: int) -> tuple[Shingles, Shingles]:
    """Documents of which each shares so many shingles with the one of its row."""
    size = shared + different
    everything = mix(
        np.arange(pairs * (size + different), dtype=np.uint64) + np.uint64(1)
    )
    sets = everything.reshape(pairs, -1)
    offsets = np.arange(pairs + 1) * size
    return (
        Shingles(sets[:, :size].ravel(), offsets),
        Shingles(sets[:, different:].ravel(), offsets),
    )


@pytest.mark.parametrize(
    ("shared", "different"), [(2, 1), (9, 21), (50, 50), (320, 40), (1900, 50)]
)
def test_the_estimate_is_unbiased_and_varies_like_112_independent_draws(
    shared: int, different: int
) -> None:
    one, other = (signatures(side) for side in planted(shared, different, 300))
    similarity = shared / (shared + 2 * different)
    found = estimate_similarity(one, other)
    expected = np.sqrt(similarity * (1 - similarity) / 112)
    assert abs(found.mean() - similarity) < 4 * expected / np.sqrt(300)
    assert 0.8 * expected < found.std() < 1.2 * expected


def test_a_document_agrees_with_itself_and_with_repetitions_of_it() -> None:
    text = "a b c d e f g h"
    rows = signatures(shingle_hashes(pa.array([text, text, f"{text} {text} {text}"])))
    assert estimate_similarity(rows[[0, 0]], rows[[0, 1]]).tolist() == [1, 1]
    assert 0.2 < estimate_similarity(rows[:1], rows[2:])[0] < 1


def test_documents_of_one_shingle_do_not_agree_because_some_bits_do() -> None:
    number = np.arange(2_000, dtype=np.uint64) << np.uint64(48) | np.uint64(7 << 32)
    rows = signatures(Shingles(number, np.arange(2_001)))
    assert estimate_similarity(rows[1:], rows[:-1]).max() < 3 / 112


@pytest.mark.parametrize("size", [1, 50, 300_000])
def test_all_bits_of_a_minimum_are_used_whatever_the_size_of_the_document(
    size: int,
) -> None:
    documents = max(3_000 // size, 2)
    hashes = mix(np.arange(documents * size, dtype=np.uint64))
    rows = signatures(Shingles(hashes, np.arange(documents + 1) * size))
    bits = np.unpackbits(rows.view(np.uint8)[..., None], axis=-1).reshape(-1, 16)
    assert abs(bits.mean(axis=0) - 0.5).max() < 4 * 0.5 / np.sqrt(len(bits))


def test_the_first_permutations_are_the_same_whatever_their_number() -> None:
    shingles, _ = planted(20, 3, 5)
    assert np.array_equal(signatures(shingles, 112)[:, :30], signatures(shingles, 30))


@pytest.mark.parametrize(
    ("threshold", "bands"),
    [
        (1.0, (1, 112)),
        (0.9, (11, 10)),
        (0.8, (18, 6)),
        (0.7, (28, 4)),
        (0.5, (37, 3)),
        (0.05, (112, 1)),
        (1e-9, (112, 1)),
    ],
)
def test_bands_are_as_long_as_they_can_be_at_the_threshold(
    threshold: float, bands: tuple[int, int]
) -> None:
    assert choose_bands(threshold) == bands


@given(
    st.floats(0.001, 1), st.integers(1, 256), st.sampled_from([0.5, 0.9, 0.99, 0.9999])
)
def test_bands_miss_no_more_than_is_allowed_where_any_bands_can(
    threshold: float, permutations: int, recall: float
) -> None:
    bands = choose_bands(threshold, permutations, recall)
    assert bands.bands * bands.rows <= permutations
    possible = [
        candidate_probability(threshold, Bands(permutations // rows, rows)) >= recall
        for rows in range(1, permutations + 1)
    ]
    assert possible[bands.rows - 1] or bands.rows == 1
    assert not any(possible[bands.rows :])


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.01, float("nan"), float("inf")])
def test_a_threshold_that_is_no_similarity_is_an_error(threshold: float) -> None:
    with pytest.raises(UserError, match=r"near copies must be in \(0, 1\], got"):
        choose_bands(threshold)


def test_sizes_that_make_no_sense_are_errors() -> None:
    column = pa.array(["a"])
    with pytest.raises(ValueError, match="at least 1 word, got 0"):
        shingle_hashes(column, 0)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        signatures(shingle_hashes(column), 0)
    with pytest.raises(ValueError, match="got 112 and 1"):
        choose_bands(0.8, recall=1)
    with pytest.raises(ValueError, match="need 114 minima a document, got 112"):
        band_keys(np.zeros((1, 112), np.uint16), Bands(19, 6))


def test_documents_share_a_band_as_often_as_the_s_curve_says() -> None:
    bands = Bands(14, 8)
    for shared, different in ((7, 3), (80, 20), (8, 1)):
        sides = planted(shared, different, 600)
        one, other = (band_keys(signatures(side), bands) for side in sides)
        found = (one == other).any(axis=1).mean()
        expected = candidate_probability(shared / (shared + 2 * different), bands)
        assert abs(found - expected) < 4 * np.sqrt(expected * (1 - expected) / 600)


@given(
    st.lists(st.lists(st.integers(0, 1), min_size=7, max_size=7), max_size=9),
    st.sampled_from([Bands(1, 7), Bands(2, 3), Bands(3, 2), Bands(7, 1)]),
)
def test_band_keys_are_the_same_when_band_and_minima_are(
    signature: list[list[int]], bands: Bands
) -> None:
    rows = np.array(signature, np.uint16).reshape(-1, 7)
    keys = band_keys(rows, bands)
    assert keys.dtype == np.uint64
    naive = [
        (band, *row[band * bands.rows : (band + 1) * bands.rows])
        for row in rows.tolist()
        for band in range(bands.bands)
    ]
    pairs = set(zip(naive, keys.ravel().tolist(), strict=True))
    assert len(pairs) == len(set(naive)) == len(set(keys.ravel().tolist()))
