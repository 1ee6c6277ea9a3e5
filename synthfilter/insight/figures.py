"""What a build's report shows, counted while shards are written; parts add up.

Everything here is a count, so parts in any order give the same whole, and its size does
not grow with the documents.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core import schema
from synthfilter.core.batches import column
from synthfilter.core.hashing import distinct, hash_names
from synthfilter.core.samples import (
    Sample,
    Tally,
    add_tallies,
    make_sample,
    make_tally,
    merge_samples,
    names_among,
    no_tally,
)
from synthfilter.core.schema import ORIGIN_NAMES, Origin, Reason
from synthfilter.insight.diversity import (
    Ngrams,
    add_ngrams,
    compress_text,
    no_ngrams,
)
from synthfilter.insight.examples import (
    Clusters,
    add_clusters,
    add_examples,
    find_clusters,
    find_dead_examples,
    find_examples,
    no_clusters,
    no_examples,
)

SCORE_BINS = 50
# Lengths are told to within a sixteenth of an octave, 4.4%; up to 2^31 words.
BINS_PER_OCTAVE = 16
LENGTH_BINS = 31 * BINS_PER_OCTAVE + 1
# From January 1800 to December 2139, and one for what has no date.
FIRST_YEAR = 1800
MONTHS = 340 * 12
# The sources that are told by name; others are told together.
MOST_SOURCES = 1000
# Of each origin in each shard.
_COMPRESSED_BYTES = 256 << 10
# Languages, generators and causes that are told by name.
MOST_NAMES = 1000

OUTCOMES = ("kept", "left_out")
SOURCE_COLUMNS = (
    "read",
    "kept_human",
    "kept_synthetic",
    "exact_copy",
    "near_copy",
    "mixture",
)
_OUTCOME_OF_SOURCE = {
    Reason.EXACT_COPY: "exact_copy",
    Reason.NEAR_COPY: "near_copy",
    Reason.MIXTURE: "mixture",
}
_ORIGINS = len(Origin)


def _nothing() -> np.ndarray:
    """Returns a zero that can be added to counts of any shape."""
    return np.zeros((), np.int64)


@dataclasses.dataclass(frozen=True)
class Figures:
    """Counts of documents; a document that is repeated counts once.

    Attributes:
      scores: int64 [declared origin, outcome, bin]; the last bin has no score.
      lengths: int64 [origin, outcome, bin] of words.
      months: int64 [origin, month] of what is in the set; the last has no date.
      before: int64 [group of the mixture, unit]: what filters and copies left.
      sources: int64 [source, column], of those that are told by name and of all others.
      source_names: By key (`core.hashing.hash_names`).
      languages: By `OUTCOMES` and decided origin: read, kept human, kept synthetic.
      generators: Of synthetic documents in the set: documents, words.
      causes: Of dead letters.
      earlier: Of documents used before, by the number of the build that had them.
      clusters: The texts with the most copies.
      ngrams: Of what is in the set.
      compressed: int64 [origin, 2]: bytes of some text, before and after compression.
      examples: Some documents of each reason (`insight.examples`).
    """

    scores: np.ndarray = dataclasses.field(default_factory=_nothing)
    lengths: np.ndarray = dataclasses.field(default_factory=_nothing)
    months: np.ndarray = dataclasses.field(default_factory=_nothing)
    before: np.ndarray = dataclasses.field(default_factory=_nothing)
    sources: np.ndarray = dataclasses.field(default_factory=_nothing)
    source_names: Mapping[int, str | None] = dataclasses.field(default_factory=dict)
    languages: Tally = dataclasses.field(default_factory=lambda: no_tally(3))
    generators: Tally = dataclasses.field(default_factory=lambda: no_tally(2))
    causes: Tally = dataclasses.field(default_factory=lambda: no_tally(1))
    earlier: Sample = dataclasses.field(default_factory=lambda: no_tally(1).sample)
    clusters: Clusters = dataclasses.field(default_factory=no_clusters)
    ngrams: Ngrams = dataclasses.field(default_factory=no_ngrams)
    compressed: np.ndarray = dataclasses.field(default_factory=_nothing)
    examples: pa.Table = dataclasses.field(default_factory=no_examples)


_ADDED = ("scores", "lengths", "months", "compressed", "before", "sources")
_TALLIES = ("languages", "generators", "causes")


def add_figures(parts: Iterable[Figures]) -> Figures:
    """Returns the figures of all parts together."""
    parts = list(parts) or [Figures()]
    if len(parts) == 1:
        return parts[0]
    names: dict[int, str | None] = {}
    for part in parts:
        names |= part.source_names

    def all_of(name: str) -> list:
        return [getattr(part, name) for part in parts]

    added: dict[str, Any] = {
        **{name: np.sum(np.broadcast_arrays(*all_of(name)), axis=0) for name in _ADDED},
        **{name: add_tallies(all_of(name), MOST_NAMES) for name in _TALLIES},
    }
    return Figures(
        **added,
        source_names=names,
        earlier=merge_samples(all_of("earlier"), MOST_NAMES),
        clusters=add_clusters(all_of("clusters")),
        ngrams=add_ngrams(all_of("ngrams")),
        examples=add_examples(all_of("examples")),
    )


def measure_facts(
    decisions: pa.RecordBatch,
    facts: pa.RecordBatch,
    group: np.ndarray,
    groups: int,
    sources: np.ndarray,
) -> Figures:
    """Returns what facts say of documents that were decided on.

    Args:
      decisions: `schema.DECISION` rows of one block.
      facts: The facts of the same documents, row by row.
      group: Number of each document's group in the mixture.
      groups: How many groups there are.
      sources: Keys of the sources that are told by name, uint64, ascending.
    """
    reason = column(decisions, schema.REASON)
    declared, origin = (
        column(decisions, name).astype(np.int64)
        for name in (schema.DECLARED, schema.ORIGIN)
    )
    outcome = (reason != Reason.KEPT).astype(np.int64)
    kept = outcome == 0
    # What could not be read or is no document has neither length nor score.
    whole = ~np.isin(reason, schema.UNUSABLE)
    names = facts.column(schema.SOURCE)
    keys = hash_names(names)
    return Figures(
        scores=_count(
            (declared[whole], outcome[whole], score_bins(facts)[whole]),
            (_ORIGINS, 2, SCORE_BINS + 1),
        ),
        lengths=_count(
            (origin[whole], outcome[whole], length_bins(decisions)[whole]),
            (_ORIGINS, 2, LENGTH_BINS),
        ),
        months=_count(
            (origin[kept], month_numbers(facts)[kept]), (_ORIGINS, MONTHS + 1)
        ),
        before=_amounts(decisions, group, groups),
        sources=_count_sources(keys, origin, reason, sources),
        source_names=names_among(names, sources),
        languages=make_tally(
            facts.column(schema.LANGUAGE),
            _read_and_kept(origin, kept),
            MOST_NAMES,
        ),
        causes=_causes(facts.filter(pa.array(reason == Reason.DEAD_LETTER))),
        earlier=_earlier(decisions, reason),
    )


def measure_documents(
    documents: pa.RecordBatch, decisions: pa.RecordBatch, excerpt: int
) -> Figures:
    """Returns what the rows of documents say that facts do not.

    Args:
      documents: `schema.SHARD`, `schema.REJECTED` or `schema.DEAD_LETTER` rows.
      decisions: The `schema.DECISION` rows of the same documents.
      excerpt: Characters of the text to show of examples.
    """
    if schema.TEXT not in documents.schema.names:
        return Figures(examples=find_dead_examples(documents, decisions))
    made = pc.and_(
        pc.equal(decisions.column(schema.REASON), Reason.KEPT),
        pc.equal(decisions.column(schema.ORIGIN), Origin.SYNTHETIC),
    )
    words = column(decisions.filter(made), schema.WORDS).astype(np.int64)
    counts = np.stack([np.ones(len(words), np.int64), words], axis=1)
    return Figures(
        generators=make_tally(
            documents.column(schema.GENERATOR).filter(made), counts, MOST_NAMES
        ),
        clusters=find_clusters(documents, decisions),
        examples=find_examples(documents, decisions, excerpt),
    )


def measure_texts(batches: Iterable[pa.RecordBatch]) -> Figures:
    """Returns how well some text of each origin can be compressed.

    Args:
      batches: `schema.SHARD` rows of one shard; the first of them are looked at.
    """
    sizes = np.zeros((_ORIGINS, 2), np.int64)
    batches = list(batches)
    for who in (Origin.HUMAN, Origin.SYNTHETIC):
        texts: list[pa.Array] = []
        left = _COMPRESSED_BYTES
        for batch in batches:
            mine = pc.equal(batch.column(schema.ORIGIN), ORIGIN_NAMES[who])
            text = batch.column(schema.TEXT).filter(mine)
            before = pc.cumulative_sum(pc.binary_length(text))
            texts.append(text.filter(pc.less_equal(before, left)))
            left -= pc.sum(pc.binary_length(texts[-1])).as_py() or 0
            if len(texts[-1]) < len(text):
                break
        if texts:
            sizes[who] = compress_text(pa.concat_arrays(texts), _COMPRESSED_BYTES)
    return Figures(compressed=sizes)


def score_bins(facts: pa.RecordBatch) -> np.ndarray:
    """Returns the bin of each document's score, the last for those without, int64."""
    score = column(facts, schema.AI_SCORE).astype(np.float64)
    known = np.nan_to_num(score, nan=0.0)
    bins = np.minimum((known * SCORE_BINS).astype(np.int64), SCORE_BINS - 1)
    return np.where(np.isnan(score), SCORE_BINS, bins)


def length_bins(decisions: pa.RecordBatch) -> np.ndarray:
    """Returns the bin of each document's number of words, int64."""
    words = np.maximum(column(decisions, schema.WORDS), 1)
    return (np.log2(words) * BINS_PER_OCTAVE).astype(np.int64)


def month_numbers(facts: pa.RecordBatch) -> np.ndarray:
    """Returns the month in which each document was created, int64; the last: none."""
    created = facts.column(schema.CREATED)
    days = pc.fill_null(created, 0).to_numpy().astype("datetime64[ms]")
    month = days.astype("datetime64[M]").astype(np.int64) + (1970 - FIRST_YEAR) * 12
    known = created.is_valid().to_numpy(False) & (month >= 0) & (month < MONTHS)
    return np.where(known, month, MONTHS)


def _count(keys: tuple[np.ndarray, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Returns how many documents have each combination of keys."""
    cell = np.ravel_multi_index(keys, shape)
    return np.bincount(cell, minlength=int(np.prod(shape))).reshape(shape)


def _amounts(decisions: pa.RecordBatch, group: np.ndarray, groups: int) -> np.ndarray:
    """Returns what filters and copies left, by group and unit."""
    reason = column(decisions, schema.REASON)
    mine = np.isin(reason, (Reason.KEPT, Reason.MIXTURE)) & (group < groups)
    of = group[mine].astype(np.int64)
    weights = (
        None,
        column(decisions, schema.BYTES)[mine],
        column(decisions, schema.WORDS)[mine],
    )
    amounts = [np.bincount(of, weight, groups) for weight in weights]
    return np.stack(amounts, axis=1).astype(np.int64)


def _read_and_kept(origin: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Returns for each document whether it was read, kept as human, as synthetic."""
    return np.stack(
        [
            np.ones(len(kept), np.int64),
            kept & (origin == Origin.HUMAN),
            kept & (origin == Origin.SYNTHETIC),
        ],
        axis=1,
    ).astype(np.int64)


def _count_sources(
    keys: np.ndarray, origin: np.ndarray, reason: np.ndarray, sources: np.ndarray
) -> np.ndarray:
    """Returns `SOURCE_COLUMNS` of each source that has a name, and of all others."""
    counts = np.zeros((len(keys), len(SOURCE_COLUMNS)), np.int64)
    counts[:, :3] = _read_and_kept(origin, reason == Reason.KEPT)
    for why, name in _OUTCOME_OF_SOURCE.items():
        counts[:, SOURCE_COLUMNS.index(name)] = reason == why
    at = np.searchsorted(sources, keys)
    known = np.append(sources, np.uint64(0))[at] == keys
    row = np.where(known & (at < len(sources)), at, len(sources))
    size = len(sources) + 1
    return np.stack([np.bincount(row, part, size) for part in counts.T], axis=1).astype(
        np.int64
    )


def _causes(dead: pa.RecordBatch) -> Tally:
    """Returns why documents could not be read; numbers in it make no difference."""
    said = pc.replace_substring_regex(dead.column(schema.ERROR), r"\d+", "N")
    said = pc.utf8_slice_codeunits(said, 0, 120)
    return make_tally(said, np.ones((dead.num_rows, 1), np.int64), MOST_NAMES)


def _earlier(decisions: pa.RecordBatch, reason: np.ndarray) -> Sample:
    """Returns how many documents each earlier build had, by the build's number."""
    build = column(decisions, schema.MATCH_BUILD)[reason == Reason.USED_BEFORE]
    return make_sample(build, np.ones((len(build), 1), np.int64), MOST_NAMES)


def top_sources(keys: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """Returns the keys of the sources with the most documents, uint64, ascending.

    Args:
      keys: Of all sources, uint64.
      documents: Of each.
    """
    first = np.lexsort((keys, -documents))[:MOST_SOURCES]
    return distinct([keys[first]])
