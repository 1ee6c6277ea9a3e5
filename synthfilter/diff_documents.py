"""The documents of two finished builds: read for `diff`, and named again."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core import schema, storage
from synthfilter.core.errors import UserError
from synthfilter.core.schema import ORIGIN_NAMES, REASON_NAMES, Reason
from synthfilter.core.uses import HASH_DIGITS, hash_halves, partition_of_hash
from synthfilter.explain_files import paths_of, read_columns
from synthfilter.insight.turnover import Documents, Turnover, compare_documents
from synthfilter.outputs.manifest import REJECTED, SHARDS

# Documents of both builds that are compared at once, about; others wait their turn.
_PART_ROWS = 1 << 23
_ORIGINS = pa.array(ORIGIN_NAMES)
_REASONS = pa.array(REASON_NAMES)


def compare_texts(
    folders: Sequence[str], manifests: Sequence[Mapping[str, Any]], examples: int
) -> Turnover:
    """Returns what two builds have in common, part after part of all hashes.

    Args:
      folders: Of the two builds.
      manifests: Of them.
      examples: Texts to keep of each cause.

    Raises:
      UserError: a file cannot be read, or has other hashes, origins or reasons.
    """
    rows = sum(
        file["rows"]
        for manifest in manifests
        for kind in (SHARDS, REJECTED)
        for file in manifest[kind]
    )
    total, parts = Turnover(), 1 + rows // _PART_ROWS
    for part in range(parts):
        first, second = (
            _read_documents(folder, manifest, part, parts)
            for folder, manifest in zip(folders, manifests, strict=True)
        )
        total.add(compare_documents(first, second, examples), examples)
    return total


def _read_documents(
    folder: str, manifest: Mapping[str, Any], part: int, parts: int
) -> Documents:
    """Returns all documents of a build whose hashes are in a part of all hashes."""
    read: list[Documents] = [_documents([], [], [], [])]
    for kind in (SHARDS, REJECTED):
        columns = [schema.CONTENT_HASH, schema.ORIGIN]
        columns += [schema.REASON] * (kind == REJECTED)
        for name in paths_of(manifest, kind):
            path = storage.join(folder, name)
            for _, batch in read_columns(path, columns, {}):
                try:
                    found = _decode(batch)
                except ValueError as error:
                    raise UserError(
                        f"{path}: {error}; `synthfilter verify` says more"
                    ) from error
                if parts > 1:
                    mine = partition_of_hash(found.hi, parts) == part
                    found = Documents(*(values[mine] for values in found))
                read.append(found)
    return Documents(*map(np.concatenate, zip(*read, strict=True)))


def _documents(hi: Any, lo: Any, origin: Any, reason: Any) -> Documents:
    return Documents(
        np.asarray(hi, np.uint64),
        np.asarray(lo, np.uint64),
        np.asarray(origin, np.uint8),
        np.asarray(reason, np.uint8),
    )


def _decode(batch: pa.RecordBatch) -> Documents:
    """Returns the documents of a batch of hashes, origins and perhaps reasons."""
    reason: Any = np.full(batch.num_rows, Reason.KEPT)
    if schema.REASON in batch.schema.names:
        reason = _codes(batch.column(schema.REASON), _REASONS, "reason")
    return _documents(
        *hash_halves(batch.column(schema.CONTENT_HASH)),
        _codes(batch.column(schema.ORIGIN), _ORIGINS, "origin"),
        reason,
    )


def _codes(names: pa.Array, known: pa.Array, what: str) -> np.ndarray:
    found = pc.index_in(names, known)
    if found.null_count:
        raise ValueError(f"the {what} of a document is none that we know")
    return found.to_numpy()


def name_examples(
    folders: Sequence[str], manifests: Sequence[Mapping[str, Any]], turnover: Turnover
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Returns some texts of each cause: id, source, and the evidence of the other."""
    named: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for side, other, name in ((0, 1, "only_first"), (1, 0, "only_second")):
        causes = {
            f"{number:0{HASH_DIGITS}x}": cause
            for cause, numbers in turnover.some[side].items()
            for number in numbers
        }
        rows = _look_up(folders[side], manifests[side], SHARDS, causes)
        others = _look_up(folders[other], manifests[other], REJECTED, causes)
        found: dict[str, list[dict[str, Any]]] = {}
        for content_hash, cause in causes.items():
            row = rows[content_hash]
            told = [
                candidate
                for candidate in others.get(content_hash, [])
                if candidate[schema.REASON] == cause
            ]
            found.setdefault(cause, []).append(
                {
                    schema.ID: row[0][schema.ID],
                    schema.SOURCE: row[0][schema.SOURCE],
                    schema.CONTENT_HASH: content_hash,
                    schema.EVIDENCE: told[0][schema.EVIDENCE] if told else None,
                }
            )
        if found:
            named[name] = found
    return named


def _look_up(
    folder: str, manifest: Mapping[str, Any], kind: str, hashes: Mapping[str, str]
) -> dict[str, list[dict[str, Any]]]:
    """Returns the rows of some texts of a build, without their text."""
    found: dict[str, list[dict[str, Any]]] = {}
    if not hashes:
        return found
    columns = [schema.CONTENT_HASH, schema.ID, schema.SOURCE]
    columns += [schema.REASON, schema.EVIDENCE] if kind == REJECTED else []
    wanted = pa.array([*hashes])
    bounds = {schema.CONTENT_HASH: (min(hashes), max(hashes))}
    for path in paths_of(manifest, kind):
        for _, batch in read_columns(storage.join(folder, path), columns, bounds):
            mine = batch.filter(pc.is_in(batch.column(schema.CONTENT_HASH), wanted))
            for row in mine.to_pylist():
                found.setdefault(row[schema.CONTENT_HASH], []).append(row)
    return found
