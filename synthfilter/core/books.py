"""The books: how many documents, bytes and words went where, and that none is lost."""

import numpy as np

from synthfilter.core.schema import (
    ORIGIN_NAMES,
    REASON_NAMES,
    UNITS,
    WRITTEN,
    Origin,
    Reason,
)

# Reasons that are told where nothing is left.
_MOST_TOLD = 3
_SHAPE = (len(Origin), len(Origin), len(Reason), len(UNITS))


def empty_books() -> np.ndarray:
    """Returns books of nothing: int64 [declared origin, origin, reason, unit]."""
    return np.zeros(_SHAPE, np.int64)


def count(
    declared: np.ndarray,
    origin: np.ndarray,
    reason: np.ndarray,
    size: np.ndarray,
    words: np.ndarray,
) -> np.ndarray:
    """Returns the books of some documents; books of parts add up with `+`.

    Args:
      declared: `Origin` codes as declared.
      origin: `Origin` codes as decided.
      reason: `Reason` codes.
      size: Bytes of each document.
      words: Words of each document.
    """
    cell = np.ravel_multi_index(
        (declared.astype(np.int64), origin.astype(np.int64), reason.astype(np.int64)),
        _SHAPE[:3],
    )
    cells = int(np.prod(_SHAPE[:3]))
    weights = (None, size, words)
    counts = [np.bincount(cell, weight, cells) for weight in weights]
    return np.stack(counts, axis=-1).astype(np.int64).reshape(_SHAPE)


def kept(books: np.ndarray, unit: str) -> tuple[int, int]:
    """Returns the human and the synthetic weight that is (still) in, in a unit."""
    totals = books[:, :, Reason.KEPT, UNITS.index(unit)].sum(axis=0)
    return int(totals[Origin.HUMAN]), int(totals[Origin.SYNTHETIC])


def tell_losses(books: np.ndarray) -> str:
    """Returns how many documents there were, and for what most were left out."""
    by_reason = books[..., UNITS.index("docs")].sum(axis=(0, 1))
    read = int(by_reason.sum())
    by_reason[Reason.KEPT] = 0
    most = np.argsort(-by_reason, kind="stable")[:_MOST_TOLD].tolist()
    said = [f"{by_reason[r]:,} {REASON_NAMES[r]}" for r in most if by_reason[r]]
    return f"{read:,} read" + (f": {', '.join(said)}" if said else "")


def check(books: np.ndarray, rows_read: int) -> None:
    """Raises RuntimeError unless every row that was read has ended in the books."""
    entered = int(books[..., UNITS.index("docs")].sum())
    if entered != rows_read:
        raise RuntimeError(
            f"the books do not balance: {rows_read} documents were read, {entered} "
            "are kept or left out for a reason; nothing was published"
        )


def as_dict(books: np.ndarray) -> dict:
    """Returns the books as they stand in manifest.json."""
    docs = books[..., UNITS.index("docs")]
    by_reason = docs.sum(axis=(0, 1))
    return {
        "read": int(docs.sum()),
        "kept": int(by_reason[Reason.KEPT]),
        "left_out": {
            REASON_NAMES[reason]: int(by_reason[reason])
            for reason in Reason
            if reason not in (Reason.KEPT, Reason.DEAD_LETTER)
        },
        "dead_letters": int(by_reason[Reason.DEAD_LETTER]),
        "by_declared_origin": {
            ORIGIN_NAMES[declared]: _flow(books[declared]) for declared in WRITTEN
        },
    }


def _flow(part: np.ndarray) -> dict[str, dict[str, dict[str, int]]]:
    """Returns reason -> origin -> unit -> amount, without the empty ones."""
    flow: dict[str, dict[str, dict[str, int]]] = {}
    for origin, reason in zip(*np.nonzero(part[..., 0]), strict=True):
        amounts = {unit: int(part[origin, reason, i]) for i, unit in enumerate(UNITS)}
        flow.setdefault(REASON_NAMES[reason], {})[ORIGIN_NAMES[origin]] = amounts
    return flow
