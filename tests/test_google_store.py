"""A build from and to Google Cloud Storage, against an emulator on this machine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthfilter.cli import main
from synthfilter.core import storage
from synthfilter.core.errors import StoreError
from synthfilter.outputs.manifest import read_manifest
from tests.flaky import RESET, Fault, FlakyWay, flaky_way

cloud = pytest.importorskip(
    "google.cloud.storage",
    reason="needs pip install 'synthfilter[gcp]'; make test-dataflow has it",
)
emulator = pytest.importorskip(
    "gcp_storage_emulator.server", reason="make test-dataflow has the emulator"
)
BUCKET = "gs://letters"


@pytest.fixture(scope="module")
def way() -> Iterator[FlakyWay]:
    """The way to an empty bucket, and the environment that takes it."""
    server = emulator.create_server("127.0.0.1", 0, in_memory=True)
    server.start()
    host, port = server._api.server_address[:2]
    with flaky_way(host, port) as opened, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", opened.url)
        cloud.Client.create_anonymous_client().create_bucket("letters")
        yield opened
    server.stop()
