"""Figures of small sets of decided documents, counted by hand."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core import schema
from synthfilter.core.hashing import hash_names, hash_texts
from synthfilter.core.samples import rows_of
from synthfilter.core.schema import Origin, Reason
from synthfilter.insight.examples import MOST_CLUSTERS, MOST_EXAMPLES, tell_clusters
from synthfilter.insight.figures import (
    MONTHS,
    SCORE_BINS,
    SOURCE_COLUMNS,
    Figures,
    add_figures,
    length_bins,
    measure_documents,
    measure_facts,
    month_numbers,
    score_bins,
    top_sources,
)

DAY = 86_400_000
SOURCES = ["wiki", "news", None, "rare"]


def make_decisions(rows: list[dict]) -> pa.RecordBatch:
    """Rows of `schema.DECISION`: what is not said is zero, but one word and its row."""
    plain = {name: 0 for name in schema.DECISION.names} | {"words": 1}
    return pa.RecordBatch.from_pylist(
        [plain | {"row": i} | row for i, row in enumerate(rows)], schema=schema.DECISION
    )


def make_facts(rows: list[dict]) -> pa.RecordBatch:
    """Rows of `schema.FACTS`; what is not said is zero or nothing."""
    plain = {
        field.name: None if pa.types.is_string(field.type) else 0
        for field in schema.FACTS
    } | {"parents": [], "created": None}
    return pa.RecordBatch.from_pylist(
        [plain | row for row in rows], schema=schema.FACTS
    )


def measure(decisions: list[dict], facts: list[dict], named: list[str]) -> Figures:
    keys = np.sort(hash_names(pa.array(named, pa.string())))
    group = np.array([row.get("origin", 0) for row in decisions], np.uint8)
    return measure_facts(make_decisions(decisions), make_facts(facts), group, 2, keys)


def test_scores_are_counted_by_declared_origin_and_outcome() -> None:
    found = measure(
        [
            {"declared": Origin.UNKNOWN, "origin": Origin.SYNTHETIC},
            {"declared": Origin.UNKNOWN, "reason": Reason.NEAR_COPY},
            {"declared": Origin.HUMAN, "reason": Reason.DEAD_LETTER},
            {"declared": Origin.HUMAN},
        ],
        [{"ai_score": score} for score in (0.999, 0.5, 0.5, np.nan)],
        [],
    ).scores
    assert found[Origin.UNKNOWN, 0, SCORE_BINS - 1] == 1
    assert found[Origin.UNKNOWN, 1, SCORE_BINS // 2] == 1
    assert found[Origin.HUMAN, 0, SCORE_BINS] == 1
    assert found.sum() == 3  # what could not be read has no score


def test_scores_of_nought_and_one_are_in_the_first_and_last_bin() -> None:
    facts = make_facts([{"ai_score": s} for s in (0, 1, np.nan)])
    assert score_bins(facts).tolist() == [0, SCORE_BINS - 1, SCORE_BINS]


def test_lengths_are_told_within_a_sixteenth_of_an_octave() -> None:
    words = [0, 1, 2, 3, 1000, 1024, 2**31 - 1]
    bins = length_bins(make_decisions([{"words": n} for n in words]))
    low, high = 2 ** (bins / 16), 2 ** ((bins + 1) / 16)
    assert bins[0] == 0
    assert (low[1:] <= np.array(words[1:]) * 1.000001).all()
    assert (np.array(words[1:]) < high[1:]).all()


def test_months_are_those_of_the_calendar_and_what_has_none_is_last() -> None:
    facts = make_facts(
        [
            {"created": 0},
            {"created": 31 * DAY},
            {"created": -1},
            {"created": None},
            {"created": -(10**15)},
        ]
    )
    january_1970 = 170 * 12
    assert month_numbers(facts).tolist() == [
        january_1970,
        january_1970 + 1,
        january_1970 - 1,
        MONTHS,
        MONTHS,
    ]


def test_sources_that_are_named_are_told_and_others_together() -> None:
    rows = [
        ("wiki", Origin.HUMAN, Reason.KEPT),
        ("wiki", Origin.SYNTHETIC, Reason.KEPT),
        ("wiki", Origin.HUMAN, Reason.EXACT_COPY),
        ("news", Origin.HUMAN, Reason.MIXTURE),
        ("news", Origin.HUMAN, Reason.UNUSABLE_EMPTY),
        (None, Origin.HUMAN, Reason.NEAR_COPY),
    ]
    found = measure(
        [{"origin": who, "reason": why} for _, who, why in rows],
        [{"source": source} for source, *_ in rows],
        ["wiki", "news"],
    )
    keys = np.sort(hash_names(pa.array(["wiki", "news"])))
    names = [found.source_names[key] for key in keys.tolist()] + ["others"]
    told = dict(zip(names, found.sources.tolist(), strict=True))
    assert SOURCE_COLUMNS[0] == "read"
    assert told == {
        "wiki": [3, 1, 1, 1, 0, 0],
        "news": [2, 0, 0, 0, 0, 1],
        "others": [1, 0, 0, 0, 1, 0],
    }


def test_the_largest_sources_have_names_and_ties_do_not_depend_on_order() -> None:
    keys = np.arange(3000, dtype=np.uint64)
    documents = np.where(keys % 3 == 0, 5, 7)
    order = np.random.default_rng(0).permutation(3000)
    found = top_sources(keys, documents)
    assert (found == top_sources(keys[order], documents[order])).all()
    assert len(found) == 1000
    assert (found % 3 > 0).all()
    assert len(top_sources(keys[:0], documents[:0])) == 0


def test_what_filters_left_is_counted_by_group_before_the_choice() -> None:
    found = measure(
        [
            {"bytes": 10, "words": 2},
            {"bytes": 20, "words": 4, "reason": Reason.MIXTURE},
            {"bytes": 40, "words": 8, "reason": Reason.EXACT_COPY},
            {"bytes": 80, "words": 16, "origin": Origin.SYNTHETIC, "copies": 3},
            {"bytes": 1, "words": 1, "origin": Origin.UNKNOWN},
        ],
        [{}] * 5,
        [],
    )
    assert found.before.tolist() == [[2, 30, 6], [1, 80, 16]]


def test_causes_of_dead_letters_are_told_without_their_numbers() -> None:
    said = ["invalid JSON: line 1 column 7", "invalid JSON: line 1 column 99", "other"]
    found = measure(
        [{"reason": Reason.DEAD_LETTER}] * 3 + [{}],
        [{"error": error} for error in [*said, None]],
        [],
    )
    assert rows_of(found.causes) == [
        ("invalid JSON: line N column N", [2]),
        ("other", [1]),
    ]


def test_uses_before_are_counted_by_the_build_that_had_them() -> None:
    rows = [
        (Reason.USED_BEFORE, 7),
        (Reason.USED_BEFORE, 2**64 - 1),
        (Reason.USED_BEFORE, 7),
        (Reason.TOO_DEEP, 9),
    ]
    found = measure(
        [{"reason": why, "match_build": build} for why, build in rows],
        [{}] * 4,
        [],
    )
    assert found.earlier.hashes.tolist() == [7, 2**64 - 1]
    assert found.earlier.counts[:, 0].tolist() == [2, 1]


def make_documents(rows: list[dict]) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Documents as they are shown, and their decisions."""
    texts = pa.array([row["text"] for row in rows])
    hi, lo = hash_texts(texts)
    decisions = make_decisions(
        [
            {"order": int(hi[i]), "identity": int(lo[i])}
            | {k: v for k, v in row.items() if k in schema.DECISION.names}
            for i, row in enumerate(rows)
        ]
    )
    plain = {name: None for name in schema.REJECTED.names} | {"origin": "human"}
    shown = [
        plain | {"text": row["text"], "id": row["text"]} | row.get("shown", {})
        for row in rows
    ]
    return pa.RecordBatch.from_pylist(shown, schema=schema.REJECTED), decisions


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from(list(Reason)[2:5])), max_size=200
    ),
    st.lists(st.integers(0, 200), max_size=3),
)
def test_examples_and_clusters_of_parts_are_those_of_the_whole(rows, cuts) -> None:
    made = [
        {
            "text": f"{i} {match}",
            "reason": Reason.EXACT_COPY if i % 2 else why,
            "match_hi": match,
            "match_lo": match,
        }
        for i, (match, why) in enumerate(rows)
    ]
    edges = [0, *sorted(min(cut, len(made)) for cut in cuts), len(made)]
    parts = [
        measure_documents(*make_documents(made[a:b]), 10)
        for a, b in itertools.pairwise(edges)
    ]
    whole = measure_documents(*make_documents(made), 10)
    for order in (parts, parts[::-1]):
        found = add_figures(order)
        assert found.examples.to_pylist() == add_figures([whole]).examples.to_pylist()
        assert tell_clusters(found.clusters, 99) == tell_clusters(whole.clusters, 99)
    reasons = whole.examples["reason"].to_pylist()
    assert all(reasons.count(reason) <= MOST_EXAMPLES for reason in reasons)


def test_the_largest_clusters_are_told_with_one_of_their_copies() -> None:
    near = {"reason": Reason.NEAR_COPY, "match_hi": 1, "match_lo": 2}
    exact = {"reason": Reason.EXACT_COPY, "match_hi": 1, "match_lo": 2}
    other = {"reason": Reason.EXACT_COPY, "match_hi": 3, "match_lo": 4}
    rows = [near, exact, near, other, {"reason": Reason.MIXTURE, "match_hi": 3}]
    made = [row | {"text": f"{i}", "identity": 9 - i} for i, row in enumerate(rows)]
    found = measure_documents(*make_documents(made), 0)
    told = tell_clusters(found.clusters, 1)
    assert told == {
        "largest": [
            {
                "content_hash": f"{1:016x}{2:016x}",
                "copies": 3,
                "near": 2,
                "id": "2",
                "source": None,
            }
        ],
        "at_most_missed": 0,
    }


def test_what_is_lost_of_very_many_clusters_is_told() -> None:
    rows = [
        {"text": f"{i} {j}", "reason": Reason.EXACT_COPY, "match_hi": i, "match_lo": 0}
        for i in range(MOST_CLUSTERS + 5)
        for j in range(3 if i == 1 else 2 if i < MOST_CLUSTERS else 1)
    ]
    found = add_figures([measure_documents(*make_documents(rows), 0)] * 2).clusters
    assert found.copies.num_rows == MOST_CLUSTERS
    assert found.copies["copies"][0].as_py() == 6
    assert found.missed == 2  # one in each part


def test_examples_have_an_excerpt_or_none_and_names_are_cut() -> None:
    row = {"text": "a long text", "shown": {"id": "x" * 999}}
    (told,) = measure_documents(*make_documents([row]), 6).examples.to_pylist()
    assert (told["excerpt"], len(told["id"])) == ("a long", 200)
    (told,) = measure_documents(*make_documents([row]), 0).examples.to_pylist()
    assert told["excerpt"] is None


def test_generators_are_those_of_synthetic_documents_in_the_set() -> None:
    rows = [
        (Origin.SYNTHETIC, Reason.KEPT, "m1", 5),
        (Origin.SYNTHETIC, Reason.KEPT, "m1", 7),
        (Origin.SYNTHETIC, Reason.KEPT, None, 1),
        (Origin.SYNTHETIC, Reason.MIXTURE, "m2", 9),
        (Origin.HUMAN, Reason.KEPT, "m3", 9),
    ]
    made = [
        {
            "text": f"{i}",
            "origin": who,
            "reason": why,
            "words": words,
            "shown": {"generator": name},
        }
        for i, (who, why, name, words) in enumerate(rows)
    ]
    found = measure_documents(*make_documents(made), 0)
    assert rows_of(found.generators) == [("m1", [2, 12]), (None, [1, 1])]


def test_the_figures_of_nothing_are_empty_and_add_nothing() -> None:
    some = measure([{"words": 3}], [{"source": "wiki"}], ["wiki"])
    both = add_figures([Figures(), some])
    for name in ("scores", "lengths", "months", "before", "sources"):
        assert (getattr(both, name) == getattr(some, name)).all(), name
    assert add_figures([]).examples.num_rows == 0
    with pytest.raises(IndexError):
        add_figures([]).scores[0]
