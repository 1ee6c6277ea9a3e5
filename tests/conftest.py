"""One profile for all properties (the same examples each time, no clock), and data."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

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
