"""Plants copies with changed words and compares who finds them, and at what cost.

    python benchmarks/near_copies.py --sentences 'DIR/*.parquet' --megabytes 40 \
        --datatrove-python ENV/bin/python

makes documents as corpus.py does, adds copies of some in which words were substituted,
deleted and inserted, and lets synthfilter's functions find them, in one process: text
-> shingles -> signatures -> bands -> candidates -> comparison of the shingles -> who is
dropped. With `--datatrove-python`, datatrove's MinhashDedup does the same (signatures,
buckets, clusters), and so does rensa if that environment has it, from shingles made in
Python. Every program reads the same Parquet file on one thread and names the documents
to drop; its CPU seconds are the whole process's, start-up included.

What is true does not come from any of them: words are cut by `re`, and the similarity
is the Jaccard of the sets of five words. A planted pair is found if not both are kept.
A document is dropped rightly if one that is kept is at least as similar as asked for.

    pip install 'datatrove[processing]==0.10.1' spacy pyarrow xxhash rensa==0.5.0
"""

import argparse
import dataclasses
import json
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from corpus import EDITS, LABELS, below, compose_documents, draw, read_sentences
from measure import measure
from report import describe_machine, table

OURS, DATATROVE, RENSA = PROGRAMS = ("synthfilter", "datatrove", "rensa")
SHARES = (0.01, 0.02, 0.03, 0.05, 0.1, 0.2)  # of the words, changed in a copy
EDGES = (0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1)
BINS = [f"{low:g} to {high:g}" for low, high in pairwise(EDGES)]
BATCH_DOCUMENTS = 10_000
SHINGLE_WORDS = 5
PERMUTATIONS = 112
MAX_BUCKET = 1_000
HAN = r"\u3400-\u4dbf\u4e00-\u9fff"  # each a word by itself
WORD_PATTERN = re.compile(rf"[{HAN}]|[^\W_{HAN}]+")
# One stream of random numbers for each kind of choice, beside those of corpus.py.
CHANGE, KIND, WORD, CHOICE, PLACE = range(100, 105)


@dataclasses.dataclass(kw_only=True)
class Outcome:
    """What a program did.

    Args:
      dropped: The rows that it drops.
      cpu_seconds: Median of the rounds.
      peak_mb: Most memory at once.
      notes: What else it says.
    """

    dropped: list[int]
    cpu_seconds: float
    peak_mb: float
    notes: dict[str, float]


def change_words(seed: int, number: int, text: str, share: float) -> str:
    """Returns the text with a share of its words changed, each in one of three ways."""
    words = text.split(" ")
    numbers = np.arange(len(words)) + number * 2**20
    chance = draw(seed, CHANGE, numbers) / 2.0**64
    kinds = below(3, draw(seed, KIND, numbers))
    news = below(len(EDITS), draw(seed, WORD, numbers))
    changed = []
    for word, c, kind, new in zip(words, chance, kinds, news, strict=True):
        if c >= share:
            changed.append(word)
        elif kind < 2:  # inserted before the word, or in its place
            changed += [EDITS[new], word] if kind else [EDITS[new]]
    return " ".join(changed)


def plant_copies(options: argparse.Namespace, path: Path) -> list[tuple[int, int]]:
    """Writes the documents and their copies, mixed; returns the pairs' rows."""
    texts: list[str] = []
    mean = options.document_bytes
    per_label = round(options.megabytes * 1e6 / mean / len(LABELS))
    for label, sentences in read_sentences(options.sentences).items():
        seed = options.seed * len(LABELS) + LABELS.index(label)
        keys = np.arange(per_label)
        texts += compose_documents(seed, keys, sentences, mean).to_pylist()
    documents = len(texts)
    copies = min(round(documents * options.copies), documents // len(SHARES))
    sources = np.argsort(draw(options.seed, CHOICE, np.arange(documents)))
    sources = sources[: copies * len(SHARES)]
    for number, source in enumerate(sources.tolist()):
        share = SHARES[number % len(SHARES)]
        texts.append(change_words(options.seed, number, texts[source], share))
    order = np.argsort(draw(options.seed, PLACE, np.arange(len(texts))))
    row = np.argsort(order)
    ids = [str(number) for number in range(len(texts))]
    column = pa.array(texts, pa.string()).take(pa.array(order))
    pq.write_table(
        pa.table({"id": ids, "text": column}), path, row_group_size=BATCH_DOCUMENTS
    )
    return list(zip(row[sources].tolist(), row[documents:].tolist(), strict=True))


def read_texts(path: Path) -> Iterator[pa.Array]:
    """Yields the texts of a file in batches."""
    for batch in pq.ParquetFile(path).iter_batches(
        BATCH_DOCUMENTS, columns=["text"], use_threads=False
    ):
        yield batch.column(0)


def run_synthfilter(path: Path, threshold: float, _: str) -> tuple[list[int], dict]:
    """Finds near copies with the functions of synthfilter; the first one stays."""
    from synthfilter.core.text import normalise
    from synthfilter.decisions import minhash, near

    bands = minhash.choose_bands(threshold)
    clock = [time.process_time()]
    keys, rows, first = [], [], 0
    for texts in read_texts(path):
        shingles = minhash.shingle_hashes(normalise(texts))
        found = minhash.band_keys(minhash.signatures(shingles), bands)
        filled = np.flatnonzero(np.diff(shingles.offsets))
        keys.append(found[filled].ravel())
        rows.append(np.repeat(filled + first, bands.bands))
        first += len(texts)
    clock.append(time.process_time())
    row = np.concatenate(rows)
    pairs, capped = near.candidate_pairs(np.concatenate(keys), row, MAX_BUCKET, row)
    clock.append(time.process_time())
    some = np.unique(pairs)
    texts = pa.chunked_array(read_texts(path)).take(pa.array(some))
    shingles = minhash.shingle_hashes(normalise(texts.combine_chunks()))
    similarity = near.true_similarity(shingles, np.searchsorted(some, pairs))
    clock.append(time.process_time())
    resolved = near.resolve_greedily(pairs, similarity, np.arange(first), threshold)
    clock.append(time.process_time())
    names = ("signatures and bands", "candidates", "comparison", "decision")
    notes: dict[str, float] = {
        f"{n}, s": s for n, s in zip(names, np.diff(clock).tolist(), strict=True)
    }
    notes |= {"candidate pairs": len(pairs), "capped documents": len(capped)}
    notes["pairs at or above"] = int((similarity >= threshold).sum())
    return resolved.dropped.tolist(), notes


def run_datatrove(path: Path, _: float, bands: str) -> tuple[list[int], dict]:
    """Finds near copies with datatrove, up to the list of documents to remove."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline import dedup
    from datatrove.pipeline.readers import ParquetReader

    count, length = map(int, bands.split("x"))
    config = dedup.MinhashConfig(
        n_grams=SHINGLE_WORDS, num_buckets=count, hashes_per_bucket=length
    )
    with tempfile.TemporaryDirectory() as folder:
        hashes, buckets, removed = (f"{folder}/{name}" for name in "hbr")
        reader = ParquetReader(str(path.parent), glob_pattern=path.name)
        stages = (
            (1, reader, dedup.MinhashDedupSignature(hashes, config)),
            (count, dedup.MinhashDedupBuckets(hashes, buckets, config=config)),
            (1, dedup.MinhashDedupCluster(buckets, removed, config)),
        )
        for number, (tasks, *steps) in enumerate(stages):
            logs = f"{folder}/logs{number}"
            LocalPipelineExecutor(steps, tasks, workers=1, logging_dir=logs).run()
        rows = b"".join(part.read_bytes() for part in Path(removed).glob("*.remove"))
    return sorted(np.frombuffer(rows, "<u4").tolist()), {}


def run_rensa(path: Path, threshold: float, bands: str) -> tuple[list[int], dict]:
    """Finds near copies with rensa, one document after the other; the first stays."""
    from rensa import RMinHash, RMinHashDeduplicator

    count = int(bands.split("x")[0])
    index = RMinHashDeduplicator(threshold, PERMUTATIONS, True, count, 42)
    dropped, row = [], 0
    for texts in read_texts(path):
        for text in texts.to_pylist():
            signature = RMinHash(PERMUTATIONS, 42)
            signature.update([" ".join(shingle) for shingle in word_shingles(text)])
            if not index.add(str(row), signature):
                dropped.append(row)
            row += 1
    return dropped, {}


def word_shingles(text: str) -> set[tuple[str, ...]]:
    """Returns the runs of five words of a text, all its words if there are fewer."""
    words = WORD_PATTERN.findall(text.lower())
    count = max(len(words) - SHINGLE_WORDS + 1, 1)
    return {tuple(words[i : i + SHINGLE_WORDS]) for i in range(count)}


def true_shingles(path: Path) -> list[list[int]]:
    """Returns each document's set of shingles as Python's hashes of them."""
    return [
        list(map(hash, word_shingles(text)))
        for texts in read_texts(path)
        for text in texts.to_pylist()
    ]


def closest_kept(shingles: list[list[int]], dropped: list[int]) -> dict[int, float]:
    """Returns how similar each dropped document is to the most similar kept one."""
    holders: dict[int, list[int]] = {}
    for row in dropped:
        for shingle in shingles[row]:
            holders.setdefault(shingle, []).append(row)
    closest = dict.fromkeys(dropped, 0.0)
    for row, own in enumerate(shingles):
        if row in closest:
            continue
        shared = Counter(r for shingle in own for r in holders.get(shingle, ()))
        for other, count in shared.items():
            union = len(own) + len(shingles[other]) - count
            closest[other] = max(closest[other], count / union)
    return closest


def run_program(name: str, path: Path, options: argparse.Namespace) -> Outcome | str:
    """Runs a program of PROGRAMS and measures it; returns why it failed, if so."""
    python = sys.executable if name == OURS else options.datatrove_python
    output = path.with_name(f"{name}.json")
    log = path.with_name(f"{name}.log")
    command = [python, __file__, "--as", name, "--file", str(path)]
    command += ["--threshold", str(options.threshold), "--bands", options.bands]
    seconds, peaks = [], []
    for _ in range(options.rounds):
        used = measure([*command, "--output", str(output)], output=log)
        if used.exit_code:
            lines = log.read_text(errors="replace").strip().split("\n")
            return f"exit {used.exit_code}: {lines[-1]}"
        seconds.append(used.cpu_seconds)
        peaks.append(used.peak_bytes / 1e6)
        print(f"{name}: {used.cpu_seconds:.2f} s CPU", file=sys.stderr, flush=True)
    return Outcome(
        **json.loads(output.read_text()),
        cpu_seconds=statistics.median(seconds),
        peak_mb=max(peaks),
    )


def measure_speed(path: Path, rounds: int) -> dict[str, float]:
    """Returns the best speed of each step, in MB of text a CPU second."""
    from synthfilter.core.text import normalise
    from synthfilter.decisions import minhash

    best: dict[str, float] = {}
    for _ in range(rounds):
        spent = dict.fromkeys(("normalise", "shingles", "signatures"), 0.0)
        size = 0
        for texts in read_texts(path):
            clock = [time.process_time()]
            column = normalise(texts)
            clock.append(time.process_time())
            shingles = minhash.shingle_hashes(column)
            clock.append(time.process_time())
            minhash.signatures(shingles)
            clock.append(time.process_time())
            for step, seconds in zip(spent, np.diff(clock).tolist(), strict=True):
                spent[step] += seconds
            size += column.nbytes
        spent["shingles and signatures"] = spent["shingles"] + spent["signatures"]
        for step, seconds in spent.items():
            best[step] = max(best.get(step, 0), size / 1e6 / seconds)
    return best


def bin_of(similarity: float | np.ndarray) -> np.ndarray:
    """Returns the number of the interval of EDGES that a similarity is in."""
    return np.searchsorted(EDGES[1:-1], similarity, side="right")


def recall_table(
    outcomes: dict[str, Outcome],
    planted: list[tuple[int, int]],
    shingles: list[list[int]],
) -> str:
    """Returns which share of the planted pairs each program found, by similarity."""
    dropped = {name: set(outcome.dropped) for name, outcome in outcomes.items()}
    pairs: Counter[int] = Counter()
    found: Counter[tuple[int, str]] = Counter()
    for one, other in planted:
        both = len(set(shingles[one]).intersection(shingles[other]))
        either = len(shingles[one]) + len(shingles[other]) - both
        number = int(bin_of(both / either))
        pairs[number] += 1
        for name in outcomes:
            found[number, name] += bool(dropped[name].intersection((one, other)))
    rows = [
        [BINS[n], str(pairs[n]), *(f"{found[n, o] / pairs[n]:.1%}" for o in outcomes)]
        for n in sorted(pairs, reverse=True)
    ]
    return table(["Similarity of a planted pair", "Pairs", *outcomes], rows)


def precision_table(
    outcomes: dict[str, Outcome], shingles: list[list[int]], threshold: float
) -> str:
    """Returns how many documents each program dropped, by their closest kept one."""
    closest = [
        np.array(list(closest_kept(shingles, outcome.dropped).values()))
        for outcome in outcomes.values()
    ]
    counts = np.array([np.bincount(bin_of(c), minlength=len(BINS)) for c in closest])
    rows = [[BINS[n], *map(str, counts[:, n])] for n in reversed(range(len(BINS)))]
    rightly = [f"{np.mean(c >= threshold):.2%}" for c in closest]
    rows.append([f"share at or above {threshold:g}", *rightly])
    return table(["Similarity of a dropped document to a kept one", *outcomes], rows)


def cost_table(outcomes: dict[str, Outcome], text_mb: float) -> str:
    """Returns what each program cost, and how often synthfilter goes into it."""
    ours = outcomes[OURS].cpu_seconds if OURS in outcomes else float("nan")
    rows = [
        [
            name,
            f"{outcome.cpu_seconds:.2f}",
            f"{text_mb / outcome.cpu_seconds:.1f}",
            f"{outcome.peak_mb:,.0f}",
            f"{len(outcome.dropped):,}",
            f"{outcome.cpu_seconds / ours:.1f} x",
        ]
        for name, outcome in outcomes.items()
    ]
    header = ["Program", "CPU s", "MB/CPU s", "Peak MB", "Dropped", "CPU / synthfilter"]
    return table(header, rows)


def compare(options: argparse.Namespace, folder: Path) -> None:
    """Makes the documents, runs the programs and prints the tables."""
    path = folder / "documents.parquet"
    planted = plant_copies(options, path)
    sizes = [
        len(text.encode()) for part in read_texts(path) for text in part.to_pylist()
    ]
    text_mb = sum(sizes) / 1e6
    facts = describe_machine() | {
        "documents": f"{len(sizes):,} of {text_mb:.0f} MB, {len(planted):,} planted",
        "synthfilter drops from": f"{options.threshold:g}",
        "bands of the others": f"{options.bands} (datatrove's own: 14x8)",
    }
    names = PROGRAMS if options.datatrove_python else (OURS,)
    results = {name: run_program(name, path, options) for name in names}
    for name, result in results.items():
        facts[name] = result if isinstance(result, str) else json.dumps(result.notes)
    outcomes = {n: r for n, r in results.items() if isinstance(r, Outcome)}
    for step, speed in measure_speed(path, options.rounds).items():
        facts[f"{step}, MB/CPU s"] = f"{speed:.0f}"
    shingles = true_shingles(path)
    print("\n".join(f"- {name}: {fact}" for name, fact in facts.items()), end="\n\n")
    print(cost_table(outcomes, text_mb), end="\n\n")
    print(recall_table(outcomes, planted, shingles), end="\n\n")
    print(precision_table(outcomes, shingles, options.threshold))


def main() -> None:
    """Reads the command line and runs the comparison, or one of its programs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sentences", help="glob of labelled Parquet")
    parser.add_argument("--megabytes", type=float, default=40, help="size of originals")
    parser.add_argument("--document-bytes", type=int, default=2_000)
    parser.add_argument("--copies", type=float, default=0.02, help="of each share")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threshold", type=float, default=0.8)
    parser.add_argument("--bands", default="14x8", help="of datatrove and rensa")
    parser.add_argument("--datatrove-python", help="Python that has datatrove")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--as", dest="program", choices=PROGRAMS, help="internal")
    parser.add_argument("--file", type=Path, help="internal: documents to look at")
    parser.add_argument("--output", type=Path, help="internal: where the result goes")
    options = parser.parse_args()
    if options.program:
        pa.set_cpu_count(1)
        pa.set_io_thread_count(1)
        run = {OURS: run_synthfilter, DATATROVE: run_datatrove, RENSA: run_rensa}
        arguments = (options.file, options.threshold, options.bands)
        dropped, notes = run[options.program](*arguments)
        options.output.write_text(json.dumps({"dropped": dropped, "notes": notes}))
    elif not options.sentences:
        parser.error("expected --sentences 'DIR/*.parquet'")
    else:
        with tempfile.TemporaryDirectory() as folder:
            compare(options, Path(folder))


if __name__ == "__main__":
    main()
