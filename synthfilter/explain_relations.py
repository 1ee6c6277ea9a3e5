"""What documents of a finished build have to do with its others, in one pass.

Places in the random order, copies, and what they are copies of.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core import schema, storage
from synthfilter.core.hashing import order_hash
from synthfilter.core.schema import REASON_NAMES, Origin, Reason
from synthfilter.core.uses import HASH_DIGITS, hash_halves
from synthfilter.decisions.places import Place, PlaceCounter
from synthfilter.explain_files import REJECTED, SHARDS, Match, paths_of, read_columns

_MOST_NAMED = 5
# What may still become of a document that others are copies of.
_AFTER_COPIES = tuple(
    REASON_NAMES[reason]
    for reason in (
        Reason.REFERENCE_COPY,
        Reason.NEAR_COPY,
        Reason.USED_BEFORE,
        Reason.TOO_DEEP,
        Reason.SUSPECT,
        Reason.MIXTURE,
    )
)
_COPIES = tuple(REASON_NAMES[r] for r in (Reason.EXACT_COPY, Reason.NEAR_COPY))
_ABOUT_REJECTED = [
    schema.CONTENT_HASH,
    schema.ORIGIN,
    schema.REASON,
    schema.EVIDENCE,
    schema.ID,
]


@dataclasses.dataclass
class Relations:
    """What one document has to do with others.

    Attributes:
      place: In the random order; None where it is not known.
      originals: Documents of the hash that it is a copy of.
      copies: Documents that were left out as copies of it, by reason.
      some: Ids of some of these.
    """

    place: Optional[Place] = None
    originals: list[Match] = dataclasses.field(default_factory=list)
    copies: dict[str, int] = dataclasses.field(default_factory=dict)
    some: list[str] = dataclasses.field(default_factory=list)


def relate(
    folder: str, manifest: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> list[Relations]:
    """Returns what each document has to do with the others of the build.

    Args:
      folder: Of the build.
      manifest: Its manifest.
      rows: Of files of the build, `reason` in each.

    Raises:
      UserError: a file cannot be read.
    """
    seed = manifest["options"]["seed"]
    hashes = pa.array([row[schema.CONTENT_HASH] for row in rows], pa.string())
    origins = [row[schema.ORIGIN] for row in rows]
    counter = PlaceCounter(order_hash(*hash_halves(hashes), seed).tolist(), origins)
    originals = _Originals(rows)
    for path in paths_of(manifest, SHARDS):
        last = None
        columns = [schema.CONTENT_HASH, schema.ORIGIN]
        for start, batch in read_columns(storage.join(folder, path), columns, {}):
            order = order_hash(*hash_halves(batch.column(0)), seed)
            # A document that is repeated stands in neighbouring rows.
            new = np.append(order[:1] != last, order[1:] != order[:-1])
            last = order[-1]
            _count(counter, batch.column(1), order, new, True)
            originals.look(SHARDS, path, start, batch.column(0), None)
    found = [Relations() for _ in rows]
    copied = [
        row[schema.CONTENT_HASH] if row[schema.REASON] not in _COPIES else None
        for row in rows
    ]
    for path in paths_of(manifest, REJECTED):
        for start, batch in read_columns(
            storage.join(folder, path), _ABOUT_REJECTED, {}
        ):
            reason = batch.column(schema.REASON)
            order = order_hash(*hash_halves(batch.column(0)), seed)
            mixed = pc.equal(reason, REASON_NAMES[Reason.MIXTURE])
            chosen = mixed.to_numpy(zero_copy_only=False)
            _count(counter, batch.column(1), order, chosen, False)
            originals.look(REJECTED, path, start, batch.column(0), reason)
            _find_copies(found, copied, batch)
    for each, place, named in zip(
        found, counter.places(), originals.found, strict=True
    ):
        each.place, each.originals = place, named
    return found


def _count(
    counter: PlaceCounter,
    origin: pa.Array,
    order: np.ndarray,
    chosen: np.ndarray,
    taken: bool,
) -> None:
    """Adds the chosen rows of a batch to the places."""
    for who in (schema.ORIGIN_NAMES[kind] for kind in (Origin.HUMAN, Origin.SYNTHETIC)):
        mine = pc.equal(origin, who).to_numpy(zero_copy_only=False)
        counter.add(who, order[mine & chosen], taken)


class _Originals:
    """Finds the documents that others are copies of, while all pass by."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Notes which hashes are looked for."""
        self.found: list[list[Match]] = [[] for _ in rows]
        self._wanted: dict[str, list[int]] = {}
        for number, row in enumerate(rows):
            if row[schema.REASON] in _COPIES:
                match = (row[schema.EVIDENCE] or "")[:HASH_DIGITS]
                self._wanted.setdefault(match, []).append(number)
        self._hashes = pa.array(self._wanted, pa.string())

    def look(
        self,
        kind: str,
        path: str,
        start: int,
        hashes: pa.Array,
        reason: Optional[pa.Array],
    ) -> None:
        """Looks through the rows of a batch."""
        if not len(self._hashes):
            return
        mine = pc.is_in(hashes, self._hashes)
        if reason is not None:
            mine = pc.and_(mine, pc.is_in(reason, pa.array(_AFTER_COPIES)))
        for row in np.flatnonzero(mine.to_numpy(zero_copy_only=False)).tolist():
            name = hashes[row].as_py()
            for number in self._wanted[name]:
                known = self.found[number]
                if not known:
                    known.append(Match(kind, path, start + row, 1, "", name))


def _find_copies(
    found: Sequence[Relations],
    copied: Sequence[Optional[str]],
    rejected: pa.RecordBatch,
) -> None:
    """Adds the rows of a batch that were left out as copies."""
    mine = pc.is_in(rejected.column(schema.REASON), pa.array(_COPIES))
    of = pc.utf8_slice_codeunits(rejected.column(schema.EVIDENCE), 0, HASH_DIGITS)
    mine = pc.and_(mine, pc.is_in(of, pa.array(copied, pa.string()), skip_nulls=True))
    rows = rejected.filter(mine)
    if not rows.num_rows:
        return
    of = of.filter(mine)
    for each, name in zip(found, copied, strict=True):
        if name is None:
            continue
        own = rows.filter(pc.equal(of, name))
        for pair in own.column(schema.REASON).value_counts().to_pylist():
            reason = pair["values"]
            each.copies[reason] = each.copies.get(reason, 0) + pair["counts"]
        wanted = _MOST_NAMED - len(each.some)
        each.some += own.column(schema.ID).slice(0, wanted).to_pylist()
