"""One profile for all properties (the same examples each time, no clock), and data."""

import datetime
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings

from synthfilter import reporting
from synthfilter.cli import main
from synthfilter.core.hashing import mix
from synthfilter.core.samples import make_sample, to_text
from synthfilter.insight import report_page as page
from synthfilter.outputs.manifest import read_manifest

settings.register_profile(
    "tests",
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("tests")

REPOSITORY = Path(__file__).resolve().parents[1]


class Workshop:
    """A folder with Parquet files in human/ and synthetic/, and builds of them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(
        self, name: str, texts: list[str], row_group: int = 50, **columns: list[Any]
    ) -> None:
        """Writes a file; ids are its name and a number unless they are given."""
        path = self.path / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        ids = [f"{path.stem}-{number}" for number in range(len(texts))]
        table = pa.table({"id": ids, "text": texts, **columns})
        pq.write_table(table, path, row_group_size=row_group)

    def build(self, output: str = "out", code: int = 0, **options: Any) -> dict:
        """Runs the command, checks its exit code and returns the manifest."""
        for origin in ("human", "synthetic"):
            if (self.path / origin).exists():
                options.setdefault(origin, str(self.path / origin))
        arguments = ["build", "--output", str(self.path / output), "--quiet"]
        for name, value in {"flagged_human": "keep", **options}.items():
            values = value if isinstance(value, list) else [value]
            values = [] if value is True else values
            arguments += [f"--{name.replace('_', '-')}", *map(str, values)]
        try:
            found = main(arguments)
        except SystemExit as stopped:
            found = stopped.code
        assert found == code
        return read_manifest(str(self.path / output)) if code == 0 else {}

    def rows(self, kind: str = "data", output: str = "out") -> list[dict[str, Any]]:
        """Returns what a build has written, file after file."""
        files = sorted((self.path / output / kind).glob("*.parquet"))
        return [row for file in files for row in pq.read_table(file).to_pylist()]


@pytest.fixture(scope="session", autouse=True)
def drawn_pages() -> Iterator[Callable[[Mapping[str, Any]], str]]:
    """Lets builds of tests write their page without charts; returns what draws it.

    To draw charts takes longer than all the rest of a small build.
    """

    def plain_page(report: Mapping[str, Any]) -> str:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(page, "charts_available", lambda: False)
            return page.report_page(report)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reporting, "report_page", plain_page)
        yield page.report_page


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture(scope="module")
def shared_workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Returns one workshop for all tests of a module that only look at its builds."""
    return Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture(scope="session")
def labelled_data() -> Path:
    """Returns the folder of labelled Parquet files, or skips the test."""
    named = os.environ.get("SYNTHFILTER_DETECTOR_DATA")
    folder = Path(named or REPOSITORY.parent / "shared" / "data" / "detector")
    if not any(folder.glob("*.parquet")):
        pytest.skip(
            f"no labelled Parquet files in {folder}; set SYNTHFILTER_DETECTOR_DATA"
        )
    return folder


def make_report(place: int) -> dict[str, Any]:
    """Returns the report of a build, one a month, that nothing happened to."""
    rng = np.random.default_rng(place)
    start = datetime.datetime(2024, 1 + place % 12, 3).replace(year=2024 + place // 12)

    def about(level: float, spread: float = 0.01) -> float:
        return float(level * (1 + spread * rng.standard_normal()))

    def trigrams(first: int) -> str:
        """Returns a sketch of 3,000 trigrams, half of which the build before has."""
        keys = np.arange(1500 * (place + first), 1500 * (place + first) + 3000)
        hashes = mix(keys.astype(np.uint64))
        return to_text(make_sample(hashes, np.ones((3000, 1), np.int64), 1000))

    def words() -> dict[str, Any]:
        return {
            "total": 600_000,
            "hapax_share": about(0.44),
            "tail_mass": about(0.02, 0.02),
            "type_token": {"per": 100_000, "distinct": round(about(9800))},
        }

    def scores(peak: float) -> dict[str, list[int]]:
        kept = 2000 * np.exp(-((np.linspace(0, 1, 50) - peak) ** 2) / 0.02)
        return {"kept": rng.poisson(kept).tolist(), "left_out": [0] * 50}

    origins = {"human": 0.1, "synthetic": 0.9, "unknown": 0.4}
    synthetic = {"kept": {"synthetic": {"docs": 900, "bytes": 1, "words": 1}}}
    return {
        "report_version": 1,
        "build_id": f"{place:08x}",
        "books": {
            "read": 10_000,
            "dead_letters": 10 + place % 3,
            "by_declared_origin": {"human": {}, "synthetic": synthetic},
        },
        "shares": {
            "unit": "words",
            "got": {"words": {"synthetic_fraction": about(0.2)}},
            "estimated": about(0.3),
            "low": 0.2,
            "high": 0.45,
        },
        "options": {"max_uses": 1},
        "detector": {
            "name": "ours",
            "sha256": "aa",
            "unscored": {"human": {"docs": 40 + place % 5, "of": 5000, "share": 0}},
            "canaries": [
                {"name": "letter", "score": 0.03},
                {"name": "a", "score": 0.9},
            ],
        },
        "scores": {
            "bins": 50,
            "by_declared": {name: scores(peak) for name, peak in origins.items()},
        },
        "ages": {
            "by_origin": {
                "human": {"median": f"{start.year - 2}-{start.month:02d}"},
                "synthetic": {"median": None},
            }
        },
        "ledger_hits": [{"build_id": "b", "docs": 9}, {"build_id": "c", "docs": 9}],
        "diversity": {
            "near_copy_rate": about(0.02),
            "by_origin": {"all": {"words": words()}, "human": {"words": words()}},
            "sketches": {
                "all": {"trigrams": trigrams(0)},
                "synthetic": {"trigrams": trigrams(10**6)},
            },
        },
        "run": {"started": f"{start.isoformat()}+00:00", "seconds": 1.0},
    }


def set_in(report: dict[str, Any], name: str, value: Any) -> None:
    """Sets what stands under a name with dots."""
    *above, last = name.split(".")
    for part in above:
        report = report[part]
    report[last] = value


@pytest.fixture
def make_reports() -> Callable[..., list[dict[str, Any]]]:
    """Makes the reports of a series of builds.

    By a name with dots it takes what gives the value at a place, instead of one about
    a level.
    """

    def reports(
        builds: int, told: Mapping[str, Callable[[int], Any]] | None = None
    ) -> list[dict[str, Any]]:
        made = [make_report(place) for place in range(builds)]
        for name, value in (told or {}).items():
            for place, report in enumerate(made):
                set_in(report, name, value(place))
        return made

    return reports
