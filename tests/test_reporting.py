"""What a build says of itself, compared with what it wrote."""

import datetime
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import orjson
import pytest

from synthfilter import reporting
from synthfilter.core.schema import REASON_NAMES
from synthfilter.outputs.manifest import read_manifest

WORDS = "river stone harvest letter engine winter garden copper window silver".split()


def prose(number: int, words: int = 60) -> str:
    """Returns a text of its own for each number."""
    random = np.random.default_rng(number)
    return " ".join(f"{WORDS[i % 10]}{i}" for i in random.integers(0, 900, words))


def read_report(workshop: Any, output: str = "out") -> dict[str, Any]:
    return orjson.loads((workshop.path / output / "report.json").read_bytes())


@pytest.fixture(scope="module")
def built(shared_workshop: Any) -> Any:
    """A build in which documents go for several reasons, and one that it feeds."""
    texts = [prose(number) for number in range(60)]
    near = [f"{texts[i]} more" for i in range(2)]
    shared_workshop.write(
        "human/a",
        [*texts[:40], *texts[:20], *texts[:10], texts[0], *near, ""],
        source=["wiki"] * 40 + ["<b>mirror</b>"] * 33 + [None],
        language=["en"] * 74,
        created=["2019"] * 30 + ["2021-03-04"] * 30 + [None] * 14,
    )
    shared_workshop.write(
        "synthetic/b",
        texts[40:],
        generator=["model one"] * 12 + [None] * 8,
        created=["2024-05-06"] * 20,
    )
    (shared_workshop.path / "crawl.jsonl").write_text('{"text": 1}\n{"text": "x" 7}\n')
    options: dict[str, Any] = {
        "unknown": str(shared_workshop.path / "crawl.jsonl"),
        "near_duplicates": 0.8,
        "max_synthetic_fraction": 0.25,
        "count": "declared",
        "ledger": str(shared_workshop.path / "ledger"),
        "max_uses": 1,
    }
    shared_workshop.build(**options)
    shared_workshop.build("next", seed=1, **options)
    return shared_workshop


def test_the_report_repeats_the_manifest(built: Any) -> None:
    report, manifest = read_report(built), read_manifest(str(built.path / "out"))
    for name in ("build_id", "content_digest", "books", "shares", "options", "inputs"):
        assert report[name] == manifest[name], name


def test_sources_and_languages_are_counted_as_the_files_have_them(
    built: Any,
) -> None:
    report = read_report(built)
    kept = built.rows("data")
    left = built.rows("rejected")
    reasons = Counter((row["source"], row["reason"]) for row in left)
    sources = {row["source"]: row for row in report["sources"]}
    assert set(sources) == {"wiki", "<b>mirror</b>", None, "b.parquet"}
    for name, row in sources.items():
        assert row["kept"] == sum(found["source"] == name for found in kept)
        for reason in ("exact_copy", "near_copy", "mixture"):
            assert row[reason] == reasons[name, reason], (name, reason)
    (wiped,) = report["nearly_wiped"]
    assert wiped == {
        "source": "<b>mirror</b>",
        "read": 33,
        # Its near copies are longer, but those of wiki have a date.
        "kept": 0,
        "most": "exact_copy",
    }
    languages = {row["language"]: row["read"] for row in report["languages"]}
    assert languages == {"en": 74, None: 22}


def test_ages_lengths_and_scores_are_those_of_what_is_kept(built: Any) -> None:
    report = read_report(built)
    kept = built.rows("data")
    human = [row for row in kept if row["origin"] == "human"]
    ages = report["ages"]["by_origin"]
    dates = Counter((row["created"] or "none")[:7] for row in human)
    assert ages["human"]["months"] == {
        "2019-12": dates["2019"],
        "2021-03": dates["2021-03"],
    }
    assert ages["human"]["undated"] == dates["none"]
    later = dates["2021-03"] > dates["2019"]
    assert ages["human"]["median"] == ("2021-03" if later else "2019-12")
    assert ages["human"]["newest"] == "2021-03"
    made = len(kept) - len(human)
    assert ages["synthetic"]["months"] == {"2024-05": made}
    lengths = report["lengths"]["by_origin"]["human"]
    assert sum(lengths["kept"]) == len(human)
    assert lengths["quantiles"]["0.5"] == pytest.approx(60, rel=0.05)
    scores = report["scores"]["by_declared"]["human"]
    assert sum(scores["kept"]) + scores["unscored_kept"] == len(human)
    assert report["generators"][0]["docs"] == sum(
        row["generator"] == "model one" for row in kept
    )


def test_examples_are_of_every_reason_and_carry_their_text(built: Any) -> None:
    report = read_report(built)
    found = Counter(row["reason"] for row in report["samples"])
    books = report["books"]
    left = {name: docs for name, docs in books["left_out"].items() if docs}
    expected = {"kept": books["kept"], "dead_letter": books["dead_letters"], **left}
    assert found == {name: min(docs, 20) for name, docs in expected.items()}
    assert set(found) <= set(REASON_NAMES)
    texts = {row["id"]: row["text"] for row in built.rows("data")}
    for row in report["samples"]:
        if row["reason"] == "kept":
            assert row["excerpt"] == texts[row["id"]][:240]
    dead = [row for row in report["samples"] if row["reason"] == "dead_letter"]
    assert {row["evidence"].partition(":")[0] for row in dead} == {"line 1", "line 2"}


def test_clusters_are_the_texts_with_the_most_copies(built: Any) -> None:
    report = read_report(built)
    left = built.rows("rejected")
    copies = Counter(
        row["evidence"].split()[0]
        for row in left
        if row["reason"] in ("exact_copy", "near_copy")
    )
    told = {row["content_hash"]: row["copies"] for row in report["clusters"]["largest"]}
    assert told == dict(copies.most_common(30))
    assert report["clusters"]["at_most_missed"] == 0


def test_what_an_earlier_build_had_is_told_by_its_name(built: Any) -> None:
    first, second = read_report(built), read_report(built, "next")
    used = second["books"]["left_out"]["used_before"]
    assert used > 0
    assert second["ledger_hits"] == [{"build_id": first["build_id"], "docs": used}]
    assert first["ledger_hits"] == []


def test_the_run_is_told_and_nothing_else_changes_from_run_to_run(
    built: Any,
) -> None:
    report = read_report(built)
    run = report.pop("run")
    assert datetime.datetime.fromisoformat(run["started"]).tzinfo is not None
    assert run["seconds"] > 0
    assert run["workers"] == 1
    stages = {row["stage"]: row for row in run["stages"]}
    assert set(stages) == {"open", "score", "compare", "write"}
    assert stages["score"]["bytes"] > 0
    options = {
        "unknown": str(built.path / "crawl.jsonl"),
        "near_duplicates": 0.8,
        "max_synthetic_fraction": 0.25,
        "count": "declared",
    }
    built.build("once", **options)
    built.build("twice", workers=2, cache=str(built.path / "other"), **options)
    once, twice = read_report(built, "once"), read_report(built, "twice")
    assert twice.pop("run")["workers"] == 2
    once.pop("run")
    assert once == twice


def test_excerpts_can_be_left_out_and_the_set_stays_the_same(built: Any) -> None:
    manifest = built.build("quiet", excerpt=0)
    again = built.build("shown", excerpt=20)
    assert manifest["build_id"] == again["build_id"]
    assert {row["excerpt"] for row in read_report(built, "quiet")["samples"]} == {None}
    assert all(
        len(row["excerpt"] or "") <= 20
        for row in read_report(built, "shown")["samples"]
    )


def test_a_build_draws_its_page_with_charts(
    built: Any,
    drawn_pages: Callable[[Mapping[str, Any]], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reporting, "report_page", drawn_pages)
    built.build("drawn")
    page = (built.path / "drawn/report.html").read_text()
    assert page.count("<svg") > 5
    assert "<b>mirror" not in page
    assert "&lt;b&gt;mirror" in page


def test_a_negative_excerpt_is_one_line(
    built: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    built.build("bad", code=2, excerpt=-1)
    assert "excerpt must be at least 0, got -1" in capsys.readouterr().err
