"""Compares reading each format with a bare loop of the library that reads it.

    python benchmarks/formats.py --megabytes 60

makes one corpus of made-up documents of about 2 KB, writes it in every format, and for
each takes the CPU seconds of spooling it (read, checked, mapped, judged by its columns,
written as Parquet) and of a loop that only reads it: orjson on lines, csv, pyarrow on
batches, warcio and resiliparse on records. Both run in this process in turn, `--rounds`
times; the least counts. MB are of text.
"""

import argparse
import csv
import functools
import gzip
import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv
from resiliparse.extract.html2text import extract_plain_text
from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from synthfilter.inputs.spool import spool_file

WORDS = 300
PER_BATCH = 1000


def make_records(megabytes: int) -> list[dict[str, str]]:
    """Returns documents of random words, the same each time."""
    rng = np.random.default_rng(0)
    letters = rng.integers(97, 123, (5000, 9), np.uint8)
    sizes = rng.integers(3, 10, 5000)
    words = [
        bytes(row[:size]).decode() for row, size in zip(letters, sizes, strict=True)
    ]
    records, size = [], 0
    while size < megabytes * 1_000_000:
        number = len(records)
        chosen = " ".join(words[place] for place in rng.integers(0, 5000, WORDS))
        record = {"id": f"d{number}", "text": f'"{chosen}",\n{chosen[:60]}'}
        records.append({**record, "url": f"https://a.example/{number}", "topic": "x"})
        size += len(record["text"])
    return records


def write_csv(records: list[dict[str, str]], path: Path) -> None:
    """Writes CSV."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(records[0]))
        writer.writeheader()
        writer.writerows(records)


def write_lines(records: list[dict], path: Path) -> None:
    """Writes JSON lines, compressed if the name says so."""
    data = b"\n".join(map(orjson.dumps, records))
    path.write_bytes(gzip.compress(data, 6) if path.suffix == ".gz" else data)


def write_arrow(records: list[dict[str, str]], path: Path) -> None:
    """Writes an Arrow stream as `datasets` does, 1,000 rows a batch."""
    table = pa.Table.from_pylist(records)
    with pa.ipc.new_stream(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=PER_BATCH)


def write_warc(records: list[dict[str, str]], path: Path, html: bool) -> None:
    """Writes pages, or their texts, a gzip member each."""
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        for record in records:
            if html:
                body = f"<html><body><p>{record['text']}</p></body></html>"
                names = [("Content-Type", "text/html; charset=utf-8")]
                kind, http = "response", StatusAndHeaders("200 OK", names, "HTTP/1.1")
            else:
                body, kind, http = record["text"], "conversion", None
            made = writer.create_warc_record(
                record["url"],
                kind,
                payload=io.BytesIO(body.encode()),
                http_headers=http,
                warc_content_type="" if html else "text/plain",
            )
            writer.write_record(made)


def read_lines(path: Path) -> Iterator[int]:
    """Reads JSON lines with orjson."""
    opened = gzip.open(path) if path.suffix == ".gz" else path.open("rb")
    with opened as file:
        for line in file:
            yield len(orjson.loads(line))


def read_csv(path: Path) -> Iterator[int]:
    """Reads CSV with Python's reader."""
    csv.field_size_limit(1 << 30)
    with path.open(newline="") as file:
        for row in csv.reader(file):
            yield len(row)


def read_csv_by_arrow(path: Path) -> Iterator[int]:
    """Reads CSV with Arrow's reader, on one thread."""
    with pyarrow.csv.open_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=1 << 22),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
    ) as reader:
        for batch in reader:
            yield batch.num_rows


def read_arrow(path: Path) -> Iterator[int]:
    """Reads an Arrow stream, and looks at every byte of it."""
    with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as reader:
        for batch in reader:
            batch.validate(full=True)
            yield batch.num_rows


def read_warc(path: Path, html: bool) -> Iterator[int]:
    """Reads records with warcio, pages with resiliparse."""
    with path.open("rb") as file:
        for record in ArchiveIterator(file):
            text = record.content_stream().read().decode()
            yield len(extract_plain_text(text, main_content=True) if html else text)


def chats_of(records: list[dict[str, str]]) -> list[dict]:
    """Returns documents as chats of two messages."""
    return [
        {
            "id": record["id"],
            "messages": [
                {"role": "user", "content": record["text"][:100]},
                {"role": "assistant", "content": record["text"]},
            ],
        }
        for record in records
    ]


def cpu_seconds(work: Callable[[], object]) -> float:
    """Returns what a piece of work takes of this process."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Writes the files, reads each both ways and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    records = make_records(options.megabytes)
    megabytes = sum(len(record["text"]) for record in records) / 1e6
    pages, texts = (functools.partial(write_warc, html=html) for html in (True, False))
    chat = ["text=messages"]
    plans: list[tuple] = [
        ("a.jsonl", write_lines, read_lines, []),
        ("a.jsonl.gz", write_lines, read_lines, []),
        ("chat.jsonl", lambda r, p: write_lines(chats_of(r), p), read_lines, chat),
        ("a.csv", write_csv, read_csv, []),
        ("by arrow.csv", write_csv, read_csv_by_arrow, []),
        ("a.arrow", write_arrow, read_arrow, []),
        ("chat.arrow", lambda r, p: write_arrow(chats_of(r), p), read_arrow, chat),
        ("a.wet.gz", texts, functools.partial(read_warc, html=False), []),
        ("a.warc.gz", pages, functools.partial(read_warc, html=True), []),
    ]
    print("| file | spooled, MB/CPU s | bare loop, MB/CPU s | of it |")
    print("|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for name, write, read, fields in plans:
            path = Path(folder) / name
            write(records, path)
            chosen = dict(field.split("=") for field in fields)
            target = f"{folder}/spool.parquet"
            spool = functools.partial(spool_file, str(path), target, chosen, 1 << 24)
            runs = [
                (cpu_seconds(spool), cpu_seconds(lambda p=path, r=read: sum(r(p))))
                for _ in range(options.rounds)
            ]
            ours, bare = (min(times) for times in zip(*runs, strict=True))
            print(
                f"| {name} | {megabytes / ours:.0f} | {megabytes / bare:.0f} | "
                f"{bare / ours:.0%} |",
                flush=True,
            )
            path.unlink()


if __name__ == "__main__":
    sys.exit(main())
