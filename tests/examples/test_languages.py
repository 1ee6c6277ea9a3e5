"""Java and Go pipelines with our transforms, run: three processes, two languages.

Only where asked for (`make test-java`, `make test-go`): 50 MB are fetched for each, and
the first Go build compiles for minutes.
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
JAVA = ROOT / "examples" / "java"
GO = ROOT / "examples" / "go"
QUAY = "Rain again, all day, and the river is up to the second step of the quay."
WALL = "The tide came in at noon, and we walked back along the wall, wet and laughing."


def asked_for(language: str, tool: str) -> pytest.MarkDecorator:
    named = f"SYNTHFILTER_{language.upper()}"
    return pytest.mark.skipif(
        named not in os.environ or not shutil.which(tool),
        reason=f"needs {named}=1 and {tool}; see make test-{language}",
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


def run(*command: str | Path, folder: Path = ROOT) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def check(printed: str) -> None:
    """Checks what a program says of its three documents."""
    found = {}
    for line in printed.splitlines():
        output, *fields = line.split()
        row = dict(field.split("=") for field in fields)
        found[row["id"]] = (output, row)
    assert {name: output for name, (output, _) in found.items()} == {
        "quay": "dropped",
        "again": "kept",
        "wall": "kept",
    }
    quay, wall = [{"text": QUAY}, {"text": WALL}] | sf.Score()
    for name, scored in (("quay", quay), ("again", quay), ("wall", wall)):
        row = found[name][1]
        assert float(row["ai_score"]) == scored["ai_score"]
        assert row["origin"] == "human"
        assert row["content_hash"] == scored["content_hash"]
    assert {name: row["stars"] for name, (_, row) in found.items()} == {
        "quay": "5",
        "again": "null",
        "wall": "3",
    }
    dropped = found["quay"][1]
    assert dropped["reason"] == "exact_copy"
    assert dropped["evidence"] == quay["content_hash"]
    assert list(dropped) == [*found["wall"][1], "reason", "evidence"]


@asked_for("java", "mvn")
def test_java_scores_and_drops_copies(expansion: int, jobs: int) -> None:
    listed = JAVA / "target" / "classpath"
    goals = ["package", "dependency:build-classpath", f"-Dmdep.outputFile={listed}"]
    run("mvn", "-q", "-B", *goals, folder=JAVA)
    printed = run(
        "java",
        "-cp",
        f"{JAVA / 'target' / 'classes'}:{listed.read_text().strip()}",
        "example.ScoreAndDeduplicate",
        "--runner=PortableRunner",
        f"--jobEndpoint=localhost:{jobs}",
        f"--expansionService=localhost:{expansion}",
        "--defaultEnvironmentType=LOOPBACK",
        f"--defaultEnvironmentConfig=localhost:{free_port()}",
    )
    check(printed)


@asked_for("go", "go")
def test_go_scores_and_drops_copies(expansion: int, jobs: int, tmp_path: Path) -> None:
    run("go", "build", "-o", tmp_path / "program", ".", folder=GO)
    printed = run(
        tmp_path / "program",
        f"--endpoint=localhost:{jobs}",
        f"--expansion_service=localhost:{expansion}",
        "--environment_type=LOOPBACK",
    )
    check(printed)
