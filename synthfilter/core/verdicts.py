"""Verdicts: what reviewers said of documents. Columns, codes, and one row's checks."""

import enum

import pyarrow as pa

from synthfilter.core import schema
from synthfilter.core.uses import TIME

VERDICT = "verdict"
REVIEWER = "reviewer"
NOTE = "note"
FOCUS = "focus"
PROBABILITY = "probability"


class Verdict(enum.IntEnum):
    """What a text is by what its reviewers say; `NONE`: they do not settle it."""

    NONE = 0
    HUMAN = 1
    SYNTHETIC = 2
    REJECT = 3


UNSURE = "unsure"
# What a reviewer may say. By code; the first is also what no verdict comes of.
VERDICT_NAMES = (UNSURE, *(verdict.name.lower() for verdict in list(Verdict)[1:]))

# Ways to pick documents for review. Those of the first kind are drawn by chance from a
# set, so that they tell of all the others in it; SCORED draws from what is left out for
# its score, too; what the rest picks stands for itself alone.
RANDOM_FOCUSES = ("random", "synthetic")
SCORED = "scored"
FOCUSES = ("threshold", "conflicts", *RANDOM_FOCUSES, SCORED)

# A row for each time that somebody judged a document: which one, what was said, by
# whom and when; how the build that was reviewed counted it; and how it came to be
# reviewed, with the probability that it would be.
VERDICTS = pa.schema(
    [
        pa.field(schema.CONTENT_HASH, pa.string(), nullable=False),
        pa.field(schema.ID, pa.string()),
        pa.field(VERDICT, pa.string(), nullable=False),
        pa.field(REVIEWER, pa.string(), nullable=False),
        pa.field(TIME, pa.timestamp("us", "UTC"), nullable=False),
        pa.field(NOTE, pa.string()),
        pa.field(schema.BUILD_ID, pa.string()),
        pa.field(schema.ORIGIN, pa.string()),
        pa.field(FOCUS, pa.string()),
        pa.field(PROBABILITY, pa.float64()),
    ]
)

# The same as files have it: of some nobody says when they were.
GIVEN = VERDICTS.set(
    VERDICTS.get_field_index(TIME), pa.field(TIME, pa.timestamp("us", "UTC"))
)
