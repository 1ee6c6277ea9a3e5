"""The review page as a file: whole, inert, and without a word of the build's own."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.insight.review_page import PageDocument, review_page

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!-- <script> --> ]]>",
    "<img src=x onerror=alert(1)>",
    "\u2028\u2029\u202e\x00\r\n'\"\\`${1}",
    "&lt;b&gt; &amp;",
]


def page_of(*texts: str, **options: str) -> str:
    documents = [
        PageDocument(f"{i:032x}", text, {"id": text}, [("id", text), ("score", "0.7")])
        for i, text in enumerate(texts)
    ]
    known = {"build_id": "b1", "focus": "random", "file_format": "verdicts", **options}
    return review_page(documents=documents, **known)


def data_of(page: str) -> dict:
    found = re.findall('<script type="application/json" id="data">(.*?)</script>', page)
    assert len(found) == 1
    return json.loads(found[0])


def without_data(page: str) -> str:
    return re.sub('(id="data">).*?(</script>)', r"\1\2", page)


@given(st.lists(st.text() | st.sampled_from(HOSTILE), min_size=1, max_size=4))
def test_documents_come_back_as_they_are_and_are_nothing_but_data(
    texts: list[str],
) -> None:
    page = page_of(*texts)
    assert [one["text"] for one in data_of(page)["documents"]] == texts
    assert without_data(page) == without_data(page_of("plain"))
    assert page.count("<script") == 2


def test_names_are_escaped_wherever_they_stand() -> None:
    page = page_of("text", build_id=HOSTILE[0], focus=HOSTILE[2], reviewer=HOSTILE[0])
    assert data_of(page)["build_id"] == HOSTILE[0]
    assert "<script>alert" not in page
    assert "<img" not in page


def test_the_page_needs_nothing_else_and_allows_nothing_else() -> None:
    page = page_of("text")
    policy = re.findall('Content-Security-Policy" content="(.*?)">', page)[0]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.findall(r"(?:src|href)=|https?://|url\(|@import", without_data(page))
    for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write"):
        assert sink not in page


def test_a_sample_is_known_by_its_documents_and_their_order() -> None:
    samples = [data_of(page_of(*texts))["sample"] for texts in ("ab", "ba", "abc")]
    assert samples[0] == samples[1] != samples[2]


def test_before_the_verdict_the_elements_say_nothing_of_a_document() -> None:
    outside = without_data(page_of("the text", focus="conflicts"))
    for word in ("the text", "0.7", "conflicts"):
        assert word not in outside


@pytest.mark.parametrize("key", ["h", "s", "r", "u", "z", "d", "b"])
def test_keys_are_told_to_those_who_do_not_see_them(key: str) -> None:
    assert f'aria-keyshortcuts="{key}"' in page_of("text")
