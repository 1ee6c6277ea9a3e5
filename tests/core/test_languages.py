import pytest

from synthfilter.core.languages import language_tag


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("en", "en"),
        (" FR ", "fr"),
        ("EN_us", "en-US"),
        ("zh-hant", "zh-Hant"),
        ("SR-latn-rs", "sr-Latn-RS"),
        ("es-419", "es-419"),
        ("de-1996", "de-1996"),
        ("gsw", "gsw"),
    ],
)
def test_tags_are_spelt_as_bcp_47_spells_them(name: str, tag: str) -> None:
    assert language_tag(name) == tag


@pytest.mark.parametrize(
    "name", ["", "english", "e", "und", "mul", "en|us", "en-", "en\nde", "<b>", "1n"]
)
def test_what_is_no_tag_is_none(name: str) -> None:
    assert language_tag(name) is None
