"""Documents that can hardly be read, or should not be what they are; in real builds.

A test is named after its row in the table of faults; see test_input.py.
"""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthfilter.cli import main
from synthfilter.core import schema
from synthfilter.detection.training import cut_windows
from tests.conftest import Workshop

PROSE = (
    "The harbour was quiet in the morning, and the boats came back {} with little "
    "to show for a long night on the water, so we went home and slept until noon."
)

BAD_LINES: dict[str, tuple[bytes, str]] = {
    "utf-8": (b'{"text": "caf\xe9"}', "invalid JSON"),
    "overlong": (b'{"text": "\xc0\xaf"}', "invalid JSON"),
    "surrogate": (rb'{"text": "a \ud800 b"}', "invalid JSON"),
    "raw NUL": (b'{"text": "a\0b"}', "invalid JSON"),
    "list": (b'["text"]', "expected a JSON object, got list"),
    "string": (b'"text"', "expected a JSON object, got str"),
    "null": (b"null", "expected a JSON object, got NoneType"),
    "null text": (b'{"text": null}', "text: expected a string, got nothing"),
    "number text": (b'{"text": 17}', "text: expected a string, got int"),
    "list text": (b'{"text": ["a"]}', "text: expected a string, got list"),
    "NaN": (b'{"text": "a", "n": NaN}', "invalid JSON"),
    "1e400": (b'{"text": "a", "n": 1e400}', "invalid JSON"),
    "5,000 digits": (b'{"text": "a", "n": ' + b"9" * 5000 + b"}", "invalid JSON"),
    "200,000 deep": (b'{"text": "a", "n": ' + b"[" * 200_000, "invalid JSON"),
    "keys": (b'{"text": "a", "text": "b"}', "the key 'text' comes twice"),
    "inner keys": (b'{"text": "a", "m": {"k": 1, "k": 2}}', "the key 'k' comes twice"),
    "100 MB": (b'{"text": "' + b"x y " * 25_000_000 + b'"}', "is too long"),
}

PLAIN = PROSE.format("late")
SPELLINGS = {
    "newlines": PLAIN.replace(", ", ",\n\n"),
    "nbsp": PLAIN.replace(" ", "\u00a0"),
    "zero width": PLAIN.replace("a", "a\u200b"),
    "bidi": "\u202e" + PLAIN + "\u202c",
    "NUL": PLAIN.replace(" ", " \0 "),
    "controls": PLAIN.replace(" ", "\x07 \x1b"),
}
GOOD = {
    "plain": PLAIN,
    **SPELLINGS,
    "label": PROSE.format("__label__synthetic"),
    "word": PROSE.format("label__synthetic"),
    "decomposed": PROSE.format("to the cafe\u0301"),
    "composed": PROSE.format("to the caf\u00e9"),
    "blank": " \n\t\u00a0\u200b",
    "empty": "",
    "token": "x" * 9_999_999,
}


def write_lines(path: Path, records: list[Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join(map(json.dumps, records)))


@pytest.fixture(scope="module")
def built(shared_workshop: Workshop) -> Workshop:
    """Returns a build of all of these; its folder has the seconds that it took."""
    folder = shared_workshop.path / "human"
    folder.mkdir()
    lines = [json.dumps({"id": name, "text": text}) for name, text in GOOD.items()]
    data = b"\n".join(
        [*(bad for bad, _ in BAD_LINES.values()), *map(str.encode, lines)]
    )
    (folder / "lines.jsonl").write_bytes(data)
    raw = [PROSE.format("again").encode(), b"caf\xe9 at sea", b"a \xed\xa0\x80 b"]
    texts = pa.array([*raw, b"x y " * 3_000_000], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"id": list("abcd"), "text": texts}), folder / "t.parquet")
    began = time.process_time()
    shared_workshop.build()
    (shared_workshop.path / "seconds").write_text(str(time.process_time() - began))
    return shared_workshop


@pytest.fixture(scope="module")
def told(built: Workshop) -> dict[str, dict[str, Any]]:
    """Returns each document of the build by its id, with the reason it is out."""
    kept = {row["id"]: {"reason": None, **row} for row in built.rows()}
    return kept | {row["id"]: row for row in built.rows("rejected")}


def bad_line(built: Workshop, name: str) -> str:
    place = f"line {list(BAD_LINES).index(name) + 1}"
    [reason] = [
        row["reason"]
        for row in built.rows("dead_letter")
        if row["position"] == place and row["file"].endswith("/lines.jsonl")
    ]
    assert BAD_LINES[name][1] in reason
    return reason


@pytest.mark.parametrize("name", ["utf-8", "overlong"])
def test_row_11_invalid_utf8_is_a_dead_letter(name: str, built: Workshop) -> None:
    bad_line(built, name)
    assert not any("\ufffd" in row["text"] for row in built.rows())


def test_row_11_and_12_in_parquet_the_row_is_named_and_the_batch_survives(
    built: Workshop, told: dict
) -> None:
    found = {
        row["position"]: row["reason"]
        for row in built.rows("dead_letter")
        if row["file"].endswith("/t.parquet")
    }
    assert found == dict.fromkeys(("row 1", "row 2"), "text: invalid UTF-8")
    assert told["a"]["reason"] is None


def test_row_12_a_lone_surrogate_is_a_dead_letter(built: Workshop, told: dict) -> None:
    bad_line(built, "surrogate")
    assert "plain" in told


def test_row_13_control_characters_count_as_blanks_and_stay_in_the_text(
    told: dict, built: Workshop
) -> None:
    bad_line(built, "raw NUL")
    for name in ("NUL", "controls"):
        assert told[name]["content_hash"] == told["plain"]["content_hash"]
    [stays] = [told[n] for n in ("plain", *SPELLINGS) if told[n]["reason"] is None]
    assert stays["text"] == GOOD[stays["id"]]


@pytest.mark.parametrize("name", SPELLINGS)
def test_row_14_blanks_and_invisible_characters_change_no_score(
    name: str, told: dict
) -> None:
    assert told["plain"]["ai_score"] is not None
    assert told[name]["ai_score"] == told["plain"]["ai_score"]


@pytest.mark.parametrize("name", ["blank", "empty"])
def test_row_15_a_text_of_nothing_is_unusable_and_has_no_score(
    name: str, told: dict
) -> None:
    assert told[name]["reason"] == "unusable_empty"
    assert told[name]["ai_score"] is None


def test_row_16_a_token_of_10_mb_has_no_score_and_takes_no_time(
    built: Workshop, told: dict
) -> None:
    assert told["token"]["ai_score"] is None
    assert float((built.path / "seconds").read_text()) < 60


def test_row_17_what_is_larger_than_allowed_is_left_out(
    built: Workshop, told: dict
) -> None:
    assert bad_line(built, "100 MB") == "a line of 100000012 bytes is too long"
    assert told["d"]["reason"] == "unusable_too_long"
    assert told["d"]["evidence"] == "max_document_bytes=10000000"


def test_row_18_a_label_in_a_text_is_no_label(told: dict) -> None:
    assert told["label"]["ai_score"] == told["word"]["ai_score"]
    texts = pa.array([GOOD["label"], "__label__human " * 99], pa.large_string())
    lines = cut_windows(texts).lines
    assert lines
    assert not any(b"__label__" in line for line in lines)


@pytest.mark.parametrize(
    "name", ["list", "string", "null", "null text", "number text", "list text"]
)
def test_row_19_records_of_other_types_are_dead_letters(
    name: str, built: Workshop
) -> None:
    bad_line(built, name)


@pytest.mark.parametrize(
    "name", ["NaN", "1e400", "5,000 digits", "200,000 deep", "keys", "inner keys"]
)
def test_row_20_numbers_depths_and_keys_that_cannot_be_are_dead_letters(
    name: str, built: Workshop
) -> None:
    bad_line(built, name)


def test_row_21_a_file_without_text_stops_the_build_before_anything_is_written(
    workshop: Workshop, capsys: pytest.CaptureFixture
) -> None:
    write_lines(workshop.path / "human/a.jsonl", [{"text": PLAIN}])
    write_lines(workshop.path / "human/b.jsonl", [{"words": PLAIN}])
    workshop.build(code=2)
    said = capsys.readouterr().err
    assert "b.jsonl" in said
    (workshop.path / "human/b.jsonl").unlink()
    pq.write_table(pa.table({"text": [1, 2]}), workshop.path / "human/c.parquet")
    workshop.build(code=2)
    assert "column 'text' holds int64, expected strings" in capsys.readouterr().err
    assert "--fields text=" in said
    assert not (workshop.path / "out").exists()


def test_rows_21_and_22_files_of_different_columns_and_types_are_one_set(
    workshop: Workshop,
) -> None:
    human = workshop.path / "human"
    first = {"id": None, "created": None, "mood": None}
    records = [{**first, "text": PROSE.format(number)} for number in range(200)]
    last = {
        "id": 17,
        "text": PROSE.format("x"),
        "created": 2019,
        "mood": "calm",
        "n": 1,
    }
    write_lines(human / "a.jsonl", [*records, last])
    table = pa.table(
        {
            "doc_id": ["p"],
            "content": [PROSE.format("y")],
            "created": pa.array([1_600_000_000_000], pa.timestamp("ms")),
            "mood": [3],
        }
    )
    pq.write_table(table, human / "b.parquet")
    workshop.build()
    rows = {row["id"]: row for row in workshop.rows()}
    assert len(rows) == 202
    assert (rows["17"]["created"], rows["p"]["created"][:10]) == ("2019", "2020-09-13")
    assert json.loads(rows["17"]["metadata"]) == {"mood": "calm", "n": 1}
    assert json.loads(rows["p"]["metadata"]) == {"mood": 3}
    for file in (workshop.path / "out/data").iterdir():
        assert pq.read_schema(file).equals(schema.SHARD)


def test_row_23_one_id_for_two_texts_keeps_both_and_counts_the_conflict(
    workshop: Workshop, capsys: pytest.CaptureFixture
) -> None:
    texts = [PROSE.format(word) for word in ("early", "late", "early", "again")]
    records = [{"id": "one", "text": text} for text in texts[:3]]
    write_lines(workshop.path / "human/a.jsonl", records)
    write_lines(
        workshop.path / "human/b.jsonl",
        [{"id": "two", "text": texts[3]}, {"id": "two", "text": texts[3] + " "}],
    )
    manifest = workshop.build()
    assert manifest["same_ids"] == {"ids": 1, "texts": 2}
    assert sorted(row["id"] for row in workshop.rows()) == ["one", "one", "two"]
    main(["inspect", str(workshop.path / "out")])
    assert "1 ids stand for 2 different texts; all count" in capsys.readouterr().out


def test_row_24_of_one_text_under_several_ids_the_same_one_stays_in_any_order(
    workshop: Workshop, told: dict
) -> None:
    assert told["composed"]["content_hash"] == told["decomposed"]["content_hash"]
    reasons = {told[name]["reason"] for name in ("composed", "decomposed")}
    assert reasons == {None, "exact_copy"}
    forms = [GOOD["composed"], GOOD["decomposed"], PLAIN, PLAIN]
    records = [{"id": f"i{n}", "text": text} for n, text in enumerate(forms)]
    kept = []
    for output, ordered in (("one", records), ("two", records[::-1])):
        path = workshop.path / f"{output}.jsonl"
        write_lines(path, ordered)
        workshop.build(output, human=str(path))
        kept.append(sorted(row["id"] for row in workshop.rows(output=output)))
    assert kept[0] == kept[1]
    assert len(kept[0]) == 2


def test_row_25_texts_of_one_hash_stay_apart_by_their_number_of_words(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def collide(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
        return (np.full(len(column), 7, np.uint64),) * 2

    texts = [PROSE.format("x"), PROSE.format("x y"), PROSE.format("x y z")]
    workshop.write("human/a", [*texts, texts[0]])
    monkeypatch.setattr("synthfilter.annotate.hash_texts", collide)
    manifest = workshop.build()
    assert manifest["books"]["left_out"]["exact_copy"] == 1
    assert {row["text"] for row in workshop.rows()} == set(texts)


@pytest.fixture(scope="module")
def shares(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Returns 30 human and 30 synthetic documents of as many words."""
    workshop = Workshop(tmp_path_factory.mktemp("shares"))
    for who in ("human", "synthetic"):
        texts = [PROSE.format(f"{who}{number}") for number in range(30)]
        workshop.write(f"{who}/{who}", texts)
    return workshop


@pytest.mark.parametrize(
    ("who", "shortage", "said"),
    [
        ("human", "fail", "too little synthetic text: 412 words asked for, 0 left"),
        ("human", "shrink", "the set would be empty for lack of synthetic text: 412"),
        ("synthetic", "shrink", "the set would be empty: 0 human and 960 synthetic"),
    ],
)
def test_row_26_a_set_of_one_origin_cannot_have_the_share_and_says_so(
    who: str, shortage: str, said: str, shares: Workshop, capsys: pytest.CaptureFixture
) -> None:
    one = Workshop(shares.path / f"{who} {shortage}")
    only = {who: str(shares.path / who), "synthetic_fraction": 0.3, "count": "declared"}
    one.build(code=3, on_shortage=shortage, **only)
    assert said in capsys.readouterr().err


def test_row_26_no_document_at_all_is_a_shortage(
    workshop: Workshop, capsys: pytest.CaptureFixture
) -> None:
    write_lines(workshop.path / "human/a.jsonl", [])
    workshop.build(code=3)
    assert "empty" in capsys.readouterr().err


@pytest.mark.parametrize("share", [0, 1])
def test_row_27_the_shares_0_and_1_are_exact(share: int, shares: Workshop) -> None:
    output = f"share {share}"
    manifest = shares.build(output, synthetic_fraction=share, count="declared")
    assert manifest["shares"]["got"]["words"]["synthetic_fraction"] == share
    kept = {row["origin"] for row in shares.rows(output=output)}
    assert kept == {"synthetic" if share else "human"}


@pytest.mark.parametrize("share", ["-0.1", "nan", "1.01", "inf", "half"])
def test_row_27_a_share_that_cannot_be_is_an_error(
    share: str, shares: Workshop, capsys: pytest.CaptureFixture
) -> None:
    shares.build("wrong", code=2, synthetic_fraction=f"{share}")
    assert "synthetic" in capsys.readouterr().err
    assert not (shares.path / "wrong").exists()
