"""Fetches what runs Flink: its jars from PyPI, Beam's job server from Maven."""

import dataclasses
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from apache_beam.version import __version__ as SDK

FLINK = "1.19"
FLINK_PATCH = "1.19.3"
# The newest that Maven serves with all its parts, where it lacks the SDK's own.
OLDER_BEAM = "2.62.0"
MINUTES = 10
HERE = Path(__file__).parent
MAVEN = ["mvn", "-B", "-q", "-Dstyle.color=never"]


class NotServed(Exception):
    """Something cannot be had here: no Java, no Maven, no network."""


@dataclasses.dataclass(frozen=True)
class Jars:
    """What runs Flink.

    Attributes:
      flink: Its version.
      beam: Version of the job server.
      libraries: Jars of Flink.
      job_server: Beam's, one jar.
    """

    flink: str
    beam: str
    libraries: tuple[Path, ...]
    job_server: Path


def fetch_jars(folder: Path) -> Jars:
    """Returns the jars below a folder; downloads what is missing (about 250 MB).

    Raises:
      NotServed: a program is missing, or a registry does not serve what is needed.
    """
    for program in ("java", "mvn"):
        if shutil.which(program) is None:
            raise NotServed(f"{program} is not installed")
    folder = folder.resolve()
    libraries = folder / f"flink-{FLINK_PATCH}"
    if not libraries.exists():
        _fetch_flink(libraries)
    server = folder / f"job-server-for-{SDK}"
    if not server.exists():
        _fetch_job_server(server)
    return Jars(
        FLINK_PATCH,
        json.loads((server / "versions.json").read_text())["beam"],
        tuple(sorted(libraries.glob("*.jar"))),
        server / "job-server.jar",
    )


def _fetch_flink(target: Path) -> None:
    """Unpacks the jars that a JobManager and a TaskManager need."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        place = Path(scratch)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download"]
        _run(
            *(*pip, "--no-deps", "--quiet", "--dest", scratch),
            f"apache-flink-libraries=={FLINK_PATCH}",
        )
        [archive] = place.glob("*.tar.gz")
        (place / "jars").mkdir()
        with tarfile.open(archive) as packed:
            for member in packed:
                name = Path(member.name).name
                if "/deps/lib/" in member.name and name.startswith(
                    ("flink-dist", "log4j")
                ):
                    member.name = name
                    packed.extract(member, place / "jars", filter="data")
        (place / "jars").rename(target)


def _fetch_job_server(target: Path) -> None:
    """Gets the SDK's own job server, or puts the newest served one together."""
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        place = Path(scratch) / "server"
        place.mkdir()
        name = f"beam-runners-flink-{FLINK}-job-server"
        beam = SDK
        try:
            _run(
                *(*MAVEN, "dependency:copy"),
                f"-Dartifact=org.apache.beam:{name}:{SDK}",
                *(f"-DoutputDirectory={place}", "-Dmdep.stripVersion=true"),
            )
            (place / f"{name}.jar").rename(place / "job-server.jar")
        except NotServed:
            beam = OLDER_BEAM
            _run(
                *(*MAVEN, "-f", str(HERE / "job_server.xml"), "package"),
                *(f"-Dflink={FLINK}", f"-Dbeam={beam}", f"-Dtarget={scratch}/target"),
            )
            (Path(scratch) / "target/job-server.jar").rename(place / "job-server.jar")
        (place / "versions.json").write_text(json.dumps({"beam": beam, "sdk": SDK}))
        place.rename(target)


def _run(*command: str) -> None:
    """Runs a program; its last line is the reason if it fails."""
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60 * MINUTES, check=False
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()
        errors = [line for line in said if "ERROR" in line] or said or ["no message"]
        raise NotServed(f"{command[0]} failed: {errors[0]:.300}")
