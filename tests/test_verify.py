"""`synthfilter verify` on real builds, whole and damaged in every way."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import synthfilter as sf
from synthfilter.cli import main
from synthfilter.core.errors import CHECK_FAILED
from synthfilter.outputs.manifest import MANIFEST, UNFINISHED
from synthfilter.outputs.recount import hash_file


def texts(seed: int, count: int) -> list[str]:
    random = np.random.default_rng(seed)
    return [
        " ".join(f"w{word}" for word in random.integers(0, 50_000, 40))
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def shop(shared_workshop: Any) -> Any:
    """Builds: `out` of several shards, `repeated`, `archived`, with repetition too."""
    human = texts(1, 160)
    shared_workshop.write("human/a", [*human, human[0], human[1], ""])
    shared_workshop.write("synthetic/b", texts(2, 80))
    shared_workshop.write("more/core", [*texts(3, 20), *texts(3, 2)])
    (shared_workshop.path / "synthetic/cut.jsonl").write_text('{"text": \n')
    share = {"synthetic_fraction": 0.4, "unit": "docs"}
    made = shared_workshop.build(
        **share, max_shard_bytes=15_000, rejected_text=True, target_size=120
    )
    assert len(made["shards"]) > 2
    assert made["books"]["dead_letters"] == 1
    more = {"on_shortage": "repeat:3", "target_size": 400, **share}
    shared_workshop.build("repeated", **more)
    core = str(shared_workshop.path / "more")
    shared_workshop.build("archived", core=core, **more)
    return shared_workshop


@pytest.fixture
def damaged(shop: Any, tmp_path: Path) -> Path:
    """A copy of `out`, to be damaged."""
    shutil.copytree(shop.path / "out", tmp_path / "out")
    return tmp_path / "out"


def verify(folder: Path, *flags: str) -> int:
    return main(["verify", str(folder), *flags])


def edit(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest))


def shards(folder: Path) -> list[Path]:
    return sorted((folder / "data").iterdir())


def rewrite(folder: Path, path: Path, table: pa.Table) -> None:
    """Writes a file anew and makes the manifest agree with its bytes."""
    pq.write_table(table, path)
    name = str(path.relative_to(folder))
    there = hash_file(str(path), None)
    record = {"rows": table.num_rows, "bytes": there.size, "sha256": there.sha256}

    def agree(manifest: dict[str, Any]) -> None:
        for kind in ("shards", "rejected", "dead_letters"):
            for file in manifest[kind]:
                if file["path"] == name:
                    file |= record

    edit(folder, agree)


def failed(folder: Path, capsys: pytest.CaptureFixture, *flags: str) -> dict[str, Any]:
    """Returns what is wrong by check; the exit code must agree."""
    capsys.readouterr()
    code = verify(folder, "--json", *flags)
    told = json.loads(capsys.readouterr().out)
    wrong = {check["name"]: check["wrong"] for check in told["checks"]}
    found = {name: said for name, said in wrong.items() if said}
    assert code == (CHECK_FAILED if found else 0)
    assert told["ok"] == (not found)
    return found


CHECKS = "files folders parquet build hashes digest shares books".split()


@pytest.mark.parametrize("name", ["out", "repeated", "archived"])
@pytest.mark.parametrize("flags", [[], ["--full"]])
def test_a_build_is_what_its_manifest_says(
    name: str, flags: list[str], shop: Any, capsys: pytest.CaptureFixture
) -> None:
    assert verify(shop.path / name, *flags) == 0
    told = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok ") for line in told[:-1])
    assert told[-1].endswith("is what its manifest says")
    names = [line.split()[1] for line in told[:-1]]
    assert names[:8] == CHECKS
    assert {"report.json", "report.html", "openlineage.json"} <= set(names)


def test_every_text_is_compared_only_when_asked(
    shop: Any, capsys: pytest.CaptureFixture
) -> None:
    manifest = json.loads((shop.path / "out" / MANIFEST).read_text())
    written = sum(file["rows"] for file in manifest["shards"])
    # The empty text alone has no hash to compare.
    rejected = sum(manifest["books"]["left_out"].values()) - 1
    assert verify(shop.path / "out", "--full") == 0
    assert f"{written + rejected} texts compared" in capsys.readouterr().out


def test_documents_written_by_a_pipeline_of_ones_own_are_verified(
    tmp_path: Path,
) -> None:
    rows = [
        {"id": str(i), "text": said, "origin": "human"}
        for i, said in enumerate([*texts(4, 10), *texts(4, 3)])
    ]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        _ = pipeline | beam.Create(rows) | sf.WriteShards(output=str(tmp_path / "set"))
    assert verify(tmp_path / "set", "--full") == 0


def test_nothing_is_printed_of_what_is_fine_when_quiet(
    damaged: Path, capsys: pytest.CaptureFixture
) -> None:
    capsys.readouterr()
    assert verify(damaged, "--quiet") == 0
    assert capsys.readouterr().out == ""
    gone = shards(damaged)[0]
    gone.unlink()
    assert verify(damaged, "--quiet") == CHECK_FAILED
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.split() == ["WRONG", "files", "1", "fault"]
    assert second.strip() == f"data/{gone.name}: is missing"
    assert last.endswith("is not what its manifest says: files")


def test_a_missing_file_is_named_and_sums_are_not_guessed(
    damaged: Path, capsys: pytest.CaptureFixture
) -> None:
    gone = shards(damaged)[1]
    gone.unlink()
    assert failed(damaged, capsys) == {"files": [f"data/{gone.name}: is missing"]}
    verify(damaged)
    assert re.search("^-  +digest  +not checked", capsys.readouterr().out, re.M)


def test_a_folder_or_pipe_in_place_of_a_file_is_no_file(
    damaged: Path, capsys: pytest.CaptureFixture
) -> None:
    first, second, *_ = shards(damaged)
    first.unlink()
    first.mkdir()
    second.unlink()
    os.mkfifo(second)
    assert failed(damaged, capsys)["files"] == [
        f"data/{first.name}: is no file",
        f"data/{second.name}: is no file",
    ]


@pytest.mark.parametrize("left", [0, 3, 100, -1])
def test_a_truncated_file_is_named(
    left: int, damaged: Path, capsys: pytest.CaptureFixture
) -> None:
    path = shards(damaged)[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:left])
    found = failed(damaged, capsys)
    size, sha256 = found["files"]
    assert f"{len(whole[:left]):,} bytes, expected {len(whole):,}" in size
    assert "sha256" in sha256
    assert f"data/{path.name}: does not open as Parquet" in found["parquet"][0]


def test_a_flipped_bit_is_found_wherever_it_is(
    damaged: Path, capsys: pytest.CaptureFixture
) -> None:
    path = damaged / "rejected" / shards(damaged)[0].name.replace("train", "part")
    whole = path.read_bytes()
    for at in np.linspace(0, len(whole) - 1, 40).astype(int):
        flipped = bytearray(whole)
        flipped[at] ^= 1
        path.write_bytes(flipped)
        assert "sha256" in failed(damaged, capsys)["files"][0]


def test_a_swapped_shard_is_recognised(
    damaged: Path, capsys: pytest.CaptureFixture
) -> None:
    first, second, *_ = shards(damaged)
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    said = failed(damaged, capsys)["files"]
    assert sum(f"it is what data/{second.name} should be" in line for line in said) == 1
    assert sum(f"it is what data/{first.name} should be" in line for line in said) == 1


def test_a_shard_of_another_build_is_recognised(
    shop: Any, damaged: Path, capsys: pytest.CaptureFixture
) -> None:
    foreign = pq.read_table(shards(shop.path / "repeated")[0])
    rewrite(damaged, shards(damaged)[0], foreign)
    found = failed(damaged, capsys)
    other = json.loads((shop.path / "repeated" / MANIFEST).read_text())["build_id"]
    assert f"rows of another build: {other!r}" in found["build"][0]
    assert {"digest", "shares", "books"} <= set(found)


def test_files_that_nobody_named_are_strays(
    damaged: Path, capsys: pytest.CaptureFixture
) -> None:
    for name in ("data/train-9.parquet", "data/deep/x", "rejected/.x", "dead_letter/y"):
        (damaged / name).parent.mkdir(exist_ok=True)
        (damaged / name).touch()
    for name in ("report.html", "notes.txt", "review/human.html"):
        (damaged / name).parent.mkdir(exist_ok=True)
        (damaged / name).touch()
    assert failed(damaged, capsys) == {
        "folders": [
            "data/deep/x: no file of this build",
            "data/train-9.parquet: no file of this build",
            "rejected/.x: no file of this build",
            "dead_letter/y: no file of this build",
        ]
    }


def test_a_build_that_did_not_end_is_told(
    damaged: Path, capsys: pytest.CaptureFixture
) -> None:
    (damaged / UNFINISHED).write_text("{}")
    (said,) = failed(damaged, capsys)["folders"]
    assert "run it again" in said


def test_a_changed_text_is_found_where_it_is_looked_for(
    damaged: Path, capsys: pytest.CaptureFixture
) -> None:
    path = shards(damaged)[0]
    table = pq.read_table(path)
    said = table.column("text").to_pylist()
    at = table.schema.get_field_index("text")
    changed = pa.array([*said[:-1], "another text"], pa.large_string())
    rewrite(damaged, path, table.set_column(at, table.schema.field(at), changed))
    found = failed(damaged, capsys, "--full")
    name = table.column("content_hash")[-1].as_py()
    assert found["hashes"] == [
        f"data/{path.name}: 1 texts are not those of their content_hash, such as {name}"
    ]
    assert "bytes, counted" in " ".join(found["shares"])


@pytest.mark.parametrize(
    ("column", "value", "check"),
    [
        ("content_hash", "f" * 32, "digest"),
        ("content_hash", "not a hash", "hashes"),
        ("content_hash", None, "hashes"),
        ("origin", "synthetic", "digest"),
        ("origin", "martian", "hashes"),
        ("origin", None, "hashes"),
        ("build_id", None, "build"),
        ("build_id", "0" * 16, "build"),
    ],
)
def test_a_changed_column_is_found(
    column: str,
    value: str | None,
    check: str,
    damaged: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    path = shards(damaged)[0]
    table = pq.read_table(path)
    human = pc.index(table.column("origin"), "human").as_py()
    values = table.column(column).to_pylist()
    values[human] = value
    at = table.schema.get_field_index(column)
    rewrite(damaged, path, table.set_column(at, column, pa.array(values, pa.string())))
    assert check in failed(damaged, capsys)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop_columns(["url"]), "no url"),
        (lambda t: t.append_column("x", t.column("id")), "one more, 'x'"),
        (
            lambda t: t.cast(t.schema.set(1, pa.field("text", pa.string()))),
            "text is string, expected large_string",
        ),
        (lambda t: t.select(t.schema.names[::-1]), "in another order"),
    ],
)
def test_other_columns_are_told(
    change: Any, said: str, damaged: Path, capsys: pytest.CaptureFixture
) -> None:
    path = shards(damaged)[0]
    rewrite(damaged, path, change(pq.read_table(path)))
    (found,) = failed(damaged, capsys)["parquet"]
    assert found == f"data/{path.name}: columns: {said}"


def test_a_reason_that_was_changed_does_not_fit_the_books(
    damaged: Path, capsys: pytest.CaptureFixture
) -> None:
    path = sorted((damaged / "rejected").iterdir())[0]
    table = pq.read_table(path)
    reasons = table.column("reason").to_pylist()
    at = table.schema.get_field_index("reason")
    reasons[reasons.index("mixture")] = "near_copy"
    rewrite(damaged, path, table.set_column(at, "reason", pa.array(reasons)))
    books = failed(damaged, capsys)["books"]
    assert len(books) == 2
    assert "for near_copy, the books have 0" in books[0]
    reasons[0] = "boredom"
    rewrite(damaged, path, table.set_column(at, "reason", pa.array(reasons)))
    assert "1 rows without a reason" in failed(damaged, capsys)["hashes"][0]


def test_rows_that_were_left_out_are_missed(
    damaged: Path, capsys: pytest.CaptureFixture
) -> None:
    path = shards(damaged)[0]
    rewrite(damaged, path, pq.read_table(path).slice(1))
    assert set(failed(damaged, capsys)) == {
        "digest",
        "shares",
        "books",
        "croissant.json",
    }


def test_a_letter_that_was_left_out_is_missed(
    damaged: Path, capsys: pytest.CaptureFixture
) -> None:
    (path,) = (damaged / "dead_letter").iterdir()
    rewrite(damaged, path, pq.read_table(path).slice(1))
    (said,) = failed(damaged, capsys)["books"]
    assert said == "dead_letter/: 0 records, the books have 1"


@pytest.mark.parametrize(
    ("place", "value", "check"),
    [
        (["content_digest"], "0" * 32, "digest"),
        (["books", "read"], 1, "books"),
        (["books", "kept"], "many", "books"),
        (["books", "left_out", "mixture"], 1, "books"),
        (["books", "left_out", "boredom"], 0, "books"),
        (["books", "by_declared_origin", "human", "kept", "human", "docs"], 1, "books"),
        (["books", "by_declared_origin"], [], "books"),
        (["shares", "got", "docs", "human"], 1, "shares"),
        (["shares", "got"], None, "books"),
        (["inputs", 0, "rows"], 1, "books"),
        (["books", "by_declared_origin", "human", "kept", "human", "words"], 1, "full"),
        (["build_id"], "0" * 16, "build"),
        (["shards", 0, "rows"], 1, "parquet"),
        (["shards", 0, "sha256"], "0" * 64, "files"),
        (["shards", 0, "bytes"], 1, "files"),
    ],
)
def test_a_manifest_that_was_edited_is_found_out(
    place: list[Any],
    value: Any,
    check: str,
    damaged: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    def change(manifest: Any) -> None:
        for step in place[:-1]:
            manifest = manifest[step]
        manifest[place[-1]] = value

    edit(damaged, change)
    # The report repeats the books; it is another test's.
    (damaged / "report.json").unlink()
    if check == "full":
        assert failed(damaged, capsys) == {}
        assert set(failed(damaged, capsys, "--full")) == {"books"}
    else:
        assert check in failed(damaged, capsys)


def test_a_manifest_that_names_files_elsewhere_is_refused(
    damaged: Path, capsys: pytest.CaptureFixture
) -> None:
    edit(damaged, lambda m: m["shards"][0].update(path="../../etc/passwd"))
    assert verify(damaged) == 2
    error = capsys.readouterr().err
    assert "expected to be data/NAME, got '../../etc/passwd'" in error
    assert error.count("\n") == 1


def test_what_lies_beside_the_data_is_of_the_same_build(
    damaged: Path, capsys: pytest.CaptureFixture
) -> None:
    manifest = json.loads((damaged / MANIFEST).read_text())
    build, digest = manifest["build_id"], manifest["content_digest"]
    report = {"build_id": build, "content_digest": digest, "books": manifest["books"]}
    listed = [
        {"contentUrl": file["path"], "sha256": file["sha256"]}
        for file in manifest["shards"]
    ]
    version = {"datasetVersion": build}
    lineage = {"outputs": [{"facets": {"version": version}}]}
    other = "0" * 16
    good: dict[str, Any] = {
        "report.json": report,
        "croissant.json": {"distribution": [{"includes": "data/*"}, *listed]},
        "openlineage.json": lineage,
        "README.md": f"Build `{build}`, after build {other}.",
        "report.html": f"<b>Build</b><i>{build}</i>, after build {other}",
    }
    bad: dict[str, list[Any]] = {
        "report.json": [
            {**report, "build_id": other},
            {**report, "content_digest": None},
            {**report, "books": {}},
            [],
            "{cut",
        ],
        "croissant.json": [
            {"distribution": listed[1:]},
            {"distribution": [{**listed[0], "sha256": "0"}, *listed[1:]]},
            {"distribution": [*listed, {"contentUrl": "data/x", "sha256": "0"}]},
            {"distribution": [{"contentUrl": [], "sha256": 1}, 7]},
            {},
        ],
        "openlineage.json": [
            {},
            {"outputs": [{"facets": {"version": {"datasetVersion": other}}}]},
        ],
        "README.md": [f"Build `{other}`."],
        "report.html": [f'{{"build_id": "{other}"}}'],
    }
    for name, content in good.items():
        said = content if isinstance(content, str) else json.dumps(content)
        (damaged / name).write_text(said)
    assert failed(damaged, capsys) == {}
    for name, contents in bad.items():
        whole = (damaged / name).read_text()
        for content in contents:
            said = content if isinstance(content, str) else json.dumps(content)
            (damaged / name).write_text(said)
            assert set(failed(damaged, capsys)) == {name}
        (damaged / name).write_text(whole)
