"""One profile for all properties (the same examples each time, no clock), and data."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings

from synthfilter import reporting
from synthfilter.cli import main
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
