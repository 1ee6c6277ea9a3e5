"""Builds the shipped detector: `python models/train.py --data 'FOLDER/*.parquet'`.

Writes detector.bin, detector.json and README.md beside this file. The same data gives
the same bytes. Columns: text, label (human or synthetic), source, domain, group and
license; group ties a human text to the machine versions of the same prompt.
"""

import argparse
import glob
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from synthfilter.core.text import normalise
from synthfilter.detection import evaluation, training
from synthfilter.detection.canonical import canonicalise
from synthfilter.detection.fitting import (
    MIN_KNOWN_SHARE,
    Documents,
    WeakModelError,
    fit_detector,
)

HERE = Path(__file__).resolve().parent
COLUMNS = ["text", "label", "source", "domain", "group", "license"]
MIN_AUROC = 0.85
"""A model below it is not written."""

FAMILIES = dict.fromkeys(
    ("fastdetect", "imbd_edit", "imbd_squad", "imbd_train"), "fastdetect and imbd"
)
"""Sources made from the same collections; they are left out together."""

HOW = {
    "how": "leave one source out; sources of one family, prompt groups and "
    "shared texts never straddle",
    "families": sorted(FAMILIES),
}
"""What the JSON says of the measuring."""


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


def main() -> None:
    """Trains, measures and writes the three files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="glob of Parquet files")
    parser.add_argument("--output", default=str(HERE), help="folder to write to")
    options = parser.parse_args()
    table = read_data(options.data)
    text = table["text"].combine_chunks()
    sources = np.array(table["source"].to_pylist(), object)
    documents = Documents(
        text,
        np.array(table["label"].to_pylist(), object) == training.SYNTHETIC,
        sources,
        np.array(table["domain"].to_pylist(), object),
        evaluation.linked_groups(table["group"].to_pylist(), text.to_pylist()),
    )
    families = np.array([FAMILIES.get(name, name) for name in sources], object)
    licences = dict(zip(sources, table["license"].to_pylist(), strict=True))
    try:
        model, facts = fit_detector(
            documents,
            families,
            name="synthfilter default detector",
            how=HOW,
            min_auroc=MIN_AUROC,
            min_known_share=MIN_KNOWN_SHARE,
            data={name: licences[name] for name in sorted(licences)},
            report=print,
        )
    except WeakModelError as error:
        raise SystemExit(f"{error}; nothing written") from error
    print(json.dumps(facts["measured"]["all"], indent=2))
    folder = Path(options.output)
    (folder / "detector.bin").write_bytes(model)
    (folder / "detector.json").write_text(json.dumps(facts, indent=2) + "\n")
    (folder / "README.md").write_text(model_card(facts, len(model)))


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
