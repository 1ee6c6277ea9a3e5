"""croissant.json: a set as Croissant 1.1 describes it, with its provenance.

http://mlcommons.org/croissant/1.1 and its RAI vocabulary; provenance in words of
PROV-O. Validated by mlcroissant in the tests.
"""

import datetime
from typing import Any

from synthfilter.core.licenses import License
from synthfilter.insight.about import (
    About,
    Facts,
    cite,
    describe,
    earlier_builds,
    generator_names,
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
from synthfilter.insight.columns import (
    Part,
    column_text,
    croissant_type,
    written_parts,
)

CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
_PARQUET = "application/x-parquet"
# Words of the specification, so that every reader sees the same names.
_OWN = (
    "arrayShape citeAs column containedIn equivalentProperty extract field fileObject "
    "fileProperty fileSet format includes isArray isLiveDataset jsonPath key md5 "
    "parentField path recordSet references regex repeated replace samplingRate "
    "separator source subField transform"
)
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{name: f"cr:{name}" for name in _OWN.split()},
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "prov": "http://www.w3.org/ns/prov#",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "sc": "https://schema.org/",
}
# What readers would otherwise have to guess a licence from.
_NO_LICENSE = "not stated"


def croissant(manifest: Facts, report: Facts, about: About) -> dict[str, Any]:
    """Returns the description of a set.

    Args:
      manifest: Of the build.
      report: Of the build.
      about: What only its maker knows.
    """
    parts = written_parts(manifest)
    found: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": about.name,
        "description": about.description or describe(manifest),
        "license": _license(about.license),
        "url": about.url,
        "creator": {"@type": "sc:Organization", "name": about.creator or "not stated"},
        "datePublished": about.published.date().isoformat(),
        "version": about.version,
        "inLanguage": language_tags(report),
        "citeAs": cite(manifest, about),
        "isLiveDataset": False,
        "keywords": ["text", *["synthetic"] * has_synthetic(manifest)],
        "digitalSourceType": source_type(manifest),
        "isBasedOn": _based_on(report, about),
        **_provenance(manifest, report),
        **_responsibility(manifest, report, about),
        "distribution": [found for part in parts for found in _files(part, manifest)],
        "recordSet": [_record_set(part) for part in parts],
    }
    return {name: value for name, value in found.items() if value not in (None, "", [])}


def _license(found: License) -> str:
    return found.url or (_NO_LICENSE if found.name == "unknown" else found.name)


def _based_on(report: Facts, about: About) -> list[dict[str, Any]]:
    """Returns the sources, and their licences where somebody has said them."""
    sources = []
    for row in report.get("sources") or ():
        if row["source"] is None or not row["kept"]:
            continue
        known = about.source_licenses.get(row["source"])
        found = {"@type": "sc:CreativeWork", "name": shown(row["source"])}
        sources.append(found if known is None else found | {"license": _license(known)})
    return sources


def _provenance(manifest: Facts, report: Facts) -> dict[str, Any]:
    """Returns what the set was made from, by what, and when."""
    run = report["run"]
    start = datetime.datetime.fromisoformat(run["started"])
    end = start + datetime.timedelta(seconds=run["seconds"])
    inputs = [
        {
            "@type": "prov:Entity",
            "prov:label": shown(file["path"]),
            "prov:value": f"{file['declared']}, fingerprint {file['fingerprint']}",
        }
        for file in manifest["inputs"]
    ]
    builds = [
        {"@type": "prov:Entity", "prov:label": f"build {shown(build)}: {said}"}
        for build, said in earlier_builds(report).items()
    ]
    return {
        "prov:wasDerivedFrom": [*inputs, *builds],
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "prov:label": f"build {manifest['build_id']}",
            "prov:startedAtTime": start.isoformat(),
            "prov:endedAtTime": end.isoformat(timespec="seconds"),
            "prov:wasAssociatedWith": {
                "@type": "prov:SoftwareAgent",
                "prov:label": f"synthfilter {manifest['synthfilter_version']}",
            },
        },
    }


def _responsibility(manifest: Facts, report: Facts, about: About) -> dict[str, Any]:
    """Returns what Croissant's RAI vocabulary asks."""
    steps = tell_steps(manifest, report)
    detector = manifest["detector"]
    named = generator_names(report)
    made = f" Generators named: {', '.join(named)}." if named else ""
    return {
        "rai:dataCollection": "Files of text that the maker of the set named: "
        f"{len(manifest['inputs']):,}, with {manifest['books']['read']:,} documents."
        f"{made}",
        "rai:dataPreprocessingProtocol": steps,
        "rai:dataManipulationProtocol": " ".join(steps),
        "rai:dataAnnotationProtocol": [tell_annotation(manifest)],
        "rai:machineAnnotationTools": [
            f"{shown(detector['name'])}, sha256 {detector['sha256']}"
        ],
        "rai:dataBiases": tell_biases(manifest, report),
        "rai:dataLimitations": [
            *tell_shares(manifest),
            *tell_limits(manifest, report, about),
        ],
        "rai:dataUseCases": ["Training of language models on text."],
        "rai:personalSensitiveInformation": ["Not looked at."],
    }


def _files(part: Part, manifest: Facts) -> list[dict[str, Any]]:
    """Returns the files of a part, and their set."""
    objects = [
        {
            "@type": "cr:FileObject",
            "@id": file["path"],
            "name": file["path"],
            "contentUrl": file["path"],
            "contentSize": f"{file['bytes']} B",
            "encodingFormat": _PARQUET,
            "sha256": file["sha256"],
        }
        for file in manifest[part.key]
    ]
    # Without `containedIn`: readers take it for an archive that holds the files.
    return [
        *objects,
        {
            "@type": "cr:FileSet",
            "@id": f"{part.name}-files",
            "name": f"{part.name}-files",
            "description": part.text,
            "encodingFormat": _PARQUET,
            "includes": part.files,
        },
    ]


def _record_set(part: Part) -> dict[str, Any]:
    """Returns the columns of a part."""
    fields = []
    for field in part.columns:
        found = {
            "@type": "cr:Field",
            "@id": f"{part.name}/{field.name}",
            "name": field.name,
            "description": column_text(field.name, part),
            "dataType": croissant_type(field),
            "source": {
                "fileSet": {"@id": f"{part.name}-files"},
                "extract": {"column": field.name},
            },
        }
        if str(field.type).startswith("list"):
            found["repeated"] = True
        fields.append(found)
    return {
        "@type": "cr:RecordSet",
        "@id": part.name,
        "name": part.name,
        "description": part.text,
        "field": fields,
    }
