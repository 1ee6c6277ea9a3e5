"""The `synthfilter` command.

Exit codes: 0 done; 1 a defect of synthfilter or of the machine, or a store that did not
answer; 2 a wrong option, path or file; 3 the set that was asked for cannot be made from
what was read; 4 a check failed or an alarm fired (verify, diff, monitor,
build --fail-on-drift), or a file that a build read is broken; 130 stopped.
"""

import argparse
import logging
import sys
from collections.abc import Sequence

from apache_beam.io.filesystem import BeamIOError
from apache_beam.options.pipeline_options import PipelineOptions

from synthfilter.build import Build
from synthfilter.calibrate import Calibrate
from synthfilter.console import Reporter
from synthfilter.core import storage
from synthfilter.core.errors import (
    CHECK_FAILED,
    OUR_ERRORS,
    UserError,
    exit_code,
)
from synthfilter.core.reports import PAGE, read_report
from synthfilter.core.secrets import one_line
from synthfilter.detection.detector import load_detector
from synthfilter.diff import add_diff_command
from synthfilter.estimate import estimate_build
from synthfilter.evaluate import Evaluate
from synthfilter.explain import add_explain_command
from synthfilter.insight.drift import describe_drift
from synthfilter.ledger_command import add_ledger_commands
from synthfilter.local import check_workers, run_listed, show_inputs
from synthfilter.measured import describe_broken
from synthfilter.monitor_command import add_monitor_command
from synthfilter.options import OneLineParser, add_command, make_options
from synthfilter.outputs.manifest import claim_output, read_manifest
from synthfilter.remote import make_runner_options, run_build_on
from synthfilter.report_command import add_report_command
from synthfilter.review import add_review_commands
from synthfilter.score import ScoreFile
from synthfilter.sweep import add_sweep_command
from synthfilter.train import Train
from synthfilter.verify import add_verify_command
from synthfilter.version import __version__

# Commands that are all options: the class, and what the list of commands says of it.
_JOBS: dict[str, tuple[type, str]] = {
    "calibrate": (Calibrate, "find thresholds on text of your own"),
    "evaluate": (Evaluate, "measure a detector on labelled documents"),
    "train": (Train, "make a detector from labelled documents"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code."""
    # Beam logs what it then raises, in part without a name; people get one line.
    for name in ("apache_beam", None):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    options, unknown = make_parser().parse_known_args(arguments)
    if unknown and getattr(options, "runner", None) is None:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    options.runner_flags = unknown
    storage.use_credentials()
    try:
        return options.run(options)
    except (*OUR_ERRORS, BeamIOError) as error:
        print(f"synthfilter: error: {one_line(str(error))}", file=sys.stderr)
        return exit_code(error)
    except KeyboardInterrupt:
        print("synthfilter: stopped; run it again to go on", file=sys.stderr)
        return 130


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of all commands."""
    parser = OneLineParser(
        prog="synthfilter",
        description="Keeps model collapse out of training sets.",
        epilog=(__doc__ or "").partition("\n\n")[2].strip(),
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    build = add_command(
        commands, "build", "make a training set from files", Build, _build
    )
    build.add_argument("config", nargs="?", help="YAML file with the same options")
    build.add_argument(
        "--workers", type=int, metavar="N", help="processes (default: by input size)"
    )
    build.add_argument(
        "--dry-run", action="store_true", help="estimate from a sample; write nothing"
    )
    build.add_argument(
        "--runner",
        metavar="NAME",
        help="a runner of Beam, such as FlinkRunner, which takes all options that are "
        "not listed here (default: this machine)",
    )
    score = add_command(
        commands,
        "score",
        "add scores to one file, every row in order",
        ScoreFile,
        _score,
    )
    score.add_argument("input", help="file of any format in docs/inputs.md")
    for name, (job, help_text) in _JOBS.items():
        add_command(commands, name, help_text, job, _run_job)
    add_ledger_commands(commands)
    add_review_commands(commands)
    add_explain_command(commands)
    add_sweep_command(commands)
    add_verify_command(commands)
    add_diff_command(commands)
    add_report_command(commands)
    add_monitor_command(commands)
    inspect = commands.add_parser("inspect", help="show what a build holds")
    inspect.add_argument("folder", help="output folder of a build")
    inspect.set_defaults(run=_inspect, parser=inspect)
    for command in (build, score, *(commands.choices[name] for name in _JOBS)):
        command.add_argument("--quiet", action="store_true", help="print only errors")
    return parser


def _build(options: argparse.Namespace) -> int:
    build: Build = make_options(Build, options.config, vars(options))
    check_workers(options.workers)
    runner_options = _runner_options(options)
    reporter = Reporter(options.quiet)
    inputs = build.list_inputs()
    build.check_reviews()
    build.check_previous()
    show_inputs(build, inputs, reporter)
    detector = load_detector(build.detector)
    threshold = build.choose_threshold(detector)
    reporter.say(
        f"detector: {detector.name}, machine text from score {threshold}, "
        f"{threshold.source}"
    )
    if options.dry_run:
        for line in estimate_build(build, inputs, detector):
            reporter.say(line)
        return 0
    if runner_options is not None:
        if not run_build_on(build, runner_options):
            reporter.say(f"handed to {options.runner}, which tells how it goes on")
            return 0
    else:
        claim_output(build.output, build.overwrite)
        run_listed(build, inputs, options.workers, reporter)
    return _tell_build(build, reporter)


def _runner_options(options: argparse.Namespace) -> PipelineOptions | None:
    """Returns the options of the runner that is named, if one is."""
    if options.runner is None:
        return None
    if options.workers is not None:
        raise UserError(
            f"workers are of this machine; {options.runner} has options of its own"
        )
    found = make_runner_options(
        options.runner, options.runner_flags, options.parser.flags()
    )
    storage.use_credentials(found)
    return found


def _tell_build(build: Build, reporter: Reporter) -> int:
    """Prints what a finished build holds, and returns the exit code."""
    made = read_manifest(build.output)
    reporter.show_manifest(build.output, made)
    reporter.say(f"look at it: {storage.join(build.output, PAGE)}")
    broken = describe_broken(made)
    drifted = describe_drift(read_report(build.output)["drift"])
    for line in [*broken, *drifted]:
        print(f"synthfilter: warning: {line}", file=sys.stderr)
    failed = (broken and build.max_dead_letters is None) or (
        drifted and build.fail_on_drift
    )
    return CHECK_FAILED if failed else 0


def _score(options: argparse.Namespace) -> int:
    job: ScoreFile = make_options(ScoreFile, None, vars(options))
    reporter = Reporter(options.quiet)
    counts = job.run(options.input, reporter)
    reporter.say(counts)
    return 0


def _run_job(options: argparse.Namespace) -> int:
    job = make_options(options.job, None, vars(options))
    job.run(Reporter(options.quiet))
    return 0


def _inspect(options: argparse.Namespace) -> int:
    reporter = Reporter()
    manifest = read_manifest(options.folder)
    reporter.show_manifest(options.folder, manifest)
    reporter.show_prevalence(manifest)
    reporter.show_near_copies(manifest)
    reporter.show_shards(manifest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
