"""What labs do: each policy makes the training set of a generation."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Optional

import numpy as np

import synthfilter as sf
from benchmarks.collapse import detector
from benchmarks.collapse.lab import Lab, Made
from benchmarks.collapse.world import Texts, first_words, join

# What a calibrated detector may cost in human documents; its share of the archive must
# be ten documents in a small world, too.
CALIBRATED_FPR = 0.05


def draw(lab: Lab, texts: Texts, words: int, use: int = 2) -> Texts:
    """Returns random documents with so many words."""
    mixed = texts.take(lab.random(use).permutation(len(texts)))
    return mixed.take(first_words(mixed, words))


def replace(lab: Lab) -> Made:
    """Takes the last model's text alone (Shumailov et al. 2024)."""
    return Made(draw(lab, lab.samples, lab.world.setting.budget))


def keep_a_tenth(lab: Lab) -> Made:
    """Takes the last model's text and a tenth that is the archive's, the same again."""
    budget = lab.world.setting.budget
    kept = draw(lab, lab.world.archive, budget // 10)
    return Made(join([kept, draw(lab, lab.samples, budget - budget // 10, 4)]))


def take_the_crawl(lab: Lab) -> Made:
    """Takes the newest crawl as it comes."""
    return Made(draw(lab, lab.crawls[-1], lab.world.setting.budget))


def accumulate(lab: Lab) -> Made:
    """Takes of everything that was ever found (Gerstgrasser, Kazdan et al. 2024)."""
    return Made(draw(lab, lab.at_hand(), lab.world.setting.budget))


def resample(lab: Lab) -> Made:
    """Takes of everything, with the chance that a person wrote it (Drayson 2025).

    The chance is what the shipped detector leaves; a weighted order (Efraimidis and
    Spirakis 2006) draws without replacement.
    """
    found = lab.at_hand()
    told = sf.score_texts(found.texts)["ai_score"]
    score = np.array([np.nan if s is None else s for s in told], float)
    chance = 1 - np.nan_to_num(score, nan=float(np.nanmean(score)))
    order = np.argsort(lab.random(2).exponential(size=len(found)) / chance)
    mixed = found.take(order)
    return Made(mixed.take(first_words(mixed, lab.world.setting.budget)))


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """Takes of everything with a build of synthfilter.

    Attributes:
      options: Of the build, beside inputs, size and seed.
      coverage: Share of the machine's new documents that the ledger is told of; None
        for no ledger.
      against: Whether the registered text is a reference set besides.
      own: Whether the detector is the one fitted to this world, calibrated anew in
        each generation.
      reviewed: Whether people judge documents of a first build, before a second.
      adds: Whether the lab adds what its own models wrote, declared synthetic.
      believed: Whether the crawl is declared human.
      perfect: Whether everything is declared what it is.
    """

    options: Mapping[str, Any]
    coverage: Optional[float] = None
    against: bool = False
    own: bool = False
    reviewed: bool = False
    adds: bool = False
    believed: bool = False
    perfect: bool = False

    def __call__(self, lab: Lab) -> Made:
        """Makes the set of this generation."""
        options = dict(self.options)
        if self.coverage is not None:
            registered = lab.register(self.coverage)
            if len(lab.written[-1]):
                lab.enter(registered)
            options["ledger"] = lab.ledger
        options |= self._inputs(lab)
        detection = self._detection(lab)
        if self.reviewed:
            draft = f"draft{lab.generation}"
            lab.build(draft, rejected_text=True, **options, **detection)
            lab.review(draft)
            detection = self._detection(lab)
        made = lab.build(f"set{lab.generation}", **options, **detection)
        if self.believed or self.perfect:
            return made
        return dataclasses.replace(made, detection=detection)

    def _detection(self, lab: Lab) -> dict[str, Any]:
        """Returns which detector is used, and how."""
        if not (self.own or self.reviewed):
            return {}
        path = detector.PATH if self.own else None
        return {
            "detector": path,
            "calibration": lab.calibrate(path),
            "target_fpr": CALIBRATED_FPR,
        }

    def _inputs(self, lab: Lab) -> dict[str, list[str]]:
        """Returns the files, by what is known of them."""
        if self.perfect:
            found = lab.at_hand()
            human = found.take(np.flatnonzero(~found.machine))
            return {
                "human": [human.write(lab.folder / f"true{lab.generation}.parquet")]
            }
        added = {"synthetic": lab.own_files()} if self.adds else {}
        if self.believed:
            return {"human": [lab.archive, *lab.crawl_files], **added}
        if self.against:
            added["against"] = lab.registered_files()
        return {"human": [lab.archive], "unknown": lab.crawl_files, **added}


class Policy(NamedTuple):
    """A row of the table.

    Attributes:
      label: What it is called there.
      make: Makes the set.
    """

    label: str
    make: Callable[[Lab], Made]


DEDUP = {"near_duplicates": 0.8}
# What counts as synthetic is out; what may be hidden is not asked.
NONE = DEDUP | {"max_synthetic_fraction": 0.0, "on_hidden": "keep"}
ONCE = NONE | {"max_uses": 1}
BELIEVED = {"flagged_human": "keep", "count": "declared"}


def mixing(share: float, **more: Any) -> dict[str, Any]:
    """Returns the options that ask for a share of synthetic text."""
    return DEDUP | {"synthetic_fraction": share} | more


def held(share: float, coverage: float, own: bool = False) -> Pipeline:
    """Returns the whole pipeline, which holds the share by its estimate."""
    return Pipeline(mixing(share, max_uses=1), coverage, own=own, adds=True)


# The order is that of the table.
POLICIES: dict[str, Policy] = {
    "replace": Policy("replace: the last model's text alone", replace),
    "tenth": Policy("the same, 10% human text kept", keep_a_tenth),
    "crawl": Policy("the crawl, everything as it comes", take_the_crawl),
    "accumulate": Policy("accumulate: of everything ever found", accumulate),
    "declared10": Policy(
        "mixing 10% by declared shares",
        Pipeline(mixing(0.1) | BELIEVED, adds=True, believed=True),
    ),
    "declared30": Policy(
        "mixing 30% by declared shares",
        Pipeline(mixing(0.3) | BELIEVED, adds=True, believed=True),
    ),
    "resample": Policy("importance resampling by score", resample),
    "dedup": Policy("accumulate + near copies out", Pipeline(DEDUP)),
    "detector": Policy("+ detector", Pipeline(NONE)),
    "ledger50": Policy("+ ledger that knows 50%", Pipeline(ONCE, 0.5)),
    "ledger80": Policy("+ ledger that knows 80%", Pipeline(ONCE, 0.8)),
    "ledger95": Policy("+ ledger that knows 95%", Pipeline(ONCE, 0.95)),
    "against80": Policy(
        "ledger 80%, the registered text as --against",
        Pipeline(ONCE, 0.8, against=True),
    ),
    "share0": Policy("ledger 80%, held to 0% by true shares", held(0.0, 0.8)),
    "share10": Policy("ledger 80%, held to 10% by true shares", held(0.1, 0.8)),
    "share30": Policy("ledger 80%, held to 30% by true shares", held(0.3, 0.8)),
    "share10of50": Policy("ledger 50%, held to 10% by true shares", held(0.1, 0.5)),
    "own50": Policy("fitted detector, ledger 50%", Pipeline(ONCE, 0.5, own=True)),
    "own80": Policy("fitted detector, ledger 80%", Pipeline(ONCE, 0.8, own=True)),
    "own95": Policy("fitted detector, ledger 95%", Pipeline(ONCE, 0.95, own=True)),
    "own_share10": Policy(
        "fitted detector, ledger 80%, held to 10%", held(0.1, 0.8, own=True)
    ),
    "review": Policy(
        "ledger 80%, review of 200 a generation", Pipeline(ONCE, 0.8, reviewed=True)
    ),
    "perfect": Policy("perfect labels", Pipeline(BELIEVED, perfect=True)),
}
