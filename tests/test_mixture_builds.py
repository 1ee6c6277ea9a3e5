"""Builds of mixtures with groups, on real files."""

import json
from collections import Counter
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import synthfilter as sf
from synthfilter.console import Reporter, describe_shares
from synthfilter.core.errors import ShortageError, UserError

WORDS = ("river", "stone", "harvest", "letter", "engine", "winter", "garden", "copper")
CATEGORY = "category=kind"


def text_of(number: int) -> str:
    """A text of ten words of its own for each number."""
    chosen = [WORDS[(number // 8**i + i) % 8] for i in range(8)]
    return " ".join([f"No {number}.", *chosen])


def texts(first: int, count: int) -> list[str]:
    return [text_of(first + i) for i in range(count)]


@pytest.fixture
def corpus(workshop):
    """100 human, 100 synthetic documents and 40 of code, half of them synthetic."""
    kinds = ["prose"] * 100 + ["code"] * 20
    workshop.write("human/h", texts(0, 120), kind=kinds)
    workshop.write("synthetic/s", texts(1000, 120), kind=kinds)
    return workshop


def kinds_of(workshop, output: str = "out") -> Counter:
    """How many rows have each group, by what their file said."""
    return Counter(
        "code"
        if json.loads(row["metadata"])["kind"] == "code"
        else ("human" if row["id"][0] == "h" else "synthetic")
        for row in workshop.rows(output=output)
    )


MIXTURE = ["human=0.5", "synthetic=0.3", "code=0.2"]


def test_three_groups_have_their_shares(corpus) -> None:
    made = corpus.build(mixture=MIXTURE, fields=CATEGORY, unit="docs")
    assert kinds_of(corpus) == {"human": 100, "synthetic": 60, "code": 40}
    groups = made["shares"]["groups"]
    assert list(groups) == ["human", "synthetic", "code"]
    assert groups["code"] == {
        "asked": 0.2,
        "available": 40,
        "got": {
            "docs": 40,
            "bytes": sum(
                len(row["text"]) for row in corpus.rows() if "code" in row["metadata"]
            ),
            "words": 400,
        },
    }
    assert made["shares"]["limited_by"] is None
    assert made["books"]["left_out"]["mixture"] == 40
    assert made["books"]["left_out"]["no_group"] == 0
    assert {row["origin"] for row in corpus.rows()} == {"human", "synthetic"}


def test_the_order_of_groups_in_the_options_changes_nothing(corpus) -> None:
    options = {"fields": CATEGORY, "unit": "docs", "target_size": 50}
    one = corpus.build("one", mixture=MIXTURE, **options)
    two = corpus.build("two", mixture=MIXTURE[::-1], **options)
    assert one == two


def test_what_is_in_no_group_is_left_out_for_it(corpus) -> None:
    corpus.build(mixture=["human=0.5", "code=0.5"], fields=CATEGORY, unit="docs")
    assert kinds_of(corpus) == {"human": 40, "code": 40}
    reasons = Counter(row["reason"] for row in corpus.rows("rejected"))
    assert reasons == {"no_group": 100, "mixture": 60}


def test_a_protected_group_stays_whole(corpus) -> None:
    corpus.build(unit="docs", target_size=150, protect="human")
    origins = Counter(row["origin"] for row in corpus.rows())
    assert origins == {"human": 120, "synthetic": 30}


def test_a_group_repeats_up_to_its_number(corpus) -> None:
    options = {"mixture": ["human=0.4", "code=0.6"], "fields": CATEGORY, "unit": "docs"}
    made = corpus.build(**options, repeat="code=3")
    assert kinds_of(corpus) == {"human": 80, "code": 120}
    codes = Counter(row["id"] for row in corpus.rows() if "code" in row["metadata"])
    assert set(codes.values()) == {3}
    said = "code text: 150 docs asked for, 40 left after filters and copies, each used"
    assert said in made["shares"]["limited_by"]


def test_floors_are_reached_and_caps_kept(corpus) -> None:
    options = {"unit": "words", "target_size": 500}
    corpus.build("floor", floors="synthetic=405", **options)
    by_origin = Counter(row["origin"] for row in corpus.rows(output="floor"))
    # Ten words a document: a floor is reached, the rest is not exceeded.
    assert by_origin == {"synthetic": 41, "human": 9}
    made = corpus.build("cap", caps="synthetic=95", unit="words")
    by_origin = Counter(row["origin"] for row in corpus.rows(output="cap"))
    assert by_origin == {"synthetic": 9, "human": 120}
    assert made["shares"]["limited_by"] == "caps synthetic=95"


def test_fresh_human_documents_have_their_share(workshop) -> None:
    days = ["2022-11-30T23:00:00"] * 80 + ["2022-12-01"] * 15 + [None] * 5
    workshop.write("human/h", texts(0, 100), created=days)
    workshop.write("synthetic/s", texts(1000, 60), created=["2024-01-01"] * 60)
    options = {"unit": "docs", "synthetic_fraction": 0.5, "fresh_after": "2022-11-30"}
    made = workshop.build("some", min_fresh=0.25, target_size=60, **options)
    fresh = [row for row in workshop.rows(output="some") if row["created"] == days[80]]
    assert len(fresh) == 15
    assert made["shares"]["fresh"] == {
        "after": "2022-11-30",
        "asked": 0.25,
        "share": 0.25,
        "got": {
            "docs": 15,
            "bytes": sum(len(row["text"]) for row in fresh),
            "words": 150,
        },
    }
    less = workshop.build("less", min_fresh=0.25, **options)
    assert less["shares"]["got"]["docs"]["human"] == 30
    assert less["shares"]["limited_by"].startswith("fresh human text: 50 docs asked")
    workshop.build("no", code=3, min_fresh=0.25, on_shortage="fail", **options)


def test_every_language_has_the_share_by_itself(workshop) -> None:
    tongues = ["en"] * 60 + ["de"] * 30 + [None] * 10
    workshop.write("human/h", texts(0, 100), language=tongues)
    workshop.write("synthetic/s", texts(1000, 100), language=tongues[::-1])
    made = workshop.build(unit="docs", synthetic_fraction=0.5, strata="language")
    found = Counter(
        (row["origin"], json.loads(row["metadata"])["language"])
        for row in workshop.rows()
    )
    each = {"en": 60, "de": 30, None: 10}
    assert found == {
        (who, tongue): count
        for who in ("human", "synthetic")
        for tongue, count in each.items()
    }
    assert made["shares"]["limited_by"] is None
    few = workshop.build("few", unit="docs", synthetic_fraction=0.75, strata="language")
    assert few["shares"]["limited_by"] == "synthetic text in 3 of 3 strata"
    assert few["shares"]["got"]["docs"]["human"] == 20 + 10 + 3


def test_documents_that_weigh_more_are_in_more_often(workshop) -> None:
    weight = [9.0, 1.0, None, 0.0] * 100
    workshop.write("human/h", texts(0, 400), rarity=weight, row_group=30)
    options = {"unit": "docs", "target_size": 100, "fields": "weight=rarity"}
    workshop.build("heavy", **options)
    kept = Counter(
        json.loads(row["metadata"])["rarity"] for row in workshop.rows(output="heavy")
    )
    assert kept[0.0] == 0
    assert kept[9.0] > 60
    # What has no weight weighs one.
    assert abs(kept[1.0] - kept[None]) < 15
    workshop.write("human/h", texts(0, 400), rarity=[1.0] * 400)
    even = workshop.build("even", **options)
    plain = workshop.build("plain", unit="docs", target_size=100)
    assert even["content_digest"] == plain["content_digest"]


def test_shards_keep_their_size_where_files_weigh_differently(workshop) -> None:
    workshop.write("human/a", texts(0, 2000), rarity=[50.0] * 2000, row_group=200)
    workshop.write("human/b", texts(5000, 2000), rarity=[1.0] * 2000, row_group=200)
    made = workshop.build(
        unit="docs", target_size=2000, fields="weight=rarity", max_shard_bytes=20_000
    )
    assert len(made["shards"]) > 5
    for shard in made["shards"]:
        rows = pq.read_table(workshop.path / "out" / shard["path"])["text"].to_pylist()
        assert 10_000 < sum(map(len, rows)) <= 20_000


def test_the_archive_is_whole_and_counts_as_human(workshop) -> None:
    workshop.write("core/c", texts(500, 30))
    workshop.write("human/h", texts(0, 100))
    workshop.write("synthetic/s", texts(1000, 100))
    core = str(workshop.path / "core")
    workshop.build(core=core, unit="docs", synthetic_fraction=0.5, target_size=80)
    found = Counter(row["id"][0] for row in workshop.rows())
    assert found == {"c": 30, "h": 10, "s": 40}


def test_a_mixture_that_cannot_be_stops_with_the_nearest(
    corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus.build(code=3, protect="human", synthetic_fraction=0.75, unit="docs")
    said = capsys.readouterr().err
    assert "protect human (120 docs) needs a set of at least 480 docs" in said
    assert "the nearest that can be: human 50.00%, synthetic 50.00% of 240" in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mixture": ["human=0.5"]}, "must add up to 1, got 0.5"),
        ({"mixture": ["human"]}, "expected NAME=VALUE, got 'human'"),
        ({"mixture": ["human=x"]}, "expected NAME=float, got 'human=x'"),
        ({"repeat": "human=0"}, "repeat must be at least 1"),
        ({"repeat": "human=1.5"}, "expected NAME=int, got 'human=1.5'"),
        ({"protect": "prose"}, "protect must name groups of the mixture"),
        ({"strata": "url"}, "strata must be one of category, language, source"),
        ({"min_fresh": 0.1}, "need each other"),
        ({"fresh_after": "soon", "min_fresh": 0.1}, "expects a day such as"),
    ],
)
def test_bad_options_are_refused_in_one_line(
    corpus, capsys: pytest.CaptureFixture[str], options: dict, message: str
) -> None:
    corpus.build(code=2, **options)
    said = capsys.readouterr().err
    assert message in said
    assert len(said.strip().splitlines()) == 1


def test_a_dry_run_plans_the_same(corpus, capsys: pytest.CaptureFixture[str]) -> None:
    from synthfilter.cli import main

    arguments = ["build", "--output", str(corpus.path / "out"), "--dry-run"]
    for name in ("human", "synthetic"):
        arguments += [f"--{name}", str(corpus.path / name)]
    arguments += ["--mixture", *MIXTURE, "--fields", CATEGORY, "--unit", "docs"]
    assert main([*arguments, "--flagged-human", "keep"]) == 0
    assert "set: about 200 documents, 200 docs" in capsys.readouterr().out
    assert main([*arguments, "--protect", "synthetic", "--flagged-human", "keep"]) == 3
    assert "protect synthetic (100 docs) needs" in capsys.readouterr().err


def test_the_console_shows_groups_and_fresh_text(
    corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    made = corpus.build(mixture=MIXTURE, fields=CATEGORY, unit="docs")
    Reporter().show_manifest("out", made)
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line.split() for line in lines if line.strip().startswith("code")]
    assert row == ["code", "40", "40", "20.00%", "20.00%"]
    fresh = {"after": "2022-11-30", "asked": 0.1, "share": 0.125}
    said = describe_shares({**made["shares"], "fresh": fresh})
    assert (
        "fresh human share of docs: asked at least 10.00%, got 12.50%, created after "
        "2022-11-30"
    ) in said


DOCUMENTS = [
    {
        "id": f"{origin[0]}{i}",
        "text": text_of(i + 1000 * (origin == "human")),
        "origin": origin,
        "kind": "code" if i >= 100 else "prose",
        "created": "2024-01-01" if i % 2 else "2020-01-01",
        "rarity": 1.0 + 8.0 * (i % 2),
    }
    for origin in ("human", "synthetic")
    for i in range(120)
]


def test_mix_chooses_as_a_build_does() -> None:
    split = DOCUMENTS | sf.Mix(
        mixture={"human": 0.5, "synthetic": 0.3, "code": 0.2},
        fields=[CATEGORY],
        unit="docs",
        fresh_after="2022-11-30",
        min_fresh=0.4,
        target_size=100,
        repeat={"code": 2},
    )
    kept = split["kept"]
    groups = Counter("code" if row["kind"] == "code" else row["origin"] for row in kept)
    assert groups == {"human": 50, "synthetic": 30, "code": 20}
    fresh = [
        row
        for row in kept
        if row["origin"] == "human"
        and row["kind"] != "code"
        and row["created"] > "2023"
    ]
    assert len(fresh) == 40
    left_out = DOCUMENTS | "Code" >> sf.Mix(
        mixture={"code": 1}, fields=[CATEGORY], unit="docs"
    )
    assert len(left_out["kept"]) == 40
    assert {row["reason"] for row in left_out["dropped"]} == {"no_group"}


def test_mix_gives_every_stratum_its_share_and_heavy_documents_first() -> None:
    options = {"unit": "docs", "fields": [CATEGORY, "weight=rarity"]}
    split = DOCUMENTS | sf.Mix(
        synthetic_fraction=0.25, strata="category", target_size=80, **options
    )
    found = Counter((row["kind"], row["origin"]) for row in split["kept"])
    assert found == {
        ("prose", "human"): 50,
        ("prose", "synthetic"): 16,
        ("code", "human"): 10,
        ("code", "synthetic"): 3,
    }
    heavy = np.array([row["rarity"] > 1 for row in split["kept"]])
    assert heavy.mean() > 0.6


def test_mix_refuses_what_makes_no_mixture() -> None:
    with pytest.raises(UserError, match="must add up to 1"):
        sf.Mix(mixture={"human": 0.5})
    with pytest.raises(ShortageError, match="no such mixture: protect human"):
        DOCUMENTS | sf.Mix(synthetic_fraction=0.9, protect=["human"])


def test_a_mixture_of_both_origins_alone_tells_what_each_got(workshop: Any) -> None:
    workshop.write("human/h", [f"a letter of {n} days" for n in range(30)])
    workshop.write("synthetic/s", [f"an answer with {n} steps" for n in range(30)])
    asked = {"mixture": ["human=0.75", "synthetic=0.25"], "unit": "docs"}
    groups = workshop.build(**asked)["shares"]["groups"]
    assert groups["human"]["got"]["docs"] == 30
    assert groups["synthetic"]["got"]["docs"] == 10
