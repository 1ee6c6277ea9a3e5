"""A job that cleans crawled pages as C4 did, before synthfilter.

python examples/c4/plain.py demo/inputs/crawl/*.jsonl --output pages/plain
"""

import argparse
import json
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from steps import DropRepeatedLines, clean_page, print_counters, read_page


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the job; options that are not its own go to Beam."""
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+", help="JSON lines with id and text")
    parser.add_argument("--output", required=True, help="beginning of the files' names")
    parser.add_argument("--runner", default="FnApiRunner")
    ours, others = parser.parse_known_args(arguments)
    pipeline = beam.Pipeline(ours.runner, PipelineOptions(others))
    pages = (
        pipeline
        | "Files" >> beam.Create(ours.files)
        | "Lines" >> beam.io.ReadAllFromText()
        | "Read" >> beam.FlatMap(read_page)
        | "Clean" >> beam.FlatMap(clean_page)
    )
    pages |= "DropRepeatedLines" >> DropRepeatedLines()
    lines = pages | "ToJson" >> beam.Map(json.dumps)
    _ = lines | "Write" >> beam.io.WriteToText(ours.output, ".jsonl")
    result = pipeline.run()
    result.wait_until_finish()
    print_counters(result)


if __name__ == "__main__":
    main()
