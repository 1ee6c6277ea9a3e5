"""The mixture as Beam steps: what `build` and `Mix` share.

Sums over all documents make a plan; the plan settles which documents are in but for
those of one bin of the order; these are looked at once more to find the exact bound.
"""

from typing import Optional

import apache_beam as beam
from apache_beam.pvalue import AsSingleton

from synthfilter.core.batches import Keyed
from synthfilter.decisions import decide
from synthfilter.decisions.cells import join_bounds
from synthfilter.decisions.rules import MixtureRules
from synthfilter.decisions.summary import add_summaries


def sum_up(
    decided: beam.PCollection, unit: str, weighted: bool = False
) -> beam.PCollection:
    """Returns the one `Summary` of `schema.DECIDED` batches."""
    return (
        decided
        | "Summarise" >> beam.Map(decide.summarise, unit, weighted)
        | "AddSummaries" >> beam.CombineGlobally(add_summaries)
    )


def plan_mixture(
    decided: beam.PCollection,
    summary: beam.PCollection,
    rules: MixtureRules,
    weighted: bool = False,
    true_shares: Optional[beam.PCollection] = None,
) -> tuple[beam.PCollection, beam.PCollection]:
    """Returns the one `MixturePlan`, and the one `Bounds` where its choices end.

    Args:
      decided: `schema.DECIDED` batches.
      summary: What `sum_up` returned for them.
      rules: What is asked.
      weighted: Whether documents weigh differently in the random order.
      true_shares: The one `(human, synthetic)`: how much of what counts as either is
        synthetic; None where marks are counted.
    """
    asked = [] if true_shares is None else [AsSingleton(true_shares)]
    plan = summary | "PlanMixture" >> beam.Map(
        decide.plan_mixture, rules, weighted, *asked
    )
    bounds = (
        decided
        | "BoundaryRows"
        >> beam.FlatMap(decide.boundary_rows, AsSingleton(plan)).with_output_types(
            Keyed
        )
        | "SameCells" >> beam.GroupByKey()
        | "FindBounds" >> beam.Map(decide.find_bounds, AsSingleton(plan))
        | "JoinBounds" >> beam.CombineGlobally(join_bounds)
    )
    return plan, bounds
