"""The command `synthfilter ledger`: what a ledger holds, adding and forgetting."""

import argparse
import collections
import dataclasses
import re
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich import box
from rich.table import Table
from rich.text import Text

from synthfilter.console import Reporter, count
from synthfilter.core import schema
from synthfilter.core.errors import UserError
from synthfilter.core.uses import (
    GENERATION,
    HASH_DIGITS,
    SIGNATURE,
    TIME,
    USE,
    hash_halves,
    hashes_of_partition,
    is_registration,
)
from synthfilter.evaluate import printable
from synthfilter.ledger.read import read_uses
from synthfilter.ledger.table import (
    Ledger,
    check_build_id,
    forget_build,
    list_data_files,
    load_table,
    open_ledger,
)
from synthfilter.ledger_add import AddToLedger
from synthfilter.options import add_command, make_options

# Documents are told apart by sorting this many rows at a time.
_PART_ROWS = 1 << 20
_MOST_SHOWN = 10
_LEAST_DIGITS = 8
_UNKNOWN = "unknown"

Counts = collections.Counter[tuple[Optional[str], ...]]


@dataclasses.dataclass(kw_only=True)
class ShowLedger:
    """Shows how many documents a ledger has, how often they were used and from where.

    Args:
      ledger: Folder of the ledger.
    """

    ledger: str

    def run(self, reporter: Reporter) -> None:
        """Prints it.

        Raises:
          UserError: there is no ledger, or it cannot be read.
        """
        ledger = find_ledger(self.ledger)
        files = list_data_files(self.ledger, load_table(ledger.path, ledger.version))
        made = [file for file in files if is_registration(file.build_id)]
        files = [file for file in files if not is_registration(file.build_id)]
        rows = sum(file.rows for file in files)
        documents, by = count_uses(ledger, rows)
        builds = len({file.build_id for file in files})
        size = sum(file.bytes for file in files) / 1e6
        total = sum(documents.values())
        reporter.say(
            f"{self.ledger}: {count(rows, 'use')} of {count(total, 'document')} in "
            f"{count(builds, 'build')}, {size:,.1f} MB, table version {ledger.version}"
        )
        if made:
            times = len({file.build_id for file in made})
            reporter.say(
                f"besides {count(sum(f.rows for f in made), 'document')} that "
                f"generators made, in {count(times, 'registration')}; no uses"
            )
        if not rows:
            return
        shares = [
            [f"{uses:,}", f"{number:,}", f"{number / total:.1%}"]
            for uses, number in sorted(documents.items())
        ]
        _show(reporter, ["builds that used it", "documents", ""], shares[:_MOST_SHOWN])
        if len(shares) > _MOST_SHOWN:
            reporter.say(f"and {count(len(shares) - _MOST_SHOWN, 'larger number')}")
        for name, counts in by.items():
            lines = _crossed(counts)
            columns = [f"uses by {name}", *_origins(counts), "all"]
            _show(reporter, columns, lines[:_MOST_SHOWN])
            if len(lines) > _MOST_SHOWN:
                reporter.say(f"and {len(lines) - _MOST_SHOWN:,} more")


@dataclasses.dataclass(kw_only=True)
class LedgerHistory:
    """Lists the builds of a ledger and what was registered, the oldest first.

    Registrations of what a generator made are called generated-...

    Args:
      ledger: Folder of the ledger.
    """

    ledger: str

    def run(self, reporter: Reporter) -> None:
        """Prints it.

        Raises:
          UserError: there is no ledger, or it cannot be read.
        """
        counts: Counts = collections.Counter()
        times: dict[str, Any] = {}
        columns = (schema.BUILD_ID, schema.ORIGIN, TIME)
        for batch in read_uses(find_ledger(self.ledger), columns):
            build = batch.column(schema.BUILD_ID)[0].as_py()
            _add_counts(counts, batch, (schema.BUILD_ID, schema.ORIGIN))
            earliest = pc.min(batch.column(TIME)).as_py()
            times[build] = min(earliest, times.get(build, earliest))
        if not times:
            reporter.say(f"{self.ledger}: no builds")
            return
        lines = {line[0]: line[1:] for line in _crossed(counts)}
        builds = sorted(times, key=lambda build: (times[build], build))
        _show(
            reporter,
            ["build", "time (UTC)", *_origins(counts), "documents"],
            [[build, _moment(times[build]), *lines[build]] for build in builds],
        )


@dataclasses.dataclass(kw_only=True)
class ExplainUses:
    """Lists every use of a document, and registrations, the oldest first.

    Args:
      ledger: Folder of the ledger.
    """

    ledger: str

    def run(self, content_hash: str, reporter: Reporter) -> None:
        """Prints it.

        Args:
          content_hash: All or the first eight or more digits, as in the column
            content_hash of data/ and rejected/.
          reporter: Where to print.

        Raises:
          UserError: that is no hash, there is no ledger, or it cannot be read.
        """
        digits = content_hash.strip().lower()
        if not re.fullmatch(f"[0-9a-f]{{{_LEAST_DIGITS},{HASH_DIGITS}}}", digits):
            raise UserError(
                f"expected a content_hash, or its first {_LEAST_DIGITS} or more of "
                f"{HASH_DIGITS} hexadecimal digits, got {content_hash!r}"
            )
        hashes = (digits.ljust(HASH_DIGITS, "0"), digits.ljust(HASH_DIGITS, "f"))
        names = [name for name in USE.names if name != SIGNATURE]
        rows = [
            row
            for batch in read_uses(find_ledger(self.ledger), names, hashes)
            for row in batch.to_pylist()
        ]
        if not rows:
            reporter.say(f"{self.ledger}: no build used {digits}")
            return
        rows.sort(
            key=lambda row: tuple(
                str(row[name])
                for name in (schema.CONTENT_HASH, TIME, schema.BUILD_ID, schema.ID)
            )
        )
        shown = [schema.CONTENT_HASH, schema.BUILD_ID, TIME, schema.ORIGIN, GENERATION]
        shown += [schema.GENERATOR, schema.SOURCE, schema.ID]
        for row in rows:
            known = {name: row[name] for name in shown if row[name] is not None}
            told = [
                f"{name}={printable(_cell(value))}" for name, value in known.items()
            ]
            # A line each, however narrow the terminal: a cut hash is of no use.
            reporter.say("  ".join(told))


@dataclasses.dataclass(kw_only=True)
class ForgetBuild:
    """Removes a build from a ledger, so that its documents may be used again.

    Or a registration, so that its text is no longer known as synthetic.

    Args:
      ledger: Folder of the ledger.
      build: Id of the build or registration, as ledger history says.
    """

    ledger: str
    build: str

    def __post_init__(self) -> None:
        """Checks the id; reads nothing."""
        check_build_id(self.build)

    def run(self, reporter: Reporter) -> None:
        """Removes it and prints what was removed.

        Raises:
          UserError: there is no ledger or no such build in it, or it cannot be
            written.
        """
        find_ledger(self.ledger)
        removed = forget_build(self.ledger, self.build)
        if not removed:
            raise UserError(
                f"ledger {self.ledger!r} has no build {self.build!r}; see synthfilter "
                "ledger history"
            )
        said = f"{count(removed, 'use')} of build {self.build}"
        if is_registration(self.build):
            said = f"{count(removed, 'document')} of registration {self.build}"
        reporter.say(
            f"{self.ledger}: {said} removed; "
            "older versions of the table keep them until it is vacuumed"
        )


# The commands that are all options: the class, and what the list says of it.
_JOBS: dict[str, tuple[type, str]] = {
    "add": (AddToLedger, "register what a generator made, to know it again"),
    "show": (ShowLedger, "how many documents, how often used, from where"),
    "history": (LedgerHistory, "the builds, the oldest first"),
    "forget": (ForgetBuild, "remove a build, so that its documents may be used again"),
}


def add_ledger_commands(commands: Any) -> None:
    """Adds `ledger` and what it can do to the commands of a parser."""
    ledger = commands.add_parser(
        "ledger", help="what earlier builds used", allow_abbrev=False
    )
    ledger.description = "Shows and changes the ledger, which says what builds used."
    below = ledger.add_subparsers(required=True, metavar="COMMAND")
    jobs = {**_JOBS, "explain": (ExplainUses, "every use of a document")}
    for name, (job, help_text) in sorted(jobs.items()):
        command = add_command(below, name, help_text, job, _run)
        if job is ExplainUses:
            command.add_argument(
                "content_hash", metavar="HASH", help="content_hash, or how it begins"
            )
        command.add_argument("--quiet", action="store_true", help="print only errors")


def _run(options: argparse.Namespace) -> int:
    job = make_options(options.job, None, vars(options))
    reporter = Reporter(options.quiet)
    if isinstance(job, ExplainUses):
        job.run(options.content_hash, reporter)
    else:
        job.run(reporter)
    return 0


def find_ledger(path: str) -> Ledger:
    """Returns the ledger as it is now; raises UserError if there is none."""
    ledger = open_ledger(path)
    if ledger is None:
        raise UserError(f"no ledger at {path!r}; a build makes one with --ledger")
    return ledger


def count_uses(
    ledger: Ledger, rows: int
) -> tuple[collections.Counter[int], dict[str, Counts]]:
    """Returns how many documents were used in how many builds, and the uses by kind.

    Args:
      ledger: The ledger.
      rows: How many it has, to read a bounded part at a time.

    Returns:
      Documents by number of builds; and by what each use was, rows by it and origin.
    """
    kinds = (GENERATION, schema.GENERATOR, schema.SOURCE)
    by: dict[str, Counts] = {name: collections.Counter() for name in kinds}
    documents: collections.Counter[int] = collections.Counter()
    columns = (schema.CONTENT_HASH, schema.BUILD_ID, schema.ORIGIN, *kinds)
    parts = 1 + rows // _PART_ROWS
    for part in range(parts):
        codes: dict[str, int] = {}
        found = [(np.zeros(0, np.uint64), np.zeros(0, np.uint64), np.zeros(0, int))]
        hashes = hashes_of_partition(part, parts) if parts > 1 else None
        for batch in read_uses(ledger, columns, hashes):
            build = batch.column(schema.BUILD_ID)[0].as_py()
            if is_registration(build):
                continue
            for name, counts in by.items():
                _add_counts(counts, batch, (name, schema.ORIGIN))
            code = codes.setdefault(build, len(codes))
            halves = hash_halves(batch.column(schema.CONTENT_HASH))
            found.append((*halves, np.full(batch.num_rows, code)))
        columns_of_uses = map(np.concatenate, zip(*found, strict=True))
        documents.update(builds_of_documents(*columns_of_uses))
    return documents, by


def builds_of_documents(hi: np.ndarray, lo: np.ndarray, build: np.ndarray) -> list[int]:
    """Returns in how many builds each document was.

    Args:
      hi: Upper halves of the content hashes of uses, uint64.
      lo: Lower halves.
      build: A number for the build of each.
    """
    order = np.lexsort([build, lo, hi])
    hi, lo, build = hi[order], lo[order], build[order]
    document = np.ones(len(hi), bool)
    document[1:] = (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1])
    other = document.copy()
    other[1:] |= build[1:] != build[:-1]
    return np.bincount(np.cumsum(document)[other] - 1).tolist()


def _add_counts(counts: Counts, batch: pa.RecordBatch, names: Sequence[str]) -> None:
    """Counts the rows of a batch by the values of some columns, as text."""
    table = pa.Table.from_batches([batch.select(names)])
    for row in table.group_by(names).aggregate([([], "count_all")]).to_pylist():
        key = (None if row[n] is None else str(row[n]) for n in names)
        counts[tuple(key)] += row["count_all"]


def _origins(counts: Counts) -> list[str]:
    """Returns the origins there are, human first."""
    return sorted({str(origin) for _, origin in counts})


def _crossed(counts: Counts) -> list[list[str]]:
    """Returns a line for each value, the most frequent first: by origin, and in all."""
    origins = _origins(counts)
    total: collections.Counter[str | None] = collections.Counter()
    for (value, _), number in counts.items():
        total[value] += number
    return [
        [
            _UNKNOWN if value is None else value,
            *(f"{counts[(value, origin)]:,}" for origin in origins),
            f"{total[value]:,}",
        ]
        for value in sorted(total, key=lambda value: (-total[value], value or ""))
    ]


def _show(
    reporter: Reporter,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    numbers: int = 1,
) -> None:
    """Prints a table whose columns from `numbers` on are numbers."""
    table = Table(box=box.SIMPLE)
    for place, name in enumerate(columns):
        number = place >= numbers
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    reporter.console.print(table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return _moment(value) if hasattr(value, "isoformat") else str(value)


def _moment(time: Any) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
