"""What differs between two builds as their manifests and reports tell it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple


class Differing(NamedTuple):
    """One thing that two builds say differently; None where one says nothing."""

    name: str
    first: Any
    second: Any


def compare_settings(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> list[Differing]:
    """Returns the options, the detector and the version that differ.

    Args:
      first: Manifest of the first build.
      second: Of the second.
    """
    told = []
    for manifest in (first, second):
        detector = manifest["detector"]
        told.append(
            {
                **manifest["options"],
                "detector": detector.get("name"),
                "detector sha256": detector.get("sha256"),
                "synthfilter version": manifest.get("synthfilter_version"),
            }
        )
    return _differing(*told)


def compare_books(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> list[Differing]:
    """Returns the books of two manifests side by side, without what is 0 in both.

    Raises:
      TypeError: something in the books is no count.
    """
    told = []
    for books in (first["books"], second["books"]):
        told.append(
            {
                "read": books["read"],
                "dead_letters": books["dead_letters"],
                **books["left_out"],
                "kept": books["kept"],
            }
        )
        for name, docs in told[-1].items():
            if type(docs) is not int:
                raise TypeError(f"{name} is no count, but {docs!r:.30}")
    return [row for row in _side_by_side(*told) if row.first or row.second]


def compare_shares(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> list[Differing]:
    """Returns what differs in the shares of two manifests, by dotted name."""
    return _differing(*(dict(_leaves(m["shares"])) for m in (first, second)))


def compare_inputs(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Returns the paths of input files by what became of them.

    Returns:
      `unchanged`, `changed` (another fingerprint, or declared otherwise), `removed` and
      `added`, each sorted.
    """
    files = [
        {
            str(file.get("path")): (file.get("fingerprint"), file.get("declared"))
            for file in manifest["inputs"]
        }
        for manifest in (first, second)
    ]
    both = files[0].keys() & files[1].keys()
    return {
        "unchanged": sorted(name for name in both if files[0][name] == files[1][name]),
        "changed": sorted(name for name in both if files[0][name] != files[1][name]),
        "removed": sorted(files[0].keys() - both),
        "added": sorted(files[1].keys() - both),
    }


def compare_figures(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> list[Differing]:
    """Returns the figures of two reports that differ, by dotted name.

    Args:
      first: Report of the first build.
      second: Of the second.
    """
    told = []
    for report in (first, second):
        figures: dict[str, Any] = {}
        for name, steps in _FIGURES.items():
            for found in _reach(report, steps):
                figures |= dict(_leaves(found[1], ".".join([name, *found[0]])))
        told.append(figures)
    return _differing(*told)


# A star stands for every name there. Sums over all documents are in the books already.
_FIGURES: dict[str, Sequence[str]] = {
    "diversity": ("diversity", "by_origin"),
    "near_copy_rate": ("diversity", "near_copy_rate"),
    "novelty": ("diversity", "novelty", "by_origin"),
    "lengths": ("lengths", "by_origin", "*", "quantiles"),
    "median age": ("ages", "by_origin", "*", "median"),
    "newest": ("ages", "by_origin", "*", "newest"),
}


def _reach(found: Any, steps: Sequence[str]) -> Iterator[tuple[list[str], Any]]:
    """Yields `(names that stars stood for, value)` of what is there."""
    if not steps:
        yield [], found
    elif isinstance(found, Mapping):
        for name in found if steps[0] == "*" else [steps[0]]:
            if name in found:
                for names, value in _reach(found[name], steps[1:]):
                    yield ([name] if steps[0] == "*" else []) + names, value


def _leaves(found: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yields `(dotted name, value)` of everything that has no parts."""
    if isinstance(found, Mapping):
        for key, value in found.items():
            yield from _leaves(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, found


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Differing]:
    rows = _side_by_side(first, second)
    return [row for row in rows if row.first != row.second]


def _side_by_side(
    first: Mapping[str, Any], second: Mapping[str, Any]
) -> Iterator[Differing]:
    for name in dict.fromkeys([*first, *second]):
        yield Differing(name, first.get(name), second.get(name))
