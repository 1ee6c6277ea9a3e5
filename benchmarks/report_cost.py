"""What a build's own account costs: report, page, sketches, lineage.

    python benchmarks/report_cost.py --corpus benchmarks/corpus/200

builds the same set in turn as it is and with all of that taken out, each in a process
of its own, and prints the processor time of both.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from measure import measure

HERE = Path(__file__).resolve()
ROUNDS = 3


def build_plainly(arguments: list[str]) -> int:
    """Runs the command without anything that only the report needs."""
    from synthfilter import annotate, publish, reporting
    from synthfilter.cli import main
    from synthfilter.insight.figures import Figures

    def nothing(*_: Any, **__: Any) -> None:
        return None

    def no_figures(*_: Any, **__: Any) -> Figures:
        return Figures()

    def no_report(*_: Any, **__: Any) -> dict[str, Any]:
        return {}

    def unsampled(self: Any, *options: Any, ngrams: bool = False, **more: Any) -> None:
        made(self, *options, ngrams=False, **more)

    made = annotate.AnnotateBlocks.__init__
    with (
        mock.patch.object(annotate.AnnotateBlocks, "__init__", unsampled),
        mock.patch.object(publish, "load_ngrams", nothing),
        mock.patch.object(publish, "measure_figures", no_figures),
        mock.patch.object(publish, "measure_documents", no_figures),
        mock.patch.object(publish, "measure_texts", no_figures),
        mock.patch.object(publish, "write_report", no_report),
        mock.patch.object(publish, "show_report", nothing),
        mock.patch.object(reporting, "report_page", nothing),
    ):
        return main(["build", *arguments])


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    asked = ["--human", f"{options.corpus}/human", "--quiet", "--workers", "1"]
    asked += ["--synthetic", f"{options.corpus}/synthetic", "--unit", "words"]
    asked += ["--synthetic-fraction", "0.3"]
    kinds = {
        "with its account": [sys.executable, "-m", "synthfilter", "build"],
        "without": [sys.executable, str(HERE), "--plain"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(options.rounds):
        for name, command in kinds.items():
            with tempfile.TemporaryDirectory() as folder:
                found = measure([*command, *asked, "--output", f"{folder}/out"])
            if found.exit_code:
                sys.exit(f"{name}: exit code {found.exit_code}")
            seconds[name].append(found.cpu_seconds)
    whole, plain = (statistics.median(seconds[name]) for name in kinds)
    print(json.dumps(seconds))
    print(f"with its account {whole:.2f} CPU s, without {plain:.2f}")
    print(f"the account is {(whole - plain) / whole:.1%} of the build's CPU")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--plain"]:
        sys.exit(build_plainly(sys.argv[2:]))
    main()
