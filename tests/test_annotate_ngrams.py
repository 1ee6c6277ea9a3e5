"""The n-grams of blocks: made in the reading that scores, and kept beside the facts."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthfilter import annotate
from synthfilter.annotate import AnnotateBlocks
from synthfilter.core import schema
from synthfilter.core.batches import set_column
from synthfilter.core.ngrams import NgramRows
from synthfilter.core.samples import ALL
from synthfilter.core.schema import Origin
from synthfilter.core.text import normalise
from synthfilter.detection.detector import load_detector
from synthfilter.detection.ngrams import sample_text
from synthfilter.inputs import documents
from synthfilter.inputs.blocks import Block, list_inputs, open_file
from synthfilter.inputs.sidecars import (
    UNREADABLE,
    facts_path,
    find_ngrams,
    load_ngrams,
    ngrams_path,
    signatures_path,
)

LONG = 400
TEXTS = [
    "Rain again, all day, and the river is up to the second step of the quay.",
    None,
    "word " * LONG,
    "",
    "One more, for a second batch; it has \u201cquotes\u201d and **marks**.",
]
WHOLE = (ALL,) * 3


class Even:
    """A detector of a user's own."""

    def score(self, column: pa.Array) -> np.ndarray:
        return np.full(len(column), 0.25)


@dataclasses.dataclass
class Place:
    """A block, a cache, and how often the block was read."""

    block: Block
    cache: str
    made: list[tuple]

    def annotate(self, **options: Any) -> list[dict[str, Any]]:
        """Runs the step as a build does and returns the facts; a missing score is 2."""
        told = {
            "detector": None,
            "max_document_bytes": 5 * LONG - 1,
            "shingle_words": None,
            "cache": self.cache,
            "beats": None,
            "ngrams": True,
        }
        step = AnnotateBlocks(**{**told, **options})
        step.setup()
        ((_, facts),) = step.process(self.block)
        scores = facts.column(schema.AI_SCORE).to_numpy()
        scores = pa.array(np.where(np.isnan(scores), np.float32(2), scores))
        return set_column(facts, schema.AI_SCORE, scores).to_pylist()

    def path(self) -> str:
        return ngrams_path(self.block, self.cache, 5 * LONG - 1)

    def ngrams(self) -> NgramRows:
        return load_ngrams(self.path())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return make_place(tmp_path, monkeypatch, Origin.UNKNOWN)


def make_place(tmp_path: Path, patch: pytest.MonkeyPatch, declared: Origin) -> Place:
    path = str(tmp_path / "t.parquet")
    pq.write_table(pa.table({"text": TEXTS}), path, row_group_size=2)
    (file,) = list_inputs({declared: [path]})
    (block,) = open_file(file, {}, str(tmp_path / "spool"), 1_000_000)
    found = Place(block, str(tmp_path / "cache"), [])
    annotate_block: Callable = annotate.annotate_block

    def spy(block: Block, *options: Any) -> Any:
        found.made.append(options)
        return annotate_block(block, *options)

    patch.setattr(annotate, "annotate_block", spy)
    return found


def equal(one: NgramRows, other: NgramRows) -> bool:
    pairs = zip(one.hashes + one.sizes, other.hashes + other.sizes, strict=True)
    return (
        one.below == other.below
        and np.array_equal(one.tokens, other.tokens)
        and all(np.array_equal(a, b) for a, b in pairs)
    )


def expected() -> NgramRows:
    """Of the texts, without the one that is too long."""
    left = [None if text and len(text) > 1000 else text for text in TEXTS]
    return sample_text(normalise(pa.array(left, pa.string())), WHOLE)


@pytest.mark.parametrize("batch_bytes", [1, 1 << 22])
@pytest.mark.parametrize("piece_bytes", [1, 1 << 21])
def test_a_block_has_the_ngrams_of_its_rows_whatever_the_borders(
    place: Place, batch_bytes: int, piece_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "_BATCH_BYTES", batch_bytes)
    monkeypatch.setattr(annotate, "_PIECE_BYTES", piece_bytes)
    place.annotate()
    assert equal(place.ngrams(), expected())
    assert place.ngrams().tokens.tolist()[1:4] == [0, 0, 0]


def test_a_second_build_reads_sidecars_alone(place: Place) -> None:
    facts = place.annotate(shingle_words=5)
    assert place.annotate(shingle_words=5) == facts
    assert len(place.made) == 1


def test_facts_are_the_same_with_and_without_ngrams(place: Place) -> None:
    facts = place.annotate()
    assert place.annotate(cache=place.cache + "2", ngrams=False) == facts
    assert find_ngrams(place.path().replace("cache", "cache2"), len(TEXTS)) is None


def test_what_is_missing_alone_is_made_anew(place: Place) -> None:
    facts = place.annotate(ngrams=False, shingle_words=5)
    assert place.annotate(shingle_words=5) == facts
    _, (detector, _, shingle_words, below) = place.made
    assert (detector, shingle_words, below) == (None, None, WHOLE)
    assert equal(place.ngrams(), expected())
    key = load_detector(None).scores_key
    Path(facts_path(place.block, place.cache, key, 5 * LONG - 1)).unlink()
    assert place.annotate(shingle_words=5) == facts
    Path(signatures_path(place.block, place.cache, 5, 5 * LONG - 1)).unlink()
    assert place.annotate(shingle_words=5) == facts
    assert [(made[2], made[3]) for made in place.made[2:]] == [(None, None), (5, None)]


@pytest.mark.parametrize("damage", ["shorter", "flipped", "another file"])
def test_damaged_ngrams_are_made_anew(place: Place, damage: str) -> None:
    place.annotate()
    path = Path(place.path())
    raw = bytearray(path.read_bytes())
    # The end of the page before it.
    raw[pq.read_metadata(path).row_group(0).column(1).data_page_offset - 5] ^= 1
    shorter, other = path.read_bytes()[:-9], Path(place.block.path).read_bytes()
    path.write_bytes({"shorter": shorter, "flipped": raw}.get(damage, other))
    place.annotate()
    assert len(place.made) == 2
    assert equal(place.ngrams(), expected())


def test_a_detector_of_ones_own_has_the_same_ngrams(place: Place) -> None:
    facts = place.annotate(detector=f"{__name__}:Even")
    assert facts[0][schema.AI_SCORE] == 0.25
    assert equal(place.ngrams(), expected())
    place.annotate()
    # Scored anew; the n-grams are known.
    assert [made[3] for made in place.made] == [WHOLE, None]


def test_a_reference_set_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = make_place(tmp_path, monkeypatch, Origin.REFERENCE)
    place.annotate()
    place.annotate()
    assert [made[3] for made in place.made] == [None]
    assert find_ngrams(place.path(), len(TEXTS)) is None


def test_ngrams_of_a_file_that_could_not_be_read_are_for_one_build(
    place: Place,
) -> None:
    raw = bytearray(Path(place.block.path).read_bytes())
    at = pq.read_metadata(place.block.path).row_group(0).column(0).data_page_offset
    raw[at : at + 8] = b"\xff" * 8
    Path(place.block.path).write_bytes(raw)
    facts = place.annotate()
    assert facts[0][schema.ERROR].startswith(UNREADABLE)
    assert len(place.ngrams().tokens) == len(TEXTS)
    assert find_ngrams(place.path(), len(TEXTS)) is None
    place.annotate()
    assert len(place.made) == 2
