"""Documents of known origin are none of those that are mixed, and bring it nearer."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
MACHINE = ("tales", "reports", "answers")


@pytest.fixture(scope="module")
def known_share() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import known_share

        yield known_share
        for name in ("known_share", "true_share", "planted"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def columns() -> dict[str, np.ndarray]:
    """Three human and three machine-written sources; one is hardly detected."""
    rng = np.random.default_rng(2)
    number = np.arange(3600) % 6
    synthetic = number >= 3
    sources = np.array(["diary", "letters", "minutes", *MACHINE])
    kind = np.array([*[""] * 5, "human text continued by a base model (davinci)"])
    middle = np.array([-3, -4, -3.5, 2, 3, -2])[number]
    return {
        "score": (1 / (1 + np.exp(-rng.normal(middle, 1)))).astype(np.float32),
        "words": rng.integers(60, 500, 3600),
        "synthetic": synthetic,
        "source": sources[number],
        "family": sources[number],
        "name": np.char.add(np.char.add(sources, " / "), kind)[number],
        "threshold": np.array(0.9),
        "row": np.arange(3600),
    }


def test_what_is_known_is_not_mixed(
    known_share: ModuleType, columns: dict[str, np.ndarray]
) -> None:
    scored = known_share.Scored(**columns)
    rng = np.random.default_rng(1)
    pair = known_share.draw_pair(scored, "diary", "tales", 1, rng)
    assert pair.families == ["diary", "tales"]
    mixed = np.unique(np.concatenate([case.rows for case in pair.cases]))
    for kind, name in enumerate(("diary", "tales")):
        assert set(scored.source[pair.own[kind]]) == {name}
        assert len(pair.own[kind]) == 300
        (other,) = set(scored.source[pair.other[kind]])
        assert other not in pair.families
        assert (scored.synthetic[pair.other[kind]] == kind).all()
    assert not np.isin(np.concatenate(pair.own), mixed).any()
    assert set(scored.source[mixed]) == {"diary", "tales"}


def test_the_tables_say_what_known_documents_are_worth(
    columns: dict[str, np.ndarray], tmp_path: Path
) -> None:
    np.savez(tmp_path / "scores.npz", **columns)
    done = subprocess.run(
        [
            *(sys.executable, str(BENCHMARKS / "known_share.py")),
            *("--scores", str(tmp_path / "scores.npz")),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rows = [row.split(" | ") for row in done.stdout.splitlines() if row[:2] == "| "]
    of_all = {
        kind: [row for row in rows if row[:2] == ["| all", kind]]
        for kind in ("nothing", "machine text of the source")
    }
    errors, holds = (
        {
            kind: [float(row[place].rstrip("% |")) for row in found]
            for kind, found in of_all.items()
        }
        for place in (3, 5)
    )
    nothing, known = errors.values()
    # Of all pairs, the table after that of other sources.
    assert known[1] < nothing[1]
    # Where machine text scores like human text.
    nothing, known = holds.values()
    assert known[-1] > nothing[-1]
