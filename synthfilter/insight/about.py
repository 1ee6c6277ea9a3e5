"""What a card and a Croissant file both say of a set, in plain sentences.

Sentences are plain text on one line; who writes them into a format escapes them.
"""

import dataclasses
import datetime
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from synthfilter.core.languages import language_tag
from synthfilter.core.licenses import License
from synthfilter.core.schema import UNITS
from synthfilter.core.text import printable

Facts = Mapping[str, Any]

# The words of schema.org's digitalSourceType.
MACHINE = "TrainedAlgorithmicMediaDigitalSource"
MIXED = "CompositeWithTrainedAlgorithmicMediaDigitalSource"
OTHERS = "(others)"

# Where most documents of a source went that is nearly wiped out.
_WENT = {
    "exact_copy": "as copies of other documents",
    "near_copy": "as near copies of other documents",
    "other": "for other reasons than copies",
}
_MOST = 200
_NAMED = 5


@dataclasses.dataclass(frozen=True)
class About:
    """What only its maker knows of a set.

    Attributes:
      name: Its name.
      description: What it is, in a few sentences; empty for none.
      license: Its licence.
      source_licenses: The licences of its sources, by source.
      creator: Who made it; None where nobody says.
      url: Its page; None where nobody says.
      version: Its version, MAJOR.MINOR.PATCH.
      citation: How to cite it; empty for none.
      published: When it was published.
    """

    name: str
    description: str
    license: License
    source_licenses: Mapping[str, License]
    creator: str | None
    url: str | None
    version: str
    citation: str
    published: datetime.datetime


def shown(value: Any) -> str:
    """Returns a name from the data on one line; `(none)` where there is none."""
    return "(none)" if value is None else printable(str(value), _MOST)


def documents(count: int) -> str:
    """Returns `1 document`, `2,000 documents`."""
    return f"{count:,} {'document' if count == 1 else 'documents'}"


def amounts(manifest: Facts) -> dict[str, int]:
    """Returns the size of the set by unit, repeated documents each time."""
    got = manifest["shares"]["got"]
    return {unit: got[unit]["human"] + got[unit]["synthetic"] for unit in UNITS}


def describe(manifest: Facts) -> str:
    """Returns what the set is, where its maker says nothing else."""
    size = amounts(manifest)
    share = manifest["shares"]["got"]["words"]["synthetic_fraction"] or 0.0
    return (
        f"Text to train language models on: {documents(size['docs'])}, "
        f"{size['words']:,} words, of which {share:.1%} count as machine-written. "
        "Copies were removed, and every document that was left out has its reason."
    )


def cite(manifest: Facts, about: About) -> str:
    """Returns how to cite a set; as BibTeX, where its maker says nothing else."""
    if about.citation:
        return about.citation
    said = {
        "title": about.name,
        "author": about.creator and f"{{{_bibtex(about.creator)}}}",
        "year": f"{about.published:%Y}",
        "version": about.version,
        "url": about.url,
        "note": f"build {manifest['build_id']} of synthfilter",
    }
    lines = [
        f"  {name} = {{{value if name == 'author' else _bibtex(value)}}},"
        for name, value in said.items()
        if value
    ]
    return "\n".join([f"@misc{{synthfilter-{manifest['build_id']},", *lines, "}"])


def _bibtex(value: str) -> str:
    """Returns a value that ends no other one."""
    return re.sub(r"[{}\\]", " ", shown(value))


def build_urn(build_id: Any) -> str:
    """Returns a name for a build that no other build has."""
    return f"urn:synthfilter:build:{quote(str(build_id), safe='')}"


def has_synthetic(manifest: Facts) -> bool:
    """Returns whether any document of the set counts as synthetic."""
    return manifest["shares"]["got"]["docs"]["synthetic"] > 0


def has_human(manifest: Facts) -> bool:
    """Returns whether any document of the set counts as human."""
    return manifest["shares"]["got"]["docs"]["human"] > 0


def source_type(manifest: Facts) -> str | None:
    """Returns schema.org's word for who made the set; None for people alone."""
    if not has_synthetic(manifest):
        return None
    return MIXED if has_human(manifest) else MACHINE


def language_tags(report: Facts) -> list[str]:
    """Returns the BCP 47 tags of the languages in the set, the largest first."""
    rows = report.get("languages") or ()
    found = {
        language_tag(row["language"]): None
        for row in rows
        if row["kept"] and row["language"] not in (None, OTHERS)
    }
    return [tag for tag in found if tag is not None]


def source_names(report: Facts) -> list[str]:
    """Returns the sources of the set that have a name, the largest first."""
    rows = report.get("sources") or ()
    return [
        shown(row["source"])
        for row in rows
        if row["kept"] and row["source"] not in (None, OTHERS)
    ]


def generator_names(report: Facts) -> list[str]:
    """Returns the models that are named as authors, the most frequent first."""
    rows = report.get("generators") or ()
    return [shown(r["generator"]) for r in rows if r["generator"] not in (None, OTHERS)]


def earlier_builds(report: Facts) -> dict[str, str]:
    """Returns earlier builds that this one depends on, with what it took from them."""
    found = {
        row["build_id"]: f"{documents(row['docs'])} left out as used there"
        for row in report.get("ledger_hits") or ()
    }
    diversity = report.get("diversity") or {}
    against = (diversity.get("novelty") or {}).get("against")
    if against is not None:
        also = found.get(against)
        said = "novelty was measured against it"
        found[against] = f"{also}; {said}" if also else said
    return found


def tell_shares(manifest: Facts) -> list[str]:
    """Returns how much of the set is synthetic: asked, counted and estimated."""
    shares = manifest["shares"]
    unit = shares["unit"]
    lines = []
    if shares.get("asked") is not None:
        hidden = ", hidden text included" * (shares["counts"] == "estimated")
        lines.append(f"Asked for: {shares['asked']:.2%} of {unit}{hidden}.")
    counted = shares["got"][unit]["synthetic_fraction"] or 0.0
    lines.append(
        f"Counted as synthetic, by declaration, mark or detector: {counted:.2%} of "
        f"{unit}."
    )
    if shares.get("estimated") is None:
        lines.append(
            "Not estimated: how much machine text the detector missed is not known."
        )
    else:
        lines.append(
            f"Estimated, with what the detector missed: {shares['estimated']:.2%} of "
            f"{unit} ({shares['confidence']:.0%} interval {shares['low']:.2%} to "
            f"{shares['high']:.2%})."
        )
    return lines


def tell_annotation(manifest: Facts) -> str:
    """Returns how it is known who wrote a document."""
    return (
        "Who wrote a document is told by the first of these that says something: "
        "a reviewer's verdict, the flag of its file, a column of the input, a mark in "
        "the text or its metadata, columns that producers of machine text write, "
        f"lists of addresses, a date before {manifest['options']['human_before']}, "
        "the detector's score. origin_evidence has all that was said."
    )


def tell_contents(manifest: Facts) -> list[tuple[str, int, int]]:
    """Returns how many documents of the set count as human and as synthetic.

    By what they were declared as; documents that are in it twice count once.
    """
    found = []
    for declared, flow in manifest["books"]["by_declared_origin"].items():
        kept = flow.get("kept", {})
        human, synthetic = (
            kept.get(who, {}).get("docs", 0) for who in ("human", "synthetic")
        )
        if human or synthetic:
            found.append((declared, human, synthetic))
    return found


def tell_threshold(manifest: Facts, report: Facts) -> str:
    """Returns from which score on text counts as machine-written."""
    found = (report.get("scores") or {}).get("thresholds")
    if not found:
        said = manifest["options"]["threshold"]
        found = sorted(said.values()) if isinstance(said, Mapping) else [said]
    lowest, highest = found[0], found[-1]
    if lowest == highest:
        return f"{lowest:.4g}"
    return f"{lowest:.4g} to {highest:.4g}, by length"


def tell_steps(manifest: Facts, report: Facts) -> list[str]:
    """Returns what was done, in its order."""
    options, detector = manifest["options"], manifest["detector"]
    near = options["near_duplicates"]
    unit = manifest["shares"]["unit"]
    steps = [
        f"Every document was scored by the detector {shown(detector['name'])}; from "
        f"{tell_threshold(manifest, report)} on, text counts as machine-written.",
        "Text that could not be read, was empty or too long was left out, and what "
        "the policies for conflicting evidence say.",
        "Of documents with the same text, one stayed "
        f"(first: {', '.join(options['keep'])}).",
    ]
    if near is not None:
        steps.append(
            f"Documents that share {near:.0%} of their {options['shingle_words']}-word "
            "runs with a kept one were left out."
        )
    if options["max_uses"] is not None or options["max_generation"] is not None:
        steps.append(
            "Text that earlier builds had used too often, or that is too many rounds "
            "of generation from human text, was left out."
        )
    steps.append(
        f"Of the rest, documents were drawn at random (seed {options['seed']}) until "
        f"the shares and the size asked for were met, in {unit}."
    )
    return steps


def tell_limits(manifest: Facts, report: Facts, about: About) -> list[str]:
    """Returns what a user of the set should know of it."""
    return [
        *_limits_of_origin(manifest),
        *_limits_of_copies(manifest),
        *_limits_of_sources(report, about),
        "Personal data, quality and truth were not looked at.",
    ]


def _limits_of_origin(manifest: Facts) -> Iterable[str]:
    shares = manifest["shares"]
    if shares.get("estimated") is not None:
        yield (
            "The detector misses machine text. The estimate of how much rests on "
            "sources that it knows, and its interval, "
            f"{shares['low']:.1%} to {shares['high']:.1%}, is what can be relied on."
        )
    else:
        yield (
            "The detector misses machine text, and nothing is known of how much: what "
            "counts as human may be machine-written."
        )
    unscored = sum(row["docs"] for row in manifest["detector"]["unscored"].values())
    if unscored:
        yield (
            f"{documents(unscored)} of those read had no score: too short, in a "
            "language that the detector does not know, a table or code."
        )
    conflicts = sum(row["docs"] for row in manifest["conflicts"])
    if conflicts:
        yield (
            f"For {documents(conflicts)}, evidence of who wrote them disagrees; the "
            "policies decided."
        )
    if shares["limited_by"]:
        yield f"The set is not all that was asked for: {shown(shares['limited_by'])}."


def _limits_of_copies(manifest: Facts) -> Iterable[str]:
    if manifest["near_copies"] is None:
        yield "Only documents of the same text were removed, near copies were not."
        return
    capped = manifest["near_copies"]["not_compared_with_all"]
    if capped:
        yield f"{documents(capped)} were kept and not compared with all candidates."


def _limits_of_sources(report: Facts, about: About) -> Iterable[str]:
    rows = report.get("sources") or ()
    unstated = [
        row
        for row in rows
        if row["kept"] and (row["source"] or "") not in about.source_licenses
    ]
    if rows and unstated:
        yield (
            f"Of {len(unstated):,} of the sources in the set nobody has said which "
            "licence they have."
        )
    wiped = report.get("nearly_wiped") or ()
    for row in wiped[:_NAMED]:
        yield (
            f"Of {documents(row['read'])} of the source {shown(row['source'])}, "
            f"{row['kept']:,} are left; most went {_WENT[row['most']]}."
        )
    if len(wiped) > _NAMED:
        yield f"{len(wiped) - _NAMED:,} more sources were nearly wiped out."


def tell_biases(manifest: Facts, report: Facts) -> list[str]:
    """Returns in which way what was done may have tilted the set."""
    policy = {
        "reclassify": "counts as synthetic",
        "drop": "was left out",
        "keep": "was kept as human",
    }[manifest["options"]["flagged_human"]]
    biases = [
        "Human text that the detector takes for machine text, formulaic text most of "
        f"all, {policy} unless other evidence says that it is human."
    ]
    by_language = [
        f"{shown(row['language'] or 'unknown')} {row['kept'] / row['read']:.0%}"
        for row in (report.get("languages") or ())[:_NAMED]
        if row["read"]
    ]
    if len(by_language) > 1:
        biases.append(
            f"What was kept of each language, of all read: {', '.join(by_language)}."
        )
    return biases
