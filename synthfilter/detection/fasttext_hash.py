"""fastText's word hash for many tokens at once, and 8-byte loads at any byte.

fastText hashes a word with 32-bit FNV-1a over *signed* bytes and sign-extends the
result before it combines words to n-grams.
"""

import numpy as np

_BASIS = 2166136261
_PRIME = 16777619
_FEW = 64
"""With fewer tokens left than this, plain Python is faster than one numpy step."""

_SIGNED = [byte if byte < 128 else byte | 0xFFFFFF00 for byte in range(256)]


def load8(padded: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Returns the 8 bytes from each position on as little-endian uint64.

    `padded` has at least 8 bytes more than the last position.
    """
    unaligned = np.ndarray((len(padded) - 7,), dtype="<u8", buffer=padded, strides=(1,))
    return unaligned[at]


def word_hashes(padded: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Returns fastText's hash of each token, sign-extended, as uint64.

    Time is linear in the bytes of the tokens, also when one token is very long.
    """
    length = end - start
    order = np.argsort(-length, kind="stable")
    begin, length = start[order], length[order]
    # How many tokens have more than k bytes; they stand in front.
    longest = int(length[_FEW - 1]) if len(length) >= _FEW else 0
    alive = np.searchsorted(-length, -np.arange(longest), side="left")
    state = np.full(len(order), _BASIS, np.uint32)
    for k, live in enumerate(alive.tolist()):
        if k % 8 == 0:
            eight = load8(padded, begin[:live] + k).view(np.int8).reshape(-1, 8)
        state[:live] ^= eight[:live, k % 8].astype(np.int32).view(np.uint32)
        state[:live] *= np.uint32(_PRIME)
    for i in range(int(np.searchsorted(-length, -longest, side="left"))):
        rest = padded[begin[i] + longest : begin[i] + length[i]]
        state[i] = _continue_hash(int(state[i]), rest.tobytes())
    hashes = np.empty(len(order), np.uint32)
    hashes[order] = state
    return sign_extend(hashes)


def sign_extend(hashes: np.ndarray) -> np.ndarray:
    """Returns uint32 hashes as fastText widens them: int32 to uint64."""
    return hashes.view(np.int32).astype(np.int64).view(np.uint64)


def _continue_hash(state: int, token: bytes) -> int:
    """Returns the hash `state` continued over bytes."""
    for byte in token:
        state = ((state ^ _SIGNED[byte]) * _PRIME) & 0xFFFFFFFF
    return state
