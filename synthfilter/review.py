"""The command `synthfilter review`: people judge documents of a build."""

import argparse
import collections
import dataclasses
import os
from collections.abc import Mapping
from typing import Any, Optional

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from rich import box
from rich.table import Table
from rich.text import Text

from synthfilter.console import Reporter, count
from synthfilter.core import schema, storage
from synthfilter.core.errors import UserError
from synthfilter.core.verdicts import (
    FOCUS,
    FOCUSES,
    REVIEWER,
    VERDICT,
    VERDICT_NAMES,
    VERDICTS,
)
from synthfilter.decisions.verdicts import (
    describe_error,
    latest_verdicts,
    measure_agreement,
    measure_error,
    weigh_documents,
)
from synthfilter.evaluate import printable
from synthfilter.insight.review_page import PageDocument, review_page
from synthfilter.ledger.verdicts import add_verdicts, read_verdicts
from synthfilter.options import add_command, make_options
from synthfilter.outputs.manifest import read_manifest
from synthfilter.review_files import (
    LABEL_STUDIO_CONFIG,
    PAGE_FORMAT,
    Row,
    about_document,
    as_table,
    csv_rows,
    json_lines,
    label_studio_tasks,
    read_verdict_file,
)
from synthfilter.review_labels import MakeLabels
from synthfilter.review_sample import THRESHOLD, Sample, choose_sample, read_batches

_SUFFIXES = {"html": "html", "labelstudio": "json", "csv": "csv", "jsonl": "jsonl"}
_MOST_SHOWN = 40


@dataclasses.dataclass(kw_only=True)
class ExportReview:
    """Writes documents of a finished build to a file in which people judge them.

    What the build knew of a document is not shown before the verdict: the page tells
    it afterwards, the other formats carry it in one unreadable column.

    Args:
      n: How many documents, at most.
      focus: Which ones: threshold (the scores nearest to it), conflicts (scores that
        contradict most what was declared), random (any of data/), synthetic (any
        that count as synthetic in data/) or scored (any that have a score, in data/ or
        left out by it, for calibrate). Only random and synthetic say how many of the
        others are wrong.
      format: html (a page that needs no server), labelstudio (tasks, and the labelling
        configuration beside them), csv or jsonl.
      output: File to write; without it, review/FOCUS in the build's folder.
      reviewer: Who will judge; without it, the page asks. With a ledger, only what
        this reviewer judged already is left out.
      ledger: Folder of the ledger; documents that have a verdict in it are left out.
      seed: Of the random choice and order.
    """

    n: int = 200
    focus: str = THRESHOLD
    format: str = "html"
    output: Optional[str] = None
    reviewer: Optional[str] = None
    ledger: Optional[str] = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Checks the options; reads nothing."""
        if self.n < 1:
            raise UserError(f"n must be at least 1, got {self.n}")
        for name, known in (("focus", FOCUSES), ("format", tuple(_SUFFIXES))):
            if getattr(self, name) not in known:
                raise UserError(
                    f"{name} must be one of {', '.join(known)}, got "
                    f"{getattr(self, name)!r}"
                )

    def run(self, folder: str, reporter: Reporter) -> str:
        """Writes the file and returns its path.

        Raises:
          UserError: there is no finished build, or the file exists.
          ShortageError: there is no document to judge.
        """
        manifest = read_manifest(folder)
        file = f"review/{self.focus}.{_SUFFIXES[self.format]}"
        output = self.output or storage.join(folder, file)
        written = {output: b""}
        if self.format == "labelstudio":
            written[f"{os.path.splitext(output)[0]}.xml"] = LABEL_STUDIO_CONFIG.encode()
        for path in written:
            if storage.exists(path):
                raise UserError(f"output {path!r} exists; name a new file")
        sample = choose_sample(
            folder, manifest, self.focus, self.n, self.seed, self._judged()
        )
        written[output] = self._content(sample, manifest["build_id"])
        for path, data in written.items():
            storage.write_bytes(path, data)
        reporter.say(
            f"{output}: {count(sample.documents.num_rows, 'document')} of {sample.of:,}"
            f", focus {self.focus}"
        )
        if len(written) > 1:
            reporter.say(f"{[*written][1]}: the labelling configuration for them")
        return output

    def _judged(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the content hashes of what needs no verdict any more."""
        rows = VERDICTS.empty_table()
        if self.ledger is not None:
            rows = read_verdicts(self.ledger)
        if self.reviewer is not None:
            rows = rows.filter(pc.equal(rows.column(REVIEWER), self.reviewer))
        return weigh_documents(rows)[:2]

    def _content(self, sample: Sample, build_id: str) -> bytes:
        """Returns the bytes of the file."""
        writers = {
            "labelstudio": label_studio_tasks,
            "csv": csv_rows,
            "jsonl": json_lines,
        }
        if self.format in writers:
            return writers[self.format](sample.documents)
        documents = [_page_document(row) for row in sample.documents.to_pylist()]
        page = review_page(build_id, self.focus, PAGE_FORMAT, documents, self.reviewer)
        return page.encode()


def _page_document(row: Mapping[str, Any]) -> PageDocument:
    """Returns a row of a sample as the page shows it."""
    names = (
        schema.ID,
        schema.SOURCE,
        schema.URL,
        schema.CREATED,
        schema.GENERATOR,
        schema.ORIGIN,
        schema.ORIGIN_EVIDENCE,
        schema.AI_SCORE,
        THRESHOLD,
        FOCUS,
    )
    facts = [
        (name.replace("_", " "), _told(row[name]))
        for name in names
        if row[name] is not None
    ]
    return PageDocument(
        row[schema.CONTENT_HASH], row[schema.TEXT], about_document(row), facts
    )


def _told(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


@dataclasses.dataclass(kw_only=True)
class ImportVerdicts:
    """Adds verdicts to a ledger, where later builds find them.

    The same file may come again; nothing counts twice. Nothing is added if a line of
    any file is wrong.

    Args:
      ledger: Folder of the ledger, made if there is none.
      reviewer: Whose verdicts they are, where a file does not say.
      build: Folders of builds; a verdict on a document of none of them is refused, and
        what a file does not say of a document is taken from there.
    """

    ledger: str
    reviewer: Optional[str] = None
    build: list[str] = dataclasses.field(default_factory=list)

    def run(self, patterns: list[str], reporter: Reporter) -> int:
        """Adds them and returns how many were new.

        Args:
          patterns: Paths or globs of files with verdicts.
          reporter: Where to print.

        Raises:
          UserError: a file cannot be read, or a line of it is wrong.
        """
        rows: list[Row] = []
        unjudged = 0
        for pattern in patterns:
            for file in storage.list_files(pattern):
                found, without = read_verdict_file(file.path, self.reviewer)
                if self.build:
                    found = self._complete(found, file.path)
                rows += found
                unjudged += without
        added = add_verdicts(self.ledger, as_table(rows))
        reporter.say(
            f"{self.ledger}: {count(added, 'verdict')} added, {len(rows) - added:,} "
            f"were there already; {count(unjudged, 'document')} without a verdict"
        )
        return added

    def _complete(self, rows: list[Row], path: str) -> list[Row]:
        """Returns the rows with what the builds say where a file says nothing."""
        wanted = pa.array(sorted({row[schema.CONTENT_HASH] for row in rows}))
        known = _find_documents(self.build, wanted.cast(pa.string()))
        complete = []
        for row in rows:
            about = known.get(row[schema.CONTENT_HASH])
            if about is None:
                raise UserError(
                    f"{path}: no document {row[schema.CONTENT_HASH]} in "
                    f"{', '.join(self.build)}; name the build that was reviewed"
                )
            own = {name: value for name, value in row.items() if value is not None}
            complete.append({**row, **about, **own})
        return complete


def _find_documents(folders: list[str], wanted: pa.Array) -> dict[str, Row]:
    """Returns id, origin and build of documents, by content hash."""
    columns = [schema.CONTENT_HASH, schema.ID, schema.ORIGIN, schema.BUILD_ID]
    known: dict[str, Row] = {}
    for folder in folders:
        manifest = read_manifest(folder)
        # What is in the set last, so that it counts before a copy that is not.
        for file in (*manifest["rejected"], *manifest["shards"]):
            for batch in read_batches(storage.join(folder, file["path"]), columns):
                mine = pc.is_in(batch.column(schema.CONTENT_HASH), wanted)
                for row in batch.filter(mine).to_pylist():
                    known[row[schema.CONTENT_HASH]] = row
    return known


@dataclasses.dataclass(kw_only=True)
class ShowReview:
    """Shows what reviewers said, how far they agree, and the error rate by build.

    Args:
      ledger: Folder of the ledger.
      json: File to write the figures to, for programs.
    """

    ledger: str
    json: Optional[str] = None

    def run(self, reporter: Reporter) -> dict[str, Any]:
        """Prints and returns it.

        Raises:
          UserError: the ledger cannot be read, or the file exists.
        """
        if self.json is not None and storage.exists(self.json):
            raise UserError(f"output {self.json!r} exists; name a new file")
        rows = read_verdicts(self.ledger)
        figures = measure_review(rows)
        if self.json is not None:
            option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
            storage.write_bytes(self.json, orjson.dumps(figures, option=option))
        reporter.say(
            f"{self.ledger}: {count(rows.num_rows, 'verdict')} on "
            f"{count(figures['documents'], 'document')}"
        )
        for columns, lines in _tables_of(figures):
            _show(reporter, columns, lines)
        return figures


def measure_review(rows: pa.Table) -> dict[str, Any]:
    """Returns what the verdicts say, as JSON."""
    latest = latest_verdicts(rows)
    pairs = zip(
        latest.column(REVIEWER).to_pylist(),
        latest.column(VERDICT).to_pylist(),
        strict=True,
    )
    counts = collections.Counter(pairs)
    builds = sorted(set(rows.column(schema.BUILD_ID).drop_null().to_pylist()))
    errors = {build: measure_error(rows, build) for build in builds}
    return {
        "documents": len(weigh_documents(rows)[0]),
        "by_reviewer": {
            who: {verdict: counts[who, verdict] for verdict in _SHOWN}
            for who in sorted({who for who, _ in counts})
        },
        "agreement": [dataclasses.asdict(each) for each in measure_agreement(rows)],
        "error_rate_of_synthetic": {
            build: found
            and {**dataclasses.asdict(found), "said": describe_error(found)}
            for build, found in errors.items()
        },
    }


# The order of verdicts in tables: unsure last.
_SHOWN = (*VERDICT_NAMES[1:], VERDICT_NAMES[0])


def _tables_of(figures: Mapping[str, Any]) -> list[tuple[list[str], list[list[str]]]]:
    """Returns the figures as tables of text: names of columns, and rows."""
    by = [
        [
            who,
            *(f"{found[verdict]:,}" for verdict in _SHOWN),
            f"{sum(found.values()):,}",
        ]
        for who, found in figures["by_reviewer"].items()
    ]
    agreement = [
        [
            " and ".join(each["reviewers"]) or "all pairs",
            f"{each['documents']:,}",
            f"{each['agreement']:.1%}",
            "" if each["kappa"] is None else f"{each['kappa']:.3f}",
        ]
        for each in figures["agreement"]
    ]
    errors = [
        [build, found["said"] if found else "no random sample was reviewed"]
        for build, found in figures["error_rate_of_synthetic"].items()
    ]
    tables = [
        (["reviewer", *_SHOWN, "all"], by),
        (["agreement of", "documents", "same verdict", "Cohen's kappa"], agreement),
        (["build", "errors in synthetic documents (95% interval)"], errors),
    ]
    return [table for table in tables if table[1]]


def _show(reporter: Reporter, columns: list[str], lines: list[list[str]]) -> None:
    table = Table(box=box.SIMPLE)
    for place, name in enumerate(columns):
        right = place > 0 and len(columns) > 2
        table.add_column(name, justify="right" if right else "left")
    for line in lines[:_MOST_SHOWN]:
        table.add_row(Text(printable(line[0])), *(Text(cell) for cell in line[1:]))
    reporter.console.print(table)
    if len(lines) > _MOST_SHOWN:
        reporter.say(f"and {len(lines) - _MOST_SHOWN:,} more")


# The commands: the class, what the list says of it, and what it takes besides options.
_JOBS: dict[str, tuple[type, str, dict[str, Any]]] = {
    "export": (
        ExportReview,
        "documents of a build, in a file to judge them in",
        {"dest": "of", "metavar": "FOLDER", "help": "output folder of a build"},
    ),
    "import": (
        ImportVerdicts,
        "verdicts, into a ledger",
        {
            "dest": "of",
            "metavar": "FILE",
            "nargs": "+",
            "help": "files with verdicts: .json, .jsonl or .csv",
        },
    ),
    "show": (ShowReview, "the verdicts, how far reviewers agree, the error rate", {}),
    "labels": (
        MakeLabels,
        "judged documents, to calibrate and train on",
        {
            "dest": "of",
            "metavar": "FOLDER",
            "nargs": "+",
            "help": "output folders of builds",
        },
    ),
}


def add_review_commands(commands: Any) -> None:
    """Adds `review` and what it can do to the commands of a parser."""
    review = commands.add_parser(
        "review", help="have people judge documents", allow_abbrev=False
    )
    review.description = "Has people judge documents, and uses what they say."
    below = review.add_subparsers(required=True, metavar="COMMAND")
    for name, (job, help_text, takes) in _JOBS.items():
        command = add_command(below, name, help_text, job, _run)
        if takes:
            command.add_argument(**takes)
        command.add_argument("--quiet", action="store_true", help="print only errors")


def _run(options: argparse.Namespace) -> int:
    job = make_options(options.job, None, vars(options))
    takes = [options.of] if hasattr(options, "of") else []
    job.run(*takes, Reporter(options.quiet))
    return 0
