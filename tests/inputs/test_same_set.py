"""The same documents in every format are the same set, by its digest."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import zstandard

from synthfilter.cli import main
from synthfilter.inputs import blocks
from tests.archives import Archive
from tests.conftest import Workshop

TEXTS = [
    f'The log of day {number}: "calm," he wrote,\nand the {number} boats came back.'
    for number in range(60)
]
RECORDS: list[dict[str, Any]] = [
    {
        "id": f"d-{number}",
        "text": text,
        "source": "logs",
        "created": "2019-05-06" if number % 2 else "2024-05-06",
        "url": f"https://{'a' if number % 3 else 'b'}.example/{number}",
        "topic": "sea",
    }
    for number, text in enumerate(TEXTS)
]


def write_csv(path: Path, delimiter: str) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(RECORDS[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(RECORDS)


def lines(records: list[dict]) -> bytes:
    return b"\n".join(json.dumps(record).encode() for record in records)


def write_all(folder: Path) -> dict[str, dict[str, Any]]:
    """Writes the records in every format; returns the options that read each."""
    folder.mkdir()
    table = pa.Table.from_pylist(RECORDS)
    pq.write_table(table, folder / "t.parquet", row_group_size=7)
    (folder / "t.jsonl").write_bytes(lines(RECORDS))
    write_csv(folder / "t.csv", ",")
    write_csv(folder / "t.tsv", "\t")
    packed = zstandard.ZstdCompressor().compress((folder / "t.csv").read_bytes())
    (folder / "t.csv.zst").write_bytes(packed)
    pyarrow.feather.write_feather(table, str(folder / "t.feather"))
    datasets.Dataset.from_list(RECORDS).save_to_disk(
        str(folder / "saved"), num_shards=3
    )
    inner = [
        {**record, "data": {"body": [{"t": record["text"]}]}, "text": None}
        for record in RECORDS
    ]
    inner = [{k: v for k, v in record.items() if k != "text"} for record in inner]
    (folder / "nested.jsonl.gz").write_bytes(gzip.compress(lines(inner)))
    pq.write_table(pa.Table.from_pylist(inner), folder / "nested.parquet")
    chats = [
        {**record, "messages": [{"role": "assistant", "content": record["text"]}]}
        for record in RECORDS
    ]
    chats = [{k: v for k, v in record.items() if k != "text"} for record in chats]
    (folder / "chat.jsonl").write_bytes(lines(chats))
    pq.write_table(pa.Table.from_pylist(chats), folder / "chat.parquet")
    nested = {"fields": "text=data.body[].t"}
    chat = {"fields": ["text=messages", "chat_template={content}"]}
    options: dict[str, dict[str, Any]] = {
        "nested.jsonl.gz": nested,
        "nested.parquet": nested,
        "chat.jsonl": chat,
        "chat.parquet": chat,
    }
    plain = (
        "t.parquet",
        "t.jsonl",
        "t.csv",
        "t.tsv",
        "t.csv.zst",
        "t.feather",
        "saved",
    )
    return {name: {} for name in plain} | options


def test_the_same_documents_are_the_same_set_in_every_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop = Workshop(tmp_path)
    formats = write_all(tmp_path / "in")
    digests, evidence = {}, {}
    (tmp_path / "human.txt").write_text("a.example\n")
    for name, options in formats.items():
        made = workshop.build(
            name,
            unknown=str(tmp_path / "in" / name),
            human_urls=str(tmp_path / "human.txt"),
            **options,
        )
        digests[name] = made["content_digest"]
        rows = workshop.rows(output=name)
        evidence[name] = {row["id"]: row["origin_evidence"] for row in rows}
        assert made["books"]["read"] == len(rows) == 60
        assert {row["metadata"] for row in rows} == {'{"topic":"sea"}'}
    assert set(digests.values()) == {digests["t.parquet"]}
    told = evidence["t.csv"]
    assert all(found == told for found in evidence.values())
    assert "url=human" in told["d-1"] and "date=human" in told["d-3"]
    # Neither does it depend on how the files are cut, or who reads them.
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 1000)
    for name in ("t.csv", "saved"):
        made = workshop.build(
            f"{name} cut",
            unknown=str(tmp_path / "in" / name),
            human_urls=str(tmp_path / "human.txt"),
            cache=str(tmp_path / "other cache"),
            workers=2,
        )
        assert made["content_digest"] == digests[name]


def test_columns_of_producers_count_in_every_format(workshop: Workshop) -> None:
    records = [
        {"text": text, "model_name": "gpt-4", "source": "s"} for text in TEXTS[:20]
    ]
    folder = workshop.path / "in"
    folder.mkdir()
    (folder / "t.jsonl").write_bytes(lines(records))
    datasets.Dataset.from_list(records).save_to_disk(str(folder / "saved"))
    with (folder / "t.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(records[0]))
        writer.writeheader()
        writer.writerows(records)
    for name in ("t.jsonl", "saved", "t.csv"):
        workshop.build(name, unknown=str(folder / name))
        told = {row["origin_evidence"] for row in workshop.rows(output=name)}
        assert all(said.startswith("producer=synthetic") for said in told)


def test_pages_of_the_web_carry_their_address_and_date(workshop: Workshop) -> None:
    archive = Archive()
    for number, day in enumerate(("2019-05-06", "2024-05-06")):
        archive.text(
            TEXTS[number].encode(),
            url=f"https://a.example/{number}",
            WARC_Date=f"{day}T00:00:00Z",
            WARC_Identified_Content_Language="eng",
        )
    data = archive.data()
    path = workshop.path / "in.warc.wet.gz"
    path.write_bytes(data + data[:100])
    workshop.build(unknown=str(path), max_dead_letters=1)
    rows = {row["url"]: row for row in workshop.rows()}
    first, second = (rows[f"https://a.example/{number}"] for number in (0, 1))
    assert first["created"] == "2019-05-06T00:00:00Z"
    assert first["origin_evidence"].startswith("date=human")
    assert not second["origin_evidence"].startswith("date")
    assert json.loads(first["metadata"])["language"] == "eng"
    (letter,) = workshop.rows("dead_letter")
    assert (letter["file"], letter["position"]) == (str(path), "record 3")
    assert "inside a compressed stream" in letter["reason"]
    asked = f"{path.name}:record 3"
    assert main(["explain", str(workshop.path / "out"), asked]) == 0


def test_dead_letters_of_csv_and_arrow_say_where(workshop: Workshop) -> None:
    folder = workshop.path / "human"
    folder.mkdir()
    header, good = b"id,text\n", b"%d,The harbour was quiet on day %d.\n"
    data = (
        header + good % (1, 1) + b"2\n" + good % (3, 3) + b"4,caf\xe9\n" + b'5,"open\n'
    )
    (folder / "a.csv").write_bytes(data)
    with pa.ipc.new_stream(
        str(folder / "a.arrow"), pa.schema([("text", "string")])
    ) as w:
        w.write_table(pa.table({"text": ["One quiet day.", None]}))
    manifest = workshop.build(max_dead_letters=4)
    told = {
        (Path(row["file"]).name, row["position"]): row["reason"]
        for row in workshop.rows("dead_letter")
    }
    assert told == {
        ("a.csv", "line 3"): "2 fields expected by the header, got 1",
        ("a.csv", "line 5"): "invalid UTF-8",
        ("a.csv", "line 6"): "broken file: a quote is never closed, line 6 is the last",
        ("a.arrow", "row 1"): "text: expected a string, got null",
    }
    assert manifest["books"]["read"] == 7
