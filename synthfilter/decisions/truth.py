"""The share that is really synthetic: estimated, held to, and told with an interval.

What counts as human is in part machine text that the detector missed, and what it
flagged is in part human. The mixture is planned with these parts in mind.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from synthfilter.core.errors import ShortageError
from synthfilter.core.hashing import mix
from synthfilter.core.profiles import Profiles
from synthfilter.core.schema import ORIGIN_NAMES, Origin
from synthfilter.decisions.prevalence import (
    CONFIDENCE,
    Fitter,
    Observed,
    Prevalence,
    estimate_prevalence,
)
from synthfilter.decisions.score_models import enough_known
from synthfilter.decisions.survey import Groups, Survey, is_asked

ON_HIDDEN = ("auto", "keep", "shrink", "fail")
_MOST_GROUPS = 63


@dataclasses.dataclass(frozen=True, eq=False)
class Truth:
    """How much of what counts as human or synthetic is likely to be synthetic.

    Attributes:
      groups: The groups that prevalence is told for.
      prevalence: By group.
      observed: What it was estimated from.
      known: How many documents of known origin took part, int64 [human, synthetic].
      human_share: Synthetic part of the weight that counts as human and is still in.
      synthetic_share: Synthetic part of the weight that counts as synthetic.
      stays: Which share of the documents that count as human stays in, float64
        [groups, *SHAPE]; None: all do.
    """

    groups: Groups
    prevalence: Prevalence
    observed: Observed
    known: np.ndarray
    human_share: float
    synthetic_share: float
    stays: np.ndarray | None = None


def estimate_truth(
    survey: Survey,
    profiles: Profiles | None,
    fraction: float | None,
    on_hidden: str,
    make_fitter: Callable[[Profiles], Fitter] = Fitter,
) -> Truth:
    """Returns what is likely of the documents that are still in.

    Args:
      survey: Of all documents.
      profiles: What the detector's scores look like; None: unknown.
      fraction: The synthetic share to hold or not to exceed; None: none is.
      on_hidden: What to do where hidden text alone exceeds it: `keep` all the same,
        `shrink` by the most suspect documents until it does not, or `fail`; `auto`
        shrinks where enough machine text is known to go by, and some human text.
      make_fitter: Makes that of some profiles, or knows it from another estimate.

    Raises:
      ShortageError: hidden text exceeds the fraction, and the policy is to fail, or to
        shrink and nothing would be left.
    """
    groups = Groups.largest(survey.cells, _MOST_GROUPS)
    key = survey.cells[:, 0].view(np.uint64)
    docs, weight, alive = (groups.table(key, survey.cells[:, i]) for i in (1, 2, 3))
    observed = Observed(docs, weight)
    fitter = None
    if profiles is not None:
        profiles = dataclasses.replace(profiles, known=survey.known)
        fitter = make_fitter(profiles)
    prevalence = estimate_prevalence(observed, profiles, fitter=fitter)
    human, synthetic = (
        _synthetic_part(prevalence, alive, side, int(survey.settled[side]))
        for side in (Origin.HUMAN, Origin.SYNTHETIC)
    )
    known = survey.known.sum(axis=(1, 2)) * enough_known(survey.known)
    truth = Truth(groups, prevalence, observed, known, human, synthetic)
    if fraction is None or not prevalence.known or human <= fraction:
        return truth
    if on_hidden == "auto":
        # Known machine text to go by, and human text that can stay.
        told = known[Origin.SYNTHETIC] and survey.settled[Origin.HUMAN]
        on_hidden = "shrink" if told else "keep"
    if on_hidden == "keep":
        return truth
    return _hold(truth, alive, int(survey.settled[Origin.HUMAN]), fraction, on_hidden)


def _hold(
    truth: Truth, alive: np.ndarray, settled: int, fraction: float, on_hidden: str
) -> Truth:
    """Returns the truth of what stays when the most suspect goes, or raises."""
    said = (
        f"{truth.human_share:.1%} of the text that counts as human is estimated to be "
        f"synthetic text that nothing marks, more than the {fraction:.1%} asked for"
    )
    if on_hidden == "fail":
        raise ShortageError(
            f"{said}; ask for more, add text that is known to be human, leave the most "
            "suspect out with --on-hidden shrink, or use --count declared"
        )
    stays = _least_suspect(truth.prevalence, alive[..., 0], settled, fraction)
    left = alive * stays
    if not settled and not left[..., 0].any():
        raise ShortageError(
            f"{said}, and so is the least suspect of it; ask for more, add text that "
            "is known to be human, or use --on-hidden keep or --count declared"
        )
    human = _synthetic_part(truth.prevalence, left, Origin.HUMAN, settled)
    return dataclasses.replace(truth, human_share=human, stays=stays)


def _synthetic_part(
    prevalence: Prevalence, alive: np.ndarray, side: Origin, settled: int
) -> float:
    """Returns the synthetic part of what counts as human, or as synthetic.

    Args:
      prevalence: Of the documents that are the detector's question.
      alive: Their weight that is still in, [groups, *SHAPE].
      side: What they count as; those that are flagged count as synthetic.
      settled: Weight of the others, which are what they count as.
    """
    part = np.zeros_like(alive)
    part[..., side] = alive[..., side]
    total = float(part.sum()) + settled
    if not total:
        return float(side)
    hidden = prevalence.estimate(part) * float(part.sum())
    return (hidden + settled * float(side)) / total


def _least_suspect(
    prevalence: Prevalence, weight: np.ndarray, settled: int, fraction: float
) -> np.ndarray:
    """Returns which share of each cell stays, [groups, *SHAPE]: the least suspect.

    Of equally suspect ones that have some room, but not all of it, each has a part.

    Args:
      prevalence: Of the documents that are the detector's question.
      weight: Of those that count as human, [groups, LENGTHS, BINS].
      settled: Weight that is human for certain.
      fraction: What may be synthetic of all that stays; less than there is.
    """
    value, at = np.unique(prevalence.cells[..., 0], return_inverse=True)
    at = at.reshape(weight.shape)
    # By how much each value, and all that are less suspect, exceed the fraction.
    over = (prevalence.chance - fraction) * weight
    excess = np.bincount(at.ravel(), over.ravel(), len(value))
    before = np.cumsum(excess) - excess - fraction * settled
    share = np.divide(-before, excess, out=np.ones(len(value)), where=excess > 0)
    share = np.minimum.accumulate(np.clip(share, 0, 1))
    return share[at][..., None].repeat(2, axis=-1)


def is_suspect(
    truth: Truth,
    group_key: np.ndarray,
    words: np.ndarray,
    suspicions: np.ndarray,
    order: np.ndarray,
) -> np.ndarray:
    """Returns which documents are too suspect to stay, if they count as human.

    Args:
      truth: What is likely.
      group_key: See `survey.group_keys`.
      words: Length of each.
      suspicions: See `survey.suspicion`.
      order: Place of each in the random order, uint64.
    """
    if truth.stays is None:
        return np.zeros(len(words), bool)
    stays = truth.groups.look_up(truth.stays, group_key, words, suspicions)
    # The mixture takes the first of the order, so that chances are of another one.
    random = mix(order) / 2.0**64
    return is_asked(suspicions) & (random >= stays)


def tell_shares(
    truth: Truth, asked: np.ndarray, human: int, synthetic: int
) -> dict[str, Any]:
    """Returns the shares of a set, as the manifest has them.

    Args:
      truth: What is likely.
      asked: What is in the set of documents that are the detector's question: int64
        [rows, 2], key of group and cell, weight.
      human: Weight that counts as human.
      synthetic: Weight that counts as synthetic.
    """
    total = human + synthetic
    declared = synthetic / total if total else None
    if not total or not truth.prevalence.known:
        return {"declared": declared, "estimated": None, "low": None, "high": None}
    weight = truth.groups.table(asked[:, 0].view(np.uint64), asked[:, 1])
    settled = synthetic - int(weight[..., 1].sum())
    found = truth.prevalence.share(weight)
    hidden = float(weight.sum())
    return {
        "declared": declared,
        **{
            name: (settled + value * hidden) / total
            for name, value in zip(
                ("estimated", "low", "high"),
                found if hidden else (0.0, 0.0, 0.0),
                strict=True,
            )
        },
        "confidence": CONFIDENCE,
    }


def tell_prevalence(truth: Truth, names: Mapping[str, str]) -> dict[str, Any] | None:
    """Returns what the manifest says of hidden text; None where nothing is known.

    Args:
      truth: What is likely.
      names: Of groups, by key in hex.
    """
    found, documents = truth.prevalence, truth.observed.docs.sum(axis=(1, 2, 3))
    if not found.known or not documents.any():
        return None
    groups = [
        {
            "group": names.get(f"{key:016x}", "without a name"),
            "docs": number,
            **interval._asdict(),
        }
        for key, number, interval in zip(
            truth.groups.keys.tolist(),
            documents.tolist(),
            found.groups,
            # The last group is all others together.
            strict=False,
        )
    ]
    others = int(documents[-1])
    if others:
        groups.append({"group": "others", "docs": others, **found.groups[-1]._asdict()})
    return {
        "confidence": CONFIDENCE,
        "docs": int(documents.sum()),
        "known": dict(zip(ORIGIN_NAMES, truth.known.tolist(), strict=False)),
        **found.all._asdict(),
        "em": found.cross_check(truth.observed.weight),
        "groups": sorted(groups, key=lambda group: -group["docs"]),
    }
