"""Harvests human prose from what every Python environment carries.

Documentation, long descriptions and docstrings of the installed distributions and
of the standard library: text that people wrote, whose source and licence are known,
and that is there without a network. Files are parsed, never imported.
"""

import ast
import importlib.metadata
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution
from pathlib import Path, PurePosixPath
from platform import python_version

from prose import prose_sections

MIN_WORDS = 60
MAX_WORDS = 700
# A document ends with the docstring or section in which it reaches this length.
CLOSE_AT_WORDS = 180
# Docstrings with one short sentence of prose make lists, not prose.
MIN_UNIT_WORDS = 25
MAX_FILE_BYTES = 2_000_000
# The demo must not take the product's own text for a stranger's.
OWN_NAMES = {"synthfilter"}

SKIPPED_FOLDERS = {
    "test", "tests", "testing", "testdata", "_tests", "idle_test", "site-packages",
    "dist-packages", "__pycache__",
}  # fmt: skip
SKIPPED_FILE = re.compile(
    r"test_.*|.*_tests?\.py|conftest\.py|.*_pb2(_grpc)?\.py|LICEN[CS]E.*|COPYING.*"
)
DOCUMENTATION_SUFFIXES = {".md", ".rst"}
SUITES = ("body", "orelse", "finalbody", "handlers", "cases")


def harvest(max_documents: int | None = None) -> Iterator[dict]:
    """Yields documents of human prose found in this Python environment.

    Each has `id`, `text`, `source` (name and version), `license` (None where
    unknown), `created` (None: no file says when its text was written) and `path`
    inside the distribution. The order is the same for the same environment.
    Recent packages may hold text that a model helped to write; nothing here
    can tell.

    Args:
      max_documents: Stop after this many documents; None takes all.
    """
    if max_documents is not None and max_documents < 0:
        raise ValueError(f"max_documents must be >= 0 or None, got {max_documents!r}")
    for number, document in enumerate(all_documents()):
        if number == max_documents:
            return
        yield document


def all_documents() -> Iterator[dict]:
    """Yields the standard library's documents, then each distribution's by name."""
    yield from library_documents(Path(sysconfig.get_paths()["stdlib"]))
    for distribution in distributions_by_name():
        yield from distribution_documents(distribution)


def library_documents(folder: Path) -> Iterator[dict]:
    """Yields the documents of Python's own library."""
    source = f"python {python_version()}"
    for path in sorted(folder.rglob("*.py")):
        inside = PurePosixPath(path.relative_to(folder).as_posix())
        yield from file_documents(path, inside, source, "PSF-2.0")


def distribution_documents(distribution: Distribution) -> Iterator[dict]:
    """Yields the documents of one distribution, its long description first."""
    source = f"{distribution.metadata['Name']} {distribution.version}"
    license_name = find_license(distribution)
    _, _, description = metadata_text(distribution).partition("\n\n")
    units = prose_sections(description)
    yield from numbered(units, source, license_name, "METADATA")
    for file in sorted(distribution.files or [], key=str):
        if ".." not in file.parts:
            path = Path(str(distribution.locate_file(file)))
            yield from file_documents(path, file, source, license_name)


def distributions_by_name(search_path: list[str] | None = None) -> list[Distribution]:
    """Lists installed distributions, the first on the path for each name.

    Args:
      search_path: Folders to look in; None means sys.path.
    """
    path = sys.path if search_path is None else search_path
    found: dict[str, Distribution] = {}
    for distribution in importlib.metadata.distributions(path=path):
        if not metadata_text(distribution):
            continue  # the remains of an installation
        name = distribution.metadata["Name"].lower().replace("_", "-")
        if name not in OWN_NAMES:
            found.setdefault(name, distribution)
    return [found[name] for name in sorted(found)]


def metadata_text(distribution: Distribution) -> str:
    """Returns the metadata file's text: header fields, then the description."""
    try:
        text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO")
    except (OSError, UnicodeDecodeError):
        return ""
    return text if text and "Name" in distribution.metadata else ""


def find_license(distribution: Distribution) -> str | None:
    """Returns the licence's name from the metadata, or None."""
    metadata = distribution.metadata
    for field in ("License-Expression", "License"):
        value = metadata[field].strip() if field in metadata else ""
        if value:
            return value.splitlines()[0].split("  ")[0][:80].strip()
    for classifier in metadata.get_all("Classifier") or []:
        if classifier.startswith("License :: "):
            return classifier.rsplit(" :: ", 1)[1]
    return None


def file_documents(
    path: Path, inside: PurePosixPath, source: str, license_name: str | None
) -> Iterator[dict]:
    """Yields the documents of one file; none for a test, a bad or a large file."""
    if SKIPPED_FOLDERS & set(inside.parts) or SKIPPED_FILE.fullmatch(inside.name):
        return
    if inside.suffix != ".py" and inside.suffix not in DOCUMENTATION_SUFFIXES:
        return
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return
    if inside.suffix in DOCUMENTATION_SUFFIXES:
        units = prose_sections(text)
    elif '"""' in text or "'''" in text:
        units = [unit for doc in docstrings(text) for unit in prose_sections(doc)]
    else:
        return
    yield from numbered(units, source, license_name, inside.as_posix())


def docstrings(code: str) -> list[str]:
    """Returns the docstrings of a module in the order of the source.

    The help topics of the standard library (a dict of long texts called `topics`)
    count as docstrings; they are the language reference.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd escapes in other people's code
        try:
            module = ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return []
    found: list[str] = []
    collect_docstrings(module, found)
    for node in module.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            if getattr(node.targets[0], "id", None) == "topics":
                found += [
                    value.value
                    for value in node.value.values
                    if isinstance(value, ast.Constant) and isinstance(value.value, str)
                ]
    return found


def collect_docstrings(node: ast.AST, found: list[str]) -> None:
    """Appends the docstrings of a node and of what is defined in it to `found`."""
    if isinstance(
        node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    ):
        docstring = ast.get_docstring(node)
        if docstring:
            found.append(docstring)
    for suite in SUITES:
        for child in getattr(node, suite, ()):
            if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
                collect_docstrings(child, found)


def pack(units: Iterable[list[str]]) -> Iterator[str]:
    """Joins short units of paragraphs to texts of MIN_WORDS to MAX_WORDS words.

    Paragraphs stay whole and in order; units below MIN_UNIT_WORDS and what is
    too short at the end are left out.
    """
    paragraphs: list[str] = []
    words = 0
    for unit in units:
        if sum(len(paragraph.split()) for paragraph in unit) < MIN_UNIT_WORDS:
            continue
        for paragraph in unit:
            length = len(paragraph.split())
            if words + length > MAX_WORDS:
                if words >= MIN_WORDS:
                    yield "\n\n".join(paragraphs)
                paragraphs, words = [], 0
            if length <= MAX_WORDS:
                paragraphs.append(paragraph)
                words += length
        if words >= CLOSE_AT_WORDS:
            yield "\n\n".join(paragraphs)
            paragraphs, words = [], 0
    if words >= MIN_WORDS:
        yield "\n\n".join(paragraphs)


def numbered(
    units: Iterable[list[str]], source: str, license_name: str | None, path: str
) -> Iterator[dict]:
    """Yields the packed documents of one file with their provenance."""
    for number, text in enumerate(pack(units), start=1):
        yield {
            "id": f"{source.replace(' ', '-')}/{path}#{number}",
            "text": text,
            "source": source,
            "license": license_name,
            "created": None,
            "path": path,
        }
