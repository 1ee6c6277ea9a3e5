"""Runs a build on this machine: how many workers, progress, and errors in one line."""

import os
import re
import shlex
import sys
import tempfile
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from synthfilter.build import Build
from synthfilter.console import Reporter
from synthfilter.core.errors import ShortageError, UserError
from synthfilter.inputs.blocks import InputFile

# Below this much input, starting worker processes costs more than they save.
_PARALLEL_BYTES = 400 << 20

_OUR_ERRORS = {error.__name__: error for error in (UserError, ShortageError)}


def default_workers(input_bytes: int) -> int:
    """Returns the number of worker processes for so much input."""
    return (os.cpu_count() or 1) if input_bytes >= _PARALLEL_BYTES else 1


def run_build(
    build: Build, inputs: Sequence[InputFile], workers: int, reporter: Reporter
) -> None:
    """Runs a build to its end on Beam's local runner.

    Raises:
      UserError, ShortageError: as raised in a worker, whatever the runner made of it.
    """
    total = sum(file.bytes for file in inputs)
    # Options are spelt out: Beam would otherwise read those of the command line.
    options = PipelineOptions([], direct_num_workers=workers)
    runner = FnApiRunner(default_environment=_worker_processes(workers))
    with tempfile.TemporaryDirectory(prefix="synthfilter-") as beats:
        with reporter.follow(beats, {"open": total, "score": total}):
            try:
                with beam.Pipeline(runner=runner, options=options) as pipeline:
                    build.build_from(pipeline, inputs, beats, workers)
            except Exception as error:
                raise find_cause(error) from error


def _worker_processes(workers: int) -> SubprocessSDKEnvironment | None:
    """Returns how to start worker processes; None to work in this one."""
    if workers == 1:
        return None
    command = f"{shlex.quote(sys.executable)} -m synthfilter.worker"
    return SubprocessSDKEnvironment.from_command_string(command_string=command)


def find_cause(error: Exception) -> Exception:
    """Returns the error of ours that a runner's error carries in its text, if any."""
    pattern = rf"(?:^|[.\s])({'|'.join(_OUR_ERRORS)}): (.*?)(?: \[while running |$)"
    found = re.findall(pattern, str(error), re.M)
    if found:
        name, message = found[-1]
        return _OUR_ERRORS[name](message)
    for kind in _OUR_ERRORS.values():
        if isinstance(error, kind):
            return kind(str(error).partition(" [while running ")[0])
    return error
