import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core import schema
from synthfilter.core.claims import tell_claims
from synthfilter.core.schema import Origin
from synthfilter.inputs import documents
from synthfilter.inputs.blocks import Block, list_inputs, open_file
from synthfilter.inputs.documents import read_documents
from synthfilter.inputs.evidence import (
    claim_columns,
    claims_of_batch,
    claims_of_record,
    find_levels,
    says_origin,
)
from synthfilter.inputs.fields import map_fields
from synthfilter.inputs.paths import Columns
from synthfilter.inputs.records import documents_of_records


def told_of_records(records: list[dict[str, Any]], **fields: str) -> list[str]:
    """The claims of records, each by itself."""
    mapping = map_fields(Columns.of_records(records), fields, "f")
    claims = [claims_of_record(record, mapping) for record in records]
    return tell_claims(np.array(claims, np.uint32)).to_pylist()


def told_of_batch(batch: pa.RecordBatch, **fields: str) -> list[str]:
    mapping = map_fields(Columns.of_schema(batch.schema), fields, "f")
    levels = find_levels(batch.schema, mapping)
    return tell_claims(claims_of_batch(batch, mapping, levels)).to_pylist()


CASES: list[tuple[dict[str, Any], str]] = [
    ({"text": "a"}, ""),
    ({"text": "a", "origin": "human"}, "column=human"),
    ({"text": "a", "origin": "Synthetic "}, "column=synthetic"),
    ({"text": "a", "origin": "AI"}, "column=synthetic"),
    ({"text": "a", "origin": 1}, "column=synthetic"),
    ({"text": "a", "origin": "France"}, ""),
    ({"text": "a", "origin": None}, ""),
    (
        {"text": "a", "origin": "synthetic", "origin_evidence": "declared"},
        "column=synthetic",
    ),
    ({"text": "a", "origin": "synthetic", "origin_evidence": "detector"}, ""),
    (
        {
            "text": "a",
            "origin": "synthetic",
            "origin_evidence": "detector=synthetic declared=human",
        },
        "",
    ),
    ({"text": "a", "generator": "my own model"}, "producer=synthetic"),
    ({"text": "a", "generator": "human"}, "producer=human"),
    ({"text": "a", "generator": ""}, ""),
    ({"text": "a", "model": "gpt-4"}, "producer=synthetic"),
    ({"text": "a", "model": "Corolla"}, ""),
    (
        {"text": "a", "model": "new", "conversation": [], "role": "assistant"},
        "producer=synthetic",
    ),
    ({"text": "a", "model": "new", "conversation": [], "role": "user"}, ""),
    ({"text": "a", "aigc": '{"Label": "1"}'}, "mark=synthetic"),
    ({"text": "a", "AIGC": {"Label": "1"}}, "mark=synthetic"),
    (
        {"text": "a", "digitalSourceType": "TrainedAlgorithmicMediaDigitalSource"},
        "mark=synthetic",
    ),
    ({"text": "a", "digital_source_type": "digitalCreation"}, ""),
    (
        {"text": "a", "metadata": {"model": "gpt-4", "AIGC": {"Label": "2"}}},
        "mark=synthetic producer=synthetic",
    ),
    ({"text": "a", "metadata": {"generator": "ours"}}, "producer=synthetic"),
    (
        {"text": "a", "rollout_results": [{"text": "a", "finish_reason": "stop"}]},
        "producer=synthetic",
    ),
    ({"text": "a", "rollout_results": [{"text": "b", "finish_reason": "stop"}]}, ""),
    (
        {
            "text": "a",
            "metadata": {"inference_results": [{}, {"text": "a"}]},
        },
        "producer=synthetic",
    ),
    (
        {"text": "a", "origin": "human", "generator": "g", "AIGC": {"Label": "1"}},
        "column=human mark=synthetic producer=synthetic",
    ),
]
IDS = [json.dumps(record)[:60] for record, _ in CASES]


@pytest.mark.parametrize(("record", "told"), CASES, ids=IDS)
def test_a_record_and_a_row_say_the_same(
    record: dict[str, Any], told: str, tmp_path: Path
) -> None:
    assert told_of_records([record]) == [told]
    batch = pa.RecordBatch.from_pylist([record, {**record, "text": "other"}])
    assert told_of_batch(batch)[0] == told
    for name, write in (("t.jsonl", write_lines), ("t.parquet", write_parquet)):
        path = str(tmp_path / name)
        write(path, record)
        assert told_of_file(path, tmp_path) == [told]


def write_lines(path: str, record: dict[str, Any]) -> None:
    Path(path).write_text(json.dumps(record))


def write_parquet(path: str, record: dict[str, Any]) -> None:
    pq.write_table(pa.Table.from_pylist([record]), path)


def opened(path: str, folder: Path) -> Block:
    (file,) = list_inputs({Origin.UNKNOWN: [path]})
    (block,) = open_file(file, {}, str(folder / "spool"), 1_000_000)
    return block


def told_of_file(path: str, folder: Path) -> list[str]:
    block = opened(path, folder)
    found = read_documents(block, [schema.ID, schema.TEXT, schema.CLAIMS])
    claims = [batch.column(schema.CLAIMS).to_numpy() for batch in found]
    return tell_claims(np.concatenate(claims)).to_pylist()


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "text": st.sampled_from(["a", "b"]),
                "origin": st.sampled_from(["human", "ai", "elsewhere", None]),
                "model": st.sampled_from(["gpt-4", "human", "Corolla", None]),
                "role": st.sampled_from(["user", "assistant", None]),
                "digitalSourceType": st.sampled_from(
                    ["trainedAlgorithmicMedia", "digitalCreation", None]
                ),
                "rollout_results": st.none()
                | st.lists(
                    st.fixed_dictionaries({"text": st.sampled_from(["a", "c", None])}),
                    max_size=2,
                ),
            }
        ),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 6),
)
def test_claims_are_the_same_for_any_batch_borders(
    records: list[dict[str, Any]], cut: int
) -> None:
    kinds = pa.schema(
        [
            *((name, pa.string()) for name in ("text", "origin", "model", "role")),
            ("digitalSourceType", pa.string()),
            ("rollout_results", pa.list_(pa.struct([("text", pa.string())]))),
        ]
    )
    batch = pa.RecordBatch.from_pylist(records, schema=kinds)
    whole = told_of_batch(batch)
    assert whole == told_of_records(records)
    assert told_of_batch(batch.slice(0, cut)) + told_of_batch(batch.slice(cut)) == whole


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["gpt-4", "human", None]),
        pa.array(["gpt-4", "human", None], pa.large_string()),
        pa.array(["gpt-4", "human", None], pa.string_view()),
        pa.array(["gpt-4", "human", None]).dictionary_encode(),
        pa.array(["no", "gpt-4", "human", None]).dictionary_encode().slice(1),
    ],
    ids=lambda column: str(column.type),
)
def test_names_of_any_string_type_are_read(column: pa.Array) -> None:
    batch = pa.RecordBatch.from_pydict({"text": ["a", "b", "c"], "model": column})
    assert told_of_batch(batch) == ["producer=synthetic", "producer=human", ""]


@pytest.mark.parametrize(
    "column",
    [
        pa.nulls(2),
        pa.array([1.0, 0.0]),
        pa.array([True, False]),
        pa.array([["human"], None]),
        pa.array([{"a": "human"}, None]),
        pa.array([b"human", None]),
        pa.array([5, None], pa.timestamp("us")),
        pa.array([2**62, None]),
    ],
    ids=lambda column: str(column.type),
)
@pytest.mark.parametrize(
    "name",
    ["origin", "origin_evidence", "model", "generator", "role", "AIGC",
     "rollout_results", "digitalSourceType", "metadata"],
)  # fmt: skip
def test_columns_of_other_types_say_nothing(name: str, column: pa.Array) -> None:
    values = {"text": pa.array(["a", "b"]), name: column}
    assert told_of_batch(pa.RecordBatch.from_pydict(values)) == ["", ""]
    rows = pa.RecordBatch.from_pydict(values).to_pylist()
    assert told_of_records(rows) == ["", ""]


def test_names_that_are_not_utf8_say_nothing() -> None:
    offsets = np.array([0, 5, 12], np.int32)
    raw = pa.StringArray.from_buffers(
        2, pa.py_buffer(offsets), pa.py_buffer(b"gpt-4\xff\xfehuman")
    )
    batch = pa.RecordBatch.from_pydict({"text": ["a", "b"], "model": raw})
    assert told_of_batch(batch) == ["producer=synthetic", ""]


def test_no_rows_have_no_claims() -> None:
    batch = pa.RecordBatch.from_pylist([{"text": "a", "model": "b", "origin": "c"}])
    assert told_of_batch(batch.slice(0, 0)) == []


@pytest.mark.parametrize("value", [None, True, 1.0, [], {}, "human" + " " * 10**6])
def test_an_origin_of_another_kind_says_nothing(value: Any) -> None:
    assert not says_origin(value) or isinstance(value, str)


def test_only_columns_that_tell_are_read() -> None:
    nested = pa.struct([("model", pa.string()), ("pages", pa.string())])
    arrow = pa.schema(
        [
            ("text", pa.string()),
            ("origin", pa.string()),
            ("model", pa.string()),
            ("extra", pa.string()),
            ("metadata", nested),
        ]
    )
    mapping = map_fields(Columns.of_schema(arrow), {}, "f")
    levels = find_levels(arrow, mapping)
    told_by = ["model", "metadata.model", "origin"]
    assert claim_columns(levels, mapping, arrow.names) == told_by
    plain = pa.schema([("text", pa.string()), ("extra", pa.string())])
    levels = find_levels(plain, {"text": "text"})
    assert claim_columns(levels, {"text": "text"}, plain.names) == []


def test_the_first_reading_leaves_other_columns_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = {"text": "a", "model": "gpt-4", "extra": "b", "metadata": {"c": "d"}}
    path = str(tmp_path / "t.parquet")
    write_parquet(path, record)
    asked: list[Any] = []
    read = documents.raw_batches

    def spy(file: Any, block: Any, names: Any) -> Any:
        asked.extend(names)
        return read(file, block, names)

    monkeypatch.setattr(documents, "raw_batches", spy)
    assert told_of_file(path, tmp_path) == ["producer=synthetic"]
    assert set(asked) == {"text", "model"}


@pytest.mark.parametrize("kind", ["jsonl", "parquet", "records"])
def test_fields_to_decide_by_stay_in_the_metadata(kind: str, tmp_path: Path) -> None:
    record = {"text": "a", "lang": "en", "topic": "sea", "rarity": "0.5", "n": 1}
    fields = {"category": "topic", "weight": "rarity"}
    path = str(tmp_path / f"t.{kind}")
    if kind == "records":
        mapping = map_fields(Columns.of_records([record]), fields, "f")
        batch = documents_of_records([record], mapping)
    else:
        (write_lines if kind == "jsonl" else write_parquet)(path, record)
        (file,) = list_inputs({Origin.UNKNOWN: [path]})
        (block,) = open_file(file, fields, str(tmp_path / "spool"), 1_000_000)
        (batch,) = read_documents(block, schema.DOCUMENT.names)
    (row,) = batch.to_pylist()
    assert (row["language"], row["category"], row["weight"]) == ("en", "sea", 0.5)
    assert json.loads(row["metadata"]) == {
        "lang": "en",
        "topic": "sea",
        "rarity": "0.5",
        "n": 1,
    }


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_category_may_be_a_field_that_there_is_already(
    kind: str, tmp_path: Path
) -> None:
    path = str(tmp_path / f"t.{kind}")
    record = {"text": "a", "source": "news"}
    (write_lines if kind == "jsonl" else write_parquet)(path, record)
    (file,) = list_inputs({Origin.UNKNOWN: [path]})
    fields = {"category": "source"}
    (block,) = open_file(file, fields, str(tmp_path / "spool"), 1_000_000)
    (row,) = next(iter(read_documents(block, schema.DOCUMENT.names))).to_pylist()
    assert (row["source"], row["category"], row["metadata"]) == ("news", "news", None)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    ("record", "left"),
    [
        ({"origin": "human"}, None),
        ({"origin": "France"}, {"origin": "France"}),
        (
            {"origin": "human", "origin_evidence": "detector=human"},
            {"origin": "human", "origin_evidence": "detector=human"},
        ),
    ],
)
def test_an_origin_that_says_nothing_stays_in_the_metadata(
    kind: str, record: dict[str, Any], left: Any, tmp_path: Path
) -> None:
    path = str(tmp_path / f"t.{kind}")
    record = {"text": "a", **record}
    (write_lines if kind == "jsonl" else write_parquet)(path, record)
    block = opened(path, tmp_path)
    (row,) = next(iter(read_documents(block, schema.DOCUMENT.names))).to_pylist()
    assert row["origin"] == record["origin"]
    assert (None if row["metadata"] is None else json.loads(row["metadata"])) == left


@pytest.mark.parametrize(
    ("value", "weight"),
    [("2", 2.0), (3, 3.0), (1.5, 1.5), ("x", None), (True, None), ([], None),
     (2**24 + 1, float(2**24))],
)  # fmt: skip
def test_a_weight_is_a_number_or_null(value: Any, weight: float | None) -> None:
    mapping = {"text": "text", "weight": "w"}
    (row,) = documents_of_records([{"text": "a", "w": value}], mapping).to_pylist()
    assert row["weight"] == weight and row["error"] is None
