"""Hugging Face `datasets` in and out: score, filter, stream, build, load.

python examples/huggingface.py 'demo/inputs/human/*.parquet' \
    'demo/inputs/synthetic/*.jsonl.gz' --output hf/
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from datasets import Dataset, IterableDataset, disable_progress_bars, load_dataset

import synthfilter as sf


def score(dataset: Dataset) -> Dataset:
    """Returns the dataset with the columns ai_score, origin and content_hash.

    `num_proc=8` scores in eight processes. `datasets` caches by the function's name and
    arguments: after a change of the detector, say `load_from_cache_file=False`.
    """
    return dataset.map(sf.score_texts, input_columns="text", batched=True)


def keep_likely_human(scored: Dataset, max_score: float) -> Dataset:
    """Returns the documents with at most this score; without one there is no saying."""
    return scored.filter(
        lambda score: score is not None and score <= max_score, input_columns="ai_score"
    )


def score_stream(stream: IterableDataset, threshold: float) -> IterableDataset:
    """Returns a stream that is scored as it is read; nothing is kept in memory."""
    return stream.map(
        sf.score_texts,
        input_columns="text",
        batched=True,
        fn_kwargs={"threshold": threshold},
    )


def build(human: Dataset, synthetic: Dataset, folder: Path) -> Path:
    """Returns the folder of a set with 20% synthetic words, made of two datasets."""
    human.to_parquet(folder / "human.parquet")
    synthetic.to_parquet(folder / "synthetic.parquet")
    manifest = sf.run_build(
        sf.Build(
            human=str(folder / "human.parquet"),
            synthetic=str(folder / "synthetic.parquet"),
            synthetic_fraction=0.2,
            output=str(folder / "set"),
        )
    )
    shares = manifest["shares"]
    print(
        f"built: {manifest['books']['read']:,} read, "
        f"{shares['got']['words']['synthetic_fraction']:.1%} of the words synthetic"
    )
    return folder / "set"


def main(arguments: Sequence[str] | None = None) -> None:
    """Takes two sets of files through all of it, and prints what came out."""
    parser = argparse.ArgumentParser(description="Hugging Face datasets in and out.")
    parser.add_argument("human", help="Parquet files with a column text")
    parser.add_argument("synthetic", help="JSON lines with a key text")
    parser.add_argument("--output", type=Path, required=True, help="a new folder")
    options = parser.parse_args(arguments)
    disable_progress_bars()
    human = load_dataset("parquet", data_files=options.human, split="train")
    synthetic = load_dataset("json", data_files=options.synthetic, split="train")

    for name, dataset in (("human", human), ("synthetic", synthetic)):
        scored = score(dataset)
        kept = keep_likely_human(scored, max_score=0.5)
        print(f"{name}: {dict(Counter(scored['origin']))}, {len(kept):,} score <= 0.5")

    stream = load_dataset(
        "json", data_files=options.synthetic, split="train", streaming=True
    )
    first = [row["origin"] for row in score_stream(stream, threshold=0.9).take(100)]
    print(f"first {len(first)} of the stream: {dict(Counter(first))}")

    folder = build(human, synthetic, options.output)
    made = load_dataset(str(folder), split="train")
    rejected = load_dataset(str(folder), "rejected", split="rejected")
    print(f"loaded: {dict(Counter(made['origin']))}, columns {made.column_names}")
    print(f"left out: {dict(Counter(rejected['reason']))}")


if __name__ == "__main__":
    main()
