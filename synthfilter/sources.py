"""What each source loses, and the stop when one is nearly wiped out."""

from collections.abc import Iterable, Iterator
from typing import Optional

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.pvalue import AsIter, AsSingleton

from synthfilter.core import schema
from synthfilter.core.errors import ShortageError
from synthfilter.core.hashing import hash_names
from synthfilter.decisions.summary import Summary, heavy_losses
from synthfilter.inputs.blocks import Block

_NAMED = 5
"""Sources that an error message names at most."""


def check_sources(
    summary: beam.PCollection, annotated: beam.PCollection, most: Optional[float]
) -> beam.PCollection:
    """Returns the one `Summary` again, if no source has lost too much.

    Args:
      summary: The one `Summary`.
      annotated: `(Block, facts)`, for the names of sources.
      most: The share of a source's documents that may go before the mixture; None for
        all.
    """
    if most is None:
        return summary
    names = (
        annotated
        | "NameSources" >> beam.FlatMap(name_sources, AsSingleton(summary), most)
        | "DistinctNames" >> beam.Distinct()
    )
    return summary | "CheckSources" >> beam.Map(check_losses, AsIter(names), most)


def name_sources(
    element: tuple[Block, pa.RecordBatch], summary: Summary, most: float
) -> Iterator[tuple[str, str]]:
    """Yields `(key in hex, name)` of the sources of a block that have lost too much."""
    lost = heavy_losses(summary.sources, most)
    if not len(lost):
        return
    names = element[1].column(schema.SOURCE).unique()
    wanted = lost[:, 0].view(np.uint64)
    for key, name in zip(hash_names(names).tolist(), names.to_pylist(), strict=True):
        if name is not None and key in wanted:
            # Beam cannot encode a number of 64 bits without a sign.
            yield f"{key:016x}", name


def check_losses(
    summary: Summary, names: Iterable[tuple[str, str]], most: float
) -> Summary:
    """Returns the summary.

    Raises:
      ShortageError: a source lost more than it may.
    """
    lost = heavy_losses(summary.sources, most)
    if not len(lost):
        return summary
    known = {key: repr(name) for key, name in names}
    said = [
        f"{known.get(f'{key:016x}', 'without a name')} {copies + others:,} of {all_:,} "
        f"({copies:,} as copies)"
        for key, all_, copies, others in zip(
            lost[:, 0].view(np.uint64).tolist(), *lost[:, 1:].T.tolist(), strict=True
        )
    ]
    more = f" and {len(said) - _NAMED} more" if len(said) > _NAMED else ""
    named = ", ".join(sorted(said)[:_NAMED])
    raise ShortageError(
        f"copies and filters cost these sources more than max_source_loss={most:g} of "
        f"their documents: {named}{more}; look whether one repeats another or the "
        "detector misjudges it, then raise max_source_loss or leave it out"
    )
