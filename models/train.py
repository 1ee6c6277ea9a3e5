"""Builds the shipped detector: `python models/train.py --data 'FOLDER/*.parquet'`.

Writes detector.bin, detector.json and README.md beside this file. The same data gives
the same bytes. Columns: text, label (human or synthetic), source, domain, generator,
group and license; group ties a human text to the machine versions of the same prompt.
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
    MIN_SHARES,
    Documents,
    WeakModelError,
    fit_detector,
)
from synthfilter.detection.lengths import BANDS

HERE = Path(__file__).resolve().parent
COLUMNS = ["text", "label", "source", "domain", "generator", "group", "license"]
MIN_AUROC = 0.85
"""A model below it is not written."""

FAMILIES = dict.fromkeys(
    ("fastdetect", "imbd_edit", "imbd_squad", "imbd_train"), "fastdetect and imbd"
)
"""Sources made from the same collections; they are left out together."""

KINDS = {
    "polish": "human text polished by a model",
    "rewrite": "human text rewritten by a model",
    "expand": "human text expanded by a model",
    "davinci": "human text continued by a base model (davinci)",
}
"""By what a generator's name ends with; the others follow an instruction."""

ESSAYS = "toefl_essay"

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
    # Where all text is human there is no generator, and its column has no type.
    table = pa.concat_tables(
        (pq.read_table(path, columns=COLUMNS) for path in paths),
        promote_options="permissive",
    )
    text = canonicalise(normalise(table["text"].combine_chunks()))
    return table.set_column(0, "text", text)


def name_kinds(generators: list[str | None], domains: list[str]) -> np.ndarray:
    """Returns what sort of text each document is, for the figures; None where human.

    But for essays of learners of English: theirs and the machine's are one kind.
    """
    kinds = [
        None
        if generator is None
        else KINDS.get(generator.rsplit("/", 1)[-1], "written to an instruction")
        for generator in generators
    ]
    essays = [
        "essays as learners of English write them" if domain == ESSAYS else kind
        for domain, kind in zip(domains, kinds, strict=True)
    ]
    return np.array(essays, object)


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
        name_kinds(table["generator"].to_pylist(), table["domain"].to_pylist()),
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
            min_shares=MIN_SHARES,
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
    short = measured["first_200_words"]
    everything = measured["all"]
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
            min_word_share=f"{facts['min_word_share']:.0%}",
            by_source=_source_rows(facts),
            by_kind=_rows(measured["by_kind"]),
            by_length=_rows({n: measured["by_length_in_words"][n] for n in BANDS}),
            thresholds=rates,
            auroc=_shown(everything["auroc"]),
            tpr=_percent(everything["tpr_at_threshold"]),
            fpr=_percent(everything["fpr_at_threshold"]),
            missed=_percent(1 - everything["tpr_at_threshold"]),
            worst=_worst_source(measured["by_source"]),
            mean_auroc=_shown(measured["mean_of_sources"]["auroc"]),
            mean_tpr=_percent(measured["mean_of_sources"]["tpr_at_own_1pct_fpr"]),
            short_auroc=_shown(short["mean_of_sources"]["auroc"]),
            short_tpr=_percent(short["mean_of_sources"]["tpr_at_own_1pct_fpr"]),
            short_area=_shown(short["all"]["auroc"]),
            short_all=_percent(short["all"]["tpr_at_threshold"]),
            short_fpr=_percent(short["all"]["fpr_at_threshold"]),
            unseen_fpr=_percent(_mean_fpr(measured["by_source"])),
        )
    )


def _source_rows(facts: dict) -> str:
    """Returns the table's rows of each source and of everything."""
    measured = facts["measured"]
    rows = [*measured["by_source"].items(), ("**all**", measured["all"])]
    return "\n".join(
        f"| {name} | {facts['data'].get(name, '')} | {row['human']} | "
        f"{row['synthetic']} | {_shown(row['auroc'])} | "
        f"{_percent(row['tpr_at_own_1pct_fpr'])} | "
        f"{_percent(row['tpr_at_threshold'])} | {_percent(row['fpr_at_threshold'])} |"
        for name, row in rows
    )


def _rows(measured: dict) -> str:
    """Returns the rows of a table of kinds or lengths."""
    return "\n".join(
        f"| {name} | {row['human']} | {row['synthetic']} | {_shown(row['auroc'])} | "
        f"{_percent(row['tpr_at_threshold'])} | {_percent(row['fpr_at_threshold'])} |"
        for name, row in measured.items()
    )


def _mean_fpr(by_source: dict) -> float:
    """Returns the mean false-positive rate of the sources that are human only."""
    rates = [
        row["fpr_at_threshold"] for row in by_source.values() if not row["synthetic"]
    ]
    return float(np.mean(rates))


def _worst_source(by_source: dict) -> str:
    """Returns in words the source with the highest false-positive rate."""
    rates = {
        name: row["fpr_at_threshold"]
        for name, row in by_source.items()
        if row["fpr_at_threshold"] is not None
    }
    name = max(rates, key=lambda source: rates[source])
    return f"{name} with {_percent(rates[name])}"


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


if __name__ == "__main__":
    main()
