import numpy as np
import pyarrow as pa
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.hashing import (
    add_digests,
    content_digest,
    document_ids,
    find_sorted,
    hash_names,
    hash_texts,
    hex_hashes,
    mix,
    order_hash,
)

TEXTS = st.lists(st.none() | st.text(max_size=20), max_size=8)
WORDS = st.integers(0, 2**64 - 1)
DOCUMENTS = st.lists(st.tuples(WORDS, WORDS, st.integers(0, 2)), max_size=8)


def columns(documents: list[tuple[int, int, int]]) -> list[np.ndarray]:
    table = np.array(documents, np.uint64).reshape(-1, 3)
    return [*table.T[:2], table[:, 2].astype(np.uint8)]


@given(TEXTS)
def test_the_hash_of_a_text_is_the_xxh3_128_of_its_bytes(
    texts: list[str | None],
) -> None:
    column = pa.array(["before", *texts], pa.large_string())[1:]
    found = hex_hashes(*hash_texts(column)).to_pylist()
    assert found == [xxhash.xxh3_128_hexdigest((t or "").encode()) for t in texts]


@given(DOCUMENTS, st.randoms(use_true_random=False))
def test_the_digest_ignores_the_order_of_documents(documents, random) -> None:
    shuffled = random.sample(documents, len(documents))
    assert content_digest(*columns(documents)) == content_digest(*columns(shuffled))


@given(DOCUMENTS, st.data())
def test_digests_of_parts_add_up_to_the_digest_of_the_whole(documents, data) -> None:
    cut = data.draw(st.integers(0, len(documents)))
    parts = documents[:cut], documents[cut:]
    whole = content_digest(*columns(documents))
    assert add_digests(content_digest(*columns(part)) for part in parts) == whole
    assert len(whole) == 32


@given(st.tuples(WORDS, WORDS, st.integers(0, 2)))
def test_the_digest_tells_the_origin_and_how_often_a_document_comes(document) -> None:
    hi, lo, tag = document
    seen = {
        content_digest(*columns(documents))
        for documents in ([], [document], [document] * 2, [(hi, lo, (tag + 1) % 3)])
    }
    assert len(seen) == 4


def test_the_digest_of_nothing_is_zero_and_adds_nothing() -> None:
    assert add_digests([]) == content_digest(*columns([])) == "0" * 32


def test_a_digest_wraps_at_128_bits() -> None:
    assert add_digests(["f" * 32, "0" * 31 + "2"]) == "0" * 31 + "1"


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=8), st.integers(-9, 9))
def test_the_order_depends_on_content_and_seed_not_on_the_place(pairs, seed) -> None:
    hi, lo = np.array(pairs, np.uint64).T
    order = order_hash(hi, lo, seed)
    assert (order[::-1] == order_hash(hi[::-1], lo[::-1], seed)).all()
    assert (order != order_hash(hi, lo, seed + 1)).all()


def test_the_order_spreads_evenly_over_its_range() -> None:
    hi = lo = np.arange(16_384, dtype=np.uint64)
    counts = np.bincount((order_hash(hi, lo, 0) >> np.uint64(60)).astype(int))
    assert len(counts) == 16
    assert abs(counts - 1024).max() < 5 * 32


@given(st.lists(WORDS, unique=True, max_size=20))
def test_mix_gives_different_values_for_different_values(values: list[int]) -> None:
    assert len(set(mix(np.array(values, np.uint64)).tolist())) == len(values)


def test_a_document_without_an_id_is_named_by_its_source_and_content() -> None:
    texts = pa.array(["same", "same", "same", "other", "same"])
    sources = pa.array(["a", "a", "b", "a", None])
    ids = pa.array(["mine", None, None, None, None])
    found = document_ids(ids, sources, *hash_texts(texts)).to_pylist()
    assert found[0] == "mine"
    assert len(set(found)) == 5
    content = xxhash.xxh3_128_hexdigest(b"same")
    assert found[1] == xxhash.xxh3_128_hexdigest(f"a\n{content}".encode())
    assert found[4] == xxhash.xxh3_128_hexdigest(f"\n{content}".encode())


def test_given_ids_stay_as_they_are() -> None:
    ids = pa.array(["", "x"])
    texts = pa.array(["one", "two"])
    assert document_ids(ids, texts, *hash_texts(texts)).equals(ids)


def test_no_documents_have_no_ids_and_no_hashes() -> None:
    nothing = pa.array([], pa.string())
    hi, lo = hash_texts(nothing)
    assert len(hi) == len(lo) == len(hex_hashes(hi, lo)) == 0
    assert len(document_ids(nothing, nothing, hi, lo)) == 0


def test_names_have_a_number_each_and_none_is_zero() -> None:
    names = pa.array(["a", None, "b", "a", ""])
    first, none, second, again, empty = hash_names(names).tolist()
    assert first == again
    assert none == 0
    assert len({first, second, empty, none}) == 4
    assert hash_names(names.slice(1, 3)).tolist() == [none, second, again]
    for nothing in (pa.array([], pa.string()), pa.array([None], pa.string())):
        assert hash_names(nothing).tolist() == [0] * len(nothing)


@given(st.lists(st.integers(0, 9)), st.lists(st.integers(0, 9)))
def test_values_are_found_where_they_are(values: list[int], wanted: list[int]) -> None:
    values = sorted(set(values))
    found = find_sorted(np.array(values, int), np.array(wanted, int))
    where = {value: place for place, value in enumerate(values)}
    assert found.tolist() == [where.get(value, -1) for value in wanted]
