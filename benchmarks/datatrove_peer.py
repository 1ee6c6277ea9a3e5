"""The same work with datatrove: FastTextClassifierFilter, then ParquetWriter.

    python benchmarks/datatrove_peer.py --model models/detector.bin \
        --corpus benchmarks/corpus/200 --output /tmp/datatrove

One task, one worker. The filter's threshold is beyond reach, so every document is
written, with both label scores. datatrove does less than the bare loop here: it has no
step for the model's tokens (fastText splits the raw text at blanks) and no exact copies
are looked for.

It asks for the distribution `fasttext-numpy2-wheel` by name, whose files are the same
as those of `fasttext-community`, so it needs an environment of its own:

    pip install datatrove==0.10.1 fasttext-numpy2-wheel pyarrow orjson regex fasteners
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

CANNOT_RUN = 3
NEVER = 2.0  # a score that no document reaches


def run_pipeline(
    *, corpus: Path, format: str, model: Path, label: str, output: Path, scratch: str
) -> None:
    """Scores every document of a corpus and writes it to Parquet."""
    # datatrove keeps a copy of a model by its path alone and never looks again.
    os.environ["HF_HOME"] = scratch
    import fasttext
    import pyarrow as pa
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.filters import FastTextClassifierFilter
    from datatrove.pipeline.readers import JsonlReader, ParquetReader
    from datatrove.pipeline.writers import ParquetWriter

    if format == "jsonl":
        reader = JsonlReader(str(corpus / "jsonl"), glob_pattern="*/*.jsonl")
    else:
        reader = ParquetReader(str(corpus), glob_pattern="*/*.parquet")
    # Left to the first document the schema follows the order of its label scores,
    # and the first document with the other order ends the run.
    labels = sorted(fasttext.load_model(str(model)).labels)
    metadata = pa.struct(
        [("source", pa.string()), *((name, pa.float64()) for name in labels)]
    )
    schema = pa.schema(
        [("text", pa.string()), ("id", pa.string()), ("metadata", metadata)]
    )
    pipeline = [
        reader,
        # Without a replacement the words around a line break are glued together.
        FastTextClassifierFilter(
            str(model.resolve()),
            # With no label at all the filter ends in a TypeError.
            remove_labels=(label.removeprefix("__label__"), NEVER),
            newline_replacement=" ",
        ),
        ParquetWriter(str(output), compression="zstd", schema=schema),
    ]
    logs = f"{scratch}/logs"
    LocalPipelineExecutor(pipeline, tasks=1, workers=1, logging_dir=logs).run()


def main() -> None:
    """Reads the command line; says in one line why datatrove cannot run, if so."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", required=True, type=Path, help="fastText model")
    parser.add_argument("--label", default="__label__synthetic", help="one of its two")
    parser.add_argument("--corpus", required=True, type=Path, help="corpus folder")
    parser.add_argument("--format", choices=["parquet", "jsonl"], default="parquet")
    parser.add_argument("--output", required=True, type=Path, help="folder to write to")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            run_pipeline(**vars(options), scratch=scratch)
    except ImportError as error:
        print(f"datatrove cannot run: {error}", file=sys.stderr)
        raise SystemExit(CANNOT_RUN) from None
    if not any(options.output.glob("*.parquet")):
        print("datatrove cannot run: it wrote no document", file=sys.stderr)
        raise SystemExit(CANNOT_RUN)


if __name__ == "__main__":
    main()
