"""What verdicts come to: majorities, agreement and the error rate, by known values."""

import datetime
import math
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.errors import ShortageError
from synthfilter.core.hashing import hex_hashes
from synthfilter.core.intervals import effective_size, wilson_interval
from synthfilter.core.verdicts import VERDICT_NAMES, VERDICTS, Verdict
from synthfilter.decisions.verdicts import (
    check_max_error,
    cohen_kappa,
    effective_verdicts,
    find_texts,
    find_verdicts,
    latest_verdicts,
    measure_agreement,
    measure_error,
    weigh_documents,
)

START = datetime.datetime(2026, 3, 1, tzinfo=datetime.timezone.utc)


def hash_of(number: int) -> str:
    return f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}{number:016x}"


def rows(*said: tuple[Any, ...], **columns: Any) -> pa.Table:
    """Rows of (document, reviewer, verdict[, minute]); other columns are the same."""
    known = {"build_id": "b1", "origin": "synthetic", "focus": "synthetic"}
    known |= {"probability": 0.5, "id": None, "note": None, **columns}
    return pa.Table.from_pylist(
        [
            {
                **known,
                "content_hash": hash_of(number),
                "reviewer": who,
                "verdict": verdict,
                "time": START + datetime.timedelta(minutes=sum(minute)),
            }
            for number, who, verdict, *minute in said
        ],
        schema=VERDICTS,
    )


def effective(table: pa.Table) -> dict[str, Verdict]:
    found = effective_verdicts(table)
    hashes = hex_hashes(found.content_hi, found.content_lo).to_pylist()
    return dict(zip(hashes, map(Verdict, found.verdict), strict=True))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (["human"], Verdict.HUMAN),
        (["reject"], Verdict.REJECT),
        (["unsure"], Verdict.NONE),
        (["human", "human", "reject"], Verdict.HUMAN),
        (["human", "synthetic"], Verdict.NONE),
        (["human", "synthetic", "reject"], Verdict.NONE),
        (["unsure", "unsure", "reject"], Verdict.NONE),
        (["unsure", "reject", "reject"], Verdict.REJECT),
        (["unsure", "reject"], Verdict.NONE),
        (["human", "human", "reject", "unsure"], Verdict.HUMAN),
    ],
)
def test_the_most_frequent_verdict_counts_and_a_tie_does_not(
    said: list[str], expected: Verdict
) -> None:
    table = rows(*((7, f"r{i}", verdict) for i, verdict in enumerate(said)))
    assert effective(table) == {hash_of(7): expected}


def test_a_reviewer_may_change_their_mind() -> None:
    table = rows((1, "a", "human", 5), (1, "a", "reject", 9), (1, "b", "reject", 1))
    assert effective(table) == {hash_of(1): Verdict.REJECT}
    assert effective(table.slice(0, 1)) == {hash_of(1): Verdict.HUMAN}
    assert latest_verdicts(table).column("verdict").to_pylist() == ["reject"] * 2


def test_nothing_comes_of_nothing() -> None:
    none = VERDICTS.empty_table()
    found = effective_verdicts(none)
    assert [len(column) for column in found[:3]] == [0, 0, 0]
    assert measure_agreement(none) == []
    assert measure_error(none) is None
    one = np.ones(1, np.uint64)
    assert find_verdicts(found, one, one).tolist() == [Verdict.NONE]
    assert find_verdicts(found, one[:0], one[:0]).tolist() == []


SAID = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from("abc"),
        st.sampled_from(VERDICT_NAMES),
        st.integers(0, 3),
    ),
    max_size=30,
)


@given(SAID, st.randoms(use_true_random=False))
def test_verdicts_are_those_of_a_plain_count_in_any_order(said: list, random) -> None:
    last: dict[tuple, tuple] = {}
    for number, who, verdict, _ in sorted(said, key=lambda row: row[3:] + row[2:3]):
        last[number, who] = verdict
    expected = {}
    for number in {number for number, _ in last}:
        votes = Counter(v for (n, _), v in last.items() if n == number).most_common()
        tie = len(votes) > 1 and votes[0][1] == votes[1][1]
        won = "unsure" if tie else votes[0][0]
        expected[hash_of(number)] = Verdict(VERDICT_NAMES.index(won))
    assert effective(rows(*said)) == expected
    digest = effective_verdicts(rows(*said)).digest
    random.shuffle(said)
    found = effective_verdicts(rows(*said))
    assert found.digest == digest
    hashes = hex_hashes(found.content_hi, found.content_lo).to_pylist()
    assert hashes == sorted(expected)


def test_another_verdict_is_another_digest() -> None:
    digests = {
        effective_verdicts(rows((number, "a", verdict))).digest
        for number in (1, 2)
        for verdict in VERDICT_NAMES
    }
    assert len(digests) == 8


def test_texts_are_found_by_both_halves_of_their_hash() -> None:
    hi = np.array([1, 1, 2, 2**64 - 1], np.uint64)
    lo = np.array([5, 9, 0, 256], np.uint64)
    wanted = np.array([[2, 0], [1, 9], [1, 6], [0, 5], [2**64 - 1, 256]], np.uint64).T
    assert find_texts(hi, lo, *wanted).tolist() == [2, 1, -1, -1, 3]
    assert find_texts(hi[:0], lo[:0], *wanted).tolist() == [-1] * 5


def test_kappa_has_the_value_of_the_textbook() -> None:
    # 50 proposals, two readers: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no.
    one = np.repeat([1, 1, 2, 2], [20, 5, 10, 15])
    other = np.repeat([1, 2, 1, 2], [20, 5, 10, 15])
    assert cohen_kappa(one, other) == pytest.approx(0.4)
    assert cohen_kappa(one, one) == 1.0
    assert cohen_kappa(one[:20], other[:20]) is None
    assert cohen_kappa(one[:0], other[:0]) is None
    assert cohen_kappa(np.array([1, 2]), np.array([2, 1])) == -1.0


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 2), min_size=1, max_size=40))
def test_kappa_is_symmetric_and_at_most_one(pairs: list[tuple[int, int]]) -> None:
    one, other = np.array(pairs).T
    found = cohen_kappa(one, other)
    turned = cohen_kappa(other, one)
    if found is None:
        assert len(set(one) | set(other)) == 1
        assert turned is None
    else:
        assert -1 - 1e-9 <= found <= 1 + 1e-9
        assert turned == pytest.approx(found)
        assert (found == pytest.approx(1)) == bool((one == other).all())


def test_agreement_is_over_the_documents_in_common() -> None:
    said = [(i, "ann", ["human", "reject"][i % 2]) for i in range(10)]
    said += [(i, "bob", ["human", "reject"][i % 2]) for i in range(8)]
    said += [(i, "cy", "human") for i in range(8, 12)]
    found = measure_agreement(rows(*said))
    assert [pair.reviewers for pair in found] == [("ann", "bob"), ("ann", "cy"), ()]
    assert [pair.documents for pair in found] == [8, 2, 10]
    assert [pair.agreement for pair in found] == [1.0, 0.5, pytest.approx(0.9)]
    assert found[0].kappa == 1.0
    # Chance: 1/2 of 8 and 1/2 of 2.
    assert found[2].kappa == pytest.approx((0.9 - 0.5) / 0.5)


def test_two_who_always_say_the_same_thing_have_no_kappa() -> None:
    found = measure_agreement(rows((1, "a", "human"), (1, "b", "human")))
    assert [pair.kappa for pair in found] == [None, None]
    assert [pair.agreement for pair in found] == [1.0, 1.0]


def test_the_interval_is_wilsons() -> None:
    # Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20.
    for hits, of, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)):
        assert wilson_interval(hits, of) == pytest.approx((low, high), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=50))
def test_the_effective_size_is_at_most_the_number(weights: list[float]) -> None:
    size = effective_size(np.array(weights))
    assert 1 - 1e-9 <= size <= len(weights) + 1e-9
    assert effective_size(np.full(len(weights), weights[0])) == pytest.approx(
        len(weights)
    )


def reviewed(good: int, bad: int, **columns: Any) -> pa.Table:
    said = [(i, "a", "reject" if i < bad else "synthetic") for i in range(good + bad)]
    return rows(*said, **columns)


def test_none_of_200_is_below_two_percent_and_none_of_150_may_be_above() -> None:
    found = check_max_error(reviewed(200, 0), 0.02)
    assert (found.rate, found.low, found.reviewed) == (0.0, 0.0, 200)
    assert found.high == pytest.approx(0.01885, abs=1e-5)
    with pytest.raises(ShortageError, match=r"0 of 150 .* \(0\.00% to 2\.50%\)"):
        check_max_error(reviewed(150, 0), 0.02)


def test_the_upper_end_of_the_interval_must_be_low_enough() -> None:
    check_max_error(reviewed(990, 10), 0.02)
    with pytest.raises(ShortageError, match=r"more errors than max_error 0\.018"):
        check_max_error(reviewed(990, 10), 0.018)


def test_a_gate_without_a_review_is_closed() -> None:
    for table in (
        VERDICTS.empty_table(),
        reviewed(200, 0, origin="human"),
        reviewed(200, 0, focus="threshold"),
        reviewed(200, 0, focus=None),
        reviewed(200, 0, probability=None),
        rows(*((i, "a", "unsure") for i in range(200))),
    ):
        with pytest.raises(ShortageError, match="none drawn by chance has a verdict"):
            check_max_error(table, 0.5)


def test_a_document_counts_for_as_many_as_it_was_drawn_from() -> None:
    often = rows(*((i, "a", "reject") for i in range(10)), probability=1.0)
    said = ((i, "a", "synthetic") for i in range(10, 20))
    seldom = rows(*said, probability=0.1)
    found = measure_error(pa.concat_tables([often, seldom]))
    assert found is not None
    assert found.rate == pytest.approx(10 / 110)
    size = 110**2 / (10 + 10 * 100)
    assert found.high == pytest.approx(wilson_interval(size / 11, size)[1])


def test_what_a_focus_picked_says_nothing_of_the_others() -> None:
    drawn = reviewed(100, 0)
    picked = rows(*((i, "a", "reject") for i in range(500, 600)), focus="conflicts")
    found = measure_error(pa.concat_tables([drawn, picked]))
    assert found is not None
    assert (found.reviewed, found.rejected) == (100, 0)
    # Verdicts count from whichever focus, once the document was drawn, too.
    again = rows((3, "b", "reject"), (3, "c", "reject"), focus="conflicts")
    found = measure_error(pa.concat_tables([drawn, again]))
    assert found is not None
    assert (found.reviewed, found.rejected) == (100, 1)


def test_undecided_documents_are_told_and_do_not_count() -> None:
    table = pa.concat_tables([reviewed(10, 2), rows((50, "a", "unsure"))])
    found = measure_error(table)
    assert found is not None
    assert (found.reviewed, found.rejected, found.undecided) == (12, 2, 1)
    with pytest.raises(ShortageError, match="1 undecided"):
        check_max_error(table, 0.01)


def test_each_build_has_its_own_error_rate() -> None:
    table = pa.concat_tables([reviewed(4, 0), reviewed(0, 3, build_id="b2")])
    found = {build: measure_error(table, build) for build in ("b1", "b2", "b3")}
    assert found["b3"] is None
    assert found["b2"] is not None
    assert found["b2"].reviewed == 3


@given(SAID)
def test_rates_are_within_their_intervals(said: list) -> None:
    found = measure_error(rows(*said))
    if found is not None:
        assert 0 <= found.low <= found.rate <= found.high <= 1
        assert not math.isnan(found.high)


def test_a_text_stands_for_what_its_likeliest_draw_says() -> None:
    table = pa.concat_tables(
        [
            rows((1, "a", "human"), (2, "a", "human"), probability=0.02),
            rows((1, "b", "human"), probability=1.0, focus="threshold"),
            rows((3, "b", "human"), probability=None),
        ]
    )
    hi, lo, weight = weigh_documents(table)
    found = dict(zip(hex_hashes(hi, lo).to_pylist(), weight.tolist(), strict=True))
    assert found == {hash_of(1): 1.0, hash_of(2): 50.0, hash_of(3): 1.0}
