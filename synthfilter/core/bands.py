"""The bands of lengths, in words, that figures are taken in."""

import numpy as np

BAND_STARTS = (0, 50, 100, 200, 400)
BANDS = ("under 50", "50 to 99", "100 to 199", "200 to 399", "400 and more")
"""`BAND_STARTS` has the first length of each."""


def length_bands(words: np.ndarray) -> np.ndarray:
    """Returns the index in `BANDS` of each length."""
    return np.searchsorted(BAND_STARTS, words, side="right") - 1
