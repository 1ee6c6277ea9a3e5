"""The section on how varied the set is, and how much of it is new."""

from collections.abc import Mapping
from typing import Any

from synthfilter.insight.parts import Number, decimal, name_of, share, whole
from synthfilter.insight.report_charts import Chart, columns_by_name
from synthfilter.insight.report_parts import (
    HUMAN_OR_SYNTHETIC,
    Report,
    Section,
    Table,
    absent,
    part,
)

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
        charts=_charts(found),
        tables=tables,
        notes=notes,
        cautions=[name_of(said, 400) for said in found.get("caveats") or ()],
    )


def _charts(found: Mapping[str, Any]) -> list[Chart]:
    """Returns how much of the text is rare, and how much of it is new."""
    by_origin = part(found, "by_origin")
    rare: dict[str, list[Any]] = {
        origin: [part(by_origin, origin, gram).get("tail_mass") for gram in _GRAMS]
        for origin, _ in HUMAN_OR_SYNTHETIC
    }
    new: dict[str, list[Any]] = {
        origin: [part(found, "novelty", "by_origin", origin).get(g) for g in _GRAMS]
        for origin, _ in HUMAN_OR_SYNTHETIC
    }
    drawn = (
        (rare, "Text made of words, or runs of words, that occur at most 5 times"),
        (new, "Words, or runs of words, that the build before did not have"),
    )
    charts = []
    for shares, finding in drawn:
        known = {o: found for o, found in shares.items() if None not in found}
        if known:
            legend = [pair for pair in HUMAN_OR_SYNTHETIC if pair[0] in known]
            spec = columns_by_name(_GRAMS, known, "", "~%")
            charts.append(Chart(spec, finding, legend))
    return charts


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
