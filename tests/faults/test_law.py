"""Whatever is read and asked for: nothing is lost, and no cut changes the set.

Rows 37, 23, 24 and 26 of the faults as a law: hypothesis draws documents, options and
cuts, each is a build of real files, and what it made is counted anew here.
"""

import dataclasses
import functools
import gzip
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

import synthfilter as sf
from synthfilter import build as building
from synthfilter.console import Reporter
from synthfilter.core.errors import ShortageError, UserError
from synthfilter.inputs import blocks
from synthfilter.local import run_listed
from synthfilter.outputs.manifest import claim_output, read_manifest
from synthfilter.verify import check_build

# `make law` draws more, and others each time.
MORE = os.environ.get("SYNTHFILTER_LAW_EXAMPLES")
EXAMPLES = int(MORE or 8)
WORDS = ("river", "stone", "harvest", "letter", "engine", "winter", "garden", "copper")
CORE, HUMAN, SYNTHETIC, UNKNOWN, AGAINST = DECLARED = (
    "core",
    "human",
    "synthetic",
    "unknown",
    "against",
)
DAYS = (None, "2019-05-01", "2022-11-30T23:59:59Z", "2023-02-01", "no date")
# Most texts are fine; some are copies but for a word or for spaces, or no text at all.
HOW = ("own", "own", "own", "own", "near", "spaced", "empty", "broken")
_FORMATS = (".parquet", ".jsonl", ".jsonl.gz")


class LastDigitDetector:
    """Scores by the number of bytes, without a word of fastText; some texts not."""

    name = "last-digit"
    version = "1"
    threshold = 0.5
    labels = ("human", "synthetic")

    def score(self, column: pa.Array) -> np.ndarray:
        digit = pc.binary_length(column).to_numpy() % 10
        score = np.where(digit < 7, digit / 20, 0.95).astype(np.float32)
        return np.where(digit == 4, np.nan, score).astype(np.float32)


DETECTORS = (f"{__name__}:LastDigitDetector", None)


@dataclasses.dataclass(frozen=True)
class Cut:
    """How the records of an origin lie in files; `row_group` is of Parquet."""

    files: int
    row_group: int
    backwards: bool


WHOLE = Cut(1, 50, False)


@dataclasses.dataclass(frozen=True)
class Document:
    """One record of an input; `number` tells its text, `how` what is done to it."""

    id: str
    number: int
    how: str
    day: str | None
    kind: str | None
    origin: str | None
    reviewed: bool

    @property
    def text(self) -> str | None:
        """The text; None for a record that has none."""
        words = 4 + self.number * 7 % 60
        said = [WORDS[(self.number // 8**i + i) % 8] for i in range(words)]
        if self.how == "near":
            said[words // 2] = "changed"
        joined = ("  " if self.how == "spaced" else " ").join(said)
        return {"empty": " \n", "broken": None}.get(
            self.how, f"No {self.number}. {joined}"
        )

    def record(self) -> dict[str, Any]:
        """Returns all fields."""
        return {
            "id": self.id,
            "text": self.text,
            "source": f"source-{self.number % 3}",
            "created": self.day,
            "kind": self.kind,
            "origin": self.origin,
            "reviewed": self.reviewed,
        }


@dataclasses.dataclass(frozen=True)
class Case:
    """What a build is asked for.

    Attributes:
      documents: By declared origin.
      suffix: The format of its files.
      options: Of the build; without inputs and output.
      cut: Another way to cut the files.
    """

    documents: Mapping[str, Sequence[Document]]
    suffix: str
    options: Mapping[str, Any]
    cut: Cut

    @property
    def mine(self) -> list[Document]:
        """The documents that the books are about."""
        return [d for who in DECLARED[:-1] for d in self.documents.get(who, ())]


def write_inputs(case: Case, folder: Path, cut: Cut) -> dict[str, list[str]]:
    """Writes the documents of a case and returns the paths by declared origin."""
    named = {}
    for who, documents in case.documents.items():
        rows = [document.record() for document in documents]
        rows = rows[::-1] if cut.backwards else rows
        each = -(-len(rows) // cut.files) or 1
        for start in range(0, len(rows), each):
            path = folder / who / f"part-{start:04d}{case.suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, rows[start : start + each], cut.row_group)
        if rows:
            named[who] = [str(folder / who)]
    return named


def _write(path: Path, rows: list[dict[str, Any]], row_group: int) -> None:
    if path.suffix == ".parquet":
        types = dict.fromkeys(rows[0], pa.string()) | {"reviewed": pa.bool_()}
        table = pa.Table.from_pylist(rows, schema=pa.schema(types))
        pq.write_table(table, path, row_group_size=row_group)
        return
    # A record without text is a line that is no JSON: whatever is in it is lost.
    lines = [json.dumps(r) if r["text"] is not None else '{"text": ' for r in rows]
    data = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


@st.composite
def documents(draw: st.DrawFn, who: str, most: int) -> list[Document]:
    """Draws documents of which many are copies of each other, whatever their origin."""
    rows = st.tuples(
        st.integers(0, 40),
        st.sampled_from(HOW),
        st.sampled_from(DAYS),
        st.sampled_from(("prose", "code", None)),
        st.sampled_from((None, None, None, "human", "synthetic")),
        st.booleans(),
    )
    drawn = draw(st.lists(rows, min_size=0 if who in (CORE, AGAINST) else 1))
    wanted = draw(st.integers(1, most))
    # Longer than hypothesis likes to draw: the rest follows from what was drawn.
    while drawn and len(drawn) < wanted:
        number, *others = drawn[len(drawn) * 7 % max(len(drawn) // 2, 1)]
        drawn.append((number + 41 + 3 * len(drawn), *others))
    found = [Document(f"{who}-{i}", *row) for i, row in enumerate(drawn)]
    if who == CORE:
        # An archive with a record that cannot be kept is refused.
        found = [dataclasses.replace(each, how="own", origin=None) for each in found]
    return found


def _shares(draw: st.DrawFn) -> dict[str, Any]:
    """Draws what is asked of the mixture."""
    fraction = st.sampled_from((0.0, 0.1, 0.25, 1 / 3, 0.5, 0.9, 1.0))
    mixtures = (
        {HUMAN: 0.5, SYNTHETIC: 0.3, "code": 0.2},
        {HUMAN: 0.6, "code": 0.4},
        {SYNTHETIC: 0.25, HUMAN: 0.75},
    )
    kind = draw(st.sampled_from(("none", "fraction", "fraction", "most", "mixture")))
    asked = {
        "none": st.just({}),
        "fraction": st.builds(lambda f: {"synthetic_fraction": f}, fraction),
        "most": st.builds(lambda f: {"max_synthetic_fraction": f}, fraction),
        "mixture": st.sampled_from([{"mixture": m} for m in mixtures]),
    }
    found: dict[str, Any] = dict(draw(asked[kind]))
    groups = list(found.get("mixture", (HUMAN, SYNTHETIC)))
    group = st.sampled_from(groups)
    amounts = st.dictionaries(group, st.sampled_from((0, 3, 40, 500)), max_size=1)
    extra = {
        "target_size": st.sampled_from((1, 12, 300, 4000, 10**6)),
        "protect": st.lists(group, max_size=1),
        "repeat": st.dictionaries(group, st.integers(1, 3), max_size=1),
        "floors": amounts,
        "caps": amounts,
        "on_shortage": st.sampled_from(("shrink", "shrink", "fail", "repeat:2")),
        "strata": st.sampled_from(("source", "category")),
        "fresh": st.sampled_from((0.0, 0.2, 0.6)),
    }
    for name in draw(st.lists(st.sampled_from(sorted(extra)), max_size=2, unique=True)):
        value = draw(extra[name])
        if name == "fresh":
            found |= {"fresh_after": "2022-11-30", "min_fresh": value}
        else:
            found[name] = value
    return found


@st.composite
def cases(
    draw: st.DrawFn, detectors: Sequence[str | None] = DETECTORS, most: int = 60
) -> Case:
    """Draws inputs and options.

    Args:
      draw: Of hypothesis.
      detectors: Which detectors may score.
      most: Documents of an origin.
    """
    origins = draw(
        st.lists(
            st.sampled_from((HUMAN, SYNTHETIC, UNKNOWN, CORE)), min_size=1, unique=True
        )
    )
    if draw(st.integers(0, 3)):
        origins = list(dict.fromkeys([*origins, HUMAN, SYNTHETIC]))
    # An archive of which anything must go is refused.
    if CORE not in origins and draw(st.integers(0, 2)) == 0:
        origins.append(AGAINST)
    held = {who: draw(documents(who, most)) for who in sorted(origins)}
    options = {
        "detector": draw(st.sampled_from(detectors)),
        "seed": draw(st.integers(0, 3)),
        "unit": draw(st.sampled_from(("docs", "bytes", "words"))),
        "count": draw(st.sampled_from(("declared", "declared", "estimated"))),
        "near_duplicates": draw(st.sampled_from((None, 0.6, 0.9))),
        "shingle_words": draw(st.sampled_from((2, 5))),
        "max_shard_bytes": draw(st.sampled_from((700, 5_000, 10**8))),
        "flagged_human": draw(st.sampled_from(("keep", "drop", "reclassify"))),
        "marked_human": draw(st.sampled_from(("keep", "drop", "reclassify"))),
        "early_synthetic": draw(st.sampled_from(("keep", "drop", "reclassify"))),
        "language_policy": draw(st.sampled_from(("declared", "drop"))),
        "on_hidden": draw(st.sampled_from(("auto", "keep", "shrink"))),
        "max_document_bytes": draw(
            st.sampled_from((10**7,) if CORE in origins else (350, 10**7))
        ),
        "rejected_text": draw(st.booleans()),
        "max_generation": draw(st.sampled_from((None, None, 0, 2))),
        "against_ngrams": draw(st.sampled_from((None, 13)))
        if AGAINST in held
        else None,
        "fields": ["category=kind"],
        **_shares(draw),
    }
    cut = draw(
        st.builds(Cut, st.integers(1, 4), st.sampled_from((1, 7)), st.booleans())
    )
    return Case(held, draw(st.sampled_from(_FORMATS)), options, cut)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the detector of this file be named as package.module:Class."""
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])


@settings(max_examples=EXAMPLES, phases=[Phase.generate], derandomize=not MORE)
@given(cases())
def test_every_document_is_in_the_books_once_and_no_cut_changes_the_set(
    case: Case,
) -> None:
    with tempfile.TemporaryDirectory(prefix="law-") as place:
        first = build(case, Path(place) / "first")
        event(first.outcome)
        cut = case.cut
        with pytest.MonkeyPatch.context() as patch:
            # Blocks as small as row groups, and many partitions by content.
            patch.setattr(blocks, "_BLOCK_BYTES", 1)
            patch.setattr(building, "_PARTITION_BYTES", 1 + 900 * cut.files)
            second = build(case, Path(place) / "second", cut)
        assert second.said == first.said
        if first.manifest is None:
            return
        check_conservation(case, first)
        check_shares(case, first)
        for name in ("content_digest", "books", "shares", "prevalence", "near_copies"):
            assert second.manifest[name] == first.manifest[name], name
        cores = [made.manifest["core"] or {"digest": None} for made in (first, second)]
        assert cores[0]["digest"] == cores[1]["digest"]
        assert second.left_out == first.left_out


@settings(max_examples=1 + EXAMPLES // 100, phases=[Phase.generate])
@given(cases(detectors=(None,), most=200))
def test_two_workers_make_the_same_set_as_one(case: Case) -> None:
    with tempfile.TemporaryDirectory(prefix="law-") as place:
        one = build(case, Path(place) / "one")
        two = build(case, Path(place) / "two", Cut(3, 7, False), workers=2)
        assert two.said == one.said
        if one.manifest is not None:
            assert two.manifest["content_digest"] == one.manifest["content_digest"]
            assert two.manifest["books"] == one.manifest["books"]


@dataclasses.dataclass(frozen=True)
class Made:
    """What a build came to.

    Attributes:
      folder: Its output.
      said: Why there is no set; None if there is one.
      manifest: Of the set.
    """

    folder: Path
    said: str | None = None
    manifest: Any = None

    @property
    def outcome(self) -> str:
        """A few words for the statistics."""
        return "a set" if self.said is None else self.said.split(":")[0][:40]

    @functools.cached_property
    def kept(self) -> list[dict[str, Any]]:
        """The rows of the set, shard after shard."""
        files = sorted((self.folder / "data").glob("*.parquet"))
        return [row for file in files for row in pq.read_table(file).to_pylist()]

    @functools.cached_property
    def left_out(self) -> dict[str, str]:
        """The reason of each id that is not in the set."""
        files = sorted((self.folder / "rejected").glob("*.parquet"))
        rows = [row for file in files for row in pq.read_table(file).to_pylist()]
        found = {row["id"]: row["reason"] for row in rows}
        assert len(found) == len(rows)
        return found


def build(case: Case, folder: Path, cut: Cut = WHOLE, workers: int = 1) -> Made:
    """Runs a build of a case whose files are cut as told."""
    inputs = write_inputs(case, folder / "inputs", cut)
    made = Made(folder / "out")
    try:
        job = sf.Build(
            output=str(made.folder),
            cache=str(folder / "cache"),
            **inputs,
            **case.options,
        )
        claim_output(job.output)
        run_listed(job, job.list_inputs(), workers, Reporter(quiet=True))
    except UserError as error:
        # Options that do not go together; both builds must say so.
        return dataclasses.replace(made, said=f"option: {error}")
    except ShortageError as error:
        assert not (made.folder / "manifest.json").exists()
        return dataclasses.replace(made, said=f"shortage: {error}")
    return dataclasses.replace(made, manifest=read_manifest(job.output))


def check_conservation(case: Case, made: Made) -> None:
    """Checks that each document is in the set, left out or a dead letter; no other."""
    manifest = made.manifest
    wrong = [c for c in check_build(str(made.folder), manifest, full=True) if c.wrong]
    assert wrong == []
    names = {document.id for document in case.mine}
    broken = {document.id for document in case.mine if document.text is None}
    kept = {row["id"] for row in made.kept}
    assert manifest["books"]["read"] == len(case.mine)
    assert manifest["books"]["kept"] == len(kept)
    assert manifest["books"]["dead_letters"] == len(broken)
    assert not kept & made.left_out.keys()
    assert kept | made.left_out.keys() == names - broken
    text = {document.id: document.text for document in case.mine}
    assert all(text[row["id"]] == row["text"] for row in made.kept)
    archive = [document.id for document in case.documents.get(CORE, ())]
    assert kept.issuperset(archive)


def check_shares(case: Case, made: Made) -> None:
    """Checks that the set is what was asked for, within one document of each part."""
    options, shares = case.options, made.manifest["shares"]
    unit = options["unit"]
    got = {name: shares["got"][unit][name] for name in ("human", "synthetic")}
    size = sum(got.values())
    largest = max(weigh(document.text or "", unit) for document in case.mine)
    # A part is a group of a stratum, and what is fresh or not of it.
    parts = (1 + ("min_fresh" in options)) * (6 if "strata" in options else 1)
    slack = parts * (largest + 1)
    if options.get("target_size") is not None:
        assert size <= options["target_size"] + slack
    for name, cap in options.get("caps", {}).items():
        if "mixture" not in options:
            assert got[name] <= cap
    if options["count"] == "estimated" or shares["limited_by"]:
        return
    if "synthetic_fraction" in options:
        wanted = options["synthetic_fraction"] * size
        assert abs(got["synthetic"] - wanted) <= slack
    if "max_synthetic_fraction" in options:
        assert got["synthetic"] <= options["max_synthetic_fraction"] * size + slack
    for name, group in shares.get("groups", {}).items():
        share = options["mixture"][name]
        others = len(options["mixture"]) - 1
        off = slack * ((1 - share) + share * others)
        assert abs(group["got"][unit] - share * size) <= off, name


def weigh(text: str, unit: str) -> int:
    """Returns what a text weighs in a unit."""
    return {"docs": 1, "bytes": len(text.encode()), "words": len(text.split())}[unit]
