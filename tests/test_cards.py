"""Cards and Croissant files of real builds, read by the libraries they are for."""

import os
import re
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import orjson
import polars
import pyarrow.parquet as pq
import pytest
import yaml

from synthfilter.core import schema
from synthfilter.outputs.manifest import read_manifest

WORDS = "river stone harvest letter engine winter garden copper window silver".split()
HOSTILE = "---\n| `x` | <script>alert(1)</script> [y](javascript:z) \u202e ${HOME}"


def prose(number: int, words: int = 60) -> str:
    """Returns a text of its own for each number."""
    random = np.random.default_rng(number)
    return " ".join(f"{WORDS[i % 10]}{i}" for i in random.integers(0, 900, words))


@pytest.fixture(scope="module")
def built(shared_workshop: Any) -> Any:
    """A build of several shards with rejected documents and hostile names."""
    texts = [prose(number) for number in range(120)]
    shared_workshop.write(
        "human/a",
        [*texts[:80], *texts[:20]],
        source=["wiki"] * 50 + [HOSTILE] * 50,
        language=["en"] * 60 + ["EN_us"] * 20 + ["no language"] * 20,
    )
    shared_workshop.write(
        "synthetic/b",
        texts[80:],
        generator=[HOSTILE] * 20 + ["model one"] * 20,
        parent_ids=[["p", "q"]] * 20 + [None] * 20,
    )
    (shared_workshop.path / "crawl.jsonl").write_text("{broken\n")
    shared_workshop.build(
        unknown=str(shared_workshop.path / "crawl.jsonl"),
        synthetic_fraction=0.3,
        max_shard_bytes=20_000,
        name=f"A set {HOSTILE}",
        license="cc-by-4.0",
        source_licenses=["wiki=CC-BY-SA-4.0"],
        creator="Its maker",
        url="https://example.org/set",
        data_version="2.1.0",
    )
    return shared_workshop


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The library `datasets`, with its caches in a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf")))
        import datasets

        yield datasets


def front_matter(folder: Path) -> tuple[dict[str, Any], str]:
    """Returns the metadata of a card and its text."""
    _, front, text = re.split(
        "^---\n", (folder / "README.md").read_text(), maxsplit=2, flags=re.M
    )
    return yaml.safe_load(front), text


def rows_of(built: Any, kind: str) -> list[dict[str, Any]]:
    return built.rows(kind)


def test_datasets_loads_the_set_alone_and_the_rest_by_name(
    built: Any, offline: Any
) -> None:
    folder = str(built.path / "out")
    found = offline.load_dataset(folder)
    assert list(found) == ["train"]
    kept = rows_of(built, "data")
    assert len(read_manifest(folder)["shards"]) > 1
    assert sorted(found["train"]["id"]) == sorted(row["id"] for row in kept)
    assert found["train"].column_names == schema.SHARD.names
    left = offline.load_dataset(folder, "rejected")["rejected"]
    assert sorted(left["id"]) == sorted(row["id"] for row in rows_of(built, "rejected"))
    dead = offline.load_dataset(folder, "dead_letter")["dead_letter"]
    assert dead["position"] == ["line 1"]


def test_the_features_of_the_card_are_those_of_the_files(
    built: Any, offline: Any
) -> None:
    front, _ = front_matter(built.path / "out")
    infos = {info["config_name"]: info for info in front["dataset_info"]}
    assert set(infos) == {"default", "rejected", "dead_letter"}
    for name, info in infos.items():
        said = offline.Features._from_yaml_list(info["features"])
        (split,) = info["splits"]
        folder = {"default": "data"}.get(name, name)
        (first, *_) = sorted((built.path / "out" / folder).glob("*.parquet"))
        assert said.arrow_schema.names == pq.read_schema(first).names
        assert split["num_examples"] == len(rows_of(built, folder))
        assert split["num_bytes"] == info["dataset_size"] > 0


def test_the_hub_s_own_library_reads_the_front_matter(built: Any) -> None:
    from huggingface_hub import DatasetCard

    card = DatasetCard.load(built.path / "out/README.md")
    assert card.data.pretty_name == f"A set {HOSTILE}"
    assert card.data.license == "cc-by-4.0"
    assert card.data.language == ["en", "en-US"]
    assert card.data.language_creators == ["found", "machine-generated"]
    assert card.data.size_categories == ["n<1K"]
    assert "synthetic" in card.data.tags
    assert card.data.configs[0]["default"] is True


def test_the_card_discloses_what_is_synthetic_and_who_made_it(built: Any) -> None:
    manifest = read_manifest(str(built.path / "out"))
    _, text = front_matter(built.path / "out")
    shares = manifest["shares"]
    assert f"Estimated, with what the detector missed: {shares['estimated']:.2%}" in (
        text.replace("\\", "")
    )
    assert "| model one | " in text
    assert "CompositeWithTrainedAlgorithmicMediaDigitalSource" in text
    assert f"| kept | {manifest['books']['kept']:,} |" in text
    assert "| wiki | CC-BY-SA-4.0 |" in text
    assert manifest["detector"]["sha256"] in text


def test_a_source_that_is_nearly_gone_is_told_whatever_took_it(workshop: Any) -> None:
    workshop.write("human/a", ["", *[""] * 29, prose(1)], source=["gone"] * 31)
    workshop.write("human/b", [prose(2)] * 30, source=["copied"] * 30)
    workshop.build()
    _, text = front_matter(workshop.path / "out")
    assert "source gone, 1 are left; most went for other reasons than copies" in text
    assert "source copied, 1 are left; most went as copies of other" in text


def test_hostile_names_are_no_markup(built: Any) -> None:
    front, text = front_matter(built.path / "out")
    assert front["pretty_name"] == f"A set {HOSTILE}"
    text = re.sub("```.*?```", "", text, flags=re.S)  # code is shown as it is
    assert "<script" not in text
    assert "\u202e" not in text
    assert not re.search(r"(?<!\\)\]\(javascript", text)
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("# ")] == [lines[1]]
    head = next(i for i, line in enumerate(lines) if line.startswith("| source |"))
    cells = {len(re.findall(r"(?<!\\)\|", line)) for line in lines[head : head + 4]}
    assert cells == {7}


# rdflib, which mlcroissant reads with, warns of its own classes.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_mlcroissant_validates_and_reads_every_record(
    built: Any, caplog: pytest.LogCaptureFixture
) -> None:
    import mlcroissant

    folder = built.path / "out"
    found = mlcroissant.Dataset(folder / "croissant.json")
    assert not found.metadata.ctx.issues.errors
    assert not found.metadata.ctx.issues.warnings
    for name, kind in (
        ("default", "data"),
        ("rejected", "rejected"),
        ("dead_letter", "dead_letter"),
    ):
        read = list(found.records(name))
        written = rows_of(built, kind)
        key = "position" if kind == "dead_letter" else "content_hash"
        assert sorted(row[f"{name}/{key}"].decode() for row in read) == sorted(
            row[key] for row in written
        )
    columns = {name.partition("/")[2] for name in read[0]}
    assert columns == set(schema.DEAD_LETTER.names)


def test_croissant_has_hashes_provenance_and_answers(built: Any) -> None:
    folder = built.path / "out"
    said = orjson.loads((folder / "croissant.json").read_bytes())
    manifest = read_manifest(str(folder))
    hashes = {
        file["@id"]: file["sha256"] for file in said["distribution"] if "sha256" in file
    }
    assert hashes == {
        file["path"]: file["sha256"]
        for kind in ("shards", "rejected", "dead_letters")
        for file in manifest[kind]
    }
    assert said["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    assert said["license"] == "https://spdx.org/licenses/CC-BY-4.0.html"
    assert len(said["prov:wasDerivedFrom"]) == len(manifest["inputs"])
    made = said["prov:wasGeneratedBy"]
    assert made["prov:startedAtTime"] < made["prov:endedAtTime"]
    for name in ("dataCollection", "dataBiases", "dataLimitations", "dataUseCases"):
        assert said[f"rai:{name}"], name
    assert "rai:dataManipulationProtocol" in said  # as the vocabulary spells it
    sources = {source["name"]: source for source in said["isBasedOn"]}
    assert sources["wiki"]["license"].endswith("CC-BY-SA-4.0.html")


def test_duckdb_and_polars_read_the_set(built: Any) -> None:
    files = f"{built.path}/out/data/*.parquet"
    rows = len(rows_of(built, "data"))
    assert duckdb.sql(f"SELECT count(*) FROM '{files}'").fetchall() == [(rows,)]
    found = polars.scan_parquet(files).group_by("origin").len().collect()
    assert found["len"].sum() == rows


def test_what_the_card_says_makes_no_other_set(built: Any) -> None:
    first = built.build("plain")
    second = built.build("told", name="x", license="mit", description="Two\n\nparts.")
    assert first["build_id"] == second["build_id"]
    front, text = front_matter(built.path / "plain")
    assert (front["pretty_name"], front["license"]) == ("plain", "unknown")
    _, text = front_matter(built.path / "told")
    assert "Two\n\nparts" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"license": "my own"}, "license expects an SPDX or Hugging Face licence id"),
        ({"source_licenses": ["wiki=?"]}, "source_licenses expects an SPDX or"),
        ({"data_version": "1"}, "data_version must be like 1.0.0, got '1'"),
        ({"url": "example.org"}, "url must begin with https://, got 'example.org'"),
    ],
)
def test_bad_options_are_one_line(
    options: dict[str, Any],
    message: str,
    built: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    built.build("bad", code=2, **options)
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not os.path.exists(built.path / "bad")
