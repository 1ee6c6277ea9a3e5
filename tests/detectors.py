"""Detectors that tests know the answers of."""

import numpy as np
import pyarrow as pa


class SaysScore:
    """Scores what a text says of itself: `s73 ...` is 0.73; other texts have none."""

    name = "says score"
    threshold = 0.5
    version = 1

    def score(self, column: pa.Array) -> np.ndarray:
        first = [text.split(" ")[0] for text in column.to_pylist()]
        known = [w[0] == "s" and w[1:].isdecimal() if w else False for w in first]
        return np.array(
            [
                int(word[1:]) / 100 if mine else np.nan
                for word, mine in zip(first, known, strict=True)
            ],
            np.float32,
        )
