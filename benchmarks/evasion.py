"""What a detector still finds of machine text that somebody has tampered with.

    python benchmarks/evasion.py --data 'FOLDER/*.parquet'

Machine documents are scored by models that saw neither their source nor its kin (as
in models/train.py), as they are and after each attack; calibration and threshold are
the shipped detector's. `folded` is the scorer's own canonical text, `unfolded` leaves
out the folding of letters that look alike.
"""

import argparse
import html
import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from models import train as recipe
from synthfilter.core.text import normalise
from synthfilter.detection import canonical, evaluation, training
from synthfilter.detection.detector import load_detector
from synthfilter.detection.linear import LinearModel

EVERY = 4
"""Of the machine documents one in so many is attacked."""

LOOKALIKES = str.maketrans("aceopxyijsABCEHKMOPTX", "асеорхуіјѕАВСЕНКМОРТХ")  # noqa: RUF001
Attack = Callable[[str, np.random.Generator], str]


def delete_words(share: float) -> Attack:
    """Returns an attack that leaves out so many of the words."""

    def attack(text: str, rng: np.random.Generator) -> str:
        words = text.split(" ")
        drawn = rng.random(len(words)).tolist()
        return " ".join(w for w, x in zip(words, drawn, strict=True) if x >= share)

    return attack


def change_words(share: float, change: Callable[[str, int], str]) -> Attack:
    """Returns an attack that changes so many of the words, each at a random place."""

    def attack(text: str, rng: np.random.Generator) -> str:
        words = text.split(" ")
        for i in np.flatnonzero(rng.random(len(words)) < share).tolist():
            if words[i]:
                words[i] = change(words[i], int(rng.integers(len(words[i]))))
        return " ".join(words)

    return attack


def swap_letters(word: str, at: int) -> str:
    """Returns a word with the letter at a place and the next one exchanged."""
    at = min(at, max(len(word) - 2, 0))
    return word[:at] + word[at : at + 2][::-1] + word[at + 2 :]


def disguise(share: float) -> Attack:
    """Returns an attack that writes so many of the letters in another script."""

    def attack(text: str, rng: np.random.Generator) -> str:
        drawn = (rng.random(len(text)) < share).tolist()
        other = text.translate(LOOKALIKES)
        return "".join(
            b if x else a for a, b, x in zip(text, other, drawn, strict=True)
        )

    return attack


def as_html(text: str) -> str:
    """Returns a text as a page, with emphasis."""
    words = html.escape(text).split(" ")
    words[::9] = [f"<b>{word}</b>" for word in words[::9]]
    return f"<div><p>{' '.join(words)}</p></div>"


def as_markdown(text: str) -> str:
    """Returns a text with a heading's mark, a quote's marks and emphasis."""
    words = text.split(" ")
    words[4::9] = [f"**{word}**" for word in words[4::9]]
    return f"# {' '.join(words)}"


ATTACKS: dict[str, Attack] = {
    "none": lambda text, rng: text,
    "a newline, NBSP or tab for each space": lambda text, rng: text.replace(
        " ", "\n\u00a0\t"
    ),
    "zero-width and bidi marks in 30% of words": change_words(
        0.3, lambda word, at: f"{word[:at]}\u200b\u202e\u2060{word[at:]}"
    ),
    "markdown": lambda text, rng: as_markdown(text),
    "HTML": lambda text, rng: as_html(text),
    "5% of words deleted": delete_words(0.05),
    "10% of words deleted": delete_words(0.1),
    "adjacent letters swapped in 5% of words": change_words(0.05, swap_letters),
    "adjacent letters swapped in 10% of words": change_words(0.1, swap_letters),
    "all in lower case": lambda text, rng: text.lower(),
    "all in capitals": lambda text, rng: text.upper(),
    "no punctuation": lambda text, rng: "".join(
        c for c in text if c.isalnum() or c == " "
    ),
    "look-alikes for 5% of letters": disguise(0.05),
    "look-alikes for 25% of letters": disguise(0.25),
    "look-alikes for all letters that have one": disguise(1.0),
}


def attacked(name: str, texts: list[str]) -> pa.Array:
    """Returns the texts after an attack, normalised; the same ones each time."""
    rng = np.random.default_rng(7)
    return normalise(pa.array([ATTACKS[name](text, rng) for text in texts]))


def unfolded(text: pa.Array) -> pa.Array:
    """Returns canonical text in which look-alikes stay."""
    fold, canonical.fold_lookalikes = (
        canonical.fold_lookalikes,
        lambda *columns: columns,
    )
    try:
        return canonical.canonicalise(text)
    finally:
        canonical.fold_lookalikes = fold


def main() -> None:
    """Trains a model for each family of sources with machine text, and attacks it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="glob of Parquet files")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    table = recipe.read_data(options.data)
    text = table["text"].combine_chunks()
    synthetic = np.array(table["label"].to_pylist()) == training.SYNTHETIC
    sources = table["source"].to_pylist()
    families = np.array([recipe.FAMILIES.get(name, name) for name in sources], object)
    strata = [
        f"{a}/{b}" for a, b in zip(sources, table["domain"].to_pylist(), strict=True)
    ]
    groups = evaluation.linked_groups(table["group"].to_pylist(), text.to_pylist())
    kinds = recipe.name_kinds(
        table["generator"].to_pylist(), table["domain"].to_pylist()
    )
    settings = load_detector().settings
    machine = np.flatnonzero(synthetic)[::EVERY]
    scores: dict[tuple[str, bool], list[np.ndarray]] = {}
    rewritten: list[np.ndarray] = []
    for family in sorted(set(families[machine])):
        print(f"leaving out {family}", flush=True)
        held = families == family
        seen = np.flatnonzero(~held & ~np.isin(groups, groups[held]))
        names = [strata[i] for i in seen.tolist()]
        model = training.train_detector(
            text.take(pa.array(seen)), synthetic[seen], names
        )
        index = model.labels.index(f"__label__{training.SYNTHETIC}")
        scorer = LinearModel(model, index, settings.tokens)
        rows = machine[held[machine]]
        texts = text.take(pa.array(rows)).to_pylist()
        rewritten.append(kinds[rows] == recipe.KINDS["rewrite"])
        for name in ATTACKS:
            tampered = attacked(name, texts)
            for folds, make in ((False, unfolded), (True, canonical.canonicalise)):
                found = settings.calibrate(scorer.evidence(make(tampered)))
                scores.setdefault((name, folds), []).append(found)
    threshold = settings.default_threshold
    figures = {}
    for (name, folds), parts in scores.items():
        joined = np.concatenate(parts)
        figures.setdefault(name, {})["folded" if folds else "unfolded"] = {
            "detected": float(np.mean(joined >= threshold)),
            "unscored": float(np.mean(np.isnan(joined))),
        }
    plain, is_rewritten = (
        np.concatenate(scores["none", True]),
        np.concatenate(rewritten),
    )
    figures["rewritten by a model"] = {
        "docs": int(is_rewritten.sum()),
        "detected": float(np.mean(plain[is_rewritten] >= threshold)),
    }
    print(f"{len(plain)} machine documents")
    print(table_of({name: figures[name] for name in ATTACKS}))
    print(figures["rewritten by a model"])
    if options.json:
        with open(options.json, "w") as file:
            json.dump(figures, file, indent=2)


def table_of(figures: dict[str, dict[str, dict[str, float]]]) -> str:
    """Returns the rows of the card's table."""
    lines = [
        "| attack | detected, unfolded | without a score | detected, folded "
        "| without a score |",
        "|---|---|---|---|---|",
    ]
    for name, row in figures.items():
        cells = [
            f"{row[how][what]:.1%}"
            for how in ("unfolded", "folded")
            for what in ("detected", "unscored")
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
