"""The human archive, inputs declared core: whole and unchanged in every build."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthfilter.core.schema import REASON_NAMES
from synthfilter.ledger.archive import read_archive

ARCHIVE = [
    f"letter {n} from the archive, in a hand that nobody reads" for n in range(9)
]
CRAWL = [f"page {n} of a crawl with all that people put on the web" for n in range(40)]
MACHINE = [f"as a language model {n} I am glad to help with that" for n in range(40)]


@pytest.fixture
def archived(workshop: Any) -> Any:
    workshop.write("core/a", ARCHIVE[:5])
    workshop.write("core/b", ARCHIVE[5:])
    workshop.write("human/h", [*ARCHIVE[:2], *CRAWL])
    workshop.write("synthetic/s", MACHINE)
    return workshop


def texts(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(row["text"] for row in rows)


def core(workshop: Any, **options: Any) -> dict[str, Any]:
    return {"core": str(workshop.path / "core"), **options}


def test_the_archive_is_in_the_set_whole_whatever_is_asked_for(
    archived: Any,
) -> None:
    asked = {"synthetic_fraction": 0.5, "unit": "docs", "target_size": 20}
    made = archived.build(**core(archived, **asked))
    kept = archived.rows()
    assert {*ARCHIVE} <= {row["text"] for row in kept}
    assert len(kept) == 20
    assert sum(row["origin"] == "synthetic" for row in kept) == 10
    # Copies of it are left out elsewhere, and name what they are a copy of.
    copies = [r for r in archived.rows("rejected") if r["reason"] == "exact_copy"]
    assert {row["id"] for row in copies} == {"h-0", "h-1"}
    flow = made["books"]["by_declared_origin"]["core"]
    assert flow == {"kept": {"human": flow["kept"]["human"]}}
    assert flow["kept"]["human"]["docs"] == len(ARCHIVE)


def test_copies_within_the_archive_stay(archived: Any) -> None:
    archived.write("core/again", ARCHIVE[:3])
    made = archived.build(**core(archived, near_duplicates=0.8))
    kept = texts(archived.rows())
    assert [text for text in kept if text in ARCHIVE] == sorted(ARCHIVE + ARCHIVE[:3])
    assert made["core"]["documents"] == 12


def test_no_filter_touches_the_archive(workshop: Any) -> None:
    # Too short for a score, and dated after all that is known to be human.
    workshop.write("core/a", ["brief"], origin=["synthetic"], created=["2024-01-01"])
    workshop.write("human/h", CRAWL)
    strict = {"language_policy": "drop", "flagged_human": "drop"}
    workshop.build(**core(workshop, **strict, marked_human="drop"))
    (row,) = [row for row in workshop.rows() if row["text"] == "brief"]
    assert row["origin"] == "human"


def test_the_manifest_knows_the_archive_by_its_content(archived: Any) -> None:
    first = archived.build("one", **core(archived))
    told = first["core"]
    assert told["documents"] == len(ARCHIVE)
    assert told["words"] == sum(len(text.split()) for text in ARCHIVE)
    names = [Path(file["name"]).name for file in told["files"]]
    assert names == ["a.parquet", "b.parquet"]
    # Another format and another cut into files are the same archive.
    for path in (archived.path / "core").iterdir():
        path.unlink()
    archived.write("core/all", ARCHIVE[::-1], row_group=2)
    again = archived.build("two", **core(archived))["core"]
    assert again["digest"] == told["digest"]
    assert archived.build("three")["core"] is None


@pytest.mark.parametrize(
    ("text", "reason"), [("", "unusable_empty"), (None, "dead_letter")]
)
def test_an_archive_that_cannot_be_whole_is_refused(
    archived: Any,
    text: str | None,
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = pa.table({"text": pa.array([text, "fine"], pa.string())})
    pq.write_table(table, archived.path / "core/c.parquet")
    archived.build(**core(archived), code=3)
    assert reason in REASON_NAMES
    said = capsys.readouterr().err
    assert f"of its 11 documents 1 {reason}; mend its files" in said
    assert not (archived.path / "out/manifest.json").exists()


def test_an_archive_in_a_reference_set_is_refused(
    archived: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    archived.write("bench", [ARCHIVE[3], "a question of the benchmark"])
    against = {"against": str(archived.path / "bench.parquet")}
    archived.build(**core(archived, **against), code=3)
    assert "of its 9 documents 1 reference_copy; mend" in capsys.readouterr().err


def test_a_ledger_knows_the_archive_and_refuses_builds_that_lack_or_change_it(
    archived: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = str(archived.path / "ledger")
    known = {"ledger": ledger}
    first = archived.build("one", **core(archived), **known)
    files = read_archive(ledger)
    assert [file.documents for file in files] == [5, 4]
    assert first["core"]["files"][0]["digest"] == files[0].digest
    archived.build("two", **known, code=3)
    said = capsys.readouterr().err
    assert "a.parquet (5 documents)" in said and "--replace-core" in said
    # Files may join, and be elsewhere.
    archived.write("core/c", ["a letter that was found this year"])
    (archived.path / "core/a.parquet").rename(archived.path / "core/z.parquet")
    archived.build("three", **core(archived), **known)
    assert len(read_archive(ledger)) == 3
    archived.write("core/b", [*ARCHIVE[5:8], ARCHIVE[8] + " any more"])
    archived.build("four", **core(archived), **known, code=3)
    assert "b.parquet (4 documents)" in capsys.readouterr().err
    archived.build("four", **core(archived, replace_core=True), **known)
    assert ARCHIVE[8] not in texts(archived.rows(output="four"))
    # That is what it knows from now on.
    archived.build("five", **core(archived), **known)


def test_the_archive_may_be_used_any_number_of_times(archived: Any) -> None:
    known = {"ledger": str(archived.path / "ledger"), "near_duplicates": 0.8}
    for output in ("one", "two", "three"):
        asked = {"max_uses": 1, "cap_human": True}
        archived.build(output, **core(archived), **known, **asked)
        assert {*ARCHIVE} <= {*texts(archived.rows(output=output))}
