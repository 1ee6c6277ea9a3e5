"""A small fastText model that tests train once."""

import contextlib
from pathlib import Path

import numpy as np
import pytest

SHARED = (
    "the of and to in a is that it for as with was on be by at this from are".split()
)
HUMAN = (
    "heck gonna mate kinda nope don't rain bus 7 42 café größe kitchen sister".split()
)
SYNTHETIC = (
    "delve tapestry furthermore landscape multifaceted underscores pivotal realm "
    "internationalisation-of-things straightforwardness неоднозначность 重要 3 !"
).split()


def made_up_lines() -> list[bytes]:
    """Returns labelled training lines, the same each time."""
    random = np.random.default_rng(5)
    lines = []
    for i in range(400):
        label, own = [("human", HUMAN), ("synthetic", SYNTHETIC)][i % 2]
        words = random.choice(SHARED + own, 12)
        lines.append(f"__label__{label} {' '.join(words)}".encode())
    return lines


@pytest.fixture(scope="session")
def training_text() -> list[bytes]:
    return made_up_lines()


@pytest.fixture(scope="session")
def train(tmp_path_factory, training_text):
    """Returns a function from fastText options to the path of a trained model."""
    import fasttext

    folder = tmp_path_factory.mktemp("models")
    text = folder / "train.txt"
    text.write_bytes(b"\n".join([*training_text, b""]))

    def trained(**options) -> Path:
        known = "_".join(f"{key}{value}" for key, value in sorted(options.items()))
        path = folder / f"{known or 'plain'}.bin"
        if not path.exists():
            fixed = {"thread": 1, "seed": 1, "verbose": 0, "dim": 3, "epoch": 20}
            fixed.update(lr=0.5, wordNgrams=3, bucket=5000, minCount=1)
            fasttext.train_supervised(str(text), **{**fixed, **options}).save_model(
                str(path)
            )
        return path

    return trained


@pytest.fixture(scope="session")
def stock():
    """Returns a function from a model path to stock fastText's own probabilities."""
    import fasttext

    loaded = {}

    def probabilities(path: Path, lines: list[str]) -> np.ndarray:
        if path not in loaded:
            with contextlib.redirect_stderr(None):
                loaded[path] = fasttext.load_model(str(path))
        answers = []
        for line in lines:
            pairs = loaded[path].f.predict(line + "\n", 2, -1.0, "strict")
            found = {label: p for p, label in pairs}
            answers.append(found.get("__label__synthetic", np.nan) - 1e-5)
        return np.array(answers)

    return probabilities
