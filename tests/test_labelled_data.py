"""A build over real labelled text, split by label into human and synthetic files."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from synthfilter.cli import main
from synthfilter.core.hashing import content_digest, hash_texts
from synthfilter.core.schema import ORIGIN_NAMES
from synthfilter.core.text import normalise
from synthfilter.outputs.manifest import read_manifest

HUMAN, SYNTHETIC = 9299, 26915


@pytest.fixture(scope="module")
def split(labelled_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with human/*.parquet and synthetic/*.parquet."""
    folder = tmp_path_factory.mktemp("labelled")
    for path in sorted(labelled_data.glob("*.parquet")):
        table = pq.read_table(path)
        for label in ("human", "synthetic"):
            part = table.filter(pc.equal(table["label"], label)).drop(["label"])
            if part.num_rows:
                (folder / label).mkdir(exist_ok=True)
                pq.write_table(part, folder / label / path.name, row_group_size=700)
    return folder


def build(split: Path, output: str, *options: str) -> dict:
    arguments = ["--human", f"{split}/human/*.parquet", "--synthetic"]
    arguments += [f"{split}/synthetic/*.parquet", "--output", f"{split}/{output}"]
    assert main(["build", *arguments, "--quiet", *options]) == 0
    return read_manifest(f"{split}/{output}")


def digest_of(folder: Path) -> str:
    """The digest of the documents in a folder, from the written rows alone."""
    rows = pq.read_table(folder)
    hi, lo = hash_texts(normalise(rows["text"].combine_chunks()))
    codes = pc.index_in(rows["origin"], pa.array(ORIGIN_NAMES)).to_numpy()
    return content_digest(hi, lo, codes)


def test_share_books_and_digest_are_what_they_must_be(split: Path) -> None:
    asked = ("--synthetic-fraction", "0.3", "--unit", "words", "--count", "declared")
    made = build(split, "out", *asked)
    words = made["shares"]["got"]["words"]
    assert words["synthetic_fraction"] == pytest.approx(0.3, abs=1e-4)
    longest = 2_000
    assert 0 <= words["human"] * 3 / 7 - words["synthetic"] <= longest
    books = made["books"]
    assert books["read"] == HUMAN + SYNTHETIC
    assert books["read"] == books["kept"] + sum(books["left_out"].values())
    assert books["dead_letters"] == 0
    # Copies are the same ones whatever the detector says.
    assert books["left_out"]["exact_copy"] == 189
    assert made["content_digest"] == digest_of(split / "out/data")


def test_the_estimated_share_is_held_where_the_true_one_is_asked_for(
    split: Path,
) -> None:
    shares = build(split, "true", "--synthetic-fraction", "0.3")["shares"]
    assert shares["asked"] == 0.3
    assert shares["estimated"] == pytest.approx(0.3, abs=1e-3)
    assert shares["low"] <= shares["estimated"] <= shares["high"]
    # Hidden text is little where all human text is human; the model has seen it.
    assert 0.28 < shares["declared"] < 0.3
    assert shares["declared"] == shares["got"]["words"]["synthetic_fraction"]


def test_the_digest_is_the_one_of_every_earlier_version(split: Path) -> None:
    # Declared origins are kept, so that no detector has a say in it.
    made = build(
        split, "kept", "--synthetic-fraction", "0.3", "--flagged-human", "keep"
    )
    assert made["books"]["kept"] == 17_363
    assert made["content_digest"] == "d311b3674a6cd34961a6172a7071e0cc"
