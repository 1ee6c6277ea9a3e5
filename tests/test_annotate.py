"""What one document alone says, as it comes to the decisions."""

from pathlib import Path
from typing import Any

import apache_beam as beam
import c2pa_text
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.typehints import typehints

from synthfilter.annotate import COLUMNS, annotate, annotate_block
from synthfilter.core import schema
from synthfilter.core.claims import tell_claims
from synthfilter.core.schema import Origin
from synthfilter.elements import TEXT_LIMIT, packing_of
from synthfilter.embed import carry_documents
from synthfilter.inputs import documents
from synthfilter.inputs.blocks import list_inputs, open_file
from synthfilter.inputs.sidecars import find_facts, no_facts, save_facts

MANIFEST = b"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
WRAPPED = "By the sea." + c2pa_text.encode_wrapper(MANIFEST)
ROWS = [
    {"text": "One.", "origin": "human", "url": "https://a.org/1", "lang": "en"},
    {"text": WRAPPED, "generator": "ours", "url": None, "lang": None},
    {"text": "Two.", "digitalSourceType": "trainedAlgorithmicMedia"},
    {"text": WRAPPED, "origin": "ai", "generator": "human"},
    {"text": "Three."},
]
TOLD = [
    "column=human",
    "mark=synthetic producer=synthetic",
    "mark=synthetic",
    "column=synthetic mark=synthetic producer=human",
    "",
]
KEYS = ("text", "origin", "generator", "digitalSourceType", "url", "lang")
TABLE = pa.Table.from_pylist([{key: row.get(key) for key in KEYS} for row in ROWS])


def told(facts: pa.RecordBatch) -> list[str]:
    return tell_claims(facts.column(schema.CLAIMS).to_numpy()).to_pylist()


@pytest.mark.parametrize("batch_bytes", [1, 1 << 22])
def test_facts_have_all_claims_of_a_document_and_what_to_decide_by(
    batch_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "_BATCH_BYTES", batch_bytes)
    path = str(tmp_path / "t.parquet")
    pq.write_table(TABLE, path)
    (file,) = list_inputs({Origin.UNKNOWN: [path]})
    (block,) = open_file(file, {}, str(tmp_path / "spool"), 1_000_000)
    facts = annotate_block(block, None, 1_000_000).facts
    assert facts.schema == schema.FACTS
    assert told(facts) == TOLD
    assert facts.column(schema.URL).to_pylist()[:2] == ["https://a.org/1", None]
    assert facts.column(schema.LANGUAGE).to_pylist()[:2] == ["en", None]
    sidecar = str(tmp_path / "facts.parquet")
    save_facts(facts, sidecar)
    found = find_facts(sidecar, len(ROWS))
    assert found is not None and told(found) == TOLD


def elements(kind: str) -> tuple[Any, Any]:
    """The rows as one batch of elements of a kind, and the type of an element."""
    if kind == "batch":
        return TABLE.to_batches()[0], pa.RecordBatch
    if kind == "dict":
        return ROWS, typehints.Dict[str, Any]
    fields = [(key, typehints.Optional[str]) for key in KEYS]
    rows = [beam.Row(**{key: row.get(key) for key in KEYS}) for row in ROWS]
    return rows, beam.typehints.row_type.RowTypeConstraint.from_fields(fields)


@pytest.mark.parametrize("kind", ["dict", "row", "batch"])
def test_documents_of_a_pipeline_say_the_same_but_for_the_origin_that_we_gave(
    kind: str,
) -> None:
    found, of_type = elements(kind)
    packing = packing_of(of_type, {})
    facts = annotate(packing.documents(found, COLUMNS), None, TEXT_LIMIT)
    assert told(facts) == [
        " ".join(part for part in said.split() if not part.startswith("column"))
        for said in TOLD
    ]
    assert carry_documents(found, packing, ()).num_rows == len(ROWS)


def test_a_mark_leaves_the_content_hash_to_the_text() -> None:
    batch = packing_of(pa.RecordBatch, {}).documents(TABLE.to_batches()[0], COLUMNS)
    facts = annotate(batch, None, TEXT_LIMIT).to_pylist()
    assert facts[1][schema.CONTENT_LO] == facts[3][schema.CONTENT_LO]
    assert facts[1][schema.BYTES] == len(WRAPPED.encode())


@pytest.mark.parametrize(
    ("weight", "wanted"),
    [(2.5, 2.5), (0.0, 0.0), (-1.0, 1.0), (None, 1.0), (np.nan, 1.0), (np.inf, 1.0)],
)
def test_a_weight_that_is_none_is_one(weight: float | None, wanted: float) -> None:
    batch = pa.RecordBatch.from_pydict(
        {"text": ["a"], "w": pa.array([weight], pa.float64())}
    )
    packing = packing_of(pa.RecordBatch, {"weight": "w"})
    facts = annotate(packing.documents(batch, COLUMNS), None, TEXT_LIMIT)
    assert facts.column(schema.WEIGHT).to_pylist() == [wanted]
    assert facts.column(schema.WEIGHT).null_count == 0


def test_no_documents_have_no_facts() -> None:
    batch = packing_of(pa.RecordBatch, {}).documents(TABLE.to_batches()[0], COLUMNS)
    assert annotate(batch.slice(0, 0), None, TEXT_LIMIT).equals(no_facts())
