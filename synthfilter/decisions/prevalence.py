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
from typing import NamedTuple

import numpy as np

from synthfilter.core.bands import BANDS
from synthfilter.core.profiles import (
    BINS,
    HUMAN,
    LENGTHS,
    SYNTHETIC,
    Profiles,
    length_bins,
    score_bins,
)
from synthfilter.decisions.score_models import (
    DRAWS,
    Models,
    draw_models,
    smooth_counts,
)

CONFIDENCE = 0.9
SHAPE = (LENGTHS, BINS, 2)
"""Of the cells of a group: length, score, not flagged or flagged."""

EVIDENCE = 40.0
"""What any number of documents counts as at most, for intervals."""
_EVIDENCE_OF_MEAN = 200.0
"""The same for estimates: the likely rather than all that cannot be excluded."""
_PURE = 0.1
"""Before any is seen, the probability that all text is human, and that none is."""
_LEAN = 4.0
"""How many documents the share of its group counts as for a length."""
_LEVELS = 100
_BISECTIONS = 24
_EM_ROUNDS = 200
# Scores look the same from the last band of the profiles on.
_BAND_OF_LENGTH = np.minimum(np.arange(LENGTHS), len(BANDS) - 1)
_ENDS = np.geomspace(0.002, 0.05, 8)[:-1]
_SHARES = np.concatenate([_ENDS, np.linspace(0.05, 0.95, 31), 1 - _ENDS[::-1]])
_ALL_SHARES = np.concatenate([[0.0], _SHARES, [1.0]])
_GOLDEN = (5**0.5 - 1) / 2
"""Its multiples fall evenly into the unit interval, whatever their order is worth."""


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
      groups: Of each group by weight, in their order.
      all: Of all groups together.
      cells: The probability that a document is machine-written, float64 [groups,
        *SHAPE]; within a group and length it rises with the score.
    """

    known: bool
    groups: list[Interval]
    all: Interval
    cells: np.ndarray
    _fits: "list[_Fits]"
    _models: Models | None
    _em_cells: np.ndarray
    _confidence: float

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

    def cross_check(self, weight: np.ndarray) -> float | None:
        """Returns another method's estimate of `share`; None where nothing is known.

        It is that of Saerens, Latinne and Decaestecker (Adjusting the outputs of a
        classifier to new a priori probabilities, Neural Computation 14, 2002), which
        takes the mean of all known sources for the truth.

        Args:
          weight: See `share`.
        """
        if self._models is None or not weight.any():
            return None
        found = (weight.sum(axis=-1) * self._em_cells).sum()
        return float(found / weight.sum())


class _Fit(NamedTuple):
    """What may be true of a group, `_LEVELS` times.

    Attributes:
      draw: Number of the draw of the models.
      prior: float64 [levels, LENGTHS], the share of machine text before a score.
    """

    draw: np.ndarray
    prior: np.ndarray


class _Fits(NamedTuple):
    """The likely, for estimates, and all that cannot be excluded, for intervals."""

    likely: _Fit
    possible: _Fit


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
    place = (
        group[known],
        length_bins(words[known]),
        score_bins(score[known]),
        flagged[known].astype(np.int64),
    )
    docs, sums = (np.zeros((groups, *SHAPE), np.int64) for _ in range(2))
    np.add.at(docs, place, 1)
    np.add.at(sums, place, weight[known])
    return Observed(docs, sums)


def estimate_prevalence(
    observed: Observed,
    profiles: Profiles | None,
    confidence: float = CONFIDENCE,
    evidence: float = EVIDENCE,
) -> Prevalence:
    """Returns how much of what was observed is machine-written, by group.

    Args:
      observed: A group is text of one source: one kind of human text, and what
        machine text is among it.
      profiles: What the detector's scores look like; None: unknown.
      confidence: Of the intervals.
      evidence: What any number of documents counts as at most, for intervals: the
        less, the wider.

    Raises:
      ValueError: The confidence is not above 0 and below 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be above 0 and below 1, got {confidence}")
    models = None if profiles is None else draw_models(profiles)
    made = Prevalence(
        known=models is not None,
        groups=[],
        all=Interval(0.0, 0.0, 1.0),
        cells=_as_flagged(observed),
        _fits=[],
        _models=models,
        _em_cells=np.zeros(observed.docs.shape[:-1]),
        _confidence=confidence,
    )
    if profiles is not None and models is not None:
        docs = observed.docs.sum(axis=-1).astype(np.float64)
        table = _log_table(models)
        fits = [
            _Fits(
                _fit(of_group, table, models, _EVIDENCE_OF_MEAN),
                _fit(of_group, table, models, evidence),
            )
            for of_group in docs
        ]
        for number, (likely, _) in enumerate(fits):
            chance = _chances(likely, models).mean(axis=0)
            made.cells[number] = _rising(chance, docs[number])[..., None]
        made = dataclasses.replace(made, _fits=fits, _em_cells=_saerens(docs, profiles))
    only = np.eye(len(observed.weight), dtype=np.int64)[..., None, None, None]
    return dataclasses.replace(
        made,
        groups=[made.share(observed.weight * mine) for mine in only],
        all=made.share(observed.weight),
    )


def _as_flagged(observed: Observed) -> np.ndarray:
    """Returns cells that believe the flag."""
    cells = np.zeros(observed.docs.shape)
    cells[..., 1] = 1
    return cells


def _log_table(models: Models) -> np.ndarray:
    """Returns the log-probability of each score, [BANDS, BINS, draws * shares].

    Shares of machine text are `_ALL_SHARES`.
    """
    human, synthetic = (part.transpose(1, 2, 0)[..., None] for part in models)
    mixed = human + _ALL_SHARES * (synthetic - human)
    return np.log(mixed).astype(np.float32).reshape(*mixed.shape[:2], -1)


def _fit(docs: np.ndarray, table: np.ndarray, models: Models, evidence: float) -> _Fit:
    """Returns what may be true of one group.

    Args:
      docs: [LENGTHS, BINS].
      table: See `_log_table`.
      models: What it is about.
      evidence: What any number of documents counts as at most.
    """
    # Counting n documents as n e / (n + e) of them is the coarsened likelihood.
    docs = docs * (evidence / (evidence + docs.sum()))
    flat = np.zeros((LENGTHS, table.shape[-1]), np.float32)
    for band in range(len(BANDS)):
        mine = _BAND_OF_LENGTH == band
        flat[mine] = docs[mine].astype(np.float32) @ table[band]
    likelihood = flat.reshape(LENGTHS, DRAWS, -1)
    together = likelihood.sum(axis=0, dtype=np.float64) + np.log(
        _before(np.array(0.5), np.array(2.0))
    )
    chance = np.cumsum(np.exp(together - together.max()))
    # So many equally probable outcomes, evenly spread: systematic resampling.
    places = (np.arange(_LEVELS) + 0.5) / _LEVELS * chance[-1]
    draw, share = np.unravel_index(np.searchsorted(chance, places), together.shape)
    shares = _lean(likelihood[:, draw], _ALL_SHARES[share])
    return _Fit(draw, _balance(docs, shares, models, draw))


def _before(share: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Returns the probability of each share before its scores are seen.

    Args:
      share: What it is near to, in (0, 1).
      weight: How near: as if so many documents had been seen; 2 where all shares in
        (0, 1) are alike.

    Returns:
      Of 0, `_SHARES` and 1, on a last axis.
    """
    share, weight = share[..., None], weight[..., None]
    middle = (weight * share - 1) * np.log(_SHARES)
    middle = middle + (weight * (1 - share) - 1) * np.log1p(-_SHARES)
    middle = np.exp(middle) * np.gradient(_SHARES)
    middle *= (1 - 2 * _PURE) / middle.sum(axis=-1, keepdims=True)
    ends = 2 * _PURE * np.concatenate([1 - share, share], axis=-1)
    return np.concatenate([ends[..., :1], middle, ends[..., 1:]], axis=-1)


def _lean(likelihood: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Returns a share of each length, near that of the group, [levels, LENGTHS].

    Args:
      likelihood: Logarithms, [LENGTHS, levels, shares].
      share: Of the group at each level.
    """
    inside = np.clip(share, _SHARES[0], _SHARES[-1])
    found = likelihood + np.log(_before(inside, np.full(len(share), _LEAN)))
    chance = np.cumsum(np.exp(found - found.max(axis=-1, keepdims=True)), axis=-1)
    # One quantile for all lengths, since what misleads about one does so about others.
    place = (np.arange(len(share)) * _GOLDEN % 1)[:, None] * chance[..., -1:]
    pure = (share == 0) | (share == 1)
    return np.where(pure, share, _ALL_SHARES[(chance <= place).sum(axis=-1)]).T


def _balance(
    docs: np.ndarray, shares: np.ndarray, models: Models, draw: np.ndarray
) -> np.ndarray:
    """Returns priors under which the documents of a length have a share in sum.

    Args:
      docs: [LENGTHS, BINS].
      shares: [levels, LENGTHS].
      models: What the draws are of.
      draw: Of each level.
    """
    filled = np.flatnonzero(docs.any(axis=1))
    docs, target = docs[filled], shares[:, filled]
    ratio = _ratio(models, draw, filled)
    low, high = np.zeros_like(target), np.ones_like(target)
    for _ in range(_BISECTIONS):
        prior = (low + high) / 2
        found = np.einsum("rlk,lk->rl", _chance(ratio, prior), docs)
        under = found < target * docs.sum(axis=1)
        low, high = np.where(under, prior, low), np.where(under, high, prior)
    priors = shares.copy()
    pure = (target == 0) | (target == 1)
    priors[:, filled] = np.where(pure, target, (low + high) / 2)
    return priors


def _ratio(models: Models, draw: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Returns how much likelier each score is of human text, [draws, lengths, BINS]."""
    place = (draw[:, None], _BAND_OF_LENGTH[lengths])
    return models.human[place] / models.synthetic[place]


def _chance(ratio: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Returns the probability of machine text by Bayes' theorem."""
    with np.errstate(divide="ignore"):
        odds = (1 - prior) / prior
    return 1 / (1 + ratio * odds[..., None])


def _chances(fit: _Fit, models: Models) -> np.ndarray:
    """Returns the probability of machine text, [levels, LENGTHS, BINS]."""
    return _chance(_ratio(models, fit.draw, np.arange(LENGTHS)), fit.prior)


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
    likely, possible = (
        (_chances(fit, models) * weight).sum(axis=(1, 2)) for fit in fits
    )
    tail, estimate = (1 - confidence) / 2, likely.mean()
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
        smooth_counts(profiles.of(kind).counts[:, kind]).mean(axis=0)[_BAND_OF_LENGTH]
        for kind in (HUMAN, SYNTHETIC)
    )
    share = np.full((*docs.shape[:2], 1), 0.5)
    total = np.maximum(docs.sum(axis=-1, keepdims=True), 1)
    for _ in range(_EM_ROUNDS):
        chance = share * synthetic / (share * synthetic + (1 - share) * human)
        share = (chance * docs).sum(axis=-1, keepdims=True) / total
    return chance
