"""Which documents of a finished build people are asked about, and their text."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Optional

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core import schema, storage
from synthfilter.core.errors import ShortageError, UserError
from synthfilter.core.hashing import hex_hashes, order_hash
from synthfilter.core.text import count_words, normalise
from synthfilter.core.uses import hash_halves
from synthfilter.core.verdicts import FOCUS, PROBABILITY, RANDOM_FOCUSES, SCORED
from synthfilter.decisions.verdicts import find_texts
from synthfilter.detection.lengths import Threshold

THRESHOLD = "threshold"
CONFLICTS = "conflicts"
_BATCH_ROWS = 1024
_HUMAN, _SYNTHETIC = "human", "synthetic"
_REVIEW, _DETECTOR = (
    schema.EVIDENCE_NAMES[kind]
    for kind in (schema.Evidence.REVIEW, schema.Evidence.DETECTOR)
)
_READ = [schema.CONTENT_HASH, schema.AI_SCORE, schema.ORIGIN, schema.ORIGIN_EVIDENCE]
_KEPT = (
    schema.CONTENT_HASH,
    schema.ID,
    schema.TEXT,
    schema.SOURCE,
    schema.CREATED,
    schema.URL,
    schema.ORIGIN,
    schema.ORIGIN_EVIDENCE,
    schema.GENERATOR,
    schema.AI_SCORE,
    schema.BUILD_ID,
)
_DECLARATIONS = {
    schema.EVIDENCE_NAMES[kind]
    for kind in (schema.Evidence.DECLARED, schema.Evidence.COLUMN)
}
# Why documents may be left out that have a score and are no copies.
_FOR_SCORE_OR_CHOICE = [
    schema.REASON_NAMES[reason]
    for reason in (
        schema.Reason.HUMAN_SCORED_SYNTHETIC,
        schema.Reason.SCORE_TOO_HIGH,
        schema.Reason.SUSPECT,
        schema.Reason.NO_GROUP,
        schema.Reason.MIXTURE,
    )
]
_HIT = re.compile(r"(\w+)=(\S+)")


class Sample(NamedTuple):
    """Documents to review.

    Attributes:
      documents: A row each, in random order: what a shard says of it, the threshold
        of its length, the focus and the probability with which it picked it.
      of: How many documents the focus chose among.
    """

    documents: pa.Table
    of: int


class _Chosen(NamedTuple):
    """Documents so far, the first by `key` of all that were seen."""

    key: np.ndarray
    order: np.ndarray
    hi: np.ndarray
    lo: np.ndarray
    file: np.ndarray
    row: np.ndarray


def parse_evidence(said: Optional[str], origin: str) -> dict[str, str]:
    """Returns what each kind of evidence says of a document, the deciding one first.

    Args:
      said: The column `origin_evidence`: `declared=human detector=synthetic`; sets of
        earlier versions have one word for what decided.
      origin: What was decided.
    """
    said = said or ""
    return dict(_HIT.findall(said)) or ({said: origin} if said else {})


def choose_sample(
    folder: str,
    manifest: dict[str, Any],
    focus: str,
    count: int,
    seed: int,
    judged: tuple[np.ndarray, np.ndarray],
) -> Sample:
    """Returns the documents of a build that a focus asks about.

    The same ones for the same seed, whatever the order of the rows. `random` and
    `synthetic` draw by chance. `threshold` takes the scores nearest to the threshold
    of their length, of documents of which the detector may decide the origin;
    `conflicts` the scores that contradict most what was declared. Both look at rejected
    documents, too, if they have text; what they take they take for certain. `scored`
    draws by chance from all that have a score, but for copies, rejected or not: only
    such a sample says what the scores of the text that was read look like.

    Args:
      folder: Of the build.
      manifest: Its manifest.
      focus: One of `core.verdicts.FOCUSES`.
      count: How many documents, at most.
      seed: Of the random order.
      judged: Halves of the content hashes to leave out, sorted.

    Raises:
      ShortageError: there is no such document.
      UserError: a file of the build cannot be read, or lacks the text that `scored`
        asks for.
    """
    options = manifest["options"]
    if focus == SCORED and not options.get("rejected_text"):
        raise UserError(
            f"{folder}: focus {SCORED} asks for the text of rejected documents; build "
            "it with --rejected-text"
        )
    threshold = Threshold.from_json(options["threshold"], "")
    files = [storage.join(folder, file["path"]) for file in manifest["shards"]]
    shards = len(files)
    if focus not in RANDOM_FOCUSES and options.get("rejected_text"):
        files += [storage.join(folder, file["path"]) for file in manifest["rejected"]]
    asked = options.get("flagged_human") != "keep"
    chosen = _Chosen(*(np.zeros(0, kind) for kind in "f8,u8,u8,u8,i8,i8".split(",")))
    of = 0
    for number, path in enumerate(files):
        rejected = number >= shards
        for found in _candidates(path, rejected, focus, threshold, asked, judged, seed):
            of += len(found.row)
            found = found._replace(file=np.full(len(found.row), number))
            chosen = _take_first(chosen, found, count)
    if not len(chosen.row):
        raise ShortageError(
            f"{folder}: no document to review with focus {focus}; see the other ones"
        )
    documents = _read_chosen(files, chosen, threshold)
    rows = documents.num_rows
    chance = rows / of if focus in (*RANDOM_FOCUSES, SCORED) else 1.0
    documents = documents.append_column(FOCUS, pa.repeat(pa.scalar(focus), rows))
    documents = documents.append_column(PROBABILITY, pa.repeat(pa.scalar(chance), rows))
    return Sample(documents, of)


def _candidates(
    path: str,
    rejected: bool,
    focus: str,
    threshold: Threshold,
    asked: bool,
    judged: tuple[np.ndarray, np.ndarray],
    seed: int,
) -> Iterator[_Chosen]:
    """Yields the documents of a file that a focus may take, each text once."""
    by_length = focus in (THRESHOLD, CONFLICTS) and len(threshold.values) > 1
    columns = [*_READ, schema.TEXT] if by_length else _READ
    start, last = 0, None
    for batch in read_batches(path, [*columns, schema.REASON] if rejected else columns):
        hi, lo = hash_halves(batch.column(schema.CONTENT_HASH))
        order = order_hash(hi, lo, seed)
        # A text that is repeated stands in neighbouring rows.
        known = find_texts(*judged, hi, lo) >= 0
        known[:1] |= order[:1] == last
        known[1:] |= order[1:] == order[:-1]
        last = order[-1] if len(order) else last
        key = _keys_of(batch, focus, threshold, asked)
        rows = np.flatnonzero(~known & ~np.isnan(key))
        yield _Chosen(key[rows], order[rows], hi[rows], lo[rows], rows, rows + start)
        start += batch.num_rows


def read_batches(path: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yields some columns of a file of a build.

    Raises:
      UserError: it cannot be read.
    """
    try:
        with storage.open_parquet(path) as file:
            yield from file.iter_batches(_BATCH_ROWS, columns=list(columns))
    except (OSError, pa.ArrowException) as error:
        said = str(error).splitlines()[0]
        raise UserError(f"{path} cannot be read: {said}; build it again") from error


def _keys_of(
    batch: pa.RecordBatch, focus: str, threshold: Threshold, asked: bool
) -> np.ndarray:
    """Returns a number for each document, lower for what a focus takes first.

    NaN where it does not take it at all.
    """
    origin = batch.column(schema.ORIGIN).to_pylist()
    if focus in RANDOM_FOCUSES:
        mine = [focus != _SYNTHETIC or who == _SYNTHETIC for who in origin]
        return np.where(mine, 0.0, np.nan)
    score = batch.column(schema.AI_SCORE).to_numpy(zero_copy_only=False)
    score = score.astype(np.float64)
    if focus == SCORED:
        mine = ~np.isnan(score)
        if schema.REASON in batch.schema.names:
            wanted = pc.is_in(
                batch.column(schema.REASON), pa.array(_FOR_SCORE_OR_CHOICE)
            )
            mine &= wanted.to_numpy(zero_copy_only=False)
        return np.where(mine, 0.0, np.nan)
    at = _thresholds_of(batch, threshold).astype(np.float64)
    evidence = batch.column(schema.ORIGIN_EVIDENCE).to_pylist()
    pairs = list(zip(evidence, origin, strict=True))
    parsed = {pair: parse_evidence(*pair) for pair in set(pairs)}
    hits = [parsed[pair] for pair in pairs]
    if focus == THRESHOLD:
        open_ = {pair: _is_open(found, asked) for pair, found in parsed.items()}
        return np.where([open_[pair] for pair in pairs], np.abs(score - at), np.nan)
    claimed = np.array([_claim_of(found) for found in hits], object)
    high, low = score >= at, score < at
    # How far a score is on its side of the threshold, as a share of that side.
    above = (score - at) / np.maximum(1 - at, 1e-9)
    below = (at - score) / np.maximum(at, 1e-9)
    key = np.where(high & (claimed == _HUMAN), -above, np.nan)
    return np.where(low & (claimed == _SYNTHETIC), -below, key)


def _claim_of(hits: dict[str, str]) -> str:
    """Returns what decides but for the score; nothing once people have judged."""
    if _REVIEW in hits:
        return ""
    return next((says for kind, says in hits.items() if kind != _DETECTOR), "")


def _is_open(hits: dict[str, str], asked: bool) -> bool:
    """Returns whether the detector decides who wrote a document, or might have."""
    if _REVIEW in hits:
        return False
    told = {kind: says for kind, says in hits.items() if kind != _DETECTOR}
    # Nobody but a declaration says that it is human.
    doubted = set(told) <= _DECLARATIONS and set(told.values()) == {_HUMAN}
    return not told or (asked and doubted)


def _thresholds_of(batch: pa.RecordBatch, threshold: Threshold) -> np.ndarray:
    """Returns the threshold of each document; the text is read only if it matters."""
    if len(threshold.values) == 1:
        return np.full(batch.num_rows, threshold.values[0], np.float32)
    return threshold.of(count_words(normalise(batch.column(schema.TEXT))))


def _take_first(chosen: _Chosen, found: _Chosen, count: int) -> _Chosen:
    """Returns the first documents of both by key, then by order; each text once."""
    both = _Chosen(*map(np.concatenate, zip(chosen, found, strict=True)))
    by = np.lexsort([both.row, both.file, both.lo, both.hi, both.order, both.key])
    hi, lo = both.hi[by], both.lo[by]
    new = np.ones(len(by), bool)
    new[1:] = (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1])
    first = by[new][:count]
    return _Chosen(*(each[first] for each in both))


def _read_chosen(
    files: Sequence[str], chosen: _Chosen, threshold: Threshold
) -> pa.Table:
    """Returns what the files say of the chosen documents, in random order."""
    parts, where = [], []
    for number in np.unique(chosen.file).tolist():
        mine = np.flatnonzero(chosen.file == number)
        mine = mine[np.argsort(chosen.row[mine])]
        parts += _read_rows(files[number], chosen.row[mine])
        where.append(mine)
    table = pa.concat_tables(parts)
    at = np.concatenate(where)
    order = np.lexsort([chosen.lo[at], chosen.hi[at], chosen.order[at]])
    table = table.take(pa.array(order)).combine_chunks()
    batch = table.to_batches()[0]
    expected = hex_hashes(chosen.hi[at][order], chosen.lo[at][order])
    if not batch.column(schema.CONTENT_HASH).equals(expected):
        raise UserError("a file of the build changed while it was read; run it again")
    known = pa.array(_thresholds_of(batch, threshold))
    return table.append_column(THRESHOLD, known)


def _read_rows(path: str, rows: np.ndarray) -> list[pa.Table]:
    """Returns some rows of a file, by sorted numbers; other row groups are not read."""
    with storage.open_parquet(path) as file:
        sizes = [
            file.metadata.row_group(group).num_rows
            for group in range(file.metadata.num_row_groups)
        ]
        ends = np.cumsum(sizes)
        group_of = np.searchsorted(ends, rows, side="right")
        found = []
        for group in np.unique(group_of).tolist():
            mine = rows[group_of == group] - (ends[group] - sizes[group])
            table = file.read_row_group(group, columns=list(_KEPT))
            found.append(table.take(pa.array(mine)))
        return found
