"""Kills builds at every step that lasts and at random moments, and runs them again.

    python benchmarks/kill_matrix.py

Each case is a build (near copies, a core, a ledger that knows an earlier build, several
shards) in a folder of its own. SIGKILL ends all its processes at once: just before one
of them renames a file, deletes one or tells that a part of a stage is done, or after a
random time. The same command is then run again and must end in the set of a build that
nobody killed: the same content digest, the same sha256 of every file, books that
balance, `synthfilter verify --full` without a fault, every document in the ledger once.
Some builds replace another (`--overwrite`): whenever they are killed, all that the
manifest names must be there, of the one build or the other.

The steps are found, not listed: a build that nobody kills tells them first. Python's
audit hooks tell them in every process, so that the product has no code for this. They
do not see what native code does, such as deltalake's commit; so other builds are killed
from outside, when a file of a stage is seen.
"""

import argparse
import dataclasses
import glob
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from synthfilter.outputs.manifest import FOLDERS, MANIFEST, UNFINISHED, read_manifest
from synthfilter.verify import check_build

WORDS = "river stone harvest letter engine winter garden copper window silver".split()
# In every process: says each step, or dies just before the one that is asked for.
HOOK = """
import os, re, signal, sys

DIE, LOG = os.environ.get("KILL_BEFORE"), os.environ.get("KILL_LOG")
PLACE, TAKEN = os.environ["KILL_PLACE"], {}

def step_of(event, given):
    if event == "os.rename":
        what, path = "rename", given[1]
    elif event in ("os.remove", "os.unlink"):
        what, path = "remove", given[0]
    elif event == "open" and given[1] == "a" and str(given[0]).endswith(".beats"):
        frame = sys._getframe()
        while "stage" not in frame.f_locals:
            frame = frame.f_back
        what, path = "tell", os.path.join(PLACE, frame.f_locals["stage"])
    else:
        return None
    path = os.path.relpath(os.path.abspath(os.fsdecode(path)), PLACE)
    if path.startswith("..") or path.endswith((".part", ".beats")):
        return None
    return what + " " + re.sub("[0-9a-f]{16,}", "*", path)

def look(event, given):
    step = step_of(event, given)
    if step is None:
        return
    TAKEN[step] = TAKEN.get(step, 0) + 1
    step += f" {TAKEN[step]}"
    if step == DIE:
        os.killpg(0, signal.SIGKILL)
    if LOG:
        handle = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, (step + chr(10)).encode())
        os.close(handle)

sys.addaudithook(look)
"""
# Charts take longer than all the rest of a small build, and say nothing here.
PROGRAM = """
import sys
from synthfilter.insight import report_page
report_page.charts_available = lambda: False
from synthfilter.cli import main
sys.exit(main(sys.argv[1:]))
"""
OPTIONS = (
    "build --human h.jsonl --synthetic s.jsonl --core c.jsonl --output out "
    "--ledger ledger --near-duplicates 0.8 --max-uses 1 --synthetic-fraction 0.3 "
    "--flagged-human keep --max-shard-bytes 16000 --quiet"
).split()
# What is seen from outside of the stages: files, and how many new ones; none stands for
# a file that was there and is gone.
SEEN = {
    "the first file is spooled": (".synthfilter-cache/spool/*", 1),
    "the first facts are there": (".synthfilter-cache/facts/**/*.parquet", 1),
    "the first shard is there": ("out/data/*.parquet", 1),
    "the last shard is there": ("out/data/*.parquet", 4),
    "the report is there": ("out/report.json", 1),
    "the ledger has committed": ("ledger/_delta_log/*.json", 1),
    "the manifest is there": ("out/manifest.json", 1),
    "the mark is removed": ("out/_unfinished_build.json", 0),
}
_POLL_SECONDS = 0.002


@dataclasses.dataclass(frozen=True)
class Kill:
    """When a build is killed.

    Attributes:
      workers: Processes of the build.
      replaces: Whether it replaces another build.
      step: The step before which it dies; None for a moment.
      seconds: After how long, without a step.
      seen: What is seen from outside when it is killed, one of `SEEN`.
    """

    workers: int
    replaces: bool
    step: str | None
    seconds: float = 0
    seen: str | None = None

    def __str__(self) -> str:
        """Returns the point in words."""
        seen = self.seen and f"seen from outside: {self.seen}"
        return self.step or seen or f"after {self.seconds:.2f} s"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a build that was killed and run again.

    Attributes:
      killed: Whether it was killed before it had ended.
      digest: Of the set in the end.
      lost: Documents that a build that nobody killed accounts for and this one does
        not, in the set, among what it left out or in the ledger.
      duplicated: Documents that this one has too often.
      faults: What else differs.
    """

    killed: bool
    digest: str
    lost: int
    duplicated: int
    faults: list[str]


def prose(number: int, words: int = 50) -> str:
    """Returns a text of its own for each number."""
    numbers = np.random.default_rng(number).integers(0, 900, words)
    return " ".join(f"{WORDS[i % len(WORDS)]}{i}" for i in numbers)


def write_lines(path: Path, numbers: Sequence[int], name: str) -> None:
    """Writes documents: of eight, one is a copy of another and one a near copy."""
    with path.open("w") as file:
        for place, number in enumerate(numbers):
            text = prose(number - 1 if place % 8 in (3, 6) else number)
            text += " once more" if place % 8 == 6 else ""
            file.write(json.dumps({"id": f"{name}{place}", "text": text}) + "\n")


def arguments_of(kill: Kill) -> list[str]:
    """Returns the command line of a build."""
    options = [*OPTIONS, "--workers", str(kill.workers)]
    return [*options, "--overwrite"] if kill.replaces else options


def start_build(
    folder: Path, hooks: Path, kill: Kill, told: Mapping[str, str]
) -> subprocess.Popen:
    """Starts a build in a process group of its own.

    Args:
      folder: Where its input is.
      hooks: Folder of what every process of it runs first.
      kill: How many processes it has and whether it replaces another build.
      told: What the hooks are told.
    """
    path = f"{hooks}:{os.environ.get('PYTHONPATH', '')}"
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments_of(kill)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "KILL_PLACE": str(folder), **told},
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_when_seen(process: subprocess.Popen, folder: Path, seen: str) -> None:
    """Kills a build, all its processes, as soon as something of `SEEN` is seen."""
    pattern, count = SEEN[seen]

    def present() -> set[str]:
        return set(glob.glob(str(folder / pattern), recursive=True))

    before, was_there = present(), False
    while process.poll() is None:
        new = present() - before
        if len(new) >= count > 0 or (not count and was_there and not new):
            os.killpg(process.pid, signal.SIGKILL)
            return
        was_there = bool(new)
        time.sleep(_POLL_SECONDS)


def finish_build(folder: Path, kill: Kill) -> None:
    """Runs a build to its end, without hooks.

    Raises:
      RuntimeError: it failed.
    """
    command = [sys.executable, "-c", PROGRAM, *arguments_of(kill)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"the build ended with {done.returncode}: {done.stderr}")


def rows_of(folder: Path) -> Counter[str]:
    """Returns what became of each document, and what the ledger says of it."""
    rows: Counter[str] = Counter()
    for kind in FOLDERS.values():
        for path in sorted((folder / "out" / kind).glob("*.parquet")):
            rows.update(kind + repr(row) for row in pq.read_table(path).to_pylist())
    ledger = pa.table(DeltaTable(str(folder / "ledger")).to_pyarrow_table())
    rows.update(map(repr, ledger.drop_columns(["time"]).to_pylist()))
    return rows


def content_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a manifest says of the set, whatever its files are called."""
    said = {name: manifest[name] for name in ("build_id", "content_digest", "books")}
    for kind in FOLDERS:
        said[kind] = [(file["rows"], file["sha256"]) for file in manifest[kind]]
    return said


def faults_of(folder: Path, clean: Mapping[str, Any]) -> Iterator[str]:
    """Yields what differs from a build that nobody killed, and what does not fit."""
    made = read_manifest(str(folder / "out"))
    found, expected = content_of(made), content_of(clean)
    yield from (f"{name} differs" for name in found if found[name] != expected[name])
    for check in check_build(str(folder / "out"), made, full=True):
        yield from (f"{check.name}: {said}" for said in check.wrong)
    left = [UNFINISHED, "_uses", "_next"]
    yield from (f"{name} is left" for name in left if (folder / "out" / name).exists())


def unreadable_files(folder: Path) -> Iterator[str]:
    """Yields the files that a manifest names and that are not as it says."""
    manifest = read_manifest(str(folder))
    for kind in FOLDERS:
        for file in manifest[kind]:
            path = folder / file["path"]
            raw = path.read_bytes() if path.exists() else b""
            if hashlib.sha256(raw).hexdigest() != file["sha256"]:
                yield f"{file['path']} is not as the manifest says"


class Matrix:
    """Builds to kill, all from one start; and the same build that nobody kills.

    Args:
      place: Folder for all of them.
      finish: Runs a build to its end.
    """

    def __init__(
        self, place: Path, finish: Callable[[Path, Kill], None] = finish_build
    ) -> None:
        """Makes the start: files, an earlier build, a ledger that knows it."""
        self.place, self.hooks, self.finish = place, place / "hooks", finish
        self.seconds: dict[tuple[int, bool], float] = {}
        self.hooks.mkdir()
        (self.hooks / "sitecustomize.py").write_text(HOOK)
        start = place / "start"
        start.mkdir()
        write_lines(start / "h.jsonl", range(90), "h")
        with (start / "h.jsonl").open("a") as file:
            file.write("no JSON\n")
        write_lines(start / "c.jsonl", range(500, 512), "c")
        write_lines(start / "s.jsonl", range(1000, 1030), "early")
        finish(start, Kill(1, False, None))
        shutil.rmtree(start / ".synthfilter-cache")
        write_lines(start / "s.jsonl", range(1015, 1095), "s")
        clean = self.copy("clean", False)
        finish(clean, Kill(1, False, None))
        self.manifest, self.rows = read_manifest(str(clean / "out")), rows_of(clean)

    def copy(self, name: str, replaces: bool) -> Path:
        """Returns a new folder with what every build starts from."""
        folder = Path(shutil.copytree(self.place / "start", self.place / name))
        if not replaces:
            shutil.rmtree(folder / "out")
        return folder

    def find_steps(self, workers: int, replaces: bool) -> list[str]:
        """Returns the steps of a build that nobody kills, and times it.

        Raises:
          RuntimeError: it makes another set than with one worker and a new folder.
        """
        folder = self.copy(f"steps-{workers}-{replaces}", replaces)
        log = self.place / f"{folder.name}.log"
        kill = Kill(workers, replaces, None)
        began = time.monotonic()
        process = start_build(folder, self.hooks, kill, {"KILL_LOG": str(log)})
        _, said = process.communicate()
        if process.returncode:
            raise RuntimeError(f"the build ended with {process.returncode}: {said}")
        self.seconds[workers, replaces] = time.monotonic() - began
        faults = list(faults_of(folder, self.manifest))
        if faults or rows_of(folder) != self.rows:
            raise RuntimeError(f"{workers} workers make another set: {faults}")
        return list(dict.fromkeys(log.read_text().splitlines()))

    def random_kills(
        self, workers: int, replaces: bool, count: int, seed: int
    ) -> list[Kill]:
        """Returns moments of a build, from where its imports are about done."""
        draw = random.Random(f"{seed} {workers} {replaces}")
        took = self.seconds[workers, replaces]
        moments = sorted(draw.uniform(0.3 * took, took) for _ in range(count))
        return [Kill(workers, replaces, None, moment) for moment in moments]

    def try_kill(self, name: str, kill: Kill) -> Outcome:
        """Kills one build, runs it again and compares."""
        folder = self.copy(name, kill.replaces)
        told = {} if kill.step is None else {"KILL_BEFORE": kill.step}
        process = start_build(folder, self.hooks, kill, told)
        if kill.seen is not None:
            kill_when_seen(process, folder, kill.seen)
        try:
            timed = kill.step is None and kill.seen is None
            process.wait(kill.seconds if timed else None)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        _, said = process.communicate()
        killed = process.returncode == -signal.SIGKILL
        if not killed and process.returncode:
            raise RuntimeError(f"{kill}: ended with {process.returncode}: {said}")
        out = folder / "out"
        faults = list(unreadable_files(out)) if kill.replaces else []
        # A build that had ended, but for its process, is there already.
        marks = (out / UNFINISHED, out / "_next")
        ended = (out / MANIFEST).exists() and not any(mark.exists() for mark in marks)
        if killed and not (ended and not kill.replaces):
            self.finish(folder, kill)
        faults += faults_of(folder, self.manifest)
        rows = rows_of(folder)
        lost, more = self.rows - rows, rows - self.rows
        digest = read_manifest(str(out))["content_digest"]
        shutil.rmtree(folder)
        return Outcome(killed, digest, sum(lost.values()), sum(more.values()), faults)


def spread(steps: Sequence[str], count: int) -> list[str]:
    """Returns so many of the steps, from the first to the last."""
    chosen = np.linspace(0, len(steps) - 1, min(count, len(steps))).round()
    return [steps[int(place)] for place in chosen]


def plan_kills(
    matrix: Matrix, steps: Mapping[tuple[int, bool], int], moments: int, seed: int
) -> list[Kill]:
    """Returns when to kill.

    Args:
      matrix: The builds.
      steps: How many steps at most, by workers and whether another build is replaced.
      moments: How many random moments of each.
      seed: Of the moments.
    """
    kills = []
    for (workers, replaces), count in steps.items():
        found = matrix.find_steps(workers, replaces)
        kills += [Kill(workers, replaces, step) for step in spread(found, count)]
        kills += matrix.random_kills(workers, replaces, moments, seed)
    return kills


def main() -> int:
    """Reads the command line, runs all cases and prints what became of them."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=1000, help="steps, one worker")
    parser.add_argument("--steps-two-workers", type=int, default=10)
    parser.add_argument("--steps-replacing", type=int, default=20)
    parser.add_argument("--moments", type=int, default=8, help="of each kind of build")
    parser.add_argument(
        "--outside", type=int, default=1, help="times each file is waited for"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="builds at a time")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill-matrix-") as place:
        matrix = Matrix(Path(place))
        counts = {
            (1, False): options.steps,
            (2, False): options.steps_two_workers,
            (1, True): options.steps_replacing,
        }
        kills = plan_kills(matrix, counts, options.moments, options.seed)
        kills += [
            Kill(workers, False, None, seen=seen)
            for workers in (1, 2)
            for seen in SEEN
            for _ in range(options.outside)
        ]
        with ThreadPoolExecutor(options.jobs) as pool:
            names = (f"case-{place}" for place in range(len(kills)))
            outcomes = list(pool.map(matrix.try_kill, names, kills))
        return show(kills, outcomes, matrix.manifest["content_digest"])


def show(kills: Sequence[Kill], outcomes: Sequence[Outcome], digest: str) -> int:
    """Prints a line for each case and one for all; returns the exit code."""
    print(
        f"{'workers':7}  {'replaces':8}  {'killed':6}  {'lost':>4}  {'more':>4}  point"
    )
    for kill, found in zip(kills, outcomes, strict=True):
        print(
            f"{kill.workers:7}  {'yes' if kill.replaces else '':8}  "
            f"{'yes' if found.killed else 'no':6}  {found.lost:4}  "
            f"{found.duplicated:4}  {kill}"
        )
        for fault in found.faults:
            print(f"         {fault}")
    killed = [found for found in outcomes if found.killed]
    lost = sum(found.lost for found in outcomes)
    more = sum(found.duplicated for found in outcomes)
    same = sum(found.digest == digest for found in killed)
    faults = sum(len(found.faults) for found in outcomes)
    print(
        f"points {len(killed)}, lost {lost}, duplicated {more}, digest equal "
        f"{same} of {len(killed)}, other faults {faults}"
    )
    return int(bool(lost or more or faults or same < len(killed)))


if __name__ == "__main__":
    sys.exit(main())
