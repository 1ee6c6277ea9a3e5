"""Near copies: the steps of the search alone, and whole builds with planted copies."""

import itertools
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from synthfilter import (
    annotate,
    build,
    near,
    near_bands,
    near_groups,
    near_pairs,
    near_rounds,
)
from synthfilter.core import schema
from synthfilter.core.batches import concat_batches
from synthfilter.core.schema import RANK_OTHERS, Origin, Reason
from synthfilter.decisions import near as decisions_near
from synthfilter.decisions.minhash import (
    Bands,
    band_keys,
    shingle_hashes,
    signatures,
)
from synthfilter.decisions.repeated import RepeatedKeys
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.documents import UNREADABLE, _unreadable
from synthfilter.inputs.sidecars import save_signatures
from synthfilter.near_groups import NO_ALIKE


def prose(number: int, count: int = 80) -> list[str]:
    """Words of their own for each number."""
    random = np.random.default_rng(number)
    return [f"w{word}" for word in random.integers(0, 50_000, count)]


def edited(words: list[str], changes: int, number: int = 0) -> list[str]:
    """The words with some others in between, far from each other."""
    words, step = list(words), len(words) // changes
    for i in range(changes):
        words[step // 2 + i * step] = f"other{number}n{i}"
    return words


def shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall("[a-z0-9]+", text.lower())
    return {tuple(words[i : i + 5]) for i in range(max(len(words) - 4, 1)) if words}


def similarity(one: str, other: str) -> float:
    first, second = shingles(one), shingles(other)
    return len(first & second) / len(first | second)


def plant(workshop: Any) -> dict[str, str]:
    """Writes documents of which some are near copies; returns their texts by id."""
    human = [prose(i) for i in range(60)]
    again = [edited(human[i], 1, i) for i in range(20)]
    machine = [
        *(edited(human[i], 1, i) for i in range(20, 40)),
        *(edited(human[i], 3, i) for i in range(40, 60)),
        *(prose(i) for i in range(1000, 1030)),
    ]
    found = {}
    for name, documents in (
        ("human/a", human),
        ("human/b", again),
        ("synthetic/s", [*machine, *machine[:5]]),
    ):
        texts = [" ".join(words).capitalize() + "." for words in documents]
        workshop.write(name, texts, row_group=17)
        found |= {f"{name[-1]}-{i}": text for i, text in enumerate(texts)}
    return found


def left_out(workshop: Any, output: str = "out") -> set[tuple[str, str, str]]:
    """What became of each document that was left out."""
    rows = workshop.rows("rejected", output)
    return {(row["id"], row["reason"], row["evidence"]) for row in rows}


def check_near_copies(workshop: Any, texts: dict[str, str], threshold: float) -> int:
    """Checks the evidence of near copies; returns how many there are."""
    kept = {row["content_hash"]: row["id"] for row in workshop.rows()}
    near_copies = [
        (name, evidence.split())
        for name, reason, evidence in left_out(workshop)
        if reason == "near_copy"
    ]
    for name, (content, _, said) in near_copies:
        true = similarity(texts[name], texts[kept[content]])
        assert true >= threshold
        assert said == f"{true:.3f}"
    for one, other in itertools.combinations(kept.values(), 2):
        assert similarity(texts[one], texts[other]) < threshold
    return len(near_copies)


def test_what_is_dropped_is_near_a_kept_document_and_no_kept_ones_are_near(
    workshop,
) -> None:
    texts = plant(workshop)
    books = workshop.build(near_duplicates=0.8)["books"]
    assert check_near_copies(workshop, texts, 0.8) == 40
    assert books["left_out"]["near_copy"] == 40
    assert books["left_out"]["exact_copy"] == 5
    assert books["read"] == 155 == books["kept"] + 45


def test_a_lower_threshold_finds_more_and_without_one_near_copies_stay(
    workshop,
) -> None:
    texts = plant(workshop)
    workshop.build(near_duplicates=0.6)
    assert check_near_copies(workshop, texts, 0.6) == 60
    manifest = workshop.build("plain")
    assert manifest["books"]["left_out"]["near_copy"] == 0
    assert manifest["near_copies"] is None


def test_at_a_threshold_of_one_the_words_must_be_the_same(workshop) -> None:
    words = " ".join(prose(1))
    texts = [words, f"{words.upper()}!", f"{words} more"]
    workshop.write("human/h", texts)
    workshop.build(near_duplicates=1)
    named = {f"h-{i}": text for i, text in enumerate(texts)}
    assert check_near_copies(workshop, named, 1) == 1


@pytest.mark.parametrize(
    ("keep", "stays"),
    [
        ([], "human"),
        (["longest"], "synthetic"),
        (["human", "longest"], "human"),
        (["oldest", "human"], "synthetic"),
    ],
)
def test_the_same_rules_say_which_near_copy_stays_as_which_copy(
    workshop, keep: list[str], stays: str
) -> None:
    texts = {"human": [], "synthetic": []}
    for number in range(8):
        words = prose(number)
        texts["human"].append(" ".join(words))
        texts["synthetic"].append(" ".join([*words, "with", "an", "ending"]))
    workshop.write("human/h", texts["human"], created=["2020-03-01"] * 8)
    workshop.write("synthetic/s", texts["synthetic"], created=["2019-03-01"] * 8)
    options = {"keep": keep} if keep else {}
    workshop.build(near_duplicates=0.8, **options)
    assert [row["origin"] for row in workshop.rows()] == [stays] * 8


def test_a_reviewed_document_stays_whatever_it_is_like(workshop) -> None:
    words = prose(1)
    human = [" ".join(words), " ".join(edited(words, 1))]
    workshop.write("human/h", [*human, human[1]], reviewed=[False, False, None])
    machine = [" ".join(edited(words, 1, 2))]
    workshop.write("synthetic/s", machine, reviewed=[True], source=["x"])
    workshop.build(near_duplicates=0.8)
    (kept,) = workshop.rows()
    assert (kept["id"], kept["reviewed"]) == ("s-0", True)
    said = {row["id"]: row["reviewed"] for row in workshop.rows("rejected")}
    assert said == {"h-0": False, "h-1": False, "h-2": None}


def test_the_set_does_not_depend_on_the_number_of_partitions(
    workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(workshop)
    first = workshop.build("one", near_duplicates=0.8)
    monkeypatch.setattr(build, "_PARTITION_BYTES", 8_000)
    assert workshop.build("two", near_duplicates=0.8) == first
    assert left_out(workshop, "one") == left_out(workshop, "two")


def test_the_set_does_not_depend_on_files_and_row_groups(workshop) -> None:
    plant(workshop)
    first = workshop.build("one", near_duplicates=0.8)
    rows = [*workshop.rows(output="one"), *workshop.rows("rejected", "one")]
    texts = plant(workshop)
    for origin in ("human", "synthetic"):
        mine = [row["id"] for row in rows if row["origin"] == origin]
        for file in (workshop.path / origin).iterdir():
            file.unlink()
        for part in range(3):
            chosen = mine[part::3]
            columns = {"id": chosen, "text": [texts[name] for name in chosen]}
            workshop.write(f"{origin}/{part}", columns.pop("text"), 5, **columns)
    second = workshop.build("two", near_duplicates=0.8)
    assert second["content_digest"] == first["content_digest"]
    assert second["books"] == first["books"]
    assert left_out(workshop, "one") == left_out(workshop, "two")


def test_two_workers_drop_what_one_does(workshop) -> None:
    plant(workshop)
    first = workshop.build("one", near_duplicates=0.8)
    assert workshop.build("two", near_duplicates=0.8, workers=2) == first
    assert left_out(workshop, "one") == left_out(workshop, "two")


def test_signatures_are_kept_from_build_to_build(
    workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(workshop)
    made = []
    annotate_block = annotate.annotate_block

    def spy(block: Block, *options: Any) -> Any:
        made.append((os.path.basename(block.file), options[2]))
        return annotate_block(block, *options)

    monkeypatch.setattr(annotate, "annotate_block", spy)
    workshop.build("plain")
    files = ["a.parquet", "b.parquet", "s.parquet"]
    assert sorted(made) == [(file, None) for file in files]
    workshop.build("one", near_duplicates=0.8)
    assert sorted(made[3:]) == [(file, 5) for file in files]
    workshop.build("two", near_duplicates=0.6, seed=3, keep=["longest"])
    assert len(made) == 6
    workshop.build("three", near_duplicates=0.8, shingle_words=3)
    assert sorted(made[6:]) == [(file, 3) for file in files]


def test_damaged_signatures_are_made_again(workshop) -> None:
    plant(workshop)
    first = workshop.build("one", near_duplicates=0.8)
    sidecars = [*(workshop.path / ".synthfilter-cache/facts").rglob("*.parquet")]
    assert len(sidecars) == 9
    for sidecar in sidecars:
        raw = bytearray(sidecar.read_bytes())
        raw[len(raw) // 3] ^= 1
        sidecar.write_bytes(raw)
    assert workshop.build("two", near_duplicates=0.8) == first


def test_what_could_not_be_read_once_is_compared_when_it_can(
    workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(workshop)
    read = annotate.read_documents

    def fail(block: Block, columns: list[str]) -> Any:
        if block.file.endswith("b.parquet"):
            rows = np.arange(block.rows)
            return iter([_unreadable(columns, rows, f"{UNREADABLE}: gone")])
        return read(block, columns)

    with monkeypatch.context() as patch:
        patch.setattr(annotate, "read_documents", fail)
        books = workshop.build("one", near_duplicates=0.8, max_dead_letters=0.9)[
            "books"
        ]
    assert (books["dead_letters"], books["left_out"]["near_copy"]) == (20, 20)
    books = workshop.build("two", near_duplicates=0.8)["books"]
    assert (books["dead_letters"], books["left_out"]["near_copy"]) == (0, 40)


def test_texts_without_words_are_no_near_copies(workshop) -> None:
    texts = ["!!! ???", "... ... ...", "?", "--", "\u2026 \u2026", "words"]
    workshop.write("human/h", [*texts, "", None])
    books = workshop.build(near_duplicates=0.1)["books"]
    assert books["kept"] == len(texts)
    assert (books["left_out"]["unusable_empty"], books["dead_letters"]) == (1, 1)


def test_texts_shorter_than_a_shingle_are_compared_whole(workshop) -> None:
    workshop.write(
        "human/h", ["Yes, we can", "yes we can!", "we can", "Yes. We. Can't"]
    )
    workshop.build(near_duplicates=0.8)
    assert {row["text"] for row in workshop.rows()} >= {"we can", "Yes. We. Can't"}
    assert len(workshop.rows()) == 3


def test_what_is_left_out_already_has_no_near_copies(workshop) -> None:
    words = prose(1)
    long = " ".join([*words, "and", "it", "goes", "on"])
    workshop.write("human/h", [" ".join(words), long])
    workshop.build(
        near_duplicates=0.8, keep="longest", max_document_bytes=len(long) - 1
    )
    assert [row["id"] for row in workshop.rows()] == ["h-0"]
    assert {row[1] for row in left_out(workshop)} == {"unusable_too_long"}


def test_of_no_documents_there_is_no_set(workshop, capsys) -> None:
    workshop.write("human/h", pa.array([], pa.string()))
    workshop.build(code=3, near_duplicates=0.8)
    assert "the set would be empty" in capsys.readouterr().err
    workshop.write("synthetic/s", ["only one"])
    assert workshop.build("two", near_duplicates=0.8)["books"]["kept"] == 1


def test_in_a_chain_of_near_copies_nothing_goes_for_one_that_is_gone(workshop) -> None:
    stream = prose(5, 300 * 8 + 100)
    texts = [" ".join(stream[i * 8 : i * 8 + 100]) for i in range(300)]
    assert similarity(texts[0], texts[1]) > 0.8 > similarity(texts[0], texts[2])
    workshop.write("human/h", texts)
    books = workshop.build(near_duplicates=0.8)["books"]
    named = {f"h-{i}": text for i, text in enumerate(texts)}
    assert check_near_copies(workshop, named, 0.8) == 300 - books["kept"]
    # Of three in a row at least one stays, of two at most one.
    assert 100 <= books["kept"] <= 150


def crowds() -> list[str]:
    """Texts of which 40 are alike, 12 are like those, and six are copies of others."""
    words = prose(1)
    texts = [edited(words, 1, i) for i in range(40)]
    texts += [edited(words, 9, i) for i in range(12)]
    for i in range(2):
        texts += [edited(edited(words, 9, i), 2, 90 + 10 * i + j) for j in range(3)]
    return [" ".join(text) for text in texts]


@pytest.mark.parametrize(
    ("bucket", "partners"), [(2, 1024), (2, 5), (256, 1), (256, 9)]
)
def test_of_a_crowd_that_is_alike_goes_what_goes_when_all_are_compared(
    workshop, monkeypatch: pytest.MonkeyPatch, bucket: int, partners: int
) -> None:
    workshop.write("human/h", crowds(), 9)
    first = workshop.build("all", near_duplicates=0.7)
    monkeypatch.setattr(decisions_near, "MAX_BUCKET", bucket)
    monkeypatch.setattr(near_pairs, "MAX_PARTNERS", partners)
    assert workshop.build("crowd", near_duplicates=0.7) == first
    assert first["near_copies"]["not_compared_with_all"] == 0
    assert 2 < first["books"]["kept"] < 20


def test_documents_that_were_not_compared_with_all_are_counted_and_told(
    workshop, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    shared = prose(1, 50)
    # They share a band, and none is a near copy of another.
    texts = [" ".join([*shared, *prose(100 + i, 30)]) for i in range(30)]
    workshop.write("human/h", texts)
    manifest = workshop.build("all", near_duplicates=0.6)
    assert manifest["near_copies"]["not_compared_with_all"] == 0
    assert manifest["books"]["kept"] == 30
    monkeypatch.setattr(decisions_near, "MAX_BUCKET", 2)
    crowded = workshop.build("bucket", near_duplicates=0.6)
    assert 20 <= crowded["near_copies"]["not_compared_with_all"] <= 30
    assert crowded["books"]["kept"] == 30
    assert capsys.readouterr().out == ""


def block_of(rows: int) -> Block:
    return Block(7, "f", "f", "x", Origin.HUMAN, {}, 0, 1, rows, 0, 100, False)


def settled_rows(*rows: dict[str, int]) -> pa.RecordBatch:
    """Rows of `schema.DECIDED` that are zero but for what is said."""
    nothing = dict.fromkeys(schema.DECIDED.names, 0)
    return pa.RecordBatch.from_pylist(
        [{**nothing, **row} for row in rows], schema=schema.DECIDED
    )


def test_only_what_is_still_in_is_looked_at() -> None:
    batch = settled_rows(
        {"block": 1, "row": 5, "order": 50},
        {"block": 1, "row": 6, "order": 60, "reason": Reason.EXACT_COPY},
        {"block": 2, "row": 7, "order": 70, "rank": 3},
    )
    found = {key: part.to_pylist() for key, part in near.left_by_block(batch)}
    assert found == {
        1: [{"row": 5, "order": 50, "rank": 0}],
        2: [{"row": 7, "order": 70, "rank": 3}],
    }


def test_documents_are_known_by_the_bands_that_others_have_too(tmp_path: Path) -> None:
    texts = [" ".join(prose(i % 3)) for i in range(5)]
    texts[3] = "?!"
    signed = signatures(shingle_hashes(pa.array(texts, pa.large_string())))
    path = str(tmp_path / "signatures.parquet")
    save_signatures(signed, path, True)
    where = [{"row": row, "order": 100 + row, "rank": row} for row in (4, 3, 1, 0)]
    batches = [pa.RecordBatch.from_pylist([row], schema=near._WHERE) for row in where]
    cut = ({7: block_of(5)}, lambda _: path, Bands(16, 7))
    found, keys = near_bands.cut_bands((7, batches), *cut)
    assert found.column("row").to_pylist() == [4, 1, 0]
    assert (keys == band_keys(signed, cut[2])[[4, 1, 0]]).all()
    sketch = RepeatedKeys(1000)
    sketch.add(keys)
    repeated = near_bands.merge_sketches(None, [sketch])
    split = dict(near_bands.split_bands((7, batches), *cut, repeated, 3))
    rows = concat_batches(split.values()).to_pylist()
    # Texts 4 and 1 are the same.
    assert {(row["key"], row["order"], row["rank"]) for row in rows} == {
        (key, 100 + row, row) for row in (4, 1) for key in keys[0].tolist()
    }
    for part, batch in split.items():
        assert {key % 3 for key in batch.column("key").to_pylist()} == {part}


def test_what_is_dropped_depends_on_who_is_a_reference() -> None:
    def document(order: int, rank: int, shingles: range) -> dict[str, Any]:
        rank += RANK_OTHERS if order < 90 else 0
        return {
            "order": order,
            "rank": rank,
            "content_hi": order,
            "content_lo": order,
            "block": 7,
            "row": order,
            "shingles": [*shingles],
        }

    documents = [
        document(10, 2, range(100)),
        document(11, 1, range(10, 100)),
        document(12, 0, range(85, 185)),
        document(91, 0, range(100, 190)),
        document(92, 0, range(101, 190)),
    ]
    pairs = np.array([(10, 11), (11, 12), (12, 91), (12, 92), (91, 92)], np.uint64)
    none = np.zeros(0, np.uint64)
    batches = near_pairs.pair_batches(decisions_near.Candidates(pairs, none))
    groups = near_pairs.group_pairs(None, [batches], 1)
    read = [
        (pa.RecordBatch.from_pylist([row], schema=near_groups.READ), NO_ALIKE)
        for row in documents[::-1]
    ]
    compared = near_groups.compare_cell((0, read), groups, 0.8)
    rows, crowded = near_rounds.resolve_near_copies(
        None, [compared], groups, {}, str, 0.8, 5
    )
    found = rows.to_pylist()
    told = {row["order"]: (row["reason"], row["match_hi"]) for row in found}
    # Both references are like 12, the first more than the second; neither goes.
    assert told == {
        10: (Reason.NEAR_COPY, 11),
        12: (Reason.REFERENCE_COPY, 91),
    }
    assert [row["similarity"] for row in found] == pytest.approx([0.9, 85 / 105])
    assert crowded == 0


MADE, FOUND, TAKEN, CRAWLED = "made", "found", "taken", "crawled"


@pytest.mark.parametrize(
    ("texts", "options", "stays"),
    [
        # A machine's text, and its copy of which nobody says anything.
        ({"synthetic": MADE, "unknown": CRAWLED}, {}, "synthetic"),
        ({"unknown": CRAWLED, "synthetic": MADE, "human": TAKEN}, {}, "human"),
        ({"human": TAKEN, "synthetic": MADE}, {}, "human"),
        ({"human": TAKEN, "unknown": FOUND}, {}, "synthetic"),
        ({"human": TAKEN, "unknown": FOUND}, {"marked_human": "keep"}, "human"),
        ({"synthetic": MADE, "unknown": CRAWLED}, {"keep": ["longest"]}, "human"),
    ],
)
def test_what_is_known_best_stays_of_near_copies(
    workshop, texts: dict[str, str], options: dict[str, Any], stays: str
) -> None:
    rows = {
        MADE: {"text": edited(prose(1), 1)},
        CRAWLED: {"text": [*prose(1), "longest"]},
        TAKEN: {"text": prose(1)},
        FOUND: {"text": edited(prose(1), 1, 2), "url": "https://machines.org/1"},
    }
    (workshop.path / "machines.txt").write_text("machines.org\n")
    for origin, name in texts.items():
        words = ["s5", *rows[name]["text"]]
        row = {"id": name, **rows[name], "text": " ".join(words)}
        (workshop.path / origin).mkdir()
        (workshop.path / origin / "t.jsonl").write_text(json.dumps(row) + "\n")
    lists = {"synthetic_urls": f"{workshop.path}/machines.txt", "threshold": 1}
    options = {"detector": "tests.detectors:SaysScore", **lists, **options}
    if "unknown" in texts:
        options["unknown"] = f"{workshop.path}/unknown"
    books = workshop.build(near_duplicates=0.7, **options)["books"]
    assert books["left_out"]["near_copy"] == len(texts) - 1
    [row] = workshop.rows()
    assert row["origin"] == stays
