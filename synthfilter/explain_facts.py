"""The facts that `synthfilter explain` tells of one document, from its own row.

What the row, the options and the estimates of a manifest say; nothing else is read.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Optional

import pyarrow as pa

from synthfilter.core import schema
from synthfilter.core.claims import pack_one
from synthfilter.core.schema import (
    EVIDENCE_NAMES,
    ORIGIN_NAMES,
    REASON_NAMES,
    SAYS_NAMES,
    Evidence,
    Origin,
    Reason,
    Says,
)
from synthfilter.core.text import count_words, normalise
from synthfilter.core.uses import HASH_DIGITS
from synthfilter.decisions.chain import trace
from synthfilter.decisions.origin import OriginRules, settle_claims
from synthfilter.detection.lengths import Threshold
from synthfilter.explain_files import KEPT, Match
from synthfilter.review_sample import parse_evidence

_REUSED = (REASON_NAMES[Reason.USED_BEFORE], REASON_NAMES[Reason.TOO_DEEP])
_COPIES = tuple(REASON_NAMES[reason] for reason in schema.COPY_REASONS)
_SIMILARITY = re.compile(r"similarity (\S+)")
# Characters of a text that are told of.
_BEGINNING = 2000

Row = dict[str, Any]


def letter_facts(match: Match, row: Row) -> Row:
    """Returns the facts of a record that could not be read."""
    return {
        "reason": REASON_NAMES[Reason.DEAD_LETTER],
        "file": match.path,
        "row": match.row,
        "input": row["file"],
        "position": row[schema.POSITION],
        "error": row[schema.REASON],
        "text": None,
    }


def document_facts(match: Match, row: Row, manifest: Mapping[str, Any]) -> Row:
    """Returns what a document's own row and the manifest say."""
    options = manifest["options"]
    text = row.pop(schema.TEXT)
    facts: Row = {
        "reason": row.get(schema.REASON, KEPT),
        "evidence": row.get(schema.EVIDENCE),
        "file": match.path,
        "row": match.row,
        "times": match.times,
        **{name: row[name] for name in _TOLD},
        "words": None,
        "bytes": None,
        "text": None if text is None else text[:_BEGINNING],
        "score": row[schema.AI_SCORE],
        "verdicts": [],
        "uses": [],
    }
    if text is not None:
        column = pa.array([text], pa.large_string())
        facts["bytes"] = len(text.encode())
        facts["words"] = int(count_words(normalise(column))[0])
    said = parse_evidence(row[schema.ORIGIN_EVIDENCE], row[schema.ORIGIN])
    facts |= _origin_facts(said, facts, manifest)
    facts |= _threshold_facts(said, facts, options)
    facts["copy_of"] = _copy_facts(facts)
    facts["used"] = _use_facts(facts)
    facts["copies"] = facts["place"] = facts["no_place"] = None
    return facts


_TOLD = (
    schema.ID,
    schema.SOURCE,
    schema.CONTENT_HASH,
    schema.CREATED,
    schema.URL,
    schema.GENERATOR,
    schema.SYNTH_GENERATION,
    schema.ORIGIN,
)


def _origin_facts(
    said: Mapping[str, str], facts: Row, manifest: Mapping[str, Any]
) -> Row:
    """Returns what each piece of evidence says, and how much of its like is hidden."""
    options = manifest["options"]
    rules = OriginRules(
        **{
            field.name: options[field.name]
            for field in dataclasses.fields(OriginRules)
            if field.name in options
        }
    )
    claims = pack_one(
        {
            Evidence(EVIDENCE_NAMES.index(kind)): Says(SAYS_NAMES.index(says))
            for kind, says in said.items()
        }
    )
    origin = ORIGIN_NAMES.index(facts[schema.ORIGIN])
    settled = settle_claims(claims, rules)
    # Of the archive nothing is decided but that it is human.
    archive = bool(manifest.get("core")) and facts["reason"] == KEPT
    archive &= origin == Origin.HUMAN and settled[:2] != (origin, Reason.KEPT)
    links = [
        {
            "evidence": EVIDENCE_NAMES[link.evidence],
            "says": SAYS_NAMES[link.says],
            "role": link.role,
            "option": link.option,
            "value": None if link.option is None else getattr(rules, link.option),
            "backed_by": link.backed_by and EVIDENCE_NAMES[link.backed_by],
        }
        for link in trace(claims, origin, rules)
    ]
    asked = settled.open and facts["score"] is not None and not archive
    group = _group_of(facts, said, manifest) if asked else None
    return {"said": links, "archive": archive, "group": group}


def _group_of(
    facts: Row, said: Mapping[str, str], manifest: Mapping[str, Any]
) -> Optional[Row]:
    """Returns what is estimated of the documents that a document stands among."""
    prevalence = manifest.get("prevalence")
    if not prevalence:
        return None
    declared = said.get(EVIDENCE_NAMES[Evidence.DECLARED], "unknown")
    name = f"{declared}: {facts[schema.SOURCE] or 'no source'}"
    groups = {group["group"]: group for group in prevalence["groups"]}
    found = groups.get(name) or groups.get("others")
    if found is None:
        return None
    return {**found, "confidence": prevalence["confidence"]}


def _threshold_facts(
    said: Mapping[str, str], facts: Row, options: Mapping[str, Any]
) -> Row:
    """Returns the threshold of the document's length, if that is known."""
    source = options.get("threshold_from") or ""
    threshold = Threshold.from_json(options["threshold"], source)
    value: Optional[float] = None
    if len(threshold.values) == 1:
        value = threshold.value
    elif facts["words"] is not None:
        value = threshold.values[int(threshold.bands_of(facts["words"]))]
    elif facts["reason"] == REASON_NAMES[Reason.HUMAN_SCORED_SYNTHETIC]:
        value = float(facts["evidence"].partition("=")[2])
    detector = EVIDENCE_NAMES[Evidence.DETECTOR]
    return {
        "threshold": value,
        "thresholds": str(threshold),
        "threshold_from": source,
        "reached": said.get(detector) == SAYS_NAMES[Says.SYNTHETIC],
    }


def _copy_facts(facts: Row) -> Optional[Row]:
    """Returns what the evidence says of the document that this one is a copy of."""
    if facts["reason"] not in _COPIES:
        return None
    similarity = _SIMILARITY.search(facts["evidence"])
    return {
        schema.CONTENT_HASH: facts["evidence"][:HASH_DIGITS],
        "similarity": float(similarity[1]) if similarity else 1.0,
        "documents": [],
    }


def _use_facts(facts: Row) -> Optional[Row]:
    """Returns what the evidence says of earlier use."""
    if facts["reason"] not in _REUSED:
        return None
    told = dict(part.split("=") for part in facts["evidence"].split())
    return {
        "build": told.get("build"),
        "uses": int(told.get("uses", 0)),
        "generation": told["generation"],
        schema.CONTENT_HASH: told.get("hash"),
        "time": None,
        "id": None,
    }
