"""Runs the benchmark, or writes what it found into the documentation.

    python -m benchmarks.collapse run --results collapse.jsonl --processes 2
    python -m benchmarks.collapse report --results collapse.jsonl

`run` writes a line for each run that is finished and passes over those that the file
has, so that one that was stopped goes on; `--minutes` stops it in time.
"""

import argparse
import concurrent.futures
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.collapse import report
from benchmarks.collapse.jobs import JOBS, Job, read_results, run_job, write_result


def run(results: Path, processes: int, minutes: float | None) -> bool:
    """Runs what is not finished; returns whether all of it is.

    Args:
      results: JSON-lines file.
      processes: How many runs at a time.
      minutes: After which none is begun any more; None for no such limit.
    """
    end = time.monotonic() + 60 * minutes if minutes else float("inf")
    done = {Job.of(line) for line in read_results(results)}
    waiting = iter([job for job in JOBS if job not in done])
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(processes, context) as pool:
        running = {pool.submit(run_job, job) for job in take(waiting, processes)}
        while running:
            finished, running = concurrent.futures.wait(
                running, return_when=concurrent.futures.FIRST_COMPLETED
            )
            for future in finished:
                line = future.result()
                write_result(results, line)
                print(f"{Job.of(line)}: {line['cpu_s']:.0f} CPU s", flush=True)
            if time.monotonic() < end:
                running |= {
                    pool.submit(run_job, job) for job in take(waiting, len(finished))
                }
    left = len(JOBS) - len({Job.of(line) for line in read_results(results)})
    print(f"{left} of {len(JOBS)} runs left")
    return not left


def take(jobs: Iterator[Job], number: int) -> list[Job]:
    """Returns at most so many of the next jobs."""
    return [job for _, job in zip(range(number), jobs, strict=False)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Reads the command line; returns the exit code, 3 where runs are left."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, said in (("run", "run it"), ("report", "renew docs/collapse.md")):
        command = commands.add_parser(name, help=said)
        command.add_argument("--results", type=Path, required=True)
        if name == "run":
            command.add_argument("--processes", type=int, default=2)
            command.add_argument("--minutes", type=float)
    given = parser.parse_args(arguments)
    if given.command == "run":
        return 0 if run(given.results, given.processes, given.minutes) else 3
    report.write_documentation(read_results(given.results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
