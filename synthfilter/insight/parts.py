"""What pages are made of: tables, numbers and names as HTML, and their policy."""

import base64
import hashlib
import html
import importlib.resources
import unicodedata
from collections.abc import Sequence
from typing import Any, Optional

from synthfilter.core.text import printable

# A name may be as long in a table; what people search for is in the files.
MOST_CHARACTERS = 120
# What is missing.
NOTHING = "\u2013"
# They join letters in many scripts, and turn nothing around.
_JOINERS = "\u200c\u200d"


class Number(str):
    """A cell that is aligned to the right."""

    __slots__ = ()


def read_part(name: str) -> str:
    """Returns a file beside this module."""
    where = importlib.resources.files("synthfilter.insight")
    return where.joinpath(name).read_text(encoding="utf-8")


def policy_source(part: str) -> str:
    """Returns what allows a style or script, and no other, in a policy."""
    digest = hashlib.sha256(part.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def policy(style: str, script: Optional[str] = None) -> str:
    """Returns the policy of a page with one style and at most one script."""
    scripts = "" if script is None else f"script-src {policy_source(script)}; "
    return (
        f"default-src 'none'; {scripts}style-src {policy_source(style)}; "
        "base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def page_head(title: str, style: str, script: Optional[str] = None) -> str:
    """Returns the beginning of a page, up to and with `</head>`."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        f'content="{policy(style, script)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style></head>\n"
    )


def escape(text: str) -> str:
    """Returns text as HTML, in an element or in a quoted attribute.

    Controls, and what turns text around, become U+FFFD.
    """
    if not text.isprintable():
        text = "".join(
            c if c.isprintable() or c in _JOINERS else "\ufffd" for c in text
        )
    return html.escape(text)


def name_of(value: Any, most: int = MOST_CHARACTERS) -> str:
    """Returns a name as people may see it: one line, no controls, not too long."""
    if value is None:
        return NOTHING
    return printable(str(value), most)


def short_names(names: Sequence[Any], most: int = 20) -> list[str]:
    """Returns names as a chart has room for, no two of them the same."""
    found: list[str] = []
    for name in names:
        text = _cut(name_of(name), most)
        number = 1
        unique = text
        while unique in found:
            number += 1
            unique = f"{_cut(text, most - 4)} ({number})"
        found.append(unique)
    return found


def _cut(text: str, most: int) -> str:
    """Returns text of at most so many columns."""
    used = 0
    for place, character in enumerate(text):
        used += columns_of(character)
        if used > most:
            return text[: max(place - 1, 1)].rstrip() + "…"
    return text


def columns_of(text: str) -> int:
    """Returns how wide text is; wide characters take two columns."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def prose(text: str, most: int) -> str:
    """Returns a piece of text in one line, and not too long."""
    said = " ".join(text[: 4 * most].split())
    return said if len(said) <= most else said[: most - 1] + "…"


def whole(value: Optional[float]) -> Number:
    """Returns a count, or a dash."""
    return Number(NOTHING if value is None else f"{value:,.0f}")


def share(value: Optional[float], digits: int = 2) -> Number:
    """Returns a share as a percentage, or a dash."""
    return Number(NOTHING if value is None else f"{value:.{digits}%}")


def decimal(value: Optional[float], digits: int = 4) -> Number:
    """Returns a number with so many digits after the point, or a dash."""
    return Number(NOTHING if value is None else f"{value:,.{digits}f}")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """Returns a table in a box that scrolls by itself; every cell is escaped.

    Args:
      columns: Their names; all empty if each row says what it has.
      rows: Cells; the first of each row is its heading, a `Number` is aligned right.
      caption: What the table has.
    """
    numbers = [isinstance(cell, Number) for cell in rows[0]] if rows else []
    numbers += [False] * (len(columns) - len(numbers))
    head = "".join(
        f'<th scope="col"{_aligned(number)}>{escape(name)}</th>'
        for name, number in zip(columns, numbers, strict=True)
    )
    head = f"<thead><tr>{head}</tr></thead>" if any(columns) else ""
    body = "\n".join(_row(row) for row in rows)
    return (
        f'<div class="wide" tabindex="0" role="group" aria-label="{escape(caption)}">'
        f"<table><caption>{escape(caption)}</caption>"
        f"{head}\n<tbody>{body}</tbody></table></div>"
    )


def _row(row: Sequence[str]) -> str:
    first, *others = row
    cells = "".join(
        f"<td{_aligned(isinstance(cell, Number))}>{escape(cell)}</td>"
        for cell in others
    )
    return f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>'


def _aligned(number: bool) -> str:
    return ' class="n"' if number else ""
