import dataclasses
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthfilter.core import schema
from synthfilter.core.ngrams import NgramRows
from synthfilter.core.samples import ALL
from synthfilter.core.schema import Origin
from synthfilter.inputs.blocks import Block, list_inputs, open_file
from synthfilter.inputs.documents import UNREADABLE
from synthfilter.inputs.sidecars import (
    facts_path,
    find_facts,
    find_ngrams,
    find_signatures,
    load_facts,
    load_ngrams,
    load_signatures,
    ngrams_path,
    no_facts,
    save_facts,
    save_ngrams,
    save_signatures,
    signatures_path,
    was_readable,
)

BLOCK = Block(
    key=0,
    file="a.jsonl",
    path="spool/1.parquet",
    fingerprint="f1",
    declared=Origin.HUMAN,
    mapping={"text": "text"},
    first_group=0,
    stop_group=1,
    rows=2,
    first_row=0,
    bytes=10,
    spooled=True,
)


def facts(*errors: str | None) -> pa.RecordBatch:
    row = {
        "content_hi": 1,
        "content_lo": 2**64 - 1,
        "identity": 3,
        "ai_score": 0.5,
        "bytes": 4,
        "words": 1,
        "created": None,
        "reason": 0,
        "position": None,
    }
    return pa.RecordBatch.from_pylist(
        [{**row, "error": error} for error in errors], schema=schema.FACTS
    )


def path_of(block: Block, detector: str = "d1", max_bytes: int = 100) -> str:
    return facts_path(block, "cache", detector, max_bytes)


def test_facts_have_another_place_whenever_they_could_differ() -> None:
    others = [
        path_of(BLOCK, detector="d2"),
        path_of(BLOCK, max_bytes=101),
        *(
            path_of(dataclasses.replace(BLOCK, **change))
            for change in (
                {"fingerprint": "f2"},
                {"mapping": {"text": "body"}},
                {"first_group": 1},
                {"stop_group": 2},
                {"path": "spool/2.parquet"},
            )
        ),
    ]
    assert len({path_of(BLOCK), *others}) == 1 + len(others)


def test_facts_have_the_same_place_whatever_the_file_is_declared() -> None:
    other = dataclasses.replace(BLOCK, declared=Origin.UNKNOWN, key=7, bytes=11)
    assert path_of(other) == path_of(BLOCK)


def test_json_lines_read_with_other_fields_have_other_facts(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a", "body": "b"}\n')
    (file,) = list_inputs({Origin.HUMAN: [str(tmp_path / "a.jsonl")]})
    paths = {
        path_of(block)
        for fields in ({}, {"text": "body"})
        for block in open_file(file, fields, str(tmp_path / "spool"), 100)
    }
    assert len(paths) == 2


def test_facts_come_back_as_they_were(tmp_path: Path) -> None:
    path = str(tmp_path / "new/facts.parquet")
    save_facts(facts(None, "text: expected a string, got null"), path)
    assert load_facts(path).equals(facts(None, "text: expected a string, got null"))
    assert find_facts(path, 2).equals(load_facts(path))
    save_facts(no_facts(), path)
    assert load_facts(path).equals(no_facts())


def test_facts_that_are_missing_damaged_or_of_other_rows_are_not_found(
    tmp_path: Path,
) -> None:
    path = tmp_path / "facts.parquet"
    assert find_facts(str(path), 1) is None
    path.write_bytes(b"PAR1 not")
    assert find_facts(str(path), 1) is None
    save_facts(facts(None, None), str(path))
    assert find_facts(str(path), 1) is None
    assert find_facts(str(path), 2) is not None


def test_facts_of_a_file_that_could_not_be_read_are_not_found(tmp_path: Path) -> None:
    path = str(tmp_path / "facts.parquet")
    save_facts(facts(None, f"{UNREADABLE}: CRC"), path)
    assert find_facts(path, 2) is None


@pytest.mark.parametrize("tenth", range(10))
def test_a_flipped_byte_in_a_sidecar_is_noticed(tenth: int, tmp_path: Path) -> None:
    path = tmp_path / "facts.parquet"
    saved = facts(*[None] * 50)
    save_facts(saved, str(path))
    start = pq.read_metadata(path).row_group(0).column(1).data_page_offset
    raw = bytearray(path.read_bytes())
    raw[start + (len(raw) // 2 - start) * tenth // 10] ^= 0x55
    path.write_bytes(raw)
    found = find_facts(str(path), 50)
    assert found is None or found.equals(saved)


def signatures(rows: int) -> np.ndarray:
    random = np.random.default_rng(rows)
    return random.integers(0, 1 << 16, (rows, 112), np.uint16)


def test_signatures_have_a_place_of_their_own_and_know_no_detector() -> None:
    first = signatures_path(BLOCK, "cache", 5, 100)
    assert first != path_of(BLOCK)
    other = dataclasses.replace(BLOCK, fingerprint="f2")
    paths = {
        signatures_path(BLOCK, "cache", 6, 100),
        signatures_path(BLOCK, "cache", 5, 101),
        signatures_path(other, "cache", 5, 100),
    }
    assert len({first, *paths}) == 4


@pytest.mark.parametrize("rows", [0, 1, 700])
def test_signatures_come_back_as_they_were(rows: int, tmp_path: Path) -> None:
    path = str(tmp_path / "new/signatures.parquet")
    save_signatures(signatures(rows), path, True)
    for found in (find_signatures(path, rows), load_signatures(path)):
        assert found.dtype == np.uint16
        assert (found == signatures(rows)).all()
        assert found.shape == (rows, 112)


def test_signatures_that_are_missing_damaged_or_of_other_rows_are_not_found(
    tmp_path: Path,
) -> None:
    path = tmp_path / "signatures.parquet"
    assert find_signatures(str(path), 3) is None
    save_signatures(signatures(3), str(path), True)
    assert find_signatures(str(path), 2) is None
    assert find_signatures(str(path), 4) is None
    path.write_bytes(path.read_bytes()[:-20])
    assert find_signatures(str(path), 3) is None
    save_facts(facts(None, None, None), str(path))
    assert find_signatures(str(path), 3) is None


@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_flipped_bit_in_signatures_is_noticed(tenth: int, tmp_path: Path) -> None:
    path = tmp_path / "signatures.parquet"
    save_signatures(signatures(700), str(path), True)
    raw = bytearray(path.read_bytes())
    raw[len(raw) * tenth // 10] ^= 1
    path.write_bytes(raw)
    assert find_signatures(str(path), 700) is None


def ngrams(rows: int) -> NgramRows:
    random = np.random.default_rng(rows)
    below = (ALL, ALL // 8, ALL // 256)
    sizes = tuple(random.integers(0, 9, rows).astype(np.int32) for _ in below)
    hashes = tuple(
        random.integers(0, bound - 1, each.sum(), np.uint64, endpoint=True)
        for each, bound in zip(sizes, below, strict=True)
    )
    return NgramRows(random.integers(0, 99, rows, np.int32), hashes, sizes, below)


def same(found: NgramRows | None, expected: NgramRows) -> bool:
    if found is None or found.below != expected.below:
        return False
    pairs = zip(
        (found.tokens, *found.hashes, *found.sizes),
        (expected.tokens, *expected.hashes, *expected.sizes),
        strict=True,
    )
    return all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in pairs)


def test_ngrams_have_a_place_of_their_own_and_know_no_detector() -> None:
    first = ngrams_path(BLOCK, "cache", 100)
    paths = {
        path_of(BLOCK),
        signatures_path(BLOCK, "cache", 5, 100),
        ngrams_path(BLOCK, "cache", 101),
        ngrams_path(dataclasses.replace(BLOCK, fingerprint="f2"), "cache", 100),
        ngrams_path(dataclasses.replace(BLOCK, bytes=1 << 24), "cache", 100),
    }
    assert len({first, *paths}) == 6
    other = dataclasses.replace(BLOCK, declared=Origin.UNKNOWN, key=7, bytes=11)
    assert ngrams_path(other, "cache", 100) == first


@pytest.mark.parametrize("rows", [0, 1, 700])
def test_ngrams_come_back_as_they_were(rows: int, tmp_path: Path) -> None:
    path = str(tmp_path / "new/ngrams.parquet")
    save_ngrams(ngrams(rows), path, True)
    assert same(find_ngrams(path, rows), ngrams(rows))
    assert same(load_ngrams(path), ngrams(rows))


def test_ngrams_that_are_missing_damaged_or_of_other_rows_are_not_found(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ngrams.parquet"
    assert find_ngrams(str(path), 3) is None
    save_ngrams(ngrams(3), str(path), True)
    assert find_ngrams(str(path), 2) is None
    path.write_bytes(path.read_bytes()[:-20])
    assert find_ngrams(str(path), 3) is None
    save_facts(facts(None, None, None), str(path))
    assert find_ngrams(str(path), 3) is None
    odd = dataclasses.replace(ngrams(3), below=(ALL, ALL // 8 + 1, ALL // 256))
    save_ngrams(odd, str(path), True)
    assert find_ngrams(str(path), 3) is None
    save_ngrams(ngrams(3), str(path), False)
    assert find_ngrams(str(path), 3) is None
    assert same(load_ngrams(str(path)), ngrams(3))


@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_flipped_bit_in_ngrams_is_noticed(tenth: int, tmp_path: Path) -> None:
    path = tmp_path / "ngrams.parquet"
    save_ngrams(ngrams(700), str(path), True)
    raw = bytearray(path.read_bytes())
    raw[len(raw) * tenth // 10] ^= 1
    path.write_bytes(raw)
    assert find_ngrams(str(path), 700) is None


def test_signatures_of_a_file_that_could_not_be_read_are_for_one_build(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "signatures.parquet")
    save_signatures(signatures(3), path, False)
    assert find_signatures(path, 3) is None
    assert (load_signatures(path) == signatures(3)).all()
    assert was_readable(facts(None, "text: expected a string, got null"))
    assert not was_readable(facts(None, f"{UNREADABLE}: CRC"))
    assert was_readable(no_facts())
