"""How well scores tell machine-written text from human text.

Figures on text that a model was trained on say nothing; `leave_one_source_out` gives
each document's evidence from a model that saw neither its source nor its kin.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from synthfilter.detection.linear import Evidence, LinearModel
from synthfilter.detection.tokens import WORDS
from synthfilter.detection.training import SYNTHETIC, train_detector

_KIN_CHARACTERS = 80


def auroc(human: np.ndarray, synthetic: np.ndarray) -> float:
    """Returns the area under the ROC curve; ties count half.

    That is the chance that a synthetic document scores above a human one
    (Mann and Whitney 1947). NaN when a class is empty.
    """
    if not len(human) or not len(synthetic):
        return float("nan")
    ordered = np.sort(human)
    below = np.searchsorted(ordered, synthetic, side="left")
    until = np.searchsorted(ordered, synthetic, side="right")
    return float((below + until).sum() / (2 * len(human) * len(synthetic)))


def threshold_at_fpr(
    human: np.ndarray, fpr: float, weights: np.ndarray | None = None
) -> float:
    """Returns the lowest threshold that at most `fpr` of the human scores reach.

    A score at or above the threshold counts as machine-written. Never interpolates
    between scores: the result is just above one of them.

    Args:
      human: Scores, none NaN.
      fpr: The share that may reach the threshold, by weight.
      weights: How much each score counts, above 0; None: all the same.

    Raises:
      ValueError: `fpr` is outside [0, 1), or there is no human score.
    """
    if not 0 <= fpr < 1:
        raise ValueError(f"fpr must be in [0, 1), got {fpr}")
    if not len(human):
        raise ValueError("expected human scores to set a threshold by, got none")
    weights = np.ones(len(human)) if weights is None else weights
    descending = np.argsort(-human, kind="stable")
    reaching = np.cumsum(weights[descending]) / weights.sum()
    allowed = int(np.searchsorted(reaching, fpr + 1e-9, side="right"))
    reached = human[descending[min(allowed, len(human) - 1)]]
    return float(np.nextafter(reached, reached.dtype.type(np.inf)))


def tpr_at_fpr(human: np.ndarray, synthetic: np.ndarray, fpr: float) -> float:
    """Returns the share of synthetic scores at or above `threshold_at_fpr`."""
    if not len(synthetic) or not len(human):
        return float("nan")
    return share_at_least(synthetic, threshold_at_fpr(human, fpr))


def share_at_least(scores: np.ndarray, threshold: float) -> float:
    """Returns the share of scores at or above a threshold; NaN of none."""
    return float(np.mean(scores >= threshold)) if len(scores) else float("nan")


def linked_groups(groups: Sequence[str], texts: Sequence[str]) -> np.ndarray:
    """Returns an int64 number for each document, equal for those that are kin.

    Kin are documents of one group, those that begin with the same 80 characters, and
    the kin of kin. One source often reuses another's human texts.
    """
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def root(node: tuple[str, str]) -> tuple[str, str]:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for group, text in zip(groups, texts, strict=True):
        parent[root(("group", group))] = root(("text", text[:_KIN_CHARACTERS]))
    numbers: dict[tuple[str, str], int] = {}
    roots = [root(("group", group)) for group in groups]
    return np.array([numbers.setdefault(r, len(numbers)) for r in roots], np.int64)


def leave_one_source_out(
    column: pa.Array,
    synthetic: np.ndarray,
    sources: np.ndarray,
    strata: Sequence[str],
    groups: np.ndarray,
    tokens: str = WORDS,
    *,
    views: Sequence[pa.Array] | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> list[Evidence]:
    """Returns each document's evidence from a model that never saw its source.

    Nor anything of a group that has a document in the source.

    Args:
      column: Text to train on.
      synthetic: bool, the class of each document.
      sources: The source of each document.
      strata: Within which training balances classes, one name a document.
      groups: int64, equal for documents that must not be parted.
      tokens: One of `tokens.TOKENISATIONS`.
      views: What is scored of the same documents, such as their first words; None
        for the text as it is trained on. Each gets its evidence.
      report: Called with a line for each source.
    """
    views = [column] if views is None else views
    found = [_no_evidence(len(column)) for _ in views]
    for source in sorted(set(sources)):
        report(f"leaving out {source}")
        held = sources == source
        seen = np.flatnonzero(~held & ~np.isin(groups, groups[held]))
        rows = np.flatnonzero(held)
        rest = column.take(pa.array(seen))
        names = [strata[i] for i in seen.tolist()]
        model = train_detector(rest, synthetic[seen], names, tokens)
        index = model.labels.index(f"__label__{SYNTHETIC}")
        scorer = LinearModel(model, index, tokens)
        for all_rows, view in zip(found, views, strict=True):
            evidence = scorer.evidence(view.take(pa.array(rows)))
            for field in dataclasses.fields(Evidence):
                getattr(all_rows, field.name)[rows] = getattr(evidence, field.name)
    return found


def _no_evidence(rows: int) -> Evidence:
    """Returns evidence to be filled in."""
    counts = {
        field.name: np.zeros(rows, np.int64)
        for field in dataclasses.fields(Evidence)
        if field.name != "logit"
    }
    return Evidence(logit=np.full(rows, np.nan), **counts)
