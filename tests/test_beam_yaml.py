"""The transforms in Beam YAML: pipelines without a line of Python."""

import gzip
import importlib.resources
import json
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from apache_beam.yaml import main
from apache_beam.yaml.yaml_provider import InlineProvider, load_providers

import synthfilter as sf
from synthfilter.outputs.manifest import read_manifest

REPOSITORY = Path(__file__).resolve().parents[1]
PROVIDERS = importlib.resources.files("synthfilter") / "beam_providers.yaml"
QUAY = "Rain again, all day, and the river is up to the second step of the quay."
WALL = "The tide came in at noon, and we walked back along the wall, wet and laughing."


def run(path: Path, **variables: str) -> None:
    main.run(
        [
            f"--yaml_pipeline_file={path}",
            f"--jinja_variables={json.dumps(variables)}",
            "--runner=FnApiRunner",
        ]
    )


def run_text(folder: Path, transforms: str) -> None:
    """Runs these transforms; the first stands in line 3."""
    path = folder / "pipeline.yaml"
    said = f"providers: [{{include: {PROVIDERS}}}]"
    path.write_text(f"pipeline:\n  transforms:\n{transforms}\n{said}\n")
    run(path)


def rows(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def public_transforms() -> dict[str, Any]:
    public = {name: getattr(sf, name) for name in sf.__all__}
    return {
        name: value
        for name, value in public.items()
        if isinstance(value, type) and issubclass(value, beam.PTransform)
    }


def test_every_public_transform_is_provided() -> None:
    (provider,) = load_providers(str(PROVIDERS))
    assert sorted(provider.provided_transforms()) == sorted(public_transforms())
    for name, transform in public_transforms().items():
        assert provider._transform_factories[name] is transform


@pytest.mark.parametrize("name", public_transforms())
def test_every_option_has_a_type_and_a_description(name: str) -> None:
    provider = InlineProvider(public_transforms())
    assert provider.description(name)
    for field in provider.config_schema(name).fields:
        assert field.description, field.name
        assert field.type.WhichOneof("type_info") in (
            "atomic_type",
            "array_type",
            "map_type",
        )


def test_documents_are_scored_and_both_outputs_of_deduplicate_are_written(
    tmp_path: Path,
) -> None:
    table = pa.table(
        {
            "id": ["a", "b", "c", "d"],
            "text": [QUAY, WALL, f" {QUAY}", None],
            "stars": [1, None, 3, 4],
            "tags": [["x"], [], ["y", "z"], []],
        }
    )
    pq.write_table(table, tmp_path / "in.parquet")
    run(
        REPOSITORY / "pipelines/score_and_deduplicate.yaml",
        input=str(tmp_path / "*.parquet"),
        output=str(tmp_path / "out"),
    )
    kept, dropped = rows(tmp_path / "out/data"), rows(tmp_path / "out-dropped")
    assert {row["id"] for row in kept} == {"b", "c"}
    assert all(0 <= row["ai_score"] <= 1 for row in kept)
    assert {row["metadata"] for row in kept} == {
        '{"stars":null,"tags":[]}',
        '{"stars":3,"tags":["y","z"]}',
    }
    found = {row["id"]: row for row in dropped}
    assert found["a"]["reason"] == "exact_copy"
    assert found["a"]["evidence"] == found["a"]["content_hash"]
    assert (found["a"]["stars"], found["a"]["tags"]) == (1, ["x"])
    assert found["d"]["reason"] == "dead_letter"
    assert len(kept) + len(dropped) == table.num_rows


def test_a_build_in_yaml_is_that_of_the_same_options_in_python(tmp_path: Path) -> None:
    inputs = tmp_path / "in"
    for name in ("human", "synthetic", "crawl/1"):
        (inputs / name).mkdir(parents=True)
    human = [f"{QUAY} Page {page}." for page in range(40)]
    pq.write_table(pa.table({"text": human}), inputs / "human/h.parquet")
    lines = [json.dumps({"text": f"{WALL} Page {page}."}) for page in range(40)]
    with gzip.open(inputs / "synthetic/s.jsonl.gz", "wt") as file:
        file.write("\n".join(lines[:30]))
    (inputs / "crawl/1/c.jsonl").write_text("\n".join(lines[30:]))
    run(
        REPOSITORY / "pipelines/build.yaml",
        input=str(inputs),
        output=str(tmp_path / "yaml"),
    )
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        _ = pipeline | sf.Build(
            human=[str(inputs / "human/*.parquet")],
            synthetic=[str(inputs / "synthetic/*.jsonl.gz")],
            unknown=[str(inputs / "crawl/**/*.jsonl")],
            synthetic_fraction=0.3,
            output=str(tmp_path / "python"),
        )
    ours, theirs = (read_manifest(str(tmp_path / name)) for name in ("yaml", "python"))
    assert ours["books"]["read"] == 80
    assert ours["build_id"] == theirs["build_id"]
    assert ours["content_digest"] == theirs["content_digest"]
    assert ours["shards"] == theirs["shards"]


def test_rows_in_rows_are_objects_in_metadata(tmp_path: Path) -> None:
    run_text(
        tmp_path,
        f"""
    - type: Create
      config:
        elements:
          - {{body: "{QUAY}", n: 1, of: {{lang: en, deep: [{{x: 1}}, {{x: 2}}]}}}}
          - {{body: "{WALL}", n: 2, of: {{lang: de, deep: []}}}}
    - type: Score
      input: Create
      config: {{fields: text=body}}
    - type: WriteShards
      input: Score
      config: {{fields: [text=body], output: {tmp_path}/out}}""",
    )
    written = {row["text"]: row["metadata"] for row in rows(tmp_path / "out/data")}
    assert {text: json.loads(said) for text, said in written.items()} == {
        QUAY: {"n": 1, "of": {"lang": "en", "deep": [{"x": 1}, {"x": 2}]}},
        WALL: {"n": 2, "of": {"lang": "de", "deep": []}},
    }


def test_mix_has_both_outputs_and_the_providers_are_found_by_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elements = [
        {"id": f"{origin[0]}{page}", "text": f"{QUAY} {page}", "origin": origin}
        for origin in ("human", "synthetic")
        for page in range(6)
    ]
    monkeypatch.chdir(REPOSITORY)
    path = tmp_path / "pipeline.yaml"
    path.write_text(
        f"""pipeline:
  type: composite
  transforms:
    - type: Create
      config: {{elements: {json.dumps(elements)}}}
    - type: Mix
      name: Half
      input: Create
      config: {{mixture: {{human: 0.75, synthetic: 0.25}}, unit: docs}}
    - type: WriteToParquet
      name: Kept
      input: Half.kept
      config: {{path: {tmp_path}/kept/part, file_name_suffix: .parquet}}
    - type: WriteToParquet
      name: Dropped
      input: Half.dropped
      config: {{path: {tmp_path}/dropped/part, file_name_suffix: .parquet}}
providers:
{{% include 'synthfilter/beam_providers.yaml' %}}
"""
    )
    run(path)
    kept, dropped = rows(tmp_path / "kept"), rows(tmp_path / "dropped")
    assert sorted(row["id"][0] for row in kept) == ["h"] * 6 + ["s"] * 2
    assert [row["reason"] for row in dropped] == ["mixture"] * 4


def test_an_empty_collection_stays_empty(tmp_path: Path) -> None:
    run_text(
        tmp_path,
        f"""
    - type: Create
      config: {{elements: []}}
    - type: Score
      input: Create
    - type: Deduplicate
      input: Score
    - type: WriteShards
      input: Deduplicate.kept
      config: {{output: {tmp_path}/out}}""",
    )
    assert read_manifest(str(tmp_path / "out"))["books"]["read"] == 0


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            "type: Score\n      config: {threshhold: 0.5}",
            r'"Score" at line 6: .*unexpected argument \'threshhold\'',
        ),
        (
            "type: Score\n      config: {threshold: 1.5}",
            r'"Score" at line 6: threshold must be between 0 and 1, got 1.5',
        ),
        (
            "type: Score\n      config: {threshold: high}",
            r'"Score" at line 6: threshold expects float, got \'high\'',
        ),
        (
            "type: Mix\n      config: {mixture: [human]}",
            r'"Mix" at line 6: mixture expects `name: float` lines, got \[\'human\'\]',
        ),
        (
            "type: Deduplicate\n      config: {keep: [7]}",
            r'"Deduplicate" at line 6: keep expects a list of str, got 7',
        ),
        (
            "type: WriteShards\n      config: {output: }",
            r'"WriteShards" at line 6: output has no value',
        ),
        (
            "type: WriteShards",
            r'"WriteShards" at line 6: .*missing 1 required argument: \'output\'',
        ),
        (
            "type: Build\n      config: {human: a, seed: 1.5, output: b}",
            r'"Build" at line 6: seed expects int, got 1.5',
        ),
        ("type: Scores", "Unknown type or missing provider .*Scores.*line 6"),
        (
            "type: LogForTesting\n      input: Twice\n"
            "    - type: Deduplicate\n      name: Twice",
            r"Ambiguous output at line 7: Twice has outputs \['kept', 'dropped'\]",
        ),
        (
            "type: Deduplicate\n      config: {fields: text=body}",
            r'"Deduplicate" at line 6: rows: no column .body. for .text.; found text',
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(
    tmp_path: Path, step: str, message: str
) -> None:
    document = yaml.safe_dump({"text": QUAY}, default_flow_style=True).strip()
    create = f"    - {{type: Create, config: {{elements: [{document}]}}}}\n"
    with pytest.raises(ValueError, match=message) as raised:
        run_text(tmp_path, f"{create}\n\n    - {step}\n      input: Create")
    assert "\n" not in str(raised.value)
