"""Loads thousands of damaged models and counts what becomes of them.

    python benchmarks/fuzz_models.py --models 12000 --workers 2

Three tiny models are trained (linear, with subwords, quantised), and each is damaged in
many ways, the same ones for the same number. Every damaged file goes through
`load_detector` and, where that accepts it, scores texts, in a process that may die: who
died on what is counted. Exit code 1 if any process died, or raised what is no error of
ours, or a score was no probability.
"""

import argparse
import dataclasses
import json
import multiprocessing as mp
import resource
import struct
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from synthfilter.core.errors import UserError
from synthfilter.detection.detector import load_detector
from synthfilter.detection.fasttext_file import parse
from synthfilter.detection.fasttext_model import serialise

SHAPES = {
    "linear": {"dim": 3},
    "subwords": {"dim": 3, "minn": 2, "maxn": 4},
    "quantised": {"dim": 4},
}
MIX = ("linear", "linear", "linear", "linear", "subwords", "quantised")
TEXTS = pa.array(["the rain and the bus", "delve in a tapestry", "", "x" * 1000, None])
EDGES = (0, 1, -1, 2, 3, 7, 2**16, 2**31 - 1, -(2**31), 2**40, 2**62, 2**63 - 1)
WEIGHTS = (np.nan, np.inf, -np.inf, 3e38, -3e38, 1e30, 1e-45, 0.0, 1e6)
MEMORY = 2 << 30
"""Address space beyond what the process has; whoever asks for more gets MemoryError."""

REFUSED, TRIED, SANE = "refused", "refused after a trial", "loaded, scores sane"
BAD, CRASHED = "another error", "crashed"


class Outcome(NamedTuple):
    """What became of a damaged model.

    Attributes:
      number: Of the damage.
      base: Which model was damaged.
      kind: How.
      result: REFUSED, TRIED, SANE, BAD or CRASHED.
      seconds: It took.
      memory: The process's peak up to then, bytes.
      said: The error, if any.
    """

    number: int
    base: str
    kind: str
    result: str
    seconds: float
    memory: int
    said: str = ""


def train_bases(folder: Path) -> dict[str, bytes]:
    """Returns the bytes of the models to damage, about 5 KB each."""
    import fasttext

    fasttext.FastText.eprint = lambda line: None
    common = "the of and to in a is that it for as with".split()
    own = {
        "human": "heck gonna rain bus kitchen café 7".split(),
        "synthetic": "delve tapestry realm pivotal 重要 furthermore".split(),
    }
    rng = np.random.default_rng(5)
    lines = [
        f"__label__{label} {' '.join(rng.choice(common + own[label], 12))}"
        for label in [*own] * 100
    ]
    text = folder / "train.txt"
    text.write_text("\n".join([*lines, ""]))
    bases = {}
    for name, shape in SHAPES.items():
        model = fasttext.train_supervised(
            str(text), thread=1, seed=1, verbose=0, epoch=20, lr=0.5, minCount=1,
            wordNgrams=2, bucket=300, **shape,
        )  # fmt: skip
        if name == "quantised":
            model.quantize(retrain=False)
        model.save_model(str(folder / f"{name}.bin"))
        bases[name] = (folder / f"{name}.bin").read_bytes()
    return bases


def end_of_dictionary(data: bytes) -> int:
    """Returns where the first matrix begins."""
    (size,) = struct.unpack_from("<i", data, 64)
    at = 92
    for _ in range(size):
        at = data.index(b"\0", at) + 10
    return at


def flip_bits(data: bytes, rng: np.random.Generator) -> bytes:
    """Flips up to eight bits."""
    changed = bytearray(data)
    for at in rng.integers(len(data), size=rng.integers(1, 9)).tolist():
        changed[at] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def cut(data: bytes, rng: np.random.Generator) -> bytes:
    """Leaves out the end."""
    return data[: rng.integers(len(data))]


def fill(data: bytes, rng: np.random.Generator) -> bytes:
    """Overwrites a run of bytes with one byte."""
    at, size = int(rng.integers(len(data))), int(rng.integers(1, 65))
    filled = bytes([int(rng.choice([0, 255, 32, 1]))]) * size
    return data[:at] + filled[: len(data) - at] + data[at + size :]


def insert_or_delete(data: bytes, rng: np.random.Generator) -> bytes:
    """Moves everything behind a place by some bytes."""
    at, size = int(rng.integers(len(data))), int(rng.integers(1, 17))
    if rng.random() < 0.5:
        return data[:at] + data[at + size :]
    return data[:at] + rng.bytes(size) + data[at:]


def change_header(data: bytes, rng: np.random.Generator) -> bytes:
    """Sets one or two of the arguments and counts in front to what cannot be."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 3)):
        at = 4 * int(rng.integers(19))
        value = EDGES[rng.integers(len(EDGES))] if rng.random() < 0.7 else None
        value = int(rng.integers(2**32)) if value is None else value
        struct.pack_into("<I", changed, at, value & 0xFFFFFFFF)
    return bytes(changed)


def change_sizes(data: bytes, rng: np.random.Generator) -> bytes:
    """Sets a size or shape of the dictionary or a matrix to what cannot be."""
    changed = bytearray(data)
    first = end_of_dictionary(data)
    places = [64, 68, 72, 76, 84, *range(first, first + 22), *range(-80, -8)]
    at = places[rng.integers(len(places))] % len(data)
    layout = ("<q", "<i")[rng.integers(2)]
    value = EDGES[rng.integers(len(EDGES))]
    bits = 8 * struct.calcsize(layout)
    value = (value + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
    struct.pack_into(layout, changed, at, value)
    return bytes(changed)


def change_entries(data: bytes, rng: np.random.Generator) -> bytes:
    """Damages the dictionary: names, their ends, counts and kinds."""
    at = int(rng.integers(92, end_of_dictionary(data)))
    how = rng.integers(5)
    if how == 0:
        return data[:at] + b"\0" + data[at + 1 :]
    if how == 1:
        return data[:at] + rng.bytes(9) + data[at + 9 :]
    if how == 2:
        end = data.index(b"\0", at)
        return data[:end] + b"w" * int(rng.integers(1, 100_000)) + data[end:]
    if how == 3:
        end = data.index(b"\0", at)
        return data[:end] + bytes(rng.choice([9, 10, 32, 255], 3).tolist()) + data[end:]
    other = int(rng.integers(92, end_of_dictionary(data)))
    return data[:at] + data[other : other + 20] + data[at + 20 :]


def change_weights(data: bytes, rng: np.random.Generator) -> bytes:
    """Sets numbers behind the dictionary to what no weight is."""
    changed = bytearray(data)
    first = end_of_dictionary(data) + 17
    for _ in range(rng.integers(1, 30)):
        at = first + 4 * int(rng.integers((len(data) - first) // 4))
        at += int(rng.integers(4)) if rng.random() < 0.2 else 0
        if at + 4 <= len(data):
            struct.pack_into("<f", changed, at, WEIGHTS[rng.integers(len(WEIGHTS))])
    return bytes(changed)


def rebuild(data: bytes, rng: np.random.Generator) -> bytes:
    """Writes a whole file whose parts agree, with arguments that nobody trains with."""
    model = parse(data)
    if model.input is None:
        return change_header(data, rng)
    odd: dict[str, Sequence[int]] = {
        "word_ngrams": (1, 2, 5, 32, 33),
        "loss": (0, 1, 2, 3, 4, 5),
        "minn": (0, 1, 64, 2**31 - 1),
        "maxn": (0, 1, 3, 64, 65, 2**31 - 1),
        "ws": (-1, 0, 2**31 - 1),
        "neg": (-1, 0, 2**31 - 1),
        "min_count": (-1, 2**31 - 1),
        "lr_update_rate": (0, -1),
    }
    names = rng.choice([*odd], rng.integers(1, 4), replace=False)
    values = {name: odd[name][rng.integers(len(odd[name]))] for name in names.tolist()}
    counts = np.full(len(model.labels), rng.choice([0, 1, 10**11, 2**62]), np.int64)
    args = dataclasses.replace(model.args, t=float(rng.choice(WEIGHTS)), **values)
    return serialise(dataclasses.replace(model, args=args, label_counts=counts))


def keep(data: bytes, rng: np.random.Generator) -> bytes:
    """Changes nothing: what lies beside is damaged."""
    return data


DAMAGES: tuple[Callable[[bytes, np.random.Generator], bytes], ...] = (
    flip_bits,
    cut,
    fill,
    insert_or_delete,
    change_header,
    change_sizes,
    change_entries,
    change_weights,
    rebuild,
    keep,
)


def settings_of(rng: np.random.Generator) -> dict[str, object]:
    """Returns a JSON to lie beside a model, a part of it with what cannot be."""
    fields = {
        "length_exponent": (0, 1, -3, 400, 1e308, float("nan")),
        "length_cap": (1, 150, 2**62, 10**400, -1),
        "min_tokens": (1, 10, 0, 2**70),
        "min_known_share": (0, 0.75, 2, float("nan")),
        "min_word_share": (0.45, -1, float("inf")),
        "slope": (1, 1e-308, 1e308, 0, float("inf")),
        "intercept": (0, -1e308, 1e308, "1"),
        "threshold": (0.5, 2, None, []),
        "tokens": ("words", "spaces", "none"),
        "canonical": (True, False, 1),
        "labels": ({}, {"human": ["x"]}, {"human": 1}, []),
        "canaries": ({}, {"letter": 0.5}, {"letter": "a"}, [1], 3),
    }
    names = rng.choice([*fields], rng.integers(1, 5), replace=False)
    return {name: fields[name][rng.integers(len(fields[name]))] for name in names}


def damaged(
    bases: dict[str, bytes], number: int, mix: Sequence[str]
) -> tuple[str, str, bytes, dict[str, object] | None]:
    """Returns which model is damaged how, its bytes, and what lies beside it."""
    rng = np.random.default_rng(number)
    base = mix[number % len(mix)]
    damage = DAMAGES[int(rng.integers(len(DAMAGES)))]
    beside = settings_of(rng) if damage is keep else None
    return base, damage.__name__, damage(bases[base], rng), beside


def try_one(
    bases: dict[str, bytes], number: int, mix: Sequence[str], folder: Path
) -> Outcome:
    """Returns what becomes of one damaged model in this process."""
    base, kind, data, beside = damaged(bases, number, mix)
    path = folder / "model.bin"
    path.write_bytes(data)
    path.with_suffix(".json").unlink(missing_ok=True)
    if beside is not None:
        path.with_suffix(".json").write_text(json.dumps(beside))
    start, result, said = time.perf_counter(), SANE, ""
    try:
        scores = load_detector(str(path)).score(TEXTS)
        known = scores[~np.isnan(scores)]
        if len(scores) != len(TEXTS) or ((known < 0) | (known > 1)).any():
            result, said = BAD, f"scores {scores.tolist()}"
    except UserError as error:
        said = str(error)
        trial = "fixed texts" in said
        result = BAD if "\n" in said else TRIED if trial else REFUSED
    except Exception as error:  # Whatever it is, it is counted.
        result, said = BAD, f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Outcome(number, base, kind, result, seconds, peak, said)


def work(
    bases: dict[str, bytes], numbers: Sequence[int], mix: Sequence[str], to: Connection
) -> None:
    """Tries damaged models one after another and sends what becomes of each."""
    warnings.simplefilter("error")
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    # Beam imports what it finds, and torch alone takes gigabytes of it.
    has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + MEMORY, hard))
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers:
            to.send(try_one(bases, number, mix, Path(folder)))
    to.close()


def run(
    bases: dict[str, bytes], models: int, workers: int, mix: Sequence[str] = MIX
) -> list[Outcome]:
    """Returns what becomes of so many damaged models."""
    context = mp.get_context("spawn")
    outcomes: list[Outcome] = []

    def start(left: Sequence[int]) -> tuple[mp.Process, Connection, Sequence[int]]:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(bases, left, mix, theirs))
        process.start()
        theirs.close()
        return process, ours, left

    running = [start(range(worker, models, workers)) for worker in range(workers)]
    while running:
        process, ours, left = running.pop(0)
        try:
            outcomes.append(ours.recv())
            running.append((process, ours, left[1:]))
        except EOFError:
            process.join()
            if left:  # It died on the first of those that are left.
                base, kind, _, _ = damaged(bases, left[0], mix)
                died = f"exit code {process.exitcode}"
                outcomes.append(Outcome(left[0], base, kind, CRASHED, 0, 0, died))
                running.append(start(left[1:]))
    return outcomes


def show(outcomes: Iterable[Outcome]) -> None:
    """Prints the counts by model and by damage, the slowest, and what is wrong."""
    found = list(outcomes)
    results = (REFUSED, TRIED, SANE, BAD, CRASHED)
    for what in ("base", "kind"):
        print(f"| {what} | models | {' | '.join(results)} |")
        print(f"|---|{'---|' * (1 + len(results))}")
        counts = Counter((getattr(o, what), o.result) for o in found)
        for name in sorted({getattr(o, what) for o in found}):
            row = [counts[name, result] for result in results]
            print(f"| {name} | {sum(row)} | {' | '.join(map(str, row))} |")
    contained = sum("crashed (signal" in o.said for o in found)
    limited = sum("took more than" in o.said or "MemoryError" in o.said for o in found)
    print(f"{contained} crashed the child of a trial, {limited} met its limits")
    for name in SHAPES:
        times = [o.seconds for o in found if o.base == name] or [0.0]
        print(f"{name}: the slowest {max(times):.2f} s")
    print(f"peak memory of a process {max(o.memory for o in found) / 1e6:.0f} MB")
    for outcome in [o for o in found if o.result in (BAD, CRASHED)][:20]:
        print(outcome)


def main() -> int:
    """Trains, damages, counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=12_000)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        bases = train_bases(Path(folder))
    outcomes = run(bases, options.models, options.workers)
    show(outcomes)
    print(f"{len(outcomes)} models in {time.perf_counter() - start:.0f} s")
    return int(any(o.result in (BAD, CRASHED) for o in outcomes))


if __name__ == "__main__":
    sys.exit(main())
