"""Lists of addresses whose text is known to be human or machine-written."""

import dataclasses
import functools
import re
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core.errors import UserError

_ADDRESS = (
    r"^\s*(?:(?:[A-Za-z][A-Za-z0-9+.-]*:)?//)?(?:[^/?#@\\\s]*@)?"
    r"(?P<host>\[[^\]\s]*\]|[^/?#:\\\s]*)(?::\d*)?(?P<path>/[^?#\s]*)?"
)
_ENTRY = re.compile(_ADDRESS + r"(?:[?#]\S*)?$")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\]")
_LONGEST_HOST = 253
_SHOWN = 80


@dataclasses.dataclass(frozen=True)
class UrlList:
    """Hosts with all that is below them, and parts of hosts.

    Attributes:
      entries: `(host, path)`, sorted; the path is empty for a whole host, and starts
        with a slash and ends without one for a part.
    """

    entries: tuple[tuple[str, str], ...]

    @functools.cached_property
    def paths(self) -> Mapping[str, frozenset[str]]:
        """The paths of each host."""
        held: dict[str, set[str]] = {}
        for host, path in self.entries:
            held.setdefault(host, set()).add(path)
        return {host: frozenset(paths) for host, paths in held.items()}


def read_url_list(lines: Iterable[str]) -> UrlList:
    """Returns the list that is written with one entry a line; `#` starts a comment.

    `example.com` is that host and its subdomains, `example.com/blog` what is below that
    path. Scheme, `www.`, user, port, query, case and a trailing dot do not count; hosts
    beyond ASCII may be written either way (IDNA).

    Raises:
      UserError: a line has no host; it is named by its number.
    """
    entries = set()
    for number, line in enumerate(lines, 1):
        entry = re.split(r"(?:^|\s)#", line.strip("\ufeff \t\r\n"), maxsplit=1)[0]
        entry = entry.strip()
        if not entry:
            continue
        parts = _ENTRY.match(entry)
        host = None if parts is None else plain_host(_without_star(parts["host"]))
        if parts is None or host is None:
            raise UserError(
                f"line {number}: expected a host or an address such as "
                f"example.com/blog, got {entry[:_SHOWN]!r}"
            )
        entries.add((host, (parts["path"] or "").rstrip("/")))
    return UrlList(tuple(sorted(entries)))


def _without_star(host: str) -> str:
    """Returns the host of `*.example.com` and `.example.com`."""
    return host.removeprefix("*").removeprefix(".")


@functools.lru_cache(maxsize=1 << 16)
def plain_host(host: str) -> str | None:
    """Returns a host as lists hold it; None for what is none."""
    host = host.lower().removesuffix(".").removeprefix("www.")
    if len(host) > _LONGEST_HOST:
        return None
    if not host.isascii():
        try:
            host = host.encode("idna").decode().lower()
        except UnicodeError:
            return None
    return host if _HOST.fullmatch(host) else None


def match_urls(urls: pa.Array, url_list: UrlList) -> np.ndarray:
    """Returns which addresses are on the list, bool; null and what is none are not.

    Each distinct host is looked up once, and a path only on hosts of which the list
    has a part.

    Args:
      urls: Strings; may hold nulls.
      url_list: Of `read_url_list`.
    """
    if not len(urls) or not url_list.entries:
        return np.zeros(len(urls), bool)
    parts = pc.extract_regex(urls, _ADDRESS)
    coded = parts.field("host").dictionary_encode()
    found = [_paths_of(host, url_list.paths) for host in coded.dictionary.to_pylist()]
    whole = np.array(["" in paths for paths in found] + [False])
    partly = np.array([bool(paths - {""}) for paths in found] + [False])
    at = coded.indices.fill_null(len(found)).to_numpy()
    mask = whole[at]
    rows = np.flatnonzero(partly[at] & ~mask)
    for row, path in zip(
        rows.tolist(), parts.field("path").take(pa.array(rows)).to_pylist(), strict=True
    ):
        paths = found[at[row]]
        mask[row] = any(prefix in paths for prefix in _prefixes(path))
    return mask


def _paths_of(host: str | None, listed: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Returns the paths that the list has of a host or of those that it is below."""
    plain = plain_host(host or "")
    found: frozenset[str] = frozenset()
    while plain:
        found |= listed.get(plain, frozenset())
        plain = plain.partition(".")[2]
    return found


def _prefixes(path: str) -> Iterator[str]:
    """Yields a path and all that it is below, on the borders of segments."""
    path = path.rstrip("/")
    while path:
        yield path
        path = path.rpartition("/")[0]
