"""A job of somebody else, and the two lines that put synthfilter into it."""

import difflib
import importlib
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "c4"
LINES = [
    "The tide came in at noon, and we walked back along the wall.",
    "Nobody had brought a coat, so we were wet before the second gate.",
    "At home the kitchen smelled of bread and of the dog.",
]
STORY = "\n".join(LINES)
MACHINE = (
    "Moreover, it is important to note that tea plays a pivotal role in fostering a "
    "vibrant sense of community.\n"
    "It seamlessly weaves together a rich tapestry of traditions from all around.\n"
    "Ultimately, it serves as a testament to our shared heritage and human connection."
)
PAGES = [
    {"id": "a", "text": f"Home | About | Cookie settings\n{STORY}\nRead more..."},
    # The same sentences, the copy of a page, and a page that has one of its own.
    {"id": "b", "text": f"{STORY}\nShare this page"},
    {"id": "c", "text": "\n".join([*LINES, "I went there", MACHINE])},
    {"id": "d", "text": "Buy now! Cheap."},
    {"id": "e", "text": f"function f() {{ return 1; }} is what it says.\n{STORY}{{."},
    {"id": "f", "text": None},
    {"id": "g", "text": MACHINE.replace("tea", "coffee")},
]


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    path = tmp_path / "pages.jsonl"
    lines = [*map(json.dumps, PAGES), '{"id": "cut off']
    path.write_text("\n".join(lines) + "\n")
    return path


def job(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module(name)


def run(module: ModuleType, pages: Path, capsys: pytest.CaptureFixture) -> tuple:
    """Returns the written pages by id, and what was counted."""
    output = pages.parent / module.__name__
    module.main([str(pages), "--output", str(output)])
    printed = re.findall(r"^(\w+: .+): ([\d,]+)$", capsys.readouterr().out, re.M)
    (file,) = pages.parent.glob(f"{module.__name__}-*.jsonl")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    return {row["id"]: row for row in rows}, {n: int(c) for n, c in printed}


def test_the_job_cleans_pages_and_with_two_more_lines_tells_machine_text(
    pages: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    plain, counts = run(job("plain", monkeypatch), pages, capsys)
    assert plain["a"]["text"] == STORY
    assert plain["c"]["text"] == MACHINE
    assert set(plain) == {"a", "c"}
    assert counts["c4: pages read"] == len(PAGES) + 1
    assert counts["c4: pages left out: no text"] == 1
    assert counts["c4: pages left out: no JSON"] == 1
    assert counts["c4: pages left out: too few sentences"] == 1
    assert counts["c4: pages left out: code or filler"] == 1
    assert counts["c4: pages left out: the rest is in other pages"] == 2
    assert sum(counts.values()) == 2 * counts["c4: pages read"]

    scored, more = run(job("scored", monkeypatch), pages, capsys)
    # Of a page and its copy the other one stays; what is in the set is the same.
    assert [scored["b"]["text"], scored["c"]["text"]] == [STORY, MACHINE]
    assert len(scored) == 2
    assert scored["b"]["origin"] == "human"
    assert 0 <= scored["b"]["ai_score"] < scored["c"]["ai_score"] <= 1
    assert more["synthfilter: deduplicate_exact_copy"] == 1
    told = sum(more.get(f"synthfilter: score_{o}", 0) for o in ("human", "synthetic"))
    assert told == more["synthfilter: deduplicate_kept"] + 1


def test_two_lines_and_an_import_are_all_the_difference() -> None:
    plain, scored = (
        (FOLDER / name).read_text().partition('"""\n\n')[2].splitlines()
        for name in ("plain.py", "scored.py")
    )
    changed = [line for line in difflib.ndiff(plain, scored) if line[0] in "+-?"]
    assert [line[2:].strip() for line in changed if line[2:].strip()] == [
        "import synthfilter as sf",
        'pages |= "Score" >> sf.Score()',
        'pages = (pages | "Deduplicate" >> sf.Deduplicate())["kept"]',
    ]
    assert all(line[0] == "+" for line in changed)
