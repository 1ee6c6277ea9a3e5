import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthfilter.core.text import normalise
from synthfilter.detection.canonical import canonicalise


def canonical(text: str) -> str:
    return canonicalise(normalise(pa.array([text])))[0].as_py()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "\u201cYes,\u201d she said\u2014it\u2019s 5\u20136\u2026",
            '"Yes," she said-it\'s 5-6...',
        ),
        ("«oui» \u2018no\u2019 3 \u2212 2", "\"oui\" 'no' 3 - 2"),
        ("a -- b --- c", "a - b - c"),
        ("**bold** and *it* and ***both***", "bold and it and both"),
        ("__bold__ _it_ snake_case __init__", "bold it snake_case init"),
        ("~~gone~~ ~5", "gone ~5"),
        ("Use `code` here", "Use code here"),
        ("Run:\n```python\nx = 1\n```\ndone", "Run: x = 1 done"),
        ("[the docs](http://a.b/c) and ![alt](x.png)", "the docs and alt"),
        ('[t](u "title") [1] [^2]', "t [1]"),
        ("# Title\nText\n## Next\nMore C# 5", "Title Text Next More C# 5"),
        ("Buy:\n- milk.\n- eggs.\n* ham", "Buy: milk. eggs. ham"),
        ("• one\n• two", "one two"),
        ("> quoted", "quoted"),
        ("| a | b |\n|---|:-:|\n| c | d |", "a b c d"),
        ("<p>One</p><p>Two</p>", "One Two"),
        ("<b>bo</b>ld <a href='x'>link</a><br/>end", "bold link end"),
        ("a<!-- not this -->b <script>var x;</script> c", "a b c"),
        ("<https://example.org/x>", "https://example.org/x"),
        ("&quot;q&quot; R&amp;D 1 &lt; 2 &mdash; &#39;x&#39;", "\"q\" R&D 1 < 2 - 'x'"),
    ],
)
def test_markup_and_typography_are_taken_out(text, expected):
    assert canonical(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2*3*4 and a * b",
        "a < b and c > d, Vec<T>",
        "x - y, well-known, -5, C++",
        "AT&T, a[0], f(x)[1] (see note)",
        "issue #5 and #tag",
        "café 中文 naïve",
        "*",
        "",
    ],
)
def test_what_is_no_markup_stays(text):
    assert canonical(text) == text


@given(
    st.lists(
        st.text(alphabet="ab .-*_`#[]()<>&;|~+'\"\u2014\u2019\u2022\n", max_size=30)
    )
)
@settings(max_examples=40)
def test_each_document_is_treated_alone_and_left_normalised(texts):
    column = normalise(pa.array(texts, pa.string()))
    got = canonicalise(column)
    assert got.to_pylist() == [
        canonicalise(column.slice(i, 1))[0].as_py() for i in range(len(column))
    ]
    assert got.to_pylist() == normalise(got).to_pylist()


def test_text_without_markers_comes_back_unchanged():
    column = normalise(pa.array(["Plain text, nothing else.", "Well-known - yes."]))
    assert canonicalise(column).equals(column)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_any_string_type_and_slices_are_taken(kind):
    column = pa.array(["x", "**a**", None, "`b`", "y"], kind).slice(1, 3)
    assert canonicalise(column).to_pylist() == ["a", "", "b"]


def test_markup_that_never_ends_takes_linear_time():
    for piece in ("<b", "[a](", "**", "`", "<!--", "_a", "&lt", "*a "):
        assert len(canonical(piece * 50_000)) <= len(piece) * 50_000
