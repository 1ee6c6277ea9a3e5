"""Texts scored in plain Python: the same as in a pipeline, from any column."""

import pickle
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import synthfilter as sf
from synthfilter.core.errors import UserError

HUMAN = "The tide came in at noon, and we walked back along the wall, wet and laughing."
MACHINE = (
    "Moreover, it is important to note that tea plays a pivotal role in fostering a "
    "vibrant sense of community, seamlessly weaving together a rich tapestry of "
    "traditions. Ultimately, it serves as a testament to our shared heritage."
)
TEXTS = [HUMAN, None, MACHINE, "", "Too short."]


def test_texts_have_the_scores_origins_and_hashes_of_the_transform() -> None:
    transformed = [{"text": text} for text in TEXTS] | sf.Score()
    found = sf.score_texts(TEXTS)
    assert list(found) == ["ai_score", "origin", "content_hash"]
    for name, values in found.items():
        assert values == [row[name] for row in transformed]
    assert found["origin"] == ["human", None, "synthetic", None, None]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(TEXTS),
        pa.array(["first", *TEXTS], pa.large_string())[1:],
        pa.array(TEXTS, pa.string_view()),
        pa.array(TEXTS).dictionary_encode(),
        pa.chunked_array([TEXTS[:2], TEXTS[2:]]),
        pd.Series(TEXTS),
        pd.Series([text or np.nan for text in TEXTS], dtype=object),
        pl.Series(TEXTS),
        pl.Series(TEXTS, dtype=pl.Categorical),
        np.array(TEXTS, object),
        (text for text in TEXTS),
    ],
    ids=lambda column: type(column).__name__,
)
def test_any_column_of_text_will_do(column: Any) -> None:
    found, expected = sf.score_texts(column), sf.score_texts(TEXTS)
    assert found["ai_score"] == expected["ai_score"]
    assert found["origin"] == expected["origin"]


def test_frames_take_the_scores_as_columns() -> None:
    expected = sf.score_texts(TEXTS)
    frame = pd.DataFrame({"text": TEXTS})
    frame = frame.assign(**sf.score_texts(frame["text"]))
    assert frame["origin"].notna().tolist() == [
        o is not None for o in expected["origin"]
    ]
    polar = pl.DataFrame({"text": TEXTS})
    polar = polar.hstack(pl.DataFrame(sf.score_texts(polar["text"])))
    assert polar.select(*expected).to_dict(as_series=False) == expected


@given(cut=st.integers(0, len(TEXTS)), word=st.text(max_size=5))
def test_a_text_has_the_same_score_in_any_batch(cut: int, word: str) -> None:
    texts = [*TEXTS, f"{HUMAN} {word}"]
    first, rest = sf.score_texts(texts[:cut]), sf.score_texts(texts[cut:])
    joined = {name: first[name] + rest[name] for name in first}
    assert joined == sf.score_texts(texts)


@pytest.mark.parametrize("nothing", [[], pa.array([]), pa.array([], pa.string())])
def test_no_texts_give_empty_lists(nothing: Any) -> None:
    empty: list[Any] = []
    expected = {"ai_score": empty, "origin": empty, "content_hash": empty}
    assert sf.score_texts(nothing) == expected


def test_the_threshold_decides_and_marks_go_before_it() -> None:
    score = sf.score_texts([HUMAN])["ai_score"][0]
    assert sf.score_texts([HUMAN], threshold=score)["origin"] == ["synthetic"]
    assert sf.score_texts([MACHINE], threshold=1.0)["origin"] == ["human"]
    strict = sf.score_texts([MACHINE], target_fpr=0.001)
    assert strict["ai_score"] == sf.score_texts([MACHINE])["ai_score"]
    label = '<html><meta name="AIGC" content=\'{"Label":"1"}\'>'
    assert sf.score_texts([label + HUMAN], threshold=1.0)["origin"] == ["synthetic"]
    assert sf.score_texts([HUMAN], threshold=1.0)["origin"] == ["human"]


def test_lone_surrogates_are_no_text_and_hurt_no_other() -> None:
    found = sf.score_texts([HUMAN, f"{HUMAN} \ud800"])
    assert found["ai_score"] == [*sf.score_texts([HUMAN])["ai_score"], None]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (HUMAN, r"got a str; give \[text\]"),
        ({"text": [HUMAN]}, r"got a dict; .*batch\['text'\]"),
        ([HUMAN, 7], "expected str or None as texts"),
        (pa.array([1, 2]), "a column of int64"),
        (pa.table({"text": [HUMAN]}), "a column of struct"),
        (7, "expected str or None as texts"),
    ],
)
def test_what_is_no_column_of_text_is_refused(wrong: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        sf.score_texts(wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 2}, "threshold must be between 0 and 1"),
        ({"threshold": 0.5, "target_fpr": 0.01}, "give one"),
        ({"detector": "nowhere.bin"}, "nowhere.bin"),
        ({"calibration": "c.json"}, "calibration needs target_fpr"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        sf.score_texts(TEXTS, **options)


def test_the_function_goes_to_other_processes() -> None:
    assert pickle.loads(pickle.dumps(sf.score_texts)) is sf.score_texts
