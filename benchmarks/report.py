"""What speed.py says: the ratios, the machine they were measured on, the tables."""

import dataclasses
import json
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "synthfilter",
    "apache-beam",
    "pyarrow",
    "numpy",
    "fasttext-community",
    "xxhash",
    "orjson",
    "zstandard",
)
BUILD, SECOND, TWO_WORKERS = "build", "second build", "build, 2 workers"
BARE, READ_WRITE, DATATROVE = "bare loop", "read and write", "datatrove"
# The goals; a ratio is the first figure over the second.
BARE_GOAL = 0.6
SECOND_GOAL = 10
WORKERS_GOAL = 1.6
PEAK_GOAL_MB = 500
BYTES_A_DOCUMENT_GOAL = 200


@dataclasses.dataclass(kw_only=True)
class Corpus:
    """One corpus in one format.

    Args:
      name: Shown in the tables, e.g. "203 MB Parquet".
      folder: Holds human/ and synthetic/.
      root: What corpus.py was told to write; `folder` or the folder above it.
      format: parquet | jsonl.
      documents: Number of documents.
      text_bytes: Size of their text.
    """

    name: str
    folder: Path
    root: Path
    format: str
    documents: int
    text_bytes: int

    def glob(self, label: str) -> str:
        """Returns the glob of one label's files."""
        return f"{self.folder}/{label}/*.{self.format}"


@dataclasses.dataclass(kw_only=True)
class Summary:
    """What a program used on a corpus: the median of its rounds, the highest peak.

    Args:
      cpu_seconds: User and system time of all its processes.
      wall_seconds: From start to end.
      peak_mb: Most memory at once, in 10^6 bytes.
      rows: Documents written.
      rounds: The CPU seconds of each round.
      failure: Why there are no figures, if there are none.
    """

    cpu_seconds: float | None = None
    wall_seconds: float | None = None
    peak_mb: float | None = None
    rows: int | None = None
    rounds: list[float] = dataclasses.field(default_factory=list)
    failure: str | None = None


@dataclasses.dataclass(kw_only=True)
class Ratio:
    """One line of the table of ratios.

    Args:
      what: What was compared.
      corpus: The corpus's name.
      value: The figure, with its unit in `unit`; None if a program failed.
      unit: x | MB | bytes a document.
      goal: The highest or lowest value that is good; None for figures without a goal.
      at_most: Whether `goal` is a highest value.
    """

    what: str
    corpus: str
    value: float | None
    unit: str = "x"
    goal: float | None = None
    at_most: bool = True

    @property
    def met(self) -> bool | None:
        """Returns whether the goal is met; None without goal or figure."""
        if self.value is None or self.goal is None:
            return None
        return self.value <= self.goal if self.at_most else self.value >= self.goal


def over(
    results: dict[str, Summary], first: str, second: str, field: str = "cpu_seconds"
) -> float | None:
    """Returns one program's figure over another's; None if one is missing."""
    figures = [getattr(results.get(n, Summary()), field) for n in (first, second)]
    return None if None in figures else figures[0] / figures[1]


def corpus_ratios(corpus: Corpus, results: dict[str, Summary]) -> list[Ratio]:
    """Returns the ratios of the programs that ran on one corpus."""
    ratios = [
        Ratio(
            what="CPU: build / bare loop",
            corpus=corpus.name,
            value=over(results, BUILD, BARE),
            goal=BARE_GOAL,
        )
    ]
    for peer in (READ_WRITE, DATATROVE):
        if peer in results:
            ratios.append(
                Ratio(
                    what=f"CPU: build / {peer}",
                    corpus=corpus.name,
                    value=over(results, BUILD, peer),
                )
            )
    ratios.append(
        Ratio(
            what="CPU: build / second build with another fraction",
            corpus=corpus.name,
            value=over(results, BUILD, SECOND),
            goal=SECOND_GOAL,
            at_most=False,
        )
    )
    if TWO_WORKERS in results:
        ratios.append(
            Ratio(
                what="wall time: 1 worker / 2 workers",
                corpus=corpus.name,
                value=over(results, BUILD, TWO_WORKERS, "wall_seconds"),
                goal=WORKERS_GOAL,
                at_most=False,
            )
        )
    return ratios


def memory_ratios(
    runs: list[tuple[Corpus, dict[str, Summary]]], *, has_large: bool
) -> list[Ratio]:
    """Returns the build's peak memory and how it grows with the documents.

    Args:
      runs: Corpora and their results, the small Parquet one first.
      has_large: Whether the last one is the large corpus.
    """
    ratios = [
        Ratio(
            what="peak memory of a build",
            corpus=corpus.name,
            value=results[BUILD].peak_mb,
            unit="MB",
            goal=PEAK_GOAL_MB,
        )
        for corpus, results in (runs[:-1] if has_large else runs)
    ]
    if has_large:
        (small, small_results), (large, large_results) = runs[0], runs[-1]
        peaks = small_results[BUILD].peak_mb, large_results[BUILD].peak_mb
        growth = None
        if None not in peaks:
            more_documents = large.documents - small.documents
            growth = (peaks[1] - peaks[0]) * 1e6 / more_documents
        ratios.append(
            Ratio(
                what="peak memory of a build, growth from the small corpus",
                corpus=large.name,
                value=growth,
                unit="bytes a document",
                goal=BYTES_A_DOCUMENT_GOAL,
            )
        )
    return ratios


def describe_machine() -> dict[str, str]:
    """Returns the processor, memory, system and versions of what was measured."""
    cpu = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{package} (not installed)")
    return {
        "processor": cpu,
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": ", ".join(versions),
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def datatrove_versions(python: str) -> str:
    """Returns the versions in datatrove's environment."""
    program = (
        "from importlib.metadata import version as v; "
        "print(*(f'{p} {v(p)}' for p in ('datatrove', 'fasttext-numpy2-wheel', "
        "'pyarrow', 'numpy')), sep=', ')"
    )
    done = subprocess.run([python, "-c", program], capture_output=True, text=True)
    return done.stdout.strip() or done.stderr.strip().split("\n")[-1]


def table(header: list[str], rows: list[list[str]]) -> str:
    """Returns a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def ratio_row(ratio: Ratio) -> list[str]:
    """Returns a ratio as a row of text."""
    value = "not measured"
    if ratio.value is not None:
        digits = 2 if ratio.unit == "x" else 0
        value = f"{ratio.value:,.{digits}f} {ratio.unit}"
    goal = ""
    if ratio.goal is not None:
        bound = "at most" if ratio.at_most else "at least"
        goal = f"{bound} {ratio.goal:g} {ratio.unit}"
    met = {None: "", True: "yes", False: "**no**"}[ratio.met]
    return [ratio.what, ratio.corpus, value, goal, met]


def summary_row(corpus: Corpus, name: str, summary: Summary) -> list[str]:
    """Returns a program's figures as a row of text."""
    if summary.cpu_seconds is None:
        return [corpus.name, name, f"failed, {summary.failure}", "", "", "", ""]
    speed = corpus.text_bytes / 1e6 / summary.cpu_seconds
    return [
        corpus.name,
        name,
        f"{summary.cpu_seconds:.2f}",
        f"{speed:,.0f}",
        f"{summary.wall_seconds:.2f}",
        f"{summary.peak_mb:,.0f}",
        f"{summary.rows:,}",
    ]


def render(
    machine: dict[str, str],
    runs: list[tuple[Corpus, dict[str, Summary]]],
    ratios: list[Ratio],
) -> str:
    """Returns the machine and both tables in Markdown."""
    figures = [
        summary_row(corpus, name, summary)
        for corpus, results in runs
        for name, summary in results.items()
    ]
    return "\n\n".join(
        [
            "\n".join(f"- {name}: {value}" for name, value in machine.items()),
            table(["What", "Corpus", "Figure", "Goal", "Met"], map(ratio_row, ratios)),
            table(
                [
                    "Corpus",
                    "Program",
                    "CPU s",
                    "MB/CPU s",
                    "Wall s",
                    "Peak MB",
                    "Documents written",
                ],
                figures,
            ),
        ]
    )


def to_json(
    machine: dict[str, str],
    runs: list[tuple[Corpus, dict[str, Summary]]],
    ratios: list[Ratio],
) -> str:
    """Returns the machine, every program's figures and the ratios as JSON."""
    facts = {
        "machine": machine,
        "runs": [
            {
                "corpus": corpus.name,
                "documents": corpus.documents,
                "text_bytes": corpus.text_bytes,
                "program": name,
                **dataclasses.asdict(summary),
            }
            for corpus, results in runs
            for name, summary in results.items()
        ],
        "ratios": [dataclasses.asdict(ratio) | {"met": ratio.met} for ratio in ratios],
    }
    return json.dumps(facts, indent=2) + "\n"
