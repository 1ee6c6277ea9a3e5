"""How far a rate that was counted may be from the true one."""

import math

import numpy as np

_Z = 1.959963984540054
"""Of a two-sided 95% interval."""


def wilson_interval(hits: float, of: float) -> tuple[float, float]:
    """Returns the 95% interval of a rate (Wilson 1927); (0, 1) where `of` is 0.

    Neither need be whole: of a weighted sample, `of` is its effective size.
    """
    if not of:
        return 0.0, 1.0
    share, slack = hits / of, _Z * _Z / of
    middle = (share + slack / 2) / (1 + slack)
    half = math.sqrt(share * (1 - share) * slack + slack * slack / 4) / (1 + slack)
    # Rounding must not push the bounds of 0 and 1 hits past the rate itself.
    return min(max(0.0, middle - half), share), max(min(1.0, middle + half), share)


def effective_size(weight: np.ndarray) -> float:
    """Returns how large an unweighted sample would say as much (Kish 1965).

    As many as there are where all weights are the same.
    """
    return float(weight.sum() ** 2 / (weight**2).sum()) if len(weight) else 0.0
