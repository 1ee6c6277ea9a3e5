r"""A build on any Beam runner: the options of `synthfilter build` and the runner's own.

Example:
    python pipelines/build.py --human 'gs://bucket/h/*.parquet' \
        --synthetic 'gs://bucket/s/*.jsonl.gz' --synthetic-fraction 0.3 \
        --output gs://bucket/set --runner=DataflowRunner --project=P --region=R \
        --temp_location=gs://bucket/tmp
"""

import sys
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from synthfilter import Build
from synthfilter.core.errors import ShortageError, UserError
from synthfilter.core.filesystems import is_installed
from synthfilter.options import OneLineParser, add_flags, make_options

# In Beam 2.77 it runs only the last sink and ignores tagged outputs, without a word.
_REFUSED = ("DaskRunner", "dask")
_DATAFLOW = ("DataflowRunner", "dataflow")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a build and returns an exit code: see `synthfilter --help`."""
    parser = OneLineParser(
        prog="pipelines/build.py",
        description="A build on any Beam runner; other flags go to the runner.",
        allow_abbrev=False,
    )
    parser.add_argument("--config", help="YAML file with the same options")
    add_flags(parser, Build)
    ours, runners = parser.parse_known_args(arguments)
    options = PipelineOptions(runners)
    if options.view_as(StandardOptions).runner is None:
        # The default would silently pick a runner by what it can download.
        options.view_as(StandardOptions).runner = "FnApiRunner"
    try:
        check_runner(options.view_as(StandardOptions).runner)
        build: Build = make_options(Build, ours.config, vars(ours))
        with beam.Pipeline(options=options) as pipeline:
            _ = pipeline | "Build" >> build
    except (UserError, ShortageError) as error:
        print(f"pipelines/build.py: error: {error}", file=sys.stderr)
        return 3 if isinstance(error, ShortageError) else 2
    return 0


def check_runner(name: str) -> None:
    """Raises UserError for a runner that would lose outputs or is not installed."""
    if name in _REFUSED:
        raise UserError(
            "DaskRunner loses outputs in this version of Beam; use FnApiRunner, "
            "FlinkRunner or DataflowRunner"
        )
    if name in _DATAFLOW and not is_installed("google.cloud.dataflow_v1beta3"):
        raise UserError(
            "DataflowRunner needs packages that are not installed: "
            "pip install 'synthfilter[gcp]'"
        )


if __name__ == "__main__":
    sys.exit(main())
