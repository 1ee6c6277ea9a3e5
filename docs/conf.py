"""How the pages become a site: `make docs`.

The source is the whole repository, so that links mean the same here and where the
repository is browsed. The README is the first page. Nothing is fetched, neither when
the site is made nor when it is read.
"""

import dataclasses
import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import stringify_annotation

import synthfilter
from synthfilter.cli import make_parser
from synthfilter.options import describe_fields
from synthfilter.version import __version__

ROOT = Path(__file__).resolve().parents[1]

project = "synthfilter"
release = version = __version__
copyright = "the authors of synthfilter, Apache-2.0"
language = "en"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "README"
include_patterns = [
    "README.md",
    "CHANGELOG.md",
    "docs/*.md",
    "models/README.md",
    "benchmarks/README.md",
]
exclude_patterns = ["**/.*", ".*", "build", "dist", "demo", "out", "site"]

myst_heading_anchors = 3
default_role = "code"  # docstrings write `name`, as Markdown does
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
maximum_signature_line_length = 70
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"synthfilter {__version__}"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
pygments_style = "friendly"

# In the order in which people read them; pages that are not here come after them.
_PAGES = {
    "Guide": [
        "docs/install",
        "docs/inputs",
        "docs/origin",
        "docs/true-share",
        "docs/mixture",
        "docs/outputs",
        "docs/object-stores",
        "docs/inspecting",
        "docs/sweep",
        "docs/diversity",
        "docs/monitor",
    ],
    "Reference": ["docs/commands", "docs/api", "models/README"],
    "Background": ["docs/decisions", "benchmarks/README", "CHANGELOG"],
}
_LISTED = {page for pages in _PAGES.values() for page in pages}


class CommandHelp(SphinxDirective):
    """Says what every command takes, as its `--help` does."""

    def run(self) -> list[nodes.Node]:
        """Returns a section for each command."""
        sections = []
        for name, parser in _commands(make_parser(), "synthfilter"):
            parser.formatter_class = partial(parser.formatter_class, width=84)
            sections += self._section(name, parser.format_help())
        return sections

    def _section(self, name: str, text: str) -> list[nodes.Node]:
        section = nodes.section(ids=[nodes.make_id(name)], names=[name])
        section += nodes.title(name, name)
        section += nodes.literal_block(text, text, language="text")
        self.state.document.note_implicit_target(section)
        return [section]


def _commands(parser: Any, name: str) -> list[tuple[str, Any]]:
    """Returns the names and parsers of a command and of those below it."""
    below = [
        found
        for action in parser._actions
        if isinstance(action.choices, dict)
        for word, command in action.choices.items()
        for found in _commands(command, f"{name} {word}")
    ]
    return [(name, parser), *below]


def add_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    """Lists all pages below the first one, where only the site sees it."""
    if page != root_doc:
        return
    new = sorted(
        f"docs/{path.stem}"
        for path in ROOT.glob("docs/*.md")
        if f"docs/{path.stem}" not in _LISTED
    )
    for caption, pages in _PAGES.items():
        listed = [*pages, *(new if caption == "Guide" else [])]
        listed = [page for page in listed if (ROOT / f"{page}.md").exists()]
        lines = "\n".join(f"/{page}" for page in listed)
        source[0] += (
            f"\n\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{lines}\n```\n"
        )


def list_public_names(app: Sphinx, page: str, source: list[str]) -> None:
    """Describes what `import synthfilter` has, in the order of `__all__`."""
    if page == "docs/api":
        names = [n for n in synthfilter.__all__ if not n.startswith("_")]
        kinds = [isinstance(getattr(synthfilter, name), type) for name in names]
        lines = "\n".join(
            f".. auto{'class' if kind else 'function'}:: synthfilter.{name}"
            for name, kind in zip(names, kinds, strict=True)
        )
        block = f"```{{eval-rst}}\n{lines}\n```"
        source[0] = source[0].replace("<!-- public names -->", block)


def name_folders(app: Sphinx, page: str, source: list[str]) -> None:
    """Leaves the names of links to folders and files that a site does not have."""
    folder = (ROOT / page).parent

    def keep_pages(link: re.Match[str]) -> str:
        path = folder / link[2]
        if not path.exists():
            return link[0]
        shown = path.suffix in (".md", ".svg", ".png")
        return link[0] if shown else link[1]

    source[0] = re.sub(r"\[([^]]*)\]\(([^)#:]+)\)", keep_pages, source[0])


def show_code(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Marks blocks set in by four spaces as code, which in Markdown they are."""
    text = re.sub(r"\n\n(?=    \S)", "\n\n::\n\n", "\n".join(lines))
    lines[:] = text.split("\n")


def tell_options(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]
) -> None:
    """Describes every option of a class where it is used, those of its bases too."""
    if not dataclasses.is_dataclass(thing):
        return
    del lines[lines.index("Args:") if "Args:" in lines else len(lines) :]
    texts = describe_fields(thing)
    lines += ["", "Args:"]
    for field in dataclasses.fields(thing):
        kind = stringify_annotation(field.type, "fully-qualified-except-typing")
        lines += [f"  {field.name} ({kind}): {texts[field.name]}{_default(field)}"]


def _default(field: dataclasses.Field) -> str:
    """Returns a sentence about the default of an option that has one."""
    value = field.default
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    if value is dataclasses.MISSING or value is None or value in ([], {}):
        return ""
    return f" Default: `{value!r}`."


def shorten_signature(
    app: Sphinx, what: str, name: str, thing: Any, *_: Any
) -> tuple[str, str] | None:
    """Leaves the options to the list of them, which says more."""
    return ("(...)", "") if dataclasses.is_dataclass(thing) else None


def add_index(app: Sphinx, error: Exception | None) -> None:
    """Makes the first page the one that a server, or a folder, opens."""
    if error is None and app.builder.format == "html":
        shutil.copyfile(Path(app.outdir, "README.html"), Path(app.outdir, "index.html"))


def setup(app: Sphinx) -> None:
    """Adds what Sphinx does not have."""
    app.add_directive("command-help", CommandHelp)
    app.connect("source-read", name_folders)
    app.connect("source-read", add_navigation)
    app.connect("source-read", list_public_names)
    # Before napoleon reads the arguments.
    app.connect("autodoc-process-docstring", show_code, priority=100)
    app.connect("autodoc-process-docstring", tell_options, priority=100)
    app.connect("autodoc-process-signature", shorten_signature)
    app.connect("build-finished", add_index)
