"""How fast text becomes scores, step by step, beside the usual programs.

    python benchmarks/scoring.py --sentences 'DIR/*.parquet' --megabytes 40

makes 2 KB documents as corpus.py does and times, on one thread and in turn: the steps
of synthfilter (normalising, canonicalising, tokens and score together, all of it, and
with hashes and word counts as a build needs them), fastText's C++ binding on tokens
that are ready, and Python's `re` cutting those tokens. Each figure is the best of the
rounds; the ratio is against `re` and fastText together, which do the same work. The
largest difference between the probabilities of both is printed, too.
"""

import argparse
import re
import time
from collections.abc import Callable
from typing import Any

import fasttext
import numpy as np
import pyarrow as pa
from bare_loop import TOKEN
from corpus import LABELS, compose_documents, read_sentences
from report import describe_machine, table

from synthfilter.annotate import COLUMNS, annotate
from synthfilter.core import schema
from synthfilter.core.text import normalise
from synthfilter.detection.canonical import canonicalise
from synthfilter.detection.detector import default_model_path, load_detector

BATCH_DOCUMENTS = 1_000
DOCUMENT_BYTES = 2_000


def best(step: Callable[[], Any], rounds: int) -> tuple[float, Any]:
    """Returns the CPU seconds of the fastest round, and what the last one returned."""
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        made = step()
        seconds.append(time.process_time() - start)
    return min(seconds), made


def batches_of(texts: list[str]) -> list[pa.Array]:
    """Returns the texts as columns of the size that a build reads."""
    return [
        pa.array(texts[start : start + BATCH_DOCUMENTS], pa.large_string())
        for start in range(0, len(texts), BATCH_DOCUMENTS)
    ]


def as_documents(text: pa.Array) -> pa.RecordBatch:
    """Returns a batch as `annotate` takes it, with nothing but text."""
    names = [*COLUMNS, schema.ERROR, schema.POSITION]
    kinds = {field.name: field.type for field in schema.SPOOL}
    return pa.RecordBatch.from_pydict(
        {
            name: text if name == schema.TEXT else pa.nulls(len(text), kinds[name])
            for name in names
        }
    )


def time_steps(
    columns: list[pa.Array], rounds: int
) -> tuple[dict[str, float], np.ndarray]:
    """Returns the seconds of each step, and how far both probabilities are apart.

    The latter for the documents that `re` cuts into as many tokens.
    """
    detector = load_detector()
    seconds: dict[str, float] = {}

    def step(name: str, work: Callable[[], Any]) -> Any:
        seconds[name], made = best(work, rounds)
        return made

    normal = step("normalise", lambda: [normalise(c) for c in columns])
    clean = step("canonicalise", lambda: [canonicalise(c) for c in normal])
    model = detector.model
    evidence = step("tokens + score", lambda: [model.evidence(c) for c in clean])
    step("detector.score of normalised text", lambda: [*map(detector.score, normal)])
    batches = [as_documents(column) for column in columns]
    step(
        "annotate: all facts of raw text",
        lambda: [annotate(batch, detector, 10_000_000) for batch in batches],
    )
    texts = [text for column in clean for text in column.to_pylist()]
    lines = step("re: tokens", lambda: [" ".join(TOKEN.findall(t)) for t in texts])
    predict = fasttext.load_model(default_model_path()).f.predict
    found = step(
        "fastText: score of ready tokens",
        lambda: [predict(line + "\n", 2, 0.0, "strict") for line in lines],
    )
    # It reports log(p + 1e-5), and symbols beyond ASCII are cut otherwise by `re`.
    pairs = [{label: share for share, label in said} for said in found]
    theirs = np.array([said["__label__synthetic"] for said in pairs]) - 1e-5
    ours = np.concatenate([part.logit for part in evidence])
    tokens = np.concatenate([part.tokens for part in evidence])
    same = tokens == np.array([line.count(" ") + 1 for line in lines])
    return seconds, np.abs(1 / (1 + np.exp(-ours)) - theirs)[same]


def make_texts(pattern: str, megabytes: float) -> list[str]:
    """Returns documents of both labels, as corpus.py composes them."""
    sentences = read_sentences(pattern)
    count = round(megabytes * 1e6 / DOCUMENT_BYTES / len(LABELS))
    keys = np.arange(count, dtype=np.int64)
    return [
        text
        for number, label in enumerate(LABELS)
        for text in compose_documents(
            number, keys, sentences[label], DOCUMENT_BYTES
        ).to_pylist()
    ]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sentences", required=True, help="glob of labelled Parquet")
    parser.add_argument("--megabytes", type=float, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    texts = make_texts(options.sentences, options.megabytes)
    size = sum(len(text.encode()) for text in texts) / 1e6
    seconds, apart = time_steps(batches_of(texts), options.rounds)
    usual = seconds["re: tokens"] + seconds["fastText: score of ready tokens"]
    rows = [
        [name, f"{size / spent:.0f}", f"{usual / spent:.1f}"]
        for name, spent in seconds.items()
    ]
    for name, said in describe_machine().items():
        print(f"- {name}: {said}")
    print(f"- {len(texts):,} documents, {size:.0f} MB; load {load()}\n")
    print(table(["step", "MB/s a core", "times re + fastText"], rows))
    print(
        f"\nlargest difference from stock fastText's probability: {apart.max():.1e} in "
        f"{len(apart):,} documents that `re` cuts into as many tokens"
    )


def load() -> str:
    """Returns how many processes waited for a core in the last minute."""
    with open("/proc/loadavg") as file:
        return re.split(r"\s", file.read())[0]


if __name__ == "__main__":
    main()
