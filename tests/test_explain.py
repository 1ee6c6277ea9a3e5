"""`synthfilter explain` on real builds: every reason, and documents kept."""

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthfilter.cli import main
from synthfilter.core.hashing import hash_texts, hex_hashes, order_hash
from synthfilter.core.profiles import count_profiles
from synthfilter.core.schema import REASON_NAMES, UNUSABLE, Reason
from synthfilter.core.text import normalise
from synthfilter.core.uses import hash_halves
from synthfilter.core.verdicts import GIVEN
from synthfilter.detection.detector import load_detector
from synthfilter.detection.thresholds import FORMAT, FORMAT_VERSION, identify
from synthfilter.ledger.verdicts import add_verdicts
from synthfilter.outputs.manifest import MANIFEST, read_manifest

DETECTOR = "tests.detectors:SaysScore"
PROFILES = count_profiles(
    np.concatenate([np.linspace(0.01, 0.2, 500), np.linspace(0.3, 0.99, 500)]),
    np.full(1000, 60),
    np.repeat([False, True], 500),
    np.tile([f"source {i}" for i in range(10)], 100),
)


def prose(number: int, count: int = 60) -> list[str]:
    random = np.random.default_rng(number)
    return [f"w{word}" for word in random.integers(0, 50_000, count)]


def text(score: int, number: int) -> str:
    """A text of its own for each number, with this score in percent."""
    return " ".join([f"s{score}", *prose(number)])


def hash_of(said: str) -> str:
    (found,) = hex_hashes(*hash_texts(normalise(pa.array([said], pa.large_string()))))
    return found.as_py()


def write(workshop: Any, name: str, documents: dict[str, str], **more: Any) -> None:
    workshop.write(name, [*documents.values()], id=[*documents], row_group=20, **more)


def rejects(workshop: Any, said: str) -> None:
    row = {
        "content_hash": hash_of(said),
        "verdict": "reject",
        "reviewer": "ann",
        "note": "spam",
        "time": datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
    }
    rows = pa.Table.from_pylist([row], schema=GIVEN)
    assert add_verdicts(str(workshop.path / "ledger"), rows) == 1


@pytest.fixture(scope="module")
def shop(shared_workshop: Any) -> Iterator[Any]:
    """Builds: `first`; `out` with most reasons; the others with the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        make_builds(shared_workshop)
        yield shared_workshop


def calibrate(path: Path) -> str:
    """Writes a calibration; texts of 50 words and more have a threshold of 0.5."""
    found = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "detector": identify(load_detector(DETECTOR)),
        "thresholds": {"0.01": {"threshold": 0.6, "by_length": {"50": 0.5}}},
        "profiles": PROFILES.as_json(),
    }
    path.write_text(json.dumps(found))
    return str(path)


def make_builds(shop: Any) -> None:
    ledger = str(shop.path / "ledger")
    used = {"used": text(60, 500)}
    write(shop, "before/s", used)
    write(shop, "before/h", {f"b{i}": text(3, 600 + i) for i in range(3)})
    options: dict[str, Any] = {"detector": DETECTOR, "ledger": ledger}
    shop.build(
        "first",
        human=f"{shop.path}/before/h.parquet",
        synthetic=f"{shop.path}/before/s.parquet",
        **options,
    )
    human = {f"h{i}": text(5, i) for i in range(30)}
    twin = text(5, 0).split(" ")
    human |= {
        "exact": text(5, 0),
        "near": " ".join([*twin[:30], "other", *twin[31:]]),
        "empty": "",
        "long": text(5, 50) + " more" * 3000,
        "refused": text(5, 51),
        "listed": text(5, 52),
        "flagged": text(80, 53),
        "shares": " ".join([*text(5, 54).split(" "), *prose(900)[:15]]),
        "reference": " ".join(prose(901)),
    }
    urls = ["http://machine.example/1" if n == "listed" else None for n in human]
    write(shop, "human/h", human, url=urls, source=["shelf"] * len(human))
    (shop.path / "human/bad.jsonl").write_text(
        json.dumps({"id": "fine", "text": text(5, 55)}) + "\n{\n"
    )
    synthetic = {f"s{i}": text(60, 100 + i) for i in range(30)}
    synthetic |= {"high": text(99, 200), "deep": text(60, 201), **used}
    depth = [9 if name == "deep" else None for name in synthetic]
    generation = pa.array(depth, pa.int32())
    write(shop, "synthetic/s", synthetic, synth_generation=generation)
    unknown = {"foreign": " ".join(prose(300)), "open": text(30, 301)}
    write(shop, "unknown/u", unknown)
    write(shop, "against/a", {"x": " ".join(prose(900)), "y": " ".join(prose(901))})
    (shop.path / "machines.txt").write_text("machine.example\n")
    rejects(shop, human["refused"])
    shop.build(
        "out",
        unknown=f"{shop.path}/unknown",
        against=f"{shop.path}/against",
        against_ngrams=13,
        synthetic_urls=f"{shop.path}/machines.txt",
        near_duplicates=0.8,
        flagged_human="drop",
        marked_human="drop",
        max_ai_score=0.95,
        max_document_bytes=10_000,
        max_uses=1,
        max_generation=3,
        synthetic_fraction=0.3,
        unit="docs",
        target_size=20,
        count="declared",
        seed=3,
        **options,
    )
    shop.build(
        "plain",
        unknown=f"{shop.path}/before/h.parquet",
        against=f"{shop.path}/against",
        detector=DETECTOR,
    )
    asked = {f"a{i}": text(2 + i % 10, 700 + i) for i in range(100)}
    asked |= {f"z{i}": text(45, 900 + i) for i in range(30)}
    write(shop, "hidden_in/u", asked)
    shop.build(
        "hidden",
        human=f"{shop.path}/before/h.parquet",
        synthetic=f"{shop.path}/before/s.parquet",
        unknown=f"{shop.path}/hidden_in",
        max_synthetic_fraction=0.05,
        on_hidden="shrink",
        target_fpr=0.01,
        calibration=calibrate(shop.path / "calibration.json"),
        detector=DETECTOR,
    )

    shop.build("grouped", mixture="human=1", detector=DETECTOR)


def explain(shop: Any, asked: str, *more: str, output: str = "out") -> Any:
    return main(["explain", str(shop.path / output), asked, *more])


def facts_of(
    shop: Any, asked: str, capsys: Any, *more: str, output: str = "out"
) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert explain(shop, asked, "--json", *more, output=output) == 0
    return json.loads(capsys.readouterr().out)["documents"]


def lines_of(
    shop: Any, asked: str, capsys: Any, *more: str, output: str = "out"
) -> list[str]:
    capsys.readouterr()
    assert explain(shop, asked, *more, output=output) == 0
    return capsys.readouterr().out.splitlines()


def some(shop: Any, reason: Reason) -> tuple[str, str]:
    """The build and id of a document of each reason, whatever it is called."""
    others = {Reason.SUSPECT: "hidden", Reason.REFERENCE_COPY: "plain"}
    others[Reason.NO_GROUP] = "grouped"
    output = others.get(reason, "out")
    if reason == Reason.KEPT:
        return output, shop.rows(output=output)[0]["id"]
    if reason == Reason.DEAD_LETTER:
        return output, "human/bad.jsonl:line 2"
    rows = shop.rows("rejected", output)
    return output, next(r["id"] for r in rows if r["reason"] == REASON_NAMES[reason])


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_story_that_ends_with_what_would_change_it(
    shop: Any, capsys: pytest.CaptureFixture, reason: Reason
) -> None:
    output, name = some(shop, reason)
    (facts,) = facts_of(shop, name, capsys, output=output)
    assert facts["reason"] == REASON_NAMES[reason]
    lines = lines_of(shop, name, capsys, output=output)
    assert lines[-1] == f"otherwise: {facts['otherwise']}"
    expected = "is in the set" if reason == Reason.KEPT else "was left out as"
    if reason != Reason.DEAD_LETTER:
        assert lines[0].startswith(f"{name}: {expected}")
        assert reason in UNUSABLE or f"content hash: {facts['content_hash']}" in lines


def test_the_whole_chain_of_evidence_is_told_and_what_it_did(
    shop: Any, capsys: pytest.CaptureFixture
) -> None:
    (facts,) = facts_of(shop, "listed", capsys)
    declared, url = facts["said"]
    assert (declared["evidence"], declared["role"]) == ("declared", "decides")
    assert (url["evidence"], url["says"], url["role"]) == (
        "url",
        "synthetic",
        "against",
    )
    assert (url["option"], url["value"]) == ("marked_human", "drop")
    (facts,) = facts_of(shop, "flagged", capsys)
    assert (facts["threshold"], facts["reached"]) == (0.5, True)
    assert facts["score"] == pytest.approx(0.8)
    (facts,) = facts_of(shop, "open", capsys)
    assert facts["said"][0]["evidence"] == "detector"


def test_a_copy_names_the_document_that_it_is_a_copy_of_and_that_one_its_copies(
    shop: Any, capsys: pytest.CaptureFixture
) -> None:
    rows = {row["id"]: row for row in [*shop.rows("rejected"), *shop.rows()]}
    (facts,) = facts_of(shop, "near", capsys)
    (original,) = facts["copy_of"]["documents"]
    named = rows[original["id"]]
    assert original["source"] == named["source"] == "shelf"
    assert facts["copy_of"]["content_hash"] == named["content_hash"]
    assert named["id"] in ("h0", "exact")
    assert facts["copy_of"]["similarity"] == pytest.approx(47 / 56, abs=0.04)
    assert f"{facts['copy_of']['similarity']:.3f}" in rows["near"]["evidence"]
    (other,) = facts_of(shop, named["id"], capsys)
    assert other["copies"]["docs"] == {"exact_copy": 1, "near_copy": 1}
    twin = "h0" if named["id"] == "exact" else "exact"
    assert sorted(other["copies"]["ids"]) == sorted([twin, "near"])
    (copy,) = facts_of(shop, twin, capsys)
    assert [each["id"] for each in copy["copy_of"]["documents"]] == [named["id"]]


def test_the_place_in_the_mixture_is_that_of_the_random_order(
    shop: Any, capsys: pytest.CaptureFixture
) -> None:
    left = [row for row in shop.rows("rejected") if row["reason"] == "mixture"]
    for who in ("human", "synthetic"):
        mine = [row for row in [*shop.rows(), *left] if row["origin"] == who]
        hashes = pa.array([row["content_hash"] for row in mine])
        order = order_hash(*hash_halves(hashes), 3)
        taken = sum(row["origin"] == who for row in shop.rows())
        for at, number in enumerate(np.argsort(order)[::7].tolist()):
            (facts,) = facts_of(shop, mine[number]["id"], capsys)
            place = {"place": 7 * at + 1, "of": len(mine), "taken": taken}
            assert facts["place"] == place
            assert (facts["reason"] == "kept") == (7 * at < taken)


def test_where_a_place_cannot_be_known_no_number_is_told(
    shop: Any, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    here = tmp_path / "out"
    here.mkdir()
    manifest = read_manifest(str(shop.path / "out"))
    (here / "data").symlink_to(shop.path / "out/data")
    (here / "rejected").symlink_to(shop.path / "out/rejected")
    name = shop.rows()[0]["id"]
    changes = [
        ({"strata": ["language"]}, "chosen by strata, too"),
        ({"fields": ["weight=quality"]}, "chosen by fields weight=, too"),
        ({"seed": 4}, "not the first documents of the random order were chosen"),
    ]
    for change, expected in changes:
        options = {**manifest["options"], **change}
        changed = {**manifest, "options": options, "dead_letters": []}
        (here / MANIFEST).write_text(json.dumps(changed))
        assert main(["explain", str(here), name]) == 0
        (line,) = [
            line
            for line in capsys.readouterr().out.splitlines()
            if line.startswith("mixture: ")
        ]
        assert expected in line
        assert "place 1" not in line


def test_the_ledger_knows_verdicts_and_when_a_text_was_used(
    shop: Any, capsys: pytest.CaptureFixture
) -> None:
    ledger = ["--ledger", str(shop.path / "ledger")]
    (facts,) = facts_of(shop, "refused", capsys, *ledger)
    assert facts["verdicts"] == [
        {
            "verdict": "reject",
            "reviewer": "ann",
            "time": "2026-01-02 00:00:00 UTC",
            "note": "spam",
        }
    ]
    first = read_manifest(str(shop.path / "first"))["build_id"]
    (facts,) = facts_of(shop, "used", capsys)
    assert (facts["used"]["build"], facts["used"]["uses"]) == (first, 1)
    assert facts["used"]["time"] is None
    (facts,) = facts_of(shop, "used", capsys, *ledger)
    assert facts["used"]["id"] == "used"
    assert facts["used"]["time"].endswith("UTC")
    assert [use["build_id"] for use in facts["uses"]] == [first]
    assert explain(shop, "used", "--ledger", str(shop.path / "none")) == 2
    assert "no ledger at" in capsys.readouterr().err


def test_a_hash_or_its_beginning_names_all_documents_of_the_text(
    shop: Any, capsys: pytest.CaptureFixture
) -> None:
    digits = hash_of(text(5, 0))
    for typed in (digits, digits[:8], digits[:20].upper()):
        found = facts_of(shop, typed, capsys)
        assert {facts["id"] for facts in found} == {"h0", "exact"}
    assert explain(shop, digits[:7]) == 2
    assert "its first 8 or more digits" in capsys.readouterr().err


@pytest.mark.parametrize(
    "place", ["bad.jsonl:line 2", "human/bad.jsonl line 2", "bad.jsonl: line 2"]
)
def test_dead_letters_are_named_by_file_and_place(
    shop: Any, capsys: pytest.CaptureFixture, place: str
) -> None:
    (facts,) = facts_of(shop, place, capsys)
    assert facts["input"].endswith("human/bad.jsonl")
    assert facts["position"] == "line 2"
    assert "JSON" in facts["error"]
    assert explain(shop, place.replace("2", "3")) == 2
    assert explain(shop, "bad.jsonl") == 2
    assert "name one of them: 'bad.jsonl:line 2'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("h99", "did you mean 'h9'"),
        ("FOREIGN", "did you mean 'foreign'"),
        ("quite another", "give an id, a content_hash or its first 8 or more digits"),
        ("", "no document ''"),
    ],
)
def test_what_is_not_there_is_one_line_with_what_to_give_instead(
    shop: Any, capsys: pytest.CaptureFixture, asked: str, said: str
) -> None:
    assert explain(shop, asked) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "in data/, rejected/ or dead_letter/ of" in error
    assert error.count("\n") == 1


def test_text_is_printed_when_asked_for_and_of_what_was_left_out_there_is_none(
    shop: Any, capsys: pytest.CaptureFixture
) -> None:
    row = shop.rows()[0]
    assert facts_of(shop, row["id"], capsys)[0]["text"] is None
    assert facts_of(shop, row["id"], capsys, "--text")[0]["text"] == row["text"]
    assert f"text: {row['text']}" in lines_of(shop, row["id"], capsys, "--text")
    assert facts_of(shop, "near", capsys, "--text")[0]["text"] is None


def test_all_documents_of_one_id_are_told_and_hostile_ones_without_their_codes(
    workshop: Any, capsys: pytest.CaptureFixture
) -> None:
    hostile = "\x1b[2J:smile:[red]\nother: a\u202e"
    ids = ["same", "same", "deadbeef", "s3", hostile]
    texts = [f"A text that is number {number}." for number in range(5)]
    workshop.write("human/h", texts, id=ids, source=["a\x1b[1m"] * 5)
    workshop.write("synthetic/s", ["Another text."], id=["same"])
    workshop.build(rejected_text=True)
    found = facts_of(workshop, "same", capsys)
    assert {facts["content_hash"] for facts in found} == {
        hash_of(said) for said in [*texts[:2], "Another text."]
    }
    # An id goes before the beginning of a hash.
    (facts,) = facts_of(workshop, "deadbeef", capsys)
    assert facts["id"] == "deadbeef"
    (facts,) = facts_of(workshop, hostile, capsys)
    assert facts["id"] == hostile
    lines = lines_of(workshop, hostile, capsys)
    assert lines[0].startswith(
        "\ufffd[2J:smile:[red]\ufffdother: a\ufffd: is in the set"
    )
    assert "source: a\ufffd[1m" in lines
    assert explain(workshop, hostile + "?") == 2
    error = capsys.readouterr().err
    assert "\x1b" not in error
    assert error.count("\n") == 1


def test_repeated_documents_are_told_once(
    workshop: Any, capsys: pytest.CaptureFixture
) -> None:
    workshop.write("human/h", [f"Number {i} of many." for i in range(9)])
    options = {"unit": "docs", "target_size": 24, "on_shortage": "repeat:3"}
    workshop.build(count="declared", **options)
    names = [row["id"] for row in workshop.rows()]
    assert len(names) == 24
    for name in set(names):
        (facts,) = facts_of(workshop, name, capsys)
        assert facts["times"] == names.count(name)
        assert (facts["place"]["of"], facts["place"]["taken"]) == (9, 9)
        assert f"{facts['times']} times" in lines_of(workshop, name, capsys)[0]


def test_a_beginning_of_several_hashes_is_refused_with_their_names(
    workshop: Any, capsys: pytest.CaptureFixture
) -> None:
    workshop.write("human/h", ["One text.", "Two texts."])
    workshop.build()
    (file,) = (workshop.path / "out/data").glob("*.parquet")
    table = pq.read_table(file)
    alike = pa.array(["abcdef01" + "0" * 24, "abcdef01" + "1" * 24])
    at = table.schema.get_field_index("content_hash")
    pq.write_table(table.set_column(at, "content_hash", alike), file)
    assert explain(workshop, "abcdef01") == 2
    error = capsys.readouterr().err
    assert "begins several content hashes: " + ", ".join(alike.to_pylist()) in error
    (facts,) = facts_of(workshop, "abcdef010", capsys)
    assert facts["content_hash"] == alike[0].as_py()


def test_many_documents_of_one_id_are_counted_not_held(
    workshop: Any, capsys: pytest.CaptureFixture
) -> None:
    texts = [f"Text {i}." for i in range(25)]
    workshop.write("human/h", texts, id=["x"] * 25)
    workshop.build()
    assert lines_of(workshop, "x", capsys)[-1] == "and 15 more with this id or hash"


def test_without_a_finished_build_there_is_nothing_to_explain(
    workshop: Any, capsys: pytest.CaptureFixture
) -> None:
    assert explain(workshop, "x") == 2
    assert "holds no manifest.json: no build" in capsys.readouterr().err
    (workshop.path / "out").mkdir()
    (workshop.path / "out/_unfinished_build.json").write_text("{}")
    assert explain(workshop, "x") == 2
    assert "its build did not finish" in capsys.readouterr().err


def test_a_damaged_file_is_one_line(
    workshop: Any, capsys: pytest.CaptureFixture
) -> None:
    workshop.write("human/h", ["One text."])
    workshop.build()
    (file,) = (workshop.path / "out/data").glob("*.parquet")
    file.write_bytes(b"PAR1 no more")
    assert explain(workshop, "h-0") == 2
    error = capsys.readouterr().err
    assert "cannot be read" in error
    assert error.count("\n") == 1
