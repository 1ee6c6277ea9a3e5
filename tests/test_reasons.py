"""What is said of the documents that were left out."""

import pyarrow as pa

from synthfilter.core import schema
from synthfilter.core.schema import Origin, Reason
from synthfilter.detection.lengths import Threshold
from synthfilter.reasons import tell_evidence


def told(*decisions: dict[str, float]) -> list[str | None]:
    nothing = dict.fromkeys(schema.DECISION.names, 0)
    rows = pa.RecordBatch.from_pylist(
        [{**nothing, **decision} for decision in decisions], schema=schema.DECISION
    )
    options = {Reason.SHARED_NGRAMS: "against_ngrams=13"}
    threshold = Threshold.constant(0.5, "given")
    conflicts = ("marked_human=drop", "early_synthetic=drop")
    return tell_evidence(rows, threshold, options, conflicts).to_pylist()


def test_the_evidence_of_a_copy_is_the_other_document_and_how_near_it_is() -> None:
    match = {"match_hi": 0xAB, "match_lo": 1}
    name = f"{0xAB:016x}{1:016x}"
    assert told(
        {"reason": Reason.EXACT_COPY, "similarity": 1, **match},
        {"reason": Reason.NEAR_COPY, "similarity": 0.8125, **match},
        {"reason": Reason.REFERENCE_COPY, "similarity": 1, **match},
        {"reason": Reason.REFERENCE_COPY, "similarity": 0.9, **match},
    ) == [
        name,
        f"{name} similarity 0.812",
        f"{name} similarity 1.000",
        f"{name} similarity 0.900",
    ]


def test_the_evidence_of_a_filter_is_the_option_behind_it() -> None:
    assert told(
        {"reason": Reason.SHARED_NGRAMS},
        {"reason": Reason.HUMAN_SCORED_SYNTHETIC, "words": 9},
        {"reason": Reason.MIXTURE},
    ) == ["against_ngrams=13", "threshold=0.5", None]


def test_the_evidence_of_a_conflict_is_the_policy_for_what_was_declared() -> None:
    assert told(
        {"reason": Reason.CONFLICT, "origin": Origin.HUMAN},
        {"reason": Reason.CONFLICT, "origin": Origin.SYNTHETIC},
    ) == ["marked_human=drop", "early_synthetic=drop"]


def test_of_no_documents_nothing_is_said() -> None:
    assert told() == []
