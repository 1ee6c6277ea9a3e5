"""Writes the demo's inputs: `python examples/demo/make_inputs.py FOLDER`.

FOLDER/human      prose that people wrote, harvested from this Python environment
FOLDER/synthetic  text by a language model, and samples of a trigram model
FOLDER/crawl      both kinds unmarked, with copies and rows that cannot be used

No network is needed. The same environment gives the same bytes.
"""

import argparse
import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from harvest import harvest
from sampler import sample, train

WRITTEN_FILE = Path(__file__).parent / "synthetic.jsonl"
SEED = 20
MAX_HUMAN_DOCUMENTS = 4_000  # large environments hold many more
SAMPLED_DOCUMENTS = 440
SAMPLED_MIN_WORDS = 70
SAMPLED_MAX_WORDS = 600
# One document in this many is held out of its folder and goes to the crawl.
HELD_OUT_EVERY = 11
# Of what stays in the folders, one in this many is also in the crawl, as a copy.
COPIED_EVERY = 60
NEAR_COPIED_EVERY = 150
CRAWL_FILES = 2
HUMAN_SCHEMA = pa.schema(
    [
        pa.field(name, pa.string())
        for name in ("id", "text", "source", "license", "created", "path")
    ]
)


def make_inputs(folder: Path, max_human_documents: int = MAX_HUMAN_DOCUMENTS) -> None:
    """Writes all inputs below a folder and prints one line per file.

    Args:
      folder: Made if it is not there; files of an earlier run are replaced.
      max_human_documents: Take no more than this, the standard library's first.
    """
    human, human_held_out = hold_out(harvest(max_human_documents))
    written, written_held_out = hold_out(read_written())
    sampled, sampled_held_out = hold_out(sample_documents([*written], SEED))

    standard_library = [row for row in human if row["source"].startswith("python ")]
    packages = [row for row in human if not row["source"].startswith("python ")]
    half = len(packages) // 2
    write_parquet(folder, "human/standard_library.parquet", standard_library)
    write_parquet(folder, "human/packages-1.parquet", packages[:half])
    write_parquet(folder, "human/packages-2.parquet", packages[half:])
    write_gzipped_lines(folder, "synthetic/written.jsonl.gz", written)
    write_gzipped_lines(folder, "synthetic/sampled.jsonl.gz", sampled)

    inputs = [*human, *written, *sampled]
    held_out = [*human_held_out, *written_held_out, *sampled_held_out]
    lines = crawl_lines([row["text"] for row in held_out], copies_of(inputs))
    for number in range(CRAWL_FILES):
        part = lines[number::CRAWL_FILES]
        write_lines(folder, f"crawl/part-{number}.jsonl", part)


def read_written() -> list[dict]:
    """Reads the documents that a language model wrote for this demo."""
    with WRITTEN_FILE.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def sample_documents(documents: Sequence[dict], seed: int) -> list[dict]:
    """Samples documents from a trigram model of others, lengths spread evenly."""
    model = train([document["text"] for document in documents])
    lengths = np.geomspace(SAMPLED_MIN_WORDS, SAMPLED_MAX_WORDS, SAMPLED_DOCUMENTS)
    return [
        {
            "id": f"sampled-{number:03d}",
            "text": sample(model, int(words), seed, number),
            "source": "demo",
            "generator": "word trigram model of the demo's written documents",
            "created": None,
        }
        for number, words in enumerate(lengths, start=1)
    ]


def hash_of(value: str) -> int:
    """Returns a stable 64-bit number for a string."""
    digest = hashlib.blake2b(value.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def hold_out(documents: Iterable[dict]) -> tuple[list[dict], list[dict]]:
    """Splits documents into those that stay and those held out, by their ids."""
    kept: list[dict] = []
    held_out: list[dict] = []
    for document in documents:
        is_held_out = hash_of(document["id"]) % HELD_OUT_EVERY == 0
        (held_out if is_held_out else kept).append(document)
    return kept, held_out


def copies_of(documents: Sequence[dict]) -> list[str]:
    """Returns copies of some texts, and near copies that lack the first sentence.

    The copies differ from their originals in white space alone.
    """
    copies = []
    for document in documents:
        rank = hash_of("copy " + document["id"])
        text = document["text"]
        if rank % COPIED_EVERY == 0:
            copies.append("  " + text.replace(". ", ".  ").replace("\n", "\r\n") + "\n")
        elif rank % NEAR_COPIED_EVERY == 1:
            copies.append(re.split(r"(?<=[.!?])\s+", text, maxsplit=1)[-1])
    return copies


def crawl_lines(held_out: Sequence[str], copies: Sequence[str]) -> list[str]:
    """Returns the crawl's lines of JSON in an order that tells nothing.

    Two rows have no usable text and one line is cut short, as in real crawls.
    """
    texts: list[str | None] = [*sorted([*held_out, *copies], key=hash_of)]
    texts.insert(len(texts) // 3, "")
    texts.insert(len(texts) // 2, None)
    lines = [
        json.dumps(
            {"id": f"crawl-{number:04d}", "text": text, "source": "crawl"},
            ensure_ascii=False,
        )
        for number, text in enumerate(texts, start=1)
    ]
    broken = '{"id": "crawl-cut-short", "text": "The connection was closed before'
    lines.insert(2 * len(lines) // 3, broken)
    return lines


def write_parquet(folder: Path, name: str, documents: Sequence[dict]) -> None:
    """Writes documents as one Parquet file."""
    table = pa.Table.from_pylist(list(documents), schema=HUMAN_SCHEMA)
    pq.write_table(table, new_file(folder, name))
    print(f"{name}: {len(documents):,} documents")


def write_gzipped_lines(folder: Path, name: str, documents: Sequence[dict]) -> None:
    """Writes documents as gzipped lines of JSON, without a time stamp."""
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in documents)
    new_file(folder, name).write_bytes(gzip.compress(lines.encode(), mtime=0))
    print(f"{name}: {len(documents):,} documents")


def write_lines(folder: Path, name: str, lines: Sequence[str]) -> None:
    """Writes lines of text."""
    text = "".join(f"{line}\n" for line in lines)
    new_file(folder, name).write_bytes(text.encode())
    print(f"{name}: {len(lines):,} lines")


def new_file(folder: Path, name: str) -> Path:
    """Returns the path of a file whose folder is there."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def main() -> None:
    """Reads the folder from the command line and writes the inputs."""
    parser = argparse.ArgumentParser(description="Writes the demo's inputs.")
    parser.add_argument("folder", type=Path, help="where human/, ... are written")
    make_inputs(parser.parse_args().folder)


if __name__ == "__main__":
    main()
