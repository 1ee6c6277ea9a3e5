"""What would have to change for a build to decide otherwise about a document."""

from collections.abc import Callable

from synthfilter.core.schema import Reason
from synthfilter.insight.story import Facts, Options, reason_of, shown


def tell_otherwise(facts: Facts, options: Options) -> str:
    """Returns what would have to change for another decision, in a line."""
    return _OTHERWISE[reason_of(facts)](facts, options)


def _always(said: str) -> Callable[[Facts, Options], str]:
    """Returns what tells the same of every document."""

    def tell(facts: Facts, options: Options) -> str:
        return said

    return tell


def _if_kept(facts: Facts, options: Options) -> str:
    """Returns what would have another document of the set decided otherwise."""
    roles = {each["role"]: each for each in facts["said"]}
    overruled, against = roles.get("overruled"), roles.get("against")
    if overruled and overruled["option"]:
        flag = _flag(overruled["option"])
        return f"{flag} keep would count it as {overruled['says']}"
    if against and against["option"]:
        flag = _flag(against["option"])
        return f"{flag} reclassify would count it as {against['says']}"
    decider = roles.get("decides")
    if decider and decider["evidence"] == "detector":
        if decider["says"] == "synthetic":
            return f"a --threshold above {facts['score']:.4f} would count it as human"
        return f"a --threshold below {facts['score']:.4f} would count it as synthetic"
    place = facts["place"]
    if place and place["taken"] < place["of"]:
        left = place["taken"] - place["place"] + 1
        return (
            f"a mixture of {left:,} fewer {facts['origin']} documents, or another "
            "--seed, would leave it out"
        )
    return "a verdict of a reviewer would go before all of this (synthfilter review)"


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"


def _if_read(facts: Facts, options: Options) -> str:
    where = f"{shown(facts['input'])}, {shown(facts['position'])}"
    return f"mend {where}, and build again"


def _if_scored(facts: Facts, options: Options) -> str:
    if facts["said"]:
        return (
            f"--language-policy declared would count it as {facts['said'][0]['says']}, "
            "without a score"
        )
    return (
        "name its file with --human or --synthetic, if you know who wrote it, or a "
        "--detector that can score it"
    )


def _if_agreed(facts: Facts, options: Options) -> str:
    found = next((each for each in facts["said"] if each["value"] == "drop"), None)
    if found is None:
        return "evidence of its origin that agrees"
    return (
        f"{_flag(found['option'])} keep would count it as {facts['origin']}, "
        f"reclassify as {found['says']}"
    )


def _if_flagged(facts: Facts, options: Options) -> str:
    return (
        "--flagged-human keep would count it as human, reclassify as synthetic; a "
        f"--threshold above {facts['score']:.4f} would not flag it"
    )


def _if_high(facts: Facts, options: Options) -> str:
    return f"a --max-ai-score above {facts['score']:.4f} would let it in"


def _if_first(facts: Facts, options: Options) -> str:
    keep = " ".join(options.get("keep", ()))
    return (
        f"one of several copies stays: --keep says which (now {keep}), but always one"
    )


def _if_unlike(facts: Facts, options: Options) -> str:
    return (
        f"a --near-duplicates above {facts['copy_of']['similarity']:.3f} would not "
        "count it as a copy"
    )


def _if_unused(facts: Facts, options: Options) -> str:
    uses = facts["used"]["uses"]
    return f"--max-uses {uses + 1} or more would let it in"


def _if_shallow(facts: Facts, options: Options) -> str:
    generation = facts["used"]["generation"]
    if generation == "unknown":
        return "--unknown-generation keep, or parent_ids that say its generation"
    return f"--max-generation {generation} or more would let it in"


def _if_mixed(facts: Facts, options: Options) -> str:
    """Returns what would have the mixture take it."""
    chances = []
    if options.get("target_size") is not None:
        chances.append("a higher --target-size")
    for name in ("synthetic_fraction", "max_synthetic_fraction"):
        if options.get(name) is None:
            continue
        if facts["origin"] == "synthetic":
            chances.append(f"a higher {_flag(name)}")
        elif name == "synthetic_fraction":
            chances.append(f"more synthetic text or a lower {_flag(name)}")
    chances.append("another --seed")
    return f"{', or '.join(chances)} could take it"


_OTHERWISE: dict[Reason, Callable[[Facts, Options], str]] = {
    Reason.KEPT: _if_kept,
    Reason.DEAD_LETTER: _if_read,
    Reason.UNUSABLE_EMPTY: _always(
        "text in this record, or --fields text=COLUMN, if another column has it"
    ),
    Reason.UNUSABLE_TOO_LONG: _always("a higher --max-document-bytes would let it in"),
    Reason.REJECTED_BY_REVIEW: _always("another verdict of its reviewers"),
    Reason.UNSCORABLE: _if_scored,
    Reason.CONFLICT: _if_agreed,
    Reason.HUMAN_SCORED_SYNTHETIC: _if_flagged,
    Reason.SCORE_TOO_HIGH: _if_high,
    Reason.NO_GROUP: _always(
        "a share for its origin or its category in --mixture would have room for it"
    ),
    Reason.SHARED_NGRAMS: _always(
        "a higher --against-ngrams, if the run that it shares is shorter than that"
    ),
    Reason.REFERENCE_COPY: _always("nothing but other files under --against"),
    Reason.EXACT_COPY: _if_first,
    Reason.NEAR_COPY: _if_unlike,
    Reason.USED_BEFORE: _if_unused,
    Reason.TOO_DEEP: _if_shallow,
    Reason.SUSPECT: _always(
        "--on-hidden keep, a higher share, a reviewer's verdict that it is human, or "
        "--count declared"
    ),
    Reason.MIXTURE: _if_mixed,
}
