"""A build run from a program: what comes back, and what is refused in one line."""

import logging
from pathlib import Path
from typing import Any

import pytest

import synthfilter as sf
from synthfilter.core.errors import ShortageError, UserError

TEXTS = [f"Letter {i}: the tide came in at noon and we all got wet." for i in range(30)]


def test_a_build_returns_its_manifest_and_prints_nothing(
    workshop: Any, capsys: pytest.CaptureFixture
) -> None:
    workshop.write("human/a", TEXTS)
    # A path stands for a list of one, as in YAML.
    build = sf.Build(
        human=str(workshop.path / "human"), output=str(workshop.path / "out")
    )
    assert build.human == [str(workshop.path / "human")]
    manifest = sf.run_build(build)
    assert manifest["books"]["read"] == 30
    assert len(workshop.rows()) == sum(shard["rows"] for shard in manifest["shards"])
    assert capsys.readouterr() == ("", "")
    with pytest.raises(UserError, match="is not empty"):
        sf.run_build(build)


@pytest.mark.parametrize("workers", [0, -1])
def test_there_must_be_a_worker(workers: int) -> None:
    build = sf.Build(human="nowhere", output="out")
    with pytest.raises(UserError, match="workers must be at least 1"):
        sf.run_build(build, workers=workers)


def test_files_without_text_are_refused_before_any_work(workshop: Any) -> None:
    workshop.write("human/a", TEXTS)
    path, output = str(workshop.path / "human/a.parquet"), workshop.path / "out"
    with pytest.raises(UserError, match="no column 'body' for 'text'"):
        sf.run_build(sf.Build(human=path, fields="text=body", output=str(output)))
    assert not output.exists()


def test_a_shortage_in_a_worker_is_an_error_of_ours_and_beam_says_nothing(
    workshop: Any, caplog: pytest.LogCaptureFixture
) -> None:
    workshop.write("human/a", ["", " "])
    build = sf.Build(human=str(workshop.path / "human"), output=f"{workshop.path}/out")
    level = logging.getLogger("apache_beam").level
    with pytest.raises(ShortageError, match="the set would be empty"):
        sf.run_build(build)
    assert not [r for r in caplog.records if r.name.startswith("apache_beam")]
    assert logging.getLogger("apache_beam").level == level


def test_single_values_stand_for_lists_in_all_public_classes(tmp_path: Path) -> None:
    assert sf.Score(fields="text=body").fields == ["text=body"]
    assert sf.Deduplicate(keep="longest").keep == ["longest"]
    assert sf.Mix(fields="text=body").fields == ["text=body"]
    assert sf.WriteShards(str(tmp_path), fields="text=body").fields == ["text=body"]
    assert sf.Evaluate(data="a.parquet").data == ["a.parquet"]
    assert sf.Sweep(threshold=0.5).threshold == ["0.5"]
    assert sf.Sweep(threshold="0.5:0.9:3").threshold == ["0.5:0.9:3"]
