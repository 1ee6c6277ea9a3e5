"""Builds of planted mixtures: how near to the share asked for is the true one?

    python benchmarks/true_share_builds.py --data 'DIR/*.parquet' --scores scores.npz

Every build reads a crawl of unknown origin, human text of one source with machine text
of another among it, and a pool of declared machine text of a third, and is asked for
30% synthetic words: by --count declared; by --count estimated and --on-hidden keep;
and held to it, by --on-hidden shrink. Beside the crawl nothing is known; or 500
machine-written documents by their mark and 500 human ones, by their date or as the
archive (--core), of the same sources or of other families. The labels then tell the
true share, and how much human text went as suspect. Scores are those of models that saw
neither source nor any of its family, and the profiles are of other families alone; see
true_share.py, which makes the file of scores, too. Takes half an hour besides that.
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
from known_share import Pair, draw_pair
from planted import SHARES, Case, Scored, read_data, read_scores

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
MOST_KNOWN = 500
"""Documents of a class whose origin is known."""
NOTHING = "nothing"
SAME, OTHER = "both of the sources", "both of other families"
CORE = "an archive and machine text, both of other families"
KNOWN = (NOTHING, SAME, OTHER, CORE)
DATED, MARKED = {"created": "2020-01-01"}, {"generator": "a model"}
DECLARED, ESTIMATED, HELD = "declared", "estimated", "held"
WAYS = {
    DECLARED: {"count": "declared"},
    ESTIMATED: {"on-hidden": "keep"},
    HELD: {"on-hidden": "shrink"},
}
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
    """A build: what was planted, how it counted, and what came of it.

    Attributes:
      human: Source of the human text.
      machine: Source of the machine text among it.
      planted: Share of its words.
      known: One of `KNOWN`.
      way: One of `WAYS`.
      true: Share of the machine's words in the set.
      lost: Share of the human words of the crawl that went as suspect.
      told: What the manifest says of the shares.
      code: Exit code.
    """

    human: str
    machine: str
    planted: float
    known: str
    way: str
    true: float
    lost: float
    told: dict[str, Any]
    code: int

    @property
    def miss(self) -> float:
        """How far the true share is from the one asked for."""
        return abs(self.true - ASKED)

    @property
    def over(self) -> float:
        """By how much the true share exceeds the one asked for."""
        return max(self.true - ASKED, 0.0)


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


def write(
    table: pa.Table, rows: np.ndarray, scored: Scored, path: Path, **more: str
) -> None:
    """Writes documents with ids that tell who wrote them, and more columns."""
    synthetic = scored.synthetic[rows]
    text = table["text"].combine_chunks().take(pa.array(scored.row[rows]))
    names = ("human", "machine")
    ids = [f"{names[int(s)]}-{r}" for s, r in zip(synthetic, rows, strict=True)]
    columns = {"source": path.stem, **more}
    columns = {name: [value] * len(ids) for name, value in columns.items()}
    pq.write_table(pa.table({"id": ids, "text": text, **columns}), path)


def words_of(folder: Path) -> dict[str, int]:
    """Returns the words of each document of Parquet files, by its id."""
    rows = pq.read_table(folder, columns=["id", "text"]).to_pydict()
    return dict(zip(rows["id"], map(len, map(str.split, rows["text"])), strict=True))


def by_machine(words: dict[str, int]) -> int:
    """Returns how many words are of documents whose id says that a machine wrote it."""
    return sum(number for name, number in words.items() if name.startswith("machine"))


def lost_share(out: Path, crawl: dict[str, int]) -> float:
    """Returns which share of the human words of a crawl went as suspect."""
    gone = pq.read_table(out / "rejected", columns=["id", "reason"]).to_pydict()
    pairs = zip(gone["id"], gone["reason"], strict=True)
    lost = {name: crawl[name] for name, reason in pairs if reason == "suspect"}
    human = sum(crawl.values()) - by_machine(crawl)
    return (sum(lost.values()) - by_machine(lost)) / human


def build_case(
    table: pa.Table, scored: Scored, pair: Pair, case: Case, known: str, folder: Path
) -> list[Made]:
    """Returns all builds of one planted mixture."""
    rng = np.random.default_rng(SIZE)
    write(table, np.unique(case.rows), scored, folder / "crawl.parquet")
    pool = scored.rows(True, [POOL.get(pair.machine, "l2r")])
    write(table, rng.choice(pool, SIZE, replace=False), scored, folder / "pool.parquet")
    given = [f"--unknown={folder / 'crawl.parquet'}"]
    if known != NOTHING:
        how, said = ("core", {}) if known == CORE else ("unknown", DATED)
        human, synthetic = pair.own if known == SAME else pair.other
        for name, rows, option, columns in (
            ("people", human, how, said),
            ("machines", synthetic, "unknown", MARKED),
        ):
            path = folder / f"{name}.parquet"
            write(table, rows[:MOST_KNOWN], scored, path, **columns)
            given.append(f"--{option}={path}")
    profiles = scored.profiles(scored.without(pair.families))
    save_calibration(profiles, float(scored.threshold), folder / "calibration.json")
    crawl = words_of(folder / "crawl.parquet")
    made = []
    for way, options in WAYS.items():
        out = folder / way
        asked = {
            "synthetic": folder / "pool.parquet",
            "detector": "true_share_builds:KnownScores",
            "calibration": folder / "calibration.json",
            "target-fpr": 0.01,
            "synthetic-fraction": ASKED,
            "output": out,
            **options,
        }
        more = (f"--{name}={value}" for name, value in asked.items())
        code = run(["build", "--quiet", *given, *more])
        told, true, lost = {}, float("nan"), float("nan")
        if code == 0:
            told = read_manifest(str(out))["shares"]
            chosen = words_of(out / "data")
            true = by_machine(chosen) / sum(chosen.values())
            lost = lost_share(out, crawl)
        share = case.share
        made.append(
            Made(pair.human, pair.machine, share, known, way, true, lost, told, code)
        )
    return made


def show(made: list[Made]) -> list[str]:
    """Returns the table, a line for each share that was planted."""
    names = list(WAYS)
    lines = [
        " | ".join(
            [
                "| planted",
                *(f"true share, {way}" for way in names),
                *(f"mean miss, {way}" for way in names),
                *(f"mean excess, {way}" for way in names),
                "estimated is nearer than declared",
                "human text lost, held",
                "interval holds, estimated",
                "refused |",
            ]
        ),
        "|---" * 14 + "|",
    ]
    for share in (*SHARES, None):
        mine = [each for each in made if share in (None, each.planted)]
        cases = list(
            zip(*([m for m in mine if m.way == way] for way in names), strict=True)
        )
        whole = [case for case in cases if not any(each.code for each in case)]
        means = [
            float(np.mean([getattr(case[at], name) for case in whole]))
            for name in ("true", "miss", "over")
            for at in range(len(names))
        ]
        lost = np.mean([case[names.index(HELD)].lost for case in whole])
        estimated = [case[names.index(ESTIMATED)] for case in whole]
        nearer = sum(
            one.miss <= case[names.index(DECLARED)].miss
            for one, case in zip(estimated, whole, strict=True)
        )
        holds = sum(e.told["low"] <= e.true <= e.told["high"] for e in estimated)
        cells = [
            "all" if share is None else f"{share:.0%}",
            *(f"{value:.1%}" for value in means),
            f"{nearer} of {len(whole)}",
            f"{lost:.1%}",
            f"{holds} of {len(whole)}",
            str(len(cases) - len(whole)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Builds all cases and prints the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", required=True, help="glob of labelled Parquet files")
    parser.add_argument("--scores", type=Path, help="file that keeps the scores")
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))
    scored = read_scores(options.scores, options.data)
    table = read_data(options.data)
    made: list[Made] = []
    family = {**scored.sources(False), **scored.sources(True)}
    rng = np.random.default_rng(SIZE)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "known.npz"
        save_scores(table, scored, path)
        os.environ[TABLE] = str(path)
        for human, machine in itertools.product(HUMAN, MACHINE):
            if family[human] == family[machine]:
                continue
            pair = draw_pair(scored, human, machine, 1, rng)
            for case, known in itertools.product(pair.cases, KNOWN):
                where = Path(folder) / str(len(made))
                where.mkdir()
                made += build_case(table, scored, pair, case, known, where)
                print(*map(tell, made[-len(WAYS) :]), sep="\n", file=sys.stderr)
    for known in KNOWN:
        print(f"\nknown besides: {known}\n")
        print("\n".join(show([each for each in made if each.known == known])))


def tell(made: Made) -> str:
    """Returns a build in a line."""
    estimated = made.told.get("estimated") or float("nan")
    return (
        f"{made.human} {made.machine} {made.planted:.0%}, known {made.known}, "
        f"{made.way}: true {made.true:.1%}, estimated {estimated:.1%}, "
        f"human text lost {made.lost:.1%}"
    )


if __name__ == "__main__":
    main()
