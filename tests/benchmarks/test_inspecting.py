"""The benchmark's builds are builds, and share what it says that they share."""

from pathlib import Path

import pytest

from synthfilter.diff import compare_builds
from synthfilter.outputs.manifest import read_manifest
from synthfilter.verify import check_build

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_its_builds_are_whole_and_differ_by_a_third(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import inspecting

    monkeypatch.setattr(inspecting, "SHARD_DOCUMENTS", 1500)
    folders = [str(tmp_path / name) for name in ("first", "second")]
    for offset, folder in enumerate(folders):
        inspecting.make_build(folder, inspecting.BUILDS[offset], offset, 4000)
        checks = check_build(folder, read_manifest(folder), full=True)
        assert not [check for check in checks if check.wrong]
    texts = compare_builds(*folders)["texts"]
    assert abs(texts["both"] - 2000) < 200
    assert abs(texts["only_first"]["mixture"] - 1000) < 150
