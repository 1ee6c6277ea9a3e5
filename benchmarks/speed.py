"""Compares `synthfilter build` with the bare loop, reading and writing, and datatrove.

    python benchmarks/speed.py --corpus benchmarks/corpus/200 \
        --large benchmarks/corpus/2000 --datatrove-python PATH --json speed.json

runs everything on this machine, a program at a time, round after round, and prints the
ratios as Markdown tables with the machine named. The corpora come from corpus.py; a
corpus that also holds `jsonl/` is measured from its JSONL files too. A program that
fails is named with its last line, and the ratios that need it are left empty.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
from measure import Measurement, measure
from report import (
    BARE,
    BUILD,
    DATATROVE,
    READ_WRITE,
    SECOND,
    TWO_WORKERS,
    Corpus,
    Summary,
    corpus_ratios,
    datatrove_versions,
    describe_machine,
    memory_ratios,
    render,
    to_json,
)

HERE = Path(__file__).parent
# The second build lies beside the first, where it finds its cache; the build with two
# workers has a folder, and so a cache, of its own.
OUTPUTS = {
    BUILD: "one/out",
    SECOND: "one/second",
    TWO_WORKERS: "two/out",
    BARE: "bare.parquet",
    READ_WRITE: "copy.parquet",
    DATATROVE: "datatrove",
}


def open_corpus(root: Path, format: str) -> Corpus:
    """Returns a corpus that corpus.py made; one that is missing ends the program."""
    folder = root / "jsonl" if format == "jsonl" else root
    facts_path = folder / "corpus.json"
    if not facts_path.exists():
        raise SystemExit(f"expected {facts_path}; make the corpus with corpus.py")
    facts = json.loads(facts_path.read_text())
    megabytes = facts["text_bytes"] / 1e6
    title = {"parquet": "Parquet", "jsonl": "JSONL"}[format]
    return Corpus(
        name=f"{megabytes:,.0f} MB {title}",
        folder=folder,
        root=root,
        format=format,
        documents=facts["documents"],
        text_bytes=facts["text_bytes"],
    )


def synthfilter_command() -> list[str]:
    """Returns how to start synthfilter with the Python that runs this."""
    script = Path(sys.executable).with_name("synthfilter")
    return [str(script)] if script.exists() else [sys.executable, "-m", "synthfilter"]


def build_command(
    corpus: Corpus, output: Path, *, fraction: float = 0.3, workers: int = 1
) -> list[str]:
    """Returns the build that is measured."""
    return [
        *synthfilter_command(),
        *("build", "--human", corpus.glob("human")),
        *("--synthetic", corpus.glob("synthetic")),
        *("--synthetic-fraction", str(fraction), "--unit", "words"),
        *("--workers", str(workers), "--output", str(output), "--quiet"),
    ]


def bare_command(corpus: Corpus, output: Path, options: list[str]) -> list[str]:
    """Returns the bare loop over the same files."""
    program = [sys.executable, str(HERE / "bare_loop.py"), *options]
    inputs = [corpus.glob("human"), corpus.glob("synthetic")]
    return [*program, "--output", str(output), *inputs]


def command_of(
    name: str, corpus: Corpus, scratch: Path, model: Path, datatrove_python: str | None
) -> list[str]:
    """Returns a program's command line; its output goes to `OUTPUTS` in `scratch`."""
    output = scratch / OUTPUTS[name]
    if name == BUILD:
        return build_command(corpus, output)
    if name == SECOND:
        return build_command(corpus, output, fraction=0.1)
    if name == TWO_WORKERS:
        return build_command(corpus, output, workers=2)
    if name == BARE:
        return bare_command(corpus, output, ["--model", str(model)])
    if name == READ_WRITE:
        return bare_command(corpus, output, ["--only", "read-write"])
    return [
        *(str(datatrove_python), str(HERE / "datatrove_peer.py")),
        *("--corpus", str(corpus.root), "--format", corpus.format),
        *("--model", str(model), "--output", str(output)),
    ]


def last_line(log: Path) -> str:
    """Returns the last line that a program printed."""
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")


def rows_written(output: Path) -> int:
    """Returns how many documents a program wrote."""
    files = [output] if output.is_file() else output.glob("*.parquet")
    if (output / "data").is_dir():
        files = (output / "data").glob("*.parquet")
    return sum(pq.read_metadata(path).num_rows for path in files)


def run_program(
    command: list[str], output: Path, log: Path, label: str
) -> tuple[Measurement | None, int | str]:
    """Runs and measures a program.

    Returns:
      What it used and how many documents it wrote, or None and why it failed.
    """
    used = measure(command, output=log)
    print(
        f"{label}: exit {used.exit_code}, {used.cpu_seconds:.2f} s CPU, "
        f"{used.wall_seconds:.2f} s, {used.peak_bytes / 1e6:.0f} MB",
        file=sys.stderr,
        flush=True,
    )
    if used.exit_code:
        return None, f"exit {used.exit_code}: {last_line(log)}"
    return used, rows_written(output)


def run_rounds(
    corpus: Corpus,
    names: list[str],
    *,
    model: Path,
    datatrove_python: str | None,
    rounds: int,
    scratch: Path,
) -> dict[str, Summary]:
    """Runs the programs in turn, `rounds` times, each round in an empty folder."""
    results = {name: Summary() for name in names}
    measured: dict[str, list[Measurement]] = {name: [] for name in names}
    for number in range(rounds):
        folder = Path(tempfile.mkdtemp(prefix="speed-", dir=scratch))
        try:
            for part in ("one", "two"):
                (folder / part).mkdir()
            for name in names:
                if name == SECOND and results[BUILD].failure:
                    results[name].failure = "the first build failed"
                if results[name].failure:
                    continue
                command = command_of(name, corpus, folder, model, datatrove_python)
                used, outcome = run_program(
                    command,
                    folder / OUTPUTS[name],
                    folder / "log.txt",
                    f"{corpus.name}, round {number + 1}, {name}",
                )
                if used is None:
                    results[name] = Summary(failure=str(outcome))
                    continue
                measured[name].append(used)
                results[name] = summarise(measured[name], int(outcome))
        finally:
            shutil.rmtree(folder)
    return results


def summarise(measured: list[Measurement], rows: int) -> Summary:
    """Returns the median of the rounds so far."""
    return Summary(
        rows=rows,
        cpu_seconds=statistics.median(used.cpu_seconds for used in measured),
        wall_seconds=statistics.median(used.wall_seconds for used in measured),
        peak_mb=max(used.peak_bytes for used in measured) / 1e6,
        rounds=[used.cpu_seconds for used in measured],
    )


def plan_runs(
    options: argparse.Namespace,
) -> list[tuple[Corpus, list[str], int]]:
    """Returns which programs run on which corpus, and how often."""
    peers = [BARE, READ_WRITE] + ([DATATROVE] if options.datatrove_python else [])
    names = [BUILD, SECOND, *peers]
    plans = [(open_corpus(options.corpus, "parquet"), names, options.rounds)]
    if (options.corpus / "jsonl").exists():
        plans.append((open_corpus(options.corpus, "jsonl"), names, options.rounds))
    if options.large:
        names = [BUILD, SECOND, TWO_WORKERS, BARE]
        large = open_corpus(options.large, "parquet")
        plans.append((large, names, options.large_rounds))
    return plans


def read_options() -> argparse.Namespace:
    """Returns the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", required=True, type=Path, help="about 200 MB")
    parser.add_argument("--large", type=Path, help="about 2 GB: growth, workers")
    model = HERE.parent / "models/detector.bin"
    parser.add_argument("--model", type=Path, default=model, help="for the peers")
    parser.add_argument("--datatrove-python", help="Python that has datatrove")
    parser.add_argument("--rounds", type=int, default=3, help="on the small corpus")
    parser.add_argument("--large-rounds", type=int, default=1)
    parser.add_argument("--scratch", type=Path, help="folder for outputs; needs space")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    if not options.model.exists():
        parser.error(f"expected a fastText model at {options.model}, found none")
    return options


def main() -> None:
    """Runs everything and prints the tables."""
    options = read_options()
    plans = plan_runs(options)
    machine = describe_machine()
    if options.datatrove_python:
        machine["datatrove with"] = datatrove_versions(options.datatrove_python)
    runs, ratios = [], []
    for corpus, names, rounds in plans:
        results = run_rounds(
            corpus,
            names,
            model=options.model,
            datatrove_python=options.datatrove_python,
            rounds=rounds,
            scratch=options.scratch or Path(tempfile.gettempdir()),
        )
        runs.append((corpus, results))
        ratios += corpus_ratios(corpus, results)
    ratios += memory_ratios(runs, has_large=options.large is not None)
    print(render(machine, runs, ratios))
    if options.json:
        options.json.write_text(to_json(machine, runs, ratios))


if __name__ == "__main__":
    main()
