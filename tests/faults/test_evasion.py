"""Text that is tampered with scores as before, or costs a known share of detection."""

import html
import importlib.util
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthfilter.core.text import normalise
from synthfilter.detection.canonical import canonicalise
from synthfilter.detection.detector import Detector, load_detector
from synthfilter.detection.marks import find_marks

PATH = Path(__file__).parents[2] / "benchmarks" / "evasion.py"
BLANKS = ["\n", "\r\n", "\t", "\u00a0", "\u2003", "\u2028", "\u3000", " \n\n "]
UNSEEN = [
    "\u200b",
    "\u200c",
    "\u200d",
    "\u2060",
    "\ufeff",
    "\u00ad",
    "\u202e",
    "\u2066",
]
INLINE = ["**{}**", "`{}`", "[{}](https://a.example/b)", "~~{}~~", "***{}***"]
TAGS = ["b", "em", "span", "code"]
MACHINE = """In conclusion, effective communication plays a crucial role in fostering
strong relationships and promoting a positive work environment. By actively listening,
providing constructive feedback, and embracing diverse perspectives, individuals can
enhance collaboration and achieve their shared goals."""


@pytest.fixture(scope="module")
def shipped() -> Detector:
    return load_detector()


@pytest.fixture(scope="module")
def texts(labelled_data: Path) -> list[str]:
    """Machine text of every source that has some."""
    found = []
    for path in sorted(labelled_data.glob("*.parquet")):
        table = pq.read_table(path, columns=["text", "label"])
        rows = [r["text"] for r in table.to_pylist() if r["label"] == "synthetic"]
        found += rows[:: max(1, len(rows) // 60)]
    return found


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_of_evasion", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scores(detector: Detector, *texts: str) -> list[float]:
    return detector.score(normalise(pa.array(texts))).tolist()


def same(first: float, second: float) -> bool:
    return first == second or (np.isnan(first) and np.isnan(second))


@given(data=st.data())
@settings(max_examples=80)
def test_row_14_blanks_and_invisible_characters_change_no_score(
    shipped: Detector, texts: list[str], data: Any
) -> None:
    text = data.draw(st.sampled_from(texts))
    pieces = text.split(" ")
    blanks = data.draw(
        st.lists(st.sampled_from(BLANKS), min_size=8, max_size=8), "blanks"
    )
    tampered = pieces[0]
    for i, piece in enumerate(pieces[1:]):
        tampered += blanks[i % 8] + piece
    places = data.draw(st.lists(st.integers(0, len(tampered)), max_size=20), "places")
    unseen = data.draw(st.sampled_from(UNSEEN))
    for at in sorted(places, reverse=True):
        tampered = tampered[:at] + unseen + tampered[at:]
    assert same(*scores(shipped, text, tampered))


@given(data=st.data())
@settings(max_examples=80)
def test_row_14_markdown_and_html_around_a_text_change_no_score(
    shipped: Detector, texts: list[str], data: Any
) -> None:
    text = data.draw(st.sampled_from(texts))
    words = text.split(" ")
    plain = [i for i, word in enumerate(words) if word.isalpha() and word.isascii()]
    changes = st.tuples(
        st.integers(0, len(plain) - 1), st.sampled_from(INLINE), st.sampled_from(TAGS)
    )
    marked, tagged = list(words), [html.escape(word) for word in words]
    for place, mark, tag in data.draw(st.lists(changes, max_size=10), "words"):
        i = plain[place]
        marked[i] = mark.format(words[i])
        tagged[i] = f'<{tag} class="x">{words[i]}</{tag}>'
    as_markdown = data.draw(st.sampled_from(["{}", "# {}", "> {}", "```\n{}\n```"]))
    as_html = data.draw(
        st.sampled_from(["<p>{}</p>", "<html><body><div>{}</div></body></html>"])
    )
    markdown = as_markdown.replace("{}", " ".join(marked))
    page = as_html.replace("{}", " ".join(tagged))
    first, second, third = scores(shipped, text, markdown, page)
    assert same(first, second)
    assert same(first, third)


def test_row_14_look_alike_letters_in_latin_words_change_no_score(
    shipped: Detector,
) -> None:
    disguised = MACHINE.replace("e", "\u0435").replace("o", "\u03bf")
    disguised = disguised.replace("C", "\u0421").replace("a", "\u0430")
    plain, other = scores(shipped, MACHINE, disguised)
    # The word "a" has no Latin letter that would tell.
    assert plain > 0.9
    assert other == pytest.approx(plain, abs=0.02)


def test_row_14_text_in_other_scripts_stays_as_it_is() -> None:
    honest = [
        "Мама мыла раму, а Рома ел суп в СССР; IT-отдел, web-сайт, Wi-Fi.",  # noqa: RUF001
        "Ο Οδυσσέας και η Πηνελόπη, Η ΩΡΑ, α-helix, ΔG, kΩ, μm, 5 °C",  # noqa: RUF001
        "The letter а is Cyrillic, and so is сосо.",  # noqa: RUF001
        "",
    ]
    column = normalise(pa.array(honest))
    assert canonicalise(column).to_pylist() == column.to_pylist()


def test_row_14_folding_costs_the_labelled_data_nothing(
    bench: ModuleType, labelled_data: Path
) -> None:
    changed = rows = 0
    for path in sorted(labelled_data.glob("*.parquet")):
        column = pq.read_table(path, columns=["text"])["text"].combine_chunks()
        text = normalise(column)
        folded, plain = canonicalise(text), bench.unfolded(text)
        changed += sum(a != b for a, b in zip(folded, plain, strict=True))
        rows += len(text)
    assert rows > 30_000
    assert changed <= 5


@given(st.lists(st.text("ab аοеα. é", max_size=12), max_size=6))  # noqa: RUF001
def test_row_14_folding_does_not_depend_on_the_documents_around(
    texts: list[str],
) -> None:
    texts = normalise(pa.array(texts, pa.string())).to_pylist()
    together = canonicalise(pa.array(texts, pa.string())).to_pylist()
    alone = [canonicalise(pa.array([text])).to_pylist()[0] for text in texts]
    assert together == alone


def test_row_14_the_attacks_of_the_card_are_what_they_are_called(
    bench: ModuleType,
) -> None:
    text = " ".join(f"abcd{i}" for i in range(1000))
    found = {
        name: bench.attacked(name, [text]).to_pylist()[0] for name in bench.ATTACKS
    }
    assert found["none"] == text
    assert found["a newline, NBSP or tab for each space"] == text
    assert found["zero-width and bidi marks in 30% of words"] == text
    left = [len(found[f"{n}% of words deleted"].split()) for n in (5, 10)]
    assert left == [pytest.approx(950, abs=25), pytest.approx(900, abs=35)]
    swapped = found["adjacent letters swapped in 10% of words"].split()
    differing = sum(a != b for a, b in zip(swapped, text.split(), strict=True))
    assert differing == pytest.approx(100, abs=35)
    assert bench.attacked("look-alikes for 5% of letters", [text])[0] != text


WORST = {
    "emphasis that never ends": "*a ",
    "underscores": "_a ._b",
    "links that never end": "[](",
    "titles of links": '[a](b "',
    "comments that never end": "<!--",
    "scripts that never end": "<script>",
    "tags that never end": "<a x",
    "entities": "&amp;amp;",
    "table rules": "|-",
    "headings": " # #",
    "bullets": ". - - ",
    "apostrophes": "'a'",
    "one letter": "x",
    "look-alikes": "aа",  # noqa: RUF001
    "combining marks": "e\u0301",
    "selectors": "\U000e0101",
    "zero-width": "\u200b",
    "spaces": " \u00a0",
}


@pytest.mark.parametrize("what", WORST)
def test_row_45_a_megabyte_of_the_worst_takes_time_in_proportion(
    shipped: Detector, what: str
) -> None:
    def seconds(size: int) -> float:
        column = pa.array([(WORST[what] * size)[:size]])
        start = time.process_time()
        text = normalise(column)
        shipped.score(text)
        find_marks(text)
        return time.process_time() - start

    seconds(1000)
    quarter, whole = seconds(250_000), seconds(1_000_000)
    assert whole < 5
    assert whole < 12 * quarter + 0.2
