"""The runs of the benchmark, in the order in which they are most telling."""

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.collapse.chain import run_chain
from benchmarks.collapse.policies import POLICIES
from benchmarks.collapse.watch import run_watch
from benchmarks.collapse.world import FULL

TRIGRAMS, NEURAL, WATCH = "trigrams", "neural", "watch"
SEEDS = (1, 2, 3)
# Smaller, since a neural model takes half a minute.
NEURAL_WORLD = FULL._replace(budget=120_000, crawl=144_000, generations=3)
NEURAL_POLICIES = ("replace", "accumulate", "ledger80", "share10", "perfect")
# Longer, since the monitor tells of no change in fewer than three or four builds.
WATCHED_WORLD = FULL._replace(generations=10)
WATCHED = ("dedup", "ledger80")


class Job(NamedTuple):
    """One run.

    Attributes:
      kind: `TRIGRAMS`, `NEURAL` or `WATCH`.
      policy: Its name in `POLICIES`.
      seed: Of its world.
    """

    kind: str
    policy: str
    seed: int

    @classmethod
    def of(cls, line: dict[str, Any]) -> "Job":
        """Returns the job that a line of results is of."""
        return cls(line["kind"], line["policy"], line["seed"])

    def __str__(self) -> str:
        """Returns it in words."""
        return f"{self.kind} {self.policy} {self.seed}"


def list_jobs() -> list[Job]:
    """Returns all runs: everything with one seed, and then the other seeds."""
    jobs = [Job(TRIGRAMS, policy, SEEDS[0]) for policy in POLICIES]
    jobs += [Job(WATCH, policy, SEEDS[0]) for policy in WATCHED]
    jobs += [Job(NEURAL, policy, SEEDS[0]) for policy in NEURAL_POLICIES]
    return jobs + [
        Job(TRIGRAMS, policy, seed) for seed in SEEDS[1:] for policy in POLICIES
    ]


JOBS = list_jobs()


def run_job(job: Job) -> dict[str, Any]:
    """Runs a job and returns its line of results."""
    start = time.process_time()
    if job.kind == WATCH:
        found: dict[str, Any] = run_watch(job.policy, job.seed, WATCHED_WORLD)
    elif job.kind == NEURAL:
        from benchmarks.collapse.neural import Neural

        chain = run_chain(job.policy, job.seed, NEURAL_WORLD, Neural)
        found = {"generations": chain}
    else:
        found = {"generations": run_chain(job.policy, job.seed, FULL)}
    return {**job._asdict(), **found, "cpu_s": round(time.process_time() - start, 1)}


def read_results(path: Path) -> list[dict[str, Any]]:
    """Returns the finished runs of a file; a line that was cut off is none."""
    if not path.exists():
        return []
    lines = path.read_text().split("\n")
    return [json.loads(line) for line in lines[:-1]]


def write_result(path: Path, line: dict[str, Any]) -> None:
    """Adds a finished run to a file, in place of a line that was cut off."""
    whole = path.read_text().rpartition("\n") if path.exists() else ("", "", "")
    draft = path.with_name(f".{path.name}")
    draft.write_text("".join(whole[:2]) + json.dumps(line) + "\n")
    draft.replace(path)
