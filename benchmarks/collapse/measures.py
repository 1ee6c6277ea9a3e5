"""What is measured of a model and of its training set."""

from collections.abc import Sequence

import numpy as np

import synthfilter as sf
from benchmarks.collapse.trigram import trigrams_of
from benchmarks.collapse.world import Texts, World

RARE = 5  # a word is rare that generation 0 has this often at most, but has


class Ruler:
    """Measures on a fixed human test set, against generation 0.

    Args:
      world: The world.
    """

    def __init__(self, world: World) -> None:
        """Finds what is rare."""
        self._size = world.vocabulary.size
        self._encode = world.vocabulary.encode
        archive = [self._encode(text) for text in world.archive.texts]
        counts = np.bincount(np.concatenate(archive), minlength=self._size)
        self._test = trigrams_of(world.test)[:, 2]
        self._rare = (counts > 0) & (counts <= RARE)
        self._tail = np.unique(self._test[self._rare[self._test]])
        self._before = self.distinct_trigrams(archive)

    def measure_model(self, log_probabilities: np.ndarray) -> dict[str, float]:
        """Returns perplexity, and that of words that are rare in generation 0."""
        rare = log_probabilities[self._rare[self._test]]
        return {
            "perplexity": float(np.exp(-log_probabilities.mean())),
            "rare_perplexity": float(np.exp(-rare.mean())),
        }

    def distinct_trigrams(self, documents: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the distinct trigrams of documents, sorted, each as one number."""
        u, v, w = trigrams_of(documents).T
        return np.unique((u * self._size + v) * self._size + w)

    def measure_set(self, documents: Sequence[np.ndarray]) -> dict[str, float]:
        """Returns tail coverage and novelty against the set that was measured before.

        Tail coverage is the share of the test set's rare words that the set has,
        novelty the share of its distinct trigrams that the set before does not have.
        """
        seen = np.zeros(self._size, bool)
        seen[np.concatenate(documents)] = True
        mine = self.distinct_trigrams(documents)
        old = np.isin(mine, self._before, assume_unique=True)
        self._before = mine
        return {
            "tail_coverage": float(seen[self._tail].mean()),
            "novelty": float(1 - old.mean()),
        }


def detection_rates(found: Texts, **options: str | float) -> dict[str, float]:
    """Returns which share of machine and of human documents a detector flags.

    Args:
      found: Documents.
      options: Detector, calibration and target_fpr, as `sf.score_texts` takes them.
    """
    flagged = np.array(sf.score_texts(found.texts, **options)["origin"]) == "synthetic"
    return {
        "tpr": float(flagged[found.machine].mean()),
        "fpr": float(flagged[~found.machine].mean()),
    }
