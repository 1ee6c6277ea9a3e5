"""The story of one document of a build, in plain words: facts in, lines out.

The facts are those that `synthfilter explain --json` prints.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from synthfilter.core.schema import REASON_NAMES, REASON_TEXTS, Reason
from synthfilter.core.text import printable

Facts = Mapping[str, Any]
Options = Mapping[str, Any]

_MOST = 300
_TEXT = 2000

_EVIDENCE_TEXTS = {
    "review": "its reviewers",
    "declared": "the flag that named its file",
    "column": "the column origin",
    "mark": "a mark in its text or metadata",
    "producer": "columns that producers of machine text write",
    "url": "the lists of addresses",
    "ledger": "the ledger, which has it from earlier",
    "near_ledger": "the ledger, which has a near copy from earlier",
    "date": "its date, before human_before",
    "detector": "its score",
}


def tell_story(facts: Facts, options: Options) -> list[str]:
    """Returns what a build did with a document, a fact a line, in its order.

    Args:
      facts: Of the document.
      options: Of the build, as its manifest has them.
    """
    reason = reason_of(facts)
    lines = [_headline(facts, reason)]
    if reason == Reason.DEAD_LETTER:
        lines += [f"why: {shown(facts['error'])}"]
    else:
        lines += _who_is_it(facts)
        lines += _origin(facts)
        lines += _score(facts)
        lines += _prevalence(facts)
        lines += _verdicts(facts)
        lines += _LEFT_OUT[reason](facts, options)
        lines += _copies(facts)
        lines += _uses(facts)
        lines += _place(facts, options)
    lines.append(f"otherwise: {facts['otherwise']}")
    if facts.get("text") is not None:
        lines.append(f"text: {printable(facts['text'], _TEXT)}")
    return lines


def reason_of(facts: Facts) -> Reason:
    """Returns what became of the document."""
    return Reason(REASON_NAMES.index(facts["reason"]))


def shown(value: Any) -> str:
    """Returns a value as a terminal may have it."""
    return printable(str(value), _MOST)


def _headline(facts: Facts, reason: Reason) -> str:
    if reason == Reason.DEAD_LETTER:
        where = f"{shown(facts['input'])}, {shown(facts['position'])}"
        return f"{where}: could not be read ({facts['file']}, row {facts['row']:,})"
    name = shown(facts["id"])
    where = f"{facts['file']}, row {facts['row']:,}"
    if reason == Reason.KEPT:
        times = facts["times"]
        often = "" if times == 1 else f" {times:,} times"
        return f"{name}: is in the set{often} ({where})"
    said = REASON_TEXTS[reason]
    return f"{name}: was left out as {facts['reason']}, {said} ({where})"


def _who_is_it(facts: Facts) -> list[str]:
    lines = []
    if facts["reason"] not in _WITHOUT_TEXT:
        lines.append(f"content hash: {facts['content_hash']}")
    for name in ("source", "url", "created", "generator", "synth_generation"):
        # That human text is no generation from human text goes without saying.
        if facts[name]:
            lines.append(f"{name.replace('_', ' ')}: {shown(facts[name])}")
    if facts.get("words") is not None:
        lines.append(f"size: {facts['words']:,} words, {facts['bytes']:,} bytes")
    return lines


def _origin(facts: Facts) -> list[str]:
    """Returns who counts as the author, and what each piece of evidence says of it."""
    if not facts["said"]:
        return ["origin: nothing says who wrote it"]
    lines = [f"origin: counts as {facts['origin']}"]
    for each in facts["said"]:
        who = _EVIDENCE_TEXTS.get(each["evidence"], each["evidence"])
        lines.append(f"  {who}: {each['says']}, {_role(each)}")
    if facts.get("archive"):
        lines.append("  the archive (core) is human, whatever says otherwise")
    return lines


def _role(each: Mapping[str, Any]) -> str:
    """Returns what came of one piece of evidence."""
    rule = f"{each['option']}={each['value']}" if each["option"] else ""
    if each["role"] == "decides":
        return "which decides"
    if each["role"] == "agrees":
        return "which agrees"
    if each["role"] == "rejects":
        return "which goes before all else"
    if each["role"] == "overruled":
        return f"overruled by what decides ({rule})" if rule else "overruled"
    if each["backed_by"]:
        backing = _EVIDENCE_TEXTS.get(each["backed_by"], each["backed_by"])
        return f"which overrules nothing, since {backing} agrees with what decides"
    if rule and each["value"] == "drop":
        return f"a conflict for which documents are left out ({rule})"
    if rule:
        return f"which does not overrule what comes before ({rule})"
    return "which does not overrule what comes before"


def _score(facts: Facts) -> list[str]:
    if facts["reason"] in _WITHOUT_TEXT:
        return []
    if facts["score"] is None:
        return ["score: none; too short, of another language, a table or code"]
    side = "at or above" if facts["reached"] else "below"
    score = f"score: {facts['score']:.4f}, {side} the threshold"
    source = f" ({facts['threshold_from']})" if facts["threshold_from"] else ""
    if facts["threshold"] is not None:
        return [f"{score} {facts['threshold']:.4g} of its length{source}"]
    return [f"{score} of its length: {facts['thresholds']}{source}"]


_WITHOUT_TEXT = tuple(
    REASON_NAMES[reason]
    for reason in (
        Reason.DEAD_LETTER,
        Reason.UNUSABLE_EMPTY,
        Reason.UNUSABLE_TOO_LONG,
    )
)


def _prevalence(facts: Facts) -> list[str]:
    """Returns how much machine text there is among documents like it."""
    group = facts["group"]
    if group is None:
        return []
    interval = f"{group['low']:.1%} to {group['high']:.1%}"
    line = (
        f"hidden machine text: of {group['docs']:,} documents that the detector "
        f"decides about ({shown(group['group'])}), {group['estimate']:.1%} by estimate "
        f"({group['confidence']:.0%} interval {interval})"
    )
    if facts["origin"] == "human":
        line += "; one that counts as human may be among them"
    return [line]


def _verdicts(facts: Facts) -> list[str]:
    return [
        f"verdict: {each['verdict']} by {shown(each['reviewer'])}, {each['time']}"
        + (f": {shown(each['note'])}" if each["note"] else "")
        for each in facts["verdicts"]
    ]


def _copies(facts: Facts) -> list[str]:
    """Returns how many copies of it were left out."""
    copies = facts["copies"]
    if not copies:
        return []
    names = {"exact_copy": "exact", "near_copy": "near"}
    counts = ", ".join(f"{n:,} {names[reason]}" for reason, n in copies["docs"].items())
    total = sum(copies["docs"].values())
    some = ", ".join(map(shown, copies["ids"]))
    more = " and more" if total > len(copies["ids"]) else ""
    return [f"copies left out for it: {counts} ({some}{more})"]


def _uses(facts: Facts) -> list[str]:
    return [
        f"used by build {each['build_id']}, {each['time']}, as {shown(each['id'])}"
        for each in facts["uses"]
    ]


def _place(facts: Facts, options: Options) -> list[str]:
    if facts["reason"] not in _MIXED:
        return []
    seed = options.get("seed")
    place = facts["place"]
    if place is None:
        return [f"mixture: {facts['no_place']}"]
    took = f"the first {place['taken']:,}"
    if place["taken"] == place["of"]:
        took = "all of them"
    asked = _asked(options)
    return [
        f"mixture: place {place['place']:,} of {place['of']:,} {facts['origin']} "
        f"documents in the random order of seed {seed}; it took {took}"
        f"{f' ({asked})' if asked else ''}"
    ]


_MIXED = (REASON_NAMES[Reason.KEPT], REASON_NAMES[Reason.MIXTURE])


def _asked(options: Options) -> str:
    """Returns the share and the size asked for."""
    said = []
    unit = options.get("unit")
    if options.get("synthetic_fraction") is not None:
        said.append(f"{options['synthetic_fraction']:.4g} of {unit} synthetic")
    if options.get("max_synthetic_fraction") is not None:
        said.append(f"at most {options['max_synthetic_fraction']:.4g} synthetic")
    if options.get("target_size") is not None:
        said.append(f"{options['target_size']:,} {unit}")
    return f"asked for: {', '.join(said)}" if said else ""


def _nothing(facts: Facts, options: Options) -> list[str]:
    return []


def _option(name: str) -> Callable[[Facts, Options], list[str]]:
    """Returns what tells an option that a document is left out for."""

    def tell(facts: Facts, options: Options) -> list[str]:
        return [f"{name}: {shown(options.get(name))}"]

    return tell


def _tell_copy(facts: Facts, options: Options) -> list[str]:
    of = facts["copy_of"]
    lines = [f"copy of: content hash {of['content_hash']}"]
    if facts["reason"] != REASON_NAMES[Reason.EXACT_COPY]:
        lines.append(f"similarity: {of['similarity']:.3f} (Jaccard)")
    for each in of["documents"]:
        where = f"{each['file']}, row {each['row']:,}"
        fate = "in the set"
        if each["reason"] != REASON_NAMES[Reason.KEPT]:
            fate = f"left out itself, later, as {each['reason']}"
        source = f", source {shown(each['source'])}" if each["source"] else ""
        lines.append(f"that is: {shown(each['id'])}{source}, {fate} ({where})")
    return lines


def _tell_reference(facts: Facts, options: Options) -> list[str]:
    of = facts["copy_of"]
    return [
        f"copy of: content hash {of['content_hash']}, in the files of --against",
        f"similarity: {of['similarity']:.3f} (Jaccard)",
    ]


def _tell_use(facts: Facts, options: Options) -> list[str]:
    used = facts["used"]
    lines = []
    if used["build"] is not None:
        when = f", {used['time']}" if used["time"] else ""
        lines.append(f"first used by: build {used['build']}{when}")
        lines.append(f"used in: {_builds(used['uses'])}")
        name = f" ({shown(used['id'])})" if used["id"] else ""
        same = used["content_hash"] == facts["content_hash"]
        text = "the same text" if same else f"a near copy, {used['content_hash']}"
        lines.append(f"what was used: {text}{name}")
    lines.append(f"generation: {used['generation']}")
    name = "max_uses"
    if facts["reason"] == REASON_NAMES[Reason.TOO_DEEP]:
        name = "max_generation"
    return [*lines, f"{name}: {options.get(name)}"]


def _builds(number: int) -> str:
    return f"{number:,} build{'' if number == 1 else 's'}"


def _tell_suspect(facts: Facts, options: Options) -> list[str]:
    share = options.get("synthetic_fraction")
    if share is None:
        share = options.get("max_synthetic_fraction")
    asked = "was asked for" if share is None else f"the {share:.4g} asked for"
    return [
        "suspect: of the text that counts as human, more was likely to be hidden "
        f"machine text than {asked}; documents of its score, length and source were "
        "among the likeliest, all or a random part of which went until the rest was "
        "within it"
    ]


# What is told of each reason besides what is told of all documents.
_LEFT_OUT: dict[Reason, Callable[[Facts, Options], list[str]]] = {
    Reason.KEPT: _nothing,
    Reason.DEAD_LETTER: _nothing,
    Reason.UNUSABLE_EMPTY: _nothing,
    Reason.UNUSABLE_TOO_LONG: _option("max_document_bytes"),
    Reason.REJECTED_BY_REVIEW: _nothing,
    Reason.UNSCORABLE: _option("language_policy"),
    Reason.CONFLICT: _nothing,
    Reason.HUMAN_SCORED_SYNTHETIC: _option("flagged_human"),
    Reason.SCORE_TOO_HIGH: _option("max_ai_score"),
    Reason.NO_GROUP: _option("mixture"),
    Reason.SHARED_NGRAMS: _option("against_ngrams"),
    Reason.REFERENCE_COPY: _tell_reference,
    Reason.EXACT_COPY: _tell_copy,
    Reason.NEAR_COPY: _tell_copy,
    Reason.USED_BEFORE: _tell_use,
    Reason.TOO_DEEP: _tell_use,
    Reason.SUSPECT: _tell_suspect,
    Reason.MIXTURE: _nothing,
}


def tell_more(number: int) -> Sequence[str]:
    """Returns the line on documents that are not told."""
    return [f"and {number:,} more with this id or hash"] if number else []
