"""What sampling n-grams costs a build, and how near its figures are to exact counts.

    python benchmarks/diversity.py --data 'DIR/*.parquet' --megabytes 100

DIR has labelled text (columns text and label). Text of that size is made as corpus.py
does, written as Parquet, and every block is annotated as a build does it, read, scored,
and its sidecars written, with and without sampling, in turn; the ratio is that of the
fastest rounds. After that the labelled text itself is a set: its figures by samples of
its files beside those by counts of all its n-grams, and beside sketches of Apache
DataSketches, if `datasketches` is installed, that are fed all of the same hashes.
"""

import argparse
import glob
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from report import describe_machine, table
from scoring import load, make_texts

from synthfilter.annotate import AnnotateBlocks, annotate_block
from synthfilter.core.hashing import distinct
from synthfilter.core.ngrams import NAMES, NgramRows, concat_rows, sampling_bounds
from synthfilter.core.samples import ALL
from synthfilter.core.schema import ORIGIN_NAMES, Origin
from synthfilter.core.text import normalise
from synthfilter.detection.ngrams import sample_text
from synthfilter.inputs.blocks import Block, list_inputs, open_file
from synthfilter.inputs.sidecars import load_ngrams, ngrams_path
from synthfilter.insight.diversity import (
    DRAWN_WORDS,
    EVERY,
    RARE,
    Ngrams,
    add_ngrams,
    expected_share,
    measure_ngrams,
    tell_diversity,
)

MAX_BYTES = 10_000_000
ROW_GROUP_DOCUMENTS = 2_000
THETA_BITS = 12  # as many hashes as KEPT_NGRAMS


def cpu(step: Callable[[], Any]) -> tuple[float, Any]:
    """Returns the CPU seconds of a step, and what it returned."""
    start = time.process_time()
    made = step()
    return time.process_time() - start, made


def open_blocks(path: str, scratch: str) -> list[Block]:
    """Returns the blocks of a Parquet file."""
    (file,) = list_inputs({Origin.UNKNOWN: [path]})
    return list(open_file(file, {}, f"{scratch}/spool", 2 * MAX_BYTES))


def annotate_all_blocks(blocks: list[Block], ngrams: bool) -> float:
    """Returns the CPU seconds of annotating blocks with an empty cache."""
    with tempfile.TemporaryDirectory() as cache:
        step = AnnotateBlocks(None, MAX_BYTES, None, cache, None, ngrams)
        step.setup()
        return cpu(lambda: [list(step.process(block)) for block in blocks])[0]


def time_sampling(texts: list[str], rounds: int) -> Iterator[list[str]]:
    """Yields rows of what sampling costs and leaves."""
    size = sum(len(text.encode()) for text in texts)
    with tempfile.TemporaryDirectory() as scratch:
        path = f"{scratch}/text.parquet"
        column = pa.table({"text": pa.array(texts, pa.large_string())})
        pq.write_table(
            column, path, row_group_size=ROW_GROUP_DOCUMENTS, compression="zstd"
        )
        blocks = open_blocks(path, scratch)
        spent: dict[bool, list[float]] = {False: [], True: []}
        for number in range(2 * rounds):
            ngrams = number % 2 == 1
            spent[ngrams].append(annotate_all_blocks(blocks, ngrams))
        plain, sampled = min(spent[False]), min(spent[True])
        yield ["blocks", f"{len(blocks)}"]
        yield ["annotate", f"{plain:.2f} s, {size / plain / 1e6:.0f} MB/s"]
        yield ["annotate and sample", f"{sampled:.2f} s, {sampled / plain - 1:+.1%}"]
        step = AnnotateBlocks(None, MAX_BYTES, None, scratch, None, True)
        step.setup()
        for block in blocks:
            list(step.process(block))
        paths = [ngrams_path(block, scratch, MAX_BYTES) for block in blocks]
        kept = sum(Path(path).stat().st_size for path in paths)
        yield ["sidecars of n-grams", f"{kept / size:.2%} of the text"]
        again, _ = cpu(lambda: [list(step.process(block)) for block in blocks])
        yield ["annotate again, from sidecars", f"{again:.2f} s"]
        counted, _ = cpu(lambda: add_ngrams(measure_file(path) for path in paths))
        yield ["count what is in the set", f"{counted:.2f} s, {counted / plain:.1%}"]
        alone, _ = cpu(lambda: sample_blocks(blocks))
        yield ["annotate without a detector, and sample", f"{alone:.2f} s"]


def measure_file(path: str) -> Ngrams:
    """Returns the n-grams of a sidecar, of which every second row is synthetic."""
    rows = load_ngrams(path)
    row = np.arange(len(rows.tokens))
    return measure_ngrams(rows, row, (row % 2).astype(np.uint8), np.ones_like(row))


def sample_blocks(blocks: list[Block]) -> None:
    """Samples the n-grams of blocks that are scored already."""
    for block in blocks:
        annotate_block(block, None, MAX_BYTES, None, sampling_bounds(block.bytes))


def read_labelled(pattern: str) -> list[tuple[pa.Array, np.ndarray, int]]:
    """Returns the normalised text, origins and size on disk of each labelled file."""
    found = []
    for path in sorted(glob.glob(pattern)):
        read = pq.read_table(path, columns=["text", "label"])
        text = pa.concat_arrays(read["text"].cast(pa.large_string()).chunks)
        origin = pc.equal(read["label"], "synthetic").to_numpy().astype(np.uint8)
        found.append((normalise(text), origin, Path(path).stat().st_size))
    return found


def exact_figures(rows: NgramRows, chosen: np.ndarray) -> dict[str, dict[str, float]]:
    """Returns the figures of some documents by counting all of their n-grams."""
    told = {}
    for name, hashes, sizes in zip(NAMES, rows.hashes, rows.sizes, strict=True):
        mine = np.sort(hashes[np.repeat(chosen, sizes)])
        first = np.flatnonzero(np.append(True, mine[1:] != mine[:-1]))
        counts = np.diff(first, append=len(mine))
        told[name] = {
            "distinct": len(counts),
            "hapax_share": np.mean(counts == 1),
            "tail_mass": counts[counts <= RARE].sum() / len(mine),
        }
        if name == NAMES[0] and len(mine) >= DRAWN_WORDS:
            drawn = expected_share(counts, len(mine), DRAWN_WORDS).sum()
            told[name]["type_token"] = drawn
    return told


def compare_figures(
    files: list[tuple[pa.Array, np.ndarray, int]], whole: NgramRows
) -> Iterator[list[str]]:
    """Yields, for each figure, its exact value and how far the estimate is off."""
    parts = []
    for text, origin, size in files:
        row = np.arange(len(text))
        rows = sample_text(text, sampling_bounds(size))
        parts.append(measure_ngrams(rows, row, origin, np.ones_like(row)))
    told = tell_diversity(add_ngrams(parts), {})
    origins = np.concatenate([origin for _, origin, _ in files])
    for name, figures in told.items():
        mine = np.full(len(origins), name == EVERY)
        if name != EVERY:
            mine = origins == ORIGIN_NAMES.index(name)
        for ngrams, exact in exact_figures(whole, mine).items():
            found = figures[ngrams]
            inside = found["low"] <= exact["distinct"] <= found["high"]
            row = [name, ngrams, f"{exact['distinct']:,}"]
            row.append(f"{found['distinct'] / exact['distinct'] - 1:+.1%}")
            row += [
                f"-{1 - found['low'] / found['distinct']:.1%}",
                "yes" if inside else "**no**",
            ]
            for key in ("hapax_share", "tail_mass"):
                row.append(f"{exact[key]:.1%} {found[key] - exact[key]:+.2%}")
            drawn = ""
            if "type_token" in exact:
                off = found["type_token"]["distinct"] / exact["type_token"] - 1
                drawn = f"{exact['type_token']:,.0f} {off:+.1%}"
            yield [*row, drawn]


def compare_peers(whole: NgramRows) -> Iterator[list[str]]:
    """Yields how far sketches of the same hashes are off, and ns a key.

    Of DataSketches a theta sketch, and a tuple sketch, which counts occurrences, too.
    """
    import datasketches

    nothing = (np.zeros(1, np.int32),) * len(NAMES)
    for name, hashes in zip(NAMES, whole.hashes, strict=True):
        # Larger numbers than of 63 bits would be taken for floats.
        keys = hashes.view(np.int64).tolist()
        exact = len(distinct([hashes]))
        theta = datasketches.update_theta_sketch(THETA_BITS)
        policy = datasketches.AccumulatorPolicy()
        counting = datasketches.update_tuple_sketch(policy, THETA_BITS)
        spent = [cpu(lambda s=theta, k=keys: [s.update(key) for key in k])[0]]
        spent.append(cpu(lambda s=counting, k=keys: [s.update(key, 1) for key in k])[0])
        rows = NgramRows(
            np.full(1, len(hashes), np.int32),
            (hashes, *(np.zeros(0, np.uint64),) * (len(NAMES) - 1)),
            (np.array([len(hashes)], np.int32), *nothing[1:]),
            (ALL,) * len(NAMES),
        )
        ours, found = cpu(lambda rows=rows: measure_one(rows))
        estimates = [theta.get_estimate(), counting.get_estimate()]
        estimates.append(tell_diversity(found, {})[EVERY][NAMES[0]]["distinct"])
        yield [
            name,
            *(f"{estimate / exact - 1:+.1%}" for estimate in estimates),
            *(f"{s / len(hashes) * 1e9:.0f}" for s in [*spent, ours]),
        ]


def measure_one(rows: NgramRows) -> Ngrams:
    """Returns the n-grams of one document."""
    zero = np.zeros(1, np.int64)
    return measure_ngrams(rows, zero, zero, zero + 1)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="glob of labelled Parquet")
    parser.add_argument("--megabytes", type=float, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for name, said in describe_machine().items():
        print(f"- {name}: {said}")
    print(f"- load {load()}\n")
    texts = make_texts(options.data, options.megabytes)
    print(table(["step", "CPU"], list(time_sampling(texts, options.rounds))))
    files = read_labelled(options.data)
    everything = (ALL,) * len(NAMES)
    whole = concat_rows([sample_text(f[0], everything) for f in files], everything)
    header = ["origin", "n-grams", "distinct", "estimate", "interval", "inside"]
    header += ["once", "tail mass", f"distinct in {DRAWN_WORDS:,} words"]
    print(f"\n{table(header, list(compare_figures(files, whole)))}")
    try:
        peers = list(compare_peers(whole))
    except ImportError:
        print("\ndatasketches is not installed")
        return
    programs = ["theta", "tuple", "synthfilter"]
    header = ["n-grams", *programs, *(f"{name}, ns a key" for name in programs)]
    print(f"\n{table(header, peers)}")


if __name__ == "__main__":
    main()
