"""Builds of planted mixtures: how near to the share asked for is the true one?

    python benchmarks/true_share_builds.py --data 'DIR/*.parquet' --scores scores.npz

Every build reads a crawl of unknown origin, human text of one source with machine text
of another among it, and a pool of declared machine text of a third, and is asked for
30% synthetic words, once by --count estimated and once by --count declared. The labels
then tell the true share. Scores are those of models that saw neither source nor any of
its family, and the profiles are of other families alone; see true_share.py, which
makes the file of scores, too. Takes ten minutes besides that.
"""

import argparse
import itertools
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from planted import SHARES, Scored, plant_case, read_data, read_scores

from synthfilter.cli import main as run
from synthfilter.core.hashing import hash_texts
from synthfilter.core.profiles import Profiles
from synthfilter.core.text import normalise
from synthfilter.detection.detector import load_detector
from synthfilter.detection.thresholds import FORMAT, FORMAT_VERSION, identify
from synthfilter.outputs.manifest import read_manifest

HUMAN = ("human_pep", "human_18f", "human_nltk_movie", "human_se_fiction", "l2r")
MACHINE = ("fastdetect", "imbd_edit", "l2r", "arena_hard")
POOL = {"l2r": "arena_hard"}
"""What is declared: this source beside machine text of that, else l2r."""
ASKED = 0.3
SIZE = 1000
COUNTS = ("estimated", "declared")
TABLE = "SYNTHFILTER_PLANTED_SCORES"


class KnownScores:
    """A detector that knows each text's score already."""

    version = "1"
    threshold = 0.5

    def __init__(self) -> None:
        """Reads the table that the environment names."""
        with np.load(os.environ[TABLE]) as table:
            self._key, self._score = table["key"], table["score"]

    def score(self, column: pa.Array) -> np.ndarray:
        """Returns the score of each text, NaN for one that is not in the table."""
        key = hash_texts(column)[0]
        at = np.minimum(np.searchsorted(self._key, key), len(self._key) - 1)
        return np.where(self._key[at] == key, self._score[at], np.nan)


class Made(NamedTuple):
    """A build: what was planted, how it counted, and what came of it."""

    human: str
    machine: str
    planted: float
    count: str
    true: float
    told: dict[str, Any]
    code: int

    @property
    def miss(self) -> float:
        """How far the true share is from the one asked for."""
        return abs(self.true - ASKED)


def save_scores(table: pa.Table, scored: Scored, path: Path) -> None:
    """Writes the score of each text, by its content hash."""
    text = table["text"].combine_chunks().take(pa.array(scored.row))
    key = hash_texts(normalise(text))[0]
    key, first = np.unique(key, return_index=True)
    np.savez(path, key=key, score=scored.score[first])


def save_calibration(profiles: Profiles, threshold: float, path: Path) -> None:
    """Writes a calibration file that has these profiles and this threshold."""
    at = {"threshold": threshold, "by_length": {"0": threshold}}
    said = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "detector": identify(load_detector("true_share_builds:KnownScores")),
        "thresholds": {"0.01": at},
        "profiles": profiles.as_json(),
    }
    path.write_text(json.dumps(said))


def write(table: pa.Table, rows: np.ndarray, scored: Scored, path: Path) -> None:
    """Writes documents with ids that tell who wrote them."""
    synthetic = scored.synthetic[rows]
    text = table["text"].combine_chunks().take(pa.array(scored.row[rows]))
    names = ("human", "machine")
    ids = [f"{names[int(s)]}-{r}" for s, r in zip(synthetic, rows, strict=True)]
    pq.write_table(
        pa.table({"id": ids, "text": text, "source": [path.stem] * len(ids)}), path
    )


def true_share(folder: Path) -> float:
    """Returns the share of machine-written words of a set, by its ids."""
    rows = pq.read_table(folder / "data", columns=["id", "text"])
    words = np.array([len(text.split()) for text in rows["text"].to_pylist()])
    machine = np.array([name.startswith("machine") for name in rows["id"].to_pylist()])
    return float(words[machine].sum() / words.sum())


def build_case(
    table: pa.Table,
    scored: Scored,
    human: str,
    machine: str,
    share: float,
    folder: Path,
) -> list[Made]:
    """Returns both builds of one planted mixture."""
    rng = np.random.default_rng(SIZE)
    rows = np.unique(plant_case(scored, (human,), (machine,), share, SIZE, rng).rows)
    pool = scored.rows(True, [POOL.get(machine, "l2r")])
    write(table, rows, scored, folder / "crawl.parquet")
    write(table, rng.choice(pool, SIZE, replace=False), scored, folder / "pool.parquet")
    family = {**scored.sources(False), **scored.sources(True)}
    profiles = scored.profiles(scored.without({family[human], family[machine]}))
    save_calibration(profiles, float(scored.threshold), folder / "calibration.json")
    made = []
    for count in COUNTS:
        out = folder / count
        asked = {
            "unknown": folder / "crawl.parquet",
            "synthetic": folder / "pool.parquet",
            "detector": "true_share_builds:KnownScores",
            "calibration": folder / "calibration.json",
            "target-fpr": 0.01,
            "synthetic-fraction": ASKED,
            "count": count,
            "output": out,
        }
        code = run(["build", "--quiet", *(f"--{n}={v}" for n, v in asked.items())])
        told = read_manifest(str(out))["shares"] if code == 0 else {}
        true = true_share(out) if code == 0 else float("nan")
        made.append(Made(human, machine, share, count, true, told, code))
    return made


def show(made: list[Made]) -> list[str]:
    """Returns the table, a line for each share that was planted."""
    lines = [
        "| planted | true share, declared | true share, estimated "
        "| mean miss, declared | mean miss, estimated "
        "| estimated is nearer | interval holds | refused |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for share in (*SHARES, None):
        mine = [each for each in made if share in (None, each.planted)]
        estimated, declared = (
            [each for each in mine if each.count == count] for count in COUNTS
        )
        pairs = [
            (one, other)
            for one, other in zip(estimated, declared, strict=True)
            if one.code == other.code == 0
        ]
        nearer = sum(one.miss <= other.miss for one, other in pairs)
        holds = sum(o.told["low"] <= o.true <= o.told["high"] for o, _ in pairs)
        means = [
            np.mean([getattr(pair[i], name) for pair in pairs])
            for name in ("true", "miss")
            for i in (1, 0)
        ]
        said = " | ".join(f"{value:.1%}" for value in means)
        name = "all" if share is None else f"{share:.0%}"
        lines.append(
            f"| {name} | {said} | {nearer} of {len(pairs)} | {holds} of {len(pairs)} | "
            f"{len(estimated) - len(pairs)} |"
        )
    return lines


def main() -> None:
    """Builds all cases and prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", required=True, help="glob of labelled Parquet files")
    parser.add_argument("--scores", type=Path, help="file that keeps the scores")
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))
    scored = read_scores(options.scores, options.data)
    table = read_data(options.data)
    made: list[Made] = []
    family = {**scored.sources(False), **scored.sources(True)}
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder) / "known.npz"
        save_scores(table, scored, known)
        os.environ[TABLE] = str(known)
        for human, machine in itertools.product(HUMAN, MACHINE):
            if family[human] == family[machine]:
                continue
            for share in SHARES:
                where = Path(folder) / f"{human}-{machine}-{share}"
                where.mkdir()
                made += build_case(table, scored, human, machine, share, where)
                for each in made[-2:]:
                    print(
                        f"{each.human} {each.machine} {each.planted:.0%} {each.count}: "
                        f"true {each.true:.1%}, estimated "
                        f"{each.told.get('estimated') or float('nan'):.1%}",
                        file=sys.stderr,
                    )
    print("\n".join(show(made)))


if __name__ == "__main__":
    main()
