import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from synthfilter.core.errors import ShortageError
from synthfilter.decisions.cells import Cells
from synthfilter.decisions.mixture import Targets, count_shares, fill, plan_targets
from synthfilter.decisions.rules import MixtureRules, Shortage, check_rules

SHRINK, FAIL = Shortage("shrink"), Shortage("fail")
# Codes of cells: documents of a group, and of the human one fresh, core, or both.
HUMAN, SYNTHETIC, CODE, CORE, FRESH, FRESH_CORE = 0, 4, 8, 1, 2, 3
NAMES = ("human", "synthetic", "code")


def plan(
    cells: dict[int, int] | list[dict[int, int]],
    human_share: float = 0.0,
    synthetic_share: float = 1.0,
    **options: Any,
) -> Targets:
    """Plans for cells by code, of one stratum or several."""
    strata = cells if isinstance(cells, list) else [cells]
    rows = [
        (stratum, code, weight)
        for stratum, each in enumerate(strata)
        for code, weight in sorted(each.items())
    ]
    available = Cells(*np.array(rows, np.int64).reshape(-1, 3).T)
    rules = MixtureRules(**options)
    check_rules(rules)
    return plan_targets(available, rules, human_share, synthetic_share)


def weights(targets: Targets) -> tuple[int, ...]:
    return tuple(group.target for group in targets.groups.values())


AMOUNTS = st.integers(0, 10**12)
SHARES = st.integers(0, 1000).map(lambda part: part / 1000)
SIZES = st.none() | st.integers(1, 10**13)
POLICIES = st.builds(Shortage, st.just("repeat"), st.integers(1, 4)) | st.just(SHRINK)


@given(AMOUNTS, AMOUNTS, SHARES, SIZES, POLICIES)
def test_the_share_is_exact_and_nothing_is_used_too_often(
    human: int, synthetic: int, share: float, size: int | None, shortage: Shortage
) -> None:
    cells = {HUMAN: human, SYNTHETIC: synthetic}
    targets = plan(cells, synthetic_fraction=share, target_size=size, shortage=shortage)
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
    cells = {HUMAN: human, SYNTHETIC: synthetic}
    targets = plan(
        cells, max_synthetic_fraction=most, target_size=size, shortage=shortage
    )
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
    targets = plan({HUMAN: human, SYNTHETIC: synthetic}, target_size=size)
    available = human + synthetic
    whole = sum(weights(targets))
    assert whole == (available if size is None else min(size, available))
    assert abs(weights(targets)[1] * available - synthetic * whole) <= available
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
        ({"share": 0.9, "repeat": {"synthetic": 3}}, (300, 2700), "up to 3 times"),
        ({"share": 0.9, "repeat": {"human": 3}}, (100, 900), "synthetic text: 6300"),
        ({"size": 2300, "repeat": {"human": 2}}, (1400, 900), None),
        ({"size": 1000, "protect": ["human"]}, (700, 300), "target_size"),
        ({"size": 1000, "protect": ["synthetic"]}, (100, 900), "target_size"),
        ({"caps": {"synthetic": 100}}, (700, 100), "caps synthetic=100"),
        ({"share": 0.5, "caps": {"human": 50}}, (50, 50), "caps human=50"),
        ({"share": 0.5, "size": 60, "caps": {"human": 50}}, (30, 30), None),
        ({"floors": {"human": 800}, "repeat": {"human": 2}}, (800, 900), None),
        ({"size": 1000, "floors": {"human": 600}}, (600, 400), "target_size"),
        (
            {"share": 0.5, "floors": {"synthetic": 800}, "repeat": {"human": 2}},
            (800, 800),
            None,
        ),
        ({"most": 0.3, "size": 160, "floors": {"synthetic": 40}}, (112, 48), "target"),
    ],
)
def test_700_human_and_900_synthetic_words_give(
    options: dict, got: tuple[int, int], limited: str | None
) -> None:
    names = {"share": "synthetic_fraction", "most": "max_synthetic_fraction"}
    names["size"] = "target_size"
    targets = plan(
        {HUMAN: 700, SYNTHETIC: 900},
        **{names.get(name, name): value for name, value in options.items()},
    )
    assert weights(targets) == got
    if limited is None:
        assert targets.limited_by is None
    else:
        assert limited in (targets.limited_by or "")


def test_rounding_does_not_exceed_a_maximum() -> None:
    cells = {HUMAN: 3, SYNTHETIC: 2}
    assert weights(plan(cells, max_synthetic_fraction=0.4, target_size=3)) == (2, 1)


def test_tenths_are_tenths() -> None:
    def at(human: int, share: float, synthetic: int = 900) -> tuple[int, ...]:
        cells = {HUMAN: human, SYNTHETIC: synthetic}
        return weights(plan(cells, synthetic_fraction=share))

    assert at(70, 0.3) == (70, 30)
    assert at(2, 1 / 3) == (2, 0)
    assert at(9 * 10**15, 0.1, 10**17) == (9 * 10**15, 10**15)


MIXTURE = {"human": 0.5, "synthetic": 0.3, "code": 0.2}


@pytest.mark.parametrize(
    ("options", "got", "limited"),
    [
        ({}, (250, 150, 100), "code text: 280 words asked for, 100 left"),
        ({"repeat": {"code": 3}}, (700, 420, 280), None),
        ({"repeat": {"code": 2}}, (500, 300, 200), "each used up to 2 times"),
        ({"protect": ["code"]}, (250, 150, 100), "code text"),
        ({"target_size": 50}, (25, 15, 10), None),
        ({"caps": {"code": 20}}, (50, 30, 20), "caps code=20"),
        ({"floors": {"code": 60}}, (250, 150, 100), "code text"),
        ({"mixture": {"synthetic": 0.9, "code": 0.1}}, (900, 100), None),
        ({"mixture": {"synthetic": 0.5, "code": 0.5}}, (100, 100), None),
        (
            {"mixture": {"synthetic": 0.5, "code": 0.5}, "repeat": {"code": 50}},
            (900, 900),
            None,
        ),
        ({"mixture": {"human": 0.9, "code": 0.1}}, (700, 77), None),
        ({"mixture": {"code": 1}}, (100,), None),
    ],
)
def test_700_human_900_synthetic_and_100_words_of_code_give(
    options: dict, got: tuple[int, ...], limited: str | None
) -> None:
    targets = plan(
        {HUMAN: 700, SYNTHETIC: 900, CODE: 100}
        if "mixture" not in options
        else {
            code: weight
            for code, weight in ((HUMAN, 700), (SYNTHETIC, 900), (CODE, 100))
            if NAMES[code >> 2] in options["mixture"]
        },
        **{"mixture": MIXTURE, **options},
    )
    assert weights(targets) == got
    if limited is None:
        assert targets.limited_by is None
    else:
        assert limited in (targets.limited_by or "")


OPTIONS = st.fixed_dictionaries(
    {"shortage": POLICIES},
    optional={
        "target_size": st.integers(1, 4000),
        "protect": st.lists(st.sampled_from(NAMES), unique=True, max_size=2),
        "repeat": st.dictionaries(st.sampled_from(NAMES), st.integers(1, 4)),
        "floors": st.dictionaries(st.sampled_from(NAMES), st.integers(0, 300)),
        "caps": st.dictionaries(st.sampled_from(NAMES), st.integers(300, 900)),
        "min_fresh": st.integers(0, 4).map(lambda part: part / 20),
    },
)
PARTS = st.tuples(*[st.integers(0, 6)] * 3).filter(any)
CELLS = st.fixed_dictionaries(
    {},
    optional={
        code: st.integers(1, 900)
        for code in (HUMAN, SYNTHETIC, CODE, CORE, FRESH, FRESH_CORE, CODE | CORE)
    },
)


def check_cells(
    cells: dict[int, int], targets: list[int], options: dict, whole: int
) -> None:
    """The rules of each group, and of fresh documents, hold for what cells get."""
    rules = MixtureRules(**options)
    for code, have in cells.items():
        name, target = NAMES[code >> 2], targets[code]
        times = 1 if code & CORE else rules.times(name)
        assert 0 <= target <= have * times
        if code & CORE or name in rules.protect:
            assert target >= have
    for name in rules.listed():
        got = sum(t for code, t in targets.items() if NAMES[code >> 2] == name)
        assert rules.floors.get(name, 0) <= got <= rules.caps.get(name, math.inf)
    if rules.min_fresh:
        fresh = targets.get(FRESH, 0) + targets.get(FRESH_CORE, 0)
        # One unit, where the shares of a small set leave no other whole number.
        assert fresh >= Fraction(str(rules.min_fresh)) * whole - 1


@given(CELLS, PARTS, OPTIONS)
def test_groups_have_their_shares_and_every_rule_holds(cells, parts, options) -> None:
    mixture = dict(zip(NAMES, (part / sum(parts) for part in parts), strict=True))
    options = {**options, "mixture": mixture}
    if options.get("min_fresh", 0) > mixture["human"]:
        del options["min_fresh"]
    try:
        targets = plan(cells, **options)
    except ShortageError as error:
        assert "no such mixture" in str(error) or "no mixture" in str(error)
        return
    found = dict(zip(sorted(cells), targets.weight.tolist(), strict=True))
    whole = sum(found.values())
    exact = {name: Fraction(part, sum(parts)) for name, part in mixture_of(parts)}
    for name, group in targets.groups.items():
        assert abs(group.target - exact[name] * whole) < 3
    assert whole == sum(weights(targets))
    assert whole <= options.get("target_size", math.inf)
    check_cells(cells, found, options, whole)


def mixture_of(parts: tuple[int, ...]) -> list[tuple[str, int]]:
    return list(zip(NAMES, parts, strict=True))


@given(
    CELLS.map(lambda cells: {c: w for c, w in cells.items() if c >> 2 < 2}),
    OPTIONS,
    st.none() | SHARES,
)
def test_every_rule_holds_without_shares_and_under_a_maximum(
    cells, options, most
) -> None:
    for name in ("repeat", "floors", "caps"):
        options[name] = {n: v for n, v in options.get(name, {}).items() if n != "code"}
    options["protect"] = [n for n in options.get("protect", []) if n != "code"]
    options["max_synthetic_fraction"] = most
    try:
        targets = plan(cells, **options)
    except ShortageError as error:
        assert "no such mixture" in str(error) or "no mixture" in str(error)
        return
    found = dict(zip(sorted(cells), targets.weight.tolist(), strict=True))
    whole = sum(found.values())
    assert whole <= options.get("target_size", math.inf)
    if most is not None:
        assert weights(targets)[1] <= Fraction(str(most)) * whole
    check_cells(cells, found, options, whole)


@given(
    st.lists(CELLS, min_size=1, max_size=5),
    PARTS,
    st.none() | st.integers(1, 3000),
)
def test_every_stratum_has_the_shares(strata, parts, size) -> None:
    strata = [{c: w for c, w in cells.items() if not c & CORE} for cells in strata]
    mixture = dict(mixture_of(tuple(part / sum(parts) for part in parts)))
    targets = plan(strata, mixture=mixture, target_size=size)
    weight = iter(targets.weight.tolist())
    total = 0
    for cells in strata:
        found = {code: next(weight) for code in sorted(cells)}
        whole = sum(found.values())
        total += whole
        for group, (_, part) in enumerate(mixture_of(parts)):
            got = sum(t for code, t in found.items() if code >> 2 == group)
            assert abs(got - Fraction(part, sum(parts)) * whole) < 3
    # Strata as they would be alone, and together no larger than asked for.
    alone = [weights(plan(cells, mixture=mixture)) for cells in strata if cells]
    assume(size is None)
    assert weights(targets) == tuple(map(sum, zip(*alone, strict=True))) or not alone


LIMITS = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20)).map(
    lambda t: (Fraction(t[0]), Fraction(t[0] + t[1]), Fraction(t[2]))
)


@given(st.lists(LIMITS, min_size=1), st.integers(0, 400))
def test_sizes_fill_up_to_the_target_in_proportion(limits, target) -> None:
    least, most, natural = zip(*limits, strict=True)
    assume(target >= sum(least))
    sizes = fill(natural, least, most, target)
    assert sum(sizes) == min(target, sum(most))
    factors = set()
    for size, low, high, part in zip(sizes, least, most, natural, strict=True):
        assert low <= size <= high
        if low < size < high:
            factors.add(size / part)
    assert len(factors) <= 1
    for factor in factors:
        for size, low, high, part in zip(sizes, least, most, natural, strict=True):
            assert size == min(max(part * factor, low), high)


def test_a_floor_is_reached_and_other_targets_are_not_exceeded() -> None:
    targets = plan({HUMAN: 700, SYNTHETIC: 900}, target_size=500, floors={"human": 400})
    assert targets.weight.tolist() == [400, 100]
    assert targets.up.tolist() == [True, False]
    above = plan({HUMAN: 700, SYNTHETIC: 900}, target_size=500, floors={"human": 20})
    assert above.up.tolist() == [False, False]


def test_fresh_documents_come_first_only_as_far_as_the_share_needs() -> None:
    cells = {HUMAN: 600, FRESH: 200, SYNTHETIC: 900}
    options = {"synthetic_fraction": 0.5, "target_size": 400}
    enough = plan(cells, **options, min_fresh=0.1)
    assert enough.weight.tolist() == [150, 50, 200]
    more = plan(cells, **options, min_fresh=0.25)
    assert more.weight.tolist() == [100, 100, 200]
    assert more.up.tolist() == [False, True, False]


def test_too_few_fresh_documents_are_a_shortage() -> None:
    cells = {HUMAN: 600, FRESH: 20, SYNTHETIC: 900}
    targets = plan(cells, synthetic_fraction=0.5, min_fresh=0.1)
    assert targets.weight.tolist() == [80, 20, 100]
    said = "fresh human text: 124 words asked for, 20 left after filters and copies"
    assert targets.limited_by == said
    open_set = plan(cells, min_fresh=0.1)
    assert sum(open_set.weight.tolist()) == 200
    assert "fresh human text: 152 words" in (open_set.limited_by or "")
    with pytest.raises(ShortageError, match="too little fresh human text: 124 words"):
        plan(cells, synthetic_fraction=0.5, min_fresh=0.1, shortage=FAIL)


def test_the_archive_is_in_once_and_counts_as_human() -> None:
    cells = {HUMAN: 600, CORE: 100, SYNTHETIC: 900}
    targets = plan(cells, synthetic_fraction=0.5, target_size=300)
    assert targets.weight.tolist() == [50, 100, 150]
    twice = plan(
        {CORE: 100, HUMAN: 50, SYNTHETIC: 900},
        synthetic_fraction=0.5,
        target_size=900,
        repeat={"human": 3},
    )
    assert twice.weight.tolist() == [150, 100, 250]


@pytest.mark.parametrize(
    ("cells", "options", "said"),
    [
        (
            {HUMAN: 700, SYNTHETIC: 900},
            {"synthetic_fraction": 0.3, "protect": ["synthetic"]},
            "no such mixture: protect synthetic (900 words) needs a set of at least "
            "3000 words, the human text left (700 words) allows at most 1000; the "
            "nearest that can be: human 43.75%, synthetic 56.25% of 1600 words",
        ),
        (
            {CORE: 100, SYNTHETIC: 20},
            {"synthetic_fraction": 0.3},
            "core (100 words) needs a set of at least 143 words, the synthetic text "
            "left (20 words) allows at most 66; the nearest that can be: human 83.33%, "
            "synthetic 16.67% of 120 words",
        ),
        (
            {HUMAN: 700, SYNTHETIC: 900, CODE: 100},
            {"mixture": MIXTURE, "floors": {"human": 600}, "caps": {"synthetic": 120}},
            "floors human=600 needs a set of at least 1200 words, caps synthetic=120 "
            "allows at most 400; the nearest that can be: human 73.17%, synthetic "
            "14.63%, code 12.20% of 820 words",
        ),
        (
            {HUMAN: 700, SYNTHETIC: 900},
            {"protect": ["human"], "target_size": 100},
            "protect human (700 words) needs a set of at least 700 words, target_size "
            "100 allows at most 100; no other shares would do: loosen one of the two",
        ),
        (
            {HUMAN: 700, SYNTHETIC: 900},
            {"max_synthetic_fraction": 0.2, "floors": {"synthetic": 300}},
            "floors synthetic=300 needs a set of at least 1500 words, the human text "
            "left (700 words) and max_synthetic_fraction 0.2 allows at most 875; the "
            "nearest that can be: human 70.00%, synthetic 30.00% of 1000 words",
        ),
        (
            {HUMAN: 700, SYNTHETIC: 900},
            {"floors": {"human": 800}},
            "no mixture holds floors human=800 against the human text left (700 words)",
        ),
        (
            {HUMAN: 700, FRESH: 50, SYNTHETIC: 900},
            {"synthetic_fraction": 0.8, "min_fresh": 0.3},
            "min_fresh 0.3 cannot be at the shares asked for; the nearest that can be: "
            "human 30.00%, synthetic 70.00% of 166 words",
        ),
        (
            {CORE: 5, CODE: 100},
            {"mixture": {"code": 1}},
            "the mixture has no group for 5 words of core; add human to mixture",
        ),
    ],
)
def test_what_cannot_be_is_named_with_the_nearest_mixture(cells, options, said) -> None:
    for shortage in (SHRINK, FAIL, Shortage("repeat", 1)):
        with pytest.raises(ShortageError) as raised:
            plan(cells, **options, shortage=shortage)
        assert said in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_stratum_that_cannot_be_is_named_by_what_it_holds() -> None:
    strata = [{HUMAN: 9, SYNTHETIC: 9}, {HUMAN: 100, SYNTHETIC: 10}]
    with pytest.raises(ShortageError, match="in a stratum with 100 human, 10 synthe"):
        plan(strata, synthetic_fraction=0.5, protect=["human"])
    with pytest.raises(
        ShortageError, match=r"target_size 50 words in 2 strata, .* 109"
    ):
        plan(strata, target_size=50, protect=["human"])


def test_a_shortage_in_strata_says_in_how_many() -> None:
    strata = [{HUMAN: 9, SYNTHETIC: 9}, {HUMAN: 100, SYNTHETIC: 10}]
    targets = plan(strata, synthetic_fraction=0.5)
    assert targets.weight.tolist() == [9, 9, 10, 10]
    assert targets.limited_by == "synthetic text in 1 of 2 strata"
    with pytest.raises(ShortageError, match="too little synthetic text in 1 of 2"):
        plan(strata, synthetic_fraction=0.5, shortage=FAIL)


def test_floors_and_caps_are_split_over_strata_by_their_text() -> None:
    strata = [{HUMAN: 100, SYNTHETIC: 30}, {HUMAN: 100, SYNTHETIC: 10}]
    capped = plan(strata, caps={"synthetic": 20})
    assert capped.weight.tolist() == [100, 15, 100, 5]
    raised = plan(strata, target_size=60, floors={"synthetic": 20})
    assert raised.weight.tolist()[1::2] == [15, 5]


@pytest.mark.parametrize(
    "options",
    [
        {"synthetic_fraction": 0.9},
        {"synthetic_fraction": 0.3, "target_size": 5000},
        {"target_size": 2000},
    ],
)
def test_a_shortage_can_be_an_error_of_one_line(options: dict) -> None:
    with pytest.raises(ShortageError) as raised:
        plan({HUMAN: 700, SYNTHETIC: 900}, **options, shortage=FAIL)
    assert "words" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"synthetic_fraction": 0.3},
        {"max_synthetic_fraction": 0.1},
        {"target_size": 1600},
        {"synthetic_fraction": 0.3, "caps": {"human": 70}},
        {"mixture": {"human": 0.5, "synthetic": 0.5}},
    ],
)
def test_enough_text_is_no_shortage(options: dict) -> None:
    assert weights(plan({HUMAN: 700, SYNTHETIC: 900}, **options, shortage=FAIL))


def test_nothing_gives_nothing() -> None:
    for options in ({}, {"synthetic_fraction": 0.5}, {"mixture": MIXTURE}):
        targets = plan({}, **options)
        assert not any(weights(targets))
        assert len(targets.weight) == 0


@given(SHARES, st.integers(0, 400), st.integers(600, 1000))
def test_the_truly_synthetic_share_is_the_one_asked_for(share, hidden, seen) -> None:
    human, synthetic = Fraction(hidden, 1000), Fraction(seen, 1000)
    for rules in (
        MixtureRules(synthetic_fraction=share),
        MixtureRules(
            mixture={
                "human": round(0.8 * (1 - share), 6),
                "synthetic": round(0.8 * share, 6),
                "code": 0.2,
            }
        ),
    ):
        counted = count_shares(rules, float(human), float(synthetic))
        assert counted.shares is not None
        assert sum(counted.shares.values()) == 1
        part = counted.shares["synthetic"]
        rest = part + counted.shares["human"]
        true = part / rest * synthetic + (1 - part / rest) * human
        if human <= Fraction(str(share)) <= synthetic:
            assert counted.note is None
            assert abs(true - Fraction(str(share))) < Fraction(1, 10**12)
        else:
            assert counted.note is not None
            assert part in (0, rest)
    most = count_shares(
        MixtureRules(max_synthetic_fraction=share), float(human), float(synthetic)
    )
    assert most.shares is None
    true = most.most_synthetic * synthetic + (1 - most.most_synthetic) * human
    assert true <= Fraction(str(share)) or most.most_synthetic == 0
    assert (most.note is None) == (human <= Fraction(str(share)))


def test_marks_are_counted_exactly_when_nothing_is_estimated() -> None:
    counted = count_shares(MixtureRules(mixture=MIXTURE), 0.0, 1.0)
    tenths = {"human": Fraction(5, 10), "synthetic": Fraction(3, 10)}
    assert counted == ({**tenths, "code": Fraction(2, 10)}, 1, None)


def test_hidden_synthetic_text_above_the_share_is_said_or_fails() -> None:
    cells = {HUMAN: 700, SYNTHETIC: 900}
    targets = plan(cells, human_share=0.125, synthetic_fraction=0.1)
    assert weights(targets) == (700, 0)
    said = "hidden synthetic text: about 12.50% of what counts as human, 10.00% asked"
    assert said in (targets.limited_by or "")
    most = plan(cells, human_share=0.125, max_synthetic_fraction=0.1)
    assert weights(most) == (700, 0)
    assert said in (most.limited_by or "")
    with pytest.raises(ShortageError, match="hidden synthetic text"):
        plan(cells, human_share=0.125, synthetic_fraction=0.1, shortage=FAIL)
    above = plan(cells, synthetic_share=0.9, synthetic_fraction=0.95)
    assert weights(above) == (0, 900)
    assert "about 90.00% of what counts as synthetic" in (above.limited_by or "")
