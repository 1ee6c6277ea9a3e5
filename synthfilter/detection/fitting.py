"""From labelled text to a calibrated detector and what was measured of it.

Everything that the model's JSON says is from documents that the model in question did
not see: each is scored by one that was trained without its fold.
"""

import dataclasses
import hashlib
import importlib.metadata
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from synthfilter.core.profiles import count_profiles
from synthfilter.core.text import text_buffers, text_column
from synthfilter.detection import evaluation, training
from synthfilter.detection.calibration import (
    TARGET_FPRS,
    fit_logistic,
    measured_thresholds,
)
from synthfilter.detection.canary import pin_canaries
from synthfilter.detection.fasttext_model import serialise
from synthfilter.detection.figures import (
    documents_needed,
    group_rows,
    name_profiles,
    rate_name,
)
from synthfilter.detection.lengths import BANDS, length_bands
from synthfilter.detection.linear import Evidence, LinearModel
from synthfilter.detection.settings import DetectorSettings
from synthfilter.detection.tokens import WORDS

# The evidence of all tokens adds up, but only of the first 150 or so in strength: more
# text of one hand says the same again.
LENGTH_EXPONENT = 1.0
LENGTH_CAP = 150
# Under 10 tokens a score is hardly more than the share of machine text assumed.
MIN_TOKENS = 10
FOLDS = 5
MAX_FOLDS = 16
"""More sources than these are left out several at a time."""
FIRST_WORDS = 200
"""How much of each document is scored, too, to know what short text would give."""

_MIN_SOURCES = 3
_UNSCORABLE = 0.001
_SETTINGS = (
    "tokens",
    "canonical",
    "length_exponent",
    "length_cap",
    "min_tokens",
    "min_known_share",
    "min_word_share",
    "slope",
    "intercept",
)
_PACKAGES = ("fasttext-community", "numpy", "pyarrow", "xxhash")


class MinShares(NamedTuple):
    """Of a document's tokens, which share must be known and words for a score."""

    known: float
    words: float


# Of English documentation that the model never saw, 1 in 1,000 has less than 0.83 of
# its tokens in the vocabulary; German, French, Spanish, Dutch and Italian have 0.4 to
# 0.65. A table of numbers is well known, but has few words; see docs/decisions.md.
MIN_SHARES = MinShares(0.75, 0.45)


class WeakModelError(ValueError):
    """The data does not give a model that is good enough."""


class Documents(NamedTuple):
    """Labelled text to train on, a row each.

    Attributes:
      text: Normalised and canonical.
      synthetic: bool, the class.
      sources: Where each is from.
      domains: Object, None where there is none; training balances the classes within
        source and domain.
      groups: int64, equal for documents that must not be parted.
      kinds: Object, what sort of text each is; None where that is not known.
    """

    text: pa.Array
    synthetic: np.ndarray
    sources: np.ndarray
    domains: np.ndarray
    groups: np.ndarray
    kinds: np.ndarray

    @property
    def strata(self) -> list[str]:
        """Within which training balances the classes."""
        pairs = zip(self.sources, self.domains, strict=True)
        return [f"{source}/{domain}" for source, domain in pairs]


class Fitted(NamedTuple):
    """A detector, ready to be saved.

    Attributes:
      model: The bytes of the model file.
      facts: The content of the JSON beside it.
    """

    model: bytes
    facts: dict[str, Any]


def fit_detector(
    documents: Documents,
    folds: np.ndarray,
    *,
    name: str,
    how: Mapping[str, Any],
    min_auroc: float,
    min_shares: MinShares | None = None,
    data: Mapping[str, Any] | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> Fitted:
    """Returns a detector trained on all documents, measured on folds left out.

    Args:
      documents: Of both classes.
      folds: The name of each document's fold.
      name: The detector's name, for people.
      how: What the JSON says of the measuring.
      min_auroc: What the scores of left-out documents must reach at least.
      min_shares: As in the settings; None lets the left-out documents decide.
      data: What the JSON says of the data, None for nothing.
      report: Called with a line for each step.

    Raises:
      WeakModelError: They do not reach it.
      ValueError: There is no text of both classes without some fold, or training
        diverged.
    """
    text, synthetic = documents.text, documents.synthetic
    evidence, of_first_words = evaluation.leave_one_source_out(
        text,
        synthetic,
        folds,
        documents.strata,
        documents.groups,
        views=[text, first_words(text, FIRST_WORDS)],
        report=report,
    )
    if min_shares is None:
        min_shares = usual_shares(evidence)
    try:
        settings, scores = calibrated(
            evidence, synthetic, documents.sources, min_shares
        )
    except ValueError as error:
        raise WeakModelError(f"left-out documents: {error}") from error
    facts = describe(
        name, settings, scores, settings.calibrate(of_first_words), documents, how, data
    )
    area = facts["measured"]["all"]["auroc"]
    if area is None or not area >= min_auroc:
        raise WeakModelError(
            f"AUROC of left-out documents is {area}, below {min_auroc:g}"
        )
    report("training on everything")
    model = training.train_detector(text, synthetic, documents.strata)
    index = model.labels.index(f"__label__{training.SYNTHETIC}")
    scorer = LinearModel(model, index, settings.tokens)
    check_scores(scorer, settings, text)
    data_of_model = serialise(model)
    facts["sha256"] = hashlib.sha256(data_of_model).hexdigest()
    facts["canaries"] = pin_canaries(scorer, settings)
    return Fitted(data_of_model, facts)


def choose_folds(documents: Documents) -> tuple[np.ndarray, str]:
    """Returns the fold of each document, and in words what the folds are.

    Sources, where at least three have both classes; else five parts by a hash of each
    group's text, the same whatever order the documents come in.
    """
    sources, synthetic = documents.sources, documents.synthetic
    names = sorted(set(sources))
    mixed = set(sources[synthetic]) & set(sources[~synthetic])
    if len(mixed) >= _MIN_SOURCES:
        how = "leave one source out; groups and texts that begin alike never straddle"
        if len(names) <= MAX_FOLDS:
            return sources, how
        number = {
            name: xxhash.xxh3_64_intdigest(name.encode()) % MAX_FOLDS for name in names
        }
        parts = [f"{number[name]} of {MAX_FOLDS} parts of sources" for name in sources]
        return np.array(parts, object), how.replace("one source", "some sources")
    keys = np.array(
        [
            xxhash.xxh3_64_intdigest(text.encode())
            for text in documents.text.to_pylist()
        ],
        np.uint64,
    )
    first = np.full(int(documents.groups.max()) + 1, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(first, documents.groups, keys)
    fold = first[documents.groups] % np.uint64(FOLDS)
    folds = np.array([f"part {i + 1} of {FOLDS}" for i in fold.tolist()], object)
    return folds, f"{FOLDS} parts; groups and texts that begin alike never straddle"


def usual_shares(evidence: Evidence) -> MinShares:
    """Returns what all but 1 in 1,000 documents reach, `MIN_SHARES` at most."""
    long = evidence.tokens >= MIN_TOKENS
    if not long.any():
        return MinShares(0.0, 0.0)
    counts = (evidence.known[long], evidence.words[long])
    shares = (
        np.quantile(count / evidence.tokens[long], _UNSCORABLE) for count in counts
    )
    pairs = zip(shares, MIN_SHARES, strict=True)
    return MinShares(*(min(most, round(float(share), 2)) for share, most in pairs))


def calibrated(
    evidence: Evidence,
    synthetic: np.ndarray,
    sources: np.ndarray,
    min_shares: MinShares,
) -> tuple[DetectorSettings, np.ndarray]:
    """Returns settings from left-out documents' evidence, and the scores they give.

    Raises:
      ValueError: As `fit_logistic`.
    """
    plain = DetectorSettings(
        tokens=WORDS,
        canonical=True,
        length_exponent=LENGTH_EXPONENT,
        length_cap=LENGTH_CAP,
        min_tokens=MIN_TOKENS,
        min_known_share=min_shares.known,
        min_word_share=min_shares.words,
    )
    known = plain.is_scorable(evidence)
    slope, intercept = fit_logistic(
        plain.document_logit(evidence)[known], synthetic[known]
    )
    fitted = dataclasses.replace(plain, slope=slope, intercept=intercept)
    scores = fitted.calibrate(evidence)
    human = int((~synthetic & ~np.isnan(scores)).sum())
    fprs = tuple(fpr for fpr in TARGET_FPRS if human >= documents_needed(fpr))
    thresholds = measured_thresholds(scores, synthetic, sources, fprs)
    # Above 1 nothing could be detected.
    usable = {fpr: value for fpr, value in thresholds.items() if value <= 1}
    return dataclasses.replace(fitted, thresholds=usable), scores


def check_scores(
    model: LinearModel, settings: DetectorSettings, text: pa.Array
) -> None:
    """Raises ValueError if a document that can be scored gets no score."""
    evidence = model.evidence(text)
    bad = settings.is_scorable(evidence) & np.isnan(settings.calibrate(evidence))
    if bad.any():
        raise ValueError(f"training diverged: {bad.sum()} documents score NaN")


def measure(
    scores: np.ndarray, synthetic: np.ndarray, threshold: float
) -> dict[str, float | int | None]:
    """Returns the figures of one set of documents; null where a class is missing."""
    usable = ~np.isnan(scores)
    human, machine = scores[usable & ~synthetic], scores[usable & synthetic]
    figures = {
        "auroc": evaluation.auroc(human, machine),
        "tpr_at_own_1pct_fpr": evaluation.tpr_at_fpr(human, machine, 0.01),
        "fpr_at_threshold": evaluation.share_at_least(human, threshold),
        "tpr_at_threshold": evaluation.share_at_least(machine, threshold),
    }
    rounded = {k: None if np.isnan(v) else round(v, 4) for k, v in figures.items()}
    return {"human": len(human), "synthetic": len(machine), **rounded}


def measure_all(
    scores: np.ndarray, documents: Documents, threshold: float
) -> dict[str, Any]:
    """Returns the figures over everything, and by source, kind and length.

    And the means over those sources that have both classes.
    """
    synthetic = documents.synthetic
    bands = np.array(BANDS, object)[length_bands(count_words(documents.text))]

    def by(names: np.ndarray) -> dict[str, Any]:
        return {
            name: measure(scores[rows], synthetic[rows], threshold)
            for name, rows in group_rows(names).items()
        }

    by_source = by(documents.sources)
    both = [row for row in by_source.values() if row["auroc"] is not None]
    return {
        "all": measure(scores, synthetic, threshold),
        "mean_of_sources": {
            name: round(float(np.mean([row[name] for row in both])), 4)
            for name in ("auroc", "tpr_at_own_1pct_fpr")
            if both
        },
        "by_source": by_source,
        "by_kind": by(documents.kinds),
        "by_length_in_words": by(bands),
    }


def count_words(text: pa.Array) -> np.ndarray:
    """Returns the number of words of each normalised text, one at least."""
    return pc.count_substring(text, " ").to_numpy(zero_copy_only=False) + 1


def first_words(text: pa.Array, words: int) -> pa.Array:
    """Returns the beginning of each normalised text, so many words of it at most."""
    data, offsets = text_buffers(text)
    spaces = np.flatnonzero(data == ord(" "))
    last = np.searchsorted(spaces, offsets[:-1]) + words - 1
    end = np.append(spaces, len(data))[np.minimum(last, len(spaces))]
    size = np.minimum(end, offsets[1:]) - offsets[:-1]
    kept = np.arange(len(data)) < np.repeat(offsets[:-1] + size, np.diff(offsets))
    return text_column(data[kept], np.concatenate([[0], np.cumsum(size)]))


def describe(
    name: str,
    settings: DetectorSettings,
    scores: np.ndarray,
    of_first_words: np.ndarray,
    documents: Documents,
    how: Mapping[str, Any],
    data: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Returns the content of the model's JSON without the checksum.

    Args:
      name: The detector's name.
      settings: As `calibrated` returned them.
      scores: Those of left-out documents.
      of_first_words: Those of their first words.
      documents: What they are the scores of.
      how: What to say of the measuring.
      data: What to say of the data, None for nothing.
    """
    threshold = settings.default_threshold
    synthetic = documents.synthetic
    profiles = count_profiles(
        scores,
        count_words(documents.text),
        synthetic,
        name_profiles(documents.sources, documents.domains, documents.kinds, synthetic),
    )
    return {
        "name": name,
        "sha256": None,
        "labels": {"human": ["human"], "synthetic": ["synthetic"]},
        **{field: getattr(settings, field) for field in _SETTINGS},
        "thresholds": {rate_name(k): v for k, v in settings.thresholds.items()},
        "measured": {
            **how,
            "threshold": threshold,
            **measure_all(scores, documents, threshold),
            f"first_{FIRST_WORDS}_words": measure_all(
                of_first_words, documents, threshold
            ),
        },
        "canaries": None,
        "profiles": profiles.as_json(),
        **({} if data is None else {"data": dict(data)}),
        "recipe": {
            "window_tokens": training.WINDOW_TOKENS,
            "max_windows": training.MAX_WINDOWS,
            "max_repeats": training.MAX_REPEATS,
            "weight_scale": training.WEIGHT_SCALE,
            **training.FASTTEXT_OPTIONS,
            "seeds": list(training.SEEDS),
        },
        "versions": {
            package: importlib.metadata.version(package) for package in _PACKAGES
        },
    }
