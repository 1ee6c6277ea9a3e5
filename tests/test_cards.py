"""Cards and Croissant files of real builds, read by the libraries they are for."""

import dataclasses
import datetime
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
from hypothesis import example, given
from hypothesis import strategies as st

from synthfilter.build_options import CardOptions
from synthfilter.core import schema
from synthfilter.core.licenses import parse_license
from synthfilter.core.text import printable
from synthfilter.insight.about import About
from synthfilter.insight.card import dataset_card, front_matter, size_category
from synthfilter.insight.croissant import croissant
from synthfilter.outputs.manifest import read_manifest
from synthfilter.reporting import tell_maker

WORDS = "river stone harvest letter engine winter garden copper window silver".split()
HOSTILE = "---\n| `x` | <script>alert(1)</script> [y](javascript:z) \u202e ${HOME}"
SHOWN = re.sub("[\n\u202e]", "\ufffd", HOSTILE)


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


RUN = {"started": "2026-05-04T03:02:01+00:00", "seconds": 1.5}
ABOUT = About(
    name="A set",
    description="",
    license=parse_license("unknown", "license"),
    source_licenses={},
    creator=None,
    url=None,
    version="1.0.0",
    citation="",
    published=datetime.datetime(2026, 5, 4),
)


def card_of(folder: Path) -> tuple[dict[str, Any], str]:
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
    front, _ = card_of(built.path / "out")
    infos = {info["config_name"]: info for info in front["dataset_info"]}
    assert set(infos) == {"default", "rejected", "dead_letter"}
    for name, info in infos.items():
        said = offline.Features._from_yaml_list(info["features"])
        (split,) = info["splits"]
        folder = {"default": "data"}.get(name, name)
        (first, *_) = sorted((built.path / "out" / folder).glob("*.parquet"))
        assert said.arrow_schema.names == pq.read_schema(first).names
        assert split["num_examples"] == len(rows_of(built, folder))
        loaded = offline.load_dataset(str(built.path / "out"), name)[split["name"]]
        assert loaded.features == said
        size = loaded.info.splits[split["name"]].num_bytes
        assert (
            split["num_bytes"] == info["dataset_size"] == pytest.approx(size, 0.02, 20)
        )


def test_the_hub_s_own_library_reads_the_front_matter(built: Any) -> None:
    from huggingface_hub import DatasetCard

    card = DatasetCard.load(built.path / "out/README.md")
    assert card.data.pretty_name == f"A set {SHOWN}"
    assert card.data.license == "cc-by-4.0"
    assert card.data.language == ["en"]
    assert card.data.language_bcp47 == ["en", "en-US"]
    assert card.data.language_creators == ["found", "machine-generated"]
    assert card.data.size_categories == ["n<1K"]
    assert "synthetic" in card.data.tags
    assert card.data.configs[0]["default"] is True


def test_the_card_discloses_what_is_synthetic_and_who_made_it(built: Any) -> None:
    manifest = read_manifest(str(built.path / "out"))
    _, text = card_of(built.path / "out")
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
    _, text = card_of(workshop.path / "out")
    assert "source gone, 1 are left; most went for other reasons than copies" in text
    assert "source copied, 1 are left; most went as copies of other" in text


def test_hostile_names_are_no_markup(built: Any) -> None:
    front, text = card_of(built.path / "out")
    assert front["pretty_name"] == f"A set {SHOWN}"
    text = re.sub("```.*?```", "", text, flags=re.S)  # code is shown as it is
    assert "<script" not in text
    assert "\u202e" not in text
    assert not re.search(r"(?<!\\)\]\(javascript", text)
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("# ")] == [lines[1]]
    head = next(i for i, line in enumerate(lines) if line.startswith("| source |"))
    cells = {len(re.findall(r"(?<!\\)\|", line)) for line in lines[head : head + 4]}
    assert cells == {7}


def plain(value: Any) -> Any:
    """Returns a value of a record as Parquet has it."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if value != value else value


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
        read = [
            {column.partition("/")[2]: plain(value) for column, value in row.items()}
            for row in found.records(name)
        ]
        assert read == rows_of(built, kind)
    assert list(read[0]) == schema.DEAD_LETTER.names


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
    assert said["conformsTo"][0] == "http://mlcommons.org/croissant/1.1"
    assert said["identifier"] == f"urn:synthfilter:build:{manifest['build_id']}"
    assert said["rai:hasSyntheticData"] is True
    assert said["license"] == "https://spdx.org/licenses/CC-BY-4.0.html"
    assert len(said["prov:wasDerivedFrom"]) == len(manifest["inputs"])
    made = said["prov:wasGeneratedBy"]
    assert made["prov:startedAtTime"] <= made["prov:endedAtTime"]  # in whole seconds
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


@given(st.text())
@example("a\n---\nb")
@example("--- # !!python/object:x {y: [")
@example("'\"\\u2028\u0085\ufeff")
def test_no_name_breaks_the_front_matter(built: Any, name: str) -> None:
    from huggingface_hub import DatasetCard

    manifest = read_manifest(str(built.path / "out"))
    about = dataclasses.replace(ABOUT, name=name, creator=name, citation=name)
    card = DatasetCard(dataset_card(manifest, {}, about))
    assert card.data.pretty_name == printable(name, 200)
    assert card.data.size_categories == ["n<1K"]
    assert [line for line in card.text.splitlines() if line.startswith("# ")]


def test_without_a_report_the_card_says_what_the_manifest_knows(built: Any) -> None:
    manifest = read_manifest(str(built.path / "out"))
    front = front_matter(manifest, {}, ABOUT)
    assert "language" not in front
    text = dataset_card(manifest, {}, ABOUT)
    assert "## Sources" not in text
    assert "| licence | not stated |" in text
    assert f"| synthetic_fraction | {manifest['options']['synthetic_fraction']} |" in (
        text
    )
    assert "@misc{synthfilter-" in text


def test_an_option_of_zero_is_told_and_one_that_asks_nothing_is_not(
    built: Any,
) -> None:
    manifest = read_manifest(str(built.path / "out"))
    manifest["options"] |= {"max_generation": 0, "max_uses": None, "replace": False}
    text = dataset_card(manifest, {}, ABOUT)
    assert "| max_generation | 0 |" in text
    assert "| max_uses |" not in text
    assert "| replace |" not in text


def test_a_citation_names_the_maker_the_year_and_the_page(built: Any) -> None:
    manifest = read_manifest(str(built.path / "out"))
    about = dataclasses.replace(ABOUT, creator="An {archive", url="https://a.org")
    said = croissant(manifest, {"run": RUN}, about)["citeAs"]
    assert said.splitlines()[1:-2] == [
        "  title = {A set},",
        "  author = {{An  archive}},",
        "  year = {2026},",
        "  version = {1.0.0},",
        "  url = {https://a.org},",
    ]
    assert said.count("{") == said.count("}")


def test_licences_that_the_hub_does_not_have_are_named_and_linked(built: Any) -> None:
    manifest = read_manifest(str(built.path / "out"))
    for said, name in (("0BSD", "0bsd"), ("https://a.org/terms", "custom")):
        found = parse_license(said, "license")
        front = front_matter(manifest, {}, dataclasses.replace(ABOUT, license=found))
        assert front["license"] == "other"
        assert (front["license_name"], front["license_link"]) == (name, found.url)


def test_thousands_of_inputs_are_told_by_their_number(built: Any) -> None:
    manifest = read_manifest(str(built.path / "out"))
    (first, *_) = manifest["inputs"]
    manifest["inputs"] = [first] * 2500
    derived = croissant(manifest, {"run": RUN}, ABOUT)["prov:wasDerivedFrom"]
    assert len(derived) == 1001
    assert derived[-1]["prov:label"] == "1,500 more files, see manifest.json"
    assert "2,450 more are in `manifest.json`." in dataset_card(manifest, {}, ABOUT)


def test_earlier_builds_are_part_of_the_lineage(built: Any) -> None:
    manifest = read_manifest(str(built.path / "out"))
    hits = [{"build_id": "feed", "docs": 2}, {"build_id": "a|b>", "docs": 1}]
    novelty = {"novelty": {"against": "feed"}}
    report = {"run": RUN, "ledger_hits": hits, "diversity": novelty}
    said = {
        entity["@id"]: entity["prov:label"]
        for entity in croissant(manifest, report, ABOUT)["prov:wasDerivedFrom"]
        if "@id" in entity
    }
    assert said == {
        "urn:synthfilter:build:feed": "build feed: 2 documents left out as used "
        "there; novelty was measured against it",
        "urn:synthfilter:build:a%7Cb%3E": "build a|b>: 1 document left out as used "
        "there",
    }
    assert "- build feed: 2 documents left out" in dataset_card(manifest, report, ABOUT)


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("a/set/", "set"),
        ("a/set/.", "set"),
        ("a/set/b/..", "set"),
        ("s3://papers/set/", "set"),
        ("s3://papers", "papers"),
    ],
)
def test_a_set_without_a_name_has_that_of_its_folder(folder: str, name: str) -> None:
    assert tell_maker(CardOptions(), folder, ABOUT.published).name == name


@pytest.mark.parametrize(
    ("rows", "name"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10**12, "n>1T")],
)
def test_sizes_are_those_of_the_hub(rows: int, name: str) -> None:
    assert size_category(rows) == name


def test_what_the_card_says_makes_no_other_set(built: Any) -> None:
    first = built.build("plain")
    second = built.build("told", name="x", license="mit", description="Two\n\nparts.")
    assert first["build_id"] == second["build_id"]
    front, text = card_of(built.path / "plain")
    assert (front["pretty_name"], front["license"]) == ("plain", "unknown")
    _, text = card_of(built.path / "told")
    assert "Two\n\nparts" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"license": "my own"}, "license expects an SPDX or Hugging Face licence id"),
        ({"source_licenses": ["wiki=?"]}, "source_licenses expects an SPDX or"),
        ({"data_version": "1"}, "data_version must be like 1.0.0, got '1'"),
        ({"url": "example.org"}, "url must begin with https://, got 'example.org'"),
        ({"creator": "caf\udce9"}, "creator must be UTF-8 text, got 'caf\\udce9'"),
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
