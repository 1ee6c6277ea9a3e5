"""What people see in the terminal: progress, then the books."""

import contextlib
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
    track,
)
from rich.table import Table
from rich.text import Text

from synthfilter.core.profiles import describe_reach
from synthfilter.core.progress import Done, read_beats
from synthfilter.core.schema import REASON_NAMES, REASON_TEXTS, Reason
from synthfilter.decisions.minhash import Bands, candidate_probability
from synthfilter.decisions.same_ids import describe_same_ids

_T = TypeVar("_T")

# What a stage is called, and what its parts are.
_STAGES = {
    "open": "opening",
    "score": "scoring",
    "compare": "comparing",
    "write": "writing",
    "check": "checking",
}
_PARTS = {
    "open": "file",
    "score": "block",
    "compare": "block",
    "write": "shard",
    "check": "file",
}
_LINE_SECONDS = 30.0
_FILE_WIDTH = 120
# Groups of which an inspection tells the prevalence.
_MOST_GROUPS = 20
# Similarities at which an inspection tells the share of pairs that are found.
_SIMILARITIES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)


class Reporter:
    """Says what a command does; nothing when it is to be quiet.

    Args:
      quiet: Whether to print nothing but errors.
    """

    def __init__(self, quiet: bool = False) -> None:
        """Looks at the terminal; prints nothing yet."""
        self.console = Console(quiet=quiet, highlight=False, soft_wrap=True)
        if not self.console.is_terminal:
            self.console.width = _FILE_WIDTH
        self._errors = Console(quiet=quiet, stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """Prints a line; names in it are no markup and no pictures (`:smile:`)."""
        self.console.print(text, markup=False, emoji=False)

    def track(self, items: Iterable[_T], total: int, what: str) -> Iterator[_T]:
        """Yields the items and shows how many of them there have been."""
        if self._errors.is_terminal:
            yield from track(items, what, total, console=self._errors, transient=True)
            return
        start = said = time.monotonic()
        for number, item in enumerate(items, 1):
            now = time.monotonic()
            if now - said >= _LINE_SECONDS:
                self._errors.print(f"{now - start:.0f} s: {what}, {number} of {total}")
                said = now
            yield item

    @contextlib.contextmanager
    def follow(self, beats: str, total_bytes: Mapping[str, int]) -> Iterator[None]:
        """Shows how far the stages are while the block runs.

        Args:
          beats: The folder that workers write to (`core.progress`).
          total_bytes: By stage; stages without one count parts.
        """
        stop = threading.Event()
        show = self._bars if self._errors.is_terminal else self._lines
        thread = threading.Thread(target=show, args=(beats, total_bytes, stop))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _bars(
        self, beats: str, total_bytes: Mapping[str, int], stop: threading.Event
    ) -> None:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[parts]}"),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._errors,
        ) as bars:
            tasks: dict[str, Any] = {}
            while True:
                stopped = stop.wait(0.2)
                for stage, done in read_beats(beats).items():
                    if stage not in tasks:
                        tasks[stage] = bars.add_task(_STAGES[stage], parts="")
                    completed, total = _fraction(done, total_bytes.get(stage))
                    bars.update(
                        tasks[stage],
                        completed=completed,
                        total=total,
                        parts=_parts(stage, done),
                    )
                if stopped:
                    return

    def _lines(
        self, beats: str, total_bytes: Mapping[str, int], stop: threading.Event
    ) -> None:
        start = time.monotonic()
        while not stop.wait(_LINE_SECONDS):
            seconds = time.monotonic() - start
            for stage, done in read_beats(beats).items():
                completed, total = _fraction(done, total_bytes.get(stage))
                if total and completed >= total:
                    continue
                line = (
                    f"{seconds:.0f} s: {_STAGES[stage]}, {_parts(stage, done)}, "
                    f"{completed / 1e6:,.0f} MB, {completed / 1e6 / seconds:.1f} MB/s"
                )
                if total and completed:
                    left = seconds * (total / completed - 1)
                    line += f", about {left:.0f} s left"
                self._errors.print(line, markup=False)

    def show_manifest(self, folder: str, manifest: Mapping[str, Any]) -> None:
        """Prints the books, the shares and the shards of a build."""
        self.console.print(_books_table(manifest["books"]))
        if "groups" in manifest["shares"]:
            self.console.print(_groups_table(manifest["shares"]))
        for line in (
            *describe_shares(manifest["shares"]),
            *describe_suspects(manifest["books"]["left_out"]),
            *describe_unscored(manifest["detector"].get("unscored", {})),
            *describe_conflicts(manifest.get("conflicts", ())),
            *describe_same_ids(manifest.get("same_ids")),
            *describe_capped(manifest.get("near_copies")),
        ):
            self.say(line)
        shards = manifest["shards"]
        size = sum(shard["bytes"] for shard in shards)
        rows = sum(shard["rows"] for shard in shards)
        self.say(
            f"{folder}: {count(len(shards), 'shard')}, {rows:,} rows, "
            f"{size / 1e6:,.1f} MB, build {manifest['build_id']}, "
            f"digest {manifest['content_digest']}"
        )
        if manifest["books"]["dead_letters"]:
            self.say(
                f"{manifest['books']['dead_letters']:,} could not be read: file, place "
                f"and reason are in {folder.rstrip('/')}/dead_letter/"
            )

    def show_prevalence(self, manifest: Mapping[str, Any]) -> None:
        """Prints how much machine text the detector's documents hold, by group."""
        found = manifest.get("prevalence")
        if not found:
            return
        table = Table(
            box=box.SIMPLE,
            title="machine text among the documents that the detector decides about, "
            f"estimated, with {found['confidence']:.0%} intervals",
            title_justify="left",
        )
        for name in ("", "documents", "estimate", "from", "to"):
            table.add_column(name, justify="right" if name else "left")
        rows = [*found["groups"][:_MOST_GROUPS], {"group": "all", **found}]
        for row in rows:
            shares = (f"{row[name]:.1%}" for name in ("estimate", "low", "high"))
            table.add_row(Text(row["group"]), f"{row['docs']:,}", *shares)
        self.console.print(table)
        self.say(" ".join(describe_reach(found.get("known"))))

    def show_near_copies(self, manifest: Mapping[str, Any]) -> None:
        """Prints how likely near copies were found, if any were sought."""
        sought = manifest.get("near_copies")
        if not sought:
            return
        options = manifest["options"]
        bands = Bands(sought["bands"], sought["rows"])
        self.say(
            f"near copies: from similarity {options['near_duplicates']:g} on, of runs "
            f"of {count(options['shingle_words'], 'word')}; found by "
            f"{count(bands.bands, 'band')} of {count(bands.rows, 'row')}"
        )
        table = Table(box=box.SIMPLE)
        table.add_column("similarity")
        found = []
        for similarity in _SIMILARITIES:
            table.add_column(f"{similarity:g}", justify="right")
            found.append(f"{candidate_probability(similarity, bands):.1%}")
        table.add_row("pairs found", *found)
        self.console.print(table)

    def show_shards(self, manifest: Mapping[str, Any]) -> None:
        """Prints a table of the files of a build."""
        table = Table(box=box.SIMPLE)
        for name in ("file", "rows", "MB", "sha256"):
            table.add_column(
                name, justify="right" if name in ("rows", "MB") else "left"
            )
        for kind in ("shards", "rejected", "dead_letters"):
            for file in manifest[kind]:
                table.add_row(
                    file["path"],
                    f"{file['rows']:,}",
                    f"{file['bytes'] / 1e6:,.2f}",
                    file["sha256"][:16],
                )
        self.console.print(table)


def _fraction(done: Done, total_bytes: int | None) -> tuple[int, int | None]:
    """Returns `(done, total)` in bytes; of unknown totals by the number of parts."""
    if total_bytes is not None:
        return done.bytes, total_bytes
    if done.total and done.parts:
        return done.bytes, done.bytes * done.total // done.parts
    return done.bytes, None


def _parts(stage: str, done: Done) -> str:
    if done.total:
        return f"{done.parts} of {count(done.total, _PARTS[stage])}"
    return count(done.parts, _PARTS[stage])


def count(number: int, thing: str) -> str:
    """Returns `1 shard`, `2 shards`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _books_table(books: Mapping[str, Any]) -> Table:
    """Returns the books by declared origin: read, each reason, kept."""
    flows = books["by_declared_origin"]
    origins = [origin for origin, flow in flows.items() if flow]
    table = Table(
        box=box.SIMPLE, title="documents by declared origin", title_justify="left"
    )
    table.add_column("")
    for origin in origins:
        table.add_column(origin)
        table.columns[-1].justify = "right"
    table.add_column("all", justify="right")
    table.add_column("")
    table.add_row("read", *_cells(flows, origins, list(REASON_NAMES)), "")
    for reason in list(Reason)[1:]:
        cells = _cells(flows, origins, [REASON_NAMES[reason]])
        if cells[-1] != "0":
            name = REASON_NAMES[reason].replace("_", " ")
            table.add_row(name, *cells, REASON_TEXTS[reason])
    kept = [REASON_NAMES[Reason.KEPT]]
    table.add_row("kept", *_cells(flows, origins, kept), "in the set", style="bold")
    for who in ("human", "synthetic"):
        cells = _cells(flows, origins, kept, who)
        table.add_row(f"  as {who}", *cells, "as declared, or as the detector decided")
    return table


def _cells(
    flows: Any, origins: list[str], reasons: list[str], decided: str | None = None
) -> list[str]:
    """Returns the documents with one of the reasons by declared origin, and in all.

    Args:
      flows: `by_declared_origin` of the books.
      origins: Declared origins, a cell for each.
      reasons: Names of reasons.
      decided: Only documents of this decided origin; None = of any.
    """
    counts = [
        sum(
            amounts["docs"]
            for reason in reasons
            for who, amounts in flows[origin].get(reason, {}).items()
            if decided in (None, who)
        )
        for origin in origins
    ]
    return [f"{count:,}" for count in [*counts, sum(counts)]]


def _groups_table(shares: Mapping[str, Any]) -> Table:
    """Returns what was asked of each group of the mixture, and what was got."""
    unit = shares["unit"]
    title = f"groups, in {unit}"
    if shares.get("counts") == "estimated" and {"human", "synthetic"} <= set(
        shares["groups"]
    ):
        title += ", as documents count; how much is synthetic is held by estimate"
    table = Table(box=box.SIMPLE, title=title, title_justify="left")
    table.add_column("")
    for name in ("available", "got", "asked", "share"):
        table.add_column(name, justify="right")
    whole = sum(group["got"][unit] for group in shares["groups"].values())
    for name, group in shares["groups"].items():
        got = group["got"][unit]
        table.add_row(
            name,
            f"{group['available']:,}",
            f"{got:,}",
            f"{group['asked']:.2%}",
            f"{got / whole:.2%}",
        )
    return table


def describe_shares(shares: Mapping[str, Any]) -> list[str]:
    """Returns the share asked for and what was got, in words."""
    unit = shares["unit"]
    asked = "no share asked for"
    if shares["synthetic_fraction"] is not None:
        asked = f"asked {shares['synthetic_fraction']:.2%}"
    elif shares["max_synthetic_fraction"] is not None:
        asked = f"asked at most {shares['max_synthetic_fraction']:.2%}"
    elif shares.get("asked") is not None:
        asked = f"asked {shares['asked']:.2%} besides categories"
    got = shares["got"]
    share = got[unit]["synthetic_fraction"]
    others = ", ".join(
        f"{got[other]['synthetic_fraction']:.2%} of {other}"
        for other in got
        if other != unit and got[other]["synthetic_fraction"] is not None
    )
    counted = (f"{share:.2%}" if share is not None else "nothing") + (
        f" ({others})" if others else ""
    )
    lines = [f"synthetic share of {unit}: {asked}, counted {counted}"]
    if shares.get("estimated") is not None:
        lines = [
            f"synthetic share of {unit}: {asked}, estimated {shares['estimated']:.2%} "
            f"({shares['confidence']:.0%} interval {shares['low']:.2%} to "
            f"{shares['high']:.2%})",
            f"counted as synthetic: {counted}",
        ]
    total = got[unit]["human"] + got[unit]["synthetic"]
    size = f"size: {total:,} {unit}"
    if shares["target_size"] is not None:
        size = f"size: asked {shares['target_size']:,} {unit}, got {total:,}"
    lines.append(size)
    if "fresh" in shares:
        fresh = shares["fresh"]
        lines.append(
            f"fresh human share of {unit}: asked at least {fresh['asked']:.2%}, got "
            f"{fresh['share']:.2%}, created after {fresh['after']}"
        )
    if shares["limited_by"]:
        lines.append(f"limited by {shares['limited_by']}")
    return lines


def describe_suspects(left_out: Mapping[str, int]) -> list[str]:
    """Returns what went so that the share is held, in a line or none."""
    suspects = left_out[REASON_NAMES[Reason.SUSPECT]]
    if not suspects:
        return []
    return [
        f"too much may be hidden machine text for this share: {suspects:,} of the most "
        "suspect documents are out; to keep them, --on-hidden keep"
    ]


def describe_conflicts(conflicts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns which evidence of origin was decided against, in a line or none."""
    if not conflicts:
        return []
    said = [
        f"{row['docs']:,} {row['decided']}, not {row['against']}" for row in conflicts
    ]
    return [f"evidence of origin that disagrees: {'; '.join(said)}"]


def describe_capped(near_copies: Mapping[str, Any] | None) -> list[str]:
    """Returns how much was not compared with all near copies, in a line or none."""
    capped = near_copies["not_compared_with_all"] if near_copies else 0
    if not capped:
        return []
    return [
        f"near copies: {count(capped, 'document')} not compared with all candidates, "
        "which are too many and not alike; some near copies may be left"
    ]


def describe_unscored(unscored: Mapping[str, Any]) -> list[str]:
    """Returns how much text the detector could not score, in a line or none."""
    said = [
        f"{found['docs']:,} of {found['of']:,} {origin} ({found['share']:.1%})"
        for origin, found in unscored.items()
        if found["of"]
    ]
    return [f"without a score: {', '.join(said)}"] if said else []
