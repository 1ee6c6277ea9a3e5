"""The options of a build, by what they are about; each is written here alone.

Every class checks its own, without reading anything.
"""

import dataclasses
import re
from typing import Optional

from synthfilter.core import licenses
from synthfilter.core.errors import UserError
from synthfilter.decisions import (
    copies,
    groups,
    letters,
    minhash,
    origin,
    reuse,
    rules,
    truth,
)
from synthfilter.decisions.origin import OriginRules
from synthfilter.detection.thresholds import check_threshold_options
from synthfilter.evidence import parse_human_before
from synthfilter.inputs.fields import parse_fields

COUNTS = ("estimated", "declared")
_MAX_SHINGLE_WORDS = 100


@dataclasses.dataclass(kw_only=True)
class InputOptions:
    """What is read, and as what.

    Args:
      human: Paths or globs of text declared human: Parquet, JSON lines, CSV, Arrow,
        WARC and folders of these, also compressed.
      synthetic: Paths or globs of text declared synthetic.
      unknown: Paths or globs of text of unknown origin; the detector decides.
      core: Paths or globs of the human archive: in every build whole and unchanged,
        whatever else is asked for.
      against: Paths or globs of text that must not be in the set, such as a
        benchmark's; copies are dropped, near copies if near_duplicates is set.
      fields: Columns that hold a field, as NAME=COLUMN, such as text=body, a path such
        as text=pages[].body, or a chat, text=messages with chat_roles= and
        chat_template=.
      max_document_bytes: Longer documents are left out.
      expected_records: How many records files must have, as NAME=N, by their path or
        its last part; a file with more or fewer has one dead letter for it.
      max_dead_letters: Stop, with nothing written, if more records than this cannot be
        read: a whole number, or below 1 a share of all, such as 0.01. Without it any
        number may be, but a broken file ends the build with code 4, the set being
        made.
      dead_letters_per_file: How many dead letters of one input file are written, the
        first ones, and its last besides; the rest is counted.
    """

    human: list[str] = dataclasses.field(default_factory=list)
    synthetic: list[str] = dataclasses.field(default_factory=list)
    unknown: list[str] = dataclasses.field(default_factory=list)
    core: list[str] = dataclasses.field(default_factory=list)
    against: list[str] = dataclasses.field(default_factory=list)
    fields: list[str] = dataclasses.field(default_factory=list)
    max_document_bytes: int = 10_000_000
    expected_records: dict[str, int] = dataclasses.field(default_factory=dict)
    max_dead_letters: Optional[float] = None
    dead_letters_per_file: int = 10_000

    def check_input(self) -> None:
        """Raises UserError for a value that cannot be."""
        if not (self.human or self.synthetic or self.unknown or self.core):
            raise UserError(
                "name at least one input: --human, --synthetic, --unknown, --core"
            )
        check_least("max_document_bytes", self.max_document_bytes)
        if self.max_document_bytes > 2**31 - 1:
            raise UserError("max_document_bytes must be below 2 GiB")
        check_least("dead_letters_per_file", self.dead_letters_per_file)
        letters.check_most(self.max_dead_letters)
        for name, records in self.expected_records.items():
            if records < 0:
                raise UserError(
                    f"expected_records must be at least 0, got {name}={records}"
                )
        parse_fields(self.fields)


@dataclasses.dataclass(kw_only=True)
class OriginOptions:
    """Who counts as the author of a document, and what follows from that.

    Args:
      detector: Path of a fastText model, with #sha256=HEX behind it if it must be that
        very file, or package.module:Class; without it, the model that comes with
        synthfilter.
      threshold: Score from which on a document counts as machine text, 0 to 1;
        without it, the detector's own.
      target_fpr: Instead of a threshold: the share of human documents that may score
        as machine text, such as 0.01.
      calibration: File of synthfilter calibrate that has the thresholds for target_fpr;
        without it, the detector's own table.
      human_urls: Files that list where human text is from, a host or the beginning of
        an address in each line; for documents with a url that nothing before decides.
      synthetic_urls: Files that list where machine text is from; they go before
        human_urls.
      human_before: Documents created before this day are human, unless something but
        the detector says otherwise; never if dates say nothing.
      flagged_human: What to do with declared human documents that score as machine
        text, where no mark, address or date says human, too: reclassify (as
        synthetic), drop or keep.
      marked_human: What to do with declared human documents that carry the mark or the
        columns of machine text, have a URL of synthetic_urls, or are synthetic in the
        ledger: reclassify, drop or keep.
      early_synthetic: What to do with synthetic documents created before human_before:
        reclassify (as human), drop or keep.
      language_policy: What to do with documents that the detector cannot score, being
        too short, in another language, tables or code: declared (what was declared
        stays so, what was not is left out) or drop (all are left out).
      max_ai_score: Drop declared synthetic documents that score above this.
      count: What shares count: estimated (the text that is likely to be synthetic,
        what the detector misses included) or declared (what counts as synthetic by
        declaration, mark or detector).
      on_hidden: What to do where the synthetic text hidden in what counts as human
        alone exceeds the share asked for: keep (no other synthetic text is added),
        shrink (the most suspect goes until it does not), auto (shrink where the build
        knows 100 machine-written documents to go by, and some human text for certain;
        else keep) or fail.
    """

    detector: Optional[str] = None
    threshold: Optional[float] = None
    target_fpr: Optional[float] = None
    calibration: Optional[str] = None
    human_urls: list[str] = dataclasses.field(default_factory=list)
    synthetic_urls: list[str] = dataclasses.field(default_factory=list)
    human_before: str = "2022-11-30"
    flagged_human: str = "reclassify"
    marked_human: str = "reclassify"
    early_synthetic: str = "keep"
    language_policy: str = "declared"
    max_ai_score: Optional[float] = None
    count: str = "estimated"
    on_hidden: str = "auto"

    def check_origin(self) -> None:
        """Raises UserError for a value that cannot be."""
        check_threshold_options(self.threshold, self.target_fpr, self.calibration)
        rules.check_fraction("max_ai_score", self.max_ai_score)
        self.origin_rules()
        parse_human_before(self.human_before)
        origin.check_choice("count", self.count, COUNTS)
        origin.check_choice("on_hidden", self.on_hidden, truth.ON_HIDDEN)

    def origin_rules(self) -> OriginRules:
        """Returns what conflicts and scores do to a document."""
        return OriginRules(
            self.flagged_human,
            self.marked_human,
            self.early_synthetic,
            self.language_policy,
            self.max_ai_score,
        )


@dataclasses.dataclass(kw_only=True)
class CopyOptions:
    """Which documents count as copies, and which of them stays.

    Args:
      keep: Which of several copies stays, the most important rule first: reviewed (a
        field of that name is true), human (of near copies, as those of the same text
        have one origin: what is known before what is not, then human text before
        synthetic), longest, oldest.
      near_duplicates: Drop documents of which another, kept one shares at least this
        much, as Jaccard similarity of their word shingles, above 0 to 1; without it,
        only the same text counts as a copy.
      shingle_words: Words in a shingle, by which near copies are compared.
      against_ngrams: Drop documents that share a run of this many words with against,
        too, such as 13.
      max_source_loss: Stop if copies and filters, the mixture aside, cost a source of
        20 or more documents more than this share of them, 0 to 1.
    """

    keep: list[str] = dataclasses.field(default_factory=lambda: list(copies.KEEP_RULES))
    near_duplicates: Optional[float] = None
    shingle_words: int = minhash.SHINGLE_WORDS
    against_ngrams: Optional[int] = None
    max_source_loss: Optional[float] = None

    def check_copies(self) -> None:
        """Raises UserError for a value that cannot be; spells `keep` out."""
        self.keep = copies.parse_keep(self.keep)
        if self.near_duplicates is not None:
            minhash.choose_bands(self.near_duplicates)
        check_words("shingle_words", self.shingle_words)
        check_words("against_ngrams", self.against_ngrams)
        rules.check_fraction("max_source_loss", self.max_source_loss)


@dataclasses.dataclass(kw_only=True)
class ReuseOptions:
    """What earlier builds have to say.

    Args:
      ledger: Folder of the table of what earlier builds used, made if there is none;
        what this build uses is added to it.
      replace_core: Let the archive (core) differ from what the ledger knows of it.
      max_uses: Leave synthetic documents out that so many builds in the ledger used
        already, or used a near copy of, if near_duplicates is set.
      max_error: Stop unless reviewers found at most this share of the synthetic
        documents wrong, with the interval's upper end, such as 0.02; see review.
      max_generation: Leave synthetic documents out that are more rounds of generation
        than this away from human text, by parent_ids, synth_generation or the ledger.
      cap_human: Hold max_uses and max_generation for human documents, too.
      unknown_generation: What to do under max_generation with synthetic documents whose
        generation nobody knows: keep or drop.
    """

    ledger: Optional[str] = None
    replace_core: bool = False
    max_uses: Optional[int] = None
    max_error: Optional[float] = None
    max_generation: Optional[int] = None
    cap_human: bool = False
    unknown_generation: str = "keep"

    def check_reuse(self) -> None:
        """Raises UserError for a value that cannot be."""
        reuse.check_reuse(self.max_uses, self.max_generation, self.unknown_generation)
        rules.check_fraction("max_error", self.max_error)
        if self.max_uses is not None and self.ledger is None:
            raise UserError("max_uses needs ledger, where earlier uses are counted")
        if self.max_error is not None and self.ledger is None:
            raise UserError("max_error needs ledger, where verdicts are kept")


@dataclasses.dataclass(kw_only=True)
class MixtureOptions:
    """How much of what is to be in the set.

    Args:
      synthetic_fraction: Share of synthetic text to reach, 0 to 1.
      max_synthetic_fraction: Share of synthetic text not to exceed, 0 to 1.
      mixture: Share of each group instead, such as human=0.5 synthetic=0.3 code=0.2,
        together 1. Any other name than human and synthetic is a category, the value of
        a field of that name, whoever wrote the text; what is in no group is left out.
      protect: Groups of which every document must be in.
      repeat: How often documents of a group may be in, if a share, a floor or the size
        asks for more than there is; overrides on_shortage.
      floors: Least amount of a group, in the unit; to be reached, within one document.
      caps: Greatest amount of a group, in the unit. Shares hold all the same: the set
        is smaller.
      fresh_after: Human documents created after this day, such as 2022-11-30, are
        fresh.
      min_fresh: Share of the set that is to be fresh at least; within the human part,
        fresh documents come first as far as that needs.
      strata: Hold shares, fresh or not, in every language, source or category by
        itself; floors and caps are split in proportion to the text. What has none is
        one stratum.
      unit: What shares and sizes are counted in: docs, bytes or words.
      target_size: Size of the whole set in that unit; without it, as large as the
        text allows.
      on_shortage: What to do when there is too little text for the share or size:
        shrink the set, fail, or repeat:N (use documents up to N times).
      seed: Of the random choice of documents; the same seed chooses the same ones.
    """

    synthetic_fraction: Optional[float] = None
    max_synthetic_fraction: Optional[float] = None
    mixture: dict[str, float] = dataclasses.field(default_factory=dict)
    protect: list[str] = dataclasses.field(default_factory=list)
    repeat: dict[str, int] = dataclasses.field(default_factory=dict)
    floors: dict[str, float] = dataclasses.field(default_factory=dict)
    caps: dict[str, float] = dataclasses.field(default_factory=dict)
    fresh_after: Optional[str] = None
    min_fresh: Optional[float] = None
    strata: Optional[str] = None
    unit: str = "words"
    target_size: Optional[int] = None
    on_shortage: str = "shrink"
    seed: int = 0

    def check_mixture(self) -> None:
        """Raises UserError for a value that cannot be; sorts the groups."""
        for name in ("mixture", "repeat", "floors", "caps"):
            setattr(self, name, dict(sorted(getattr(self, name).items())))
        self.protect = sorted(set(self.protect))
        rules.check_rules(self.rules())
        rules.check_fresh(self.fresh_after, self.min_fresh)
        rules.check_strata(self.strata)

    def rules(self) -> rules.MixtureRules:
        """Returns what is asked of the mixture."""
        return rules.MixtureRules(
            unit=self.unit,
            synthetic_fraction=self.synthetic_fraction,
            max_synthetic_fraction=self.max_synthetic_fraction,
            mixture=self.mixture,
            target_size=self.target_size,
            shortage=rules.parse_shortage(self.on_shortage),
            protect=self.protect,
            repeat=self.repeat,
            floors=self.floors,
            caps=self.caps,
            min_fresh=self.min_fresh,
        )

    def grouping(self) -> groups.Grouping:
        """Returns how the mixture tells documents apart."""
        return groups.make_grouping(self.mixture, self.fresh_after, self.strata)


@dataclasses.dataclass(kw_only=True)
class ReportOptions:
    """What the build tells of itself; none of it changes the set.

    Args:
      previous: Folder of an earlier build, or its report.json; the report says how much
        of the set's word sequences that one did not have, and whether scores moved.
      fail_on_drift: Exit with code 4, the set being made, if the fixed texts that every
        build scores, or all scores against those of previous, moved.
      excerpt: Characters of the text that the report shows of some documents of each
        reason, those left out included; 0 for none.
    """

    previous: Optional[str] = None
    fail_on_drift: bool = False
    excerpt: int = 240

    def check_report(self) -> None:
        """Raises UserError for a value that cannot be."""
        if self.excerpt < 0:
            raise UserError(f"excerpt must be at least 0, got {self.excerpt}")


@dataclasses.dataclass(kw_only=True)
class CardOptions:
    """What the card of the set says that only its maker knows; the set stays the same.

    Args:
      name: Of the set; without it, the name of the output folder.
      description: What the set is, in a few sentences.
      license: SPDX or Hugging Face licence id of the set, such as cc-by-4.0, or the
        address of its text.
      source_licenses: Licence of each source, as SOURCE=LICENCE.
      creator: Who makes the set.
      url: Where the set will be.
      data_version: Version of the set, MAJOR.MINOR.PATCH.
      citation: How to cite it, BibTeX or plain.
    """

    name: Optional[str] = None
    description: Optional[str] = None
    license: Optional[str] = None
    source_licenses: dict[str, str] = dataclasses.field(default_factory=dict)
    creator: Optional[str] = None
    url: Optional[str] = None
    data_version: str = "1.0.0"
    citation: Optional[str] = None

    def check_card(self) -> None:
        """Raises UserError for a value that cannot be."""
        for option in dataclasses.fields(CardOptions):
            check_utf8(option.name, getattr(self, option.name))
        licenses.parse_license(self.license or licenses.UNKNOWN, "license")
        for said in self.source_licenses.values():
            check_utf8("source_licenses", said)
            licenses.parse_license(said, "source_licenses")
        if not re.fullmatch(
            r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", self.data_version, re.A
        ):
            raise UserError(
                f"data_version must be like 1.0.0, got {self.data_version!r}"
            )
        if self.url is not None and not re.fullmatch(r"https?://\S+", self.url):
            raise UserError(f"url must begin with https://, got {self.url!r}")


@dataclasses.dataclass(kw_only=True)
class OutputOptions:
    """Where the set goes and in what shape.

    Args:
      output: Folder to write to; new or empty.
      overwrite: Replace the finished build that output holds, and nothing else; that
        one stays as it is until the new one is whole.
      max_shard_bytes: Bytes of text in one shard of the output.
      rejected_text: Write the text of documents that were left out, too.
      cache: Folder for scores that later builds use again; without it,
        .synthfilter-cache beside the output folder.
    """

    output: str
    overwrite: bool = False
    max_shard_bytes: int = 100_000_000
    rejected_text: bool = False
    cache: Optional[str] = None

    def check_output(self) -> None:
        """Raises UserError for a value that cannot be."""
        if not self.output:
            raise UserError("output must name a folder, got nothing")
        check_least("max_shard_bytes", self.max_shard_bytes)


def check_least(name: str, value: int) -> None:
    """Raises UserError unless the value is at least 1."""
    if value < 1:
        raise UserError(f"{name} must be at least 1, got {value}")


def check_utf8(name: str, said: object) -> None:
    """Raises UserError for text that came from bytes that are no UTF-8."""
    try:
        f"{said}".encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{name} must be UTF-8 text, got {said!r:.100}") from error


def check_words(name: str, words: Optional[int]) -> None:
    """Raises UserError unless the value is None or a number of words in a run."""
    if words is not None and not 1 <= words <= _MAX_SHINGLE_WORDS:
        raise UserError(
            f"{name} must be from 1 to {_MAX_SHINGLE_WORDS} words, got {words}"
        )
