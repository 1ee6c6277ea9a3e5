"""The command `synthfilter sweep`: what a build would be with other settings."""

import argparse
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Optional

import numpy as np
import orjson
import pyarrow as pa
from rich import box
from rich.table import Table
from rich.text import Text

from synthfilter.console import Reporter
from synthfilter.core import storage
from synthfilter.core.errors import ShortageError, UserError
from synthfilter.detection.lengths import Threshold
from synthfilter.inputs.blocks import Block
from synthfilter.insight.sweep_page import sweep_page
from synthfilter.options import add_command, check_types, make_options
from synthfilter.replay import Filtered, Outcome, Replay
from synthfilter.replay_near import NearCopies
from synthfilter.stored import (
    Outside,
    StoredBuild,
    find_blocks,
    identify_stored,
    open_build,
    read_facts,
)
from synthfilter.sweep_rows import (
    NONE,
    Row,
    Setting,
    describe,
    make_row,
    tabulate,
    to_csv,
)

_STEPS = {"threshold": 8, "near_duplicates": 5}
_MOST_SETTINGS = 10_000
_TABLE_WIDTH = 150


@dataclasses.dataclass(kw_only=True)
class Sweep:
    """Tells what a finished build would be with other thresholds and similarities.

    From the facts that the build has stored: nothing is scored again, and nothing is
    changed. All other options are those of the build, and its own setting is among the
    rows. A value is a number, or LOW:HIGH or LOW:HIGH:STEPS for several.

    Args:
      threshold: Scores from which on a document counts as machine text, such as
        0.5:0.99; without it, that of the build.
      near_duplicates: Similarities from which on a document is a near copy, such as
        0.7:0.9, or none; without it, that of the build.
      cache: The build's folder for scores; without it, the usual one.
      detector: The build's, if it had another than the model that comes with
        synthfilter.
      ledger: The build's, if it had one.
      calibration: The build's, if it had one.
      human_urls: The build's.
      synthetic_urls: The build's.
      csv: File to write the rows to.
      json: File to write the rows to, for programs.
      html: File to write a page with charts to.
    """

    threshold: list[str] = dataclasses.field(default_factory=list)
    near_duplicates: list[str] = dataclasses.field(default_factory=list)
    cache: Optional[str] = None
    detector: Optional[str] = None
    ledger: Optional[str] = None
    calibration: Optional[str] = None
    human_urls: list[str] = dataclasses.field(default_factory=list)
    synthetic_urls: list[str] = dataclasses.field(default_factory=list)
    csv: Optional[str] = None
    json: Optional[str] = None
    html: Optional[str] = None

    def __post_init__(self) -> None:
        """Checks the options; reads nothing."""
        self.threshold = _as_texts(self.threshold)
        self.near_duplicates = _as_texts(self.near_duplicates)
        check_types(self)
        if not self.threshold and not self.near_duplicates:
            raise UserError(
                "name what to try: --threshold 0.5:0.99, --near-duplicates 0.7:0.9"
            )
        thresholds = parse_values("threshold", self.threshold)
        similarities = parse_values("near_duplicates", self.near_duplicates, NONE)
        settings = max(len(thresholds), 1) * max(len(similarities), 1)
        if settings > _MOST_SETTINGS:
            raise UserError(
                f"at most {_MOST_SETTINGS:,} settings can be tried, got {settings:,}"
            )
        self._values = thresholds, similarities
        named = [path for path in (self.csv, self.json, self.html) if path]
        if len(set(named)) < len(named):
            raise UserError("csv, json and html must be different files")

    def run(self, folder: str, reporter: Optional[Reporter] = None) -> list[Row]:
        """Prints and returns a row for each setting.

        Args:
          folder: Output folder of the build.
          reporter: Where to print; nowhere unless it is given.

        Raises:
          UserError: there is no finished build, its input has changed, the cache does
            not know it, or a file to write exists.
        """
        reporter = reporter or Reporter(quiet=True)
        for path in filter(None, (self.csv, self.json, self.html)):
            if storage.exists(path):
                raise UserError(f"output {path!r} exists; name a new file")
        given = Outside(
            self.cache,
            self.detector,
            self.ledger,
            self.calibration,
            tuple(self.human_urls),
            tuple(self.synthetic_urls),
        )
        stored = open_build(folder, given)
        check_supported(stored)
        replay = load_replay(stored)
        settings = list_settings(stored, *self._values)
        tried = try_all(stored, replay, settings)
        rows = [
            make_row(stored, replay.known, *one)
            for one in reporter.track(tried, len(settings), "trying")
        ]
        self._tell(stored, describe(stored, replay.known), rows, reporter)
        return rows

    def _tell(
        self,
        stored: StoredBuild,
        lines: Sequence[str],
        rows: Sequence[Row],
        reporter: Reporter,
    ) -> None:
        """Prints the rows and writes the files."""
        columns, cells, notes = tabulate(rows)
        for said in lines:
            reporter.say(said)
        table = Table(box=box.SIMPLE)
        for name in columns:
            table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
        for row, line in zip(rows, cells, strict=True):
            table.add_row(*map(Text, line), style="bold" if row["own"] else None)
        # Lines may break in a narrow terminal, but no figure is cut short.
        reporter.console.width = max(reporter.console.width, _TABLE_WIDTH)
        reporter.console.print(table)
        for said in notes:
            reporter.say(said)
        if self.csv is not None:
            storage.write_bytes(self.csv, to_csv(rows).encode())
        if self.json is not None:
            told = {"build_id": stored.manifest["build_id"], "settings": rows}
            how = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
            storage.write_bytes(self.json, orjson.dumps(told, option=how))
        if self.html is not None:
            title = f"Sweep of build {stored.manifest['build_id']}"
            page = sweep_page(title, lines, rows, columns, cells, notes)
            storage.write_bytes(self.html, page.encode())


def _as_texts(values: Any) -> list[str]:
    """Returns settings as they are written on a command line; one may stand alone."""
    several = [values] if isinstance(values, (str, float)) else values
    return [str(value) for value in several]


def parse_values(
    name: str, given: Sequence[str], none: Optional[str] = None
) -> list[Optional[float]]:
    """Returns the numbers that an option names, rising, each once.

    Args:
      name: Of the option.
      given: Numbers, `LOW:HIGH` or `LOW:HIGH:STEPS`.
      none: A word for None, which comes first.

    Raises:
      UserError: one is none of that, or not between 0 and 1.
    """
    found: set[float] = set()
    given = [str(said) for said in given]
    words = {said for said in given if said == none}
    for said in given:
        if said not in words:
            found.update(_parse_value(name, said))
    return [*(None for _ in words), *sorted(found)]


def _parse_value(name: str, said: str) -> list[float]:
    parts = said.split(":")
    try:
        ends = [float(part) for part in parts[:2]]
        steps = int(parts[2]) if len(parts) > 2 else _STEPS[name]
        if len(parts) > 3 or not all(map(math.isfinite, ends)):
            raise ValueError
    except ValueError as error:
        raise UserError(
            f"{name} expects numbers, LOW:HIGH or LOW:HIGH:STEPS, got {said!r}"
        ) from error
    least = 0 if name == "threshold" else np.nextafter(0, 1)
    if not all(least <= value <= 1 for value in ends):
        kind = "from 0" if least == 0 else "above 0"
        raise UserError(f"{name} must be {kind} to 1, got {said!r}")
    if len(ends) == 1:
        return ends
    low, high = ends
    if low >= high or steps < 2:
        raise UserError(
            f"{name} expects LOW:HIGH:STEPS with LOW below HIGH and 2 steps at least, "
            f"got {said!r}"
        )
    # As people would write them; the ends as they were written.
    middle = np.round(np.linspace(low, high, steps), 4).tolist()[1:-1]
    return [low, *middle, high]


def check_supported(stored: StoredBuild) -> None:
    """Raises UserError for a build that needs more than its facts to be told anew."""
    build = stored.build
    if build.against_ngrams is not None:
        raise UserError(
            "the build had against_ngrams, which compares all text again; sweep cannot "
            "tell such a build with other settings"
        )


def list_settings(
    stored: StoredBuild,
    thresholds: Sequence[Optional[float]],
    similarities: Sequence[Optional[float]],
) -> list[Setting]:
    """Returns each threshold with each similarity, and the build's own setting.

    Args:
      stored: The build.
      thresholds: None given: that of the build.
      similarities: The same.
    """
    own = Setting(stored.threshold, stored.build.near_duplicates, True)
    values = [Threshold.constant(x, "as given") for x in thresholds if x is not None]
    found = [
        Setting(threshold, similarity, False)
        for threshold, similarity in itertools.product(
            values or [own.threshold], similarities or [own.similarity]
        )
    ]
    same = [each.key == own.key for each in found]
    found = [own if mine else each for each, mine in zip(found, same, strict=True)]
    if not any(same):
        found.append(own)
    return sorted(found, key=lambda each: each.key)


def _find_near(
    stored: StoredBuild, replay: Replay, similarities: Sequence[Optional[float]]
) -> Optional[NearCopies]:
    """Returns the near copies of all similarities; None if none are sought.

    Raises:
      UserError: the build has no signatures.
    """
    wanted = sorted({value for value in similarities if value is not None})
    if not wanted:
        return None
    build, corpus = stored.build, replay.corpus
    path = build.signatures_path()
    _check_signatures(corpus.blocks, path)
    return NearCopies(
        corpus,
        path,
        build.shingle_words,
        build.seed,
        wanted,
    )


def _check_signatures(
    blocks: Sequence[Block], signatures_path: Callable[[Block], str]
) -> None:
    for block in blocks:
        if not storage.exists(signatures_path(block)):
            raise UserError(
                f"no signatures of {block.file!r} in the cache, which near copies are "
                "found by; build once with --near-duplicates, which scores nothing "
                "again, then sweep"
            )


def load_replay(stored: StoredBuild) -> Replay:
    """Returns a build's decisions, ready to be made again.

    Raises:
      UserError: its input has changed, or the cache does not know it.
    """
    annotated = [(block, read_facts(stored, block)) for block in find_blocks(stored)]
    return Replay(stored, annotated, identify_stored(stored, annotated))


def try_all(
    stored: StoredBuild, replay: Replay, settings: Sequence[Setting]
) -> Iterator[tuple[Setting, Filtered, Outcome | str]]:
    """Yields each setting with what comes of it, or why a build would refuse it.

    Args:
      stored: The build.
      replay: Its decisions.
      settings: By threshold, so that each is applied once.
    """
    near = _find_near(stored, replay, [each.similarity for each in settings])
    for _, same_threshold in itertools.groupby(settings, key=lambda one: one.key[:2]):
        same = list(same_threshold)
        threshold = same[0].threshold
        judged = replay.judge(threshold)
        filtered = replay.count_filtered(threshold, judged)
        settled = replay.settle(judged)
        for setting in same:
            yield setting, filtered, _try(setting, replay, near, settled)


def _try(
    setting: Setting,
    replay: Replay,
    near: Optional[NearCopies],
    settled: pa.RecordBatch,
) -> Outcome | str:
    """Returns what comes of a setting, or why a build would refuse it."""
    if setting.similarity is not None and near is not None:
        settled = replay.compare_with_ledger(settled, setting.similarity)
        settled, _ = near.drop(settled, setting.similarity)
    try:
        return replay.mix(settled)
    except ShortageError as error:
        return str(error)


def add_sweep_command(commands: Any) -> None:
    """Adds `sweep` to the commands of a parser."""
    command = add_command(
        commands, "sweep", "what a build would be with other settings", Sweep, _run
    )
    command.add_argument("folder", help="output folder of a build")


def _run(options: argparse.Namespace) -> int:
    job = make_options(Sweep, None, vars(options))
    job.run(options.folder, Reporter())
    return 0
