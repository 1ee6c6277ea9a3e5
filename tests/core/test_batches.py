import pickle
from collections.abc import Iterable

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.coders import registry
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.typehints.native_type_compatibility import convert_to_beam_type
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.batches import (
    GatherBatches,
    Keyed,
    RecordBatchCoder,
    column,
    concat_batches,
    set_column,
    split_by_key,
)

BATCH = pa.RecordBatch.from_pydict(
    {
        "text": ["a", None, "c c", ""],
        "many": [["x"], None, [], ["y", None]],
        "size": pa.array([1, 2, 3, 4], pa.uint64()),
    }
)


@given(st.integers(0, 4), st.integers(0, 4))
def test_a_slice_comes_through_the_coder_unchanged(start: int, length: int) -> None:
    part = BATCH.slice(start, length)
    coder = RecordBatchCoder()
    assert coder.decode(coder.encode(part)).equals(part)


def test_a_small_slice_of_a_large_batch_is_encoded_small() -> None:
    large = pa.RecordBatch.from_pydict(
        {"n": np.arange(100_000), "t": ["text"] * 100_000}
    )
    assert len(RecordBatchCoder().encode(large.slice(50_000, 10))) < 2_000


def test_batches_have_our_coder_and_are_no_keys() -> None:
    assert isinstance(registry.get_coder(pa.RecordBatch), RecordBatchCoder)
    assert isinstance(
        registry.get_coder(convert_to_beam_type(Keyed)).coders()[1], RecordBatchCoder
    )
    assert not RecordBatchCoder().is_deterministic()
    assert RecordBatchCoder().to_type_hint() is pa.RecordBatch


@given(st.lists(st.integers(-3, 3), max_size=12), st.booleans())
def test_split_by_key_gives_each_row_to_its_key_in_order(
    keys: list[int], unsigned: bool
) -> None:
    kind = np.uint64 if unsigned else np.int64
    chosen = np.array(keys, np.int64).astype(kind)
    batch = pa.RecordBatch.from_pydict({"row": np.arange(len(keys))})
    parts = dict(split_by_key(batch, chosen))
    assert list(parts) == sorted(set(chosen.tolist()))
    for key, part in parts.items():
        wanted = [row for row, value in enumerate(chosen.tolist()) if value == key]
        assert part.column(0).to_pylist() == wanted


def test_concat_batches_keeps_the_rows_and_needs_no_copy_of_one() -> None:
    assert concat_batches([BATCH]) is BATCH
    both = concat_batches(iter([BATCH.slice(2), BATCH.slice(0, 2)]))
    assert column(both, "size").tolist() == [3, 4, 1, 2]
    empty = BATCH.slice(0, 0)
    assert concat_batches([empty, empty]).equals(empty)


def test_set_column_replaces_or_adds() -> None:
    batch = set_column(BATCH, "size", pa.array([5, 6, 7, 8]))
    assert batch.schema.names == ["text", "many", "size"]
    assert set_column(batch, "new", pa.nulls(4)).schema.names[-1] == "new"
    assert column(batch, "size").tolist() == [5, 6, 7, 8]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=9), st.integers(1, 12))
def test_gather_keeps_the_rows_and_gives_few_batches(
    sizes: list[int], rows: int
) -> None:
    gather = GatherBatches(rows)
    gather.start_bundle()
    out = []
    for number, size in enumerate(sizes):
        batch = pa.RecordBatch.from_pydict({"n": [number] * size})
        out += gather.process(batch)
    assert all(batch.num_rows >= rows for batch in out)
    out += [left.value for left in gather.finish_bundle()]
    assert list(gather.finish_bundle()) == []
    found = [n for batch in out for n in batch.column(0).to_pylist()]
    assert found == [n for n, size in enumerate(sizes) for _ in range(size)]
    assert len(out) <= 1 + sum(sizes) // rows


def split_by_parity(batch: pa.RecordBatch) -> Iterable[Keyed]:
    return split_by_key(batch, column(batch, "n") % 2)


def add_up(element: tuple[int, Iterable[pa.RecordBatch]]) -> tuple[int, int]:
    key, batches = element
    return key, int(column(concat_batches(batches), "n").sum())


def test_batches_cross_a_shuffle_in_our_coding(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []

    def encode(self: RecordBatchCoder, value: pa.RecordBatch) -> bytes:
        encoded.append(value.num_rows)
        return real(self, value)

    real = RecordBatchCoder.encode
    monkeypatch.setattr(RecordBatchCoder, "encode", encode)
    # 0 1 2, 1 2 3, 2 3 4, 3 4 5, 4 5 6
    batches = [pa.RecordBatch.from_pydict({"n": [i, i + 1, i + 2]}) for i in range(5)]
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        sums = (
            pipeline
            | beam.Create(batches, reshuffle=False)
            | beam.ParDo(GatherBatches(7)).with_output_types(pa.RecordBatch)
            | beam.FlatMap(split_by_parity).with_output_types(Keyed)
            | beam.GroupByKey()
            | beam.Map(add_up)
        )
        assert_that(sums, equal_to([(0, 24), (1, 21)]))
    assert sum(encoded) >= 15


def test_a_pickled_slice_holds_its_own_rows_alone() -> None:
    whole = pa.record_batch({"id": pa.array(range(100_000))})
    part = whole.slice(70_000, 3)
    pickled = pickle.dumps(part)
    assert pickle.loads(pickled).equals(part)
    assert len(pickled) < 1000
