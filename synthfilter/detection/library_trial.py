"""Tries a model in a child process before the fastText library loads it in this one.

`fasttext_file` refuses what the library must not see, as far as it knows; what it does
not know costs a child. Models that are linear need no trial: the library never sees
them, their arrays are checked and evaluated in numpy.
"""

import functools
import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from synthfilter.core.errors import UserError
from synthfilter.detection import library_child
from synthfilter.detection.fasttext_model import FastTextModel

_CHILD = Path(library_child.__file__)
_OWN_LINES = 16
_OWN_WORDS = 12
_BASE_BYTES, _BYTES_PER_BYTE = 1 << 30, 4
_BASE_SECONDS, _BYTES_PER_SECOND = 30, 20_000_000
_EQUAL = 1e-6
_LONGEST_WORD = 100


class Trial(NamedTuple):
    """What a model said in a child process, and must say in this one.

    Attributes:
      lines: Texts without a newline.
      scores: Of each; NaN where it has no feature of the model.
    """

    lines: tuple[str, ...]
    scores: tuple[float, ...]


def trial_lines(model: FastTextModel, texts: Sequence[str]) -> tuple[str, ...]:
    """Returns texts and lines of the model's own words, to try it with.

    Args:
      model: Whose words, spread over the vocabulary, are taken: a model of another
        language knows none of the texts.
      texts: Any texts; blanks become spaces.
    """
    step = max(1, len(model.words) // (_OWN_LINES * _OWN_WORDS))
    chosen = model.words[::step][: _OWN_LINES * _OWN_WORDS]
    own = [word.decode("utf-8", "replace")[:_LONGEST_WORD] for word in chosen]
    per_line = max(1, len(own) // _OWN_LINES)
    lines = [" ".join(own[i : i + per_line]) for i in range(0, len(own), per_line)]
    return tuple(" ".join(text.split()) for text in (*texts, *lines))


@functools.lru_cache(maxsize=4)
def try_model(
    data: bytes, name: str, synthetic: tuple[str, ...], lines: tuple[str, ...]
) -> Trial:
    """Returns the scores of a model that a child process has loaded twice.

    Args:
      data: The file.
      name: What error messages call it.
      synthetic: The labels whose probabilities add up.
      lines: What to score.

    Raises:
      UserError: The library crashed, failed, took more than its time or memory, gave
        what is no probability, one score to everything, or others at the second load.
    """
    first, second = _answers(data, name, synthetic, lines)
    if not _same(first, second):
        raise _refusal(name, "scores that differ from one load to the next")
    if any(math.isinf(score) for score in first):
        raise _refusal(name, "a score that is no number")
    known = [score for score in first if not math.isnan(score)]
    if not known:
        raise _refusal(name, "no score")
    if max(known) - min(known) <= _EQUAL:
        raise _refusal(name, f"the one score {known[0]:.4g}")
    return Trial(lines, tuple(first))


def check_same(trial: Trial, scores: Sequence[float], name: str) -> None:
    """Raises UserError unless the scores in this process are those of the trial."""
    if not _same(trial.scores, scores):
        raise _refusal(name, "scores that differ from one process to the next")


def _answers(
    data: bytes, name: str, synthetic: Sequence[str], lines: Sequence[str]
) -> tuple[list[float], list[float]]:
    """Returns what a child says of the model, once for each load."""
    seconds = _BASE_SECONDS + len(data) // _BYTES_PER_SECOND
    with tempfile.TemporaryDirectory(prefix="synthfilter-") as folder:
        model = Path(folder) / f"{hashlib.sha256(data).hexdigest()[:16]}.bin"
        model.write_bytes(data)
        request = {
            "model": str(model),
            "synthetic": list(synthetic),
            "lines": list(lines),
            "packages": sys.path,
            "bytes": _BASE_BYTES + _BYTES_PER_BYTE * len(data),
            "seconds": seconds,
        }
        try:
            done = subprocess.run(
                [sys.executable, "-I", str(_CHILD)],
                input=json.dumps(request).encode(),
                capture_output=True,
                timeout=seconds,
                # One thread: each reserves memory of its own.
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _failure(name, f"took more than {seconds} seconds") from error
    if done.returncode < 0:
        raise _failure(name, f"crashed (signal {-done.returncode})")
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise _failure(name, f"failed ({said[:200] or f'exit {done.returncode}'})")
    first, second = json.loads(done.stdout)
    return first, second


def _same(first: Sequence[float], second: Sequence[float]) -> bool:
    return len(first) == len(second) and all(
        a == b or (math.isnan(a) and math.isnan(b))
        for a, b in zip(first, second, strict=True)
    )


def _failure(name: str, what: str) -> UserError:
    return UserError(
        f"{name}: expected a model that the fastText library can load and score fixed "
        f"texts with, but it {what}; {library_child.ADVICE}"
    )


def _refusal(name: str, got: str) -> UserError:
    return UserError(
        f"{name}: expected a model that tells fixed texts apart, got {got}; "
        f"{library_child.ADVICE}"
    )
