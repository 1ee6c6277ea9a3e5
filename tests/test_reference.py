"""Sets that are kept clear of a reference set, such as a benchmark."""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.cli import main
from synthfilter.core.hashing import distinct
from synthfilter.reference import _ngrams, has_known

WORD = re.compile("[a-z0-9]+")


def prose(number: int, count: int = 60) -> list[str]:
    """Words of their own for each number."""
    random = np.random.default_rng(number)
    return [f"w{word}" for word in random.integers(0, 50_000, count)]


def edited(words: list[str], number: int) -> list[str]:
    """The words with another one in the middle."""
    middle = len(words) // 2
    return [*words[:middle], f"other{number}", *words[middle + 1 :]]


def write(workshop: Any, name: str, *documents: list[str]) -> None:
    workshop.write(name, [" ".join(words) for words in documents])


def told(workshop: Any, output: str = "out") -> dict[str, str]:
    """The reason of each document that was left out."""
    return {row["id"]: row["reason"] for row in workshop.rows("rejected", output)}


@pytest.fixture
def against(workshop: Any) -> str:
    """Ten human documents, and a reference set of which some are copies.

    Of the human ones 0 and 1 are in it, 2 and 3 nearly, 4 shares 20 words with it.
    """
    benchmark = [prose(100 + i) for i in range(6)]
    shared = [*prose(4)[:20], *benchmark[4][:20], *prose(4)[40:]]
    human = [
        *benchmark[:2],
        *(edited(words, 1) for words in benchmark[2:4]),
        shared,
        *(prose(i) for i in range(5, 10)),
    ]
    write(workshop, "human/h", *human)
    write(workshop, "benchmark/b", *benchmark)
    return str(workshop.path / "benchmark/*.parquet")


def test_documents_of_a_reference_set_are_not_in_the_set(workshop, against) -> None:
    manifest = workshop.build(against=against)
    assert told(workshop) == {"h-0": "reference_copy", "h-1": "reference_copy"}
    assert [row["evidence"] for row in workshop.rows("rejected")] == [
        f"{row['content_hash']} similarity 1.000" for row in workshop.rows("rejected")
    ]
    assert manifest["books"]["kept"] == 8


def test_near_copies_of_reference_documents_are_not_in_the_set(
    workshop, against
) -> None:
    workshop.build(against=against, near_duplicates=0.8)
    assert told(workshop) == {f"h-{i}": "reference_copy" for i in range(4)}
    evidence = {row["id"]: row["evidence"] for row in workshop.rows("rejected")}
    assert evidence["h-2"].endswith(f"similarity {51 / 61:.3f}")


def test_runs_of_words_of_a_reference_set_are_not_in_the_set(workshop, against) -> None:
    manifest = workshop.build(against=against, against_ngrams=13)
    assert told(workshop) == {f"h-{i}": "shared_ngrams" for i in range(5)}
    (evidence,) = {row["evidence"] for row in workshop.rows("rejected")}
    assert evidence == "against_ngrams=13"
    assert manifest["books"]["left_out"]["shared_ngrams"] == 5
    workshop.build("long", against=against, against_ngrams=21)
    assert "h-4" not in told(workshop, "long")


def test_a_reference_set_is_neither_written_nor_in_the_books(workshop, against) -> None:
    manifest = workshop.build(against=against, near_duplicates=0.8, against_ngrams=13)
    files = workshop.path.glob("out/*/*.parquet")
    assert {file.parent.name for file in files} == {"data", "rejected"}
    ids = {row["id"] for kind in ("data", "rejected") for row in workshop.rows(kind)}
    assert ids == {f"h-{i}" for i in range(10)}
    books = manifest["books"]
    assert books["read"] == 10 == books["kept"] + sum(books["left_out"].values())
    assert set(books["by_declared_origin"]) == {
        "human",
        "synthetic",
        "unknown",
        "core",
    }
    inputs = {file["path"]: file for file in manifest["inputs"]}
    assert [file["declared"] for file in inputs.values()] == ["human", "reference"]
    assert [file["rows"] for file in inputs.values()] == [10, 6]


def test_nothing_near_any_reference_document_stays(workshop) -> None:
    """Though these are near each other, so that all but one would go by themselves."""
    stream = prose(1, 300)
    benchmark = [stream[i * 5 : i * 5 + 60] for i in range(20)]
    human = [edited(words, i) for i, words in enumerate(benchmark)]
    write(workshop, "human/h", *human, prose(2))
    write(workshop, "benchmark/b", *benchmark, benchmark[3])
    against = str(workshop.path / "benchmark")
    workshop.build(against=against, near_duplicates=0.8)
    assert told(workshop) == {f"h-{i}": "reference_copy" for i in range(20)}
    assert [row["id"] for row in workshop.rows()] == ["h-20"]


@pytest.mark.parametrize("keep", [["reviewed"], ["longest"], ["oldest", "human"]])
def test_no_rule_keeps_a_document_of_the_reference_set(workshop, keep) -> None:
    words = prose(1)
    texts = [" ".join(words), " ".join([*words, "longer"])]
    workshop.write("human/h", texts, created=["1900-01-01"] * 2, reviewed=[True] * 2)
    write(workshop, "synthetic/s", prose(2))
    write(workshop, "benchmark/b", words)
    against = str(workshop.path / "benchmark")
    workshop.build(against=against, near_duplicates=0.8, keep=keep)
    assert told(workshop) == dict.fromkeys(["h-0", "h-1"], "reference_copy")


def test_no_policy_about_scores_takes_reference_documents_out(workshop) -> None:
    """A benchmark in another language has no scores, and none are asked for."""
    prose_ = "It rained all night, and in the morning the boats lay on the grass again."
    table = "17 3 99 12 4 5 6 7 8 8 1 2 3 4 5 6 7 8 9 11 12 13 14 15 16"
    workshop.write("human/h", [prose_, table])
    workshop.write("benchmark/b", [table, prose_])
    against = str(workshop.path / "benchmark")
    options = {"against": against, "language_policy": "drop", "max_ai_score": 0.0}
    workshop.build(code=3, near_duplicates=0.8, **options)
    workshop.write("human/i", [f"{prose_} Then we went home by the old road.", "no"])
    workshop.build("out", **options)
    assert told(workshop)["h-0"] == "reference_copy"


def test_a_reference_set_is_not_scored_and_the_same_file_can_be_later(
    workshop,
) -> None:
    text = "It rained all night, and in the morning the boats lay on the grass again."
    workshop.write("human/h", [f"{text} Every one of them was painted green."])
    workshop.write("benchmark/b", [text])
    benchmark = str(workshop.path / "benchmark")
    workshop.build("one", against=benchmark)
    workshop.build("two", synthetic=benchmark)
    scores = {row["id"]: row["ai_score"] for row in workshop.rows(output="two")}
    assert scores.keys() == {"h-0", "b-0"}
    assert None not in scores.values()


def test_a_file_cannot_be_input_and_reference(workshop, against, capsys) -> None:
    workshop.build(code=2, against=str(workshop.path / "human"))
    error = capsys.readouterr().err
    assert "is declared human and reference; name it once" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"against": "none/*.parquet"}, "no file matches 'none/*.parquet'"),
        ({"against_ngrams": 13}, "against_ngrams needs against"),
        ({"against": "b", "against_ngrams": 0}, "against_ngrams must be from 1 to 100"),
        ({"near_duplicates": 80}, "must be in (0, 1], got 80"),
        ({"shingle_words": 101}, "shingle_words must be from 1 to 100 words, got 101"),
    ],
)
def test_mistakes_are_one_line(workshop, capsys, options: dict, message: str) -> None:
    write(workshop, "human/h", prose(1))
    workshop.build(code=2, **options)
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (workshop.path / "out").exists()


def test_another_reference_set_makes_another_build(workshop, against) -> None:
    write(workshop, "other/b", prose(77))
    plain = workshop.build("one")
    other = workshop.build("two", against=str(workshop.path / "other"))
    assert told(workshop, "one") == told(workshop, "two")
    assert plain["build_id"] != other["build_id"]
    assert plain["content_digest"] == other["content_digest"]
    again = workshop.build("three", against=str(workshop.path / "other"))
    assert again["build_id"] == other["build_id"]


def test_the_runner_and_two_workers_agree(workshop, against) -> None:
    options = {"against": against, "near_duplicates": 0.8, "against_ngrams": 30}
    first = workshop.build("one", **options)
    assert workshop.build("two", workers=2, **options) == first
    assert told(workshop, "one") == told(workshop, "two")


def test_a_dry_run_reads_the_reference_set_and_writes_nothing(
    workshop, against, capsys
) -> None:
    human = str(workshop.path / "human")
    arguments = ["build", "--human", human, "--against", against, "--dry-run"]
    assert main([*arguments, "--output", str(workshop.path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "reference: about 6 documents (0.0 MB of text); unusable 0\n" in printed
    assert "set: about 10 documents" in printed
    assert not (workshop.path / "out").exists()


TEXTS = st.lists(
    st.lists(st.sampled_from(["a", "b", "c", "?"]), max_size=7).map(" ".join),
    max_size=6,
)


def runs(text: str, size: int) -> set[tuple[str, ...]]:
    words = WORD.findall(text)
    last = max(len(words) - size + 1, 1) if words else 0
    return {tuple(words[i : i + size]) for i in range(last)}


@given(TEXTS, TEXTS, st.integers(1, 4), st.data())
def test_a_document_has_a_known_run_if_one_of_its_own_is_known(
    texts, known, size, data
) -> None:
    cut = data.draw(st.integers(0, len(known)))
    parts = [
        _ngrams(pa.array(part, pa.large_string()), size)[0]
        for part in (known[cut:], known[:cut])
    ]
    hashes = distinct(parts)
    assert (np.diff(hashes) > 0).all()
    found = has_known(pa.array(texts, pa.large_string()), hashes, size)
    wanted = {run for text in known for run in runs(text, size)}
    assert found.tolist() == [bool(runs(text, size) & wanted) for text in texts]
