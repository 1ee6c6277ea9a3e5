"""Scores texts in a pipeline around RunInference, and prints what came out.

    python examples/run_inference.py texts.jsonl --threshold 0.9

takes files of JSON lines with an `id` and a `text`, or a few texts of its own.
`--detector` names another detector; further flags go to Beam. What
RunInference measured (namespace synthfilter), and how many texts got which label, goes
to stderr at the end.
"""

import argparse
import json
import sys
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import (
    KeyedModelHandler,
    PredictionResult,
    RunInference,
)
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.runners.runner import PipelineResult

from synthfilter import FastTextModelHandler

TEXTS = (
    {"id": "rain", "text": "Rain again, all day. Missed the bus and walked, soaked."},
    {"id": "tea", "text": "Moreover, tea plays a pivotal role in fostering community."},
    {"id": "empty", "text": ""},
)


def read_record(line: str) -> tuple[str, str]:
    """Returns id and text of a JSON line."""
    record = json.loads(line)
    return str(record["id"]), record["text"]


def format_result(scored: tuple[str, PredictionResult]) -> str:
    """Returns a line with score, label, id and the start of the text."""
    key, (text, inference, _) = scored
    score = "  --  " if inference.ai_score is None else f"{inference.ai_score:.4f}"
    label = inference.label or "unscorable"
    Metrics.counter("run_inference", label).inc()
    return f"{score}  {label:10}  {key}  {text[:50]}"


def print_metrics(result: PipelineResult) -> None:
    """Prints counters, and of distributions how many there were and their mean."""
    found = result.metrics().query()
    for metric in (*found["counters"], *found["distributions"]):
        key, value = metric.key.metric, metric.committed
        if key.namespace in ("run_inference", "synthfilter"):
            said = value if isinstance(value, int) else f"{value.mean:.0f} on average"
            print(f"{key.namespace}: {key.name}: {said}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the pipeline."""
    parser = argparse.ArgumentParser(description="Scores texts with RunInference.")
    parser.add_argument("files", nargs="*", help="JSON lines with id and text")
    parser.add_argument("--detector", help="fastText model or package.module:Class")
    parser.add_argument("--threshold", type=float, help="synthetic from this score on")
    parser.add_argument("--batch-size", type=int, default=1000, help="texts, at most")
    ours, runners = parser.parse_known_args(arguments)
    options = PipelineOptions(runners)
    if options.view_as(StandardOptions).runner is None:
        options.view_as(StandardOptions).runner = "FnApiRunner"
    handler = FastTextModelHandler(
        ours.detector,
        threshold=ours.threshold,
        min_batch_size=min(64, ours.batch_size),
        max_batch_size=ours.batch_size,
    )
    with beam.Pipeline(options=options) as pipeline:
        if ours.files:
            paths = pipeline | "Files" >> beam.Create(ours.files)
            lines = paths | "Read" >> beam.io.ReadAllFromText()
        else:
            lines = pipeline | "Texts" >> beam.Create([*map(json.dumps, TEXTS)])
        _ = (
            lines
            | "Parse" >> beam.Map(read_record).with_output_types(tuple[str, str])
            | "Score"
            >> RunInference(KeyedModelHandler(handler)).with_output_types(
                tuple[str, PredictionResult]
            )
            | "Format" >> beam.Map(format_result).with_output_types(str)
            | "Print" >> beam.Map(print)
        )
    print_metrics(pipeline.result)


if __name__ == "__main__":
    main()
