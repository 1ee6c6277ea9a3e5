"""Which rows of a ledger are near copies of new documents."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.text import normalise
from synthfilter.core.uses import SIGNATURE, store_signatures, stored_signatures
from synthfilter.decisions import near_uses
from synthfilter.decisions.minhash import (
    PERMUTATIONS,
    Bands,
    band_keys,
    choose_bands,
    shingle_hashes,
    signatures,
)
from synthfilter.decisions.near_uses import (
    KeyFilter,
    LikelyRows,
    gather_likely,
    likely_rows,
    match_signatures,
)

PLACES = ("harbour", "orchard", "tower", "market", "station", "bridge", "garden")


def story(number: int) -> str:
    """A text of some ninety words; two numbers have few runs of five in common."""
    said = (
        f"On day {number * 37 + i} keeper {number * 11 % 97 + i} of the "
        f"{PLACES[(number + i * i) % 7]} counted {(number + 3) * (i + 5)} lanterns"
        for i in range(9)
    )
    return ". ".join(said)


def signed(texts: list[str]) -> np.ndarray:
    return signatures(shingle_hashes(normalise(pa.array(texts))))


def ledger_rows(found: np.ndarray) -> pa.RecordBatch:
    numbers = pa.array(np.arange(len(found)))
    return pa.RecordBatch.from_pydict(
        {"row": numbers, SIGNATURE: store_signatures(found)}
    )


def match(
    ledger: np.ndarray, new: np.ndarray, threshold: float, size: int = 1000
) -> set[tuple[int, int]]:
    """Returns `(row of the ledger, new document)` of all near copies."""
    bands = choose_bands(threshold)
    key_filter = KeyFilter(len(new) * bands.bands)
    key_filter.add(band_keys(new, bands))
    rows = ledger_rows(ledger)
    batches = [rows.slice(start, size) for start in range(0, len(ledger), size)]
    parts = list(likely_rows(batches, key_filter, bands))
    found = named_pairs(parts, new, bands, threshold)
    together = gather_likely(parts)
    assert found == named_pairs([together] if together else [], new, bands, threshold)
    return found


def named_pairs(
    parts: list[LikelyRows], new: np.ndarray, bands: Bands, threshold: float
) -> set[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for likely in parts:
        assert (np.diff(likely.keys.astype(object)) >= 0).all()
        row, document = match_signatures(likely, new, bands, threshold)
        names = likely.rows.column("row").take(pa.array(row)).to_pylist()
        found += zip(names, document.tolist(), strict=True)
    return set(found)


def test_a_text_with_a_word_changed_is_found_and_another_text_is_not() -> None:
    texts = [story(n) for n in range(40)]
    changed = [text.replace("of the", "near the", 1) for text in texts[10:20]]
    new = [*changed, texts[5], *(story(n) for n in range(100, 110))]
    found = match(signed(texts), signed(new), 0.8)
    assert found == {(5, 10)} | {(10 + n, n) for n in range(10)}


@pytest.mark.parametrize("size", [1, 7, 40])
def test_the_answer_does_not_depend_on_batch_borders(size: int) -> None:
    ledger, new = signed([story(n) for n in range(40)]), signed([story(3), story(50)])
    assert match(ledger, new, 0.8, size) == {(3, 0)}


def test_pairs_are_those_that_a_loop_finds() -> None:
    random = np.random.default_rng(1)
    ledger = random.integers(0, 3, (30, PERMUTATIONS)).astype(np.uint16)
    new = ledger[random.integers(0, 30, 20)].copy()
    other = random.integers(0, 3, new.shape).astype(np.uint16)
    new = np.where(random.random((20, 1)) < random.random(new.shape), new, other)
    new = new.astype(np.uint16)
    bands = choose_bands(0.6)
    old_keys, keys = band_keys(ledger, bands), band_keys(new, bands)
    expected = {
        (row, document)
        for row in range(30)
        for document in range(20)
        if (ledger[row] == new[document]).mean() >= 0.6
        and (old_keys[row] == keys[document]).any()
    }
    assert len(expected) > 5
    assert match(ledger, new, 0.6) == expected


def test_many_copies_are_looked_at_in_bounded_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(near_uses, "_CHUNK_PAIRS", 50)
    monkeypatch.setattr(near_uses, "_CHUNK_COMPARED", 7)
    ledger, new = signed([story(1)] * 12), signed([story(1)] * 15)
    everything = {(row, document) for row in range(12) for document in range(15)}
    assert match(ledger, new, 0.8) == everything


def test_rows_without_a_signature_are_near_to_nothing() -> None:
    ledger = signed(["", story(1), "", story(2)])
    assert store_signatures(ledger).is_valid().to_pylist() == [False, True] * 2
    assert match(ledger, signed([story(2), story(1)]), 0.8) == {(1, 1), (3, 0)}
    assert match(signed([""]), signed([story(1)]), 0.8) == set()


def test_nothing_is_near_to_nothing() -> None:
    none = np.zeros((0, PERMUTATIONS), np.uint16)
    assert match(none, none, 0.8) == set()
    assert match(signed([story(1)]), none, 0.8) == set()
    assert match(none, signed([story(1)]), 0.8) == set()


def test_signatures_come_back_as_they_were_stored() -> None:
    found = signed([story(n) for n in range(5)])
    column = store_signatures(found)
    assert column.type == pa.binary()
    assert np.array_equal(stored_signatures(column), found)
    assert np.array_equal(stored_signatures(column.slice(2)), found[2:])
    for bad in (pa.array([b"x"]), pa.array([None], pa.binary())):
        with pytest.raises(ValueError, match="224 bytes each"):
            stored_signatures(bad)


@given(st.lists(st.integers(0, 2**64 - 1), max_size=50), st.integers(0, 50))
def test_a_filter_has_every_key_that_was_put_in(
    numbers: list[int], expected: int
) -> None:
    keys = np.array(numbers, np.uint64)
    key_filter = KeyFilter(expected)
    assert not key_filter.may_have(keys).any()
    key_filter.add(keys[:20])
    key_filter.add(keys[20:])
    assert key_filter.may_have(keys).all()


def test_a_filter_lets_few_other_keys_through() -> None:
    # Keys that follow each other, the worst case for a hash that multiplies.
    keys = np.arange(200_000, dtype=np.uint64)
    key_filter = KeyFilter(200_000)
    key_filter.add(keys.reshape(-1, 2))
    assert key_filter.may_have(keys).all()
    assert key_filter.may_have(keys + np.uint64(200_000)).mean() < 0.002
    random = np.random.default_rng(0).integers(0, 2**63, (2, 200_000), np.int64)
    one, other = random.view(np.uint64)
    key_filter = KeyFilter(200_000)
    key_filter.add(one)
    assert key_filter.may_have(one).all()
    assert key_filter.may_have(other).mean() < 0.001
    assert key_filter.bytes * 8 <= 48 * len(one)


def test_a_filter_that_is_filled_bit_by_bit_is_the_same() -> None:
    keys = np.arange(100_000, dtype=np.uint64)
    whole, parts = KeyFilter(100_000), KeyFilter(100_000)
    whole.add(keys)
    for start in range(0, 100_000, 30_000):
        parts.add(keys[start : start + 30_000])
    asked = np.arange(1_000_000, dtype=np.uint64)
    assert np.array_equal(whole.may_have(asked), parts.may_have(asked))
