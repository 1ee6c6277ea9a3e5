"""Measures `verify` and `diff` on two large builds that are made for it.

    python benchmarks/inspecting.py --documents 2000000 --scratch DIR

Each build keeps three quarters of the same documents, by their hashes, so that a third
of each set is in it alone. Text is drawn from a few words, so that it takes little disk
(0.2 GB a build at the default size). `start` is the command that does nothing, and part
of each other one.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from measure import measure
from report import describe_machine, table

from synthfilter.core import books, schema
from synthfilter.core.hashing import content_digest, hash_texts, hex_hashes
from synthfilter.core.schema import Reason
from synthfilter.core.text import count_words, normalise
from synthfilter.outputs.commit import commit, find_target
from synthfilter.outputs.manifest import ShardRecord, add_records, make_manifest
from synthfilter.outputs.parquet import write_parquet

SHARD_DOCUMENTS = 100_000
WORDS = np.array(
    "the river steps rain quay and again all day second it was in harbour fog".split()
)
WORDS_EACH = 120
BUILDS = ("a" * 16, "b" * 16)
COMMANDS = {
    "start": ["--version"],
    "verify": ["verify", "{first}"],
    "verify --full": ["verify", "{first}", "--full"],
    "diff": ["diff", "{first}", "{second}", "--examples", "5"],
}


def main() -> int:
    """Makes the builds, runs the commands, prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=2_000_000)
    parser.add_argument("--scratch", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        folders = [f"{scratch}/{name}" for name in ("first", "second")]
        for offset, (folder, build_id) in enumerate(zip(folders, BUILDS, strict=True)):
            make_build(folder, build_id, offset, options.documents)
        found = {
            name: run(command, *folders, Path(scratch) / "said")
            for name, command in COMMANDS.items()
        }
    rows = [
        [
            name,
            *(f"{figures[key]:.2f}" for key in ("cpu s", "wall s")),
            f"{figures['peak MB']:.0f}",
        ]
        for name, figures in found.items()
    ]
    print("\n".join(f"- {name}: {said}" for name, said in describe_machine().items()))
    print(table(["command", "CPU s", "wall s", "peak MB"], rows))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


def run(command: list[str], first: str, second: str, output: Path) -> dict[str, float]:
    """Returns what a command used; it must succeed."""
    arguments = [part.format(first=first, second=second) for part in command]
    used = measure([sys.executable, "-m", "synthfilter", *arguments], output=output)
    if used.exit_code:
        raise SystemExit(f"{' '.join(arguments)}: {output.read_text()}")
    return {
        "cpu s": used.cpu_seconds,
        "wall s": used.wall_seconds,
        "peak MB": used.peak_bytes / 1e6,
    }


def make_build(folder: str, build_id: str, offset: int, documents: int) -> None:
    """Writes a build of documents by number.

    Args:
      folder: Output folder.
      build_id: Its id.
      offset: Which documents it leaves out.
      documents: How many it read.
    """
    shards = []
    for start in range(0, documents, SHARD_DOCUMENTS):
        stop = min(start + SHARD_DOCUMENTS, documents)
        name = f"{start // SHARD_DOCUMENTS:05d}.parquet"
        shards.append(write_shard(folder, name, build_id, offset, start, stop))
    made = make_manifest(
        build_id=build_id,
        version="benchmark",
        options={"unit": "words", "seed": offset},
        detector={},
        inputs=[],
        total=add_records(shards),
        rows_read=documents,
        limited_by=None,
    )
    commit(find_target(folder), made)


def write_shard(
    folder: str, name: str, build_id: str, offset: int, start: int, stop: int
) -> ShardRecord:
    """Writes the files of the documents of some numbers."""
    batch, hi, lo, origin = make_documents(build_id, start, stop)
    kept = (hi + np.uint64(offset)) % np.uint64(4) != 0
    inside, outside = batch.filter(pa.array(kept)), batch.filter(pa.array(~kept))
    left = outside.num_rows
    at = schema.SHARD.get_field_index(schema.TEXT)
    columns = outside.columns
    columns[at] = pa.nulls(left, pa.large_string())
    reasons = pa.repeat(pa.scalar("mixture"), left)
    rejected = pa.RecordBatch.from_arrays(
        [*columns, reasons, pa.nulls(left, pa.string())], schema=schema.REJECTED
    )
    files = (
        write_parquet(folder, f"data/train-{name}", [inside], [hi[kept]]),
        write_parquet(folder, f"rejected/part-{name}", [rejected], [np.arange(left)]),
    )
    text = batch.column(schema.TEXT)
    size = pc.binary_length(text).to_numpy().astype(np.int64)
    words = count_words(normalise(text))
    reason = np.where(kept, Reason.KEPT, Reason.MIXTURE)
    weights = (None, size[kept], words[kept])
    written = [np.bincount(origin[kept], weight, 2) for weight in weights]
    return ShardRecord(
        files,
        books.count(origin, origin, reason, size, words),
        np.stack(written, axis=1).astype(np.int64),
        content_digest(hi[kept], lo[kept], origin[kept]),
    )


def make_documents(
    build_id: str, start: int, stop: int
) -> tuple[pa.RecordBatch, np.ndarray, np.ndarray, np.ndarray]:
    """Returns rows of a set with their hashes (hi, lo) and origins."""
    random = np.random.default_rng(start)
    drawn = WORDS[random.integers(0, len(WORDS), (1000, WORDS_EACH))]
    said = [" ".join(words) for words in drawn]
    numbers = range(start, stop)
    text = pa.array([f"{n} {said[n % len(said)]}" for n in numbers], pa.large_string())
    hi, lo = hash_texts(normalise(text))
    origin = (lo % np.uint64(4) == 0).astype(np.uint8)
    rows = stop - start
    known = {
        schema.ID: pa.array([f"document-{n}" for n in numbers]),
        schema.TEXT: text,
        schema.SOURCE: pa.repeat(pa.scalar("crawl"), rows),
        schema.ORIGIN: pa.array(schema.ORIGIN_NAMES).take(pa.array(origin)),
        schema.CONTENT_HASH: hex_hashes(hi, lo),
        schema.BUILD_ID: pa.repeat(pa.scalar(build_id), rows),
    }
    columns = [known.get(f.name, pa.nulls(rows, f.type)) for f in schema.SHARD]
    return pa.RecordBatch.from_arrays(columns, schema=schema.SHARD), hi, lo, origin


if __name__ == "__main__":
    sys.exit(main())
