"""The command `synthfilter diff`: what changed between two builds, and why."""

import argparse
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional

from rich import box
from rich.table import Table
from rich.text import Text

from synthfilter.console import Reporter, count
from synthfilter.core import schema, storage
from synthfilter.core.errors import CHECK_FAILED, UserError
from synthfilter.core.reports import read_report, report_path
from synthfilter.core.text import printable
from synthfilter.diff_documents import compare_texts, name_examples
from synthfilter.insight.differences import (
    Differing,
    compare_books,
    compare_figures,
    compare_inputs,
    compare_settings,
    compare_shares,
)
from synthfilter.insight.turnover import NOT_READ
from synthfilter.options import add_command, make_options
from synthfilter.outputs.manifest import read_manifest

_MOST_SHOWN = 20


@dataclasses.dataclass(kw_only=True)
class Diff:
    """Tells what changed between two finished builds, and why.

    Options, inputs, books and shares that differ; which texts are in both sets, which
    in one alone, and what the other build did with those. Texts are told apart by their
    content_hash.

    Args:
      examples: Documents to name of each cause, for which a text is in one set alone.
      json: Print the differences as JSON, for programs.
      exit_code: Exit with code 4 if the two sets differ.
    """

    examples: int = 0
    json: bool = False
    exit_code: bool = False

    def __post_init__(self) -> None:
        """Checks the options."""
        if self.examples < 0:
            raise UserError(f"examples must be at least 0, got {self.examples}")

    def run(self, first: str, second: str, reporter: Reporter) -> dict[str, Any]:
        """Prints and returns the differences.

        Args:
          first: Output folder of a build.
          second: Output folder of another.
          reporter: Where to print.

        Raises:
          UserError: one is no finished build, or cannot be read.
        """
        found = compare_builds(first, second, self.examples)
        if self.json:
            reporter.say(json.dumps(found, indent=2))
        else:
            _show(found, reporter)
        return found


def compare_builds(first: str, second: str, examples: int = 0) -> dict[str, Any]:
    """Returns the differences of two builds, ready for JSON.

    Args:
      first: Output folder of a build.
      second: Output folder of another.
      examples: Documents to name of each cause.
    """
    folders = (first, second)
    manifests = (read_manifest(first), read_manifest(second))
    digests = [manifest["content_digest"] for manifest in manifests]
    turnover = compare_texts(folders, manifests, examples)
    before, after = (_read_report(folder) for folder in folders)
    try:
        return {
            "builds": [manifest["build_id"] for manifest in manifests],
            "folders": [*folders],
            "same_content": digests[0] == digests[1],
            "settings": _rows(compare_settings(*manifests)),
            "inputs": compare_inputs(*manifests),
            "books": _rows(compare_books(*manifests)),
            "shares": _rows(compare_shares(*manifests)),
            "figures": _rows(
                compare_figures(before, after) if before and after else []
            ),
            "texts": {
                "both": turnover.both,
                "origins": dict(turnover.origins.most_common()),
                "only_first": dict(turnover.only[0].most_common()),
                "only_second": dict(turnover.only[1].most_common()),
                "repeated": [*turnover.repeated],
                "examples": name_examples(folders, manifests, turnover),
            },
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"a manifest of {first!r} or {second!r} is not as a build writes it "
            f"({error!r:.80}); `synthfilter verify` says which"
        ) from error


def _rows(found: Sequence[Differing]) -> list[dict[str, Any]]:
    return [row._asdict() for row in found]


def _read_report(folder: str) -> Optional[dict[str, Any]]:
    """Returns the report of a build, None where there is none."""
    known = storage.exists(report_path(folder))
    return read_report(folder) if known else None


def _show(found: Mapping[str, Any], reporter: Reporter) -> None:
    """Prints the differences."""
    for line in _describe_settings(found):
        reporter.say(line)
    reporter.console.print(_books_table(found["books"]))
    if found["shares"]:
        title = "shares, and what they are shares of"
        reporter.console.print(_figures_table(title, found["shares"]))
    for line in describe_texts(found["texts"]):
        reporter.say(line)
    if found["figures"]:
        title = "figures of the reports"
        reporter.console.print(_figures_table(title, found["figures"]))


def _describe_settings(found: Mapping[str, Any]) -> Iterator[str]:
    """Yields what was asked for differently, and of what."""
    first, second = (
        f"{folder} (build {build})"
        for folder, build in zip(found["folders"], found["builds"], strict=True)
    )
    same = "the same content" if found["same_content"] else "other content"
    yield f"from {first} to {second}: {same}"
    for row in found["settings"]:
        yield f"option {row['name']}: {_arrow(row)}"
    inputs = found["inputs"]
    counts = (f"{len(files):,} {what}" for what, files in inputs.items())
    yield f"inputs: {', '.join(counts)}"
    for what, files in inputs.items():
        if what == "unchanged":
            continue
        for path in files[:_MOST_SHOWN]:
            yield f"  {what}: {printable(path, 120)}"
        if len(files) > _MOST_SHOWN:
            yield f"  and {len(files) - _MOST_SHOWN:,} more {what}"
    moved = any(files for what, files in inputs.items() if what != "unchanged")
    if not (found["same_content"] or found["settings"] or moved):
        yield "no option and no input differs; a ledger knew other uses or verdicts"


def _arrow(row: Mapping[str, Any]) -> str:
    first, second = (_said(row[name]) for name in ("first", "second"))
    return f"{first} -> {second}"


def _said(value: Any) -> str:
    """Returns a value as people read it."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, str):
        return printable(value, 120)
    return printable(json.dumps(value), 120) if value is not None else "none"


def _books_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Returns the books side by side."""
    table = Table(box=box.SIMPLE, title="documents", title_justify="left")
    table.add_column("")
    for name in ("first", "second", "difference"):
        table.add_column(name, justify="right")
    for row in rows:
        first, second = row["first"] or 0, row["second"] or 0
        table.add_row(
            Text(row["name"].replace("_", " ")),
            f"{first:,}",
            f"{second:,}",
            f"{second - first:+,}" if first != second else "",
        )
    return table


def describe_texts(texts: Mapping[str, Any]) -> Iterator[str]:
    """Yields which texts are in which set, and why."""
    yield f"in both sets: {count(texts['both'], 'text')}"
    for change, docs in texts["origins"].items():
        yield f"  {change}: {docs:,}"
    for side, name, other in (
        ("only_first", "first", "second"),
        ("only_second", "second", "first"),
    ):
        causes = texts[side]
        yield f"only in the {name}: {count(sum(causes.values()), 'text')}"
        for cause, docs in causes.items():
            why = f"the {other} did not read {'it' if docs == 1 else 'them'}"
            if cause != NOT_READ:
                why = f"in the {other} left out for {cause.replace('_', ' ')}"
            yield f"  {docs:,}: {why}"
            for example in texts["examples"].get(side, {}).get(cause, ()):
                yield f"    {_describe_example(example)}"
    for name, rows in zip(("first", "second"), texts["repeated"], strict=True):
        if rows:
            yield f"repeated in the {name}: {count(rows, 'row')}"


def _describe_example(example: Mapping[str, Any]) -> str:
    said = [printable(str(example[schema.ID]))]
    if example[schema.SOURCE]:
        said.append(f"of {printable(example[schema.SOURCE])}")
    if example[schema.EVIDENCE]:
        said.append(f"({printable(example[schema.EVIDENCE], 120)})")
    return " ".join(said)


def _figures_table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Returns figures that differ, side by side."""
    table = Table(box=box.SIMPLE, title=title, title_justify="left")
    for name in ("", "first", "second"):
        table.add_column(name, justify="right" if name else "left")
    for row in rows:
        values = (_said(row[name]) for name in ("first", "second"))
        table.add_row(Text(printable(row["name"], 80)), *map(Text, values))
    return table


def add_diff_command(commands: Any) -> None:
    """Adds `diff` to the commands of a parser."""
    command = add_command(
        commands, "diff", "what changed between two builds, and why", Diff, _run
    )
    command.add_argument("first", help="output folder of a build")
    command.add_argument("second", help="output folder of another")


def _run(options: argparse.Namespace) -> int:
    job = make_options(Diff, None, vars(options))
    found = job.run(options.first, options.second, Reporter())
    return CHECK_FAILED if job.exit_code and not found["same_content"] else 0
