"""Events written, and sent to a real HTTP server on this machine."""

import http.server
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from synthfilter.lineage_events import is_set_up, write_lineage

REPORT = {"run": {"started": "2026-11-25T07:00:00+00:00"}}
BUILD: dict[str, Any] = {
    "build_id": "18a71962aadbc34f",
    "content_digest": "0" * 32,
    "books": {"read": 1, "kept": 1, "left_out": {}, "dead_letters": 0},
    "shares": {"unit": "docs", "got": {}},
    "detector": {"name": "d", "sha256": "ab"},
    "synthfilter_version": "0.1.0",
    "inputs": [{"path": "a.jsonl", "declared": "human", "fingerprint": "f", "rows": 1}],
    "shards": [{"path": "data/train-0", "rows": 1, "bytes": 9, "sha256": "x"}],
}


class Listener(http.server.ThreadingHTTPServer):
    """Keeps what is posted, and answers with `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.posted: list[tuple[str, str | None, dict[str, Any]]] = []
        self.status = 201

    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers.get("Authorization")
        self.server.posted.append((self.path, key, body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *said: Any) -> None:
        """Says nothing."""


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def plain_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[None]:
    """No settings of OpenLineage, and none left; the client sets some of its own."""
    kept = {name: os.environ.pop(name) for name in [*os.environ] if is_ours(name)}
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield
    for name in [name for name in os.environ if is_ours(name)]:
        del os.environ[name]
    os.environ.update(kept)


def is_ours(name: str) -> bool:
    return name.startswith("OPENLINEAGE")


def write(tmp_path: Path) -> str | None:
    return write_lineage(str(tmp_path / "out"), BUILD, REPORT)


def written(tmp_path: Path) -> dict[str, Any]:
    return json.loads((tmp_path / "out/openlineage.json").read_text())


def test_without_settings_an_event_is_written_and_nothing_sent(
    listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openlineage.client", None)
    assert not is_set_up()
    assert write(tmp_path) is None
    assert written(tmp_path)["eventType"] == "COMPLETE"
    assert not listener.posted


def test_an_event_goes_where_the_environment_says(
    listener: Listener, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    os.environ["OPENLINEAGE_URL"] = listener.url()
    os.environ["OPENLINEAGE_API_KEY"] = "secret"
    os.environ["OPENLINEAGE_NAMESPACE"] = "nightly"
    assert write(tmp_path) is None
    (path, key, started), (_, _, complete) = listener.posted
    assert (path, key) == ("/api/v1/lineage", "Bearer secret")
    assert (started["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert started["eventTime"] == "2026-11-25T07:00:00+00:00"
    assert started["run"]["runId"] == complete["run"]["runId"]
    assert complete["job"]["namespace"] == "nightly"
    mine = written(tmp_path)
    # The client adds which version of it sent the event.
    del complete["run"]["facets"]["tags"]
    for name in ("eventTime", "run", "inputs", "outputs", "producer", "schemaURL"):
        assert complete[name] == mine[name]
    assert "".join(capfd.readouterr()) == ""


def test_a_configuration_file_says_where_to_send(
    listener: Listener, tmp_path: Path
) -> None:
    (tmp_path / "openlineage.yml").write_text(
        f"transport: {{type: http, url: {listener.url()}, endpoint: events}}"
    )
    assert write(tmp_path) is None
    assert [path for path, _, _ in listener.posted] == ["/events"] * 2


def test_nothing_is_sent_where_lineage_is_disabled(
    listener: Listener, tmp_path: Path
) -> None:
    os.environ["OPENLINEAGE_URL"] = listener.url()
    os.environ["OPENLINEAGE_DISABLED"] = "True"
    assert write(tmp_path) is None
    assert written(tmp_path)
    assert not listener.posted


@pytest.fixture
def no_retry() -> None:
    os.environ["OPENLINEAGE__TRANSPORT__TYPE"] = "http"
    os.environ["OPENLINEAGE__TRANSPORT__RETRY"] = '{"total": 0}'


@pytest.mark.usefixtures("no_retry")
def test_a_server_that_refuses_is_one_line_without_passwords(
    listener: Listener, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    listener.status = 401
    url = listener.url().replace("//", "//ann:secret@")
    os.environ["OPENLINEAGE__TRANSPORT__URL"] = url
    said = write(tmp_path)
    assert said is not None
    assert said.startswith("lineage was not sent, openlineage.json has it: HTTPError")
    assert "401" in said
    assert "secret" not in said
    assert "\n" not in said
    assert "".join(capfd.readouterr()) == ""
    assert written(tmp_path)


@pytest.mark.usefixtures("no_retry")
def test_a_dead_url_is_one_line_and_the_set_stands(
    tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    with Listener() as gone:
        url = gone.url()
    for dead in (url, "no url at all", ""):
        os.environ["OPENLINEAGE__TRANSPORT__URL"] = dead
        said = write(tmp_path)
        assert said is not None
        assert said.startswith("lineage was not sent, openlineage.json has it: ")
        assert "\n" not in said
    assert "".join(capfd.readouterr()) == ""
    assert written(tmp_path)


def test_a_client_that_is_missing_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.environ["OPENLINEAGE_URL"] = "http://127.0.0.1:9"
    monkeypatch.setitem(sys.modules, "openlineage.client", None)
    said = write(tmp_path)
    assert said is not None
    assert said.endswith("not installed; pip install 'synthfilter[lineage]'")
    assert written(tmp_path)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    said = write(tmp_path)
    assert said is not None
    assert said.startswith("lineage was not written: ")
