"""The mixture as Beam steps: what `build` and `Mix` share.

Sums over all documents make a plan; the plan settles which documents are in but for
those of one bin of the order; these are looked at once more to find the exact bound.
"""

from typing import Optional

import apache_beam as beam
from apache_beam.pvalue import AsSingleton

from synthfilter.core.batches import Keyed
from synthfilter.decisions import decide, mixture
from synthfilter.decisions.summary import add_summaries


def sum_up(decided: beam.PCollection, unit: str) -> beam.PCollection:
    """Returns the one `Summary` of `schema.DECIDED` batches."""
    return (
        decided
        | "Summarise" >> beam.Map(decide.summarise, unit)
        | "AddSummaries" >> beam.CombineGlobally(add_summaries)
    )


def plan_mixture(
    decided: beam.PCollection,
    summary: beam.PCollection,
    unit: str,
    synthetic_fraction: Optional[float],
    max_synthetic_fraction: Optional[float],
    target_size: Optional[int],
    on_shortage: str,
) -> tuple[beam.PCollection, beam.PCollection]:
    """Returns the one `MixturePlan`, and `(origin, Bound)` where a choice ends.

    Args:
      decided: `schema.DECIDED` batches.
      summary: What `sum_up` returned for them.
      unit: See `mixture.plan_targets`, as for the rest.
      synthetic_fraction: See there.
      max_synthetic_fraction: See there.
      target_size: See there.
      on_shortage: See `mixture.parse_shortage`.
    """
    plan = summary | "PlanMixture" >> beam.Map(
        decide.plan_mixture,
        unit,
        synthetic_fraction,
        max_synthetic_fraction,
        target_size,
        mixture.parse_shortage(on_shortage),
    )
    bounds = (
        decided
        | "BoundaryRows"
        >> beam.FlatMap(
            decide.boundary_rows, AsSingleton(plan), unit
        ).with_output_types(Keyed)
        | "SameOrigin" >> beam.GroupByKey()
        | "FindBounds" >> beam.Map(decide.find_bound, AsSingleton(plan))
    )
    return plan, bounds
