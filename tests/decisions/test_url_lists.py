from collections.abc import Mapping

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.errors import UserError
from synthfilter.decisions import url_lists
from synthfilter.decisions.url_lists import UrlList, match_urls, read_url_list

LIST = read_url_list(
    [
        "# where people write",
        "example.com",
        "",
        "https://WWW.Blog.example.org:8080/people/  # their part",
        "m\u00fcnchen.de",
        "*.gov",
        "[2001:db8::1]",
    ]
)


def matched(*urls: str | None, listed: UrlList = LIST) -> list[bool]:
    return match_urls(pa.array(urls, pa.string()), listed).tolist()


def test_a_list_holds_hosts_and_parts_of_hosts() -> None:
    assert LIST.entries == (
        ("[2001:db8::1]", ""),
        ("blog.example.org", "/people"),
        ("example.com", ""),
        ("gov", ""),
        ("xn--mnchen-3ya.de", ""),
    )


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a",
        "http://EXAMPLE.com",
        "https://www.example.com:443/?q=1#x",
        "https://deep.sub.example.com./a",
        "//example.com/a",
        "example.com/a",
        "https://user:word@example.com/",
        "https://blog.example.org/people",
        "https://blog.example.org/people/ann/",
        "http://a.blog.example.org/people?page=2",
        "https://xn--mnchen-3ya.de/",
        "https://www.m\u00fcnchen.de/a",
        "https://nasa.gov",
        "http://[2001:DB8::1]:80/a",
        "  https://example.com/a",
    ],
)
def test_what_is_on_the_list_is_found(url: str) -> None:
    assert matched(url) == [True]


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "https://notexample.com/",
        "https://example.com.evil.net/",
        "https://evil.net/example.com",
        "https://evil.net/?u=https://example.com/",
        "https://evil.net#@example.com/",
        "https://evil.net\\@example.com/",
        "https://blog.example.org/",
        "https://blog.example.org/peoples",
        "https://blog.example.org/other/people",
        "https://example.org/people",
        "not an address",
        "http://",
        "https://..",
        "https://" + "a." * 300 + "example.com",
        "https://\u00e4" + "\u00e4" * 300 + ".example.com",
        "x" * 1_000_000,
        "https://evil.net/" + "a/" * 100_000,
    ],
)
def test_what_is_not_on_the_list_is_not(url: str | None) -> None:
    assert matched(url) == [False]


def test_a_long_path_on_a_listed_host_is_looked_up() -> None:
    long = "https://blog.example.org/people/" + "a/" * 1000
    assert matched(long, long.replace("people", "crowd")) == [True, False]


@pytest.mark.parametrize(
    "line",
    ["hello world", "http://", "/blog", "||ads.com^", "a..b", "-a.com", "\u00e4" * 300],
)
def test_a_line_without_a_host_is_an_error_that_names_it(line: str) -> None:
    with pytest.raises(UserError, match="line 2: expected a host") as raised:
        read_url_list(["example.com", line])
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 200


def test_an_empty_list_and_no_addresses_match_nothing() -> None:
    assert read_url_list(["", "# nothing"]).entries == ()
    assert matched("https://example.com", listed=read_url_list([])) == [False]
    assert matched() == []
    assert match_urls(pa.nulls(2, pa.string()), LIST).tolist() == [False, False]


def test_a_list_is_the_same_in_any_order() -> None:
    lines = ["b.com/x", "a.com", "b.com", "https://a.com/"]
    again = read_url_list(reversed(lines))
    assert read_url_list(lines) == again
    assert repr(read_url_list(lines)) == repr(again)


HOSTS = st.sampled_from(["a.com", "b.a.com", "c.org", "ba.com"])
PATHS = st.sampled_from(["", "/x", "/x/y", "/xy"])


@given(
    st.lists(st.tuples(HOSTS, PATHS), max_size=4),
    st.lists(st.none() | st.tuples(HOSTS, PATHS), max_size=8),
    st.integers(0, 8),
)
def test_addresses_are_found_by_the_definition(
    listed: list[tuple[str, str]], asked: list[tuple[str, str] | None], cut: int
) -> None:
    def is_below(host: str, path: str) -> bool:
        return any(
            f".{host}".endswith(f".{known}") and f"{path}/".startswith(f"{prefix}/")
            for known, prefix in listed
        )

    found = read_url_list(host + path for host, path in listed)
    urls = [None if a is None else f"https://{a[0]}{a[1]}" for a in asked]
    wanted = [a is not None and is_below(*a) for a in asked]
    assert matched(*urls, listed=found) == wanted
    halves = matched(*urls[:cut], listed=found), matched(*urls[cut:], listed=found)
    assert [*halves[0], *halves[1]] == wanted


def test_each_host_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []
    look_up = url_lists._paths_of

    def spy(host: str | None, listed: Mapping[str, frozenset[str]]) -> frozenset[str]:
        asked.append(host)
        return look_up(host, listed)

    monkeypatch.setattr(url_lists, "_paths_of", spy)
    urls = [f"https://h{number % 7}.net/{number}" for number in range(1000)]
    assert sum(matched(*urls, listed=read_url_list(["h3.net"]))) == 143
    assert len(asked) == 7
