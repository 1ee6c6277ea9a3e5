"""The share of machine text that the shipped detector's profiles let one estimate."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthfilter.core.profiles import HUMAN, LENGTHS, SYNTHETIC, Profiles
from synthfilter.core.text import normalise
from synthfilter.decisions.prevalence import (
    SHAPE,
    Observed,
    estimate_prevalence,
    observe,
)
from synthfilter.detection.detector import load_detector

# A human and a machine-written source, and what the names of their families start with.
PAIRS = [
    ("human_pep / tech_docs", "l2r / NewsArticle / written to an instruction"),
    ("human_nltk_movie / review", "l2r / Finance / written to an instruction"),
    ("human_se_fiction / fiction", "fastdetect / xsum / written to an instruction"),
    ("human_18f / gov_docs", "imbd_squad / squad / human text polished by a model"),
    ("fastdetect / writing", "arena_hard / assistant / written to an instruction"),
]
FAMILIES = [("fastdetect", "imbd"), ("l2r",), ("human",), ("arena_hard",)]


@pytest.fixture(scope="module")
def profiles() -> Profiles:
    found = load_detector().profiles
    assert found is not None
    return found


def without(profiles: Profiles, *names: str) -> Profiles:
    """Profiles that lack the families of some sources; human-only ones have none."""
    out: list[str] = []
    for name in names:
        family = next(of for of in FAMILIES if name.startswith(of))
        out += [name] if family == ("human",) else family
    kept = [i for i, n in enumerate(profiles.sources) if not n.startswith(tuple(out))]
    return Profiles(tuple(profiles.sources[i] for i in kept), profiles.counts[kept])


def counts_of(profiles: Profiles, name: str, kind: int) -> np.ndarray:
    """How the documents of a source fall into cells, as shares."""
    counts = profiles.counts[profiles.sources.index(name), kind]
    cells = np.zeros((LENGTHS, counts.shape[-1]))
    cells[: len(counts)] = counts / counts.sum()
    return cells


@pytest.mark.parametrize("share", [0, 0.05, 0.2, 0.5, 0.8])
@pytest.mark.parametrize(("human", "machine"), PAIRS)
def test_the_share_of_sources_left_out_is_in_the_interval(
    profiles: Profiles, human: str, machine: str, share: float
) -> None:
    cells = (1 - share) * counts_of(profiles, human, HUMAN)
    cells += share * counts_of(profiles, machine, SYNTHETIC)
    docs = np.zeros((1, *SHAPE), np.int64)
    docs[0, ..., 0] = np.round(cells * 3000)
    found = estimate_prevalence(
        Observed(docs, docs), without(profiles, human, machine)
    ).all
    assert found.low <= share + 0.001
    assert share - 0.001 <= found.high


@pytest.mark.parametrize("share", [0, 0.2, 0.5, 0.8])
def test_real_text_goes_all_the_way(labelled_data: Path, share: float) -> None:
    table = pq.read_table(labelled_data / "imbd_squad.parquet")
    human = np.array(table["label"].to_pylist()) == "human"
    machine = round(100 * share)
    rows = [np.flatnonzero(human)[: 100 - machine], np.flatnonzero(~human)[:machine]]
    text = table["text"].take(pa.array(np.concatenate(rows))).combine_chunks()
    detector = load_detector()
    score = detector.score(normalise(text))
    words = np.array([len(said.split()) for said in text.to_pylist()])
    flagged = score >= detector.threshold.of(words)
    observed = observe(np.zeros(100, int), score, words, flagged, words, 1)
    found = estimate_prevalence(observed, detector.profiles)
    true = words[100 - machine :].sum() / words.sum()
    assert found.known
    assert found.all.low <= true <= found.all.high
    assert found.cells.min() < 0.1
    assert share == 0 or found.cells.max() > 0.9
