from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from synthfilter.core import schema
from synthfilter.core.batches import column, concat_batches
from synthfilter.core.books import check
from synthfilter.core.claims import pack_one
from synthfilter.core.errors import ShortageError
from synthfilter.core.hashing import order_hash
from synthfilter.core.schema import UNITS, Evidence, Origin, Reason, Says
from synthfilter.decisions.cells import cell_code, join_bounds
from synthfilter.decisions.decide import (
    MixturePlan,
    boundary_rows,
    choose,
    count_books,
    count_chosen,
    find_bounds,
    judge_facts,
    leave_reference,
    order_keys,
    plan_mixture,
    summarise,
    weights,
)
from synthfilter.decisions.groups import PLAIN, Grouping, make_grouping
from synthfilter.decisions.origin import OriginRules, OutsideEvidence
from synthfilter.decisions.rules import MixtureRules, Shortage
from synthfilter.decisions.summary import Summary, add_summaries
from synthfilter.decisions.survey import is_asked
from synthfilter.decisions.texts import (
    settle_origins,
    settle_texts,
    split_by_content,
)

HUMAN, SYNTHETIC, UNKNOWN, REFERENCE, CORE = Origin
KEEP = ("reviewed", "human", "longest", "oldest")
SHRINK = Shortage("shrink")

SCORES = [0.0, 0.4, 0.6, 1.0, float("nan")]
RULES = OriginRules("drop", "drop", "reclassify", max_ai_score=0.9)
# What documents may say of their origin: a column, a mark or an early date.
CLAIMS = [
    pack_one(said)
    for said in (
        {},
        {Evidence.COLUMN: Says.HUMAN},
        {Evidence.COLUMN: Says.SYNTHETIC},
        {Evidence.MARK: Says.SYNTHETIC},
        {Evidence.DATE: Says.HUMAN},
    )
]

# Content (hi and lo), identity, claims, bytes, reason; texts that are equal have the
# same number of words and the same score.
FACT = st.builds(
    lambda content, identity, claims, size, reason: {
        "content_hi": content,
        "content_lo": content // 3,
        "identity": identity,
        "ai_score": float("nan") if reason else SCORES[content % len(SCORES)],
        "bytes": size,
        "words": 1 + content % 5,
        "created": None if size % 3 else size,
        "reviewed": int(size % 7 == 0),
        "source": None if size % 5 else f"source {size % 4}",
        "claims": claims,
        "language": ("en", "de", None)[identity % 3],
        "category": ("code", "prose", None, None)[content % 4],
        "weight": 1.0 + identity % 5,
        "reason": reason,
        "error": None,
        "position": None,
    },
    st.integers(0, 30),
    st.integers(0, 2**64 - 1),
    st.sampled_from(CLAIMS),
    st.integers(1, 2**31 - 1),
    st.sampled_from([0, 0, 0, Reason.DEAD_LETTER, Reason.UNUSABLE_EMPTY]),
)
BLOCKS = st.lists(
    st.tuples(st.sampled_from(Origin), st.lists(FACT, min_size=1, max_size=8)),
    min_size=1,
    max_size=5,
)


SAYS_NOTHING = {"claims": 0, "weight": 1.0}


def judge(
    blocks: list[tuple[Origin, list[dict]]], grouping: Grouping = PLAIN
) -> list[pa.RecordBatch]:
    return [
        judge_facts(
            pa.RecordBatch.from_pylist(
                [{**SAYS_NOTHING, **fact} for fact in facts], schema=schema.FACTS
            ),
            key,
            declared,
            np.full(len(facts), 0.5, np.float32),
            RULES.max_ai_score,
            OutsideEvidence(),
            KEEP,
            grouping,
        )
        for key, (declared, facts) in enumerate(blocks)
    ]


def settle(
    judged: list[pa.RecordBatch], partitions: int, grouping: Grouping = PLAIN
) -> list[pa.RecordBatch]:
    groups: dict[int, list[pa.RecordBatch]] = {}
    for batch in judged:
        for key, part in split_by_content(batch, partitions):
            assert 0 <= key < partitions
            groups.setdefault(key, []).append(part)
    return [
        settle_texts(concat_batches(parts), RULES, KEEP, grouping, seed=5)
        for parts in groups.values()
    ]


def tell_origins(
    blocks: list[tuple[Origin, list[dict]]], grouping: Grouping = PLAIN
) -> list[dict[str, Any]]:
    """What all documents count as, before copies go."""
    judged = concat_batches(judge(blocks, grouping))
    return settle_origins(judged, RULES, KEEP, grouping).to_pylist()


def settle_for_mixture(
    blocks: list[tuple[Origin, list[dict]]], grouping: Grouping = PLAIN
) -> list[pa.RecordBatch]:
    """Settled documents that the mixture is about."""
    return [
        leave_reference(batch) for batch in settle(judge(blocks, grouping), 3, grouping)
    ]


def mix(
    decided: list[pa.RecordBatch], unit: str, weighted: bool = False, **options: Any
) -> tuple[MixturePlan, list[pa.RecordBatch]]:
    """Applies the steps of a build one after the other."""
    summary = add_summaries(summarise(batch, unit, weighted) for batch in decided)
    plan = plan_mixture(summary, MixtureRules(unit=unit, **options), weighted)
    found: dict[int, list[pa.RecordBatch]] = {}
    for batch in decided:
        for part, rows in boundary_rows(batch, plan):
            found.setdefault(part, []).append(rows)
    bounds = join_bounds(find_bounds(element, plan) for element in found.items())
    for batch in decided:
        chosen = choose(batch, plan, bounds)
        size = column(chosen, "bytes").astype(np.int64) * column(chosen, "copies")
        assert count_chosen(batch, plan, bounds)[:, 1].sum() == size.sum()
    return plan, [choose(batch, plan, bounds) for batch in decided]


def by_address(batches: list[pa.RecordBatch]) -> list[dict[str, Any]]:
    rows = concat_batches(batches).to_pylist()
    return sorted(rows, key=lambda row: (row["block"], row["row"]))


def documents(*rows: tuple[Origin, int], **more: list) -> pa.RecordBatch:
    """Documents that are in, of an origin and a number of words, in random order."""
    origin, words = np.array(rows).T
    number = np.arange(len(rows))
    columns = {
        "block": np.zeros(len(rows), np.int64),
        "row": number.astype(np.int32),
        "order": order_hash(number.astype(np.uint64), number.astype(np.uint64), 0),
        "identity": number.astype(np.uint64),
        "bytes": (words * 6).astype(np.int32),
        "words": words.astype(np.int32),
        "declared": origin.astype(np.uint8),
        "origin": origin.astype(np.uint8),
        "reason": np.zeros(len(rows), np.uint8),
        "group": origin.astype(np.uint8),
        **more,
    }
    zeros = np.zeros(len(rows), np.uint8)
    return pa.RecordBatch.from_arrays(
        [
            pa.array(columns.get(field.name, zeros)).cast(field.type)
            for field in schema.DECIDED
        ],
        schema=schema.DECIDED,
    )


@given(BLOCKS)
def test_judging_keeps_every_row_and_its_address(blocks) -> None:
    for key, (batch, (declared, facts)) in enumerate(
        zip(judge(blocks), blocks, strict=True)
    ):
        assert batch.schema.equals(schema.JUDGED)
        assert batch.column("row").to_pylist() == list(range(len(facts)))
        for row, fact in zip(batch.to_pylist(), facts, strict=True):
            assert row["block"] == key
            assert row["declared"] == declared
            for name in ("content_hi", "content_lo", "identity", "bytes", "words"):
                assert row[name] == fact[name]
            if fact["reason"]:
                assert row["reason"] == fact["reason"]
            assert row["origin"] == declared


@given(BLOCKS, st.integers(1, 7), st.data())
def test_copies_do_not_depend_on_partitions_and_batches(
    blocks, partitions, data
) -> None:
    judged = judge(blocks)
    whole = concat_batches(judged)
    cuts = sorted(data.draw(st.lists(st.integers(0, whole.num_rows), max_size=4)))
    pieces = [
        whole.slice(start, stop - start)
        for start, stop in pairwise([0, *cuts, whole.num_rows])
    ]
    assert by_address(settle(judged, partitions)) == by_address(settle(pieces, 1))


@given(BLOCKS)
def test_of_every_text_one_document_stays_and_all_of_the_archive(blocks) -> None:
    judged = tell_origins(blocks)
    decided = by_address(settle(judge(blocks), 3))
    alive = [row for row in judged if row["reason"] == Reason.KEPT]
    texts: dict[int, list[Origin]] = {}
    for row in alive:
        texts.setdefault(row["content_hi"], []).append(row["declared"])
    known = {row["content_hi"] for row in alive if row["declared"] == REFERENCE}
    kept = [row["reason"] == Reason.KEPT for row in decided]
    # What of the archive is in a reference set goes, and stops the build later.
    assert sum(kept) == sum(
        1 if REFERENCE in declared else max(1, declared.count(CORE))
        for declared in texts.values()
    )
    for before, after, stays in zip(judged, decided, kept, strict=True):
        match = (after["match_hi"], after["match_lo"], after["similarity"])
        if stays or before["reason"] != Reason.KEPT:
            assert after["reason"] == before["reason"]
            assert match == (0, 0, 0)
        else:
            in_reference = before["content_hi"] in known
            wanted = Reason.REFERENCE_COPY if in_reference else Reason.EXACT_COPY
            assert after["reason"] == wanted
            assert match == (before["content_hi"], before["content_lo"], 1)


@given(BLOCKS)
def test_no_text_of_a_reference_set_is_left_outside_of_it(blocks) -> None:
    decided = settle_for_mixture(blocks)
    judged = tell_origins(blocks)
    known = {
        row["content_hi"]
        for row in judged
        if row["declared"] == REFERENCE and row["reason"] == Reason.KEPT
    }
    texts = {(row["block"], row["row"]): row["content_hi"] for row in judged}
    for row in by_address(decided):
        assert row["declared"] != REFERENCE
        if row["reason"] == Reason.KEPT and row["declared"] != CORE:
            assert texts[row["block"], row["row"]] not in known


def test_the_longest_then_the_oldest_copy_stays_as_all_have_one_origin() -> None:
    same = {
        "content_hi": 1,
        "content_lo": 1,
        "ai_score": 0.0,
        "words": 2,
        "reviewed": 0,
        "reason": 0,
        "error": None,
        "position": None,
    }
    facts = [
        {**same, "identity": 1, "bytes": 9, "created": None},
        {**same, "identity": 2, "bytes": 9, "created": 7},
        {**same, "identity": 3, "bytes": 8, "created": 1},
    ]
    machine = [{**same, "identity": 4, "bytes": 8, "created": 0}]
    decided = by_address(settle(judge([(SYNTHETIC, machine), (HUMAN, facts)]), 4))
    copy = Reason.EXACT_COPY
    assert [row["reason"] for row in decided] == [copy, copy, Reason.KEPT, copy]
    assert [row["origin"] for row in decided] == [SYNTHETIC] * 4


def test_a_reviewed_copy_stays_before_all_others() -> None:
    same = {"content_hi": 1, "content_lo": 1, "ai_score": 0.0, "words": 2, "reason": 0}
    human = {**same, "identity": 1, "bytes": 99, "created": 0, "reviewed": 0}
    machine = {**same, "identity": 2, "bytes": 9, "created": None, "reviewed": 1}
    decided = by_address(settle(judge([(HUMAN, [human]), (SYNTHETIC, [machine])]), 4))
    assert [row["reason"] for row in decided] == [Reason.EXACT_COPY, Reason.KEPT]


@given(
    BLOCKS,
    st.sampled_from(UNITS),
    st.integers(0, 10).map(lambda tenths: tenths / 10),
    st.sampled_from([SHRINK, Shortage("repeat", 3)]),
    st.sampled_from(["synthetic_fraction", "max_synthetic_fraction"]),
    st.none() | st.integers(1, 100),
)
def test_the_choice_is_that_of_sorting_all_documents_and_taking_the_first(
    blocks, unit, share, shortage, kind, size
) -> None:
    decided = settle_for_mixture(blocks)
    asked = {kind: share, "shortage": shortage, "target_size": size}
    try:
        plan, chosen = mix(decided, unit, **asked)
    except ShortageError:
        return
    rows = concat_batches(chosen)
    for who in (HUMAN, SYNTHETIC):
        mine = [
            (row["order"], row["identity"], weight, row["copies"], row["declared"])
            for row, weight in zip(
                rows.to_pylist(), weights(rows, unit).tolist(), strict=True
            )
            if row["origin"] == who and row["reason"] in (Reason.KEPT, Reason.MIXTURE)
        ]
        archive = [row for row in mine if row[4] == CORE]
        assert all(row[3] == 1 for row in archive)
        alive = [row[:4] for row in mine if row[4] != CORE]
        available = sum(row[2] for row in alive)
        whole = sum(row[2] for row in archive)
        group = plan.targets.groups[schema.ORIGIN_NAMES[who]]
        assert group.available == available + whole
        target = group.target - whole
        times, left = divmod(target, available) if available else (0, 0)
        for _, _, weight, copies in sorted(alive):
            left -= weight
            assert copies == times + (left >= 0)
        got = sum(row[2] * row[3] for row in alive)
        assert target - max((row[2] for row in alive), default=1) < got <= target or (
            target == got == 0
        )


@given(
    BLOCKS, st.integers(0, 10).map(lambda tenths: tenths / 10), st.sampled_from(UNITS)
)
def test_decisions_do_not_depend_on_the_borders_of_batches(blocks, share, unit) -> None:
    decided = settle_for_mixture(blocks)
    whole = concat_batches(decided)
    single = [whole.slice(row, 1) for row in range(whole.num_rows)]
    try:
        plan, chosen = mix(decided, unit, synthetic_fraction=share)
    except ShortageError:
        with pytest.raises(ShortageError):
            mix(single, unit, synthetic_fraction=share)
        return
    again_plan, again = mix(single, unit, synthetic_fraction=share)
    assert again_plan.targets.groups == plan.targets.groups
    assert by_address(again) == by_address(chosen)


@given(BLOCKS, st.integers(0, 10).map(lambda tenths: tenths / 10))
def test_every_document_ends_in_the_books_with_one_reason(blocks, share) -> None:
    decided = settle_for_mixture(blocks)
    try:
        _, chosen = mix(decided, "docs", synthetic_fraction=share)
    except ShortageError:
        return
    rows = concat_batches(chosen)
    assert rows.schema.equals(schema.DECISION)
    read = sum(len(facts) for who, facts in blocks if who != REFERENCE)
    check(count_books(rows), read)
    kept = column(rows, "reason") == Reason.KEPT
    assert (kept == (column(rows, "copies") > 0)).all()


@given(
    st.lists(
        st.tuples(st.sampled_from([HUMAN, SYNTHETIC]), st.integers(1, 50)),
        min_size=1,
        max_size=40,
    ),
    st.integers(0, 9),
)
def test_all_human_text_is_kept_and_the_synthetic_weight_is_within_one_document(
    rows, tenths
) -> None:
    human = [words for who, words in rows if who == HUMAN]
    machine = [words for who, words in rows if who == SYNTHETIC]
    assume(human and sum(human) * tenths <= sum(machine) * (10 - tenths))
    _, (chosen,) = mix([documents(*rows)], "words", synthetic_fraction=tenths / 10)
    copies = column(chosen, "copies")
    mine = column(chosen, "origin") == SYNTHETIC
    assert (copies[~mine] == 1).all()
    got = int((copies * column(chosen, "words"))[mine].sum())
    wanted = sum(human) * tenths // (10 - tenths)
    assert wanted - max(machine, default=1) < got <= wanted


def test_a_set_that_would_be_empty_is_an_error_of_one_line() -> None:
    machine = documents((SYNTHETIC, 5))
    with pytest.raises(
        ShortageError, match=r"empty.* 0 human and 5 synthetic words"
    ) as e:
        mix([machine], "words", synthetic_fraction=0.5)
    assert "\n" not in str(e.value)
    with pytest.raises(ShortageError, match="empty"):
        plan_mixture(Summary(), MixtureRules(unit="docs"))


def test_repeating_uses_each_document_as_often_as_the_share_asks() -> None:
    rows = documents(*[(HUMAN, 10)] * 6, *[(SYNTHETIC, 10)] * 4)
    options = {"synthetic_fraction": 0.5, "shortage": Shortage("repeat", 2)}
    plan, (chosen,) = mix([rows], "docs", **options)
    assert plan.targets.limited_by is None
    assert chosen.column("copies").to_pylist()[:6] == [1] * 6
    assert sorted(chosen.column("copies").to_pylist()[6:]) == [1, 1, 2, 2]


def test_what_is_out_is_spread_over_the_partitions() -> None:
    empty = {
        "content_hi": 0,
        "content_lo": 0,
        "identity": 0,
        "ai_score": float("nan"),
        "bytes": 0,
        "words": 0,
        "created": None,
        "reviewed": 0,
        "reason": Reason.UNUSABLE_EMPTY,
        "error": None,
        "position": None,
    }
    (judged,) = judge([(HUMAN, [empty] * 400)])
    sizes = [part.num_rows for _, part in split_by_content(judged, 4)]
    assert len(sizes) == 4 and max(sizes) < 200


def test_the_bytes_of_each_slice_that_are_in_the_set_are_counted() -> None:
    rows = documents((HUMAN, 1), (SYNTHETIC, 2), (HUMAN, 3))
    summary = summarise(rows, "words")
    assert summary.slices.tolist() == [[0, 0, 3]]
    plan = plan_mixture(summary, MixtureRules(synthetic_fraction=0))
    assert count_chosen(rows, plan, join_bounds([])).tolist() == [[0, 24]]


GROUPED = {
    "mixture": {"code": 0.4, "human": 0.4, "synthetic": 0.2},
    "min_fresh": 0.1,
    "repeat": {"code": 2},
}


@given(
    BLOCKS,
    st.sampled_from(UNITS),
    st.booleans(),
    st.sampled_from([None, "language", "source", "category"]),
    st.none() | st.integers(1, 100),
)
def test_groups_fresh_documents_weights_and_strata_do_not_depend_on_batches(
    blocks, unit, weighted, strata, size
) -> None:
    grouping = make_grouping(GROUPED["mixture"], "1970-01-01", strata)
    decided = settle_for_mixture(blocks, grouping)
    whole = concat_batches(decided)
    single = [whole.slice(row, 1) for row in range(whole.num_rows)]
    options = {**GROUPED, "target_size": size, "weighted": weighted}
    try:
        plan, chosen = mix(decided, unit, **options)
    except ShortageError as error:
        with pytest.raises(ShortageError) as again:
            mix(single, unit, **options)
        assert str(again.value) == str(error)
        return
    again_plan, again_chosen = mix(single, unit, **options)
    assert again_plan.targets.groups == plan.targets.groups
    assert by_address(again_chosen) == by_address(chosen)
    check_choice(whole, concat_batches(chosen), plan, unit, weighted)


def check_choice(
    decided: pa.RecordBatch,
    chosen: pa.RecordBatch,
    plan: MixturePlan,
    unit: str,
    weighted: bool,
) -> None:
    """Every cell has its target, of the first documents in its order."""
    keys = order_keys(decided, weighted).tolist()
    members: dict[tuple[int, int], list[tuple[int, int, int, int, int]]] = {}
    rows = zip(
        decided.to_pylist(),
        chosen.to_pylist(),
        weights(decided, unit).tolist(),
        keys,
        strict=True,
    )
    for row, got, weight, key in rows:
        if row["reason"] != Reason.KEPT:
            assert got["copies"] == 0
            continue
        code = cell_code(row["group"], bool(row["fresh"]), row["declared"] == CORE)
        place = (key, row["order"], row["identity"])
        members.setdefault((row["stratum"], code), []).append(
            (*place, weight, got["copies"])
        )
    assert len(members) == len(plan.targets.weight)
    for (cell, documents_), target, up in zip(
        sorted(members.items()),
        plan.targets.weight.tolist(),
        plan.targets.up.tolist(),
        strict=True,
    ):
        available = sum(row[3] for row in documents_)
        times, left = divmod(target, available)
        assert times <= 2 if cell[1] >> 2 == 2 else times <= 1
        for *_, weight, copies in sorted(documents_):
            taken = left > 0 if up else left >= weight
            assert copies == times + taken
            left = left - weight if taken else 0


def test_weights_of_one_everywhere_change_nothing() -> None:
    rows = documents(*[(HUMAN, 3)] * 50, *[(SYNTHETIC, 2)] * 50, weight=[1.0] * 100)
    options = {"synthetic_fraction": 0.2, "target_size": 90}
    _, (plain,) = mix([rows], "words", **options)
    _, (weighted,) = mix([rows], "words", weighted=True, **options)
    assert weighted.equals(plain)


def test_heavy_documents_are_in_more_often() -> None:
    weight = [4.0, 1.0, 0.0] * 200
    rows = documents(*[(HUMAN, 3)] * 600, weight=weight)
    _, (chosen,) = mix([rows], "docs", weighted=True, target_size=200)
    kept = column(chosen, "copies").reshape(200, 3).sum(axis=0)
    # Of exponential variates of rates 4 and 1 the first 200 of 400 are these, about.
    assert kept[2] == 0
    assert 138 < kept[0] < 168
    assert kept.sum() == 200


def test_documents_in_no_group_are_out_before_copies_are_looked_for() -> None:
    same = {"content_hi": 1, "content_lo": 1, "ai_score": 0.0, "words": 2, "reason": 0}
    same |= {"bytes": 9, "created": None, "reviewed": 0}
    human = [{**same, "identity": 1}, {**same, "identity": 2, "category": "code"}]
    core = [{**same, "identity": 3}]
    grouping = make_grouping({"code": 1.0}, None, None)
    blocks = [(HUMAN, human), (UNKNOWN, human[:1]), (CORE, core)]
    decided = by_address(settle(judge(blocks, grouping), 4, grouping))
    nowhere = Reason.NO_GROUP
    copy = Reason.EXACT_COPY
    assert [row["reason"] for row in decided] == [nowhere, copy, nowhere, Reason.KEPT]
    assert [row["group"] for row in decided] == [255, 2, 255, 0]


def one_text(*said: tuple[Origin, int], **more: Any) -> list[tuple[Origin, list[dict]]]:
    """Copies of one text, a block each: how it is declared and what it claims."""
    same = {"content_hi": 1, "content_lo": 1, "ai_score": 0.1, "words": 2, "reason": 0}
    same |= {"bytes": 9, "created": None, "reviewed": 0, **more}
    return [
        (declared, [{**same, "identity": number, "claims": claims}])
        for number, (declared, claims) in enumerate(said)
    ]


NOTHING, COLUMN_HUMAN, COLUMN_SYNTHETIC, MARKED, EARLY = CLAIMS


@pytest.mark.parametrize(
    ("other", "origin"),
    [
        ((SYNTHETIC, NOTHING), SYNTHETIC),
        ((UNKNOWN, MARKED), SYNTHETIC),
        ((UNKNOWN, COLUMN_SYNTHETIC), SYNTHETIC),
        ((HUMAN, NOTHING), HUMAN),
        ((UNKNOWN, EARLY), HUMAN),
        ((CORE, NOTHING), HUMAN),
        ((REFERENCE, MARKED), HUMAN),
    ],
)
def test_what_is_said_of_a_copy_counts_for_a_text_of_unknown_origin(
    other, origin
) -> None:
    first, second = tell_origins(one_text((UNKNOWN, NOTHING), other))
    assert first["origin"] == origin
    assert first["group"] == origin
    asked = is_asked(first["suspicion"])
    assert asked == (other[0] in (HUMAN, CORE, REFERENCE))
    if other[0] not in (CORE, REFERENCE):
        assert second["origin"] == origin
        assert first["claims"] == second["claims"]


def test_the_archive_stays_human_and_a_reference_set_says_nothing() -> None:
    blocks = one_text((CORE, NOTHING), (SYNTHETIC, MARKED), (REFERENCE, NOTHING))
    core, copy, reference = tell_origins(blocks)
    assert (core["origin"], core["reason"]) == (HUMAN, Reason.KEPT)
    assert core["claims"] == pack_one({Evidence.DECLARED: Says.HUMAN})
    assert copy["origin"] == SYNTHETIC
    assert reference["origin"] == REFERENCE


def test_where_copies_are_declared_both_synthetic_wins() -> None:
    for row in tell_origins(one_text((HUMAN, NOTHING), (SYNTHETIC, NOTHING))):
        assert row["origin"] == SYNTHETIC
        assert row["claims"] == pack_one({Evidence.DECLARED: Says.SYNTHETIC})


def test_policies_and_limits_hold_for_all_copies() -> None:
    marked = tell_origins(one_text((HUMAN, NOTHING), (UNKNOWN, MARKED)))
    assert [row["reason"] for row in marked] == [Reason.CONFLICT] * 2
    high = one_text((UNKNOWN, NOTHING), (SYNTHETIC, NOTHING), ai_score=0.95)
    assert [r["reason"] for r in tell_origins(high)] == [Reason.SCORE_TOO_HIGH] * 2
    # The limit is for what is not synthetic by the detector's word alone.
    assert tell_origins(high[:1])[0]["reason"] == Reason.KEPT
    none = one_text((UNKNOWN, NOTHING), (SYNTHETIC, NOTHING), ai_score=float("nan"))
    assert [row["reason"] for row in tell_origins(none)] == [Reason.KEPT] * 2
    assert tell_origins(none[:1])[0]["reason"] == Reason.UNSCORABLE


def test_a_category_goes_before_the_origin_of_a_copy() -> None:
    grouping = make_grouping({"code": 0.5, "human": 0.5}, "1970-01-01", None)
    blocks = one_text((UNKNOWN, NOTHING), (SYNTHETIC, NOTHING), created=10**9)
    blocks[0][1][0]["category"] = "code"
    blocks += one_text((HUMAN, NOTHING), content_hi=2, created=10**9)
    category, synthetic, human = tell_origins(blocks, grouping)
    assert (category["group"], synthetic["group"], human["group"]) == (2, 255, 0)
    assert synthetic["reason"] == Reason.NO_GROUP
    assert (category["fresh"], synthetic["fresh"], human["fresh"]) == (0, 0, 1)


@given(BLOCKS)
def test_a_text_has_one_origin_but_in_the_archive_and_reference_sets(blocks) -> None:
    rows = [
        row
        for row in tell_origins(blocks)
        if row["declared"] not in (REFERENCE, CORE)
        and row["reason"] not in (Reason.DEAD_LETTER, Reason.UNUSABLE_EMPTY)
    ]
    texts: dict[int, set[tuple]] = {}
    for row in rows:
        names = ("origin", "claims", "reason", "group", "suspicion")
        found = tuple(row[name] for name in names)
        texts.setdefault(row["content_hi"], set()).add(found)
    assert all(len(found) == 1 for found in texts.values())


@given(BLOCKS)
def test_a_text_without_copies_counts_as_what_is_said_of_it_alone(blocks) -> None:
    alone = []
    for key, (declared, facts) in enumerate(blocks):
        for row, fact in enumerate(facts):
            (told,) = tell_origins([(declared, [fact])])
            alone.append({**told, "block": key, "row": row})
    for one, told in zip(alone, tell_origins(blocks), strict=True):
        mine = [r for r in alone if r["content_hi"] == one["content_hi"]]
        if len(mine) == 1 or len({r["claims"] for r in mine}) == 1:
            assert told == one
