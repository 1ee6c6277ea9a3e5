"""The order of documents that weigh differently: weighted bottom-k, in integers.

A document of weight w stands where an exponential variate of rate w does: the variate
of its order hash, divided by w (Efraimidis and Spirakis 2006; bottom-k sketches, Cohen
and Kaplan 2007). Computed without floating point, so that every machine agrees.
"""

import decimal
import functools
import math

import numpy as np

_TABLE_BITS = 12
_FRACTION_BITS = 57
_ONE = 1 << _FRACTION_BITS
# Weights beyond these powers of two count as these.
_MOST_OCTAVES = 31
_LAST = np.uint64(2**64 - 1)


def weighted_keys(order: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Returns the place of each document, uint64; the lowest is chosen first.

    The binary logarithm of -ln(1 - u) / weight, where u is the order hash as a number
    in [0, 1). It never falls with the order hash and never rises with the weight.
    Equal keys stand by their order hash, so that equal weights change nothing.

    Args:
      order: Order hashes, uint64.
      weight: float32; what is not above 0 is chosen last.
    """
    below = np.maximum(~order, np.uint64(1))
    variate = np.maximum(np.uint64(64 * _ONE) - log2_fixed(below), np.uint64(1))
    chosen = weight > 0
    limit = 2.0**_MOST_OCTAVES
    fraction, power = np.frexp(np.clip(np.where(chosen, weight, 1), 1 / limit, limit))
    digits = np.ldexp(fraction, 24).astype(np.uint64)
    octaves = (_MOST_OCTAVES + 1 + 24 - power).astype(np.uint64) * np.uint64(_ONE)
    keys = log2_fixed(variate) + (octaves - log2_fixed(digits))
    return np.where(chosen, keys, _LAST)


def log2_fixed(values: np.ndarray) -> np.ndarray:
    """Returns the binary logarithm of uint64 values from 1 on, in units of 2^-57.

    Between 4096 steps an octave it is interpolated; it never falls.
    """
    high = values >> np.uint64(32)
    upper = high > 0
    half = np.where(upper, high, values).astype(np.float64)
    whole = (np.frexp(half)[1] - 1 + 32 * upper).astype(np.uint64)
    digits = values << (np.uint64(63) - whole)
    table = _log_table()
    at = ((digits >> np.uint64(63 - _TABLE_BITS)) - np.uint64(1 << _TABLE_BITS)).astype(
        np.int64
    )
    step = table[at + 1] - table[at]
    # A product of two halves, as 64 bits do not hold the whole.
    coarse = (digits >> np.uint64(33)) & np.uint64((1 << 18) - 1)
    fine = (digits >> np.uint64(15)) & np.uint64((1 << 18) - 1)
    between = (step * coarse >> np.uint64(18)) + (step * fine >> np.uint64(36))
    return whole * np.uint64(_ONE) + table[at] + between


@functools.cache
def _log_table() -> np.ndarray:
    """Returns log2(1 + i / 4096) for i from 0 to 4096, in units of 2^-57."""
    size = 1 << _TABLE_BITS
    # Decimal rounds its logarithms correctly, everywhere.
    context = decimal.Context(prec=40)
    octave = context.ln(decimal.Decimal(2))
    steps = [
        context.divide(
            context.ln(
                context.divide(decimal.Decimal(size + i), decimal.Decimal(size))
            ),
            octave,
        )
        for i in range(size)
    ]
    units = [math.floor(context.multiply(s, decimal.Decimal(_ONE))) for s in steps]
    return np.array([*units, _ONE], np.uint64)
