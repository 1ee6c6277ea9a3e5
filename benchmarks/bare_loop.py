"""The obvious program: score, drop exact copies and write, in one loop, no pipeline.

    python benchmarks/bare_loop.py --model models/detector.bin --output kept.parquet \
        'corpus/human/*.parquet' 'corpus/synthetic/*.parquet'

One thread: Arrow reads a batch, Python's `re` cuts each text into tokens, fastText's
C++ binding scores the line, xxhash names the text, a set remembers the names, and the
kept rows go to one Parquet file. With `--only read-write` nothing but reading and
writing is left. This is what the pipeline's speed is compared with.
"""

import argparse
import glob
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import fasttext
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

ROW_GROUP_DOCUMENTS = 10_000
TOKEN = re.compile(r"[^\W\d_]+(?:'[a-z]+)?|\d+|[^\w\s]")
READ_SCHEMA = pa.schema(
    [("id", pa.string()), ("text", pa.string()), ("source", pa.string())]
)
KEPT_SCHEMA = pa.schema(
    [
        *READ_SCHEMA,
        ("ai_score", pa.float32()),
        ("content_hash", pa.binary(16)),
    ]
)


def expand(patterns: list[str]) -> list[str]:
    """Returns the files of the globs, sorted within each; one without files ends it."""
    paths = []
    for pattern in patterns:
        found = sorted(glob.glob(pattern))
        if not found:
            raise SystemExit(f"expected files at {pattern!r}, found none")
        paths += found
    return paths


def read_batches(path: str) -> Iterator[pa.RecordBatch]:
    """Yields the id, text and source of a Parquet or JSONL file in batches."""
    if path.endswith(".parquet"):
        yield from pq.ParquetFile(path).iter_batches(
            ROW_GROUP_DOCUMENTS, columns=READ_SCHEMA.names, use_threads=False
        )
        return
    with open(path, encoding="utf-8") as lines:
        while some := list(itertools.islice(lines, ROW_GROUP_DOCUMENTS)):
            yield pa.RecordBatch.from_pylist(
                [json.loads(line) for line in some], schema=READ_SCHEMA
            )


def copy_files(paths: list[str], output: Path) -> None:
    """Reads all the files and writes them to one: reading and writing alone."""
    with pq.ParquetWriter(output, READ_SCHEMA, compression="zstd") as writer:
        for path in paths:
            for batch in read_batches(path):
                writer.write_batch(batch)


def filter_files(paths: list[str], model_path: str, label: str, output: Path) -> None:
    """Scores every distinct text and writes it with its score and hash."""
    model = fasttext.load_model(model_path)
    if label not in model.labels:
        raise SystemExit(f"expected --label to be one of {model.labels}, got {label!r}")
    predict = model.f.predict
    find_tokens = TOKEN.findall
    seen: set[bytes] = set()
    with pq.ParquetWriter(output, KEPT_SCHEMA, compression="zstd") as writer:
        for path in paths:
            for batch in read_batches(path):
                kept = []
                columns = (column.to_pylist() for column in batch.columns)
                for document_id, text, source in zip(*columns, strict=True):
                    digest = xxhash.xxh3_128_digest(text.encode())
                    if digest in seen:
                        continue
                    seen.add(digest)
                    line = " ".join(find_tokens(text)) + "\n"
                    for probability, name in predict(line, 2, -1.0, "strict"):
                        if name == label:
                            score = probability
                    kept.append((document_id, text, source, score, digest))
                if kept:
                    rows = zip(*kept, strict=True)
                    writer.write_batch(
                        pa.record_batch(
                            [
                                pa.array(values, field.type)
                                for values, field in zip(rows, KEPT_SCHEMA, strict=True)
                            ],
                            schema=KEPT_SCHEMA,
                        )
                    )


def main() -> None:
    """Reads the command line and runs the loop on one thread."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("inputs", nargs="+", help="globs of Parquet or JSONL files")
    parser.add_argument("--output", required=True, type=Path, help="Parquet to write")
    parser.add_argument("--model", help="fastText model with two labels")
    parser.add_argument("--label", default="__label__synthetic", help="what is scored")
    parser.add_argument("--only", choices=["read-write"], help="leave out the rest")
    options = parser.parse_args()
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    paths = expand(options.inputs)
    if options.only == "read-write":
        copy_files(paths, options.output)
    elif options.model is None:
        raise SystemExit("expected --model FILE or --only read-write, got neither")
    else:
        filter_files(paths, options.model, options.label, options.output)


if __name__ == "__main__":
    main()
