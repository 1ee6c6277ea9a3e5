"""Makes a benchmark corpus: documents recombined from the sentences of labelled files.

    python benchmarks/corpus.py --sentences 'DIR/*.parquet' --megabytes 200 \
        --output benchmarks/corpus/200

writes `human/*.parquet` and `synthetic/*.parquet` (columns id, text, source) below the
output folder, half of the documents in each; `--format jsonl` writes the same documents
to `jsonl/human/*.jsonl` and `jsonl/synthetic/*.jsonl`. Of every hundred documents five
are exact copies of another one and five are copies in which a few words were changed.

A document is a pure function of (seed, document number), so a copy of any document can
be written anywhere without keeping text, and memory is bounded by one row group.
"""

import argparse
import dataclasses
import glob
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

LABELS = ("human", "synthetic")
FORMATS = ("parquet", "jsonl")
ORIGINAL, EXACT_COPY, NEAR_COPY = 0, 1, 2
COPY_SHARE = 0.05  # of each kind of copy
EDITED_WORDS = 3
ROW_GROUP_DOCUMENTS = 10_000
FILE_DOCUMENTS = 20_000
SENTENCE_BYTES = (20, 1_000)
SENTENCES_A_PARAGRAPH = 5
# What a changed word becomes. None of them matters; all are common.
EDITS = (
    "also often rather mostly simply later early again perhaps indeed quite together "
    "nearly always seldom almost"
).split()
# One stream of random numbers for each kind of choice.
ROLE, SOURCE, LENGTH, SENTENCE, PARAGRAPH, POSITION, EDIT = range(7)
SCHEMA = pa.schema(
    [("id", pa.string()), ("text", pa.string()), ("source", pa.string())]
)


@dataclasses.dataclass(kw_only=True)
class Plan:
    """What each document of one label is: its kind and the document it is made from.

    Args:
      kinds: ORIGINAL, EXACT_COPY or NEAR_COPY, one a document.
      keys: The number of the document whose sentences are used; its own if original.
    """

    kinds: np.ndarray
    keys: np.ndarray


@dataclasses.dataclass(kw_only=True)
class Sentences:
    """The sentences of one label, ready to be strung together.

    Args:
      variants: Every sentence three times: all followed by a space, then all by a line
        break, then all by nothing.
      count: Number of sentences.
      mean_bytes: Mean size of a sentence with what follows it.
    """

    variants: pa.StringArray
    count: int
    mean_bytes: float


def draw(seed: int, stream: int, numbers: np.ndarray) -> np.ndarray:
    """Returns one random uint64 for each number (splitmix64, Steele et al. 2014)."""
    key = np.uint64((seed * 1_000_003 + stream + 1) * 0x9E3779B97F4A7C15 % 2**64)
    z = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) ^ key
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        z = (z ^ (z >> np.uint64(shift))) * np.uint64(factor)
    return z ^ (z >> np.uint64(31))


def below(limit: int, randoms: np.ndarray) -> np.ndarray:
    """Returns each random uint64 as an int64 in [0, limit)."""
    return ((randoms >> np.uint64(11)) * 2.0**-53 * limit).astype(np.int64)


def split_sentences(text: str) -> list[str]:
    """Returns the sentences of a text that are neither very short nor very long."""
    shortest, longest = SENTENCE_BYTES
    sentences = re.split(r"(?<=[.!?])\s+", text.strip())
    return [s for s in sentences if shortest <= len(s.encode()) <= longest]


def read_sentences(pattern: str) -> dict[str, Sentences]:
    """Returns the distinct sentences of each label in the Parquet files of a glob."""
    found: dict[str, dict[str, None]] = {label: {} for label in LABELS}
    for path in sorted(glob.glob(pattern)):
        table = pq.read_table(path, columns=["text", "label"])
        for text, label in zip(*(c.to_pylist() for c in table.columns), strict=True):
            found[label].update(dict.fromkeys(split_sentences(text)))
    for label, sentences in found.items():
        if not sentences:
            raise SystemExit(f"expected {label} texts in {pattern!r}, found none")
    return {label: pack_sentences(list(found[label])) for label in LABELS}


def pack_sentences(texts: list[str]) -> Sentences:
    """Returns the sentences with each of the three things that can follow one."""
    column = pa.array(texts, pa.string())
    ends = [pc.binary_join_element_wise(column, end, "") for end in (" ", "\n", "")]
    return Sentences(
        variants=pa.concat_arrays(ends),
        count=len(texts),
        mean_bytes=pc.mean(pc.binary_length(ends[0])).as_py(),
    )


def plan_documents(seed: int, documents: int) -> Plan:
    """Returns the kinds and keys of the documents: exact shares, at random places."""
    numbers = np.arange(documents)
    copies = round(documents * COPY_SHARE)
    order = np.argsort(draw(seed, ROLE, numbers), kind="stable")
    kinds = np.full(documents, ORIGINAL, np.uint8)
    kinds[order[:copies]] = EXACT_COPY
    kinds[order[copies : 2 * copies]] = NEAR_COPY
    originals = np.sort(order[2 * copies :])
    chosen = originals[below(len(originals), draw(seed, SOURCE, numbers))]
    return Plan(kinds=kinds, keys=np.where(kinds == ORIGINAL, numbers, chosen))


def compose_documents(
    seed: int, keys: np.ndarray, sentences: Sentences, document_bytes: int
) -> pa.StringArray:
    """Returns the original text of each key: random sentences in paragraphs.

    Sizes are uniform between half and one and a half times `document_bytes`.
    """
    mean = max(document_bytes / sentences.mean_bytes, 1)
    shortest = max(round(mean / 2), 1)
    counts = shortest + below(2 * round(mean - shortest) + 1, draw(seed, LENGTH, keys))
    ends = np.cumsum(counts)
    within = np.arange(ends[-1]) - np.repeat(ends - counts, counts)
    numbers = np.repeat(keys, counts) * 2**16 + within
    pick = below(sentences.count, draw(seed, SENTENCE, numbers))
    breaks = draw(seed, PARAGRAPH, numbers)
    variant = (below(SENTENCES_A_PARAGRAPH, breaks) == 0).astype(np.int64)
    variant[ends - 1] = 2
    taken = sentences.variants.take(pa.array(variant * sentences.count + pick))
    # The sentences of a document lie side by side: its text is one slice of the bytes.
    _, offsets, data = taken.buffers()
    offsets = np.frombuffer(offsets, np.int32)[np.concatenate([[0], ends])]
    return pa.StringArray.from_buffers(len(keys), pa.py_buffer(offsets), data)


def edit_words(seed: int, number: int, text: str) -> str:
    """Returns the text with a few words changed, never to themselves."""
    words = text.split(" ")
    draws = np.arange(EDITED_WORDS) + number * EDITED_WORDS
    positions = below(len(words), draw(seed, POSITION, draws)).tolist()
    edits = below(len(EDITS) - 1, draw(seed, EDIT, draws)).tolist()
    for position, edit in dict(zip(positions, edits, strict=True)).items():
        same = words[position] == EDITS[edit]
        words[position] = EDITS[edit + 1 if same else edit]
    return " ".join(words)


def document_tables(
    *, seed: int, label: str, documents: int, document_bytes: int, sentences: Sentences
) -> Iterator[pa.Table]:
    """Yields the documents of one label, one table a row group."""
    seed = seed * len(LABELS) + LABELS.index(label)
    plan = plan_documents(seed, documents)
    for first in range(0, documents, ROW_GROUP_DOCUMENTS):
        group = slice(first, min(first + ROW_GROUP_DOCUMENTS, documents))
        texts = compose_documents(seed, plan.keys[group], sentences, document_bytes)
        near = plan.kinds[group] == NEAR_COPY
        if near.any():
            numbers = (np.flatnonzero(near) + first).tolist()
            originals = texts.filter(pa.array(near)).to_pylist()
            edited = map(edit_words, [seed] * len(numbers), numbers, originals)
            texts = pc.replace_with_mask(
                texts, pa.array(near), pa.array(edited, pa.string())
            )
        ids = [f"{label}-{number:08d}" for number in range(group.start, group.stop)]
        sources = [f"recombined-{label}"] * len(ids)
        yield pa.table([ids, texts, sources], schema=SCHEMA)


def write_parquet(path: Path, tables: list[pa.Table]) -> None:
    """Writes each table as one row group of a Parquet file."""
    with pq.ParquetWriter(
        path, SCHEMA, compression="zstd", use_dictionary=["source"]
    ) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=table.num_rows)


def write_jsonl(path: Path, tables: list[pa.Table]) -> None:
    """Writes one JSON object a line."""
    with path.open("w", encoding="utf-8") as lines:
        for table in tables:
            for row in table.to_pylist():
                lines.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_corpus(
    *,
    sentences: str,
    megabytes: float,
    output: Path,
    format: str = "parquet",
    seed: int = 0,
    document_bytes: int = 2_000,
) -> dict[str, int]:
    """Writes a corpus and a `corpus.json` that says what is in it.

    Args:
      sentences: Glob of Parquet files with columns text and label (human | synthetic).
      megabytes: Text to make, in 10^6 bytes; met within a few percent.
      output: Folder for the corpus; must hold no corpus of this format.
      format: parquet | jsonl; JSONL goes to the folder `jsonl` in `output`.
      seed: The same seed and sentences give the same documents.
      document_bytes: Mean size of a document's text.

    Returns:
      What corpus.json says: documents, text_bytes, exact_copies, near_copies, seed.
    """
    root = output / "jsonl" if format == "jsonl" else output
    if (root / "corpus.json").exists():
        raise SystemExit(f"{root} holds a corpus already; delete it or choose another")
    per_label = max(round(megabytes * 1e6 / document_bytes / len(LABELS)), 1)
    text_bytes = 0
    for label, pool in read_sentences(sentences).items():
        (root / label).mkdir(parents=True, exist_ok=True)
        tables = document_tables(
            seed=seed,
            label=label,
            documents=per_label,
            document_bytes=document_bytes,
            sentences=pool,
        )
        file_count = -(-per_label // FILE_DOCUMENTS)
        for file_number in range(file_count):
            groups = FILE_DOCUMENTS // ROW_GROUP_DOCUMENTS
            parts = [table for _, table in zip(range(groups), tables, strict=False)]
            name = f"{label}-{file_number:04d}.{format}"
            (write_jsonl if format == "jsonl" else write_parquet)(
                root / label / name, parts
            )
            for part in parts:
                text_bytes += pc.sum(pc.binary_length(part["text"])).as_py()
    facts = {
        "documents": per_label * len(LABELS),
        "text_bytes": text_bytes,
        "exact_copies": round(per_label * COPY_SHARE) * len(LABELS),
        "near_copies": round(per_label * COPY_SHARE) * len(LABELS),
        "seed": seed,
    }
    (root / "corpus.json").write_text(json.dumps(facts, indent=2) + "\n")
    return facts


def main() -> None:
    """Reads the command line and writes the corpus."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sentences", required=True, help="glob of labelled Parquet")
    parser.add_argument("--megabytes", required=True, type=float, help="size of text")
    parser.add_argument("--output", required=True, type=Path, help="folder to write to")
    parser.add_argument("--format", choices=FORMATS, default="parquet")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--document-bytes", type=int, default=2_000)
    print(json.dumps(write_corpus(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
