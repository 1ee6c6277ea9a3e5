"""A detector for this world: people keep to their subject, trigrams cannot.

What tells the two apart is how many of the rarer words of a document come again in it.
No model of n-grams can: machine text has the n-grams of what its model was trained on.
"""

import collections
import math

import numpy as np
import pyarrow as pa

from benchmarks.collapse.world import read_library, tokenise

PATH = "benchmarks.collapse.detector:Repetition"
COMMON = 200
FEWEST = 10
# Shares of rarer words that come again, in the world of seed 0, which no result is of.
BY_HUMANS, BY_MACHINES = 0.103, 0.020
# Words are not independent, so that each counts for less.
TEMPER = 0.5


class Repetition:
    """Scores documents by how few of their rarer words come again; `PATH` names it.

    The logit of a score is the log-likelihood ratio of independent words, tempered.
    """

    version = "1"

    def __init__(self) -> None:
        """Counts which words are common."""
        library = read_library()
        counts = collections.Counter(
            token for text in library.rest for token in tokenise(text)
        )
        self._common = {word for word, _ in counts.most_common(COMMON)}

    def score(self, column: pa.Array) -> np.ndarray:
        """Returns the score of each text; NaN where there are too few rarer words."""
        return np.array([self._score(text) for text in column.to_pylist()])

    def _score(self, text: str) -> float:
        rarer = [t.lower() for t in tokenise(text) if t not in self._common]
        if len(rarer) < FEWEST:
            return math.nan
        again = len(rarer) - len(set(rarer))
        ratio = again * math.log(BY_MACHINES / BY_HUMANS)
        ratio += len(set(rarer)) * math.log((1 - BY_MACHINES) / (1 - BY_HUMANS))
        return 1 / (1 + math.exp(-TEMPER * ratio))
