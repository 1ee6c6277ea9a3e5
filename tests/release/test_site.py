"""The site is made of the pages and the docstrings, without a warning or a network."""

import html
import io
import re
import warnings
from pathlib import Path

import pytest
from sphinx.application import Sphinx

import synthfilter

ROOT = Path(__file__).parents[2]


def make_site(source: Path, folder: Path) -> str:
    """Makes the site of the pages in a folder, and returns all warnings."""
    said = io.StringIO()
    with warnings.catch_warnings():
        # Of Sphinx's own code; those about pages are among what is returned.
        warnings.simplefilter("ignore")
        app = Sphinx(
            source,
            ROOT / "docs",
            folder / "site",
            folder / "trees",
            "html",
            status=None,
            warning=said,
        )
        app.build()
    return said.getvalue()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    assert make_site(ROOT, folder) == ""
    return folder / "site"


def text_of(page: Path) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text()))


def test_every_page_is_in_the_navigation(site: Path) -> None:
    first = (site / "index.html").read_text()
    for page in sorted(ROOT.glob("docs/*.md")):
        assert f'href="docs/{page.stem}.html"' in first, page


def test_every_public_name_and_its_options_are_described(site: Path) -> None:
    page = text_of(site / "docs/api.html")
    for name in synthfilter.__all__:
        assert name.startswith("_") or f"synthfilter.{name}" in page, name
    # One of Mix's own, one that it has from its base, with its default.
    assert "fields (list[str])" in page
    assert re.search(r"unit \(str\) [^\n]*Default: 'words'", page)


def test_blocks_that_are_set_in_are_code(site: Path) -> None:
    page = (site / "docs/api.html").read_text()
    blocks = "\n".join(re.findall(r"<pre>(.*?)</pre>", page, re.S))
    code = html.unescape(re.sub(r"<[^>]+>", "", blocks))
    assert "scored = texts | RunInference(FastTextModelHandler())" in code


def test_every_command_is_described(site: Path) -> None:
    page = text_of(site / "docs/commands.html")
    for command in ("build", "score", "ledger show", "review export", "verify"):
        assert f"usage: synthfilter {command} " in page


def test_links_to_files_that_are_no_pages_are_their_names(site: Path) -> None:
    first = (site / "index.html").read_text()
    assert "two are in examples/detectors" in text_of(site / "index.html")
    assert 'href="examples/detectors' not in first


def test_nothing_is_fetched_when_it_is_read(site: Path) -> None:
    loaded = [
        address
        for page in site.rglob("*.html")
        for tag in re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", page.read_text())
        for address in re.findall(r'(?:src|href)="([^"]*)"', tag)
    ]
    assert loaded
    assert not [address for address in loaded if re.match("[a-z]+:|//", address)]
    styles = [path.read_text() for path in site.rglob("*.css")]
    assert not re.findall(r"(?:url\(|@import )[\"']?(?:https?:)?//", "".join(styles))


def test_a_broken_link_is_a_warning(tmp_path: Path) -> None:
    page = tmp_path / "pages/README.md"
    page.parent.mkdir()
    page.write_text("# Title\n\nRead [this](docs/gone.md).\n")
    said = make_site(page.parent, tmp_path)
    assert "target not found: 'docs/gone.md'" in said
