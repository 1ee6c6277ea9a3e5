"""The true share as Beam steps: what is likely of all documents, and who must go.

Facts about all documents make an estimate, once; the mixture is planned with it.
"""

from collections.abc import Iterator
from typing import Optional

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import AsSingleton

from synthfilter.core import schema
from synthfilter.core.batches import column, with_values
from synthfilter.core.hashing import hash_names
from synthfilter.core.profiles import Profiles
from synthfilter.core.schema import Origin, Reason
from synthfilter.decisions.counted import COUNTED
from synthfilter.decisions.decide import weights
from synthfilter.decisions.survey import (
    Survey,
    add_surveys,
    group_keys,
    is_asked,
    survey,
)
from synthfilter.decisions.truth import Truth, estimate_truth, is_suspect
from synthfilter.inputs.blocks import Block

_BY_SCORE = (Reason.HUMAN_SCORED_SYNTHETIC, Reason.SCORE_TOO_HIGH)


def find_truth(
    decided: beam.PCollection,
    profiles: Optional[Profiles],
    unit: str,
    fraction: Optional[float],
    on_hidden: str,
) -> tuple[beam.PCollection, beam.PCollection]:
    """Returns the documents without those that must go, and the one `Truth`.

    Args:
      decided: `schema.DECIDED` batches.
      profiles: What the detector's scores look like; None: unknown.
      unit: Of the shares.
      fraction: The synthetic share to hold, by estimate; None: none is.
      on_hidden: See `decisions.truth.estimate_truth`.
    """
    truth = (
        decided
        | "Survey" >> beam.Map(survey_batch, unit)
        | "AddSurveys" >> beam.CombineGlobally(add_surveys)
        | "EstimateTruth" >> beam.Map(estimate_truth, profiles, fraction, on_hidden)
    )
    kept = decided | "DropSuspects" >> beam.Map(
        drop_suspects, AsSingleton(truth)
    ).with_output_types(pa.RecordBatch)
    return kept, truth


def survey_batch(decided: pa.RecordBatch, unit: str) -> Survey:
    """Returns the survey of `schema.DECIDED` rows."""
    reason = column(decided, schema.REASON)
    alive = reason == Reason.KEPT
    # What goes for its score counts among what the detector saw.
    seen = alive | np.isin(reason, _BY_SCORE)
    # What was used before still shows how text of a known origin scores.
    used = np.isin(reason, (Reason.USED_BEFORE, Reason.TOO_DEEP))
    seen |= used & ~is_asked(column(decided, schema.SUSPICION))
    rows = decided.filter(pa.array(seen))
    suspicions = column(rows, schema.SUSPICION)
    # What is known of text in the same files tells of what hides there; synthetic text
    # that was brought along, or an archive, need not be like it.
    beside = np.isin(column(rows, schema.DECLARED), (Origin.HUMAN, Origin.UNKNOWN))
    return survey(
        _groups_of(rows),
        column(rows, schema.WORDS),
        np.where(beside, suspicions, np.zeros_like(suspicions)),
        column(rows, schema.ORIGIN),
        weights(rows, unit),
        alive[seen],
    )


def drop_suspects(decided: pa.RecordBatch, truth: Truth) -> pa.RecordBatch:
    """Returns the rows with a reason for those that are too suspect to stay."""
    suspect = is_suspect(
        truth,
        _groups_of(decided),
        column(decided, schema.WORDS),
        column(decided, schema.SUSPICION),
        column(decided, schema.ORDER),
    )
    suspect &= column(decided, schema.REASON) == Reason.KEPT
    suspect &= column(decided, schema.ORIGIN) == Origin.HUMAN
    if not suspect.any():
        return decided
    rows = np.flatnonzero(suspect)
    return with_values(
        decided, rows, {schema.REASON: np.full(len(rows), Reason.SUSPECT, np.uint8)}
    )


def _groups_of(decided: pa.RecordBatch) -> np.ndarray:
    return group_keys(
        column(decided, schema.DECLARED), column(decided, schema.SOURCE_KEY)
    )


def name_groups(
    element: tuple[Block, pa.RecordBatch], truth: Truth
) -> Iterator[tuple[str, str]]:
    """Yields `(key in hex, name)` of the groups of a block that are told apart."""
    block, facts = element
    names = facts.column(schema.SOURCE).unique()
    declared = np.full(len(names), block.declared, np.uint8)
    keys = group_keys(declared, hash_names(names))
    mine = truth.groups.number(keys) < len(truth.groups.keys)
    for key, name, wanted in zip(
        keys.tolist(), names.to_pylist(), mine.tolist(), strict=True
    ):
        if wanted:
            said = schema.ORIGIN_NAMES[block.declared]
            # Beam cannot encode a number of 64 bits without a sign.
            yield f"{key:016x}", f"{said}: {name or 'no source'}"


def true_shares(truth: Truth, estimated: bool) -> tuple[float, float]:
    """Returns how much of what counts as human and as synthetic is synthetic.

    Args:
      truth: What is likely.
      estimated: Whether to go by that; else by what it counts as.
    """
    if not estimated:
        return COUNTED
    return truth.human_share, truth.synthetic_share
