"""The transforms inside other people's pipelines."""

import sys
from pathlib import Path
from typing import Any, NamedTuple, Optional

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to, is_empty

import synthfilter as sf
from synthfilter.core.errors import ShortageError, UserError
from synthfilter.outputs.manifest import read_manifest

HUMAN = "The tide came in at noon, and we walked back along the wall, wet and laughing."
DOCUMENTS = [
    {"id": f"{origin}-{i}", "text": f"{HUMAN} Part {i} {origin}.", "origin": origin}
    for origin, count in (("human", 70), ("synthetic", 60))
    for i in range(count)
]


class Strict:
    """Scores what has ten words that begin with a letter."""

    def score(self, column: pa.Array) -> np.ndarray:
        words = [
            sum(w[0].isalpha() for w in text.split()) for text in column.to_pylist()
        ]
        return np.where(np.array(words, int) >= 10, 0.2, np.nan)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the detector of this file be named as package.module:Class."""
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])


def pipeline() -> beam.Pipeline:
    return beam.Pipeline(runner=FnApiRunner())


def ids(documents: Any) -> Any:
    return documents | beam.Map(lambda document: document["id"])


class Document(NamedTuple):
    text: str
    stars: int
    note: Optional[str]


def test_score_adds_its_fields_to_dicts_and_keeps_the_rest() -> None:
    (scored,) = [{"text": HUMAN, "tags": ("a", 1)}] | sf.Score()
    assert scored["tags"] == ("a", 1)
    assert 0 <= scored["ai_score"] <= 1
    assert scored["origin"] in ("human", "synthetic")
    assert len(scored["content_hash"]) == 32


def test_score_gives_the_same_score_in_any_company() -> None:
    alone = [{"text": HUMAN}] | sf.Score()
    texts = [{"text": HUMAN}, {"text": "other " * 500}, {"text": ""}, {"text": None}]
    company = texts | sf.Score()
    assert company[0] == alone[0]
    assert [row["ai_score"] for row in company[2:]] == [None, None]
    assert [row["origin"] for row in company[2:]] == [None, None]


def test_score_keeps_an_origin_that_is_known() -> None:
    (scored,) = [{"text": HUMAN, "origin": "human"}] | sf.Score(threshold=0.0)
    assert scored["origin"] == "human"
    (unknown,) = [{"text": HUMAN}] | sf.Score(threshold=0.0)
    assert unknown["origin"] == "synthetic"


def test_what_cannot_be_scored_keeps_its_origin_or_loses_it() -> None:
    documents = [
        {"id": "h", "text": HUMAN, "origin": "human"},
        {"id": "short", "text": "Too short.", "origin": "human"},
        {"id": "table", "text": "17 3.5 19 " * 30, "origin": "synthetic"},
        {"id": "empty", "text": "", "origin": "human"},
        {"id": "?", "text": "Too short."},
    ]
    detector = f"{__name__}:Strict"
    kept = documents | sf.Score(detector=detector)
    declared = ["human", "human", "synthetic", "human", None]
    assert [row["origin"] for row in kept] == declared
    dropped = documents | sf.Score(detector=detector, language_policy="drop")
    assert [row["origin"] for row in dropped] == ["human", None, None, "human", None]
    assert [row["ai_score"] is None for row in dropped] == [False, *[True] * 4]
    split = dropped | sf.Mix(unit="docs")
    assert [row["id"] for row in split["kept"]] == ["h"]
    assert {row["id"]: row["reason"] for row in split["dropped"]} == {
        "short": "unscorable",
        "table": "unscorable",
        "empty": "unusable_empty",
        "?": "unscorable",
    }


def test_rows_keep_their_schema_and_get_new_fields() -> None:
    with pipeline() as p:
        rows = p | beam.Create([Document(HUMAN, 5, None), Document(HUMAN, 4, "x")])
        scored = rows | sf.Score()
        names = [name for name, _ in scored.element_type._fields]
        assert names == ["text", "stars", "note", "ai_score", "origin", "content_hash"]
        kept = (scored | sf.Deduplicate())["kept"]
        assert [name for name, _ in kept.element_type._fields] == names
        assert_that(kept | beam.Map(lambda row: row.text), equal_to([HUMAN]))


def test_batches_come_out_as_batches() -> None:
    batch = pa.RecordBatch.from_pydict({"text": ["a b", "c d", "a  b"], "k": [1, 2, 3]})
    with pipeline() as p:
        found = p | beam.Create([batch]).with_output_types(pa.RecordBatch) | sf.Score()
        split = found | sf.Deduplicate()
        kept = split["kept"] | beam.FlatMap(lambda b: b.column("text").to_pylist())
        dropped = split["dropped"] | "D" >> beam.FlatMap(lambda b: b.to_pylist())
        shown = dropped | beam.Map(lambda row: (row["k"] in (1, 3), row["reason"]))
        assert_that(
            kept | beam.Map(lambda text: " ".join(text.split())),
            equal_to(["a b", "c d"]),
        )
        assert_that(shown, equal_to([(True, "exact_copy")]), "dropped")


def test_of_copies_the_ranked_first_is_kept_in_any_order() -> None:
    copies = [
        {"id": "machine", "text": "Same words.", "origin": "synthetic"},
        {"id": "short", "text": "Same words.", "origin": "human"},
        {"id": "long", "text": "Same   words.", "origin": "human"},
    ]
    for order in (copies, copies[::-1]):
        with pipeline() as p:
            split = p | beam.Create(order) | sf.Deduplicate()
            assert_that(ids(split["kept"]), equal_to(["long"]))
            reasons = split["dropped"] | "R" >> beam.Map(
                lambda row: (row["id"], row["reason"], len(row["evidence"]))
            )
            wanted = [("machine", "exact_copy", 32), ("short", "exact_copy", 32)]
            assert_that(reasons, equal_to(wanted), "reasons")


def test_of_copies_a_reviewed_one_is_kept_before_any_other() -> None:
    copies = [
        {"id": "human", "text": "Same   words.", "origin": "human", "reviewed": False},
        {"id": "machine", "text": "Same words.", "origin": "synthetic"},
        {"id": "read", "text": "Same words.", "origin": "synthetic", "reviewed": True},
    ]
    with pipeline() as p:
        split = p | beam.Create(copies) | sf.Deduplicate()
        assert_that(ids(split["kept"]), equal_to(["read"]))
        split = copies | "Rules" >> sf.Deduplicate(keep=["human", "reviewed"])
        assert [row["id"] for row in split["kept"]] == ["human"]


def test_what_is_called_a_reference_is_of_unknown_origin(tmp_path: Path) -> None:
    documents = [{"text": HUMAN, "origin": "reference"}, {"text": f"{HUMAN} Again."}]
    scored = documents | sf.Score(threshold=0.0)
    assert [row["origin"] for row in scored] == ["synthetic"] * 2
    split = documents | sf.Deduplicate()
    assert len(split["kept"]) == 2
    with pipeline() as p:
        _ = p | beam.Create(documents) | sf.WriteShards(str(tmp_path / "out"))
    assert read_manifest(str(tmp_path / "out"))["books"]["kept"] == 2


def test_documents_without_text_are_dropped_with_a_reason_not_lost() -> None:
    bad = [{"id": "a", "text": ""}, {"id": "b", "text": None}, {"id": "c", "text": 7}]
    with pipeline() as p:
        split = p | beam.Create([*bad, {"id": "d", "text": "fine"}]) | sf.Deduplicate()
        assert_that(ids(split["kept"]), equal_to(["d"]))
        reasons = split["dropped"] | "R" >> beam.Map(lambda r: (r["id"], r["reason"]))
        wanted = [("a", "unusable_empty"), ("b", "dead_letter"), ("c", "dead_letter")]
        assert_that(reasons, equal_to(wanted), "reasons")


def test_mix_reaches_the_share_with_the_same_documents_in_any_order() -> None:
    chosen: list[set[str]] = []
    for documents in (DOCUMENTS, DOCUMENTS[::-1]):
        split = documents | sf.Mix(synthetic_fraction=0.3, unit="docs", seed=2)
        kept = {row["id"] for row in split["kept"]}
        assert len(split["kept"]) + len(split["dropped"]) == len(DOCUMENTS)
        assert {row["reason"] for row in split["dropped"]} == {"mixture"}
        assert sum(name.startswith("synthetic") for name in kept) == 30
        chosen.append(kept)
    assert chosen[0] == chosen[1]


def test_mix_repeats_on_a_shortage_when_told() -> None:
    few = [row for row in DOCUMENTS if row["origin"] == "human" or row["id"][-1] == "0"]
    split = few | sf.Mix(synthetic_fraction=0.5, unit="docs", on_shortage="repeat:9")
    synthetic = [row for row in split["kept"] if row["origin"] == "synthetic"]
    assert len(synthetic) == 54
    assert not split["dropped"] or len(split["dropped"]) == 16


def test_documents_of_nobody_are_dropped_not_guessed() -> None:
    split = [*DOCUMENTS, {"id": "?", "text": "Short."}] | sf.Mix(unit="docs")
    assert len(split["kept"]) == len(DOCUMENTS)
    (dropped,) = split["dropped"]
    assert (dropped["id"], dropped["reason"]) == ("?", "unscorable")


def test_mix_says_what_is_missing() -> None:
    with pytest.raises(ShortageError, match="too little synthetic text"):
        DOCUMENTS | sf.Mix(synthetic_fraction=0.9, on_shortage="fail")
    with pytest.raises(ShortageError, match="the set would be empty"):
        [{"text": "no origin"}] | sf.Mix()


def test_shards_are_the_same_whatever_the_order(tmp_path: Path) -> None:
    for name, documents in (("a", DOCUMENTS), ("b", DOCUMENTS[::-1])):
        with pipeline() as p:
            manifest = (
                p
                | beam.Create(documents)
                | sf.WriteShards(output=str(tmp_path / name), max_shard_bytes=4_000)
            )
            count = manifest | beam.Map(lambda made: made["books"]["kept"])
            assert_that(count, equal_to([130]))
    a, b = (read_manifest(str(tmp_path / name)) for name in "ab")
    assert a == b
    assert len(a["shards"]) > 2
    table = pq.read_table(tmp_path / "a/data")
    assert sorted(table["id"].to_pylist()) == sorted(row["id"] for row in DOCUMENTS)
    assert set(table["origin"].to_pylist()) == {"human", "synthetic"}
    assert table["metadata"].null_count == 130
    assert table["reviewed"].null_count == 130


def test_all_four_in_a_row(tmp_path: Path) -> None:
    documents = [
        *DOCUMENTS,
        dict(DOCUMENTS[0], id="copy"),
        {"id": "none", "text": None},
    ]
    with pipeline() as p:
        scored = p | beam.Create(documents) | sf.Score()
        unique = scored | sf.Deduplicate()
        mixed = unique["kept"] | sf.Mix(synthetic_fraction=0.3, unit="docs")
        _ = mixed["kept"] | sf.WriteShards(output=str(tmp_path / "out"))
    manifest = read_manifest(str(tmp_path / "out"))
    assert manifest["shares"]["got"]["docs"] == {
        "human": 70,
        "synthetic": 30,
        "synthetic_fraction": 0.3,
    }
    assert pq.read_table(tmp_path / "out/data")["ai_score"].null_count == 0


def test_empty_collections_give_empty_collections() -> None:
    with pipeline() as p:
        nothing = p | beam.Create([]).with_output_types(dict[str, Any])
        assert_that(nothing | sf.Score(), is_empty(), "scored")
        split = nothing | sf.Deduplicate()
        assert_that(split["kept"], is_empty(), "kept")
        assert_that(split["dropped"], is_empty(), "dropped")


def test_other_elements_are_refused_by_name() -> None:
    with pytest.raises(
        UserError, match="dicts, schema'd Rows or pyarrow RecordBatches"
    ):
        with pipeline() as p:
            _ = p | beam.Create(["just text"]) | sf.Score()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sf.Score(threshold=2), "threshold must be between 0 and 1, got 2"),
        (lambda: sf.Score(language_policy="no"), "one of declared, drop, got 'no'"),
        (lambda: sf.Deduplicate(keep=["best"]), "keep takes each of reviewed, human"),
        (lambda: sf.Mix(unit="tokens"), "unit must be one of docs, bytes, words"),
        (lambda: sf.Mix(on_shortage="cry"), "shrink, fail or repeat:N, got 'cry'"),
        (lambda: sf.WriteShards(output="x", max_shard_bytes=0), "at least 1, got 0"),
        (lambda: sf.Score(fields=["text"]), "NAME=COLUMN"),
    ],
)
def test_bad_options_are_refused(make: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


def test_the_transforms_count_what_becomes_of_documents() -> None:
    p = pipeline()
    scored = p | beam.Create([*DOCUMENTS, *DOCUMENTS[:5], {"text": ""}]) | sf.Score()
    mixed = (scored | sf.Deduplicate())["kept"] | sf.Mix(target_size=50, unit="docs")
    _ = mixed["kept"]
    found = p.run().metrics().query()["counters"]
    counts = {c.key.metric.name: c.committed for c in found}
    assert {n: c for n, c in counts.items() if n.startswith(("score_", "dedup"))} == {
        "score_human": 75,
        "score_synthetic": 60,
        "score_unknown": 1,
        "deduplicate_kept": 130,
        "deduplicate_exact_copy": 5,
        "deduplicate_unusable_empty": 1,
    }
    assert counts["mix_kept"] == 50
    assert counts["mix_mixture"] == 80
