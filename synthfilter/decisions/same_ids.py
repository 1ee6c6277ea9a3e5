"""Documents that share an id, and not their text: told, and all kept."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class SameIds:
    """How many ids stand for several texts.

    Attributes:
      ids: Those ids.
      texts: The different texts under them.
    """

    ids: int = 0
    texts: int = 0


def find_same_ids(identity: np.ndarray, content: np.ndarray) -> SameIds:
    """Returns how many ids stand for several texts.

    Args:
      identity: Hash of the id of each document, uint64.
      content: Hash of its text, uint64.
    """
    order = np.argsort(identity)
    equal = identity[order][1:] == identity[order][:-1]
    # Few ids come twice; only those are sorted in full.
    shared = np.zeros(len(order), bool)
    shared[1:] |= equal
    shared[:-1] |= equal
    some = order[shared]
    if not len(some):
        return SameIds()
    some = some[np.lexsort([content[some], identity[some]])]
    new_id = np.append(True, identity[some][1:] != identity[some][:-1])
    new_text = new_id | np.append(True, content[some][1:] != content[some][:-1])
    texts = np.add.reduceat(new_text.astype(np.int64), np.flatnonzero(new_id))
    return SameIds(int((texts > 1).sum()), int(texts[texts > 1].sum()))


def add_same_ids(parts: Iterable[SameIds]) -> SameIds:
    """Returns the counts of parts that share no id, together."""
    parts = list(parts)
    return SameIds(sum(part.ids for part in parts), sum(part.texts for part in parts))


def describe_same_ids(said: Mapping[str, Any] | None) -> list[str]:
    """Returns how many ids stand for several texts, in a line or none.

    Args:
      said: What the manifest has of it.
    """
    if not said or not said["ids"]:
        return []
    return [
        f"{said['ids']:,} ids stand for {said['texts']:,} different texts; all count"
    ]
