"""What files hold, counted anew, whatever their row groups and batches."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core import schema
from synthfilter.core.hashing import content_digest, hash_texts, hex_hashes
from synthfilter.core.text import normalise
from synthfilter.outputs import recount
from synthfilter.outputs.manifest import DEAD_LETTERS, REJECTED, SHARDS
from synthfilter.outputs.recount import (
    FileFindings,
    Recount,
    add_recounts,
    hash_file,
    recount_file,
)

WORDS = ("Rain again.", "Rain  again.", "Sun\nand wind", "", "late snow")


def write(
    path: Path, rows: list[tuple[str, str]], kind: str, row_group: int
) -> tuple[np.ndarray, np.ndarray]:
    """Writes documents of (text, origin) as a build does; returns their hashes."""
    text = pa.array([text for text, _ in rows], pa.large_string())
    hi, lo = hash_texts(normalise(text))
    known = {
        schema.TEXT: text,
        schema.ORIGIN: pa.array([origin for _, origin in rows], pa.string()),
        schema.CONTENT_HASH: hex_hashes(hi, lo),
        schema.BUILD_ID: pa.array(["b1"] * len(rows), pa.string()),
        schema.REASON: pa.array(["mixture"] * len(rows), pa.string()),
    }
    wanted = schema.SHARD if kind == SHARDS else schema.REJECTED
    columns = [known.get(f.name, pa.nulls(len(rows), f.type)) for f in wanted]
    table = pa.Table.from_arrays(columns, schema=wanted)
    pq.write_table(table, path, row_group_size=row_group)
    return hi, lo


def held(path: Path, kind: str, rows: int, full: bool = True) -> FileFindings:
    found = recount_file(str(path), kind, "b1", rows, full)
    assert not found.build
    assert found.readable
    return found


documents = st.lists(
    st.tuples(st.sampled_from(WORDS), st.sampled_from(["human", "synthetic"])),
    max_size=30,
)


@given(documents, st.integers(1, 40), st.integers(1, 10))
def test_a_set_is_counted_alike_whatever_its_row_groups_and_batches(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str]],
    row_group: int,
    batch: int,
) -> None:
    path = tmp_path_factory.mktemp("set") / "a.parquet"
    hi, lo = write(path, rows, SHARDS, row_group)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recount, "_BATCH_ROWS", batch)
        found = held(path, SHARDS, len(rows))
    assert not found.shape + found.hashes
    origin = np.array([said == "synthetic" for _, said in rows], int)
    changed = [
        at == 0 or (hi[at], lo[at]) != (hi[at - 1], lo[at - 1])
        for at in range(len(rows))
    ]
    count = found.held
    assert count.rows == count.hashed == len(rows)
    assert count.kept[:2].tolist() == np.bincount(origin, minlength=2).tolist()
    assert count.changes[:2].tolist() == [
        sum(new for new, who in zip(changed, origin, strict=True) if who == one)
        for one in (0, 1)
    ]
    assert int(count.digest, 16) == int(content_digest(hi, lo, origin), 16)
    for one, name in enumerate(("human", "synthetic")):
        mine = [text for text, who in rows if who == name]
        assert count.amounts[one].tolist() == [
            len(mine),
            sum(len(text) for text in mine),
            sum(len(text.split()) for text in mine),
        ]


def test_parts_add_up(tmp_path: Path) -> None:
    rows = [("Rain again.", "human"), ("late snow", "synthetic"), ("Sun", "human")]
    write(tmp_path / "all", rows, SHARDS, 10)
    parts = []
    for at, row in enumerate(rows):
        write(tmp_path / f"{at}", [row], SHARDS, 10)
        parts.append(held(tmp_path / f"{at}", SHARDS, 1).held)
    whole, total = held(tmp_path / "all", SHARDS, 3).held, add_recounts(parts)
    for name in ("rows", "digest", "hashed"):
        assert getattr(whole, name) == getattr(total, name)
    for name in ("kept", "changes", "amounts", "left_out"):
        assert (getattr(whole, name) == getattr(total, name)).all()
    assert add_recounts([]).digest == Recount().digest


def test_one_row_group_is_the_sample(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write(path, [(f"text {i}", "human") for i in range(30)], SHARDS, 10)
    found = held(path, SHARDS, 30, full=False)
    assert found.held.hashed == 10
    assert found.held.rows == 30


def test_what_was_left_out_is_counted_by_origin_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write(path, [("a", "human"), ("b", "synthetic"), ("c", "human")], REJECTED, 2)
    count = held(path, REJECTED, 3).held
    assert count.left_out[:2, schema.Reason.MIXTURE].tolist() == [2, 1]
    assert count.left_out.sum() == 3
    assert not count.kept.any()
    assert int(count.digest, 16) == 0


def test_letters_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a"
    table = pa.Table.from_pylist([{"file": "x"}] * 3, schema=schema.DEAD_LETTER)
    pq.write_table(table, path)
    assert held(path, DEAD_LETTERS, 3).held.letters == 3
    assert held(path, DEAD_LETTERS, 4).shape == ["3 rows, expected 4"]


def test_a_file_is_hashed_and_copied_in_one_reading(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    found = hash_file(str(tmp_path / "a"), tmp_path / "b")
    assert found == hash_file(str(tmp_path / "b"), None)
    assert found.size == 3_000_000
    assert (tmp_path / "b").read_bytes() == (tmp_path / "a").read_bytes()
