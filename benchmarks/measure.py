"""Measures a command: CPU, wall time and peak memory of its whole process tree.

    python benchmarks/measure.py --json result.json COMMAND ARGUMENT ...

A small process of its own starts the command, so that nothing of the caller is counted,
and adopts whatever the command leaves behind, so that the CPU of every descendant is
counted when it ends. Memory is read from /proc every 250 ms. Linux only.
"""

import argparse
import ctypes
import dataclasses
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

POLL_SECONDS = 0.25
SET_CHILD_SUBREAPER = 36  # prctl(2)
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "ARROW_IO_THREADS",
    ),
    "1",
)


@dataclasses.dataclass(kw_only=True)
class Measurement:
    """What a command and all its descendants used.

    Args:
      exit_code: The command's; minus the signal's number if a signal ended it.
      cpu_seconds: User and system time together.
      wall_seconds: From its start to its end.
      peak_bytes: Most memory at once. One process: its resident memory; several: the
        sum of their proportional shares (PSS), so that shared pages count once.
      root_peak_bytes: Most resident memory of the command's first process, exact.
      processes: How many processes were seen.
      left_running: Descendants that outlived the command and were ended.
    """

    exit_code: int
    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int
    root_peak_bytes: int
    processes: int
    left_running: int


@dataclasses.dataclass(kw_only=True)
class Process:
    """One line of the process table: parent, CPU seconds and resident bytes."""

    parent: int
    cpu_seconds: float
    resident_bytes: int
    ended: bool


def measure(
    command: list[str],
    *,
    environment: dict[str, str] | None = None,
    output: Path | None = None,
) -> Measurement:
    """Runs a command on one thread a process and returns what it used.

    Args:
      command: Program and arguments; no shell.
      environment: Added to the caller's environment and the one-thread settings.
      output: File for stdout and stderr; None leaves them where they are.

    Raises:
      RuntimeError: The command could not be started.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        stream = output.open("wb") if output else None
        try:
            subprocess.run(
                [sys.executable, __file__, "--json", str(report), *command],
                env=os.environ | ONE_THREAD | (environment or {}),
                stdout=stream,
                stderr=stream and subprocess.STDOUT,
            )
        finally:
            if stream:
                stream.close()
        if not report.exists():
            raise RuntimeError(f"expected a program, cannot start {command[0]!r}")
        return Measurement(**json.loads(report.read_text()))


def read_process(pid: int) -> Process | None:
    """Returns a process's line of the process table; None if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in brackets, may itself hold blanks and brackets.
    fields = stat[stat.rindex(")") + 2 :].split()
    return Process(
        parent=int(fields[1]),
        cpu_seconds=(int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
        resident_bytes=int(fields[21]) * resource.getpagesize(),
        ended=fields[0] in "ZX",
    )


def descendants(root: int) -> dict[int, Process]:
    """Returns all processes below `root`, without it."""
    table = {
        int(name): process
        for name in os.listdir("/proc")
        if name.isdigit() and (process := read_process(int(name)))
    }
    found: dict[int, Process] = {}
    parents = {root}
    while parents:
        children = {
            pid: process
            for pid, process in table.items()
            if process.parent in parents and pid not in found
        }
        found |= children
        parents = set(children)
    return found


def proportional_bytes(pid: int) -> int | None:
    """Returns the memory of a process with shared pages split among their users."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def tree_bytes(processes: dict[int, Process]) -> int:
    """Returns the memory that the processes use together."""
    if len(processes) == 1:
        return next(iter(processes.values())).resident_bytes
    total = 0
    for pid, process in processes.items():
        share = proportional_bytes(pid)
        total += process.resident_bytes if share is None else share
    return total


def end_leftovers() -> int:
    """Ends and reaps every descendant of this process; returns how many still ran."""
    left = [
        pid for pid, process in descendants(os.getpid()).items() if not process.ended
    ]
    while running := descendants(os.getpid()):
        for pid, process in running.items():
            if not process.ended:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            break
    return len(left)


def supervise(command: list[str]) -> Measurement:
    """Runs the command as this process's only child until it and its own end."""
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    cpu_of: dict[int, float] = {}
    peak = 0
    started = time.monotonic()
    try:
        root = os.posix_spawnp(command[0], command, os.environ)
    except OSError as error:
        raise SystemExit(f"cannot start {command[0]!r}: {error.strerror}") from None
    ended = os.pidfd_open(root)
    while not select.select([ended], [], [], POLL_SECONDS)[0]:
        processes = descendants(os.getpid())
        cpu_of |= {pid: process.cpu_seconds for pid, process in processes.items()}
        peak = max(peak, tree_bytes(processes))
    wall_seconds = time.monotonic() - started
    _, status, root_usage = os.wait4(root, 0)
    left_running = end_leftovers()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    # A parent that ignores its children's ends hides their CPU from rusage; what was
    # seen of them in /proc is then the better figure.
    cpu_seconds = max(usage.ru_utime + usage.ru_stime, sum(cpu_of.values()))
    root_peak = root_usage.ru_maxrss * 1024
    return Measurement(
        exit_code=os.waitstatus_to_exitcode(status),
        cpu_seconds=cpu_seconds,
        wall_seconds=wall_seconds,
        peak_bytes=max(peak, root_peak),
        root_peak_bytes=root_peak,
        processes=len(cpu_of.keys() | {root}),
        left_running=left_running,
    )


def main() -> None:
    """Reads the command line, runs the command and reports."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--json", type=Path, help="write here instead of printing")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to measure")
    options = parser.parse_args()
    if not options.command:
        parser.error("expected a command to measure, got none")
    measurement = supervise(options.command)
    text = json.dumps(dataclasses.asdict(measurement)) + "\n"
    if options.json:
        options.json.write_text(text)
    else:
        sys.stdout.write(text)
    raise SystemExit(measurement.exit_code if measurement.exit_code >= 0 else 1)


if __name__ == "__main__":
    main()
