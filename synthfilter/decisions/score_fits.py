"""What may be true of a group of documents, given their scores."""

from typing import NamedTuple

import numpy as np

from synthfilter.core.bands import BANDS
from synthfilter.core.profiles import LENGTHS
from synthfilter.decisions.score_models import DRAWS, Models

_PURE = 0.1
"""Before any is seen, the probability that all text is human, and that none is."""
_LEAN = 4.0
"""How many documents the share of its group counts as for a length."""
_LEVELS = 100
_BISECTIONS = 24
# Scores look the same from the last band of the profiles on.
BAND_OF_LENGTH = np.minimum(np.arange(LENGTHS), len(BANDS) - 1)
_ALL_LENGTHS = np.arange(LENGTHS)
_ENDS = np.geomspace(0.002, 0.05, 8)[:-1]
_SHARES = np.concatenate([_ENDS, np.linspace(0.05, 0.95, 31), 1 - _ENDS[::-1]])
_ALL_SHARES = np.concatenate([[0.0], _SHARES, [1.0]])
_GOLDEN = (5**0.5 - 1) / 2
"""Its multiples fall evenly into the unit interval, whatever their order is worth."""


class Fit(NamedTuple):
    """What may be true of a group, `_LEVELS` times.

    Attributes:
      draw: Number of the draw of the models.
      prior: float64 [levels, LENGTHS], the share of machine text before a score.
    """

    draw: np.ndarray
    prior: np.ndarray


def log_table(models: Models) -> np.ndarray:
    """Returns the log-probability of each score, [BANDS, BINS, draws * shares].

    Shares of machine text are `_ALL_SHARES`.
    """
    human, synthetic = (part.transpose(1, 2, 0)[..., None] for part in models)
    mixed = human + _ALL_SHARES * (synthetic - human)
    return np.log(mixed).astype(np.float32).reshape(*mixed.shape[:2], -1)


def log_likelihoods(docs: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Returns the log-likelihood of the scores of each group and length.

    Args:
      docs: [groups, LENGTHS, BINS].
      table: Of the models that they are scored by; see `log_table`.

    Returns:
      float32 [groups, LENGTHS, draws, shares].
    """
    flat = np.empty((*docs.shape[:2], table.shape[-1]), np.float32)
    for length, band in enumerate(BAND_OF_LENGTH):
        # All groups at once: a product of matrices takes a tenth of their single ones.
        np.matmul(docs[:, length].astype(np.float32), table[band], out=flat[:, length])
    return flat.reshape(*docs.shape[:2], DRAWS, len(_ALL_SHARES))


def fit_group(
    docs: np.ndarray, likelihood: np.ndarray, models: Models, evidence: float
) -> Fit:
    """Returns what may be true of one group.

    Args:
      docs: [LENGTHS, BINS].
      likelihood: Of the group, see `log_likelihoods`.
      models: What it is about.
      evidence: What any number of documents counts as at most.
    """
    # Counting n documents as n e / (n + e) of them is the coarsened likelihood.
    part = evidence / (evidence + docs.sum())
    docs, likelihood = docs * part, likelihood * np.float32(part)
    together = likelihood.sum(axis=0, dtype=np.float64) + np.log(
        _before(np.array(0.5), np.array(2.0))
    )
    chance = np.cumsum(np.exp(together - together.max()))
    # So many equally probable outcomes, evenly spread: systematic resampling.
    places = (np.arange(_LEVELS) + 0.5) / _LEVELS * chance[-1]
    draw, share = np.unravel_index(np.searchsorted(chance, places), together.shape)
    shares = _lean(likelihood[:, draw], _ALL_SHARES[share])
    return Fit(draw, _balance(docs, shares, models, draw))


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
    place = (draw[:, None], BAND_OF_LENGTH[lengths])
    return models.human[place] / models.synthetic[place]


def _chance(ratio: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Returns the probability of machine text by Bayes' theorem."""
    with np.errstate(divide="ignore"):
        odds = (1 - prior) / prior
    return 1 / (1 + ratio * odds[..., None])


def machine_chances(
    fit: Fit, models: Models, lengths: np.ndarray = _ALL_LENGTHS
) -> np.ndarray:
    """Returns the probability of machine text, [levels, lengths, BINS].

    Args:
      fit: What may be true.
      models: What it is about.
      lengths: Those that are asked for.
    """
    ratio = _ratio(models, fit.draw, lengths)
    return _chance(ratio, fit.prior[:, lengths])
