"""Mixtures of human and machine-written text whose true share is known, by words."""

import itertools
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from synthfilter.core.profiles import Profiles, count_profiles
from synthfilter.detection import evaluation, training
from synthfilter.detection.figures import name_profiles
from synthfilter.detection.fitting import (
    MIN_SHARES,
    Documents,
    calibrated,
    count_words,
)

sys.path.append(str(Path(__file__).resolve().parents[1] / "models"))

from train import FAMILIES, name_kinds, read_data

SHARES = (0.0, 0.05, 0.2, 0.5, 0.8)
NARROW_SIZE = 1000


class Scored(NamedTuple):
    """Labelled documents with the score of a model that saw none of their family.

    Those without a score are left out; `row` is where each is in the data.
    """

    score: np.ndarray
    words: np.ndarray
    synthetic: np.ndarray
    source: np.ndarray
    family: np.ndarray
    name: np.ndarray
    threshold: np.ndarray
    row: np.ndarray

    def rows(self, synthetic: bool, sources: Sequence[str]) -> np.ndarray:
        """Returns the rows of one class of some sources."""
        mine = self.synthetic == synthetic
        return np.flatnonzero(mine & np.isin(self.source, list(sources)))

    def without(self, families: Iterable[str]) -> np.ndarray:
        """Returns the rows of other families."""
        return np.flatnonzero(~np.isin(self.family, list(families)))

    def profiles(self, rows: np.ndarray) -> Profiles:
        """Returns what scores look like in some rows."""
        columns = (self.score, self.words, self.synthetic, self.name)
        return count_profiles(*(column[rows] for column in columns))

    def sources(self, synthetic: bool) -> dict[str, str]:
        """Returns the families of the sources that have documents of a class."""
        mine = self.synthetic == synthetic
        return dict(sorted(set(zip(self.source[mine], self.family[mine], strict=True))))


class Case(NamedTuple):
    """A planted mixture.

    Attributes:
      human: Its human sources.
      machine: Its machine-written ones.
      share: The share asked for.
      rows: Its documents.
      true: The share of their words that is machine-written.
    """

    human: tuple[str, ...]
    machine: tuple[str, ...]
    share: float
    rows: np.ndarray
    true: float


def plant(
    human_words: np.ndarray,
    machine_words: np.ndarray,
    share: float,
    size: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws documents of which about a share of the words is machine-written.

    Args:
      human_words: Lengths of the human documents to draw from, with replacement.
      machine_words: Those of the machine-written ones.
      share: Of the words.
      size: Documents in all.
      rng: What to draw with.

    Returns:
      Rows of the human and of the machine-written ones.
    """
    human, machine = human_words.mean(), machine_words.mean()
    part = share * human / (share * human + (1 - share) * machine)
    count = round(size * part)
    return (
        rng.integers(0, len(human_words), size - count),
        rng.integers(0, len(machine_words), count),
    )


def write_planted(
    table: pa.Table,
    human: Sequence[str],
    machine: Sequence[str],
    share: float,
    size: int,
    path: Path,
    seed: int = 0,
) -> float:
    """Writes a mixture as a build would find it: no labels, one source.

    A document that is drawn twice is in the file once.

    Args:
      table: Labelled documents with the columns text, label and source.
      human: The sources whose human text is taken.
      machine: Those whose machine-written text is.
      share: Of the words, about.
      size: Documents in all, at most.
      path: Parquet file to write, with the columns id, text and source.
      seed: Of the draw.

    Returns:
      The true share of the words.
    """
    rows, words = [], pc.count_substring(table["text"], " ").to_numpy() + 1
    label, source = (np.array(table[name].to_pylist()) for name in ("label", "source"))
    for who, names in (("human", human), ("synthetic", machine)):
        rows.append(np.flatnonzero((label == who) & np.isin(source, list(names))))
    drawn = plant(*(words[of] for of in rows), share, size, np.random.default_rng(seed))
    parts = [np.unique(of[places]) for of, places in zip(rows, drawn, strict=True)]
    chosen = np.sort(np.concatenate(parts))
    text = table["text"].take(pa.array(chosen))
    ids = [f"planted-{row}" for row in chosen.tolist()]
    pq.write_table(
        pa.table({"id": ids, "text": text, "source": ["planted"] * len(ids)}), path
    )
    return float(words[parts[1]].sum() / words[chosen].sum())


def score_documents(pattern: str) -> Scored:
    """Returns the documents of Parquet files, scored by models that saw no kin."""
    table = read_data(pattern)
    text = table["text"].combine_chunks()
    columns = {n: table[n].to_pylist() for n in table.column_names if n != "text"}
    source, domain = (np.array(columns[n], object) for n in ("source", "domain"))
    synthetic = np.array(columns["label"], object) == training.SYNTHETIC
    family = np.array([FAMILIES.get(name, name) for name in source], object)
    groups = evaluation.linked_groups(columns["group"], text.to_pylist())
    kinds = name_kinds(columns["generator"], columns["domain"])
    documents = Documents(text, synthetic, source, domain, groups, kinds)
    (evidence,) = evaluation.leave_one_source_out(
        text, synthetic, family, documents.strata, groups, report=print
    )
    settings, score = calibrated(evidence, synthetic, source, MIN_SHARES)
    name = name_profiles(source, domain, kinds, synthetic)
    columns = (count_words(text), synthetic, source, family, name)
    known = ~np.isnan(score)
    kept = (np.array(column[known]) for column in (score, *columns))
    kept = (c.astype(str) if c.dtype == object else c for c in kept)
    threshold = np.array(settings.default_threshold)
    return Scored(*kept, threshold, np.flatnonzero(known))


def read_scores(path: Path | None, pattern: str) -> Scored:
    """Returns the scored documents that a file has; makes the file if there is none."""
    if path is not None and path.exists():
        with np.load(path) as found:
            return Scored(*(found[field] for field in Scored._fields))
    scored = score_documents(pattern)
    if path is not None:
        np.savez(path, **scored._asdict())
    return scored


def plant_case(
    scored: Scored,
    human: tuple[str, ...],
    machine: tuple[str, ...],
    share: float,
    size: int,
    rng: np.random.Generator,
) -> Case:
    """Returns a planted mixture."""
    rows = (scored.rows(False, human), scored.rows(True, machine))
    drawn = plant(*(scored.words[of] for of in rows), share, size, rng)
    chosen = [of[places] for of, places in zip(rows, drawn, strict=True)]
    words = [int(scored.words[of].sum()) for of in chosen]
    return Case(human, machine, share, np.concatenate(chosen), words[1] / sum(words))


def unseen_cases(
    scored: Scored, sizes: Sequence[int], draws: int, seed: int
) -> dict[frozenset[str], list[Case]]:
    """Returns mixtures of every human with every machine-written source.

    Returns:
      By the families that must be left out of what the estimate knows.
    """
    rng = np.random.default_rng(seed)
    cases: dict[frozenset[str], list[Case]] = {}
    pairs = itertools.product(scored.sources(False), scored.sources(True))
    family = scored.sources(False) | scored.sources(True)
    for human, machine in pairs:
        for size, share, _ in itertools.product(sizes, SHARES, range(draws)):
            case = plant_case(scored, (human,), (machine,), share, size, rng)
            out = frozenset((family[human], family[machine]))
            cases.setdefault(out, []).append(case)
    return cases


def narrow_cases(
    scored: Scored, count: int, seed: int
) -> dict[frozenset[str], list[Case]]:
    """Returns mixtures of one domain of a source with one and one kind of another.

    Args:
      scored: Its sources are the names of profiles.
      count: Pairs to draw.
      seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    human, machine = (
        {n: f for n, f in scored.sources(k).items() if (scored.source == n).sum() >= 40}
        for k in (False, True)
    )
    cases: dict[frozenset[str], list[Case]] = {}
    for _ in range(count):
        one, other = (str(rng.choice(list(names))) for names in (human, machine))
        for share in SHARES:
            case = plant_case(scored, (one,), (other,), share, NARROW_SIZE, rng)
            out = frozenset((human[one], machine[other]))
            cases.setdefault(out, []).append(case)
    return cases


def mixed_cases(
    scored: Scored, sizes: Sequence[int], count: int, seed: int
) -> dict[frozenset[str], list[Case]]:
    """Returns mixtures of two human and two machine-written sources each."""
    rng = np.random.default_rng(seed)
    family = scored.sources(False) | scored.sources(True)
    cases: dict[frozenset[str], list[Case]] = {}
    for _ in range(count):
        human, machine = (
            tuple(rng.choice(list(scored.sources(kind)), 2, False).tolist())
            for kind in (False, True)
        )
        out = frozenset(family[name] for name in (*human, *machine))
        if set(scored.sources(True).values()) <= out:
            continue
        for size, share in itertools.product(sizes, SHARES):
            case = plant_case(scored, human, machine, share, size, rng)
            cases.setdefault(out, []).append(case)
    return cases
