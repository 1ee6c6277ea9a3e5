"""Markdown of hostile text: nothing in it is markup, ends a table or a page."""

import re
from collections.abc import Sequence

from synthfilter.core.text import printable

_MOST = 300
# What is markup wherever it stands; underscores are not inside a word. The addresses
# that pages make links of by themselves end at a backslash.
_MARKUP = re.compile(
    r"[\\`*\[\]|~$@]|(?<![a-z0-9])_|_(?![a-z0-9])|:(?=//)|(?<=\bwww)\.", re.I
)
# And what begins a heading, a list or a rule, or ends one.
_AT_START = re.compile(r"^(?=[#+=-])|^\d+(?=[.)])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def plain(text: str, most: int = _MOST) -> str:
    """Returns text, on one line, that Markdown shows as it is.

    Args:
      text: Any text.
      most: Characters it may have.
    """
    safe = printable(text.strip(), most)
    safe = _MARKUP.sub(lambda found: f"\\{found[0]}", safe)
    safe = _AT_START.sub(lambda found: f"{found[0]}\\", safe)
    return re.sub(r"[&<>]", lambda found: _ENTITIES[found[0]], safe)


def paragraph(text: str) -> str:
    """Returns paragraphs, parted by empty lines, that Markdown shows as they are."""
    parts = re.split(r"\n\s*\n", text.replace("\r\n", "\n").replace("\r", "\n"))
    said = (plain(" ".join(part.split()), len(part) + 1) for part in parts)
    return "\n\n".join(part for part in said if part)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table; every cell is shown as it is, numbers on the right.

    Args:
      head: Names of the columns; what is below `#name` are numbers.
      rows: Cells.
    """
    rule = ["--:" if name.startswith("#") else "---" for name in head]
    lines = [[name.removeprefix("#") for name in head], *rows]
    shown = [" | ".join(map(plain, line)) for line in lines]
    shown.insert(1, " | ".join(rule))
    return "\n".join(f"| {line} |" for line in shown)


def bullets(lines: Sequence[str]) -> str:
    """Returns a list; every line is shown as it is."""
    return "\n".join(f"- {plain(line, 1000)}" for line in lines)


def code(text: str, language: str = "") -> str:
    """Returns a block of code, fenced with more backticks than are in it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    safe = "\n".join(printable(line, len(line) + 1) for line in text.split("\n"))
    return f"{fence}{language}\n{safe}\n{fence}"
