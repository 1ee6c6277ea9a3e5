"""Column names, codes and Arrow schemas: each is written here and nowhere else."""

import enum

import numpy as np
import pyarrow as pa

TEXT = "text"
ID = "id"
SOURCE = "source"
CREATED = "created"
URL = "url"
GENERATOR = "generator"
SYNTH_GENERATION = "synth_generation"
PARENT_IDS = "parent_ids"
METADATA = "metadata"
ORIGIN = "origin"
ORIGIN_EVIDENCE = "origin_evidence"
AI_SCORE = "ai_score"
CONTENT_HASH = "content_hash"
BUILD_ID = "build_id"

ERROR = "error"
POSITION = "position"

BLOCK = "block"
ROW = "row"
CONTENT_HI = "content_hi"
CONTENT_LO = "content_lo"
IDENTITY = "identity"
BYTES = "bytes"
WORDS = "words"
ORDER = "order"
DECLARED = "declared"
REASON = "reason"
COPIES = "copies"
EVIDENCE = "evidence"

UNITS = ("docs", "bytes", "words")

# A document's address is its block's key and its row there. Both fit into the key of
# its slice, the rows of a block that share all but the last bits of their number.
SLICE_BITS = 10
SLICES_PER_BLOCK = 1 << 20
BLOCKS_PER_FILE = 1 << 20


class Origin(enum.IntEnum):
    """Who wrote a document; `UNKNOWN` only before the detector has spoken."""

    HUMAN = 0
    SYNTHETIC = 1
    UNKNOWN = 2


class Reason(enum.IntEnum):
    """What became of a document: kept, or the first reason that left it out."""

    KEPT = 0
    DEAD_LETTER = 1
    UNUSABLE_EMPTY = 2
    UNUSABLE_TOO_LONG = 3
    UNSCORABLE = 4
    HUMAN_SCORED_SYNTHETIC = 5
    SCORE_TOO_HIGH = 6
    EXACT_COPY = 7
    MIXTURE = 8


ORIGIN_NAMES = tuple(origin.name.lower() for origin in Origin)
REASON_NAMES = tuple(reason.name.lower() for reason in Reason)

# What a build, an inspection and the README say about each reason.
REASON_TEXTS = {
    Reason.DEAD_LETTER: "could not be read (see dead_letter/)",
    Reason.UNUSABLE_EMPTY: "no text",
    Reason.UNUSABLE_TOO_LONG: "longer than max_document_bytes",
    Reason.UNSCORABLE: "of unknown origin; too short or foreign for the detector",
    Reason.HUMAN_SCORED_SYNTHETIC: "declared human, scored as machine text",
    Reason.SCORE_TOO_HIGH: "synthetic and above max_ai_score",
    Reason.EXACT_COPY: "the same text as a document that ranks higher",
    Reason.MIXTURE: "more of its origin than the share or size asked for",
}

# Computed from one document alone; the sidecar of a block. No text.
FACTS = pa.schema(
    [
        (CONTENT_HI, pa.uint64()),
        (CONTENT_LO, pa.uint64()),
        (IDENTITY, pa.uint64()),
        (AI_SCORE, pa.float32()),
        (BYTES, pa.int32()),
        (WORDS, pa.int32()),
        (CREATED, pa.int64()),
        (REASON, pa.uint8()),
        (ERROR, pa.string()),
        (POSITION, pa.string()),
    ]
)

# What travels of a document until copies are found: where it is, and what decides.
JUDGED = pa.schema(
    [
        (BLOCK, pa.int64()),
        (ROW, pa.int32()),
        (CONTENT_HI, pa.uint64()),
        (CONTENT_LO, pa.uint64()),
        (IDENTITY, pa.uint64()),
        (BYTES, pa.int32()),
        (WORDS, pa.int32()),
        (CREATED, pa.int64()),
        (DECLARED, pa.uint8()),
        (ORIGIN, pa.uint8()),
        (REASON, pa.uint8()),
    ]
)

# After that: its place in the random order instead of its content.
DECIDED = pa.schema(
    [
        (BLOCK, pa.int64()),
        (ROW, pa.int32()),
        (ORDER, pa.uint64()),
        (IDENTITY, pa.uint64()),
        (BYTES, pa.int32()),
        (WORDS, pa.int32()),
        (DECLARED, pa.uint8()),
        (ORIGIN, pa.uint8()),
        (REASON, pa.uint8()),
    ]
)

# And with the last decision: how often it is in the set.
DECISION = pa.schema([*DECIDED, (COPIES, pa.int32())])

# Of that, what has to travel: the rest stands in the sidecar of the block.
VERDICT = pa.schema(
    [DECISION.field(name) for name in (BLOCK, ROW, ORIGIN, REASON, COPIES)]
)

# What is read of a document, under its one name, whatever the input called it.
DOCUMENT = pa.schema(
    [
        (ID, pa.string()),
        (TEXT, pa.large_string()),
        (SOURCE, pa.string()),
        (CREATED, pa.string()),
        (URL, pa.string()),
        (GENERATOR, pa.string()),
        (SYNTH_GENERATION, pa.int32()),
        (PARENT_IDS, pa.list_(pa.string())),
        (METADATA, pa.string()),
    ]
)

# A spooled file: documents, and a row for each record that could not be read.
SPOOL = pa.schema([*DOCUMENT, (ERROR, pa.string()), (POSITION, pa.string())])

SHARD = pa.schema(
    [
        (ID, pa.string()),
        (TEXT, pa.large_string()),
        (SOURCE, pa.string()),
        (CREATED, pa.string()),
        (URL, pa.string()),
        (ORIGIN, pa.string()),
        (ORIGIN_EVIDENCE, pa.string()),
        (GENERATOR, pa.string()),
        (SYNTH_GENERATION, pa.int32()),
        (PARENT_IDS, pa.list_(pa.string())),
        (AI_SCORE, pa.float32()),
        (CONTENT_HASH, pa.string()),
        (BUILD_ID, pa.string()),
        (METADATA, pa.string()),
    ]
)

REJECTED = pa.schema([*SHARD, (REASON, pa.string()), (EVIDENCE, pa.string())])

DEAD_LETTER = pa.schema(
    [
        ("file", pa.string()),
        (POSITION, pa.string()),
        ("stage", pa.string()),
        (REASON, pa.string()),
    ]
)


def slice_keys(block: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Returns the key of the slice that each document is in, int64."""
    return block * SLICES_PER_BLOCK + (row >> SLICE_BITS)
