"""The command as people type it: what it prints, writes and returns."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from synthfilter.build import Build
from synthfilter.cli import main
from synthfilter.options import OneLineParser, add_flags, describe_fields

TOPICS = ("bread", "tides", "maps", "violins", "glaciers", "printing", "beekeeping")


def sentence(i: int) -> str:
    return f"Note {i}: what we learned about {TOPICS[i % 7]} on day {i * 37 % 365}."


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """h/*.parquet, s/*.jsonl.gz and crawl/**/*.jsonl in the working folder."""
    monkeypatch.chdir(tmp_path)
    for folder in ("h", "s", "crawl/deep"):
        Path(folder).mkdir(parents=True)
    texts = [sentence(i) for i in range(100)]
    pq.write_table(pa.table({"content": texts}), "h/a.parquet")
    import gzip

    with gzip.open("s/a.jsonl.gz", "wt") as out:
        for i in range(200, 300):
            out.write(json.dumps({"text": sentence(i), "model": "m"}) + "\n")
    with open("crawl/deep/a.jsonl", "w") as out:
        for i in range(95, 120):
            out.write(json.dumps({"doc_id": i, "text": sentence(i)}) + "\n")
        out.write("{broken\n")
    return tmp_path


BUILD = ["build", "--human", "h/*.parquet", "--synthetic", "s/*.jsonl.gz"]
BUILD += ["--unknown", "crawl/**/*.jsonl", "--synthetic-fraction", "0.3"]
BUILD += ["--unit", "words"]


def run(*arguments: str) -> int:
    """Returns the exit code of the command."""
    try:
        return main(list(arguments))
    except SystemExit as stopped:
        return int(stopped.code or 0)


def test_a_build_prints_what_was_read_left_out_and_kept(
    files: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run(*BUILD, "--output", "out/") == 0
    printed = capsys.readouterr().out
    for said in (
        "human: 1 file",
        "fields: text <- content",
        "generator <- model",
        "id <- doc_id",
        "dead letter",
        "exact copy",
        "asked 30.00%, estimated",
        "counted as synthetic",
        "without a score: ",
        "could not be read: file, place and reason are in out/dead_letter/",
    ):
        assert said in printed
    manifest = json.loads(Path("out/manifest.json").read_text())
    assert manifest["books"]["read"] == 226
    assert manifest["books"]["dead_letters"] == 1
    assert manifest["books"]["left_out"]["exact_copy"] == 5
    generators = pq.read_table("out/data")["generator"].to_pylist()
    assert set(generators) == {"m", None}


def test_a_yaml_file_sets_the_same_options_and_flags_override_it(files: Path) -> None:
    Path("build.yaml").write_text(
        "human: h/*.parquet\nsynthetic: [s/*.jsonl.gz]\n"
        "synthetic-fraction: 0.5\nunit: docs\nseed: 4\ncount: declared\n"
    )
    assert run("build", "build.yaml", "--output", "a", "--quiet") == 0
    assert run("build", "build.yaml", "--output", "b", "--seed", "5", "--quiet") == 0
    a, b = (json.loads(Path(n, "manifest.json").read_text()) for n in "ab")
    assert a["shares"]["got"]["docs"]["synthetic_fraction"] == 0.5
    assert (a["options"]["seed"], b["options"]["seed"]) == (4, 5)


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("humn: x", "unknown option 'humn'; did you mean human?"),
        ("human: x\nseed: soon", "seed expects int, got 'soon'"),
        ("human: [1]", "human expects a list of str, got 1"),
        ("- human", "expected `option: value` lines"),
        ("human: [x", "not readable as YAML"),
        ("human: x\nrejected_text: 3", "rejected_text expects bool, got 3"),
        ("human: !!python/object/apply:os.system [ls]", "not readable as YAML"),
    ],
)
def test_a_wrong_yaml_file_is_one_line(
    files: Path, capsys: pytest.CaptureFixture, yaml: str, message: str
) -> None:
    Path("build.yaml").write_text(yaml)
    assert run("build", "build.yaml", "--output", "out") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build"], "missing --output"),
        (["build", "--output", "out"], "name at least one input"),
        (["build", "--human", "no/*.x", "--output", "out"], "no file matches 'no/*.x'"),
        (["build", "--human", "h", "--output", "h"], "output 'h' is not empty"),
        (
            ["build", "--human", "h/a.parquet", "--output", "h/a.parquet"],
            "output 'h/a.parquet' cannot be written",
        ),
        (
            ["build", "--human", "h", "--output", "out", "--synthetic-fractoin", "1"],
            "did you mean --synthetic-fraction?",
        ),
        (
            ["build", "--human", "h", "--output", "out", "--seed", "x"],
            "argument --seed: invalid int value: 'x'",
        ),
        (
            ["build", "--human", "h", "--output", "out", "--fields", "text=body"],
            "no column 'body' for 'text'; found content",
        ),
        (
            ["build", "--human", "h", "--unknown", "h", "--output", "out"],
            "is declared human and unknown; name it once",
        ),
        (
            ["build", "--human", "h", "--output", "out", "--detector", "h/a.parquet"],
            "h/a.parquet: expected fastText's magic number",
        ),
        (
            ["build", "--human", "h", "--output", "out", "--detector", "no.bin"],
            "cannot read 'no.bin'",
        ),
        (
            ["build", "--human", "h", "--output", "out", "--workers", "0"],
            "workers must be at least 1, got 0",
        ),
        (["inspect", "h"], "'h' holds no manifest.json"),
        (["score", "h/a.parquet", "--output", "h/a.parquet"], "exists; name a new"),
        (["nonsense"], "invalid choice: 'nonsense'"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(
    files: Path, capsys: pytest.CaptureFixture, arguments: list[str], message: str
) -> None:
    before = sorted(files.rglob("*"))
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert sorted(files.rglob("*")) == before


def test_of_a_folder_only_the_data_files_are_read(
    files: Path, capsys: pytest.CaptureFixture
) -> None:
    Path("h/README.md").write_text("about these files")
    assert run("build", "--human", "h", "--output", "out") == 0
    Path("notes").mkdir()
    Path("notes/README.md").write_text("nothing else")
    assert run("build", "--human", "notes", "--output", "out2") == 2
    assert "no file of a known format in the folder 'notes'" in (
        capsys.readouterr().err
    )


def test_a_file_without_text_names_the_columns_found(
    files: Path, capsys: pytest.CaptureFixture
) -> None:
    pq.write_table(pa.table({"body": ["x"], "title": ["y"]}), "h/b.parquet")
    assert run(*BUILD, "--output", "out") == 2
    assert (
        "no text column: expected one of text, contents, content, found body, title"
        in (capsys.readouterr().err)
    )
    assert not Path("out").exists()


def test_a_shortage_that_must_not_be_is_exit_code_3(
    files: Path, capsys: pytest.CaptureFixture
) -> None:
    arguments = ["--synthetic-fraction", "0.9", "--on-shortage", "fail"]
    assert run(*BUILD, "--output", "out", *arguments) == 3
    error = capsys.readouterr().err
    assert "too little synthetic text" in error
    assert "--on-shortage shrink" in error
    assert not Path("out/manifest.json").exists()


def test_a_dry_run_estimates_and_writes_nothing(
    files: Path, capsys: pytest.CaptureFixture
) -> None:
    before = sorted(files.rglob("*"))
    assert run(*BUILD, "--output", "out", "--dry-run") == 0
    printed = capsys.readouterr().out
    assert "human: about 100 documents" in printed
    assert "without a score 0" in printed
    assert "synthetic share 30.0% of words" in printed
    assert "about 1 shard," in printed
    assert "nothing was written" in printed
    assert sorted(files.rglob("*")) == before


def test_score_keeps_every_row_in_order(
    files: Path, capsys: pytest.CaptureFixture
) -> None:
    rows = [json.dumps({"id": str(i), "text": sentence(i)}) for i in range(50)]
    rows[3] = '{"id": "3", "text": null}'
    rows[7] = '{"id": "7", "text": ""}'
    packed = zstandard.ZstdCompressor().compress("\n".join(rows).encode())
    Path("in.jsonl.zst").write_bytes(packed)
    assert run("score", "in.jsonl.zst", "--output", "scored.parquet") == 0
    table = pq.read_table("scored.parquet").to_pylist()
    assert [row["id"] for row in table] == [
        str(i) if i != 3 else None for i in range(50)
    ]
    assert all(
        0 <= row["ai_score"] <= 1 for i, row in enumerate(table) if i not in (3, 7)
    )
    assert table[3]["ai_score"] is None
    assert table[3]["error"] == "text: expected a string, got nothing"
    assert table[7]["origin"] is None
    assert {row["origin"] for row in table} <= {"human", "synthetic", None}
    printed = capsys.readouterr().out
    assert "fields: text, id\n" in printed
    assert "50 rows" in printed


def test_score_keeps_the_columns_of_a_parquet_file(files: Path) -> None:
    table = pa.table({"content": ["a text", "another"], "stars": [1, 2]})
    pq.write_table(table, "in.parquet")
    assert run("score", "in.parquet", "--output", "out.parquet", "--quiet") == 0
    scored = pq.read_table("out.parquet")
    assert scored.select(["content", "stars"]).equals(table)
    assert scored.column_names[2:] == ["ai_score", "origin", "content_hash", "error"]


def test_score_of_a_damaged_file_is_one_line_and_leaves_nothing(
    files: Path, capsys: pytest.CaptureFixture
) -> None:
    texts = [sentence(i) for i in range(5000)]
    pq.write_table(
        pa.table({"text": texts}),
        "bad.parquet",
        use_dictionary=False,
        write_page_checksum=True,
    )
    data = bytearray(Path("bad.parquet").read_bytes())
    data[len(data) // 2] ^= 0xFF
    Path("bad.parquet").write_bytes(data)
    before = sorted(files.rglob("*"))
    assert run("score", "bad.parquet", "--output", "out.parquet", "--quiet") == 2
    error = capsys.readouterr().err
    assert "bad.parquet: unreadable Parquet" in error
    assert error.count("\n") == 1
    assert sorted(files.rglob("*")) == before


def test_inspect_shows_the_books_the_shares_and_the_files(
    files: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run(*BUILD, "--output", "out", "--quiet") == 0
    assert capsys.readouterr().out == ""
    assert run("inspect", "out") == 0
    printed = capsys.readouterr().out
    for said in ("read", "kept", "data/train-00000-of-00001.parquet", "asked 30.00%"):
        assert said in printed


def test_inspect_shows_how_near_copies_were_found(
    files: Path, capsys: pytest.CaptureFixture
) -> None:
    near = ["--near-duplicates", "0.7"]
    assert run("build", "--human", "h", *near, "--output", "out", "--quiet") == 0
    assert run("inspect", "out") == 0
    printed = capsys.readouterr().out
    assert "found by 28 bands of 4 rows" in printed
    assert "pairs found" in printed


def test_help_says_what_every_option_does(capsys: pytest.CaptureFixture) -> None:
    assert run("build", "--help") == 0
    printed = " ".join(capsys.readouterr().out.split())
    for name, text in describe_fields(Build).items():
        assert f"--{name.replace('_', '-')}" in printed
        assert text.split(".")[0][:40] in printed


def test_help_shows_the_default_of_a_list_of_numbers(
    capsys: pytest.CaptureFixture,
) -> None:
    @dataclasses.dataclass
    class Options:
        """Some options.

        Args:
          rates: Shares to look at.
          none: Nothing by default.
        """

        rates: list[float] = dataclasses.field(default_factory=lambda: [0.05, 0.001])
        none: list[float] = dataclasses.field(default_factory=list)

    parser = OneLineParser(prog="x")
    add_flags(parser, Options)
    parser.print_help()
    printed = " ".join(capsys.readouterr().out.split())
    assert "--rates X [X ...] Shares to look at. (default: 0.05 0.001)" in printed
    assert printed.endswith("Nothing by default.")
    found = vars(parser.parse_args(["--rates", "0.1", "1", "--rates", "0.2"]))
    assert found == {"rates": [0.1, 1.0, 0.2]}


def test_every_option_is_described_once_where_it_is_defined() -> None:
    names = [field.name for field in dataclasses.fields(Build)]
    assert list(describe_fields(Build)) == names


def test_the_module_runs_as_a_command(files: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "synthfilter",
            "build",
            "--human",
            "h",
            "--output",
            "out",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "100" in done.stdout
