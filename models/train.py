"""Builds the shipped detector: `python models/train.py --data 'FOLDER/*.parquet'`.

Writes detector.bin, detector.json and README.md beside this file. The same data gives
the same bytes. Columns: text, label (human or synthetic), source, domain, group and
license; group ties a human text to the machine versions of the same prompt.
"""

import argparse
import dataclasses
import glob
import hashlib
import importlib.metadata
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synthfilter.core.text import normalise
from synthfilter.detection import calibration, evaluation, training
from synthfilter.detection.canonical import canonicalise
from synthfilter.detection.fasttext_model import serialise
from synthfilter.detection.linear import Evidence
from synthfilter.detection.settings import DetectorSettings
from synthfilter.detection.tokens import WORDS

HERE = Path(__file__).resolve().parent
COLUMNS = ["text", "label", "source", "domain", "group", "license"]
LENGTH_EXPONENT = 0.75
LENGTH_CAP = 400
# Of English documentation that the model never saw, 1 in 1,000 has less than 0.83 of
# its tokens in the vocabulary; German, French, Spanish, Dutch and Italian have 0.4 to
# 0.65. Under 10 tokens a score is hardly more than the share of machine text assumed.
MIN_TOKENS = 10
MIN_KNOWN_SHARE = 0.75
SETTINGS = (
    "tokens",
    "canonical",
    "length_exponent",
    "length_cap",
    "min_tokens",
    "min_known_share",
    "slope",
    "intercept",
)
PACKAGES = ("fasttext-community", "numpy", "pyarrow", "xxhash")
MIN_AUROC = 0.85
"""A model below it is not written."""

FAMILIES = dict.fromkeys(
    ("fastdetect", "imbd_edit", "imbd_squad", "imbd_train"), "fastdetect and imbd"
)
"""Sources made from the same collections; they are left out together."""


def read_data(pattern: str) -> pa.Table:
    """Returns the labelled documents, their text normalised and canonical.

    Raises:
      SystemExit: No file matches.
    """
    paths = sorted(glob.glob(pattern))
    if not paths:
        raise SystemExit(f"no file matches {pattern!r}; quote the glob")
    table = pa.concat_tables(pq.read_table(path, columns=COLUMNS) for path in paths)
    text = canonicalise(normalise(table["text"].combine_chunks()))
    return table.set_column(0, "text", text)


def calibrated(
    evidence: Evidence, synthetic: np.ndarray
) -> tuple[DetectorSettings, np.ndarray]:
    """Returns settings from out-of-source evidence, and the scores they give."""
    plain = DetectorSettings(
        tokens=WORDS,
        canonical=True,
        length_exponent=LENGTH_EXPONENT,
        length_cap=LENGTH_CAP,
        min_tokens=MIN_TOKENS,
        min_known_share=MIN_KNOWN_SHARE,
    )
    known = plain.is_scorable(evidence)
    slope, intercept = calibration.fit_logistic(
        plain.document_logit(evidence)[known], synthetic[known]
    )
    fitted = dataclasses.replace(plain, slope=slope, intercept=intercept)
    scores = fitted.calibrate(evidence)
    thresholds = calibration.measured_thresholds(scores, synthetic)
    return dataclasses.replace(fitted, thresholds=thresholds), scores


def measure(
    scores: np.ndarray, synthetic: np.ndarray, threshold: float
) -> dict[str, float | int | None]:
    """Returns the figures of one set of documents; null where a class is missing."""
    usable = ~np.isnan(scores)
    human, machine = scores[usable & ~synthetic], scores[usable & synthetic]
    figures = {
        "auroc": evaluation.auroc(human, machine),
        "tpr_at_own_1pct_fpr": evaluation.tpr_at_fpr(human, machine, 0.01),
        "fpr_at_threshold": evaluation.share_at_least(human, threshold),
        "tpr_at_threshold": evaluation.share_at_least(machine, threshold),
    }
    rounded = {k: None if np.isnan(v) else round(v, 4) for k, v in figures.items()}
    return {"human": len(human), "synthetic": len(machine), **rounded}


def main() -> None:
    """Trains, measures and writes the three files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="glob of Parquet files")
    parser.add_argument("--output", default=str(HERE), help="folder to write to")
    options = parser.parse_args()
    table = read_data(options.data)
    text = table["text"].combine_chunks()
    synthetic = np.array(table["label"].to_pylist(), object) == training.SYNTHETIC
    sources = np.array(table["source"].to_pylist(), object)
    domains = table["domain"].to_pylist()
    strata = [f"{a}/{b}" for a, b in zip(sources, domains, strict=True)]
    groups = evaluation.linked_groups(table["group"].to_pylist(), text.to_pylist())
    families = np.array([FAMILIES.get(name, name) for name in sources], object)
    evidence = evaluation.leave_one_source_out(
        text, synthetic, families, strata, groups, report=print
    )
    settings, scores = calibrated(evidence, synthetic)
    facts = describe(table, settings, scores, synthetic, sources)
    print(json.dumps(facts["measured"]["all"], indent=2))
    if facts["measured"]["all"]["auroc"] < MIN_AUROC:
        raise SystemExit(f"AUROC below {MIN_AUROC}; nothing written")
    model = serialise(training.train_detector(text, synthetic, strata))
    facts["sha256"] = hashlib.sha256(model).hexdigest()
    folder = Path(options.output)
    (folder / "detector.bin").write_bytes(model)
    (folder / "detector.json").write_text(json.dumps(facts, indent=2) + "\n")
    (folder / "README.md").write_text(model_card(facts, len(model)))


def describe(
    table: pa.Table,
    settings: DetectorSettings,
    scores: np.ndarray,
    synthetic: np.ndarray,
    sources: np.ndarray,
) -> dict:
    """Returns the content of detector.json without the checksum."""
    threshold = settings.default_threshold
    by_source = {name: sources == name for name in sorted(set(sources))}
    licences = dict(zip(sources, table["license"].to_pylist(), strict=True))
    return {
        "name": "synthfilter default detector",
        "sha256": None,
        "labels": {"human": ["human"], "synthetic": ["synthetic"]},
        **{name: getattr(settings, name) for name in SETTINGS},
        "thresholds": {f"{k:g}": v for k, v in settings.thresholds.items()},
        "measured": {
            "how": "leave one source out; sources of one family, prompt groups and "
            "shared texts never straddle",
            "families": sorted(FAMILIES),
            "threshold": threshold,
            "all": measure(scores, synthetic, threshold),
            "by_source": {
                name: measure(scores[rows], synthetic[rows], threshold)
                for name, rows in by_source.items()
            },
        },
        "data": {name: licences[name] for name in sorted(licences)},
        "recipe": {
            "window_tokens": training.WINDOW_TOKENS,
            "max_windows": training.MAX_WINDOWS,
            "max_repeats": training.MAX_REPEATS,
            "weight_scale": training.WEIGHT_SCALE,
            **training.FASTTEXT_OPTIONS,
        },
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def model_card(facts: dict, size: int) -> str:
    """Returns models/README.md."""
    measured = facts["measured"]
    everything = measured["all"]
    rows = [*measured["by_source"].items(), ("**all**", everything)]
    table = "\n".join(
        f"| {name} | {facts['data'].get(name, '')} | {row['human']} | "
        f"{row['synthetic']} | {_shown(row['auroc'])} | "
        f"{_percent(row['tpr_at_own_1pct_fpr'])} | "
        f"{_percent(row['tpr_at_threshold'])} | {_percent(row['fpr_at_threshold'])} |"
        for name, row in rows
    )
    rates = ", ".join(
        f"{value:.4f} at {float(rate):.1%}"
        for rate, value in facts["thresholds"].items()
    )
    return (
        (HERE / "card.md.in")
        .read_text()
        .format(
            size=f"{size / 1e6:.1f}",
            sha256=facts["sha256"],
            table=table,
            thresholds=rates,
            auroc=_shown(everything["auroc"]),
            tpr=_percent(everything["tpr_at_threshold"]),
            missed=_percent(1 - everything["tpr_at_threshold"]),
            worst=_worst_source(measured["by_source"]),
        )
    )


def _worst_source(by_source: dict) -> str:
    """Returns in words the source with the highest false-positive rate."""
    rates = {
        name: row["fpr_at_threshold"]
        for name, row in by_source.items()
        if row["fpr_at_threshold"] is not None
    }
    name = max(rates, key=lambda source: rates[source])
    return f"{_percent(rates[name])} on {name}"


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


if __name__ == "__main__":
    main()
