import dataclasses

import pytest

from synthfilter.core.errors import UserError
from synthfilter.decisions.rules import (
    MixtureRules,
    Shortage,
    as_fraction,
    check_fraction,
    check_fresh,
    check_rules,
    check_strata,
    group_names,
    parse_day,
    parse_shortage,
)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("shrink", Shortage("shrink")),
        ("fail", Shortage("fail")),
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


def test_tenths_are_tenths() -> None:
    assert as_fraction(0.3) * 10 == 3


def test_the_day_after_a_day_begins_at_midnight_of_the_next() -> None:
    assert parse_day("1970-01-01") == 86_400_000
    assert parse_day("1969-12-31") == 0
    assert parse_day("2022-11-30") == 1_669_852_800_000


def test_groups_by_origin_have_the_first_numbers() -> None:
    mixture = {"prose": 0.2, "synthetic": 0.3, "code": 0.5}
    assert group_names(mixture) == ("human", "synthetic", "code", "prose")
    assert group_names(mixture, only_listed=True) == ("synthetic", "code", "prose")
    assert group_names({}, only_listed=True) == ("human", "synthetic")
    assert MixtureRules(mixture=mixture).listed() == ("synthetic", "code", "prose")


def test_a_group_repeats_as_it_says_and_else_as_the_shortage_says() -> None:
    rules = MixtureRules(shortage=Shortage("repeat", 4), repeat={"human": 2})
    assert (rules.times("human"), rules.times("synthetic")) == (2, 4)


THIRDS = {"human": 1 / 3, "synthetic": 1 / 3, "code": 1 / 3}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"mixture": THIRDS},
        {"mixture": {"a": 0.333, "b": 0.333, "c": 0.334}},
        {"mixture": {"human": 1}, "min_fresh": 1},
        {"floors": {"human": 5}, "caps": {"human": 5}},
        {"mixture": THIRDS, "protect": ["code"], "repeat": {"code": 3}},
    ],
)
def test_rules_that_make_a_mixture_pass(change: dict) -> None:
    check_rules(MixtureRules(**change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"synthetic_fraction": 0.1, "max_synthetic_fraction": 0.2}, "not both"),
        ({"synthetic_fraction": 2}, "synthetic_fraction must be between"),
        ({"max_synthetic_fraction": -1}, "max_synthetic_fraction must be between"),
        ({"min_fresh": 1.5}, "min_fresh must be between"),
        ({"unit": "tokens"}, "unit must be one of docs, bytes, words"),
        ({"target_size": 0}, "target_size must be at least 1"),
        (
            {"mixture": THIRDS, "synthetic_fraction": 0.1},
            "give mixture or synthetic_fraction, not both",
        ),
        (
            {"mixture": THIRDS, "max_synthetic_fraction": 0.1},
            "give mixture or max_synthetic_fraction, not both",
        ),
        ({"mixture": {"human": 0.5, "code": 0.4}}, r"up to 1, got 0.5 \+ 0.4"),
        ({"mixture": {"human": 1.5, "code": -0.5}}, "share of human in mixture must"),
        (
            {"mixture": {"human": 0.1, "code": 0.9}, "min_fresh": 0.2},
            "min_fresh 0.2 must not be above the share of human in mixture, 0.1",
        ),
        ({"mixture": {"code": 1}, "min_fresh": 0.2}, "above the share of human"),
        ({"protect": ["code"]}, r"protect must name .*human, synthetic\), got 'code'"),
        ({"mixture": {"code": 1}, "repeat": {"human": 2}}, r"repeat .*\(code\), got"),
        ({"floors": {"poetry": 1}}, "floors must name groups"),
        ({"caps": {"poetry": 1}}, "caps must name groups"),
        ({"repeat": {"human": 0}}, "repeat must be at least 1, got human=0"),
        ({"floors": {"human": -1}}, "floors must be at least 0, got human=-1"),
        ({"caps": {"human": float("nan")}}, "caps must be at least 0, got human=nan"),
        ({"floors": {"human": 2}, "caps": {"human": 1}}, "2, is above its cap, 1"),
        (
            {"mixture": {f"c{i}": 1 / 254 for i in range(254)}},
            "mixture takes up to 253 categories",
        ),
    ],
)
def test_rules_that_make_no_mixture_are_errors_of_one_line(
    change: dict, message: str
) -> None:
    with pytest.raises(UserError, match=message) as raised:
        check_rules(dataclasses.replace(MixtureRules(), **change))
    assert "\n" not in str(raised.value)


def test_fresh_documents_need_a_day_and_a_share() -> None:
    check_fresh(None, None)
    check_fresh("2022-11-30", 0.1)
    for given in (("2022-11-30", None), (None, 0.1)):
        with pytest.raises(UserError, match="need each other"):
            check_fresh(*given)
    for day in ("yesterday", "2022-13-01", ""):
        with pytest.raises(UserError, match="a day such as 2022-11-30, got"):
            check_fresh(day, 0.1)


def test_strata_are_of_known_fields() -> None:
    for known in (None, "language", "source", "category"):
        check_strata(known)
    with pytest.raises(UserError, match="category, language, source, got 'url'"):
        check_strata("url")
