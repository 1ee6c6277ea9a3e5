import html
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from synthfilter.core.text import printable
from synthfilter.insight.markdown import bullets, code, paragraph, plain, table

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
MARKUP = st.text(
    st.sampled_from(list("|-=#*_`~<>&[]()!\\+.:/$@1a \n\t\u202e\u2028\u00e9"))
)
HOSTILE = [
    "<script>alert(1)</script>",
    "a | b \\| c",
    "---\n# heading\n---",
    "1. one",
    "[x](javascript:y) ![z](w)",
    "```\ncode",
    "&lt;b&gt; &#60;",
    "<!-- no end",
    "https://e.org www.e.org a@e.org",
]


def words(rendered: str) -> str:
    """Returns what a page shows, without its tags; line ends are spaces."""
    return html.unescape(re.sub("<[^>]*>", "", rendered)).replace("\n", " ").strip()


def one_line(text: str) -> str:
    """Returns what is to be shown of a text; pages show spaces in a row as one."""
    return re.sub(" +", " ", printable(text.strip(), 300)).strip()


def same(rendered: str, text: str) -> bool:
    return re.sub(" +", " ", words(rendered)) == one_line(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_it_is(text: str) -> None:
    assert same(MARKDOWN.render(plain(text)), text)


@given(MARKUP)
def test_a_paragraph_is_one_and_has_no_markup(text: str) -> None:
    rendered = MARKDOWN.render(plain(text))
    assert set(re.findall("<(/?[a-z0-9]+)", rendered)) <= {"p", "/p"}
    assert same(rendered, text)


@given(st.lists(MARKUP.filter(str.strip), min_size=1, max_size=4))
@example(HOSTILE)
def test_a_list_has_as_many_items_as_lines(lines: list[str]) -> None:
    rendered = MARKDOWN.render(bullets(lines))
    items = re.findall(r"<li>(.*?)</li>", rendered, re.S)
    assert len(items) == len(lines)
    assert all(same(item, line) for item, line in zip(items, lines, strict=True))


@given(st.lists(st.tuples(MARKUP, MARKUP), max_size=4))
@example([(text, text) for text in HOSTILE])
def test_a_table_has_the_cells_that_it_was_given(rows: list[tuple[str, str]]) -> None:
    rendered = MARKDOWN.render(table(["name", "#documents"], rows))
    cells = re.findall(r"<td[^>]*>(.*?)</td>", rendered, re.S)
    given = [cell for row in rows for cell in row]
    assert len(cells) == len(given)
    assert all(same(cell, text) for cell, text in zip(cells, given, strict=True))
    assert '<th style="text-align:right">documents</th>' in rendered


@given(MARKUP)
def test_code_ends_where_it_should(text: str) -> None:
    tokens = MARKDOWN.parse(f"{code(text)}\n\nafter")
    assert tokens[0].type == "fence"
    assert tokens[0].content.count("\n") == text.count("\n") + 1
    assert tokens[2].content == "after"


def test_empty_lines_part_paragraphs() -> None:
    assert paragraph("One\nline.\r\n\r\n# Two\n \n\n") == "One line.\n\n\\# Two"
    assert paragraph("") == ""
