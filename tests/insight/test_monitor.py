"""The trend over reports: figures from where they should be, alarms, rules."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.errors import UserError
from synthfilter.core.samples import from_text, make_sample, to_text
from synthfilter.insight.monitor import (
    Rule,
    Trend,
    judge_rules,
    measure_trend,
    parse_rule,
    tell_alarm,
    trend_as_json,
)
from synthfilter.insight.monitor_figures import stability_index
from synthfilter.insight.monitor_series import SERIES

Make = Callable[..., list[dict[str, Any]]]


def trend_of(reports: list[dict[str, Any]]) -> Trend:
    return measure_trend([(f"{i}/report.json", r) for i, r in enumerate(reports)])


def after(level: float, step: float, start: int = 12) -> Callable[[int], float]:
    """Returns a figure that moves by a step a build from one build on."""
    wobble = np.random.default_rng(5).standard_normal(99)

    def value(place: int) -> float:
        moved = step * max(0, place - start + 1)
        return level * (1 + 0.01 * wobble[place]) + moved

    return value


def test_every_series_finds_its_figure(make_reports: Make) -> None:
    found = trend_of(make_reports(3)).values
    assert {name: values[2] for name, values in found.items()} == {
        "true_share": pytest.approx(0.3, rel=0.05),
        "counted_share": pytest.approx(0.2, rel=0.05),
        "tail_mass": pytest.approx(0.02, rel=0.1),
        "tail_mass_human": pytest.approx(0.02, rel=0.1),
        "hapax_share": pytest.approx(0.44, rel=0.05),
        "hapax_share_human": pytest.approx(0.44, rel=0.05),
        "type_token": pytest.approx(0.098, rel=0.05),
        "novelty": pytest.approx(0.5, abs=0.06),
        "novelty_synthetic": pytest.approx(0.5, abs=0.06),
        "near_copy_rate": pytest.approx(0.02, rel=0.05),
        "reuse": 18 / 900,
        "score_drift_human": pytest.approx(0, abs=0.01),
        "score_drift_synthetic": pytest.approx(0, abs=0.01),
        "score_drift_unknown": pytest.approx(0, abs=0.01),
        "median_score_human": pytest.approx(0.13, abs=0.05),
        "median_score_synthetic": pytest.approx(0.87, abs=0.05),
        "median_score_unknown": pytest.approx(0.4, abs=0.02),
        "freshness": 24,
        "unscored": 42 / 5000,
        "dead_letters": 12 / 10_000,
        "canary": 0,
    }
    # What is against the build before is unknown in the first.
    first = {name for name, values in found.items() if values[0] is None}
    assert first == {
        "novelty",
        "novelty_synthetic",
        *(f"score_drift_{who}" for who in ("human", "synthetic", "unknown")),
    }


def test_the_docs_name_every_series() -> None:
    docs = (Path(__file__).parents[2] / "docs/monitor.md").read_text()
    for name, series in SERIES.items():
        base, _, ending = name.rpartition("_")
        assert f"`{name}`" in docs or (f"`{base}_human`" in docs and ending in docs)
        assert series.advice and series.least > 0


def test_two_years_of_nothing_have_no_alarm(make_reports: Make) -> None:
    assert trend_of(make_reports(24)).alarms == []


@pytest.mark.parametrize(
    ("name", "field", "level", "step"),
    [
        ("true_share", "shares.estimated", 0.3, 0.01),
        ("counted_share", "shares.got.words.synthetic_fraction", 0.2, 0.01),
        ("tail_mass", "diversity.by_origin.all.words.tail_mass", 0.02, -0.0006),
        (
            "hapax_share_human",
            "diversity.by_origin.human.words.hapax_share",
            0.44,
            -0.01,
        ),
        ("near_copy_rate", "diversity.near_copy_rate", 0.02, 0.005),
        ("dead_letters", "books.dead_letters", 10, 10),
    ],
)
def test_a_drift_is_told_and_the_way_back_is_not(
    make_reports: Make, name: str, field: str, level: float, step: float
) -> None:
    trend = trend_of(make_reports(20, {field: after(level, step)}))
    assert {alarm.series for alarm in trend.alarms} == {name}
    assert 11 <= trend.alarms[0].since <= 13
    assert trend.alarms[0].at <= 19
    said = tell_alarm(trend, trend.alarms[0])
    assert ("rose from" if step > 0 else "fell from") in said
    assert said.endswith(SERIES[name].advice)
    back = trend_of(make_reports(20, {field: after(level, -step / 10)}))
    assert back.alarms == []


def test_novelty_is_computed_and_not_believed(make_reports: Make) -> None:
    """Each build repeats more of the one before, whatever its report says."""
    reports = make_reports(20)
    before = from_text(reports[11]["diversity"]["sketches"]["all"]["trigrams"])
    for place in range(12, 20):
        sketches = reports[place]["diversity"]["sketches"]["all"]
        own = from_text(sketches["trigrams"])
        repeated = before.hashes[: 60 * (place - 11)]
        hashes = np.concatenate([own.hashes, repeated])
        mixed = make_sample(hashes, np.ones((len(hashes), 1), np.int64), 1000)
        sketches["trigrams"] = to_text(mixed)
        reports[place]["diversity"]["novelty"] = {"by_origin": {"all": {"trigrams": 1}}}
        before = mixed
    trend = trend_of(reports)
    assert trend.values["novelty"][-1] < 0.45
    assert {alarm.series for alarm in trend.alarms} == {"novelty"}


def test_what_is_missing_is_a_gap_and_never_zero(make_reports: Make) -> None:
    bare = [
        {key: report[key] for key in ("report_version", "build_id", "run")}
        for report in make_reports(3)
    ]
    trend = trend_of(bare)
    assert {value for values in trend.values.values() for value in values} == {None}
    assert trend.intervals == [None] * 3
    assert trend.alarms == []


def test_without_max_uses_nothing_is_known_of_reuse(make_reports: Make) -> None:
    off = make_reports(2, {"options.max_uses": lambda place: None})
    assert trend_of(off).values["reuse"] == [None, None]
    none_yet = make_reports(2, {"ledger_hits": lambda place: []})
    assert trend_of(none_yet).values["reuse"] == [0, 0]


def test_a_share_that_was_not_estimated_is_the_counted_one(make_reports: Make) -> None:
    (report,) = make_reports(1, {"shares.estimated": lambda place: None})
    values = trend_of([report]).values
    assert values["true_share"] == values["counted_share"] != [None]


def test_another_detector_is_told_and_is_no_alarm(make_reports: Make) -> None:
    reports = make_reports(20)
    for report in reports[10:]:
        report["detector"]["sha256"] = "bb"
        report["detector"]["canaries"][0]["score"] = 0.7
        scores = report["scores"]["by_declared"]
        scores["human"], scores["unknown"] = scores["unknown"], scores["human"]
    trend = trend_of(reports)
    assert trend.alarms == []
    assert trend.values["score_drift_human"][10] is None
    assert trend.values["canary"] == [0] * 20
    (note,) = trend.notes
    assert note.startswith("another detector from build 11 (2024-11-03 0000000a) on")


def test_a_canary_that_moves_is_an_alarm_at_once(make_reports: Make) -> None:
    reports = make_reports(8)
    for report in reports[6:]:
        report["detector"]["canaries"][0]["score"] = 0.05
    trend = trend_of(reports)
    (alarm,) = trend.alarms
    assert (alarm.series, alarm.at, alarm.deviations) == ("canary", 6, None)
    assert "0.0200, above 0.01, in build 7" in tell_alarm(trend, alarm)


def test_a_canary_without_a_score_is_not_compared(make_reports: Make) -> None:
    reports = make_reports(3)
    reports[1]["detector"]["canaries"][0]["score"] = None
    assert trend_of(reports).values["canary"] == [0, 0, 0]
    reports[1]["detector"]["canaries"] = []
    assert trend_of(reports).values["canary"] == [0, None, 0]


def test_scores_that_move_drift(make_reports: Make) -> None:
    reports = make_reports(2)
    by_declared = reports[1]["scores"]["by_declared"]
    by_declared["human"], by_declared["unknown"] = (
        by_declared["unknown"],
        by_declared["human"],
    )
    found = trend_of(reports).values
    assert found["score_drift_human"][1] > 1
    assert found["score_drift_synthetic"][1] < 0.01
    assert found["median_score_human"][1] > 0.35


def test_the_stability_index_is_that_of_the_books() -> None:
    before, now = np.array([50.0, 50.0]), np.array([60.0, 40.0])
    by_hand = 0.1 * np.log(0.6 / 0.5) - 0.1 * np.log(0.4 / 0.5)
    assert stability_index(before * 1e6, now * 1e6) == pytest.approx(by_hand, rel=1e-4)
    assert stability_index(now, now) == 0
    assert np.isfinite(stability_index(np.array([9.0, 0]), np.array([0, 9.0])))


def test_too_few_scores_or_odd_ones_are_a_gap(make_reports: Make) -> None:
    for odd in ([1] * 9, [1] * 50, "x", None, [-5] + [9] * 49, [True] * 50, {}):
        reports = make_reports(2)
        reports[1]["scores"]["by_declared"]["human"]["kept"] = odd
        found = trend_of(reports).values
        assert found["score_drift_human"] == [None, None], odd
        assert found["median_score_human"][1] is None


def test_types_per_other_sizes_are_not_compared(make_reports: Make) -> None:
    reports = make_reports(3)
    words = reports[2]["diversity"]["by_origin"]["all"]["words"]
    words["type_token"] = {"per": 10_000, "distinct": 3000}
    trend = trend_of(reports)
    assert trend.values["type_token"] == [None, None, 0.3]
    assert "type_token is of 10,000 words from build 3" in " ".join(trend.notes)


def test_builds_stand_by_their_start_and_the_later_report_counts(
    make_reports: Make,
) -> None:
    reports = make_reports(4)
    again = copy.deepcopy(reports[1])
    again["run"]["started"] = "2024-06-01T00:00:00+02:00"
    again["shares"]["estimated"] = 0.9
    shuffled = [reports[3], again, reports[0], reports[2], reports[1]]
    trend = trend_of(shuffled)
    assert [int(build.build_id, 16) for build in trend.builds] == [0, 2, 3, 1]
    assert trend.values["true_share"][-1] == 0.9
    assert trend.notes == [
        "two reports of build 00000001: 1/report.json counts, 4/report.json does not"
    ]
    assert str(trend.builds[-1].started) == "2024-05-31 22:00:00+00:00"


def test_equal_starts_stand_by_build_id(make_reports: Make) -> None:
    reports = make_reports(3, {"run.started": lambda place: "2026-01-01"})
    for order in ([0, 1, 2], [2, 1, 0]):
        trend = trend_of([reports[place] for place in order])
        assert [int(build.build_id, 16) for build in trend.builds] == [0, 1, 2]


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ("novelty<0.5", Rule("novelty", "<", 0.5)),
        (" true_share >= 3.5e-1 ", Rule("true_share", ">=", 0.35)),
        ("freshness>24", Rule("freshness", ">", 24)),
        ("median_score_human<=.2", Rule("median_score_human", "<=", 0.2)),
    ],
)
def test_rules_are_read(said: str, rule: Rule) -> None:
    assert parse_rule(said) == rule


@pytest.mark.parametrize(
    "said",
    [
        "",
        "novelty",
        "novelty=1",
        "novelty<",
        "novelty<x",
        "0.5<novelty",
        "novelty<1<2",
        "novelty<nan",
        "novelty<0x1",
        "novelty<1;reuse>0",
        "novelty<__import__('os')",
    ],
)
def test_what_is_no_rule_is_refused(said: str) -> None:
    with pytest.raises(UserError, match=r"a rule must be SERIES, one of < <= > >="):
        parse_rule(said)


def test_an_unknown_series_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match="no series 'noveltyy'; there are true_share, "):
        parse_rule("noveltyy<0.5")


@given(st.text(max_size=30))
def test_no_text_does_anything_but_be_refused(said: str) -> None:
    with pytest.raises(UserError):
        parse_rule(said)


def test_rules_are_judged_by_the_latest_build(make_reports: Make) -> None:
    reports = make_reports(
        3, {"shares.estimated": lambda place: [0.9, 0.1, 0.3][place]}
    )
    reports[2]["diversity"]["near_copy_rate"] = None
    rules = [
        parse_rule(said)
        for said in ("true_share>0.3", "true_share>=0.3", "near_copy_rate>0")
    ]
    broken, unknown = judge_rules(trend_of(reports), rules)
    assert [line.partition(";")[0] for line in broken] == ["true_share>=0.3: it is 0.3"]
    assert unknown == [
        "near_copy_rate>0 not judged: the latest build has no near_copy_rate"
    ]


def test_it_is_told_as_json_too(make_reports: Make) -> None:
    reports = make_reports(20, {"shares.estimated": after(0.3, 0.01)})
    trend = trend_of(reports)
    told = trend_as_json(trend, [parse_rule("reuse>0.5")], latest=20)
    assert json.loads(json.dumps(told, allow_nan=False))["monitor_version"] == 1
    assert [*told["series"]] == [*SERIES]
    alarm = told["alarms"][0]
    assert alarm["since"]["build"] == trend.alarms[0].since + 1
    assert alarm["recent"]
    assert alarm["said"] == tell_alarm(trend, trend.alarms[0])
    assert told["rules"] == [{"rule": "reuse>0.5", "value": 0.02, "fires": False}]
    assert told["true_share_intervals"][0] == (0.2, 0.45)


ODD = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)
    ),
    max_leaves=6,
)
PARTS = ("books", "shares", "options", "detector", "scores", "ages", "ledger_hits")


@given(st.sampled_from([*PARTS, "diversity", "diversity.by_origin"]), ODD)
def test_odd_parts_of_a_report_are_gaps(
    make_reports: Make, name: str, odd: Any
) -> None:
    reports = make_reports(2)
    part = reports[1]
    *above, last = name.split(".")
    for key in above:
        part = part[key]
    part[last] = odd
    trend = trend_of(reports)
    for values in trend.values.values():
        assert values[1] is None or np.isfinite(values[1])
