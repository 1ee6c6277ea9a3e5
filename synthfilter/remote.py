"""Runs a build on any Beam runner: which flags are the runner's, errors in one line."""

import dataclasses
import os
from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    PipelineOptions,
    StandardOptions,
    TestOptions,
)

from synthfilter.build import Build
from synthfilter.core import storage
from synthfilter.core.errors import OUR_ERRORS, RunnerError, UserError
from synthfilter.core.filesystems import is_installed
from synthfilter.detection.detector import PIN
from synthfilter.local import find_cause
from synthfilter.options import suggest

LOCAL_RUNNER = "FnApiRunner"
# In Beam 2.77 it runs only the last sink and ignores tagged outputs, without a word.
_REFUSED = ("DaskRunner", "dask")
_DATAFLOW = ("DataflowRunner", "dataflow")
# How much alike a flag must be to one of ours to be taken for a misspelt one.
_LIKENESS = 0.85


def make_runner_options(
    runner: str, flags: Sequence[str], ours: Iterable[str]
) -> PipelineOptions:
    """Returns Beam's options.

    Args:
      runner: Its name, as in `--runner`.
      flags: For the runner.
      ours: Flags of our own. Beam passes over flags that it does not know, so what is
        nearly one of these is refused.

    Raises:
      UserError: the runner loses outputs or is not installed; a flag is nearly one of
        ours.
    """
    _check_runner(runner)
    beams = PipelineOptions([]).get_all_options()
    ours = list(ours)
    for flag in flags:
        name = flag.partition("=")[0]
        if not name.startswith("--") or name[2:].replace("-", "_") in beams:
            continue
        hint = suggest(name.replace("_", "-"), ours, _LIKENESS)
        if hint:
            raise UserError(f"unrecognized arguments: {flag}{hint}")
    # Never those of the command line of the process, which Beam takes for None.
    options = PipelineOptions(list(flags))
    options.view_as(StandardOptions).runner = runner
    return options


def _check_runner(name: str) -> None:
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


def run_build_on(build: Build, options: PipelineOptions) -> bool:
    """Runs a build on the runner that the options name.

    Returns whether it is done: it is not if the options say not to wait, or not to run.

    Raises:
      UserError, ShortageError, StoreError: as raised in a worker, whatever the runner
        made of it.
      RunnerError: the runner or its machines failed.
    """
    asked = options.view_as(StandardOptions)
    if asked.runner != LOCAL_RUNNER:
        build = with_absolute_paths(build)
    runner, waits = asked.runner, not asked.no_wait_until_finish
    pipeline = beam.Pipeline(options=options)
    _ = pipeline | "Build" >> build
    try:
        result = pipeline.run()
        if waits:
            result.wait_until_finish()
    except Exception as error:
        cause = find_cause(error)
        if isinstance(cause, OUR_ERRORS) or runner == LOCAL_RUNNER:
            raise cause from error
        raise RunnerError(f"{runner} failed: {_last_line(error)}") from error
    return waits and not options.view_as(TestOptions).dry_run


def with_absolute_paths(build: Build) -> Build:
    """Returns the build with local paths that do not depend on who works where.

    Workers run in folders of their own: a relative path would lead nowhere, or astray.
    """
    changed: dict[str, Any] = {}
    for name in ("human", "synthetic", "unknown", "core", "against"):
        changed[name] = list(map(storage.absolute, getattr(build, name)))
    for name in ("output", "cache", "ledger", "previous"):
        path = getattr(build, name)
        changed[name] = path and storage.absolute(path)
    changed["expected_records"] = {
        storage.absolute(name) if "/" in name else name: records
        for name, records in build.expected_records.items()
    }
    detector = build.detector or ""
    # Else it is a class.
    if os.path.exists(detector.partition(PIN)[0]):
        changed["detector"] = storage.absolute(detector)
    return dataclasses.replace(build, **changed)


def _last_line(error: Exception) -> str:
    """Returns what an error ends with; runners begin with pages of their own traces."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith("at ")]
    return said[-1] if said else type(error).__name__
