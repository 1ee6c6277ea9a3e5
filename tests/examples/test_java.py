"""A Java pipeline with our transforms, run: three processes, two languages.

Only where asked for (`make test-java`): Maven fetches 50 MB.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import synthfilter as sf

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "examples" / "java"
QUAY = "Rain again, all day, and the river is up to the second step of the quay."
WALL = "The tide came in at noon, and we walked back along the wall, wet and laughing."

pytestmark = pytest.mark.skipif(
    "SYNTHFILTER_JAVA" not in os.environ or not shutil.which("mvn"),
    reason="needs SYNTHFILTER_JAVA=1, Java 11 or later and Maven; see make test-java",
)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


def wait_for(port: int, server: subprocess.Popen) -> None:
    """Returns when the server listens."""
    for _ in range(600):
        with socket.socket() as client:
            if client.connect_ex(("localhost", port)) == 0:
                return
        assert server.poll() is None, "the server ended"
        time.sleep(0.1)
    pytest.fail(f"nothing listens on port {port} after a minute")


def serve(module: str, *arguments: str) -> Iterator[int]:
    """Runs one of Beam's servers while its port is used."""
    port = free_port()
    command = [sys.executable, "-m", f"apache_beam.runners.portability.{module}"]
    server = subprocess.Popen(
        [*command, f"--port={port}", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port, server)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=30)


@pytest.fixture(scope="module")
def expansion() -> Iterator[int]:
    yield from serve(
        "expansion_service_main",
        "--fully_qualified_name_glob=synthfilter.*",
        "--serve_loopback_worker",
    )


@pytest.fixture(scope="module")
def jobs() -> Iterator[int]:
    yield from serve("local_job_service_main")


@pytest.fixture(scope="module")
def classpath() -> str:
    """Compiles the program; returns its classpath."""
    goals = ["package", "dependency:build-classpath"]
    listed = PROJECT / "target" / "classpath"
    subprocess.run(
        ["mvn", "-q", "-B", *goals, f"-Dmdep.outputFile={listed}"],
        cwd=PROJECT,
        check=True,
        timeout=600,
    )
    return f"{PROJECT / 'target' / 'classes'}:{listed.read_text().strip()}"


def test_java_scores_and_drops_copies(
    classpath: str, expansion: int, jobs: int
) -> None:
    done = subprocess.run(
        [
            "java",
            "-cp",
            classpath,
            "example.ScoreAndDeduplicate",
            "--runner=PortableRunner",
            f"--jobEndpoint=localhost:{jobs}",
            f"--expansionService=localhost:{expansion}",
            "--defaultEnvironmentType=LOOPBACK",
            f"--defaultEnvironmentConfig=localhost:{free_port()}",
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = {}
    for line in done.stdout.splitlines():
        output, *fields = line.split()
        row = dict(field.split("=") for field in fields)
        found[row["id"]] = (output, row)
    quay, wall = [{"text": QUAY}, {"text": WALL}] | sf.Score()
    assert {name: output for name, (output, _) in found.items()} == {
        "quay": "dropped",
        "again": "kept",
        "wall": "kept",
    }
    for name, scored in (("quay", quay), ("again", quay), ("wall", wall)):
        row = found[name][1]
        assert float(row["ai_score"]) == scored["ai_score"]
        assert row["origin"] == "human"
        assert row["content_hash"] == scored["content_hash"]
    assert [found[name][1]["stars"] for name in ("quay", "again")] == ["5", "null"]
    dropped = found["quay"][1]
    assert dropped["reason"] == "exact_copy"
    assert dropped["evidence"] == quay["content_hash"]
    assert list(dropped) == [*found["wall"][1], "reason", "evidence"]
