"""Mixtures of human and machine-written text whose true share is known, by words."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


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
