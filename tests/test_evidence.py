"""Builds whose documents say who wrote them, in many ways that may disagree."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from synthfilter.core.errors import UserError
from synthfilter.core.hashing import hash_texts, hex_hashes
from synthfilter.core.text import normalise
from synthfilter.core.uses import TIME
from synthfilter.core.verdicts import GIVEN, REVIEWER, VERDICT
from synthfilter.evidence import (
    evidence_key,
    parse_human_before,
    read_outside_evidence,
    read_url_files,
)
from synthfilter.ledger.verdicts import add_verdicts

# The test's detector flags what says so, and scores nothing that is short.
DETECTOR = f"{__name__}:SaysRobot"
PROSE = "a page about the weather in the north, the {} of its kind and a long one"


class SaysRobot:
    """Texts with the word robot are machine text."""

    version = "1"
    threshold = 0.5

    def score(self, column: pa.Array) -> Any:
        return [0.9 if "robot" in text else 0.1 for text in column.to_pylist()]


def text(number: int, robot: bool = False) -> str:
    return PROSE.format(number) + (" by a robot" if robot else "")


def origins(workshop: Any, output: str = "out") -> dict[str, tuple[str, str]]:
    rows = workshop.rows(output=output)
    return {row["id"]: (row["origin"], row["origin_evidence"]) for row in rows}


def reasons(workshop: Any, output: str = "out") -> dict[str, tuple[str, str]]:
    rows = workshop.rows("rejected", output=output)
    return {row["id"]: (row["reason"], row["evidence"]) for row in rows}


@pytest.fixture
def evidence(workshop: Any) -> Any:
    """A folder with lists of addresses of human and of machine text."""
    (workshop.path / "human.txt").write_text("# papers\npaper.example\n")
    (workshop.path / "mills.txt").write_text("mill.example\n")
    return workshop


def write(workshop: Any, folder: str) -> None:
    workshop.write(
        folder,
        [text(n, robot=n in (1, 6)) for n in range(8)],
        origin=["human", None, "synthetic", None, None, None, None, None],
        generator=[None, None, None, "gpt-4o", None, None, None, None],
        url=[None] * 4
        + ["https://www.paper.example/a", "https://mill.example/x", None, None],
        created=[None] * 6 + ["2021-05-01", "2024-05-01"],
    )


def options(workshop: Any, **more: Any) -> dict[str, Any]:
    return {
        "detector": DETECTOR,
        "human_urls": str(workshop.path / "human.txt"),
        "synthetic_urls": str(workshop.path / "mills.txt"),
        **more,
    }


def test_the_first_of_all_that_is_said_decides_and_all_is_kept(evidence: Any) -> None:
    write(evidence, "unknown/u")
    unknown = str(evidence.path / "unknown")
    made = evidence.build(**options(evidence, unknown=unknown))
    assert origins(evidence) == {
        "u-0": ("human", "column=human"),
        "u-1": ("synthetic", "detector=synthetic"),
        "u-2": ("synthetic", "column=synthetic"),
        "u-3": ("synthetic", "producer=synthetic"),
        "u-4": ("human", "url=human"),
        "u-5": ("synthetic", "url=synthetic"),
        "u-6": ("human", "date=human detector=synthetic"),
        "u-7": ("human", "detector=human"),
    }
    assert made["conflicts"] == [
        {"decided": "date=human", "against": "detector=synthetic", "docs": 1}
    ]


def test_what_contradicts_a_declaration_follows_its_policy(evidence: Any) -> None:
    write(evidence, "human/h")
    made = evidence.build(**options(evidence, flagged_human="reclassify"))
    assert origins(evidence) == {
        "h-0": ("human", "declared=human column=human"),
        "h-1": ("synthetic", "detector=synthetic declared=human"),
        # A column says no more than the flag.
        "h-2": ("human", "declared=human column=synthetic"),
        "h-3": ("synthetic", "producer=synthetic declared=human"),
        "h-4": ("human", "declared=human url=human"),
        "h-5": ("synthetic", "url=synthetic declared=human"),
        "h-6": ("human", "declared=human date=human detector=synthetic"),
        "h-7": ("human", "declared=human"),
    }
    told = {(row["decided"], row["against"]): row["docs"] for row in made["conflicts"]}
    assert told == {
        ("detector=synthetic", "declared=human"): 1,
        ("declared=human", "column=synthetic"): 1,
        ("producer=synthetic", "declared=human"): 1,
        ("url=synthetic", "declared=human"): 1,
        ("declared=human", "detector=synthetic"): 1,
    }
    evidence.build("kept", **options(evidence, marked_human="keep"))
    assert {origin for origin, _ in origins(evidence, "kept").values()} == {"human"}
    strict = options(evidence, marked_human="drop", flagged_human="drop")
    evidence.build("strict", **strict)
    assert reasons(evidence, "strict") == {
        "h-1": ("human_scored_synthetic", "threshold=0.5"),
        "h-3": ("conflict", "marked_human=drop"),
        "h-5": ("conflict", "marked_human=drop"),
    }


def test_dates_say_nothing_where_they_are_not_believed(evidence: Any) -> None:
    write(evidence, "unknown/u")
    unknown = str(evidence.path / "unknown")
    for day, origin in (("never", "synthetic"), ("2021-05-01", "synthetic")):
        evidence.build(day, **options(evidence, unknown=unknown, human_before=day))
        assert origins(evidence, day)["u-6"][0] == origin
    later = options(evidence, unknown=unknown, human_before="2025-01-01")
    evidence.build("later", **later)
    assert origins(evidence, "later")["u-7"] == ("human", "date=human")


def test_early_synthetic_documents_follow_their_policy(workshop: Any) -> None:
    workshop.write("synthetic/s", [text(1), text(2)], created=["1999-01-01", None])
    told = []
    for policy in ("keep", "reclassify", "drop"):
        asked = {"detector": DETECTOR, "early_synthetic": policy}
        workshop.build(policy, **asked)
        told.append(origins(workshop, policy).get("s-0"))
    assert told == [
        ("synthetic", "declared=synthetic date=human"),
        ("human", "date=human declared=synthetic"),
        None,
    ]
    assert reasons(workshop, "drop") == {"s-0": ("conflict", "early_synthetic=drop")}


def judge(workshop: Any, ledger: str, verdicts: dict[str, str]) -> None:
    """A reviewer's verdicts by text."""
    hashes = hex_hashes(*hash_texts(normalise(pa.array([*verdicts]))))
    rows = [
        {"content_hash": content, VERDICT: verdict, REVIEWER: "ada", TIME: None}
        for content, verdict in zip(hashes.to_pylist(), verdicts.values(), strict=True)
    ]
    add_verdicts(ledger, pa.Table.from_pylist(rows, schema=GIVEN))


def test_verdicts_of_people_override_everything(workshop: Any) -> None:
    ledger = str(workshop.path / "ledger")
    workshop.write("human/h", [text(1, robot=True), text(2), text(3)])
    workshop.write("synthetic/s", [text(4), text(5), text(6, robot=True)])
    asked = {
        "detector": DETECTOR,
        "ledger": ledger,
        "flagged_human": "drop",
        "max_ai_score": 0.5,
    }
    first = workshop.build("before", **asked)
    assert {*origins(workshop, "before")} == {"h-1", "h-2", "s-0", "s-1"}
    judge(
        workshop,
        ledger,
        {
            text(1, robot=True): "human",
            text(2): "synthetic",
            text(3): "reject",
            text(4): "human",
            text(5): "unsure",
            text(6, robot=True): "synthetic",
        },
    )
    second = workshop.build("after", **asked)
    assert origins(workshop, "after") == {
        "h-0": ("human", "review=human declared=human detector=synthetic"),
        "h-1": ("synthetic", "review=synthetic declared=human"),
        "s-0": ("human", "review=human declared=synthetic ledger=synthetic"),
        "s-1": ("synthetic", "declared=synthetic ledger=synthetic"),
        "s-2": (
            "synthetic",
            "review=synthetic declared=synthetic detector=synthetic",
        ),
    }
    assert reasons(workshop, "after")["h-2"] == ("rejected_by_review", None)
    assert first["build_id"] != second["build_id"]


def test_too_many_errors_in_what_reviewers_saw_stop_a_build(
    workshop: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = str(workshop.path / "ledger")
    workshop.write("synthetic/s", [text(n) for n in range(4)])
    asked = {"detector": DETECTOR, "ledger": ledger, "max_error": 0.02}
    workshop.build("one", **asked, code=3)
    assert "none drawn by chance has a verdict" in capsys.readouterr().err
    assert not (workshop.path / "one").exists()
    workshop.build("two", detector=DETECTOR, max_error=0.02, code=2)
    assert "max_error needs ledger" in capsys.readouterr().err


def test_lists_of_addresses_are_read_from_files(tmp_path: Path) -> None:
    one, two = tmp_path / "one.txt", tmp_path / "two.txt"
    one.write_text("a.example\n")
    two.write_text("# more\nb.example/blog\n")
    found = read_url_files([str(one), str(two)])
    assert found is not None
    assert found.entries == (("a.example", ""), ("b.example", "/blog"))
    assert read_url_files([]) is None
    two.write_text("b.example\nnot a host\n")
    with pytest.raises(UserError, match=r"two\.txt: .*2"):
        read_url_files([str(one), str(two)])
    with pytest.raises(UserError, match=r"cannot read .*none\.txt"):
        read_url_files([str(tmp_path / "none.txt")])
    two.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="expected a text file"):
        read_url_files([str(two)])


def test_a_day_or_never_is_what_dates_are_compared_with() -> None:
    assert parse_human_before("1970-01-02") == 86_400_000
    assert parse_human_before("never") is None
    with pytest.raises(UserError, match="human_before expects a day such as"):
        parse_human_before("yesterday")


def test_other_evidence_makes_another_build(tmp_path: Path) -> None:
    urls = tmp_path / "urls.txt"
    urls.write_text("a.example\n")
    paths = [str(urls)]
    asked = [
        ([], [], "2022-11-30"),
        ([], [], "never"),
        (paths, [], "never"),
        ([], paths, "never"),
    ]
    keys = [evidence_key(read_outside_evidence(*each, None)) for each in asked]
    assert len({*keys}) == len(keys)
    # The same list from another file, or with comments, is the same evidence.
    (tmp_path / "other.txt").write_text("# a\nA.example.\n")
    same = read_outside_evidence([str(tmp_path / "other.txt")], [], "never", None)
    assert evidence_key(same) == keys[2]
    # A ledger without verdicts says nothing.
    empty = read_outside_evidence([], [], "never", str(tmp_path / "ledger"))
    assert evidence_key(empty) == keys[1]
