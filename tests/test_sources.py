"""The stop when copies nearly wipe out a source."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from synthfilter.core.errors import ShortageError
from synthfilter.core.hashing import hash_names
from synthfilter.decisions.summary import Summary
from synthfilter.sources import check_losses


def texts(first: int, count: int) -> list[str]:
    """Texts of their own for each number."""
    found = []
    for number in range(first, first + count):
        words = np.random.default_rng(number).integers(0, 50_000, 60)
        found.append(" ".join(f"w{word}" for word in words))
    return found


def write(workshop: Any, mirror: str | None, copies: list[str]) -> None:
    """Writes 30 documents of a wire, and 40 of its mirror, which copies some of them.

    The wire's are older, so that they stay.
    """
    mirrored = [*copies, *texts(100, 40 - len(copies))]
    workshop.write(
        "human/h",
        [*texts(0, 30), *mirrored],
        row_group=7,
        source=["wire"] * 30 + [mirror] * 40,
        created=["2019-01-01"] * 30 + ["2020-01-01"] * 40,
    )


def test_a_source_that_loses_too_much_to_copies_stops_the_build(
    workshop, capsys
) -> None:
    write(workshop, "mirror", texts(0, 25))
    workshop.build(code=3, max_source_loss=0.6)
    error = capsys.readouterr().err
    assert error == (
        "synthfilter: error: copies and filters cost these sources more than "
        "max_source_loss=0.6 of their documents: 'mirror' 25 of 40 (25 as copies); "
        "look whether one repeats another or the detector misjudges it, then raise "
        "max_source_loss or leave it out\n"
    )
    assert not (workshop.path / "out/manifest.json").exists()
    books = workshop.build(max_source_loss=0.625)["books"]
    assert books["left_out"]["exact_copy"] == 25


def test_near_copies_and_copies_of_a_reference_set_are_losses_too(
    workshop, capsys
) -> None:
    copies = [text.rpartition(" ")[0] for text in texts(0, 10)]
    write(workshop, "mirror", [*copies, *texts(200, 15)])
    workshop.write("benchmark/b", texts(200, 15))
    against = str(workshop.path / "benchmark")
    workshop.build("exact", max_source_loss=0.4, against=against)
    options = {"max_source_loss": 0.4, "near_duplicates": 0.8}
    workshop.build("near", **options)
    workshop.build(code=3, against=against, **options)
    assert (
        "documents: 'mirror' 25 of 40 (25 as copies); look" in capsys.readouterr().err
    )


def test_documents_without_a_source_are_one_source(workshop, capsys) -> None:
    write(workshop, None, texts(0, 25))
    workshop.build(code=3, max_source_loss=0.5)
    assert (
        "documents: without a name 25 of 40 (25 as copies); look"
        in capsys.readouterr().err
    )


def test_without_a_column_the_file_is_the_source(workshop, capsys) -> None:
    workshop.write("human/first", texts(0, 30), created=["2001-01-01"] * 30)
    workshop.write("human/second", texts(0, 30))
    workshop.build(code=3, max_source_loss=0.99)
    assert (
        "documents: 'second.parquet' 30 of 30 (30 as copies); look"
        in capsys.readouterr().err
    )


def test_sources_of_few_documents_are_not_looked_at(workshop) -> None:
    workshop.write("human/h", texts(0, 30), created=["2001-01-01"] * 30)
    workshop.write("human/s", texts(0, 19))
    books = workshop.build(max_source_loss=0.0)["books"]
    assert books["left_out"]["exact_copy"] == 19


def test_two_workers_say_the_same_line(workshop, capsys) -> None:
    write(workshop, "mirror\nsite", texts(0, 25))
    workshop.build("one", code=3, max_source_loss=0.5)
    first = capsys.readouterr().err
    workshop.build("two", code=3, max_source_loss=0.5, workers=2)
    assert capsys.readouterr().err == first
    assert first.count("\n") == 1


def test_five_sources_are_named_and_the_others_counted() -> None:
    names = [f"site {number}" for number in range(7)]
    keys = hash_names(pa.array(names)).view(np.int64)
    counts = np.stack(
        [keys, np.full(7, 2000), np.full(7, 1000), np.arange(1, 8)], axis=1
    )
    in_hex = [f"{key:016x}" for key in keys.view(np.uint64).tolist()]
    known = list(zip(in_hex, names, strict=True))
    with pytest.raises(ShortageError) as stopped:
        check_losses(Summary(sources=counts), known, 0.5)
    said = [
        f"'site {number}' {1001 + number:,} of 2,000 (1,000 as copies)"
        for number in range(5)
    ]
    assert f"documents: {', '.join(said)} and 2 more; look" in str(stopped.value)
    assert check_losses(Summary(sources=counts), [], 0.9).sources is counts
