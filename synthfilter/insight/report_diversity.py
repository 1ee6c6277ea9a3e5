"""The section on how varied the set is, and how much of it is new."""

from collections.abc import Mapping
from typing import Any

from synthfilter.insight.parts import Number, decimal, name_of, share, whole
from synthfilter.insight.report_parts import Report, Section, Table, absent, part

_GRAMS = ("words", "bigrams", "trigrams")


def diversity_section(report: Report) -> Section:
    """Returns how varied the set is, and how much of it is new."""
    found = part(report, "diversity")
    by_origin = part(found, "by_origin")
    title = "Diversity and novelty"
    if not by_origin:
        return absent("diversity", title, "Nothing is known of diversity.")
    rows, ratios = [], []
    for origin, measures in by_origin.items():
        for gram in _GRAMS:
            if isinstance(measures.get(gram), Mapping):
                rows.append([f"{origin}, {gram}", *_diversity_cells(measures[gram])])
        if measures.get("compression_ratio") is not None:
            ratios.append([origin, decimal(measures["compression_ratio"], 2)])
    rate = found.get("near_copy_rate")
    notes = [
        "Near copies left out: "
        + (
            "none were sought."
            if rate is None
            else f"{share(rate)} of what was compared."
        )
    ]
    notes += [name_of(said, 400) for said in found.get("caveats") or ()]
    tables = [
        Table(
            "Runs of words in the set, by origin",
            [
                "",
                "all",
                "distinct",
                "from",
                "to",
                "once only",
                "rare text",
                "sample of",
                "distinct in it",
            ],
            rows,
            shown=True,
        )
    ]
    if ratios:
        tables.append(
            Table(
                "How much smaller it gets when compressed", ["", "times"], ratios, True
            )
        )
    tables += _novelty_tables(found)
    return Section(
        "diversity",
        title,
        "Look at the share of text made of rare words, and at what is new since the "
        "build before: both fall first when a loop closes.",
        tables=tables,
        notes=notes,
    )


def _diversity_cells(measures: Mapping[str, Any]) -> list[Number]:
    counts = [
        whole(measures.get(name)) for name in ("total", "distinct", "low", "high")
    ]
    shares = [share(measures.get(name)) for name in ("hapax_share", "tail_mass")]
    fixed = part(measures, "type_token")
    return [*counts, *shares, whole(fixed.get("per")), whole(fixed.get("distinct"))]


def _novelty_tables(found: Mapping[str, Any]) -> list[Table]:
    novelty = part(found, "novelty")
    by_origin = part(novelty, "by_origin")
    if not by_origin:
        return []
    rows = [
        [origin, *(share(part(by_origin, origin).get(gram)) for gram in _GRAMS)]
        for origin in by_origin
    ]
    caption = (
        f"New since build {name_of(novelty.get('against'), 40)}: share of distinct"
    )
    return [Table(caption, ["", *_GRAMS], rows, shown=True)]
