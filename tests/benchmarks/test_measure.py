"""A measured command is charged with everything that its process tree uses."""

import json
import subprocess
import sys
from pathlib import Path

MEASURE = Path(__file__).parents[2] / "benchmarks/measure.py"
BUSY = "import time\nwhile time.process_time() < 0.4: pass\n"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(MEASURE), *command], capture_output=True, text=True
    )


def measured(program: str) -> dict[str, float]:
    done = run(sys.executable, "-c", program)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_cpu_of_a_grandchild_is_measured() -> None:
    start = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', {!r}])"
    used = measured(start.format(start.format(BUSY)))
    assert 0.4 <= used["cpu_seconds"] < 2
    assert used["processes"] == 3
    assert used["left_running"] == 0


def test_the_cpu_of_a_child_whose_end_is_ignored_is_measured() -> None:
    # What such a child uses after it was last looked at, four times a second, is lost.
    longer = BUSY.replace("0.4", "1.2")
    program = (
        "import signal, subprocess, sys\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        f"subprocess.Popen([sys.executable, '-c', {longer!r}]).wait()\n"
    )
    assert measured(program)["cpu_seconds"] >= 1.2 - 0.25 - 0.05


def test_the_memory_of_all_processes_counts_and_what_is_left_running_is_ended() -> None:
    child = "import time; block = b'x' * 80_000_000; time.sleep({seconds})"
    program = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {child.format(seconds=60)!r}])\n"
        f"{child.format(seconds=1)}\n"
    )
    used = measured(program)
    assert used["peak_bytes"] > 160_000_000
    assert 80_000_000 < used["root_peak_bytes"] < 120_000_000
    assert used["left_running"] == 1
    assert used["wall_seconds"] < 10


def test_measure_hands_on_the_exit_code() -> None:
    done = run(sys.executable, "-c", "raise SystemExit(7)")
    assert done.returncode == 7
    assert json.loads(done.stdout)["exit_code"] == 7


def test_measure_names_a_program_that_cannot_be_started() -> None:
    done = run("/no/such/program")
    assert done.returncode == 1
    assert "cannot start '/no/such/program'" in done.stderr
    assert "Traceback" not in done.stderr
