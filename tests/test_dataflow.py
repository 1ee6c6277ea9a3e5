"""The Flex Template of Dataflow, as far as it goes without a cloud."""

import dataclasses
import json
import re
import runpy
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import synthfilter as sf
from synthfilter.core.errors import UserError
from synthfilter.outputs.manifest import read_manifest
from tests.conftest import REPOSITORY

TEMPLATE = REPOSITORY / "pipelines/dataflow"
METADATA = json.loads((TEMPLATE / "metadata.json").read_text())


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return runpy.run_path(str(TEMPLATE / "launch.py"))


def test_the_metadata_is_that_of_the_options(template: dict[str, Any]) -> None:
    """After a change: python pipelines/dataflow/launch.py --write-metadata."""
    assert template["make_metadata"]() == METADATA


def test_every_option_is_a_parameter_with_a_help_text() -> None:
    names = [parameter["name"] for parameter in METADATA["parameters"]]
    fields = [field.name for field in dataclasses.fields(sf.Build)]
    assert names == [*fields, "config", "sdk_container_image"]
    assert all(len(p["helpText"]) > 10 for p in METADATA["parameters"])


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("synthetic_fraction", ["0.3", ".3", "1", "1e-3"], ["", "30%", "a"]),
        ("seed", ["7", "-7"], ["7.5", "x"]),
        ("overwrite", ["true", "false"], ["True", "yes", ""]),
        ("mixture", ["human=1", "human=0.5,machine=2"], ["human", "human=a", "=1"]),
        ("human", ["gs://b/*.parquet", "gs://b/a,gs://b/c"], [""]),
        ("config", ["gs://b/build.yaml"], ["build.yaml"]),
    ],
)
def test_values_are_checked_before_a_machine_starts(
    name: str, good: list[str], bad: list[str]
) -> None:
    [parameter] = [p for p in METADATA["parameters"] if p["name"] == name]
    [pattern] = parameter["regexes"]
    assert all(re.fullmatch(pattern, value) for value in good)
    assert not any(re.fullmatch(pattern, value) for value in bad)


def test_parameters_become_flags(template: dict[str, Any]) -> None:
    given = [
        "--human=gs://b/a,gs://b/c",
        "--overwrite=true",
        "--rejected_text=false",
        "--mixture=human=1,machine=2",
        "--name=A set, with a comma",
        "--synthetic_fraction=0.3",
        "--runner=DataflowRunner",
    ]
    assert list(template["translate"](given)) == [
        *("--human", "gs://b/a", "gs://b/c"),
        "--overwrite",
        "--no-rejected-text",
        *("--mixture", "human=1", "machine=2"),
        "--name=A set, with a comma",
        "--synthetic-fraction=0.3",
        "--runner=DataflowRunner",
    ]


def test_a_switch_that_is_neither_is_an_error(
    template: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UserError, match="overwrite must be true or false, got 'yes'"):
        list(template["translate"](["--overwrite=yes"]))
    assert template["main"](["--overwrite=yes"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_template_builds_the_same_set_as_the_program(
    template: dict[str, Any], tmp_path: Path
) -> None:
    for name in ("a", "b"):
        texts = [f"Letter {name}{i}, written by hand this evening." for i in range(9)]
        pq.write_table(pa.table({"text": texts}), tmp_path / f"{name}.parquet")
    human = [str(tmp_path / f"{name}.parquet") for name in ("a", "b")]
    program = runpy.run_path(str(REPOSITORY / "pipelines/build.py"))
    plain = ["--human", *human, "--output", str(tmp_path / "plain")]
    assert program["main"](plain) == 0
    launched = [f"--human={','.join(human)}", f"--output={tmp_path / 'launched'}"]
    assert template["main"]([*launched, "--overwrite=false"]) == 0
    digests = {
        read_manifest(str(tmp_path / name))["content_digest"]
        for name in ("plain", "launched")
    }
    assert len(digests) == 1


def test_the_image_is_made_of_what_is_there() -> None:
    lines = (TEMPLATE / "Dockerfile").read_text().splitlines()
    copied = [line.split()[1:-1] for line in lines if line.startswith("COPY ")]
    ours = [name for names in copied for name in names if not name.startswith("/")]
    ours = [name for name in ours if not name.startswith("--from")]
    assert {"setup.py", "synthfilter", "models", "pipelines"} <= set(ours)
    assert all((REPOSITORY / name).exists() for name in ours)
    [program] = [line for line in lines if "FLEX_TEMPLATE_PYTHON_PY_FILE" in line]
    path = program.partition("=/template/")[2]
    assert (REPOSITORY / path).samefile(TEMPLATE / "launch.py")
    [version] = [line for line in lines if line.startswith("ARG BEAM=")]
    setup = (REPOSITORY / "setup.py").read_text()
    [least] = re.findall(r'"apache-beam>=([\d.]+)"', setup)
    numbers = [tuple(map(int, v.split("."))) for v in (version[9:], least)]
    assert numbers[0] >= numbers[1]
