"""A ledger in an object store, against a real S3 server on this machine."""

from collections.abc import Callable, Iterator

import boto3
import pyarrow as pa
import pytest
from moto.server import ThreadedMotoServer

from synthfilter.core import storage
from synthfilter.core.errors import StoreError, UserError
from synthfilter.core.uses import USE
from synthfilter.core.verdicts import GIVEN, VERDICTS
from synthfilter.ledger import table as module
from synthfilter.ledger.read import read_uses
from synthfilter.ledger.side_table import SideTable
from synthfilter.ledger.table import (
    forget_build,
    list_data_files,
    load_table,
    open_ledger,
)
from synthfilter.ledger.verdicts import add_verdicts, read_verdicts

Commit = Callable[..., bool]


@pytest.fixture
def bucket() -> Iterator[str]:
    """An empty bucket, and the environment that leads to it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        boto3.client("s3").create_bucket(Bucket="ledgers")
        storage.use_credentials()
        yield "s3://ledgers"
    server.stop()


def test_a_ledger_in_a_bucket_is_like_one_on_the_disk(
    bucket: str, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{bucket}/team/ledger"
    assert open_ledger(path) is None
    assert commit(path, "one", range(10), day=1)
    assert not commit(path, "one", range(10), day=1)
    stale = load_table(path)
    assert commit(path, "two", range(6), day=2)
    # A commit on what the table was a moment ago does not overwrite the last one.
    tables = iter([None, stale])
    load = module.load_table
    monkeypatch.setattr(
        module, "load_table", lambda *given: next(tables, None) or load(*given)
    )
    assert commit(path, "three", range(4), day=3)
    assert next(tables, "used") == "used"
    ledger = open_ledger(path)
    assert ledger is not None
    assert ledger.version == 3
    assert sum(batch.num_rows for batch in read_uses(ledger, USE.names)) == 20
    assert forget_build(path, "two") == 6
    files = list_data_files(path, load_table(path))
    assert [file.build_id for file in files] == ["one", "three"]


def test_what_is_no_ledger_in_a_bucket_is_refused(bucket: str, commit: Commit) -> None:
    boto3.client("s3").put_object(Bucket="ledgers", Key="notes/read.me", Body=b"x")
    with pytest.raises(UserError, match=r"found 'read\.me'; name another folder"):
        open_ledger(f"{bucket}/notes")
    with pytest.raises(StoreError, match="there is no such bucket"):
        commit("s3://no-such-bucket/ledger", "one", range(3))


def test_verdicts_in_a_bucket_are_like_those_on_the_disk(
    bucket: str, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{bucket}/team/reviewed"
    assert read_verdicts(path).num_rows == 0
    row = {"verdict": "reject", "reviewer": "ann", "note": None}
    given = pa.Table.from_pylist(
        [{"content_hash": f"{number:032x}", **row} for number in range(3)], schema=GIVEN
    )
    assert add_verdicts(path, given) == 3
    assert add_verdicts(path, given) == 0
    load, table = SideTable._load, SideTable("_verdicts", "verdicts", VERDICTS)
    stale = load(table, path)
    assert add_verdicts(path, given.slice(0, 0)) == 0
    other = given.set_column(3, GIVEN.field("reviewer"), pa.array(["bob"] * 3))
    assert add_verdicts(path, other) == 3
    tables = iter([stale])
    monkeypatch.setattr(
        SideTable, "_load", lambda self, path: next(tables, None) or load(self, path)
    )
    assert add_verdicts(path, other) == 0
    assert read_verdicts(path).num_rows == 6
    assert open_ledger(path) is None
    assert commit(path, "one", range(3))
    assert read_verdicts(path).num_rows == 6
