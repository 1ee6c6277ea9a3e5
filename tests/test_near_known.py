"""Texts near to what a ledger knows: the steps alone, under any borders."""

import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from synthfilter.annotate import annotate_all
from synthfilter.core import schema
from synthfilter.core.batches import column
from synthfilter.core.claims import claim_of
from synthfilter.core.hashing import hex_hashes
from synthfilter.core.schema import Evidence, Origin, Reason, Says
from synthfilter.core.uses import SIGNATURE, store_signatures
from synthfilter.decisions.decide import judge_facts
from synthfilter.decisions.origin import OutsideEvidence
from synthfilter.identity import BuildIdentity
from synthfilter.inputs.blocks import Block
from synthfilter.inputs.sidecars import save_signatures
from synthfilter.ledger.commit import commit_use
from synthfilter.ledger.table import open_ledger
from synthfilter.near_known import (
    add_near_evidence,
    match_texts,
    sign_texts,
)

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)


def prose(number: int, changes: int = 0) -> str:
    random = np.random.default_rng(number)
    words = [f"w{word}" for word in random.integers(0, 50_000, 100)]
    for place in range(5, 5 + 20 * changes, 20):
        words[place] = f"other{place}"
    return " ".join(words)


def annotated(texts: list[str]) -> tuple[pa.RecordBatch, np.ndarray]:
    rows = [{"id": f"{i}", "text": text} for i, text in enumerate(texts)]
    found = annotate_all(
        pa.RecordBatch.from_pylist(rows, schema=schema.SPOOL), None, 1 << 20, 5
    )
    return found.facts, found.signatures


def block_of(key: int, rows: int, declared: Origin) -> Block:
    return Block(
        key=key,
        file="f",
        path="f",
        fingerprint="f",
        declared=declared,
        mapping={},
        first_group=0,
        stop_group=1,
        rows=rows,
        first_row=0,
        bytes=1,
        spooled=False,
    )


def remember(path: str, texts: dict[str, tuple[str, str]]) -> None:
    """Puts texts with origin and evidence into a ledger."""
    facts, signatures = annotated(list(texts))
    hashes = hex_hashes(column(facts, "content_hi"), column(facts, "content_lo"))
    origins, evidence = zip(*texts.values(), strict=True)
    rows = {
        schema.CONTENT_HASH: hashes,
        schema.ID: hashes,
        schema.ORIGIN: pa.array(origins),
        schema.ORIGIN_EVIDENCE: pa.array(evidence),
        SIGNATURE: store_signatures(signatures),
    }
    commit_use(path, "build1", [pa.RecordBatch.from_pydict(rows)], NOW)


DECLARED = ("synthetic", "declared=synthetic")
KNOWN = {
    prose(1): DECLARED,
    prose(2): ("human", "declared=human"),
    prose(3): ("synthetic", "detector=synthetic"),
    prose(4): ("synthetic", "near_ledger=synthetic"),
    prose(5): ("synthetic", "ledger=synthetic near_ledger=synthetic"),
    prose(6): ("synthetic", "url=synthetic"),
    prose(7): DECLARED,
}
# Near copies of all that is known; the seventh is the same text; the last is far.
TEXTS = [*(prose(i, 1) for i in range(1, 7)), prose(7), prose(6, 5), "", prose(1, 1)]
NEAR = [0, 5, 9]


@pytest.fixture
def identity(tmp_path: Path) -> BuildIdentity:
    path = str(tmp_path / "ledger")
    remember(path, KNOWN)
    return BuildIdentity("build2", open_ledger(path))


def near_of(
    folder: Path,
    identity: BuildIdentity,
    parts: int,
    cuts: list[int],
    declared: Origin = Origin.UNKNOWN,
) -> list[int]:
    """The rows of `TEXTS` that are found near, cut into blocks and parts."""
    facts, signatures = annotated(TEXTS)
    signed: dict[int, list[pa.RecordBatch]] = {}
    for start, stop in zip([0, *cuts], [*cuts, len(TEXTS)], strict=True):
        path = str(folder / f"{start}-{stop}")
        save_signatures(signatures[start:stop], path, True)
        block = block_of(start, stop - start, declared)
        element = (block, facts.slice(start, stop - start))
        for part, rows in sign_texts(element, identity, lambda _, at=path: at, parts):
            signed.setdefault(part, []).append(rows)
    near = [match_texts((part, rows), identity, 0.8) for part, rows in signed.items()]
    judged = judge_facts(
        facts, 0, declared, np.ones(len(TEXTS), "f4"), None, OutsideEvidence(), ()
    )
    found = column(add_near_evidence(judged, near), schema.CLAIMS)
    said = claim_of(found, Evidence.NEAR_LEDGER)
    assert set(said.tolist()) <= {Says.NOTHING, Says.SYNTHETIC}
    return np.flatnonzero(said).tolist()


@pytest.mark.parametrize(("parts", "cuts"), [(1, []), (3, [1, 4]), (7, [5, 9])])
def test_what_is_near_to_a_known_machines_text_is_found_in_any_blocks_and_parts(
    tmp_path: Path, identity: BuildIdentity, parts: int, cuts: list[int]
) -> None:
    assert near_of(tmp_path, identity, parts, cuts) == NEAR


@pytest.mark.parametrize("declared", [Origin.SYNTHETIC, Origin.CORE, Origin.REFERENCE])
def test_of_what_is_settled_when_it_is_declared_nothing_is_asked(
    tmp_path: Path, identity: BuildIdentity, declared: Origin
) -> None:
    assert near_of(tmp_path, identity, 1, [], declared) == []


def test_without_a_ledger_no_text_travels(tmp_path: Path) -> None:
    nothing = BuildIdentity("build2", None)
    facts, _ = annotated(TEXTS)
    block = block_of(0, len(TEXTS), Origin.UNKNOWN)
    # Not even signatures are read.
    assert not list(sign_texts((block, facts), nothing, lambda _: "nowhere", 1))


def test_a_ledger_without_rows_of_a_build_knows_nothing_of_it(
    tmp_path: Path, identity: BuildIdentity
) -> None:
    assert identity.ledger is not None
    DeltaTable(identity.ledger.path).delete("build_id = 'build1'")
    later = BuildIdentity("build2", open_ledger(identity.ledger.path))
    assert near_of(tmp_path, later, 1, []) == []
    # What the build saw, it sees again.
    assert near_of(tmp_path, identity, 1, []) == NEAR


def test_what_is_out_for_good_is_told_nothing() -> None:
    facts, _ = annotated(["", prose(1)])
    judged = judge_facts(
        facts, 0, Origin.UNKNOWN, np.ones(2, "f4"), None, OutsideEvidence(), ()
    )
    assert column(judged, schema.REASON)[0] == Reason.UNUSABLE_EMPTY
    names = [schema.CONTENT_HI, schema.CONTENT_LO]
    told = add_near_evidence(judged, [judged.select(names)])
    said = claim_of(column(told, schema.CLAIMS), Evidence.NEAR_LEDGER)
    assert said.tolist() == [Says.NOTHING, Says.SYNTHETIC]
