"""What a ledger's rows say of documents, and which of them may not be used again."""

import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.errors import UserError
from synthfilter.core.hashing import hex_hashes
from synthfilter.core.schema import Origin
from synthfilter.core.uses import FACTS_OF_USE, USE
from synthfilter.decisions.reuse import (
    Rule,
    Uses,
    UseTally,
    check_reuse,
    find_reused,
    find_uses,
    tell_reuse,
)

# hi, lo, build, day, generation: few values, so that all kinds of clashes come up.
FEW = st.integers(0, 2)
GENERATION = st.one_of(st.none(), st.integers(0, 4))
ROWS = st.lists(st.tuples(FEW, FEW, FEW, FEW, GENERATION), max_size=25)
DOCUMENTS = st.lists(st.tuples(FEW, FEW), max_size=8).map(sorted)
Row = tuple[int, int, int, int, int | None]


# Origin and evidence, by number; those of the last are of an older ledger.
SAID = [
    ("human", "declared=human"),
    ("synthetic", "detector=synthetic"),
    ("synthetic", "declared=synthetic detector=synthetic"),
    ("synthetic", None),
]


def said_by(rows: list[Row]) -> list[pa.Array]:
    said = [SAID[(row[2] + row[3]) % 4] for row in rows]
    return [pa.array([each[i] for each in said], pa.string()) for i in range(2)]


def ledger_rows(rows: list[Row]) -> pa.RecordBatch:
    days = [datetime.datetime(2026, 1, 1 + row[3]) for row in rows]
    hi, lo = np.array([row[:2] for row in rows], np.uint64).reshape(-1, 2).T
    values = [
        hex_hashes(hi, lo),
        pa.array([row[4] for row in rows], pa.int32()),
        pa.array([f"build{row[2]}" for row in rows], pa.string()),
        pa.array(days, pa.timestamp("us")).cast(USE.field("time").type),
        *said_by(rows),
    ]
    schema = pa.schema([USE.field(name) for name in FACTS_OF_USE])
    return pa.RecordBatch.from_arrays(values, schema=schema)


def find(documents: list[tuple[int, int]], batches: list[pa.RecordBatch]) -> Uses:
    hi, lo = np.array(documents, np.uint64).reshape(-1, 2).T
    return find_uses(batches, hi, lo)


def as_rows(uses: Uses) -> list[tuple]:
    parts = (uses.synthetic.tolist(), uses.builds.tolist(), uses.generation.tolist())
    names = (uses.first_build.to_pylist(), uses.first_hash.to_pylist())
    return list(zip(*parts, *names, strict=True))


def reference(documents: list[tuple[int, int]], rows: list[Row]) -> list[tuple]:
    said = []
    for document in documents:
        mine = [row for row in rows if row[:2] == document]
        when = {
            build: min(row[3] for row in rows if row[2] == build and row in known)
            for known in [[row for row in rows if row[:2] in documents]]
            for build in {row[2] for row in mine}
        }
        depths = [row[4] for row in mine if row[4] is not None]
        first = min(when, key=lambda build: (when[build], build), default=None)
        said.append(
            (
                any((row[2] + row[3]) % 4 > 1 for row in mine),
                len(when),
                max(depths, default=None),
                None if first is None else f"build{first}",
                f"{document[0]:016x}{document[1]:016x}" if mine else None,
            )
        )
    return said


@given(ROWS, DOCUMENTS, st.integers(1, 9))
def test_uses_are_those_that_a_loop_finds_for_any_batch_borders(
    rows: list[Row], documents: list[tuple[int, int]], size: int
) -> None:
    batch = ledger_rows(rows)
    parts = [batch.slice(start, size) for start in range(0, len(rows), size)]
    assert as_rows(find(documents, parts)) == reference(documents, rows)


@given(ROWS, DOCUMENTS, st.randoms(use_true_random=False))
def test_uses_do_not_depend_on_the_order_of_the_ledger(rows, documents, random) -> None:
    shuffled = random.sample(rows, len(rows))
    found = find(documents, [ledger_rows(shuffled)])
    assert as_rows(found) == as_rows(find(documents, [ledger_rows(rows)]))


def test_documents_must_be_sorted() -> None:
    for documents in ([(1, 0), (0, 0)], [(1, 1), (1, 0)]):
        with pytest.raises(ValueError, match="sorted by both halves"):
            find(documents, [])


def test_a_near_copy_counts_as_a_use_of_the_document_and_is_named() -> None:
    rows = ledger_rows([(7, 0, 0, 1, 2), (5, 5, 1, 0, None), (7, 0, 1, 0, 1)])
    tally = UseTally(3)
    tally.add(np.array([0, 0, 2]), rows)
    tally.add(np.array([0]), rows.slice(1, 1))
    exact, unused, near = as_rows(tally.uses())
    assert exact == (False, 2, 2, "build1", f"{5:016x}{5:016x}")
    assert unused == (False, 0, None, None, None)
    assert near == (False, 1, 1, "build1", f"{7:016x}{0:016x}")


def test_a_registration_says_who_wrote_a_text_and_how_deep_it_is_but_is_no_use() -> (
    None
):
    rows = ledger_rows([(1, 1, 2, 0, 3), (1, 1, 1, 0, 1), (2, 2, 2, 0, None)])
    at = rows.schema.get_field_index("build_id")
    names = pa.array(["generated-1", "build1", "generated-1"])
    found = find([(1, 1), (2, 2), (3, 3)], [rows.set_column(at, "build_id", names)])
    assert as_rows(found) == [
        (True, 1, 3, "build1", f"{1:016x}{1:016x}"),
        (True, 0, None, None, None),
        (False, 0, None, None, None),
    ]


HUMAN, SYNTHETIC, *_ = Origin
ORIGINS = np.array([SYNTHETIC, SYNTHETIC, SYNTHETIC, HUMAN, SYNTHETIC, HUMAN], np.uint8)


def some_uses() -> Uses:
    """Three documents used 0, 1 and 2 times; a human one, twice; two more."""
    builds = np.array([0, 1, 2, 2, 0, 0], np.int32)
    generation = np.ma.MaskedArray(
        np.array([0, 1, 3, 0, 0, 0], np.int32), [True, False, False, False, True, True]
    )
    names = pa.array([None, "b", "a", "a", None, None])
    return Uses(np.zeros(6, bool), builds, generation, names, names)


def own_generation() -> np.ma.MaskedArray:
    values = np.array([2, 0, 0, 0, 0, 0], np.int32)
    return np.ma.MaskedArray(values, [False, True, True, False, True, True])


@pytest.mark.parametrize(
    ("options", "rules"),
    [
        ((None, None, False, "keep"), "......"),
        ((1, None, False, "keep"), ".uu..."),
        ((2, None, False, "keep"), "..u..."),
        ((3, None, False, "keep"), "......"),
        ((1, None, True, "keep"), ".uuu.."),
        ((None, 2, False, "keep"), "..g..."),
        ((None, 1, False, "keep"), "g.g..."),
        ((None, 0, False, "keep"), "ggg..."),
        ((None, 2, False, "drop"), "..g.g."),
        ((None, 2, True, "drop"), "..g.gg"),
        ((2, 1, False, "drop"), "g.u.g."),
        ((None, None, True, "drop"), "......"),
    ],
)
def test_the_first_rule_that_fits_leaves_a_document_out(
    options: tuple, rules: str
) -> None:
    rule = find_reused(ORIGINS, some_uses(), own_generation(), *options)
    assert "".join(".ug"[code] for code in rule) == rules


def test_the_evidence_names_the_earlier_build() -> None:
    rule = np.array([Rule.GENERATION, 0, Rule.USES, 0, Rule.GENERATION, 0], np.uint8)
    assert tell_reuse(rule, some_uses(), own_generation()).to_pylist() == [
        "generation=2",
        None,
        "build=a uses=2 generation=3 hash=a",
        None,
        "generation=unknown",
        None,
    ]


def test_no_documents_have_no_uses() -> None:
    uses = find([], [ledger_rows([(1, 1, 1, 1, 1)])])
    assert as_rows(uses) == []
    nothing = np.ma.masked_all(0, np.int32)
    rule = find_reused(np.zeros(0, np.uint8), uses, nothing, 1, 1, True, "drop")
    assert rule.tolist() == []
    assert len(tell_reuse(rule, uses, nothing)) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((0, None, "keep"), "max_uses must be at least 1, got 0"),
        ((None, -1, "keep"), "max_generation must be at least 0, got -1"),
        ((None, 1, "guess"), "unknown_generation must be one of keep, drop, got 'gue"),
    ],
)
def test_options_out_of_range_are_an_error(options: tuple, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_reuse(*options)
    check_reuse(1, 0, "drop")
    check_reuse(None, None, "keep")
