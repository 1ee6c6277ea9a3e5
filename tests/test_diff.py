"""`synthfilter diff` on real builds."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthfilter import diff_documents
from synthfilter.cli import main
from synthfilter.core.errors import CHECK_FAILED
from synthfilter.outputs.manifest import MANIFEST


def prose(number: int, count: int = 60) -> str:
    random = np.random.default_rng(number)
    return " ".join(f"w{word}" for word in random.integers(0, 50_000, count))


@pytest.fixture(scope="module")
def shop(shared_workshop: Any) -> Any:
    """Builds: `out`; `more` has a file more, near copies removed, another share."""
    near = [f"{prose(number)} once more" for number in range(8)]
    shared_workshop.write("human/a", [*map(prose, range(60)), *near])
    shared_workshop.write("synthetic/b", [*map(prose, range(100, 140))])
    share = {"synthetic_fraction": 0.4, "unit": "docs", "max_shard_bytes": 12_000}
    shared_workshop.build(**share)
    shared_workshop.write("human/c", [*map(prose, range(60, 75))])
    shared_workshop.build(
        "more", **share | {"synthetic_fraction": 0.2}, near_duplicates=0.8
    )
    return shared_workshop


def told(shop: Any, capsys: pytest.CaptureFixture, *arguments: str) -> dict[str, Any]:
    names = [str(shop.path / name) for name in arguments[:2]]
    capsys.readouterr()
    assert main(["diff", *names, "--json", *arguments[2:]]) == 0
    return json.loads(capsys.readouterr().out)


def ids(shop: Any, output: str, kind: str = "data") -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in shop.rows(kind, output)}


def test_what_changed_is_what_the_rows_say(
    shop: Any, capsys: pytest.CaptureFixture
) -> None:
    found = told(shop, capsys, "out", "more")
    texts = found["texts"]
    for side, mine, other in (
        ("only_first", "out", "more"),
        ("only_second", "more", "out"),
    ):
        gone = set(ids(shop, mine)) - set(ids(shop, other))
        rejected = ids(shop, other, "rejected")
        causes = [rejected[n]["reason"] if n in rejected else "not_read" for n in gone]
        assert texts[side] == {cause: causes.count(cause) for cause in set(causes)}
    assert texts["only_first"].keys() == {"mixture", "near_copy"}
    assert "not_read" in texts["only_second"]
    assert texts["both"] == len(set(ids(shop, "out")) & set(ids(shop, "more")))
    assert not found["same_content"]
    options = {row["name"]: (row["first"], row["second"]) for row in found["settings"]}
    assert options == {
        "near_duplicates": (None, 0.8),
        "synthetic_fraction": (0.4, 0.2),
    }
    added = str(shop.path / "human/c.parquet")
    assert found["inputs"]["added"] == [added]
    assert len(found["inputs"]["unchanged"]) == 2
    books = {row["name"]: (row["first"], row["second"]) for row in found["books"]}
    assert books["read"] == (108, 123)
    assert books["near_copy"] == (0, 8)


def test_examples_are_named_with_what_the_other_build_says(
    shop: Any, capsys: pytest.CaptureFixture
) -> None:
    found = told(shop, capsys, "out", "more", "--examples", "2")
    examples = found["texts"]["examples"]
    for side, output, other in (
        ("only_first", "out", "more"),
        ("only_second", "more", "out"),
    ):
        for cause, count in found["texts"][side].items():
            named = examples[side][cause]
            assert len(named) == min(count, 2)
            for row in named:
                mine = ids(shop, output)[row["id"]]
                assert mine["content_hash"] == row["content_hash"]
                rejected = ids(shop, other, "rejected").get(row["id"], {})
                assert rejected.get("reason", "not_read") == cause
                assert rejected.get("evidence") == row["evidence"]


def test_parts_of_all_texts_give_what_all_at_once_give(
    shop: Any, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = told(shop, capsys, "out", "more", "--examples", "3")
    monkeypatch.setattr(diff_documents, "_PART_ROWS", 50)
    assert told(shop, capsys, "out", "more", "--examples", "3") == whole


def test_the_same_build_twice_is_the_same_content(
    shop: Any, capsys: pytest.CaptureFixture
) -> None:
    found = told(shop, capsys, "out", "out", "--exit-code")
    assert found["same_content"]
    assert found["settings"] == found["shares"] == []
    assert found["texts"]["only_first"] == found["texts"]["only_second"] == {}


def test_the_exit_code_tells_only_when_asked(shop: Any) -> None:
    names = [str(shop.path / name) for name in ("out", "more")]
    assert main(["diff", *names]) == 0
    assert main(["diff", *names, "--exit-code"]) == CHECK_FAILED


def test_people_read_why(shop: Any, capsys: pytest.CaptureFixture) -> None:
    capsys.readouterr()
    names = [str(shop.path / name) for name in ("out", "more")]
    assert main(["diff", *names, "--examples", "1"]) == 0
    said = capsys.readouterr().out
    for expected in (
        "option synthetic_fraction: 0.4 -> 0.2",
        "inputs: 2 unchanged, 0 changed, 0 removed, 1 added",
        "added: ",
        "in the second left out for near copy",
        "the first did not read them",
        " similarity 0.9",
    ):
        assert expected in said


def test_repeated_documents_are_counted(
    shop: Any, capsys: pytest.CaptureFixture
) -> None:
    more = {"on_shortage": "repeat:3", "target_size": 180}
    shop.build("repeated", synthetic_fraction=0.4, unit="docs", **more)
    found = told(shop, capsys, "out", "repeated")
    rows = [row["content_hash"] for row in shop.rows("data", "repeated")]
    assert found["texts"]["repeated"] == [0, len(rows) - len(set(rows))]
    assert found["texts"]["repeated"][1] > 0


def test_reports_are_compared_where_both_builds_have_one(
    shop: Any, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    for name, rate in (("out", 0.1), ("more", 0.3)):
        shutil.copytree(shop.path / name, tmp_path / name)
        report = {"report_version": 1, "diversity": {"near_copy_rate": rate}}
        (tmp_path / name / "report.json").write_text(json.dumps(report))
    names = [str(tmp_path / name) for name in ("out", "more")]
    assert main(["diff", *names]) == 0
    line = [n for n in capsys.readouterr().out.splitlines() if "near_copy_rate" in n]
    assert line[0].split() == ["near_copy_rate", "0.1", "0.3"]
    (tmp_path / "out/report.json").write_text("[1]")
    assert main(["diff", *names]) == 2
    assert "expected the report.json of a build" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("content_hash", "x", "must be strings of 32 hex digits"),
        ("origin", "martian", "the origin of a document is none that we know"),
        ("origin", None, "the origin of a document is none that we know"),
    ],
)
def test_files_that_no_build_wrote_are_one_line(
    column: str,
    value: str | None,
    message: str,
    shop: Any,
    capsys: pytest.CaptureFixture,
    tmp_path: Path,
) -> None:
    shutil.copytree(shop.path / "out", tmp_path / "out")
    path = sorted((tmp_path / "out/data").iterdir())[0]
    table = pq.read_table(path)
    values = [value, *table.column(column).to_pylist()[1:]]
    at = table.schema.get_field_index(column)
    pq.write_table(table.set_column(at, column, pa.array(values, pa.string())), path)
    assert main(["diff", str(shop.path / "out"), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_bad_options_and_folders_are_one_line(
    shop: Any, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    out = str(shop.path / "out")
    shutil.copytree(out, tmp_path / "edited")
    manifest = json.loads((tmp_path / "edited" / MANIFEST).read_text())
    manifest["books"]["kept"] = "many"
    (tmp_path / "edited" / MANIFEST).write_text(json.dumps(manifest))
    for arguments, message in (
        ([out, str(tmp_path / "none")], "holds no manifest.json"),
        ([out, out, "--examples", "-1"], "examples must be at least 0"),
        ([out, str(tmp_path / "edited")], "`synthfilter verify` says which"),
    ):
        capsys.readouterr()
        assert main(["diff", *arguments]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
