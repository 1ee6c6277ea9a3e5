import pytest

from synthfilter.core.errors import UserError
from synthfilter.core.licenses import License, parse_license

SPDX = "https://spdx.org/licenses"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("cc-by-4.0", License("CC-BY-4.0", "cc-by-4.0", f"{SPDX}/CC-BY-4.0.html")),
        (" MIT ", License("MIT", "mit", f"{SPDX}/MIT.html")),
        ("0BSD", License("0BSD", "other", f"{SPDX}/0BSD.html")),
        ("odc-by", License("ODC-By-1.0", "odc-by", f"{SPDX}/ODC-By-1.0.html")),
        ("ODbL-1.0", License("ODbL-1.0", "odbl", f"{SPDX}/ODbL-1.0.html")),
        (
            "GPL-3.0-or-later",
            License("GPL-3.0-or-later", "gpl-3.0", f"{SPDX}/GPL-3.0-or-later.html"),
        ),
        ("OpenRAIL++", License("openrail++", "openrail++", None)),
        ("llama3.1", License("llama3.1", "llama3.1", None)),
        ("https://a.org/l", License("https://a.org/l", "other", "https://a.org/l")),
    ],
)
def test_a_licence_has_its_name_on_the_hub_and_an_address(
    said: str, expected: License
) -> None:
    assert parse_license(said, "license") == expected
    assert expected.known


@pytest.mark.parametrize("said", ["unknown", "Other"])
def test_what_is_no_licence_is_not_known(said: str) -> None:
    found = parse_license(said, "license")
    assert (found.hub, found.url, found.known) == (said.lower(), None, False)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "mine",
        "MIT OR 0BSD",
        "LicenseRef-x",
        "mit|x",
        "a\nb",
        "javascript:x",
        "ftp://a.org",
        "https://a.org/<script>",
    ],
)
def test_anything_else_is_refused_in_one_line(said: str) -> None:
    with pytest.raises(UserError, match="license expects an SPDX or Hugging") as caught:
        parse_license(said, "license")
    assert "\n" not in str(caught.value)
