"""Whether the books and shares of a manifest are what its files hold."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from synthfilter.core.schema import ORIGIN_NAMES, REASON_NAMES, UNITS, Origin, Reason
from synthfilter.outputs.recount import Recount


def compare_shares(
    shares: Mapping[str, Any], held: Recount, full: bool
) -> Iterator[str]:
    """Yields where the manifest's amounts differ from those counted.

    Args:
      shares: Of the manifest.
      held: What all files hold.
      full: Whether all texts were read, so that bytes and words are known.
    """
    for i, unit in enumerate(UNITS if full else UNITS[:1]):
        amounts = held.amounts[:, i] if full else held.kept
        for who in (Origin.HUMAN, Origin.SYNTHETIC):
            said = shares["got"][unit][ORIGIN_NAMES[who]]
            if said != amounts[who]:
                yield (
                    f"manifest.json: {said!r:.30} {ORIGIN_NAMES[who]} {unit}, counted "
                    f"{int(amounts[who]):,}"
                )


def compare_books(
    manifest: Mapping[str, Any], held: Recount, full: bool
) -> Iterator[str]:
    """Yields where the books do not add up, or are not what was counted.

    Args:
      manifest: Of the build.
      held: What all files hold.
      full: Whether all texts were read.

    Raises:
      KeyError, TypeError, AttributeError, ValueError, OverflowError: the books are not
        as a build writes them.
    """
    said = _parts_of_books(manifest["books"])
    yield from _compare_sums(manifest, said[..., 0])
    letters = int(said[:, Reason.DEAD_LETTER, 0].sum())
    letters -= manifest.get("dead_letters_unwritten", 0)
    if held.letters != letters:
        yield f"dead_letter/: {held.letters:,} records, the books have {letters:,}"
    for who in Origin:
        yield from _compare_origin(manifest, who, said[who], held, full)


def _parts_of_books(books: Mapping[str, Any]) -> np.ndarray:
    """Returns the books, whatever the declared origin: int64 [origin, reason, unit]."""
    said = np.zeros((len(Origin), len(Reason), len(UNITS)), np.int64)
    for flow in books["by_declared_origin"].values():
        for reason, by_origin in flow.items():
            for origin, amounts in by_origin.items():
                at = ORIGIN_NAMES.index(origin), REASON_NAMES.index(reason)
                said[at] += [amounts[unit] for unit in UNITS]
    return said


def _compare_sums(manifest: Mapping[str, Any], docs: np.ndarray) -> Iterator[str]:
    """Yields where sums of the books are not those of their parts.

    Args:
      manifest: Of the build.
      docs: Documents by origin and reason.
    """
    books = manifest["books"]
    by_reason = docs.sum(axis=0)
    sums = {
        "read": docs.sum(),
        "kept": by_reason[Reason.KEPT],
        "dead_letters": by_reason[Reason.DEAD_LETTER],
    }
    for name, total in sums.items():
        if books[name] != total:
            yield (
                f"manifest.json: {name} is {books[name]!r:.30}, its parts add up to "
                f"{total:,}"
            )
    for reason, docs_said in books["left_out"].items():
        if docs_said != by_reason[REASON_NAMES.index(reason)]:
            yield f"manifest.json: left_out {reason} is not the sum of its parts"
    # What was read of a reference set is in no books; a pipeline names no inputs.
    reference = ORIGIN_NAMES[Origin.REFERENCE]
    rows = sum(f["rows"] for f in manifest["inputs"] if f["declared"] != reference)
    if manifest["inputs"] and rows != books["read"]:
        yield f"manifest.json: inputs have {rows:,} rows, read is {books['read']!r:.30}"


def _compare_origin(
    manifest: Mapping[str, Any],
    who: Origin,
    said: np.ndarray,
    held: Recount,
    full: bool,
) -> Iterator[str]:
    """Yields where documents of one origin are not those of the books.

    Args:
      manifest: Of the build.
      who: The origin.
      said: What the books have of it: int64 [reason, unit].
      held: What all files hold.
      full: Whether all texts were read.
    """
    name = ORIGIN_NAMES[who]
    most, least = int(held.kept[who]), int(held.changes[who])
    repeats = _repeats(manifest["options"])
    if not repeats:
        least = most
    elif not manifest.get("core"):
        # A document's rows follow each other, and no two documents are alike.
        most = least
    kept = said[Reason.KEPT].tolist()
    if not least <= kept[0] <= most:
        yield f"data/: {most:,} documents are {name}, the books have {kept[0]:,}"
    elif full and not repeats:
        for unit, counted, there in zip(UNITS, held.amounts[who], kept, strict=True):
            if counted != there:
                yield f"data/: {counted:,} {name} {unit}, the books have {there:,}"
    for reason in Reason:
        if reason in (Reason.KEPT, Reason.DEAD_LETTER):
            continue
        found, docs = int(held.left_out[who, reason]), int(said[reason, 0])
        if found != docs:
            yield (
                f"rejected/: {found:,} {name} documents for {REASON_NAMES[reason]}, "
                f"the books have {docs:,}"
            )


def _repeats(options: Mapping[str, Any]) -> bool:
    """Returns whether a build may have repeated documents."""
    on_shortage = str(options.get("on_shortage"))
    return bool(options.get("repeat")) or on_shortage.startswith("repeat")
