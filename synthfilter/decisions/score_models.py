"""What scores may look like in sources that nobody has seen, from those in profiles."""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from synthfilter.core.profiles import BINS, HUMAN, SYNTHETIC, Profiles

DRAWS = 256

# How far the scores of a source that nobody has seen may lie beside those of a known
# one: a standard deviation in bins, each a quarter of the logit. For how they were
# chosen see docs/true-share.md.
_SHIFT_UNSEEN, _SHIFT_OWN = 6.0, 2.0
LEAST_KNOWN = 100
"""Documents of a class whose origin is known, for their scores to take part."""

# A band of lengths with few documents of a source looks like that of all sources
# together, which weigh as much as so many documents.
_SHRINK = 10.0
# To that the shape over all bands adds this share, and each bin at least so much.
_LENT, _FLOOR = 0.05, 1e-3
_KERNEL = np.array([1, 2, 3, 2, 1]) / 9
# One base for each number of a draw: a human and a machine-written source, two shifts.
_BASES = (2, 3, 5, 7)


class Models(NamedTuple):
    """Draws of a human and of a machine-written source.

    Attributes:
      human: float64 [draws, BANDS, BINS], which share of the documents of a band gets a
        score of a bin; all above 0, those of a band 1 in sum.
      synthetic: The same of machine-written text.
    """

    human: np.ndarray
    synthetic: np.ndarray


def draw_models(profiles: Profiles) -> Models | None:
    """Returns sources that are as unlike the known ones as those are unlike each other.

    A draw takes one source of each class and moves its scores by a normal amount, so
    that it stands for what no source of the profiles shows. Half of them are the
    documents of known origin instead, where these are enough, and move less; half, as
    the others need not be like these. The draws are spread evenly (Halton 1960) and the
    same each time.

    Args:
      profiles: Sources count the same, however large.

    Returns:
      None where the profiles lack a class, or human text scores as high as the other.
    """
    human, synthetic = (
        smooth_counts(profiles.of(kind).counts[:, kind]) for kind in (HUMAN, SYNTHETIC)
    )
    if not len(human) or not len(synthetic) or not _rises(human, synthetic):
        return None
    first, second, *normal = (_spread(DRAWS, base) for base in _BASES)
    told = enough_known(profiles.known)
    parts = []
    for kind, sources, place, move in (
        (HUMAN, human, first, normal[0]),
        (SYNTHETIC, synthetic, second, normal[1]),
    ):
        width = np.full(DRAWS, _SHIFT_OWN if profiles.own[kind] else _SHIFT_UNSEEN)
        number = (place * len(sources)).astype(np.int64)
        if told[kind]:
            # The first bit of a place tells whether, the others which source.
            known = place < 0.5
            number = (2 * place % 1 * len(sources)).astype(np.int64)
            number[known], width[known] = -1, _SHIFT_OWN
            sources = np.concatenate([sources, _smooth_known(profiles, kind)])
        bins = width * [NormalDist().inv_cdf(u) for u in move.tolist()]
        parts.append(move_scores(sources[number], bins))
    return Models(*parts)


def enough_known(known: np.ndarray) -> list[bool]:
    """Returns whether documents of known origin are enough to take part, by class.

    Args:
      known: See `Profiles.known`.
    """
    return (known.sum(axis=(1, 2)) >= LEAST_KNOWN).tolist()


def _smooth_known(profiles: Profiles, kind: int) -> np.ndarray:
    """Returns shares of bins of documents of known origin: [1, BANDS, BINS].

    Lengths with few of them look like those of all sources.
    """
    sources = profiles.of(kind).counts[:, kind]
    return smooth_counts(np.concatenate([sources, profiles.known[[kind]]]))[-1:]


def smooth_counts(counts: np.ndarray) -> np.ndarray:
    """Returns the share of each bin in a band, for each source; none is 0.

    Args:
      counts: Documents, [sources, BANDS, BINS].
    """
    if not len(counts):
        return np.zeros(counts.shape)
    blurred = _blur(counts.astype(np.float64))
    pool = (blurred / blurred.sum(axis=(1, 2), keepdims=True)).sum(axis=0)
    pool += _LENT * pool.sum(axis=0) / pool.sum() + _FLOOR / BINS
    pool /= pool.sum(axis=-1, keepdims=True)
    total = blurred.sum(axis=-1, keepdims=True)
    return (blurred + _SHRINK * pool) / (total + _SHRINK)


def move_scores(shares: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Returns shares of bins with every score moved; what leaves the ends stays there.

    Args:
      shares: [draws, BANDS, BINS], 1 in sum over the bins.
      bins: By how many bins each draw moves, up or down.
    """
    below = np.zeros((*shares.shape[:-1], BINS + 1))
    np.cumsum(shares, axis=-1, out=below[..., 1:])
    place = np.clip(np.arange(BINS + 1) - bins[:, None], 0, BINS)[:, None]
    place = np.broadcast_to(place, below.shape)
    whole = np.minimum(place.astype(np.int64), BINS - 1)
    low = np.take_along_axis(below, whole, axis=-1)
    high = np.take_along_axis(below, whole + 1, axis=-1)
    moved = low + (place - whole) * (high - low)
    moved[..., 0], moved[..., -1] = 0, 1
    found = np.maximum(np.diff(moved, axis=-1), 0) + _FLOOR / BINS
    return found / found.sum(axis=-1, keepdims=True)


def _rises(human: np.ndarray, synthetic: np.ndarray) -> bool:
    """Returns whether machine-written text scores higher, all sources together."""
    low, high = (part.mean(axis=(0, 1)) for part in (human, synthetic))
    below = np.cumsum(low) - low / 2
    return float(high @ below) > 0.5


def _blur(counts: np.ndarray) -> np.ndarray:
    """Returns counts that lend to neighbouring bins; the sums stay."""
    reach = len(_KERNEL) // 2
    out = np.zeros((*counts.shape[:-1], BINS + 2 * reach))
    for step, weight in enumerate(_KERNEL.tolist()):
        out[..., step : step + BINS] += weight * counts
    inside = out[..., reach:-reach].copy()
    inside[..., 0] += out[..., :reach].sum(axis=-1)
    inside[..., -1] += out[..., -reach:].sum(axis=-1)
    return inside


def _spread(count: int, base: int) -> np.ndarray:
    """Returns numbers in (0, 1) with few gaps: van der Corput's sequence from 1 on."""
    rest, factor = np.arange(1, count + 1), 1.0
    found = np.zeros(count)
    while rest.any():
        factor /= base
        found += factor * (rest % base)
        rest = rest // base
    return found
