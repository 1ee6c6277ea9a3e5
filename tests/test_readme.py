"""Every command and every program in the README runs as it is written."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
# The README comes first: what it makes, the others may use.
PAGES = [README, *(path.read_text() for path in sorted(ROOT.glob("docs/*.md")))]
COMMANDS = [
    line[2:]
    for block in re.findall(r"```console\n(.*?)```", "\n".join(PAGES), re.S)
    for line in block.splitlines()
    if line.startswith("$ ")
]
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as `make demo` leaves the repository's, without its own build."""
    folder = tmp_path_factory.mktemp("readme")
    for name in ("examples", "pipelines", "synthfilter"):
        (folder / name).symlink_to(ROOT / name)
    subprocess.run(
        [sys.executable, "examples/demo/make_inputs.py", "demo/inputs"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


def test_the_readme_has_the_commands_that_people_look_for() -> None:
    said = " ".join(COMMANDS)
    for command in ("build --human", "build.yaml", "score", "inspect", "pipelines/"):
        assert command in said


def test_every_command_runs_as_written(folder: Path) -> None:
    bin_folder = os.path.dirname(sys.executable)
    path = os.pathsep.join([bin_folder, os.environ["PATH"]])
    for command in COMMANDS:
        done = subprocess.run(
            shlex.split(command),
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    assert (folder / "out/manifest.json").exists()
    assert (folder / "scored.parquet").exists()
    assert not (folder / "out8").exists()


def test_every_program_runs_as_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    for program in PROGRAMS:
        exec(compile(program, "README.md", "exec"), {})
    assert (folder / "embedded/manifest.json").exists()


def test_every_link_leads_somewhere() -> None:
    for page in (ROOT / "README.md", *ROOT.glob("docs/*.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), target
