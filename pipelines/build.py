r"""A build on any Beam runner: the options of `synthfilter build` and the runner's own.

Example:
    python pipelines/build.py --human 'gs://bucket/h/*.parquet' \
        --synthetic 'gs://bucket/s/*.jsonl.gz' --synthetic-fraction 0.3 \
        --output gs://bucket/set --runner=DataflowRunner --project=P --region=R \
        --temp_location=gs://bucket/tmp
"""

import sys
from collections.abc import Sequence

from synthfilter import Build
from synthfilter.core.errors import (
    OUR_ERRORS,
    exit_code,
)
from synthfilter.core.secrets import one_line
from synthfilter.options import OneLineParser, add_flags, make_options
from synthfilter.remote import LOCAL_RUNNER, make_runner_options, run_build_on


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a build and returns an exit code: see `synthfilter --help`."""
    parser = OneLineParser(
        prog="pipelines/build.py",
        description="A build on any Beam runner; other flags go to the runner.",
        allow_abbrev=False,
    )
    parser.add_argument("--config", help="YAML file with the same options")
    # The runner that Beam would take picks another one by what it can download.
    parser.add_argument("--runner", default=LOCAL_RUNNER, help="a runner of Beam")
    add_flags(parser, Build)
    ours, flags = parser.parse_known_args(arguments)
    try:
        options = make_runner_options(ours.runner, flags, parser.flags())
        build: Build = make_options(Build, ours.config, vars(ours))
        run_build_on(build, options)
    except OUR_ERRORS as error:
        print(f"pipelines/build.py: error: {one_line(str(error))}", file=sys.stderr)
        return exit_code(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
