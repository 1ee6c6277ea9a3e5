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
REVIEWED = "reviewed"
LANGUAGE = "language"
CATEGORY = "category"
WEIGHT = "weight"
CLAIMS = "claims"
METADATA = "metadata"
ORIGIN = "origin"
ORIGIN_EVIDENCE = "origin_evidence"
AI_SCORE = "ai_score"
CONTENT_HASH = "content_hash"
BUILD_ID = "build_id"

SUSPICION = "suspicion"

ERROR = "error"
POSITION = "position"
BROKEN_FILE = "broken file: "
"""How an error starts if not only its row is lost, but what else the file held."""

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
RANK = "rank"
SOURCE_KEY = "source_key"
MATCH_HI = "match_hi"
MATCH_LO = "match_lo"
SIMILARITY = "similarity"
MATCH_BUILD = "match_build"
USES = "uses"
DEPTH = "depth"
PARENTS = "parents"
SIGNATURE = "signature"
GROUP = "group"
STRATUM = "stratum"
FRESH = "fresh"

UNITS = ("docs", "bytes", "words")

# A document's address is its block's key and its row there. Both fit into the key of
# its slice, the rows of a block that share all but the last bits of their number.
SLICE_BITS = 10
SLICES_PER_BLOCK = 1 << 20
BLOCKS_PER_FILE = 1 << 20


# The lowest rank is best. Ranks below the first are those of documents of a reference
# set, those below the second of the human archive.
RANK_CORE = 1 << 63
RANK_OTHERS = 3 << 62


class Origin(enum.IntEnum):
    """Who wrote a document; `UNKNOWN` only before the detector has spoken.

    Those declared `REFERENCE` are compared with and never written; those declared
    `CORE` are the human archive, which every build holds whole.
    """

    HUMAN = 0
    SYNTHETIC = 1
    UNKNOWN = 2
    REFERENCE = 3
    CORE = 4


class Evidence(enum.IntEnum):
    """What tells who wrote a document, in the order in which it is believed."""

    REVIEW = 0
    DECLARED = 1  # the flag under which its file was named
    COLUMN = 2  # a column `origin`
    MARK = 3  # embedded in the text or in metadata
    PRODUCER = 4  # columns that a producer of machine text writes
    URL = 5
    LEDGER = 6  # an earlier build or registration holds the text as synthetic
    DATE = 7
    NEAR_LEDGER = 8  # the same of a near copy of the text
    DETECTOR = 9


class Says(enum.IntEnum):
    """What one piece of evidence says."""

    NOTHING = 0
    HUMAN = 1
    SYNTHETIC = 2
    REJECT = 3  # only people: neither may be in a set


class Reason(enum.IntEnum):
    """What became of a document: kept, or the first reason that left it out."""

    KEPT = 0
    DEAD_LETTER = 1
    UNUSABLE_EMPTY = 2
    UNUSABLE_TOO_LONG = 3
    REJECTED_BY_REVIEW = 4
    UNSCORABLE = 5
    CONFLICT = 6
    HUMAN_SCORED_SYNTHETIC = 7
    SCORE_TOO_HIGH = 8
    NO_GROUP = 9
    SHARED_NGRAMS = 10
    REFERENCE_COPY = 11
    EXACT_COPY = 12
    NEAR_COPY = 13
    USED_BEFORE = 14
    TOO_DEEP = 15
    SUSPECT = 16
    MIXTURE = 17


# Origins of what may be written.
WRITTEN = (Origin.HUMAN, Origin.SYNTHETIC, Origin.UNKNOWN, Origin.CORE)
ORIGIN_NAMES = tuple(origin.name.lower() for origin in Origin)
EVIDENCE_NAMES = tuple(evidence.name.lower() for evidence in Evidence)
SAYS_NAMES = tuple(says.name.lower() for says in Says)
REASON_NAMES = tuple(reason.name.lower() for reason in Reason)

# Words for who wrote a text, in labels of a detector and in columns of data sets.
SYNTHETIC_NAMES = ("synthetic", "machine", "ai", "generated", "1")
HUMAN_NAMES = ("human", "real", "0")

# Reasons that say that the text is in the set, or must not be, in another document.
COPY_REASONS = (Reason.REFERENCE_COPY, Reason.EXACT_COPY, Reason.NEAR_COPY)

# Reasons for which there is no text to score.
UNUSABLE = (Reason.DEAD_LETTER, Reason.UNUSABLE_EMPTY, Reason.UNUSABLE_TOO_LONG)

# What a build, an inspection and the README say about each reason.
REASON_TEXTS = {
    Reason.DEAD_LETTER: "could not be read (see dead_letter/)",
    Reason.UNUSABLE_EMPTY: "no text",
    Reason.UNUSABLE_TOO_LONG: "longer than max_document_bytes",
    Reason.REJECTED_BY_REVIEW: "a reviewer rejected it",
    Reason.UNSCORABLE: "no score: too short, foreign, a table or code",
    Reason.CONFLICT: "what is said of its origin disagrees",
    Reason.HUMAN_SCORED_SYNTHETIC: "declared human, scored as machine text",
    Reason.SCORE_TOO_HIGH: "synthetic and above max_ai_score",
    Reason.NO_GROUP: "in no group of the mixture",
    Reason.SHARED_NGRAMS: "shares a run of words with the reference set",
    Reason.REFERENCE_COPY: "a copy or near copy of a reference document",
    Reason.EXACT_COPY: "the same text as a document that ranks higher",
    Reason.NEAR_COPY: "nearly the text of a kept document that ranks higher",
    Reason.USED_BEFORE: "used, it or a near copy, in max_uses builds before",
    Reason.TOO_DEEP: "more than max_generation rounds from human text",
    Reason.SUSPECT: "counts as human, but is likely enough to be hidden machine text",
    Reason.MIXTURE: "more of its group than the share or size asked for",
}

# Computed from one document alone; the sidecar of a block. No text. Claims are those of
# the document itself (column, mark, producer); a weight that is missing, negative or no
# number is 1.
FACTS = pa.schema(
    [
        (CONTENT_HI, pa.uint64()),
        (CONTENT_LO, pa.uint64()),
        (IDENTITY, pa.uint64()),
        (AI_SCORE, pa.float32()),
        (BYTES, pa.int32()),
        (WORDS, pa.int32()),
        (CREATED, pa.int64()),
        (REVIEWED, pa.uint8()),
        (SOURCE, pa.string()),
        (CLAIMS, pa.uint32()),
        (URL, pa.string()),
        (LANGUAGE, pa.string()),
        (CATEGORY, pa.string()),
        (WEIGHT, pa.float32()),
        (SYNTH_GENERATION, pa.int32()),
        (PARENTS, pa.list_(pa.uint64())),
        (REASON, pa.uint8()),
        (ERROR, pa.string()),
        (POSITION, pa.string()),
    ]
)

# What is said of a document's origin, the detector's word included; and what the
# detector saw of it, see `decisions.survey.suspicion`.
_SAID = [(CLAIMS, pa.uint32()), (SUSPICION, pa.uint16())]
# What the mixture knows a document by: its group, one number for those in none; the key
# of its stratum; whether it is fresh; and its weight in the random order.
NO_GROUP = 255
_MIXED = [
    (GROUP, pa.uint8()),
    (STRATUM, pa.int64()),
    (FRESH, pa.uint8()),
    (WEIGHT, pa.float32()),
]

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
        (RANK, pa.uint64()),
        (SOURCE_KEY, pa.uint64()),
        (DECLARED, pa.uint8()),
        (ORIGIN, pa.uint8()),
        (REASON, pa.uint8()),
        *_SAID,
        *_MIXED,
    ]
)

# What a document is left out for, where that is another document: its content hash,
# how similar the two are, the number of the build that had it, how many builds had it;
# and one more than the document's own generation. Zeros where there is none.
_MATCH = [
    (MATCH_HI, pa.uint64()),
    (MATCH_LO, pa.uint64()),
    (SIMILARITY, pa.float32()),
    (MATCH_BUILD, pa.uint64()),
    (USES, pa.int32()),
    (DEPTH, pa.int32()),
]

# After that: its place in the random order instead of its content.
DECIDED = pa.schema(
    [
        (BLOCK, pa.int64()),
        (ROW, pa.int32()),
        (ORDER, pa.uint64()),
        (IDENTITY, pa.uint64()),
        (BYTES, pa.int32()),
        (WORDS, pa.int32()),
        (RANK, pa.uint64()),
        (SOURCE_KEY, pa.uint64()),
        (DECLARED, pa.uint8()),
        (ORIGIN, pa.uint8()),
        (REASON, pa.uint8()),
        *_SAID,
        *_MIXED,
        *_MATCH,
    ]
)

_BEFORE_CHOICE = (RANK, SOURCE_KEY, *(name for name, _ in _MIXED))

# And with the last decision: how often it is in the set.
DECISION = pa.schema(
    [
        *(field for field in DECIDED if field.name not in _BEFORE_CHOICE),
        (COPIES, pa.int32()),
    ]
)

# Of that, what has to travel: the rest stands in the sidecar of the block.
VERDICT = pa.schema(
    [
        DECISION.field(name)
        for name in (
            BLOCK,
            ROW,
            ORIGIN,
            REASON,
            *(name for name, _ in (*_SAID, *_MATCH)),
            COPIES,
        )
    ]
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
        (REVIEWED, pa.bool_()),
        (ORIGIN, pa.string()),
        (LANGUAGE, pa.string()),
        (CATEGORY, pa.string()),
        (WEIGHT, pa.float32()),
        (CLAIMS, pa.uint32()),
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
        (REVIEWED, pa.bool_()),
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
