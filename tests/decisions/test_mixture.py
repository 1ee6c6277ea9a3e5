import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.errors import ShortageError, UserError
from synthfilter.core.schema import Origin
from synthfilter.decisions.mixture import (
    BINS,
    Selection,
    Shortage,
    Targets,
    bins,
    bound_in_bin,
    boundary,
    check_fraction,
    check_mixture,
    copies_of,
    histogram,
    parse_shortage,
    plan_targets,
    split_target,
)

HUMAN, SYNTHETIC, *_ = Origin
SHRINK, FAIL = Shortage("shrink"), Shortage("fail")


def plan(
    human: int,
    synthetic: int,
    share: float | None = None,
    most: float | None = None,
    size: int | None = None,
    shortage: Shortage = SHRINK,
) -> Targets:
    available = {HUMAN: human, SYNTHETIC: synthetic}
    return plan_targets(available, share, most, size, shortage, "words")


def weights(targets: Targets) -> tuple[int, int]:
    return targets.weight[HUMAN], targets.weight[SYNTHETIC]


AMOUNTS = st.integers(0, 10**12)
SHARES = st.integers(0, 1000).map(lambda part: part / 1000)
SIZES = st.none() | st.integers(1, 10**13)
POLICIES = st.builds(Shortage, st.just("repeat"), st.integers(1, 4)) | st.just(SHRINK)


@given(AMOUNTS, AMOUNTS, SHARES, SIZES, POLICIES)
def test_the_share_is_exact_and_nothing_is_used_too_often(
    human: int, synthetic: int, share: float, size: int | None, shortage: Shortage
) -> None:
    targets = plan(human, synthetic, share=share, size=size, shortage=shortage)
    got_human, got_synthetic = weights(targets)
    assert 0 <= got_human <= human * shortage.repeats
    assert 0 <= got_synthetic <= synthetic * shortage.repeats
    exact = Fraction(str(share))
    # Each origin is less than one unit below its exact share of the whole.
    whole = got_human + got_synthetic
    assert abs(got_synthetic - exact * whole) < 2
    if size is not None:
        assert whole <= size
        assert whole > size - 2 or targets.limited_by
    elif exact < 1 and not targets.limited_by:
        assert got_human == human


@given(AMOUNTS, AMOUNTS, SHARES, SIZES, POLICIES)
def test_a_maximum_is_never_exceeded(
    human: int, synthetic: int, most: float, size: int | None, shortage: Shortage
) -> None:
    targets = plan(human, synthetic, most=most, size=size, shortage=shortage)
    got_human, got_synthetic = weights(targets)
    assert 0 <= got_human <= human * shortage.repeats
    assert 0 <= got_synthetic <= synthetic * shortage.repeats
    assert got_synthetic <= Fraction(str(most)) * (got_human + got_synthetic)
    if size is None:
        assert got_human == human


@given(AMOUNTS, AMOUNTS, SIZES)
def test_with_no_share_asked_the_mixture_stays_as_it_is(
    human: int, synthetic: int, size: int | None
) -> None:
    targets = plan(human, synthetic, size=size)
    available = human + synthetic
    whole = sum(weights(targets))
    assert whole == (available if size is None else min(size, available))
    assert abs(targets.weight[SYNTHETIC] * available - synthetic * whole) <= available
    assert (targets.limited_by is None) == (
        size is None or size == available or not available
    )


@pytest.mark.parametrize(
    ("options", "got", "limited"),
    [
        ({}, (700, 900), None),
        ({"share": 0.3}, (700, 300), None),
        ({"share": 0}, (700, 0), None),
        ({"share": 1}, (0, 900), None),
        ({"share": 0.9}, (100, 900), "synthetic text: 6300 words asked for, 900 left"),
        ({"share": 0.3, "size": 100}, (70, 30), None),
        ({"share": 0.3, "size": 5000}, (700, 300), "human text: 3500 words asked for"),
        ({"most": 0.3}, (700, 300), "max_synthetic_fraction 0.3"),
        ({"most": 0.9}, (700, 900), None),
        ({"most": 1}, (700, 900), None),
        ({"most": 0}, (700, 0), "max_synthetic_fraction 0"),
        ({"size": 160}, (70, 90), "target_size"),
        ({"size": 2000}, (700, 900), "text: 2000 words asked for, 1600 left"),
        ({"most": 0.3, "size": 100}, (70, 30), "target_size"),
        (
            {"share": 0.9, "shortage": Shortage("repeat", 3)},
            (300, 2700),
            "each used up to 3 times",
        ),
        ({"share": 0.9, "shortage": Shortage("repeat", 9)}, (700, 6300), None),
        ({"size": 3200, "shortage": Shortage("repeat", 2)}, (1400, 1800), None),
        ({"size": 9999, "shortage": Shortage("repeat", 2)}, (1400, 1800), "text: 9999"),
    ],
)
def test_700_human_and_900_synthetic_words_give(
    options: dict, got: tuple[int, int], limited: str | None
) -> None:
    targets = plan(700, 900, **options)
    assert weights(targets) == got
    if limited is None:
        assert targets.limited_by is None
    else:
        assert limited in (targets.limited_by or "")


def test_rounding_does_not_exceed_a_maximum() -> None:
    assert weights(plan(3, 2, most=0.4, size=3)) == (2, 1)


def test_tenths_are_tenths() -> None:
    assert weights(plan(70, 900, share=0.3)) == (70, 30)
    assert weights(plan(2, 900, share=1 / 3)) == (2, 0)
    assert weights(plan(9 * 10**15, 10**17, share=0.1)) == (9 * 10**15, 10**15)


@pytest.mark.parametrize(
    "options", [{"share": 0.9}, {"share": 0.3, "size": 5000}, {"size": 2000}]
)
def test_a_shortage_can_be_an_error_of_one_line(options: dict) -> None:
    with pytest.raises(ShortageError) as raised:
        plan(700, 900, **options, shortage=FAIL)
    assert "words" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("options", [{}, {"share": 0.3}, {"most": 0.1}, {"size": 1600}])
def test_enough_text_is_no_shortage(options: dict) -> None:
    assert weights(plan(700, 900, **options, shortage=FAIL))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("shrink", SHRINK),
        ("fail", FAIL),
        ("repeat:1", Shortage("repeat", 1)),
        ("repeat:12", Shortage("repeat", 12)),
    ],
)
def test_the_policy_on_shortage_is_read(said: str, meant: Shortage) -> None:
    assert parse_shortage(said) == meant


@pytest.mark.parametrize(
    "said",
    [
        "",
        "repeat",
        "repeat:",
        "repeat:0",
        "repeat:-1",
        "repeat:\u00b2",
        "stop",
        "fail:1",
    ],
)
def test_another_policy_is_an_error_that_names_the_known_ones(said: str) -> None:
    with pytest.raises(UserError, match="shrink, fail or repeat:N"):
        parse_shortage(said)


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_share_outside_0_to_1_is_an_error(value: float) -> None:
    with pytest.raises(UserError, match="x must be between 0 and 1"):
        check_fraction("x", value)


@pytest.mark.parametrize("value", [None, 0, 0.5, 1])
def test_a_share_from_0_to_1_is_accepted(value: float | None) -> None:
    check_fraction("x", value)


MIXTURE = {
    "synthetic_fraction": None,
    "max_synthetic_fraction": None,
    "unit": "words",
    "target_size": None,
    "on_shortage": "shrink",
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"synthetic_fraction": 0.1, "max_synthetic_fraction": 0.2}, "not both"),
        ({"synthetic_fraction": 2}, "synthetic_fraction must be between"),
        ({"max_synthetic_fraction": -1}, "max_synthetic_fraction must be between"),
        ({"unit": "tokens"}, "unit must be one of docs, bytes, words"),
        ({"target_size": 0}, "target_size must be at least 1"),
        ({"on_shortage": "no"}, "on_shortage must be"),
    ],
)
def test_options_that_make_no_mixture_are_errors(change: dict, message: str) -> None:
    check_mixture(**MIXTURE)
    with pytest.raises(UserError, match=message):
        check_mixture(**{**MIXTURE, **change})


@dataclasses.dataclass(frozen=True)
class Documents:
    """Documents of one origin: order hash, identity and weight."""

    rows: list[tuple[int, int, int]]

    def columns(self) -> list[np.ndarray]:
        order, identity, weight = zip(*self.rows, strict=True)
        return [
            np.array(order, np.uint64),
            np.array(identity, np.uint64),
            np.array(weight, np.int32),
        ]


# Few bins and few orders, so that many documents meet in one bin and some in one place.
ORDERS = st.builds(
    lambda part, rest: (part << 52) + rest,
    st.sampled_from([0, 1, 7, BINS - 1]),
    st.sampled_from([0, 1, 2**52 - 1]) | st.integers(0, 2**52 - 1),
)
DOCUMENTS = st.lists(
    st.tuples(ORDERS, st.integers(0, 2**64 - 1), st.integers(1, 2**31 - 1)),
    min_size=1,
    max_size=30,
    unique_by=lambda row: row[:2],
).map(Documents)


def choose(documents: Documents, target: int) -> list[int]:
    """Histogram, then bin, then bound, then copies, as a build does it."""
    order, identity, weight = documents.columns()
    total = histogram(np.zeros(len(order), np.uint8), order, weight)[0]
    assert total.sum() == weight.sum(dtype=np.int64)
    copies, rest = split_target(target, int(total.sum()))
    cut = boundary(total, rest)
    bound = None
    if cut is not None:
        inside = bins(order) == cut[0]
        bound = bound_in_bin(order[inside], identity[inside], weight[inside], cut[1])
    return copies_of(order, identity, Selection(copies, bound)).tolist()


@given(DOCUMENTS, st.data())
def test_the_choice_is_the_longest_prefix_of_all_documents_in_order(
    documents: Documents, data: st.DataObject
) -> None:
    available = sum(row[2] for row in documents.rows)
    target = data.draw(st.integers(0, 3 * available))
    copies = choose(documents, target)
    used, left = {}, target % available
    for row in sorted(documents.rows):
        left -= row[2]
        used[row] = target // available + (left >= 0)
    assert copies == [used[row] for row in documents.rows]
    got = sum(row[2] * n for row, n in zip(documents.rows, copies, strict=True))
    assert target - max(row[2] for row in documents.rows) < got <= target


def test_nothing_and_all_are_chosen_exactly() -> None:
    documents = Documents([(1, 1, 5), (2**63, 2, 7)])
    assert choose(documents, 0) == [0, 0]
    assert choose(documents, 12) == [1, 1]
    assert choose(documents, 24) == [2, 2]
    assert choose(documents, 17) == [2, 1]
    assert choose(documents, 16) == [1, 1]
    assert split_target(5, 0) == (0, 0)
