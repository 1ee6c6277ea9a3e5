import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core import schema
from synthfilter.core.batches import concat_batches
from synthfilter.core.claims import pack
from synthfilter.core.errors import UserError
from synthfilter.core.hashing import hash_texts, hex_hashes
from synthfilter.core.schema import Evidence, Origin, Reason, Says
from synthfilter.inputs import documents
from synthfilter.inputs.blocks import Block, list_inputs, open_file
from synthfilter.inputs.documents import read_documents
from synthfilter.outputs.shards import ShardRows, Show, read_block_rows, write_shard

HUMAN, SYNTHETIC, UNKNOWN, *_ = Origin

LINES = [
    {"text": "kept human", "id": "1", "source": "s", "synth_generation": 5, "x": 1},
    {"text": "reclassified", "id": "2", "source": "s", "url": "u"},
    {"text": 17},
    {"text": "a copy", "id": "4", "source": "s"},
    {"text": "   ", "id": "5", "source": "s"},
    {"text": "not needed", "source": "s"},
    {"text": "too long", "id": "7", "source": "s"},
    {
        "text": "used twice",
        "id": "8",
        "source": "s",
        "parent_ids": ["p"],
        "reviewed": True,
    },
]
# Origin, reason, copies and place in the order of each line.
DECISIONS = [
    (HUMAN, Reason.KEPT, 1, 30),
    (SYNTHETIC, Reason.KEPT, 1, 20),
    (HUMAN, Reason.DEAD_LETTER, 0, 5),
    (HUMAN, Reason.EXACT_COPY, 0, 1),
    (HUMAN, Reason.UNUSABLE_EMPTY, 0, 2),
    (HUMAN, Reason.MIXTURE, 0, 50),
    (HUMAN, Reason.UNUSABLE_TOO_LONG, 0, 4),
    (HUMAN, Reason.KEPT, 2, 10),
]


# What is said of origins: by the flag, and by the detector.
DECLARED_HUMAN, FLAGGED = (
    int(pack({evidence: np.array([says])}, 1)[0])
    for evidence, says in (
        (Evidence.DECLARED, Says.HUMAN),
        (Evidence.DETECTOR, Says.SYNTHETIC),
    )
)


def tell(decisions: pa.RecordBatch) -> pa.Array:
    """What is said beside the reasons of decisions."""
    known = {
        Reason.UNUSABLE_TOO_LONG: "max_document_bytes=5",
        Reason.EXACT_COPY: "of another",
    }
    reasons = decisions.column("reason").to_pylist()
    return pa.array([known.get(reason) for reason in reasons], pa.string())


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_block(kind: str = "jsonl", lines: list[dict] = LINES) -> Block:
    if kind == "jsonl":
        Path("in.jsonl").write_text("\n".join(map(json.dumps, lines)))
    else:
        texts = [t if isinstance(t := line["text"], str) else None for line in lines]
        pq.write_table(pa.table({"text": texts}), "in.parquet", row_group_size=3)
    (file,) = list_inputs({HUMAN: [f"in.{kind}"]})
    (block,) = open_file(file, {}, "spool", 1_000_000)
    return block


def facts_of(block: Block) -> pa.RecordBatch:
    """What reading and scoring found, with a score for each row that has text."""
    read = concat_batches(read_documents(block, ["text"]))
    text = read.column("text").fill_null("")
    hi, lo = hash_texts(text)
    rows = len(text)
    score = np.linspace(0, 1, rows, dtype=np.float32)
    score[4] = np.nan
    values: dict[str, Any] = {
        "content_hi": hi,
        "content_lo": lo,
        "identity": np.arange(rows, dtype=np.uint64),
        "ai_score": score,
        "bytes": [len(t.as_py().encode()) for t in text],
        "words": np.ones(rows, np.int32),
        "reason": np.zeros(rows, np.uint8),
        "error": read.column("error"),
        "position": read.column("position"),
    }
    arrays = [pa.array(values.get(f.name, [None] * rows), f.type) for f in schema.FACTS]
    return pa.RecordBatch.from_arrays(arrays, schema=schema.FACTS)


def decisions_of(rows: list[int]) -> pa.RecordBatch:
    nothing = dict.fromkeys(schema.DECISION.names, 0)
    return pa.RecordBatch.from_pylist(
        [
            {
                **nothing,
                "row": row,
                "order": DECISIONS[row][3],
                "identity": row,
                "bytes": 1,
                "words": 1,
                "declared": HUMAN,
                "origin": DECISIONS[row][0],
                "claims": DECLARED_HUMAN | (DECISIONS[row][0] and FLAGGED),
                "reason": DECISIONS[row][1],
                "copies": DECISIONS[row][2],
            }
            for row in rows
        ],
        schema=schema.DECISION,
    )


def see_nothing(documents: pa.RecordBatch, decisions: pa.RecordBatch) -> None:
    """Looks at nothing."""


def read_rows(
    block: Block,
    chosen: list[int] | None = None,
    rejected_text: bool = False,
    show: Show = see_nothing,
) -> ShardRows:
    rows = ShardRows()
    chosen = list(range(len(LINES))) if chosen is None else chosen
    read_block_rows(
        rows,
        block,
        facts_of(block),
        decisions_of(chosen),
        "b1",
        tell,
        rejected_text,
        show,
    )
    return rows


def write(rows: ShardRows) -> dict[str, list[dict]]:
    """The files that are written, as rows, by folder."""
    files = list(write_shard(rows, "out", 1, 3))
    for file in files:
        assert pq.read_metadata(f"out/{file.path}").num_rows == file.rows
    return {file.path: pq.read_table(f"out/{file.path}").to_pylist() for file in files}


KEPT_FILE = "data/train-00001-of-00003.parquet"
REJECTED_FILE = "rejected/part-00001-of-00003.parquet"
DEAD_FILE = "dead_letter/part-00001-of-00003.parquet"


def test_kept_documents_are_written_in_their_order_as_often_as_decided() -> None:
    files = write(read_rows(make_block()))
    assert list(files) == [KEPT_FILE, REJECTED_FILE, DEAD_FILE]
    assert [row["text"] for row in files[KEPT_FILE]] == [
        "used twice",
        "used twice",
        "reclassified",
        "kept human",
    ]
    written = pq.read_schema(f"out/{KEPT_FILE}")
    assert written.equals(schema.SHARD)


def test_a_document_is_written_with_what_was_found_out_about_it() -> None:
    *_, machine, human = write(read_rows(make_block()))[KEPT_FILE]
    (content,) = hex_hashes(*hash_texts(pa.array(["kept human"]))).to_pylist()
    assert human == {
        "id": "1",
        "text": "kept human",
        "source": "s",
        "created": None,
        "url": None,
        "origin": "human",
        "origin_evidence": "declared=human",
        "generator": None,
        "synth_generation": 0,
        "parent_ids": None,
        "reviewed": None,
        "ai_score": 0.0,
        "content_hash": content,
        "build_id": "b1",
        "metadata": '{"x":1}',
    }
    assert machine["origin"] == "synthetic"
    assert machine["origin_evidence"] == "detector=synthetic declared=human"
    assert machine["synth_generation"] is None
    assert machine["url"] == "u"


def test_what_was_left_out_is_written_with_reason_and_evidence() -> None:
    rejected = write(read_rows(make_block()))[REJECTED_FILE]
    assert [(row["id"], row["reason"], row["evidence"]) for row in rejected] == [
        ("4", "exact_copy", "of another"),
        ("5", "unusable_empty", None),
        (rejected[2]["id"], "mixture", None),
        ("7", "unusable_too_long", "max_document_bytes=5"),
    ]
    assert len(rejected[2]["id"]) == 32
    assert rejected[1]["ai_score"] is None
    assert [row["text"] for row in rejected] == [None] * 4


@pytest.mark.parametrize("chosen", [None, [3, 5]])
def test_the_text_of_what_was_left_out_is_written_if_asked_for(
    chosen: list[int] | None,
) -> None:
    rejected = write(read_rows(make_block(), chosen, True))[REJECTED_FILE]
    assert {"a copy", "not needed"} <= {row["text"] for row in rejected}


def test_what_could_not_be_read_is_a_dead_letter_with_its_place() -> None:
    assert write(read_rows(make_block()))[DEAD_FILE] == [
        {
            "file": "in.jsonl",
            "position": "line 3",
            "stage": "read",
            "reason": "text: expected a string, got int",
        }
    ]


@pytest.mark.parametrize(
    ("chosen", "files"),
    [
        ([0], [KEPT_FILE]),
        ([2], [DEAD_FILE]),
        ([3, 4], [REJECTED_FILE]),
        ([7, 2], [KEPT_FILE, DEAD_FILE]),
        ([], []),
    ],
)
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_kind_without_rows_has_no_file(
    chosen: list[int], files: list[str], kind: str
) -> None:
    assert list(write(read_rows(make_block(kind), chosen))) == files


@given(
    st.lists(st.permutations(range(len(LINES))), min_size=2, max_size=2),
    st.sampled_from([1, 100, 1 << 20]),
    st.sampled_from(["jsonl", "parquet"]),
)
def test_files_do_not_depend_on_the_order_of_decisions_and_batches(
    monkeypatch: pytest.MonkeyPatch, orders: list[list[int]], size: int, kind: str
) -> None:
    block = make_block(kind)
    first = list(write_shard(read_rows(block, orders[0]), "out", 1, 3))
    with monkeypatch.context() as patch:
        patch.setattr(documents, "_BATCH_BYTES", size)
        again = list(write_shard(read_rows(block, orders[1]), "out", 1, 3))
    assert again == first


def test_several_blocks_make_one_shard() -> None:
    rows = read_rows(make_block(), [0, 3])
    more = make_block("parquet")
    told = decisions_of([1, 7])
    read_block_rows(rows, more, facts_of(more), told, "b1", tell, False, see_nothing)
    files = write(rows)
    assert [row["source"] for row in files[KEPT_FILE]] == [
        "in.parquet",
        "in.parquet",
        "in.parquet",
        "s",
    ]
    assert len(files[REJECTED_FILE]) == 1


@pytest.mark.parametrize("change", ["gone", "longer", "null"])
def test_input_that_changes_while_a_build_runs_is_an_error(change: str) -> None:
    block = make_block("parquet")
    facts = facts_of(block)
    if change == "gone":
        Path("in.parquet").unlink()
    else:
        text = None if change == "null" else "kept human!"
        pq.write_table(pa.table({"text": [text] * len(LINES)}), "in.parquet")
    with pytest.raises(UserError, match=r"in\.parquet was read once, and now") as e:
        read_block_rows(
            ShardRows(), block, facts, decisions_of([0]), "b1", tell, False, see_nothing
        )
    assert "\n" not in str(e.value)


def test_everything_is_shown_with_its_text_and_what_was_decided() -> None:
    seen: list[tuple[str, str | None]] = []

    def look(documents: pa.RecordBatch, decisions: pa.RecordBatch) -> None:
        names = documents.schema.names
        text = documents.column("text" if "text" in names else "position").to_pylist()
        reasons = [Reason(code).name for code in decisions["reason"].to_pylist()]
        seen.extend(zip(reasons, text, strict=True))

    rows = read_rows(make_block(), show=look)
    assert sorted(seen) == [
        ("DEAD_LETTER", "line 3"),
        ("EXACT_COPY", "a copy"),
        ("KEPT", "kept human"),
        ("KEPT", "reclassified"),
        ("KEPT", "used twice"),
        ("MIXTURE", "not needed"),
        ("UNUSABLE_EMPTY", "   "),
        ("UNUSABLE_TOO_LONG", "too long"),
    ]
    assert all(batch["text"].null_count == len(batch) for batch in rows.rejected)
