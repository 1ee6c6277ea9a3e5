"""What is known of origins besides what documents say: lists, dates and verdicts."""

from collections.abc import Sequence

import xxhash

from synthfilter.core import storage
from synthfilter.core.errors import UserError
from synthfilter.core.times import parse_day
from synthfilter.decisions.origin import OutsideEvidence
from synthfilter.decisions.url_lists import UrlList, read_url_list
from synthfilter.decisions.verdicts import effective_verdicts
from synthfilter.ledger.verdicts import read_verdicts

NEVER = "never"


def parse_human_before(said: str) -> int | None:
    """Returns the start of a day in milliseconds since 1970; None for `never`.

    Raises:
      UserError: it is neither that nor a day.
    """
    return None if said == NEVER else parse_day(said, "human_before")


def read_outside_evidence(
    human_urls: Sequence[str],
    synthetic_urls: Sequence[str],
    human_before: str,
    ledger: str | None,
) -> OutsideEvidence:
    """Returns what files, options and people say of origins.

    Args:
      human_urls: Files that list addresses of human text.
      synthetic_urls: Files that list addresses of machine text.
      human_before: See `parse_human_before`.
      ledger: Path of the ledger with people's verdicts; None for none.

    Raises:
      UserError: a file cannot be read, a line of it is no address, or what is at the
        path is no ledger.
    """
    return OutsideEvidence(
        read_url_files(human_urls),
        read_url_files(synthetic_urls),
        parse_human_before(human_before),
        None if ledger is None else effective_verdicts(read_verdicts(ledger)),
    )


def read_url_files(paths: Sequence[str]) -> UrlList | None:
    """Returns the addresses of all files together; None for no file."""
    if not paths:
        return None
    lines: list[str] = []
    for path in paths:
        found = read_lines(path)
        try:
            read_url_list(found)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        lines += found
    return read_url_list(lines)


def read_lines(path: str) -> list[str]:
    """Returns the lines of a UTF-8 text file.

    Raises:
      UserError: there is none, or it is something else.
    """
    try:
        return storage.read_bytes(path).decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: expected a text file, got {error}") from error


def evidence_key(outside: OutsideEvidence) -> str:
    """Returns a digest of what is known: another one may mean another set."""
    verdicts = outside.verdicts
    said = (
        outside.human_urls,
        outside.synthetic_urls,
        outside.human_before,
        verdicts.digest if verdicts is not None and len(verdicts.verdict) else None,
    )
    return xxhash.xxh3_64_hexdigest(repr(said).encode())
