"""A file of the human archive, by what is in it and not by its name or format."""

import dataclasses
from collections.abc import Iterable

from synthfilter.core.hashing import add_digests


@dataclasses.dataclass(frozen=True)
class ArchiveFile:
    """What a file of the archive holds.

    Attributes:
      name: Its path, for people.
      digest: Of its documents, in any order (`core.hashing.content_digest`).
      documents: Their number.
      bytes: Of their text.
      words: Of their text.
    """

    name: str
    digest: str
    documents: int
    bytes: int
    words: int


def add_parts(parts: Iterable[ArchiveFile]) -> ArchiveFile:
    """Returns what all parts of one file hold, at least one."""
    parts = list(parts)
    return ArchiveFile(
        parts[0].name,
        add_digests(part.digest for part in parts),
        sum(part.documents for part in parts),
        sum(part.bytes for part in parts),
        sum(part.words for part in parts),
    )
