"""A whole build on real files with Beam's own runner."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

import synthfilter as sf
from synthfilter.core import schema
from synthfilter.core.errors import ShortageError, UserError
from synthfilter.core.hashing import hash_texts, hex_hashes
from synthfilter.core.text import normalise
from synthfilter.outputs.manifest import claim_output, read_manifest

WORDS = ("river", "stone", "harvest", "letter", "engine", "winter", "garden", "copper")


class LengthDetector:
    """Scores by length alone, so that tests can place documents where they want."""

    name = "length"
    version = "1"
    threshold = 0.5
    labels = ("human", "synthetic")

    def score(self, column: pa.Array) -> np.ndarray:
        size = pc.binary_length(column).to_numpy().astype(np.float32)
        return np.where(size == 0, np.nan, np.where(size % 10 == 0, 0.9, 0.1))


class LetterDetector:
    """Scores 0.1; cannot score text with digits."""

    def score(self, column: pa.Array) -> np.ndarray:
        digits = pc.match_substring_regex(column, "[0-9]").to_numpy(False)
        nothing = pc.binary_length(column).to_numpy() == 0
        return np.where(digits | nothing, np.nan, 0.1)


DETECTOR = f"{__name__}:LengthDetector"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the detector of this file be named as package.module:Class."""
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])


def text_of(number: int, words: int = 12) -> str:
    """Returns a text of its own for each number, never scored as machine text."""
    chosen = [WORDS[(number // 8**i + i) % 8] for i in range(words)]
    text = " ".join([f"No {number}.", *chosen])
    return text + "!" if len(text) % 10 == 0 else text


def write_parquet(
    path: Path, texts: list[str], row_group: int = 50, **extra: list
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = [f"{path.stem}-{i}" for i in range(len(texts))]
    table = pa.table({"id": ids, "text": texts, **extra})
    pq.write_table(table, path, row_group_size=row_group)


def build(
    folder: Path, output: str = "out", workers: int = 1, **options: object
) -> dict:
    """Runs a build of folder/human, /synthetic, /unknown and returns its manifest."""
    for origin in ("human", "synthetic", "unknown"):
        if (folder / origin).exists():
            options.setdefault(origin, [str(folder / origin)])
    options.setdefault("detector", DETECTOR)
    job = sf.Build(output=str(folder / output), **options)
    return sf.run_build(job, workers=workers)


def rows_of(folder: Path, kind: str = "data") -> list[dict]:
    return pq.read_table(folder / kind).to_pylist()


def file_bytes(folder: Path) -> Mapping[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.parquet"))
    }


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """200 human and 300 synthetic documents in several files and row groups."""
    write_parquet(tmp_path / "human/a.parquet", [text_of(i) for i in range(120)])
    write_parquet(
        tmp_path / "human/b.parquet", [text_of(i, 30) for i in range(120, 200)], 7
    )
    lines = [json.dumps({"text": text_of(i), "id": i}) for i in range(1000, 1300)]
    (tmp_path / "synthetic").mkdir()
    (tmp_path / "synthetic/s.jsonl").write_text("\n".join(lines))
    return tmp_path


def test_the_share_is_within_one_document_of_what_was_asked(corpus: Path) -> None:
    manifest = build(corpus, synthetic_fraction=0.25, unit="words")
    got = manifest["shares"]["got"]["words"]
    longest = max(len(text_of(i).split()) for i in range(1000, 1300))
    wanted = got["human"] / 3
    assert wanted - longest < got["synthetic"] <= wanted
    assert manifest["books"]["read"] == 500
    assert manifest["books"]["kept"] == len(rows_of(corpus / "out"))


def test_every_written_row_carries_the_facts_of_its_own_text(corpus: Path) -> None:
    build(corpus, synthetic_fraction=0.3, max_shard_bytes=9_000, seed=5)
    rows = pq.read_table(corpus / "out/data")
    hashes = hex_hashes(*hash_texts(normalise(rows["text"].combine_chunks())))
    assert hashes.equals(rows["content_hash"].combine_chunks())
    known = {f"a-{i}": text_of(i) for i in range(120)}
    known |= {f"b-{i}": text_of(120 + i, 30) for i in range(80)}
    known |= {str(i): text_of(i) for i in range(1000, 1300)}
    assert all(known[row["id"]] == row["text"] for row in rows.to_pylist())


def test_the_manifest_names_what_is_on_the_disk(corpus: Path) -> None:
    manifest = build(corpus, synthetic_fraction=0.3, max_shard_bytes=9_000)
    listed = {
        file["path"]: file["sha256"]
        for kind in ("shards", "rejected", "dead_letters")
        for file in manifest[kind]
    }
    assert listed == file_bytes(corpus / "out")
    assert len(manifest["shards"]) > 3
    assert not (corpus / "out/_unfinished_build.json").exists()


def test_shards_are_near_the_mixture_and_within_their_size(corpus: Path) -> None:
    manifest = build(
        corpus, synthetic_fraction=0.3, unit="bytes", max_shard_bytes=9_000
    )
    for shard in manifest["shards"]:
        table = pq.read_table(corpus / "out" / shard["path"])
        size = pc.binary_length(table["text"]).to_numpy()
        synthetic = pc.equal(table["origin"], "synthetic").to_numpy()
        assert size.sum() <= 9_000
        assert 0.15 < size[synthetic].sum() / size.sum() < 0.45


def test_the_same_input_gives_the_same_bytes_again(corpus: Path) -> None:
    first = build(corpus, "one", synthetic_fraction=0.3)
    second = build(corpus, "two", synthetic_fraction=0.3, cache=str(corpus / "other"))
    assert first == second
    assert file_bytes(corpus / "one") == file_bytes(corpus / "two")


def test_two_workers_give_the_same_bytes_as_one(corpus: Path) -> None:
    shipped = {"detector": None, "synthetic_fraction": 0.3, "max_shard_bytes": 9_000}
    first = build(corpus, "one", **shipped)
    second = build(corpus, "two", workers=2, **shipped)
    assert first == second
    assert file_bytes(corpus / "one") == file_bytes(corpus / "two")


def test_other_block_borders_give_the_same_documents(corpus: Path) -> None:
    first = build(corpus, synthetic_fraction=0.3, seed=3)
    other = corpus / "other"
    human = [text_of(i) for i in range(120)] + [text_of(i, 30) for i in range(120, 200)]
    ids = [f"a-{i}" for i in range(120)] + [f"b-{i}" for i in range(80)]
    (other / "human").mkdir(parents=True)
    pq.write_table(
        pa.table({"id": ids, "text": human}),
        other / "human/x.parquet",
        row_group_size=3,
    )
    write_parquet(
        other / "synthetic/s.parquet", [text_of(i) for i in range(1000, 1300)]
    )
    second = build(other, synthetic_fraction=0.3, seed=3)
    assert first["content_digest"] == second["content_digest"]


def test_another_seed_chooses_other_documents(corpus: Path) -> None:
    first = build(corpus, "one", synthetic_fraction=0.3, seed=0)
    second = build(corpus, "two", synthetic_fraction=0.3, seed=1)
    assert first["content_digest"] != second["content_digest"]
    assert first["books"]["kept"] == pytest.approx(second["books"]["kept"], abs=3)


def test_a_second_build_scores_nothing(
    corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(corpus, "one", synthetic_fraction=0.3)
    scored: list[str] = []
    score = LengthDetector.score

    def spy(self: LengthDetector, column: pa.Array) -> np.ndarray:
        scored.extend(column.to_pylist())
        return score(self, column)

    monkeypatch.setattr(LengthDetector, "score", spy)
    build(corpus, "two", synthetic_fraction=0.1)
    assert not {text_of(i) for i in range(1300)} & set(scored)
    build(corpus, "three", cache=str(corpus / "empty"))
    assert text_of(0) in scored


def test_a_changed_input_is_scored_again(corpus: Path) -> None:
    build(corpus, "one")
    write_parquet(corpus / "human/a.parquet", [text_of(i) for i in range(5000, 5120)])
    build(corpus, "two")
    texts = {row["text"] for row in rows_of(corpus / "two")}
    assert text_of(5000) in texts
    assert text_of(0) not in texts


def test_a_text_that_is_declared_both_is_synthetic_wherever_it_stands(
    tmp_path: Path,
) -> None:
    write_parquet(tmp_path / "human/h.parquet", ["A shared text.", "Only a human."])
    write_parquet(tmp_path / "synthetic/s.parquet", ["A shared\ntext.", "A machine's."])
    manifest = build(tmp_path)
    kept = {(row["id"], row["origin"]) for row in rows_of(tmp_path / "out")}
    assert len(kept & {("h-0", "synthetic"), ("s-0", "synthetic")}) == 1
    assert kept >= {("h-1", "human"), ("s-1", "synthetic")} and len(kept) == 3
    (dropped,) = rows_of(tmp_path / "out", "rejected")
    kept_hash = next(
        row["content_hash"] for row in rows_of(tmp_path / "out") if row["id"][2:] == "0"
    )
    assert (dropped["reason"], dropped["evidence"]) == ("exact_copy", kept_hash)
    assert dropped["text"] is None
    assert manifest["books"]["left_out"]["exact_copy"] == 1


@pytest.mark.parametrize(
    ("policy", "origin", "reason"),
    [
        ("reclassify", "synthetic", None),
        ("keep", "human", None),
        ("drop", None, "human_scored_synthetic"),
    ],
)
def test_flagged_human_documents_follow_the_policy(
    tmp_path: Path, policy: str, origin: str | None, reason: str | None
) -> None:
    write_parquet(tmp_path / "human/h.parquet", ["0123456789", "not flagged"])
    build(tmp_path, flagged_human=policy)
    kept = {row["id"]: row for row in rows_of(tmp_path / "out")}
    if origin is None:
        (dropped,) = rows_of(tmp_path / "out", "rejected")
        assert (dropped["id"], dropped["reason"]) == ("h-0", reason)
        assert dropped["evidence"] == "threshold=0.5"
    else:
        assert kept["h-0"]["origin"] == origin
        # What decided comes first.
        evidence = "declared=human detector=synthetic"
        if origin == "synthetic":
            evidence = "detector=synthetic declared=human"
        assert kept["h-0"]["origin_evidence"] == evidence
    assert kept["h-1"]["origin"] == "human"
    assert kept["h-1"]["synth_generation"] == 0


@pytest.mark.parametrize(
    ("policy", "left_out"),
    [("declared", {"unknown"}), ("drop", {"human", "synthetic", "unknown"})],
)
def test_what_cannot_be_scored_follows_the_language_policy(
    tmp_path: Path, policy: str, left_out: set[str]
) -> None:
    origins = ("human", "synthetic", "unknown")
    for origin in origins:
        texts = [f"{origin} is scored", f"{origin} 17 3.5 19", ""]
        write_parquet(tmp_path / f"{origin}/{origin}.parquet", texts)
    (tmp_path / "human/bad.jsonl").write_text('{"text": 7}\n')
    detector = f"{__name__}:LetterDetector"
    manifest = build(tmp_path, detector=detector, language_policy=policy)
    kept = {row["id"]: row for row in rows_of(tmp_path / "out")}
    assert set(kept) == {f"{origin}-0" for origin in origins} | {
        f"{origin}-1" for origin in origins if origin not in left_out
    }
    for origin in {"human", "synthetic"} - left_out:
        assert kept[f"{origin}-1"]["ai_score"] is None
        assert kept[f"{origin}-1"]["origin"] == origin
    rejected = rows_of(tmp_path / "out", "rejected")
    found = [row for row in rejected if row["reason"] == "unscorable"]
    assert {row["id"] for row in found} == {f"{origin}-1" for origin in left_out}
    assert {row["evidence"] for row in found} == {f"language_policy={policy}"}
    assert manifest["books"]["left_out"]["unscorable"] == len(left_out)
    # Empty and unreadable documents are not among those that the detector refused.
    assert manifest["detector"]["unscored"] == {
        **{origin: {"docs": 1, "of": 2, "share": 0.5} for origin in origins},
        "core": {"docs": 0, "of": 0, "share": None},
    }
    assert manifest["options"]["language_policy"] == policy


def test_unscored_documents_are_counted_whatever_else_leaves_them_out(
    tmp_path: Path,
) -> None:
    write_parquet(tmp_path / "human/h.parquet", ["1 2", "1  2", "one", "two"])
    detector = f"{__name__}:LetterDetector"
    manifest = build(tmp_path, detector=detector, target_size=1, unit="docs")
    assert manifest["books"]["kept"] == 1
    nothing = {"docs": 0, "of": 0, "share": None}
    assert manifest["detector"]["unscored"] == {
        "human": {"docs": 2, "of": 4, "share": 0.5},
        "synthetic": nothing,
        "unknown": nothing,
        "core": nothing,
    }


def test_unknown_documents_get_their_origin_from_the_score(tmp_path: Path) -> None:
    write_parquet(tmp_path / "unknown/u.parquet", ["0123456789", "not flagged"])
    build(tmp_path)
    found = {
        row["id"]: (row["origin"], row["origin_evidence"])
        for row in rows_of(tmp_path / "out")
    }
    assert found == {
        "u-0": ("synthetic", "detector=synthetic"),
        "u-1": ("human", "detector=human"),
    }


def test_synthetic_documents_above_the_maximum_score_are_dropped(
    tmp_path: Path,
) -> None:
    write_parquet(tmp_path / "synthetic/s.parquet", ["0123456789", "not flagged"])
    build(tmp_path, max_ai_score=0.5)
    assert [row["id"] for row in rows_of(tmp_path / "out")] == ["s-1"]
    (dropped,) = rows_of(tmp_path / "out", "rejected")
    assert dropped["reason"] == "score_too_high"


def test_without_a_share_nothing_is_dropped_for_the_mixture(corpus: Path) -> None:
    manifest = build(corpus)
    assert manifest["books"]["kept"] == 500
    assert manifest["shares"]["got"]["docs"]["synthetic_fraction"] == 0.6


def test_a_maximum_share_never_costs_a_human_document(corpus: Path) -> None:
    manifest = build(corpus, max_synthetic_fraction=0.1, unit="docs")
    got = manifest["shares"]["got"]["docs"]
    assert (got["human"], got["synthetic"]) == (200, 22)
    below = build(corpus, "below", max_synthetic_fraction=0.9, unit="docs")
    assert below["books"]["kept"] == 500


def test_a_target_size_is_met(corpus: Path) -> None:
    manifest = build(corpus, synthetic_fraction=0.5, unit="docs", target_size=100)
    assert manifest["shares"]["got"]["docs"]["human"] == 50
    assert manifest["shares"]["got"]["docs"]["synthetic"] == 50


def test_a_shortage_shrinks_fails_or_repeats(corpus: Path) -> None:
    shrunk = build(corpus, "a", synthetic_fraction=0.75, unit="docs")
    got = shrunk["shares"]["got"]["docs"]
    assert (got["human"], got["synthetic"]) == (100, 300)
    assert "synthetic text: 600 docs asked for" in shrunk["shares"]["limited_by"]
    with pytest.raises(ShortageError, match="too little synthetic text: 600 docs"):
        build(corpus, "b", synthetic_fraction=0.75, unit="docs", on_shortage="fail")
    repeated = build(
        corpus, "c", synthetic_fraction=0.75, unit="docs", on_shortage="repeat:2"
    )
    got = repeated["shares"]["got"]["docs"]
    assert (got["human"], got["synthetic"]) == (200, 600)
    assert repeated["books"]["kept"] == 500
    assert len(rows_of(corpus / "c")) == 800


def test_an_empty_set_is_an_error_not_a_folder(tmp_path: Path) -> None:
    write_parquet(tmp_path / "synthetic/s.parquet", ["one", "two"])
    with pytest.raises(ShortageError, match=r"would be empty.* copies \(2 read\);"):
        build(tmp_path, synthetic_fraction=0.3)
    assert not (tmp_path / "out/manifest.json").exists()


def test_an_empty_set_says_what_became_of_the_documents(tmp_path: Path) -> None:
    (tmp_path / "human").mkdir()
    (tmp_path / "human/h.jsonl").write_text('no json\n{"text": " "}\nnor this\n')
    said = r"copies \(3 read: 2 dead_letter, 1 unusable_empty\);"
    with pytest.raises(ShortageError, match=said):
        build(tmp_path)


def test_a_size_below_every_document_is_an_error_too(tmp_path: Path) -> None:
    write_parquet(
        tmp_path / "human/h.parquet", ["three words here", "and four more words"]
    )
    with pytest.raises(ShortageError, match="no single document is small enough"):
        build(tmp_path, target_size=2, unit="words")


def test_a_damaged_spool_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "human").mkdir()
    (tmp_path / "human/a.jsonl").write_text('{"text": "fine"}\n')
    first = build(tmp_path, "one")
    (spool,) = (tmp_path / ".synthfilter-cache/spool").iterdir()
    spool.write_bytes(spool.read_bytes()[:20])
    facts, ngrams = (tmp_path / ".synthfilter-cache/facts").rglob("*.parquet")
    for sidecar in (facts, ngrams):
        sidecar.write_bytes(b"cut")
    assert build(tmp_path, "two") == first


def test_bad_rows_are_dead_letters_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "unknown").mkdir()
    (tmp_path / "unknown/a.jsonl").write_bytes(
        b'{"text": "fine"}\n{"text": null}\nnot json\n{"text": 7}\n{"text": " "}\n'
    )
    (tmp_path / "unknown/b.jsonl.gz").write_bytes(b"\x1f\x8b\x08\x00cut")
    (tmp_path / "unknown/c.parquet").write_bytes(b"<html>not found</html>")
    manifest = build(tmp_path)
    assert manifest["books"]["kept"] == 1
    assert manifest["books"]["left_out"]["unusable_empty"] == 1
    assert manifest["books"]["dead_letters"] == 5
    letters = rows_of(tmp_path / "out", "dead_letter")
    places = {(os.path.basename(row["file"]), row["position"]) for row in letters}
    assert {("a.jsonl", f"line {n}") for n in (2, 3, 4)} < places
    assert ("c.parquet", "file") in places
    assert all(row["reason"] for row in letters)


def test_too_long_documents_are_left_out_with_the_reason(tmp_path: Path) -> None:
    write_parquet(tmp_path / "human/h.parquet", ["short", "much longer than that"])
    build(tmp_path, max_document_bytes=10, rejected_text=True)
    (dropped,) = rows_of(tmp_path / "out", "rejected")
    assert dropped["reason"] == "unusable_too_long"
    assert dropped["evidence"] == "max_document_bytes=10"
    assert dropped["text"] == "much longer than that"


def test_further_columns_go_to_metadata(tmp_path: Path) -> None:
    write_parquet(tmp_path / "human/h.parquet", ["one"], language=["en"], stars=[3])
    build(tmp_path)
    (row,) = rows_of(tmp_path / "out")
    assert json.loads(row["metadata"]) == {"language": "en", "stars": 3}
    assert row["source"] == "h.parquet"


def test_a_killed_build_is_taken_up_again(corpus: Path) -> None:
    whole = build(corpus, "whole", synthetic_fraction=0.3)
    claim_output(str(corpus / "out"))
    (corpus / "out/data").mkdir()
    (corpus / "out/data/train-00007-of-00009.parquet").write_bytes(b"half a file")
    again = build(corpus, synthetic_fraction=0.3)
    assert again == whole
    assert file_bytes(corpus / "out") == file_bytes(corpus / "whole")


def test_the_transform_runs_in_a_pipeline_of_its_own(corpus: Path) -> None:
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = pipeline | sf.Build(
            human=[str(corpus / "human/*.parquet")],
            output=str(corpus / "piped"),
            detector=DETECTOR,
        )
    assert read_manifest(str(corpus / "piped"))["books"]["kept"] == 200
    with pytest.raises(UserError, match="piped' is not empty"):
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            _ = pipeline | sf.Build(
                human=[str(corpus / "human")], output=str(corpus / "piped")
            )


def test_batches_cross_shuffles_in_our_coder_and_without_text(corpus: Path) -> None:
    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = pipeline | sf.Build(
        human=[str(corpus / "human")], output=str(corpus / "out"), detector=DETECTOR
    )
    proto = pipeline.to_runner_api()
    parts = proto.components
    shuffled = {
        parts.transforms[name].unique_name: next(
            iter(parts.transforms[name].inputs.values())
        )
        for name in parts.transforms
        if parts.transforms[name].spec.urn == "beam:transform:group_by_key:v1"
    }
    for step in ("SameContent", "SameCells", "ByShard"):
        (collection,) = [p for name, p in shuffled.items() if name.endswith(f"/{step}")]
        coder = parts.coders[parts.pcollections[collection].coder_id]
        value = parts.coders[coder.component_coder_ids[1]]
        assert b"RecordBatchCoder" in value.spec.payload
    for columns in (schema.JUDGED, schema.DECIDED, schema.VERDICT):
        for kind in columns.types:
            assert pa.types.is_integer(kind) or pa.types.is_floating(kind)


def test_another_detector_makes_another_build(corpus: Path) -> None:
    first = build(corpus, "one", threshold=0.5)
    second = build(corpus, "two", threshold=0.5, detector=None)
    assert first["build_id"] != second["build_id"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "name at least one input"),
        ({"human": ["x"], "synthetic_fraction": 1.5}, "between 0 and 1, got 1.5"),
        ({"human": ["x"], "synthetic_fraction": float("nan")}, "between 0 and 1"),
        ({"human": ["x"], "threshold": -1}, "threshold must be between 0 and 1"),
        (
            {"human": ["x"], "synthetic_fraction": 0.1, "max_synthetic_fraction": 0.2},
            "not both",
        ),
        ({"human": ["x"], "unit": "tokens"}, "unit must be one of docs, bytes, words"),
        ({"human": ["x"], "flagged_human": "no"}, "reclassify, drop, keep, got 'no'"),
        ({"human": ["x"], "language_policy": "keep"}, "declared, drop, got 'keep'"),
        ({"human": ["x"], "on_shortage": "repeat:0"}, "shrink, fail or repeat:N"),
        ({"human": ["x"], "keep": ["newest"]}, "keep takes each of reviewed, human"),
        ({"human": ["x"], "fields": ["body"]}, "NAME=COLUMN"),
        ({"human": ["x"], "near_duplicates": 1.2}, r"must be in \(0, 1\], got 1.2"),
        ({"human": ["x"], "near_duplicates": 0}, r"must be in \(0, 1\], got 0"),
        ({"human": ["x"], "shingle_words": 0}, "shingle_words must be from 1 to 100"),
        ({"human": ["x"], "against_ngrams": 13}, "against_ngrams needs against"),
        (
            {"human": ["x"], "against": ["y"], "against_ngrams": 101},
            "against_ngrams must be from 1 to 100 words, got 101",
        ),
        ({"human": ["x"], "max_source_loss": 1.5}, "max_source_loss must be between 0"),
        ({"human": ["x"], "target_size": 0}, "target_size must be at least 1"),
        ({"human": ["x"], "max_shard_bytes": 0}, "max_shard_bytes must be at least 1"),
    ],
)
def test_bad_options_are_named_before_any_work(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        sf.Build(output="nowhere", **options)


def test_the_public_names_are_these() -> None:
    assert sf.__all__ == [
        "Build",
        "Deduplicate",
        "Evaluate",
        "FastTextModelHandler",
        "Mix",
        "Score",
        "ShortageError",
        "Sweep",
        "UserError",
        "WriteShards",
        "__version__",
        "run_build",
        "score_texts",
    ]
    assert all(getattr(sf, name) for name in sf.__all__)
