import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.errors import UserError
from synthfilter.inputs.conform import conform_columns
from synthfilter.inputs.fields import map_fields, parse_fields
from synthfilter.inputs.paths import Columns, split_path, take, values_at
from synthfilter.inputs.records import documents_of_records

CHAT = [{"role": "user", "content": "Ahoy"}, {"role": "cook", "content": "Soup"}]


def test_a_path_has_a_step_for_each_key_and_each_list() -> None:
    assert split_path("text") == ("text",)
    assert split_path("data.body.text") == ("data", "body", "text")
    assert split_path("a[][].b[]") == ("a", "[]", "[]", "b", "[]")


def test_the_paths_of_records_are_those_of_the_same_rows_in_arrow() -> None:
    records = [{"id": "1", "data": {"body": {"text": "a"}}, "messages": CHAT}]
    found = Columns.of_records(records)
    assert found == Columns.of_schema(pa.Table.from_pylist(records).schema)
    assert found.names == ["id", "data", "messages"]
    assert found.inner == [
        *("data.body", "data.body.text", "messages[]"),
        *("messages[].role", "messages[].content"),
    ]


def test_keys_that_are_data_do_not_make_paths_without_end() -> None:
    many = {f"key {number}": {"inner": 1} for number in range(5000)}
    found = Columns.of_records([{"many": many, "metadata": {"url": "u"}}])
    assert len(found.inner) < 7000
    assert "metadata.url" in found.inner
    deep: Any = "end"
    for _ in range(500):
        deep = {"a": deep}
    assert len(Columns.of_records([{"a": deep}]).inner) < 10


@pytest.mark.parametrize(
    ("record", "path", "value", "left"),
    [
        ({"a": {"b": "x"}, "c": 1}, "a.b", "x", {"c": 1}),
        ({"a": {"b": "x", "d": 2}}, "a.b", "x", {"a": {"d": 2}}),
        ({"a": [{"b": "x", "r": 1}, {"b": "y"}]}, "a[].b", "x\n\ny",
         {"a": [{"r": 1}, None]}),
        ({"a": ["x", None, "y"]}, "a[]", "x\n\ny", {}),
        ({"a": [["x"], ["y", "z"], []]}, "a[][]", "x\n\ny\n\nz", {}),
        ({"a": []}, "a[].b", "", {}),
        ({"a": [{}]}, "a[].b", "", {"a": [{}]}),
        ({"a": None}, "a[].b", None, {"a": None}),
        ({"a": "x"}, "a.b", None, {"a": "x"}),
        ({"a": {"b": None}}, "a.b", None, {}),
        ({"c": 1}, "a.b", None, {"c": 1}),
        ({"a": [{"b": 5}]}, "a[].b", 5, {}),
    ],
)  # fmt: skip
def test_what_a_path_leads_to_is_taken_out(
    record: dict, path: str, value: Any, left: dict
) -> None:
    before = json.dumps(record)
    copy = dict(record)
    assert take(copy, path) == value
    assert copy == left
    # What is in the record belongs to others.
    assert json.dumps(record) == before


texts = st.none() | st.text(st.sampled_from("ab \n"), max_size=3)


@given(
    st.lists(
        st.none()
        | st.lists(st.none() | st.fixed_dictionaries({"b": texts}), max_size=3),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 5),
)
def test_records_and_columns_give_the_same_texts(rows: list, start: int) -> None:
    kind = pa.list_(pa.struct([("b", pa.string())]))
    batch = pa.RecordBatch.from_arrays([pa.array(rows, kind)], ["a"]).slice(start)
    wanted = [take({"a": row}, "a[].b") for row in rows[start:]]
    assert values_at(batch, "a[].b").to_pylist() == wanted


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.string()), pa.large_list(pa.string_view()), pa.list_(pa.string(), 2)],
    ids=str,
)
def test_lists_of_any_arrow_type_are_joined(kind: pa.DataType) -> None:
    batch = pa.RecordBatch.from_arrays([pa.array([["x", "y"], None], kind)], ["a"])
    assert values_at(batch, "a[]").to_pylist() == ["x\n\ny", None]


def test_dictionaries_of_strings_are_texts_too() -> None:
    values = pa.array(["x", "y", "x"]).dictionary_encode()
    lists = pa.ListArray.from_arrays(pa.array([0, 2, 3], pa.int32()), values)
    batch = pa.RecordBatch.from_arrays([lists], ["a"])
    assert values_at(batch, "a[]").to_pylist() == ["x\n\ny", "x"]


FIELDS = ["text=data.body.text", "id=data.key", "created=data.body.day"]
RECORDS = [
    {"data": {"key": "k", "body": {"text": "One.", "day": "2020"}, "n": 1}, "m": 2},
    {"data": {"key": "l", "body": {"text": None, "day": "2021"}, "n": 3}, "m": 4},
]


def test_any_field_may_be_within_another_in_records_and_in_columns() -> None:
    mapping = map_fields(Columns.of_records(RECORDS), parse_fields(FIELDS), "f")
    of_records = documents_of_records(RECORDS, mapping).to_pylist()
    batch = pa.RecordBatch.from_pylist(RECORDS)
    columns = ["text", "id", "created", "metadata"]
    found = conform_columns(batch, mapping, columns, np.arange(2)).to_pylist()
    assert [row["text"] for row in of_records] == ["One.", None]
    assert [row["text"] for row in found] == ["One.", None]
    first = {name: found[0][name] for name in columns}
    assert first == {name: of_records[0][name] for name in columns}
    assert (first["id"], first["created"]) == ("k", "2020")
    assert json.loads(first["metadata"]) == {"data": {"n": 1}, "m": 2}


def test_a_column_of_the_very_name_goes_before_a_path() -> None:
    record = {"a.b": "own", "a": {"b": "within"}}
    mapping = map_fields(Columns.of_records([record]), {"text": "a.b"}, "f")
    (row,) = documents_of_records([record], mapping).to_pylist()
    assert row["text"] == "own"
    batch = pa.RecordBatch.from_pylist([record])
    (row,) = conform_columns(batch, mapping, ["text"], np.arange(1)).to_pylist()
    assert row["text"] == "own"


def test_a_misspelt_path_is_an_error_that_lists_near_ones() -> None:
    columns = Columns.of_records([{"messages": CHAT, "id": "1"}])
    with pytest.raises(UserError) as raised:
        map_fields(columns, parse_fields(["text=mesages[].contnet"]), "in.jsonl")
    assert str(raised.value).startswith(
        "in.jsonl: no column 'mesages[].contnet' for 'text'; near: messages[].content"
    )
    with pytest.raises(UserError, match=r"near: messages\[\]\.content"):
        map_fields(columns, {"text": "messages.content"}, "in.jsonl")
    with pytest.raises(UserError, match="for the text alone"):
        parse_fields(["id=messages[].id"])


def test_dolma_and_datatrove_are_read_as_they_are() -> None:
    dolma = {
        "id": "d1",
        "text": "Dolma.",
        "source": "wiki",
        "added": "2024-05-05",
        "created": "2019-01-02",
        "metadata": {"url": "https://a.example/", "length": 6},
    }
    datatrove = {
        "text": "Trove.",
        "id": "t1",
        "metadata": {
            "url": "https://b.example/",
            "date": "2020-03-04",
            "language": "en",
            "dump": "CC-MAIN",
        },
    }
    rows = []
    for record in (dolma, datatrove):
        mapping = map_fields(Columns.of_records([record]), {}, "f")
        (row,) = documents_of_records([record], mapping).to_pylist()
        batch = pa.RecordBatch.from_pylist([record])
        names = ["id", "source", "created", "url", "language", "metadata"]
        (same,) = conform_columns(batch, mapping, names, np.arange(1)).to_pylist()
        assert {name: row[name] for name in names} == {n: same[n] for n in names}
        rows.append(row)
    first, second = rows
    assert (first["id"], first["source"], first["created"], first["url"]) == (
        *("d1", "wiki", "2019-01-02"),
        "https://a.example/",
    )
    assert json.loads(first["metadata"]) == {"added": "2024-05-05", "length": 6}
    assert (second["id"], second["created"], second["url"], second["language"]) == (
        *("t1", "2020-03-04"),
        *("https://b.example/", "en"),
    )
    assert json.loads(second["metadata"]) == {"language": "en", "dump": "CC-MAIN"}
