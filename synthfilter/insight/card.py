"""The dataset card, README.md: what a set is, for people and for the Hugging Face Hub.

Its front matter is YAML as the Hub reads it; everything in it that comes from data is
quoted by YAML, and everything in the text by `markdown`.
"""

from typing import Any

import yaml

from synthfilter.core.licenses import OTHER, UNKNOWN
from synthfilter.core.schema import REASON_NAMES, REASON_TEXTS, Reason
from synthfilter.insight.about import (
    About,
    Facts,
    amounts,
    cite,
    describe,
    earlier_builds,
    has_human,
    has_synthetic,
    language_tags,
    shown,
    source_type,
    tell_annotation,
    tell_biases,
    tell_limits,
    tell_shares,
    tell_steps,
)
from synthfilter.insight.columns import Part, column_text, hub_feature, written_parts
from synthfilter.insight.markdown import bullets, code, paragraph, plain, table

# What the Hub calls the sizes of sets.
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
    (1_000_000_000, "100M<n<1B"),
    (10_000_000_000, "1B<n<10B"),
)
_LARGEST = "10B<n<100B"
_MOST_ROWS = 50


def dataset_card(manifest: Facts, report: Facts, about: About) -> str:
    """Returns the card of a set.

    Args:
      manifest: Of the build.
      report: Of the build.
      about: What only its maker knows.
    """
    front = yaml.safe_dump(
        front_matter(manifest, report, about), sort_keys=False, allow_unicode=True
    )
    sections = (
        _introduction(manifest, about),
        _disclosure(manifest, report),
        _making(manifest),
        _books(manifest),
        _sources(report, about),
        _lineage(manifest, report),
        _limits(manifest, report, about),
        _files(manifest),
        _loading(),
        _citation(manifest, about),
    )
    return f"---\n{front}---\n\n" + "\n\n".join(filter(None, sections)) + "\n"


def front_matter(manifest: Facts, report: Facts, about: About) -> dict[str, Any]:
    """Returns the metadata that the Hub reads."""
    found: dict[str, Any] = {
        "pretty_name": about.name,
        "language": language_tags(report),
        "license": about.license.hub,
    }
    if about.license.hub == OTHER and about.license.name not in (OTHER, UNKNOWN):
        found["license_name"] = about.license.name
        if about.license.url is not None:
            found["license_link"] = about.license.url
    creators = ["found"] * has_human(manifest)
    creators += ["machine-generated"] * has_synthetic(manifest)
    parts = written_parts(manifest)
    found |= {
        "language_creators": creators,
        "annotations_creators": ["machine-generated"],
        "source_datasets": ["original"],
        "size_categories": [size_category(amounts(manifest)["docs"])],
        "task_categories": ["text-generation"],
        "tags": [*["synthetic"] * has_synthetic(manifest), "synthfilter", "croissant"],
        "configs": [_config(part) for part in parts],
        "dataset_info": [_info(part, manifest) for part in parts],
    }
    return {name: value for name, value in found.items() if value != []}


def size_category(rows: int) -> str:
    """Returns what the Hub calls a set of so many documents."""
    return next((name for limit, name in _SIZES if rows < limit), _LARGEST)


def _config(part: Part) -> dict[str, Any]:
    first = {"default": True} if part.name == "default" else {}
    files = [{"split": part.split, "path": part.files}]
    return {"config_name": part.name, **first, "data_files": files}


def _info(part: Part, manifest: Facts) -> dict[str, Any]:
    """Returns columns and sizes of one part, as `datasets` keeps them."""
    files = manifest[part.key]
    size = sum(file["arrow_bytes"] for file in files)
    split = {
        "name": part.split,
        "num_bytes": size,
        "num_examples": sum(file["rows"] for file in files),
    }
    return {
        "config_name": part.name,
        "features": [hub_feature(field) for field in part.columns],
        "splits": [split],
        "download_size": sum(file["bytes"] for file in files),
        "dataset_size": size,
    }


def _section(title: str, *parts: str) -> str:
    return "\n\n".join([f"## {title}", *filter(None, parts)])


def _introduction(manifest: Facts, about: About) -> str:
    said = paragraph(about.description) or plain(describe(manifest))
    return f"# {plain(about.name)}\n\n{said}"


def _disclosure(manifest: Facts, report: Facts) -> str:
    """Returns how much of the set machines wrote, how that is known, and which ones."""
    kind = source_type(manifest)
    word = f"schema.org digitalSourceType: {kind}" if kind else ""
    rows = [
        [shown(row["generator"]), f"{row['docs']:,}", f"{row['words']:,}"]
        for row in (report.get("generators") or ())[:_MOST_ROWS]
    ]
    named = ""
    if rows:
        head = ["generator of synthetic documents", "#documents", "#words"]
        named = table(head, rows)
    return _section(
        "Synthetic content",
        bullets([*tell_shares(manifest), *([word] if word else [])]),
        plain(tell_annotation(manifest), 1000),
        named,
    )


def _making(manifest: Facts) -> str:
    detector = manifest["detector"]
    return _section(
        "How it was made",
        plain(
            f"By synthfilter {manifest['synthfilter_version']}, "
            f"build {manifest['build_id']}, detector {shown(detector['name'])} "
            f"(sha256 {detector['sha256']})."
        ),
        "\n".join(f"1. {plain(step, 1000)}" for step in tell_steps(manifest, {})),
        "All options are in `manifest.json`, all figures in `report.json`, and "
        "`report.html` shows them.",
    )


def _books(manifest: Facts) -> str:
    books = manifest["books"]
    rows = [["read", f"{books['read']:,}", ""]]
    for reason in list(Reason)[1:]:
        name = REASON_NAMES[reason]
        count = books["left_out"].get(name, books["dead_letters"])
        if count:
            rows.append([name.replace("_", " "), f"{count:,}", REASON_TEXTS[reason]])
    rows.append(["kept", f"{books['kept']:,}", "in the set"])
    return _section(
        "What was read and left out", table(["", "#documents", "why"], rows)
    )


def _sources(report: Facts, about: About) -> str:
    """Returns the sources with their licences, and what was left out of each."""
    rows = report.get("sources") or ()
    if not rows:
        return ""
    cells = []
    for row in rows[:_MOST_ROWS]:
        known = about.source_licenses.get(row["source"] or "")
        copies = row["exact_copy"] + row["near_copy"]
        counts = (row["read"], row["kept"], row["kept_synthetic"], copies)
        cells.append(
            [
                shown(row["source"]),
                "not stated" if known is None else known.name,
                *(f"{count:,}" for count in counts),
            ]
        )
    more = len(rows) - len(cells)
    head = ["source", "licence", "#read", "#kept", "#kept synthetic", "#copies"]
    return _section(
        "Sources",
        table(head, cells),
        f"{more:,} more are in `report.json`." if more else "",
    )


def _lineage(manifest: Facts, report: Facts) -> str:
    """Returns what the set was made from."""
    files = manifest["inputs"]
    cells = [
        [
            shown(file["path"]),
            file["declared"],
            f"{file['rows']:,}",
            shown(file["fingerprint"]),
        ]
        for file in files[:_MOST_ROWS]
    ]
    more = len(files) - len(cells)
    builds = [
        f"build {shown(build)}: {said}"
        for build, said in earlier_builds(report).items()
    ]
    return _section(
        "Lineage",
        table(["input", "declared", "#rows", "fingerprint"], cells),
        f"{more:,} more are in `manifest.json`." if more else "",
        "Earlier builds:\n\n" + bullets(builds) if builds else "",
    )


def _limits(manifest: Facts, report: Facts, about: About) -> str:
    return _section(
        "Limitations and biases",
        bullets(
            [*tell_limits(manifest, report, about), *tell_biases(manifest, report)]
        ),
    )


def _files(manifest: Facts) -> str:
    rows = [
        [
            part.files,
            f"{sum(file['rows'] for file in manifest[part.key]):,}",
            part.text,
        ]
        for part in written_parts(manifest)
    ]
    first = written_parts(manifest)[0]
    columns = [[name, column_text(name, first)] for name in first.columns.names]
    return _section(
        "Files",
        table(["files", "#rows", "rows are"], rows),
        table(["column", f"in {first.files}"], columns),
    )


def _loading() -> str:
    return _section(
        "Loading",
        code(
            "import datasets, duckdb, polars\n\n"
            'datasets.load_dataset("PATH")  # the set alone; "rejected" is another\n'
            "duckdb.sql(\"FROM 'PATH/data/*.parquet'\")\n"
            'polars.scan_parquet("PATH/data/*.parquet")',
            "python",
        ),
    )


def _citation(manifest: Facts, about: About) -> str:
    return _section("Citation", code(cite(manifest, about)))
