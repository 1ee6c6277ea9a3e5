"""How time and memory of a build's decisions grow with the number of documents.

    python benchmarks/limits.py --documents 100000 1000000 10000000 --scratch DIR

makes the facts of documents from numbers, as the sidecars in which a build keeps them,
and runs a whole build on them in two worker processes: sidecars are found, origins
judged, copies settled, true shares estimated, the mixture planned and chosen, shards
laid out, books and figures summed, manifest, report and card written. Only text is
missing: nothing is scored, and a shard holds decisions. A twentieth of the documents
are exact copies. `--near-duplicates` adds signatures, of which no two are
alike; candidates would be read.

    python benchmarks/limits.py --hot 100000 1000000 --scratch DIR

builds sets of real text that has one hot key: one document copied so many times, and
documents of which all share the same boilerplate, 28 of 31 words, with near copies
sought.

Each build is a program of its own under `measure.py`; making the input is not measured.
"""

import argparse
import dataclasses
import json
import math
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from apache_beam.pvalue import AsDict, AsSingleton
from measure import Measurement, measure
from report import describe_machine, table

from synthfilter.build import Build, key_block
from synthfilter.console import Reporter
from synthfilter.core import schema
from synthfilter.core.batches import column, concat_batches, split_by_key
from synthfilter.core.hashing import mix
from synthfilter.core.ngrams import NAMES, NgramRows, sampling_bounds
from synthfilter.core.schema import BLOCKS_PER_FILE, Origin
from synthfilter.decisions import decide
from synthfilter.decisions.minhash import PERMUTATIONS
from synthfilter.detection.detector import load_detector
from synthfilter.inputs.blocks import Block, InputFile
from synthfilter.inputs.sidecars import (
    facts_path,
    load_facts,
    load_ngrams,
    ngrams_path,
    save_facts,
    save_ngrams,
    save_signatures,
    signatures_path,
)
from synthfilter.insight.figures import Figures, add_figures, measure_texts
from synthfilter.local import run_listed
from synthfilter.measured import measure_block, measure_figures
from synthfilter.outputs.manifest import add_records, claim_output, read_manifest
from synthfilter.outputs.parquet import write_parquet
from synthfilter.publish import Layout

ROWS = 10_000
BYTES = 1000
WORKERS = 2
ORIGINS = (Origin.HUMAN, Origin.HUMAN, Origin.SYNTHETIC, Origin.UNKNOWN)
COPIED = 20
BOILERPLATE = "please read the terms of use of this site before you go on to " * 2


def make_blocks(documents: int) -> list[Block]:
    """Returns a block of each `ROWS` documents; a file has one block."""
    return [
        Block(
            key=number * BLOCKS_PER_FILE,
            file=f"part-{number:06d}.parquet",
            path=f"part-{number:06d}.parquet",
            fingerprint=f"{number:032x}",
            declared=ORIGINS[number % len(ORIGINS)],
            mapping={schema.TEXT: schema.TEXT},
            first_group=0,
            stop_group=1,
            rows=min(ROWS, documents - start),
            first_row=0,
            bytes=BYTES * min(ROWS, documents - start),
            spooled=False,
        )
        for number, start in enumerate(range(0, documents, ROWS))
    ]


def make_facts(block: Block, documents: int) -> pa.RecordBatch:
    """Returns the facts of the documents of a block.

    Args:
      block: The block.
      documents: Of all blocks; copies are of any.
    """
    first = block.key // BLOCKS_PER_FILE * ROWS
    number = np.arange(first, first + block.rows, dtype=np.uint64)
    own = number.copy()
    copies = number % np.uint64(COPIED) == COPIED - 1
    own[copies] = mix(number[copies]) % np.uint64(documents)
    said = mix(own + np.uint64(7))
    chance = (said >> np.uint64(11)) / 2.0**53
    synthetic = block.declared == Origin.SYNTHETIC
    words = (100 + said % np.uint64(500)).astype(np.int32)
    values: dict[str, Any] = {
        schema.CONTENT_HI: mix(own + np.uint64(1)),
        schema.CONTENT_LO: mix(own + np.uint64(0xABCDEF)),
        schema.IDENTITY: mix(number + np.uint64(3)),
        schema.AI_SCORE: (1 - chance**4 if synthetic else chance**4).astype(np.float32),
        schema.BYTES: words * 6,
        schema.WORDS: words,
        schema.CREATED: 1_600_000_000_000 + (said % np.uint64(10**11)).astype(np.int64),
        schema.REVIEWED: np.zeros(block.rows, np.uint8),
        schema.SOURCE: pa.array([f"source-{i}" for i in range(20)]).take(
            pa.array(number % np.uint64(20))
        ),
        schema.CLAIMS: np.zeros(block.rows, np.uint16),
        schema.WEIGHT: np.ones(block.rows, np.float32),
        schema.REASON: np.zeros(block.rows, np.uint8),
    }
    return pa.RecordBatch.from_arrays(
        [
            pa.array(values[field.name])
            if field.name in values
            else pa.nulls(block.rows, field.type)
            for field in schema.FACTS
        ],
        schema=schema.FACTS,
    )


def no_ngrams(block: Block) -> NgramRows:
    """Returns that no n-gram of the block's documents was sampled."""
    none = np.zeros(block.rows, np.int32)
    return NgramRows(
        none,
        tuple(np.zeros(0, np.uint64) for _ in NAMES),
        tuple(none for _ in NAMES),
        sampling_bounds(block.bytes),
    )


def make_sidecars(build: Build, documents: int) -> None:
    """Writes what a build would keep of documents that it has scored."""
    detector, folder = load_detector(None), build.facts_folder()
    most = build.max_document_bytes
    words = PERMUTATIONS * 2 // 8
    for block in make_blocks(documents):
        facts = make_facts(block, documents)
        save_facts(facts, facts_path(block, folder, detector.scores_key, most))
        save_ngrams(no_ngrams(block), ngrams_path(block, folder, most), True)
        if build.near_duplicates is not None:
            seeds = column(facts, schema.CONTENT_HI)[:, None]
            signed = mix(seeds + np.arange(words, dtype=np.uint64)).view(np.uint16)
            path = signatures_path(block, folder, build.shingle_words, most)
            save_signatures(signed, path, True)


class CountShard(beam.DoFn):
    """Writes the decisions of a shard's documents, not their text, and counts them.

    As `publish.WriteShard` does, but for what it reads of the text.

    Args:
      build: The build.
      scores_key: Of its detector.
    """

    def __init__(self, build: Build, scores_key: str) -> None:
        """Keeps what it needs of the build."""
        folder, most = build.facts_folder(), build.max_document_bytes
        self._facts, self._ngrams = (folder, scores_key, most), (folder, most)
        self._unit, self._grouping = build.unit, build.grouping()
        self._output = build.output
        self._seed = build.seed

    def process(
        self,
        element: tuple[int, Iterable[pa.RecordBatch]],
        blocks: Mapping[int, Block],
        layout: Layout,
    ) -> Iterator[tuple[Any, Figures]]:
        """Yields record and figures of a shard."""
        shard, batches = element
        verdicts = concat_batches(batches)
        records, figures, kept = [], [measure_texts([])], []
        for key, part in split_by_key(verdicts, column(verdicts, schema.BLOCK)):
            facts = load_facts(facts_path(blocks[key], *self._facts))
            ngrams = load_ngrams(ngrams_path(blocks[key], *self._ngrams))
            decisions = decide.complete_verdicts(
                part, facts, blocks[key].declared, self._seed
            )
            grouping, sources = self._grouping, layout.sources
            records.append(measure_block(decisions, facts, self._unit, grouping))
            figures.append(measure_figures(decisions, facts, ngrams, grouping, sources))
            kept.append(decisions.filter(pc.field(schema.COPIES) > 0))
        name = f"data/train-{shard:05d}-of-{layout.shards.shards:05d}.parquet"
        rows = [np.arange(sum(batch.num_rows for batch in kept))]
        file = write_parquet(self._output, name, kept, rows)
        total = dataclasses.replace(add_records(records), files=(file,))
        yield total, add_figures(figures)


class BuildOfFacts(Build):
    """A build of documents of which only the facts are there."""

    def _open(self, root: Any, inputs: Sequence[InputFile], beats: Any) -> Any:
        """Returns the blocks that facts were made for."""
        blocks = make_blocks(sum(file.bytes for file in inputs) // BYTES)
        return root | "Blocks" >> beam.Create(blocks)

    def _write(
        self,
        chosen: Any,
        found: Any,
        layout: Any,
        letters: Any,
        target: Any,
        detector: Any,
        *_: Any,
    ) -> Any:
        """Counts shards instead of writing them."""
        blocks = AsDict(found | "KeyBlocks" >> beam.Map(key_block))
        count = CountShard(self, detector.scores_key)
        return (
            chosen
            | "ByShard" >> beam.GroupByKey()
            | "CountShards" >> beam.ParDo(count, blocks, AsSingleton(layout))
        )


def options_of(scratch: Path, near: float | None) -> dict[str, Any]:
    """Returns what a build of facts is asked for."""
    return {
        "human": ["part-*.parquet"],
        "output": str(scratch / "out"),
        "cache": str(scratch / "cache"),
        "synthetic_fraction": 0.2,
        "near_duplicates": near,
    }


def run_facts(documents: int, scratch: Path, near: float | None) -> str:
    """Runs a build of facts and returns what came out."""
    build = BuildOfFacts(**options_of(scratch, near))
    inputs = [
        InputFile(n, block.file, block.declared, block.bytes, 0.0)
        for n, block in enumerate(make_blocks(documents))
    ]
    claim_output(build.output)
    run_listed(build, inputs, WORKERS, Reporter(quiet=True))
    return tell(read_manifest(build.output), documents)


def write_hot(kind: str, documents: int, path: Path) -> None:
    """Writes documents of text with one hot key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = np.arange(documents)
    with pq.ParquetWriter(path, pa.schema([("text", pa.string())])) as writer:
        for start in range(0, documents, ROWS):
            part = numbers[start : start + ROWS].tolist()
            if kind == "copies":
                texts = [f"{BOILERPLATE}and mind the gap"] * len(part)
            else:
                texts = [f"{BOILERPLATE}n{n} of {n % 97}" for n in part]
            writer.write_table(pa.table({"text": texts}), row_group_size=ROWS)


def run_hot(scratch: Path, documents: int) -> str:
    """Runs a build of text with one hot key and returns what came out."""
    build = Build(
        human=[str(scratch / "in/*.parquet")],
        output=str(scratch / "out"),
        cache=str(scratch / "cache"),
        flagged_human="keep",
        near_duplicates=0.7,
    )
    claim_output(build.output)
    run_listed(build, build.list_inputs(), WORKERS, Reporter(quiet=True))
    return tell(read_manifest(build.output), documents)


def tell(manifest: Mapping[str, Any], documents: int) -> str:
    """Returns the books in a line; raises if documents were lost."""
    books = manifest["books"]
    if books["read"] != documents:
        raise SystemExit(f"expected {documents} documents, read {books['read']}")
    gone = ", ".join(f"{n:,} {name}" for name, n in books["left_out"].items() if n)
    capped = (manifest["near_copies"] or {}).get("not_compared_with_all", 0)
    told = f"{books['kept']:,} kept, {gone}"
    return f"{told}; {capped:,} not compared with all" if capped else told


def measure_run(
    kind: str, documents: int, options: argparse.Namespace
) -> tuple[Measurement, str]:
    """Makes the input of a build, and runs it in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="limits-", dir=options.scratch) as folder:
        scratch = Path(folder)
        near = options.near_duplicates
        if kind == "facts":
            make_sidecars(BuildOfFacts(**options_of(scratch, near)), documents)
        else:
            write_hot(kind, documents, scratch / "in/part.parquet")
        command = [sys.executable, __file__, "--run", kind, str(documents)]
        command += ["--scratch", folder]
        command += [] if near is None else ["--near-duplicates", str(near)]
        log = scratch / "log.txt"
        used = measure(command, output=log)
        said = log.read_text().strip().splitlines() or ["no output"]
        if used.exit_code:
            raise SystemExit(f"{kind} of {documents:,} failed: {said[-1]}")
        line = f"{kind} {documents:,}: {used.wall_seconds:.0f} s"
        print(line, file=sys.stderr, flush=True)
        return used, said[-1]


def exponent(few: tuple[int, float], many: tuple[int, float]) -> float:
    """Returns the power of the number of documents with which a figure grows."""
    return math.log(many[1] / few[1]) / math.log(many[0] / few[0])


def render(kind: str, sizes: Sequence[int], options: argparse.Namespace) -> list[list]:
    """Returns a line of the table for each size; growth is from the size before."""
    lines: list[list[str]] = []
    before: tuple[int, Measurement] | None = None
    for documents in sizes:
        used, said = measure_run(kind, documents, options)
        growth = ["", ""]
        if before is not None:
            few, last = before
            growth = [
                f"{exponent((few, was), (documents, now)):.2f}"
                for was, now in (
                    (last.wall_seconds, used.wall_seconds),
                    (last.peak_bytes, used.peak_bytes),
                )
            ]
        before = documents, used
        seconds = [f"{used.wall_seconds:.0f}", f"{used.cpu_seconds:.0f}"]
        peak = f"{used.peak_bytes / 1e6:,.0f}"
        lines.append([kind, f"{documents:,}", *seconds, peak, *growth, said])
    return lines


def main() -> None:
    """Reads the command line, runs the builds and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--documents", type=int, nargs="*", default=[])
    parser.add_argument("--hot", type=int, nargs="*", default=[])
    parser.add_argument("--near-duplicates", type=float, help="for --documents")
    parser.add_argument("--scratch", type=Path, help="folder for the inputs")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        kind, documents = options.run[0], int(options.run[1])
        if kind == "facts":
            print(run_facts(documents, options.scratch, options.near_duplicates))
        else:
            print(run_hot(options.scratch, documents))
        return
    machine = describe_machine()
    lines = render("facts", options.documents, options)
    for kind in ("copies", "boilerplate"):
        lines += render(kind, options.hot, options)
    print("\n".join(f"- {name}: {value}" for name, value in machine.items()) + "\n")
    header = ["Input", "Documents", "Wall s", "CPU s", "Peak MB"]
    header += ["Growth of time", "Growth of memory", "Result"]
    print(table(header, lines))
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "lines": lines}))


if __name__ == "__main__":
    main()
