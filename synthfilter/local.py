"""Runs a build on this machine: how many workers, progress, and errors in one line."""

import contextlib
import logging
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, Optional

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import SubprocessSDKEnvironment

from synthfilter.build import Build
from synthfilter.console import Reporter, count
from synthfilter.core import storage
from synthfilter.core.errors import OUR_ERRORS, UserError
from synthfilter.inputs.blocks import InputFile, read_columns
from synthfilter.inputs.fields import describe, map_fields, parse_fields
from synthfilter.outputs.manifest import claim_output, read_manifest

# Below this much input, starting worker processes costs more than they save.
_PARALLEL_BYTES = 400 << 20

_OUR_ERRORS = {error.__name__: error for error in OUR_ERRORS}


def default_workers(input_bytes: int) -> int:
    """Returns the number of worker processes for so much input."""
    return (os.cpu_count() or 1) if input_bytes >= _PARALLEL_BYTES else 1


def run_build(build: Build, *, workers: Optional[int] = None) -> dict[str, Any]:
    """Runs a build on this machine, prints nothing, and returns the manifest.

    Args:
      build: The build.
      workers: Processes; by the size of the input unless it is given.

    Raises:
      UserError: an option, path or file is wrong.
      ShortageError: the set cannot be made from what was read.
    """
    check_workers(workers)
    reporter = Reporter(quiet=True)
    storage.use_credentials()
    inputs = build.list_inputs()
    build.check_reviews()
    build.check_previous()
    show_inputs(build, inputs, reporter)
    claim_output(build.output, build.overwrite)
    run_listed(build, inputs, workers, reporter)
    return read_manifest(build.output)


def check_workers(workers: Optional[int]) -> None:
    """Raises UserError unless there is a worker at least, or no number is given."""
    if workers is not None and workers < 1:
        raise UserError(f"workers must be at least 1, got {workers}")


def show_inputs(build: Build, inputs: Sequence[InputFile], reporter: Reporter) -> None:
    """Prints what is read as what, a line for each set of columns.

    Raises:
      UserError: a file has no text column of strings, or no file a column that was
        named.
    """
    chosen = parse_fields(build.fields)
    found: dict[tuple[str, str], list[InputFile]] = {}
    mapped: set[str] = set()
    for file in inputs:
        columns = read_columns(file, chosen)
        mapping = map_fields(columns, chosen, file.path) if columns.names else {}
        mapped.update(mapping)
        key = (file.declared.name.lower(), describe(mapping, columns))
        found.setdefault(key, []).append(file)
    nowhere = [f"{name}={chosen[name]}" for name in chosen if name not in mapped]
    if nowhere and mapped:
        raise UserError(f"no input has a column for --fields {' '.join(nowhere)}")
    for (declared, fields), files in found.items():
        size = sum(file.bytes for file in files) / 1e6
        reporter.say(
            f"{declared}: {count(len(files), 'file')}, "
            f"{size:,.1f} MB; fields: {fields or 'none, nothing readable'}"
        )


def run_listed(
    build: Build,
    inputs: Sequence[InputFile],
    workers: Optional[int],
    reporter: Reporter,
) -> None:
    """Runs a build, whose files are listed, to its end on Beam's local runner.

    Args:
      build: The build; its output is claimed.
      inputs: What `list_inputs` returned.
      workers: Processes; by the size of the input unless it is given.
      reporter: Shows how far it is.

    Raises:
      UserError, ShortageError, StoreError: as raised in a worker, whatever the runner
        made of it.
    """
    total = sum(file.bytes for file in inputs)
    workers = workers or default_workers(total)
    # Options are spelt out: Beam would otherwise read those of the command line.
    options = PipelineOptions([], direct_num_workers=workers)
    runner = FnApiRunner(default_environment=_worker_processes(workers))
    with tempfile.TemporaryDirectory(prefix="synthfilter-") as beats:
        with reporter.follow(beats, {"open": total, "score": total}):
            try:
                with _beam_is_quiet():
                    with beam.Pipeline(runner=runner, options=options) as pipeline:
                        build.build_from(pipeline, inputs, beats, workers)
            except Exception as error:
                raise find_cause(error) from error


@contextlib.contextmanager
def _beam_is_quiet() -> Iterator[None]:
    """Keeps Beam from logging what it then raises."""
    logger = logging.getLogger("apache_beam")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


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
