"""The whole build on a Flink cluster of this machine: `make test-flink`."""

import dataclasses
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from synthfilter.outputs.manifest import FOLDERS, UNFINISHED, read_manifest
from tests.flink.cluster import CACHE, SLOTS, Cluster, environment
from tests.flink.fetch import SDK, NotServed, fetch_jars

pytestmark = pytest.mark.flink

BUILD_SECONDS = 300
WORDS = """the a of to in and is was it for on with as at by from river stone harvest
letter engine winter garden copper window silver morning station teacher market bridge
field weather paper kitchen village mountain doctor history music summer question road
evening money language school harbour family reason water island small long early old
quiet narrow bright heavy open common late near far good walked carried opened found
heard kept wrote built crossed answered waited remembered sold mended counted watched
because although until before after while where under over between""".split()
COMMAND = [sys.executable, "-W", "ignore", "-m", "synthfilter", "build", "--quiet"]
OPTIONS = ["--output", "out"]  # relative, as people write it
OPTIONS += ["--near-duplicates", "0.8", "--synthetic-fraction", "0.3"]
OPTIONS += ["--ledger", "ledger", "--max-uses", "1", "--max-shard-bytes", "400000"]


def prose(number: int, first: str = "") -> str:
    """A text of its own for each number, of 40 to 120 words."""
    random = np.random.default_rng(number)
    words = [WORDS[i] for i in random.integers(0, len(WORDS), random.integers(40, 120))]
    return " ".join([first, *words, "."]).strip().capitalize()


def texts(first: int, count: int) -> list[str]:
    """Texts of which each tenth is a copy of another, and each tenth a near copy."""
    made = []
    for number in range(first, first + count):
        origin = number - number % 10
        one = {7: prose(origin), 8: prose(origin, "once")}.get(number % 10)
        made.append(one or prose(number))
    return made


def write_inputs(folder: Path) -> int:
    """Writes 4,800 documents in three origins and formats; returns their number."""
    for number in range(2):
        human = texts(10_000 * number, 1_500)
        path = folder / f"human/part-{number}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        ids = [f"h{number}-{i}" for i in range(len(human))]
        pq.write_table(pa.table({"id": ids, "text": human}), path, row_group_size=300)
    made = [{"id": f"s{i}", "text": t} for i, t in enumerate(texts(30_000, 900))]
    found = [{"id": f"u{i}", "text": t} for i, t in enumerate(texts(40_000, 900))]
    # Copies of what is declared, and a line that nobody can read.
    found[::50] = [{"id": f"c{i}", "text": prose(i)} for i in range(0, 180, 10)]
    (folder / "synthetic").mkdir()
    with gzip.open(folder / "synthetic/part.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in made)
    (folder / "unknown").mkdir()
    lines = [json.dumps(row) + "\n" for row in found]
    (folder / "unknown/part.jsonl").write_text("".join([*lines, "{broken\n"]))
    return 2 * 1_500 + len(made) + len(found) + 1


@dataclasses.dataclass
class Run:
    """What a build said, and how long it took."""

    code: int
    said: str
    seconds: float


@dataclasses.dataclass
class Place:
    """A folder with inputs and the ledger of an earlier build; each run has a copy."""

    folder: Path
    documents: int

    def start(self, name: str, *options: str) -> subprocess.Popen:
        """Starts a build in the folder of a run, which is made if it is new."""
        run = self.folder / name
        if not run.exists():
            run.mkdir()
            if (self.folder / "ledger").exists():
                shutil.copytree(self.folder / "ledger", run / "ledger")
        # Dead letters have the paths of inputs, so these are the same everywhere.
        inputs = [
            part
            for origin in ("human", "synthetic", "unknown")
            for part in (f"--{origin}", str(self.folder / origin))
        ]
        return subprocess.Popen(
            [*COMMAND, *inputs, *OPTIONS, *options],
            cwd=run,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def build(self, name: str, *options: str) -> Run:
        """Runs a build to its end."""
        began = time.monotonic()
        return finish(self.start(name, *options), began)

    def made(self, name: str) -> dict[str, Any]:
        """Returns what must not depend on the runner: files, books, shares, ledger."""
        manifest = read_manifest(str(self.folder / name / "out"))
        keys = (
            "build_id",
            "content_digest",
            "books",
            "shares",
            "near_copies",
            *FOLDERS,
        )
        ledger = DeltaTable(str(self.folder / name / "ledger")).to_pyarrow_table()
        rows = pa.table(ledger).drop_columns(["time"]).to_pylist()
        return {key: manifest[key] for key in keys} | {
            "ledger": sorted(map(repr, rows))
        }


def finish(process: subprocess.Popen, began: float) -> Run:
    """Waits for a build; one that takes too long is ended, with what it started."""
    try:
        said, _ = process.communicate(timeout=BUILD_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        said += f"(ended after {BUILD_SECONDS} s)"
    return Run(process.returncode, said, time.monotonic() - began)


def wait_until(look: Callable[[], bool], process: subprocess.Popen) -> None:
    """Waits until something is seen while a build runs."""
    while not look():
        assert process.poll() is None, f"ended too early: {process.communicate()[0]}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def cluster(
    tmp_path_factory: pytest.TempPathFactory, summary: list[str]
) -> Iterator[Cluster]:
    began = time.monotonic()
    try:
        jars = fetch_jars(CACHE)
    except NotServed as missing:
        pytest.skip(str(missing))
    fetched = time.monotonic() - began
    with Cluster(jars, tmp_path_factory.mktemp("flink"), restarts=3) as cluster:
        started = time.monotonic() - began - fetched
        summary.append(
            f"Flink {jars.flink}, job server of Beam {jars.beam}, SDK {SDK}: fetched "
            f"in {fetched:.0f} s, started in {started:.0f} s, {SLOTS} slots; logs in "
            f"{cluster.folder / 'logs'}"
        )
        yield cluster


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("builds")
    place = Place(folder, write_inputs(folder))
    # A build before this one, so that the ledger knows texts.
    earlier = place.build("earlier", "--seed", "9", "--target-size", "60000")
    assert earlier.code == 0, earlier.said
    (folder / "earlier/ledger").rename(folder / "ledger")
    return place


@pytest.fixture(scope="module")
def local(place: Place, summary: list[str]) -> dict[str, Any]:
    """What one process of this machine makes."""
    run = place.build("local", "--workers", "1")
    assert run.code == 0, run.said
    made = place.made("local")
    summary.append(
        f"this machine, 1 worker: {run.seconds:.1f} s, {place.documents:,} documents, "
        f"{len(made['shards'])} shards, digest {made['content_digest']}"
    )
    return made


def test_flink_makes_the_set_of_this_machine(
    cluster: Cluster, place: Place, local: dict[str, Any], summary: list[str]
) -> None:
    run = place.build("flink", *cluster.options())
    assert run.code == 0, run.said
    made = place.made("flink")
    stages = cluster.stages()
    summary.append(
        f"Flink: {run.seconds:.1f} s, {len(stages)} stages of Python, digest "
        f"{made['content_digest']}, equal: {'yes' if made == local else 'NO'}"
    )
    slowest = sorted(stages, reverse=True)[:6]
    summary.append("  " + ", ".join(f"{name} {s:.1f} s" for s, name in slowest))
    assert len(made["shards"]) > 2
    assert made["books"]["read"] == place.documents
    assert made == local


def test_what_cannot_be_made_is_one_line_and_its_exit_code(
    cluster: Cluster, place: Place, summary: list[str]
) -> None:
    options = ["--cache", "../flink/.synthfilter-cache", "--on-shortage", "fail"]
    run = place.build("short", *cluster.options(), *options, "--target-size", "9000000")
    summary.append(
        f"a shortage on Flink: exit code {run.code} after {run.seconds:.0f} s"
    )
    assert run.code == 3, run.said
    assert run.said.startswith("synthfilter: error: ")
    assert run.said.count("\n") == 1
    assert not (place.folder / "short/out/manifest.json").exists()


def test_a_worker_and_a_task_manager_die_and_the_set_is_the_same(
    cluster: Cluster, place: Place, local: dict[str, Any], summary: list[str]
) -> None:
    # Flink hands the stages that follow to the worker that is gone, and gives up.
    before = cluster.worker_processes()
    began = time.monotonic()
    process = place.start("killed", *cluster.options())
    facts = place.folder / "killed/.synthfilter-cache/facts"
    wait_until(lambda: any(facts.rglob("*.parquet")), process)
    mine = set(cluster.worker_processes()) - set(before)
    os.kill(max(mine), signal.SIGKILL)
    run = finish(process, began)
    summary.append(f"a worker killed: exit code {run.code} after {run.seconds:.0f} s")
    assert run.code == 1, run.said
    assert run.said.startswith("synthfilter: error: FlinkRunner failed: ")
    assert run.said.count("\n") == 1
    out = place.folder / "killed/out"
    assert (out / UNFINISHED).exists()
    assert not (out / "manifest.json").exists()

    # The same command again; now the machine with the slots is lost, and replaced.
    began = time.monotonic()
    process = place.start("killed", *cluster.options())
    wait_until(lambda: any((out / "data").glob("*.parquet")), process)
    done, total = cluster.tasks()
    cluster.kill("task_manager")
    cluster.start_task_manager()
    run = finish(process, began)
    assert run.code == 0, run.said
    made = place.made("killed")
    summary.append(
        f"run again, TaskManager killed after {done} of {total} tasks: recovered, "
        f"{run.seconds:.0f} s, digest equal: {'yes' if made == local else 'NO'}"
    )
    assert made == local
