"""Lineage as Beam steps: how many rounds documents are from human text."""

from collections.abc import Iterable
from typing import NamedTuple, Optional

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.pvalue import AsIter, AsSingleton

from synthfilter.core import schema
from synthfilter.core.batches import column, concat_batches
from synthfilter.core.hashing import distinct, find_sorted, hash_texts
from synthfilter.core.schema import Origin
from synthfilter.core.uses import GENERATION
from synthfilter.decisions import lineage
from synthfilter.identity import BuildIdentity
from synthfilter.inputs.blocks import Block
from synthfilter.ledger.read import read_uses
from synthfilter.ledger.table import Ledger

_TOLD = pa.schema(
    [
        (schema.IDENTITY, pa.uint64()),
        (schema.DECLARED, pa.uint8()),
        (schema.SYNTH_GENERATION, pa.int32()),
        (schema.PARENTS, pa.list_(pa.uint64())),
    ]
)


class Lineage(NamedTuple):
    """Documents whose generation is known, sorted by identity.

    Attributes:
      identity: uint64 hashes of ids.
      generation: int32.
    """

    identity: np.ndarray
    generation: np.ndarray


def find_lineage(
    annotated: beam.PCollection, identity: beam.PCollection
) -> beam.PCollection:
    """Returns the one `Lineage` of all documents, as `decisions.lineage` finds it.

    Args:
      annotated: `(Block, facts)`.
      identity: The one `BuildIdentity`.
    """
    wanted = (
        annotated
        | "Parents" >> beam.Map(parents_of)
        | "AllParents" >> beam.CombineGlobally(distinct)
    )
    told = annotated | "TellLineage" >> beam.Map(
        tell_lineage, AsSingleton(wanted)
    ).with_output_types(pa.RecordBatch)
    return (
        annotated.pipeline
        | "Lineage" >> beam.Create([None])
        | "FindLineage"
        >> beam.Map(
            join_lineage, AsIter(told), AsSingleton(wanted), AsSingleton(identity)
        )
    )


def parents_of(element: tuple[Block, pa.RecordBatch]) -> np.ndarray:
    """Returns the distinct parents that documents of a block name, uint64."""
    return distinct([element[1].column(schema.PARENTS).flatten().to_numpy()])


def tell_lineage(
    element: tuple[Block, pa.RecordBatch], wanted: np.ndarray
) -> pa.RecordBatch:
    """Returns `_TOLD` rows of the documents that matter for anybody's generation."""
    block, facts = element
    declared = np.full(facts.num_rows, block.declared, np.uint8)
    parents = facts.column(schema.PARENTS)
    matters = pc.greater(pc.list_value_length(parents), 0).to_numpy(False)
    matters |= facts.column(schema.SYNTH_GENERATION).is_valid().to_numpy(False)
    matters |= find_sorted(wanted, column(facts, schema.IDENTITY)) >= 0
    rows = pa.RecordBatch.from_arrays(
        [
            facts.column(schema.IDENTITY),
            pa.array(declared),
            facts.column(schema.SYNTH_GENERATION),
            parents,
        ],
        schema=_TOLD,
    )
    return rows.filter(pa.array(matters))


def join_lineage(
    _: None,
    told: Iterable[pa.RecordBatch],
    wanted: np.ndarray,
    identity: BuildIdentity,
) -> Lineage:
    """Returns the generations of the documents that were told of."""
    rows = concat_batches([pa.RecordBatch.from_pylist([], schema=_TOLD), *told])
    sizes = pc.list_value_length(rows.column(schema.PARENTS)).to_numpy()
    names = column(rows, schema.IDENTITY)
    known, known_generation = known_parents(identity.ledger, wanted)
    found = lineage.generations(
        names,
        rows.column(schema.PARENTS).flatten().to_numpy(),
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.isin(column(rows, schema.DECLARED), (Origin.HUMAN, Origin.CORE)),
        masked(rows.column(schema.SYNTH_GENERATION)),
        known,
        known_generation,
    )
    clear = ~np.ma.getmaskarray(found)
    names, values = names[clear], found.data[clear]
    # Of one id the deepest counts.
    order = np.lexsort([-values, names])
    names, values = names[order], values[order]
    first = np.append(True, names[1:] != names[:-1])[: len(names)]
    return Lineage(names[first], values[first])


def known_parents(
    ledger: Optional[Ledger], wanted: np.ndarray
) -> tuple[np.ndarray, np.ma.MaskedArray]:
    """Returns identities and generations of those parents that a ledger knows."""
    names = [np.zeros(0, np.uint64)]
    generations = [np.ma.MaskedArray(np.zeros(0, np.int32), np.zeros(0, bool))]
    batches: Iterable[pa.RecordBatch] = ()
    if ledger is not None and len(wanted):
        batches = read_uses(ledger, (schema.ID, GENERATION))
    for batch in batches:
        identity = hash_texts(batch.column(schema.ID))[1]
        hit = find_sorted(wanted, identity) >= 0
        names.append(identity[hit])
        generations.append(masked(batch.column(GENERATION))[hit])
    return np.concatenate(names), np.ma.concatenate(generations)


def generation_of(
    known: Lineage, identity: np.ndarray, origin: np.ndarray
) -> np.ma.MaskedArray:
    """Returns the generation of each document; human text is 0 unless known deeper."""
    at = find_sorted(known.identity, identity)
    values = np.zeros(len(identity), np.int32)
    values[at >= 0] = known.generation[at[at >= 0]]
    return np.ma.MaskedArray(values, (at < 0) & (origin != Origin.HUMAN))


def masked(values: pa.Array) -> np.ma.MaskedArray:
    """Returns whole numbers, masked where they are null."""
    data = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    return np.ma.MaskedArray(data, values.is_null().to_numpy(zero_copy_only=False))
