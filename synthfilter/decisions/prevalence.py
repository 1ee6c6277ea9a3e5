"""How much text is machine-written, whatever its marks say; with an interval.

A detector flags a share q of the documents. With its true- and false-positive rate the
share that is machine-written is (q - FPR) / (TPR - FPR) (Rogan and Gladen, Estimating
prevalence from the results of a screening test, American Journal of Epidemiology
107(1), 1978). One threshold wastes what the other scores say; Forman (Quantifying
counts and costs via classification, Data Mining and Knowledge Discovery 17, 2008) takes
many. Here all bins of the score are used at once, by likelihood, length by length.

Both rates differ more between sources than any sample tells, and nobody has seen the
sources at hand. So the share is estimated under many draws of what sources may look
like (`score_models`), each counting by how well it explains the scores. As none of them
is the truth, documents count as if there were a few at most (Miller and Dunson, Robust
Bayesian inference via coarsening, JASA 114, 2019). How many was chosen so that, on
sources left out, intervals hold and estimates are near: see docs/true-share.md.
"""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np

from synthfilter.core.profiles import (
    BINS,
    HUMAN,
    LENGTHS,
    SYNTHETIC,
    Profiles,
    length_bins,
    score_bins,
)
from synthfilter.decisions.score_fits import (
    BAND_OF_LENGTH,
    Fit,
    fit_group,
    log_likelihoods,
    log_table,
    machine_chances,
)
from synthfilter.decisions.score_models import Models, draw_models, smooth_counts

CONFIDENCE = 0.9
SHAPE = (LENGTHS, BINS, 2)
"""Of the cells of a group: length, score, not flagged or flagged."""

EVIDENCE, EVIDENCE_OWN = 40.0, 120.0
"""What any number of documents counts as at most, for intervals.

The second where all profiles are of the user's own text.
"""
_EVIDENCE_OF_MEAN = 200.0
"""The same for estimates: the likely rather than all that cannot be excluded."""
_EM_ROUNDS = 200
_MOST_FITS = 2048
"""That are remembered; about 20 KB each."""


class Interval(NamedTuple):
    """A share with its interval; all three in [0, 1]."""

    estimate: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True, eq=False)
class Observed:
    """Documents with a score; what is observed of parts adds up to that of the whole.

    Attributes:
      docs: Their number, int64 [groups, *SHAPE].
      weight: Their weight in the unit of the shares, the same shape.
    """

    docs: np.ndarray
    weight: np.ndarray

    def __add__(self, other: "Observed") -> "Observed":
        """Returns what is observed of both; groups have the same numbers in both."""
        return Observed(self.docs + other.docs, self.weight + other.weight)


@dataclasses.dataclass(frozen=True, eq=False)
class Prevalence:
    """How much of some documents is machine-written.

    Attributes:
      known: False where the detector has no profiles, or they tell nothing: then
        estimates are what is flagged, and intervals all that is possible.
      cells: The probability that a document is machine-written, float64 [groups,
        *SHAPE]; within a group and length it rises with the score.
    """

    known: bool
    cells: np.ndarray
    _docs: np.ndarray
    _weight: np.ndarray
    _fits: "list[_Fits]"
    _models: Models | None
    _profiles: Profiles | None
    _confidence: float

    @property
    def chance(self) -> np.ndarray:
        """The same as `cells` as `share` counts it, [groups, LENGTHS, BINS]."""
        return np.stack([fits.chance for fits in self._fits])

    @functools.cached_property
    def groups(self) -> list[Interval]:
        """Of each group by weight, in their order."""
        only = np.eye(len(self._weight), dtype=np.int64)[..., None, None, None]
        return [self.share(self._weight * mine) for mine in only]

    @functools.cached_property
    def all(self) -> Interval:
        """Of all groups together."""
        return self.share(self._weight)

    def share(self, weight: np.ndarray) -> Interval:
        """Returns how much of some of the documents is machine-written.

        Errors of all groups are taken to go the same way, as those of a generator that
        the detector knows badly do: intervals do not shrink with the number of groups.

        Args:
          weight: What to count of each cell, at least 0, as `Observed.weight`.
        """
        total = float(weight.sum())
        if not total > 0:
            return Interval(0.0, 0.0, 1.0)
        if self._models is None:
            return Interval(float(weight[..., 1].sum()) / total, 0.0, 1.0)
        found = np.zeros(3)
        for fits, of_group in zip(self._fits, weight.sum(axis=-1), strict=True):
            if of_group.any():
                found += _amount(fits, self._models, of_group, self._confidence)
        return Interval(*np.clip(found / total, 0, 1).tolist())

    def estimate(self, weight: np.ndarray) -> float:
        """Returns the estimate of `share` alone, in less time."""
        total = float(weight.sum())
        if not total > 0 or self._models is None:
            return self.share(weight).estimate
        found = 0.0
        for fits, of_group in zip(self._fits, weight.sum(axis=-1), strict=True):
            found += float((fits.chance * of_group).sum())
        return min(max(found / total, 0.0), 1.0)

    def cross_check(self, weight: np.ndarray) -> float | None:
        """Returns another method's estimate of `share`; None where nothing is known.

        It is that of Saerens, Latinne and Decaestecker (Adjusting the outputs of a
        classifier to new a priori probabilities, Neural Computation 14, 2002), which
        takes the mean of all known sources for the truth.

        Args:
          weight: See `share`.
        """
        if self._profiles is None or self._models is None or not weight.any():
            return None
        cells = _saerens(self._docs, self._profiles)
        found = (weight.sum(axis=-1) * cells).sum()
        return float(found / weight.sum())


class _Fits(NamedTuple):
    """What may be true of a group.

    Attributes:
      chance: How likely a document is to be machine-written, [LENGTHS, BINS]; for
        estimates.
      possible: All that cannot be excluded, for intervals.
      cells: The same as `chance`, but never falling with the score.
    """

    chance: np.ndarray
    possible: Fit
    cells: np.ndarray


class Fitter:
    """Fits groups of documents to draws of the profiles' sources.

    One that is asked again, as for many settings, remembers what it has fitted.

    Args:
      profiles: What the detector's scores look like.
      evidence: See `estimate_prevalence`.
    """

    def __init__(self, profiles: Profiles, evidence: float | None = None) -> None:
        """Draws the sources."""
        self.models = draw_models(profiles)
        usual = EVIDENCE_OWN if all(profiles.own) else EVIDENCE
        self._evidence = evidence or usual
        self._table: np.ndarray | None = None
        self._known: dict[tuple[int, int, bytes], _Fits] = {}

    def fit(self, docs: np.ndarray, models: Models) -> list[_Fits]:
        """Returns what may be true of each group.

        Args:
          docs: float64 [groups, LENGTHS, BINS].
          models: Those of this fitter.
        """
        if self._table is None:
            self._table = log_table(models)
        if len(self._known) > _MOST_FITS:
            self._known.clear()
        found = []
        # The last digit of a product of matrices depends on its shape, so that groups
        # are never left out of it; and a group is known in its place alone.
        likelihoods = log_likelihoods(docs, self._table)
        for place, of_group in enumerate(docs):
            key = (len(docs), place, of_group.tobytes())
            if key not in self._known:
                self._known[key] = self._fit(of_group, likelihoods[place], models)
            found.append(self._known[key])
        return found

    def _fit(self, docs: np.ndarray, likelihood: np.ndarray, models: Models) -> _Fits:
        likely = fit_group(docs, likelihood, models, _EVIDENCE_OF_MEAN)
        possible = fit_group(docs, likelihood, models, self._evidence)
        chance = machine_chances(likely, models).mean(axis=0)
        return _Fits(chance, possible, _rising(chance, docs))


def observe(
    group: np.ndarray,
    score: np.ndarray,
    words: np.ndarray,
    flagged: np.ndarray,
    weight: np.ndarray,
    groups: int,
) -> Observed:
    """Returns what is observed of documents.

    Args:
      group: Number of each one's group.
      score: float32; documents with NaN are left out.
      words: Their lengths.
      flagged: bool, whether the score reaches the threshold.
      weight: In the unit of the shares; whole numbers.
      groups: How many groups there are.
    """
    known = np.flatnonzero(~np.isnan(score))
    shape = (groups, *SHAPE)
    place = np.ravel_multi_index(
        (
            group[known],
            length_bins(words[known]),
            score_bins(score[known]),
            flagged[known].astype(np.int64),
        ),
        shape,
    )
    cells = groups * LENGTHS * BINS * 2
    docs = np.bincount(place, minlength=cells)
    # Sums of whole numbers are exact as float64 up to 2^53.
    sums = np.bincount(place, weight[known], cells).astype(np.int64)
    return Observed(docs.reshape(shape), sums.reshape(shape))


def estimate_prevalence(
    observed: Observed,
    profiles: Profiles | None,
    confidence: float = CONFIDENCE,
    evidence: float | None = None,
    fitter: Fitter | None = None,
) -> Prevalence:
    """Returns how much of what was observed is machine-written, by group.

    Args:
      observed: A group is text of one source: one kind of human text, and what
        machine text is among it.
      profiles: What the detector's scores look like; None: unknown.
      confidence: Of the intervals.
      evidence: What any number of documents counts as at most, for intervals: the
        less, the wider. None for `EVIDENCE`, or `EVIDENCE_OWN`.
      fitter: Of these profiles and this evidence, from another estimate; None: a new
        one.

    Raises:
      ValueError: The confidence is not above 0 and below 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be above 0 and below 1, got {confidence}")
    if fitter is None and profiles is not None:
        fitter = Fitter(profiles, evidence)
    models = None if fitter is None else fitter.models
    made = Prevalence(
        known=models is not None,
        cells=_as_flagged(observed),
        _docs=observed.docs.sum(axis=-1).astype(np.float64),
        _weight=observed.weight,
        _fits=[],
        _models=models,
        _profiles=profiles,
        _confidence=confidence,
    )
    if fitter is not None and models is not None:
        made._fits.extend(fitter.fit(made._docs, models))
        for number, fits in enumerate(made._fits):
            made.cells[number] = fits.cells[..., None]
    return made


def _as_flagged(observed: Observed) -> np.ndarray:
    """Returns cells that believe the flag."""
    cells = np.zeros(observed.docs.shape)
    cells[..., 1] = 1
    return cells


def _amount(
    fits: _Fits, models: Models, weight: np.ndarray, confidence: float
) -> np.ndarray:
    """Returns how much of a group's weight is machine text: estimate, low and high.

    Args:
      fits: Of the group.
      models: See there.
      weight: [LENGTHS, BINS].
      confidence: Of the interval.
    """
    filled = np.flatnonzero(weight.any(axis=1))
    chances = machine_chances(fits.possible, models, filled)
    possible = (chances * weight[filled]).sum(axis=(1, 2))
    tail, estimate = (1 - confidence) / 2, float((fits.chance * weight).sum())
    low, high = np.quantile(possible, [tail, 1 - tail]).tolist()
    return np.array([estimate, min(low, estimate), max(high, estimate)])


def _rising(chance: np.ndarray, docs: np.ndarray) -> np.ndarray:
    """Returns the nearest values that never fall with the score, [LENGTHS, BINS].

    Of bins out of order all get the mean (isotonic regression, by its min-max formula).

    Args:
      chance: [LENGTHS, BINS].
      docs: What each weighs.
    """
    weight = docs + 1e-6
    sums, weights = (
        np.concatenate([np.zeros((LENGTHS, 1)), np.cumsum(part, axis=1)], axis=1)
        for part in (chance * weight, weight)
    )
    # From the bin of a row to that of a column.
    valid = np.triu(np.ones((BINS, BINS), bool))
    size = np.where(valid, weights[:, None, 1:] - weights[:, :-1, None], 1)
    mean = np.where(valid, (sums[:, None, 1:] - sums[:, :-1, None]) / size, np.inf)
    least = np.minimum.accumulate(mean[..., ::-1], axis=-1)[..., ::-1]
    # A run that begins after a bin does not hold it.
    least = np.where(valid, least, -np.inf)
    return np.clip(least.max(axis=1), 0, 1)


def _saerens(docs: np.ndarray, profiles: Profiles) -> np.ndarray:
    """Returns probabilities of machine text that make the scores most likely.

    Args:
      docs: [groups, LENGTHS, BINS].
      profiles: All sources of a class count the same.
    """
    human, synthetic = (
        smooth_counts(profiles.of(kind).counts[:, kind]).mean(axis=0)[BAND_OF_LENGTH]
        for kind in (HUMAN, SYNTHETIC)
    )
    share = np.full((*docs.shape[:2], 1), 0.5)
    total = np.maximum(docs.sum(axis=-1, keepdims=True), 1)
    for _ in range(_EM_ROUNDS):
        chance = share * synthetic / (share * synthetic + (1 - share) * human)
        share = (chance * docs).sum(axis=-1, keepdims=True) / total
    return chance
