"""A language model that is learned in a second: interpolated Kneser-Ney trigrams.

R. Kneser, H. Ney: Improved backing-off for m-gram language modeling. ICASSP 1995; in
the interpolated form of S. F. Chen, J. Goodman 1999, a discount for each order.
"""

from collections.abc import Sequence

import numpy as np

from benchmarks.collapse.world import BEGIN, END

LONGEST, SHORTEST = 400, 20


def find_runs(ordered: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the distinct values of a sorted array, their starts and their numbers."""
    new = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
    starts = np.flatnonzero(new)
    return ordered[starts], starts, np.diff(np.append(starts, len(ordered)))


class Order:
    """Discounted probabilities of one order.

    Args:
      keys: Sorted, distinct `context * size + word`, int64.
      counts: How often each was seen.
      size: Of the vocabulary.
    """

    def __init__(self, keys: np.ndarray, counts: np.ndarray, size: int) -> None:
        """Discounts the counts."""
        once, twice = (float((counts == n).sum()) for n in (1, 2))
        discount = once / (once + 2 * twice) if once and twice else 0.5
        self._keys, self._size = keys, size
        self._contexts, starts, lengths = find_runs(keys // size)
        total = np.add.reduceat(counts, starts).astype(float)
        self._share = (counts - discount) / np.repeat(total, lengths)
        self._left = discount * lengths / total
        ends = np.cumsum(self._share)
        self._ends = ends
        self._start = np.append(0.0, ends)[starts]
        self._stop = ends[starts + lengths - 1]

    def refine(
        self, context: np.ndarray, word: np.ndarray, lower: np.ndarray
    ) -> np.ndarray:
        """Returns probabilities, given those of the next lower order."""
        row, known = _look_up(self._contexts, context)
        refined = np.where(known, self._left[row] * lower, lower)
        row, seen = _look_up(self._keys, context * self._size + word)
        return refined + np.where(seen, self._share[row], 0.0)

    def draw(self, context: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        """Returns words, or -1 where a lower order has to say."""
        row, known = _look_up(self._contexts, context)
        place = self._start[row] + uniform
        said = known & (place < self._stop[row])
        at = np.searchsorted(self._ends, place, side="right")
        word = self._keys[np.minimum(at, len(self._keys) - 1)] % self._size
        return np.where(said, word, -1)

    def draw_seen(self, uniform: np.ndarray) -> np.ndarray:
        """Returns words of the only context, none of them unseen."""
        at = np.searchsorted(self._ends, uniform * self._ends[-1], side="right")
        return self._keys[np.minimum(at, len(self._keys) - 1)] % self._size


def _look_up(ordered: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns where each value is, and whether it is there at all."""
    row = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return row, ordered[row] == wanted


def trigrams_of(documents: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the trigrams that end in a word or in the end of a document, int64[n, 3].

    Before a document stand two beginnings.
    """
    stream = np.concatenate([[BEGIN, BEGIN, *document, END] for document in documents])
    triples = np.lib.stride_tricks.sliding_window_view(stream.astype(np.int64), 3)
    within = (triples[:, 2] != BEGIN) & (triples[:, :2] != END).all(axis=1)
    return triples[within]


class Trigrams:
    """A trigram model of some documents.

    Args:
      documents: Token numbers.
      size: Of the vocabulary.
    """

    def __init__(self, documents: Sequence[np.ndarray], size: int) -> None:
        """Counts them."""
        self._size = size
        u, v, w = trigrams_of(documents).T
        seen, _, counts = find_runs(np.sort((u * size + v) * size + w))
        self._three = Order(seen, counts, size)
        # Lower orders count different contexts, not occurrences.
        seen, _, counts = find_runs(np.sort(seen % size**2))
        self._two = Order(seen, counts, size)
        seen, _, counts = find_runs(np.sort(seen % size))
        self._one = Order(seen, counts, size)

    def log_probabilities(self, documents: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the log-probability of each token, ends of documents included."""
        u, v, w = trigrams_of(documents).T
        chance = np.full(len(w), 1 / self._size)
        chance = self._one.refine(np.zeros_like(w), w, chance)
        chance = self._two.refine(v, w, chance)
        return np.log(self._three.refine(u * self._size + v, w, chance))

    def sample(self, tokens: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Returns documents at temperature 1, with about so many tokens in all.

        Words that the model never saw are not drawn: that it knows their names is for
        measuring alone.
        """
        documents: list[np.ndarray] = []
        while (missing := tokens - sum(map(len, documents))) > 0:
            documents += self._sample_some(1 + missing // 120, rng)
        return documents

    def _sample_some(self, number: int, rng: np.random.Generator) -> list[np.ndarray]:
        written = np.full((number, LONGEST), END, np.int64)
        u, v = np.full((2, number), BEGIN, np.int64)
        open_rows = np.arange(number)
        for place in range(LONGEST):
            before, last = u[open_rows], v[open_rows]
            word = self._three.draw(before * self._size + last, rng.random(len(last)))
            told = np.flatnonzero(word < 0)
            word[told] = self._two.draw(last[told], rng.random(len(told)))
            told = np.flatnonzero(word < 0)
            word[told] = self._one.draw_seen(rng.random(len(told)))
            written[open_rows, place] = word
            u[open_rows], v[open_rows] = last, word
            open_rows = open_rows[word != END]
        lengths = (written != END).sum(axis=1)
        rows = zip(written, lengths.tolist(), strict=True)
        return [row[:length] for row, length in rows if length >= SHORTEST]
