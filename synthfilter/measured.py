"""What a build wrote, in numbers: measured block by block, told in the manifest."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from synthfilter.core import hashing, schema
from synthfilter.core.archive import ArchiveFile
from synthfilter.core.batches import column
from synthfilter.core.claims import count_conflicts
from synthfilter.core.ngrams import NgramRows
from synthfilter.core.schema import Origin
from synthfilter.core.secrets import redact
from synthfilter.core.text import printable
from synthfilter.decisions import decide
from synthfilter.decisions.groups import Grouping, find_fresh, find_groups
from synthfilter.decisions.letters import Letters
from synthfilter.decisions.survey import (
    add_weights,
    cell_numbers,
    group_keys,
    is_asked,
)
from synthfilter.decisions.truth import Truth, tell_shares
from synthfilter.inputs.blocks import Block
from synthfilter.insight.diversity import measure_ngrams
from synthfilter.insight.figures import Figures, measure_facts
from synthfilter.outputs.manifest import ShardRecord

# Files that a message names at most.
_NAMED = 3


def measure_block(
    decisions: pa.RecordBatch, facts: pa.RecordBatch, unit: str, grouping: Grouping
) -> ShardRecord:
    """Returns what became of documents of one block; no files.

    Args:
      decisions: `schema.DECISION` rows of one block.
      facts: All facts of the block, in order.
      unit: Of the shares.
      grouping: How the mixture tells documents apart.
    """
    written, digest = measure_written(decisions, facts)
    return ShardRecord(
        files=(),
        books=decide.count_books(decisions),
        written=written,
        digest=digest,
        unscored=count_unscored(decisions, facts),
        conflicts=count_conflicts(
            column(decisions, schema.CLAIMS), column(decisions, schema.ORIGIN)
        ),
        asked=measure_asked(decisions, facts, unit),
        groups=measure_groups(decisions, facts, grouping),
    )


def measure_figures(
    decisions: pa.RecordBatch,
    facts: pa.RecordBatch,
    ngrams: NgramRows,
    grouping: Grouping,
    sources: np.ndarray,
) -> Figures:
    """Returns what the report says of documents of one block, but for their text.

    Args:
      decisions: `schema.DECISION` rows of one block.
      facts: All facts of the block, in order.
      ngrams: Those of all its documents, in order.
      grouping: How the mixture tells documents apart.
      sources: Keys of the sources that are told by name, uint64, ascending.
    """
    mine = facts.take(decisions.column(schema.ROW))
    declared, origin = (
        column(decisions, name) for name in (schema.DECLARED, schema.ORIGIN)
    )
    group = find_groups(mine, declared, origin, grouping)
    copies = column(decisions, schema.COPIES)
    kept = copies > 0
    return dataclasses.replace(
        measure_facts(decisions, mine, group, len(grouping.names), sources),
        ngrams=measure_ngrams(
            ngrams, column(decisions, schema.ROW)[kept], origin[kept], copies[kept]
        ),
    )


def measure_written(
    decisions: pa.RecordBatch, facts: pa.RecordBatch
) -> tuple[np.ndarray, str]:
    """Returns what is written of one block: int64 [origin, unit], and its digest."""
    copies = column(decisions, schema.COPIES)
    each = np.repeat(np.arange(len(copies)), copies)
    who = column(decisions, schema.ORIGIN)[each]
    amounts = np.zeros((2, len(schema.UNITS)), np.int64)
    for i, unit in enumerate(schema.UNITS):
        weight = decide.weights(decisions, unit)[each]
        amounts[:, i] = np.bincount(who, weight, 2)
    row = column(decisions, schema.ROW)[each]
    hi, lo = column(facts, schema.CONTENT_HI), column(facts, schema.CONTENT_LO)
    return amounts, hashing.content_digest(hi[row], lo[row], who)


def measure_asked(
    decisions: pa.RecordBatch, facts: pa.RecordBatch, unit: str
) -> np.ndarray:
    """Returns what is written of one block whose origin is the detector's question.

    Args:
      decisions: `schema.DECISION` rows of one block.
      facts: All facts of the block, in order.
      unit: Of the weights.

    Returns:
      int64 [rows, 2]: key of group and cell, weight, repeated documents each time.
    """
    suspicions = column(decisions, schema.SUSPICION)
    copies = column(decisions, schema.COPIES).astype(np.int64)
    mine = is_asked(suspicions) & (copies > 0)
    row = pa.array(column(decisions, schema.ROW)[mine])
    key = group_keys(
        column(decisions, schema.DECLARED)[mine],
        hashing.hash_names(facts.column(schema.SOURCE).take(row)),
    )
    words = column(decisions, schema.WORDS)[mine]
    key |= cell_numbers(words, suspicions[mine])
    weight = decide.weights(decisions, unit)[mine] * copies[mine]
    return add_weights(np.stack([key.view(np.int64), weight], axis=1))


def measure_groups(
    decisions: pa.RecordBatch, facts: pa.RecordBatch, grouping: Grouping
) -> np.ndarray:
    """Returns what is written of one block by group, and last of fresh documents.

    Returns:
      int64 [groups and one, unit].
    """
    amounts = np.zeros((len(grouping.names) + 1, len(schema.UNITS)), np.int64)
    copies = column(decisions, schema.COPIES)
    told = facts.select([schema.CATEGORY, schema.CREATED])
    mine = told.take(decisions.column(schema.ROW))
    declared, origin = (
        column(decisions, name) for name in (schema.DECLARED, schema.ORIGIN)
    )
    group = find_groups(mine, declared, origin, grouping)
    fresh = np.zeros(len(group), bool)
    if grouping.fresh_from is not None:
        fresh = find_fresh(mine, group, grouping.fresh_from)
    kept = copies > 0
    for i, unit in enumerate(schema.UNITS):
        weight = copies * decide.weights(decisions, unit).astype(np.int64)
        size = len(grouping.names)
        amounts[:-1, i] = np.bincount(group[kept], weight[kept], size)
        amounts[-1, i] = weight[fresh].sum()
    return amounts


def count_unscored(decisions: pa.RecordBatch, facts: pa.RecordBatch) -> np.ndarray:
    """Returns how many documents with text have no score: int64 [declared origin].

    Args:
      decisions: `schema.DECISION` rows of one block.
      facts: All facts of the block, in order.
    """
    score = column(facts, schema.AI_SCORE)[column(decisions, schema.ROW)]
    text = ~np.isin(column(decisions, schema.REASON), schema.UNUSABLE)
    declared = column(decisions, schema.DECLARED)[text & np.isnan(score)]
    return np.bincount(declared, minlength=len(Origin))


def unscored_shares(written: ShardRecord) -> dict[str, dict[str, Any]]:
    """Returns how many of the documents with text have no score, by declared origin."""
    docs = written.books[..., schema.UNITS.index("docs")].sum(axis=1)
    docs[:, list(schema.UNUSABLE)] = 0
    found = {}
    for who in schema.WRITTEN:
        count, of = int(written.unscored[who]), int(docs[who].sum())
        share = count / of if of else None
        found[schema.ORIGIN_NAMES[who]] = {"docs": count, "of": of, "share": share}
    return found


def tell_estimate(
    truth: Truth, written: ShardRecord, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns what the manifest says of the share of a set that is really synthetic.

    Args:
      truth: What is likely.
      written: What is in the set.
      options: That the content depends on.
    """
    asked_for = (
        options["synthetic_fraction"],
        options["max_synthetic_fraction"],
        options["mixture"].get("synthetic"),
    )
    human, synthetic = written.written[:, schema.UNITS.index(options["unit"])].tolist()
    return {
        "asked": next((share for share in asked_for if share is not None), None),
        "counts": options["count"],
        **tell_shares(truth, written.asked, human, synthetic),
    }


def describe_groups(
    written: ShardRecord,
    plan: decide.MixturePlan,
    grouping: Grouping,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Returns what the manifest says of groups and fresh documents, if asked for."""
    said: dict[str, Any] = {}
    if options["mixture"]:
        said["groups"] = {
            name: {
                "asked": target.asked,
                "available": target.available,
                "got": _by_unit(written.groups[grouping.names.index(name)]),
            }
            for name, target in plan.targets.groups.items()
        }
    if options["min_fresh"] is not None:
        unit = schema.UNITS.index(options["unit"])
        whole = int(written.written[:, unit].sum())
        said["fresh"] = {
            "after": options["fresh_after"],
            "asked": options["min_fresh"],
            "share": int(written.groups[-1, unit]) / whole,
            "got": _by_unit(written.groups[-1]),
        }
    return said


def _by_unit(amounts: np.ndarray) -> dict[str, int]:
    return dict(zip(schema.UNITS, amounts.tolist(), strict=True))


def tell_archive(archive: Iterable[ArchiveFile]) -> dict[str, Any] | None:
    """Returns what the manifest says of the archive; None where there is none."""
    files = sorted(archive, key=lambda file: file.name)
    if not files:
        return None
    return {
        "digest": hashing.add_digests(file.digest for file in files),
        **{
            name: sum(getattr(file, name) for file in files)
            for name in ("documents", "bytes", "words")
        },
        "files": [dataclasses.asdict(file) for file in files],
    }


def describe_inputs(
    found: Iterable[Block], letters: Mapping[int, Letters]
) -> list[dict[str, Any]]:
    """Returns what the manifest says of each input file, in the order of the input.

    Args:
      found: All blocks.
      letters: What could not be read, by the keys of blocks.
    """
    files: dict[str, dict[str, Any]] = {}
    for block in sorted(found, key=lambda block: block.key):
        file = files.setdefault(
            block.file,
            {
                "path": redact(block.file),
                "declared": schema.ORIGIN_NAMES[block.declared],
                "fingerprint": block.fingerprint,
                "rows": 0,
                "broken": False,
            },
        )
        file["rows"] += block.rows
        file["broken"] |= letters[block.key].broken
    return list(files.values())


def describe_broken(manifest: Mapping[str, Any]) -> list[str]:
    """Returns a line on input files that are broken, if there are any."""
    files = [file["path"] for file in manifest["inputs"] if file.get("broken")]
    if not files:
        return []
    named = ", ".join(printable(path, 120) for path in files[:_NAMED])
    more = f" and {len(files) - _NAMED:,} more" if len(files) > _NAMED else ""
    return [
        f"broken: {named}{more}; the set lacks what could not be read of them "
        "(dead_letter/ says where each breaks off): mend them, leave them out, or say "
        "with max_dead_letters how much may be lost"
    ]
