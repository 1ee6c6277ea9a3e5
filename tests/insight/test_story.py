"""The words of a story, from facts alone."""

from typing import Any

import pytest

from synthfilter.core.schema import REASON_NAMES, REASON_TEXTS, UNUSABLE, Reason
from synthfilter.insight.otherwise import tell_otherwise
from synthfilter.insight.story import tell_more, tell_story

OPTIONS = {
    "seed": 0,
    "unit": "words",
    "synthetic_fraction": 0.3,
    "max_synthetic_fraction": None,
    "target_size": None,
    "keep": ["human"],
    "max_uses": 1,
    "max_generation": 2,
    "max_document_bytes": 100,
    "max_ai_score": 0.9,
}


def link(evidence: str, says: str, role: str, **more: Any) -> dict[str, Any]:
    nothing = dict.fromkeys(("option", "value", "backed_by"))
    return {"evidence": evidence, "says": says, "role": role, **nothing, **more}


def facts(reason: Reason = Reason.KEPT, **more: Any) -> dict[str, Any]:
    """Facts of a human document, with everything that any reason needs."""
    names = ("url", "created", "generator", "synth_generation", "text", "no_place")
    return {
        **dict.fromkeys((*names, "group", "copies", "words", "bytes", "archive")),
        "reason": REASON_NAMES[reason],
        "id": "a",
        "source": "shelf",
        "content_hash": "0" * 32,
        "file": "data/f.parquet",
        "row": 1234,
        "times": 1,
        "input": "in.jsonl",
        "position": "line 7",
        "error": "invalid JSON",
        "origin": "human",
        "said": [link("declared", "human", "decides")],
        "score": 0.2,
        "reached": False,
        "threshold": 0.5,
        "thresholds": "0.5",
        "threshold_from": "as given",
        "verdicts": [],
        "uses": [],
        "place": {"place": 1234, "of": 5678, "taken": 1300},
        "copy_of": {"content_hash": "f" * 32, "similarity": 0.873, "documents": []},
        "used": {
            "build": "b1",
            "uses": 2,
            "generation": "3",
            "content_hash": "e" * 32,
            "time": None,
            "id": None,
        },
        **more,
    }


def told(reason: Reason = Reason.KEPT, **more: Any) -> list[str]:
    found = facts(reason, **more)
    found["otherwise"] = tell_otherwise(found, OPTIONS)
    return tell_story(found, OPTIONS)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_words_and_says_what_would_change_it(reason: Reason) -> None:
    lines = told(reason)
    assert lines[-1].startswith("otherwise: ")
    assert len(lines[-1]) > 20
    if reason not in (Reason.KEPT, Reason.DEAD_LETTER):
        assert REASON_TEXTS[reason] in lines[0]
    scored = [line for line in lines if line.startswith("score: ")]
    assert bool(scored) == (reason not in UNUSABLE)


def test_one_fact_a_line_in_the_order_of_the_decisions() -> None:
    assert told() == [
        "a: is in the set (data/f.parquet, row 1,234)",
        f"content hash: {'0' * 32}",
        "source: shelf",
        "origin: counts as human",
        "  the flag that named its file: human, which decides",
        "score: 0.2000, below the threshold 0.5 of its length (as given)",
        "mixture: place 1,234 of 5,678 human documents in the random order of seed 0; "
        "it took the first 1,300 (asked for: 0.3 of words synthetic)",
        "otherwise: a mixture of 67 fewer human documents, or another --seed, would "
        "leave it out",
    ]


def test_what_overrules_is_told_with_its_rule_and_how_to_turn_it() -> None:
    said = [
        link(
            "declared", "human", "overruled", option="flagged_human", value="reclassify"
        ),
        link("detector", "synthetic", "decides"),
    ]
    lines = told(said=said, origin="synthetic", score=0.9, reached=True)
    assert (
        "  the flag that named its file: human, overruled by what decides "
        "(flagged_human=reclassify)"
    ) in lines
    assert lines[-1] == "otherwise: --flagged-human keep would count it as human"


@pytest.mark.parametrize(
    ("says", "chance"),
    [
        ("synthetic", "a --threshold above 0.2000 would count it as human"),
        ("human", "a --threshold below 0.2000 would count it as synthetic"),
    ],
)
def test_what_the_score_alone_decides_another_threshold_would_not(
    says: str, chance: str
) -> None:
    lines = told(said=[link("detector", says, "decides")], origin=says)
    assert lines[-1] == f"otherwise: {chance}"


def test_near_copies_are_told_with_their_similarity() -> None:
    document = {
        "id": "b",
        "source": None,
        "reason": "kept",
        "file": "data/g.parquet",
        "row": 3,
    }
    of = {"content_hash": "f" * 32, "similarity": 0.873, "documents": [document]}
    lines = told(Reason.NEAR_COPY, copy_of=of)
    assert f"copy of: content hash {'f' * 32}" in lines
    assert "similarity: 0.873 (Jaccard)" in lines
    assert "that is: b, in the set (data/g.parquet, row 3)" in lines


def test_earlier_use_is_told_with_its_build_and_the_other_text() -> None:
    lines = told(Reason.USED_BEFORE)
    assert "first used by: build b1" in lines
    assert "used in: 2 builds" in lines
    assert f"what was used: a near copy, {'e' * 32}" in lines
    assert "otherwise: --max-uses 3 or more would let it in" in lines


@pytest.mark.parametrize(
    ("origin", "chance"),
    [
        ("synthetic", "a higher --synthetic-fraction, or another --seed"),
        ("human", "more synthetic text or a lower --synthetic-fraction, or another"),
    ],
)
def test_what_the_mixture_left_out_it_could_take_under_other_shares(
    origin: str, chance: str
) -> None:
    assert chance in told(Reason.MIXTURE, origin=origin)[-1]


def test_hidden_text_is_told_of_the_group_and_warns_where_it_counts_as_human() -> None:
    group = {
        "group": "unknown: web",
        "docs": 1000,
        "estimate": 0.032,
        "low": 0.01,
        "high": 0.05,
        "confidence": 0.9,
    }
    for origin, warned in (("human", True), ("synthetic", False)):
        (line,) = [x for x in told(group=group, origin=origin) if "hidden" in x]
        assert "3.2% by estimate (90% interval 1.0% to 5.0%)" in line
        assert ("may be among them" in line) == warned


def test_names_cannot_command_the_terminal_or_begin_a_line() -> None:
    lines = told(id="\x1b[2J\nx", source="a\rb", url="y" * 9000, text="a\n\x1bb")
    assert not any(set("\x1b\n\r") & set(line) for line in lines)
    assert all(len(line) < 1000 for line in lines)


def test_how_many_are_not_told_is_said() -> None:
    assert list(tell_more(0)) == []
    assert list(tell_more(1500)) == ["and 1,500 more with this id or hash"]
