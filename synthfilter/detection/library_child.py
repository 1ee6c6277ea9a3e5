"""Loads a model with the fastText library and scores lines; a program of its own.

Run by `library_trial`, so that a file that crashes the library, never ends or takes all
memory takes this process alone. Imports nothing of ours: the request on standard input
says where packages are, and the answers go to standard output, both JSON.
"""

import contextlib
import json
import os
import sys

OFFSET = 1e-5
"""fastText's predict returns exp(log(p + 1e-5))."""

ADVICE = "fetch the file again or train the model anew"
"""What to do about a model that is broken."""


def main() -> None:
    """Answers one request: the scores of all lines, after each of two loads."""
    request = json.load(sys.stdin)
    limit_resources(request["bytes"], request["seconds"])
    sys.path[:] = request["packages"]
    import fasttext

    answers = []
    with open(os.devnull, "w") as null, contextlib.redirect_stderr(null):
        for _ in range(2):
            model = fasttext.load_model(request["model"])
            synthetic = set(request["synthetic"])
            answers.append([score(model, line, synthetic) for line in request["lines"]])
            # What is freed is not what the next load is given if it reads too far.
            del model
    json.dump(answers, sys.stdout)


def score(model: object, line: str, synthetic: set) -> float:
    """Returns the probability of some labels together.

    NaN where the line has no feature; infinity where the model gives NaN.

    Args:
      model: As `fasttext.load_model` returns it.
      line: Text without a newline.
      synthetic: Names of the labels.
    """
    # Python's own predict() fails on numpy 2; this is what it wraps.
    pairs = model.f.predict(line + "\n", -1, -1.0, "strict")  # type: ignore[attr-defined]
    if not pairs:
        return float("nan")
    total = sum(p - OFFSET for p, label in pairs if label in synthetic)
    return min(max(total, 0.0), 1.0) if total == total else float("inf")


def limit_resources(max_bytes: int, max_seconds: int) -> None:
    """Limits what this process may take, as far as the system has such limits."""
    try:
        import resource
    except ImportError:  # Windows: the time limit of whoever started it holds.
        return
    for kind, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, max_seconds),
        (resource.RLIMIT_AS, max_bytes),
    ):
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        # macOS knows RLIMIT_AS and refuses to set it.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))


if __name__ == "__main__":
    main()
