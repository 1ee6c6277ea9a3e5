"""Measures a ledger: adding builds to it, and joining new documents with all of it.

    python benchmarks/ledger.py --rows 10000000 --new 1000000 --scratch DIR

makes documents from numbers (no text: hashes, and 224-byte signatures unless
`--no-signatures`), commits them as builds, and joins new documents, of which a tenth
are in the ledger and a tenth are near copies of what is. Each step is a program of its
own, so that its CPU and peak memory are its own; `nothing` is what imports and making
the documents cost, and is part of each other step. With signatures it needs 6 GB of
disk at the default size.
"""

import argparse
import datetime
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from measure import Measurement, measure
from report import describe_machine, table

from synthfilter.core.hashing import hex_hashes, mix
from synthfilter.core.schema import Origin
from synthfilter.core.uses import (
    FACTS_OF_USE,
    SIGNATURE,
    hash_halves,
    hashes_of_partition,
    partition_of_hash,
    store_signatures,
)
from synthfilter.decisions.minhash import PERMUTATIONS, band_keys, choose_bands
from synthfilter.decisions.near_uses import (
    KeyFilter,
    gather_likely,
    likely_rows,
    match_signatures,
)
from synthfilter.decisions.reuse import UseTally, find_reused, find_uses
from synthfilter.ledger.commit import commit_use
from synthfilter.ledger.read import read_uses
from synthfilter.ledger.table import open_ledger

BATCH_ROWS = 1 << 14
PARTITIONS = 16
THRESHOLD = 0.8
DAY = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
BANDS = choose_bands(THRESHOLD)
NOTHING, COMMIT = "nothing", "commit"
JOIN, IN_PARTITIONS, ONE_PARTITION = "join", "join in partitions", "one partition"
NEAR = "join near copies"
# New documents start here; those before are in the ledger.
NEW = 1 << 40


def make_hashes(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the content hashes of documents by number, uint64 (hi, lo)."""
    return mix(numbers + np.uint64(1)), mix(numbers + np.uint64(0xABCDEF))


def make_signatures(numbers: np.ndarray) -> np.ndarray:
    """Returns the signatures of documents by number, uint16 [documents, minima]."""
    words = PERMUTATIONS * 2 // 8
    seeds = numbers[:, None] * np.uint64(words) + np.arange(words, dtype=np.uint64)
    return mix(seeds).view(np.uint16).reshape(len(numbers), PERMUTATIONS)


def make_new(documents: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the numbers of new documents, and of the document that each is like.

    A tenth have numbers of the ledger; another tenth are like one of it, with a tenth
    of its minima changed.
    """
    numbers = np.arange(documents, dtype=np.uint64) + np.uint64(NEW)
    like = numbers.copy()
    places = mix(numbers) % np.uint64(rows)
    kind = np.arange(documents) % 10
    numbers[kind == 0] = places[kind == 0]
    like[kind <= 1] = places[kind <= 1]
    return numbers, like


def make_new_signatures(numbers: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Returns the signatures of new documents."""
    signatures = make_signatures(like)
    near = numbers != like
    other = make_signatures(numbers[near])
    signatures[near, ::10] = other[:, ::10]
    return signatures


def make_rows(first: int, stop: int, signed: bool) -> Iterator[pa.RecordBatch]:
    """Yields what a build used, as `ledger.commit.GIVEN`."""
    for start in range(first, stop, BATCH_ROWS):
        numbers = np.arange(start, min(start + BATCH_ROWS, stop), dtype=np.uint64)
        hashes = hex_hashes(*make_hashes(numbers))
        human = pa.array(numbers % np.uint64(2) == 0)
        columns = {
            "content_hash": hashes,
            "id": hashes,
            "origin": pa.array(["synthetic", "human"]).take(human.cast(pa.int8())),
            "generation": pa.array((numbers % np.uint64(2)).astype(np.int32)),
            "source": pa.array(["forum", "wiki"]).take(human.cast(pa.int8())),
        }
        if signed:
            columns[SIGNATURE] = store_signatures(make_signatures(numbers))
        yield pa.RecordBatch.from_pydict(columns)


def commit(path: str, rows: int, builds: int, signed: bool) -> str:
    """Commits all rows, a build after the other."""
    for number in range(builds):
        first, stop = rows * number // builds, rows * (number + 1) // builds
        time = DAY + datetime.timedelta(days=number)
        commit_use(path, f"build{number}", make_rows(first, stop, signed), time)
    size = sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())
    return f"{size / rows:.0f} bytes a row on disk"


def join(path: str, new: int, rows: int, partitions: range, of: int) -> str:
    """Joins new documents by hash, a partition after the other."""
    ledger = open_ledger(path)
    assert ledger is not None
    hi, lo = make_hashes(make_new(new, rows)[0])
    part = partition_of_hash(hi, of)
    found = dropped = 0
    for number in partitions:
        mine = np.flatnonzero(part == number)
        mine = mine[np.lexsort([lo[mine], hi[mine]])]
        hashes = hashes_of_partition(number, of) if of > 1 else None
        batches = read_uses(ledger, FACTS_OF_USE, hashes)
        uses = find_uses(batches, hi[mine], lo[mine])
        origin = np.full(len(mine), Origin.SYNTHETIC, np.uint8)
        unknown = np.ma.masked_all(len(mine), np.int32)
        rule = find_reused(origin, uses, unknown, 1, None, False, "keep")
        found += int((uses.builds > 0).sum())
        dropped += int((rule > 0).sum())
    return f"{found:,} known, {dropped:,} to drop"


def join_near(path: str, new: int, rows: int) -> str:
    """Joins new documents by their bands and compares signatures."""
    ledger = open_ledger(path)
    assert ledger is not None
    numbers, like = make_new(new, rows)
    chunks = [slice(start, start + BATCH_ROWS) for start in range(0, new, BATCH_ROWS)]
    key_filter = KeyFilter(new * BANDS.bands)
    for chunk in chunks:
        signatures = make_new_signatures(numbers[chunk], like[chunk])
        key_filter.add(band_keys(signatures, BANDS))
    batches = read_uses(ledger, [*FACTS_OF_USE, SIGNATURE])
    likely = gather_likely(likely_rows(batches, key_filter, BANDS))
    assert likely is not None
    tally, pairs = UseTally(new), 0
    for chunk in chunks:
        signatures = make_new_signatures(numbers[chunk], like[chunk])
        near, documents = match_signatures(likely, signatures, BANDS, THRESHOLD)
        pairs += len(near)
        facts = likely.rows.select(FACTS_OF_USE).take(pa.array(near))
        tally.add(documents + chunk.start, facts)
    found = int((tally.uses().builds > 0).sum())
    return (
        f"{BANDS.bands} bands, filter of {key_filter.bytes >> 20} MiB, "
        f"{likely.rows.num_rows:,} rows likely, {pairs:,} near copies, "
        f"{found:,} documents"
    )


def nothing(new: int, rows: int, signed: bool) -> str:
    """Makes all documents and drops them."""
    for batch in make_rows(0, rows, signed):
        hash_halves(batch.column("content_hash"))
    make_hashes(make_new(new, rows)[0])
    return "imports, and making the documents of commit"


def run_step(step: str, options: argparse.Namespace) -> str:
    """Runs one step in this process and returns what came out."""
    path, new, rows = str(options.scratch / "ledger"), options.new, options.rows
    if step == NOTHING:
        return nothing(new, rows, options.signatures)
    if step == COMMIT:
        return commit(path, rows, options.builds, options.signatures)
    if step == JOIN:
        return join(path, new, rows, range(1), 1)
    if step == IN_PARTITIONS:
        return join(path, new, rows, range(PARTITIONS), PARTITIONS)
    if step == ONE_PARTITION:
        return join(path, new, rows, range(1), PARTITIONS)
    return join_near(path, new, rows)


def measure_step(
    step: str, options: argparse.Namespace
) -> tuple[list[Measurement], str]:
    """Runs a step in rounds, each in a process of its own; commit runs once."""
    arguments = [sys.executable, __file__, "--step", step]
    for name in ("rows", "new", "builds", "scratch"):
        arguments += [f"--{name}", str(getattr(options, name))]
    arguments += ["--signatures" if options.signatures else "--no-signatures"]
    log = options.scratch / "log.txt"
    rounds = 1 if step == COMMIT else options.rounds
    used = [measure(arguments, output=log) for _ in range(rounds)]
    said = log.read_text().strip().splitlines()
    if any(one.exit_code for one in used):
        raise SystemExit(f"{step} failed: {said[-1] if said else 'no output'}")
    print(f"{step}: {used[-1].cpu_seconds:.1f} s CPU", file=sys.stderr, flush=True)
    return used, said[-1]


def render(step: str, used: list[Measurement], said: str) -> list[str]:
    """Returns the step's line of the table: medians, the highest peak."""
    cpu = statistics.median(one.cpu_seconds for one in used)
    wall = statistics.median(one.wall_seconds for one in used)
    peak = max(one.peak_bytes for one in used)
    return [step, f"{cpu:.1f}", f"{wall:.1f}", f"{peak / 1e6:,.0f}", said]


def main() -> None:
    """Reads the command line, runs the steps and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=10_000_000, help="in the ledger")
    parser.add_argument("--new", type=int, default=1_000_000, help="new documents")
    parser.add_argument("--builds", type=int, default=10, help="builds in the ledger")
    parser.add_argument("--rounds", type=int, default=3, help="commit runs once")
    parser.add_argument("--scratch", type=Path, help="folder for the ledger")
    parser.add_argument(
        "--signatures", action=argparse.BooleanOptionalAction, default=True
    )
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(run_step(options.step, options))
        return
    machine = describe_machine()
    with tempfile.TemporaryDirectory(prefix="ledger-", dir=options.scratch) as folder:
        options.scratch = Path(folder)
        steps = [NOTHING, COMMIT, JOIN, IN_PARTITIONS, ONE_PARTITION]
        steps += [NEAR] if options.signatures else []
        lines = [render(step, *measure_step(step, options)) for step in steps]
    print("\n".join(f"- {name}: {value}" for name, value in machine.items()) + "\n")
    size = f"{options.rows:,} rows, {options.new:,} new documents"
    print(table([size, "CPU s", "Wall s", "Peak MB", "Result"], lines))
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "steps": lines}))


if __name__ == "__main__":
    main()
