import base64
import json
import struct
import time

import c2pa_text
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.schema import Says
from synthfilter.core.text import normalise
from synthfilter.detection.canonical import canonicalise
from synthfilter.detection.marks import find_marks

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def cbor(text: str) -> bytes:
    """A CBOR string of 24 to 255 bytes."""
    raw = text.encode()
    return b"\x78" + bytes([len(raw)]) + raw


def manifest(term: str) -> bytes:
    """A JUMBF store whose one action names this digital source type."""
    action = b"\xa1" + b"\x71digitalSourceType" + cbor(IPTC + term)
    return box(b"jumb", box(b"jumd", b"c2pa\0") + box(b"cbor", action + b"\x64more"))


MACHINE = manifest("trainedAlgorithmicMedia")
HUMAN = manifest("digitalCreation")
WRAPPED = "A quiet town." + c2pa_text.encode_wrapper(MACHINE)


def says(*texts: str | None) -> list[int]:
    return find_marks(pa.array(texts, pa.large_string())).tolist()


def armoured(store: bytes) -> str:
    uri = c2pa_text.encode_data_uri(store)
    return f"def f():\n    pass\n{c2pa_text.build_manifest_block(uri, '#')}\n"


def in_script(store: bytes) -> str:
    return f"<html><head>{c2pa_text.build_html_script(store)}</head>text</html>"


def linked(value: object) -> str:
    data = json.dumps({"@graph": [{"@type": "Article", "digitalSourceType": value}]})
    return f'<!doctype html><script type="application/ld+json">{data}</script>text'


MARKED = {
    "wrapper": WRAPPED,
    "composite": "x"
    + c2pa_text.encode_wrapper(manifest("compositeWithTrainedAlgorithmicMedia")),
    "in the middle": "one" + c2pa_text.encode_wrapper(MACHINE) + " two",
    "padded": "one" + c2pa_text.encode_wrapper_padded(MACHINE, 1000),
    "after one that says nothing": "a" + c2pa_text.encode_wrapper(HUMAN) + WRAPPED,
    "before one that is cut": WRAPPED + c2pa_text.encode_wrapper(MACHINE)[:40],
    "armour": armoured(MACHINE),
    "script": in_script(MACHINE),
    "meta": f'<meta name="digitalSourceType" content="{IPTC}trainedAlgorithmicMedia">',
    "meta in XMP": "\n <html><META content='compositeSynthetic' "
    "property='Iptc4xmpExt:DigitalSourceType' />",
    "label": '<html><meta name="AIGC" content=\'{"Label":"1"}\'>',
    "escaped label": "<meta name=AIGC name='AIGC' content='{&quot;Label&quot;:&quot;2"
    "&quot;}'>",
    "JSON-LD": linked("https://schema.org/TrainedAlgorithmicMediaDigitalSource"),
    "JSON-LD object": linked({"@id": IPTC + "trainedAlgorithmicMedia"}),
    "JSON-LD list": linked(["x", "TrainedAlgorithmicMediaDigitalSource"]),
    "JSON-LD after a broken one": '<script type="application/ld+json">{</script>'
    + linked("TrainedAlgorithmicMediaDigitalSource"),
}


@pytest.mark.parametrize("text", MARKED.values(), ids=MARKED)
def test_a_mark_that_says_machine_is_believed(text: str) -> None:
    assert says("plain", text, None) == [Says.NOTHING, Says.SYNTHETIC, Says.NOTHING]


DAMAGED = c2pa_text.encode_wrapper(MACHINE)
NOT_MARKED = {
    "human": "text" + c2pa_text.encode_wrapper(HUMAN),
    "human meta": f'<meta name="digitalSourceType" content="{IPTC}digitalCreation">',
    "no manifest": "text" + c2pa_text.encode_wrapper(b""),
    "cut": "text" + DAMAGED[:-1],
    "without its start": "text" + DAMAGED[1:],
    "interrupted": "text" + DAMAGED[:50] + "x" + DAMAGED[50:],
    "another version": "text" + DAMAGED[:9] + "\ufe02" + DAMAGED[10:],
    "longer than it is": "text" + DAMAGED[:10] + "\U000e01ef" * 4 + DAMAGED[14:],
    "emoji": "\u2764\ufe0f" * 20 + "\U0001f3f4\U000e0067\U000e007f",
    "ideographs": "\u845b\U000e0100" * 30,
    "armour elsewhere": c2pa_text.build_manifest_block("https://a.org/m.c2pa", "#"),
    "armour that is no base64": armoured(MACHINE).replace("base64,", "base64,*"),
    "armour twice": armoured(MACHINE) * 2,
    "armour without end": armoured(MACHINE).split("-----END")[0],
    "prose about it": f"The term {IPTC}trainedAlgorithmicMedia means AIGC.",
    "a quotation": 'Write <meta name="AIGC" content=\'{"Label":"1"}\'> in the head.',
    "text that names it": linked("x").replace(
        "text", "TrainedAlgorithmicMediaDigitalSource"
    ),
    "broken JSON-LD": linked("TrainedAlgorithmicMediaDigitalSource").replace("}", ""),
    "open JSON-LD": linked("TrainedAlgorithmicMediaDigitalSource").split("</s")[0],
    "an open quote": '<html><meta name="AIGC content=\'{"Label":"1"}\'>',
    "suspected": '<html><meta name="AIGC" content=\'{"Label":"3"}\'>',
    "deep JSON-LD": '<script type="application/ld+json">'
    + '{"a":' * 900
    + '"trainedAlgorithmicMedia"'
    + "}" * 900
    + "</script>",
    "two scripts": in_script(MACHINE) + in_script(MACHINE),
    "a script and a link": in_script(MACHINE) + '<link rel="c2pa-manifest" href="x">',
    "a script that is no base64": in_script(MACHINE)
    .replace("jumb", "")
    .replace(base64.b64encode(MACHINE).decode(), "%%%"),
    "empty": "",
}


@pytest.mark.parametrize("text", NOT_MARKED.values(), ids=NOT_MARKED)
def test_what_is_damaged_quoted_or_says_human_says_nothing(text: str) -> None:
    assert says(text, "plain") == [Says.NOTHING, Says.NOTHING]


def test_a_mark_across_two_texts_is_none() -> None:
    for at in (1, 5, 9, 12, 40):
        assert says("a" + DAMAGED[:at], DAMAGED[at:]) == [0, 0]
    armour = armoured(MACHINE)
    assert says(armour[:25], armour[25:]) == [0, 0]


@given(st.lists(st.sampled_from(["plain", None, *MARKED.values()])), st.integers(0, 9))
def test_marks_are_the_same_for_any_batch_borders(
    texts: list[str | None], cut: int
) -> None:
    column = pa.array(texts, pa.string())
    whole = find_marks(column).tolist()
    assert whole == [2 * (text in MARKED.values()) for text in texts]
    parts = [find_marks(column.slice(0, cut)), find_marks(column.slice(cut))]
    assert [code for part in parts for code in part.tolist()] == whole


@given(
    st.text(
        st.sampled_from(["\ufeff", "\ufe00", "\U000e0133", "\U000e0122", *DAMAGED[:9]])
    ),
    st.integers(0, len(WRAPPED)),
)
def test_any_selectors_are_passed_over(noise: str, at: int) -> None:
    assert says(noise) == [Says.NOTHING]
    assert says(WRAPPED[:at] + noise + WRAPPED[at:])[0] in (0, 2)


@pytest.mark.parametrize(
    "text",
    [
        "<script type='application/ld+json'>{" * 50_000 + "rainedAlgorithmic",
        "<html>AIGC" + '<meta a="' * 100_000,
        "<html>AIGC<meta " + "a='" * 300_000 + ">",
        '<html><script type="application/c2pa">' * 30_000,
        "-----BEGIN C2PA MANIFEST-----" * 30_000,
        ("a" + DAMAGED[:14]) * 10_000,
        "digsrctype:" * 100_000 + DAMAGED,
    ],
    ids=range(7),
)
def test_hostile_text_takes_linear_time(text: str) -> None:
    start = time.process_time()
    says(text)
    assert time.process_time() - start < 10


def test_a_text_scores_the_same_with_a_wrapper_and_without() -> None:
    texts = ["A quiet town \u2764\ufe0f by the sea.", "Rain again, all day."]
    wrapped = [text + DAMAGED for text in texts]
    wrapped += [text.replace("a", "a" + DAMAGED, 1) for text in texts]
    plain = canonicalise(normalise(pa.array(texts))).to_pylist()
    assert canonicalise(normalise(pa.array(wrapped))).to_pylist() == plain * 2
