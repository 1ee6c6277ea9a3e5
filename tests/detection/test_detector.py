import hashlib
import json
import pickle
import re

import numpy as np
import pyarrow as pa
import pytest

from synthfilter.core.text import normalise
from synthfilter.detection.detector import default_model_path, load_detector
from synthfilter.detection.lengths import Threshold

TEXTS = pa.array(["the rain, don't", "delve in a tapestry", "", "qqq"])


class LengthDetector:
    """Scores by length; stands for a user's own detector."""

    name = "length"
    version = "2"
    threshold = 0.25

    def score(self, column: pa.Array) -> np.ndarray:
        return np.array([min(len(text) / 20, 1) for text in column.to_pylist()])

    def threshold_at(self, fpr: float) -> float:
        return 1 - fpr


class BareDetector:
    def score(self, column: pa.Array) -> np.ndarray:
        return np.full(len(column), np.nan)


class WrongDetector:
    def score(self, column: pa.Array) -> np.ndarray:
        return np.full(len(column), 1.5)


class NoDetector:
    pass


@pytest.fixture
def model(tmp_path, train):
    """Returns a function that writes a model with a JSON and gives its path."""

    def write(settings=None, **options):
        path = tmp_path / "mine.bin"
        path.write_bytes(train(**options).read_bytes())
        if settings is not None:
            (tmp_path / "mine.json").write_text(json.dumps(settings))
        return str(path)

    return write


@pytest.fixture
def module(monkeypatch):
    """Makes this file importable under a name."""
    import sys
    import types

    made = types.ModuleType("some_package")
    for found in (LengthDetector, BareDetector, WrongDetector, NoDetector):
        setattr(made, found.__name__, found)
    monkeypatch.setitem(sys.modules, "some_package", made)
    return "some_package"


def test_a_plain_model_scores_as_stock_fasttext(model, stock, train):
    detector = load_detector(model())
    expected = stock(train(), TEXTS.to_pylist())
    got = detector.score(TEXTS)
    assert got.dtype == np.float32
    assert np.allclose(got[:2], expected[:2], rtol=0, atol=1e-6)
    assert np.isnan(got[2:]).all()


def test_a_plain_model_has_the_defaults(model):
    path = model()
    detector = load_detector(path)
    with open(path, "rb") as file:
        assert detector.sha256 == hashlib.sha256(file.read()).hexdigest()
    assert detector.name == "mine.bin"
    assert detector.threshold == Threshold.constant(0.5, "the detector's default")
    assert set(detector.labels) == {"__label__human", "__label__synthetic"}


def test_the_json_beside_the_model_is_used(model):
    path = model({"name": "n", "tokens": "words", "canonical": True, "threshold": 0.4})
    detector = load_detector(path)
    plain, marked = detector.score(
        normalise(pa.array(["The rain, delve!", "**The** `rain`, delve\u2026!"]))
    )
    assert (detector.name, detector.threshold.values) == ("n", (0.4,))
    assert plain != marked
    assert marked == detector.score(pa.array(["The rain, delve...!"]))[0]


def test_profiles_come_from_the_json_and_leave_the_key_of_the_scores(model):
    said = {"a": {"human": {"under 50": "3: 1"}, "synthetic": {"under 50": "9: 1"}}}
    plain = load_detector(model({"name": "n"}))
    profiled = load_detector(model({"name": "n", "profiles": said}))
    assert plain.profiles is None
    assert profiled.profiles.as_json() == said
    assert profiled.scores_key == plain.scores_key


def test_another_checksum_than_the_pinned_one_is_refused(model):
    path = model({"sha256": "0" * 64})
    with pytest.raises(ValueError, match=r"expected sha256 0{64} by .*mine\.json, got"):
        load_detector(path)


def test_thresholds_are_those_that_were_measured(model):
    detector = load_detector(model({"thresholds": {"0.05": 0.6, "0.01": 0.8}}))
    assert detector.threshold.values == detector.threshold_at(0.01).values == (0.8,)
    assert detector.threshold_at(0.05).values == (0.6,)
    assert detector.threshold_at(0.05).source == "the detector's at FPR 0.05"
    with pytest.raises(ValueError, match=r"at false-positive rates 0\.01, 0\.05, not"):
        detector.threshold_at(0.02)


def test_thresholds_follow_the_length_where_the_json_says_so(model):
    rates = {"0.05": 0.6, "0.01": 0.8}
    by_length = {"0.01": {"50": 0.9, "200": 0.7}}
    settings = {"thresholds": rates, "thresholds_by_length": by_length}
    detector = load_detector(model(settings))
    assert (
        str(detector.threshold_at(0.01))
        == "0.8 under 50 words, 0.9 from 50, 0.7 from 200"
    )
    assert detector.threshold.of(np.array([49, 50, 1000])).tolist() == [
        np.float32(value) for value in (0.8, 0.9, 0.7)
    ]
    assert detector.threshold.source == "the detector's default"
    assert detector.threshold_at(0.05).values == (0.6,)
    # A default of its own is for every length.
    fixed = load_detector(model({**settings, "threshold": 0.3}))
    assert fixed.threshold.values == (0.3,)
    assert fixed.threshold_at(0.01) == detector.threshold_at(0.01)


def test_labels_without_a_known_meaning_are_refused(tmp_path, model, train):
    path = tmp_path / "other.bin"
    data = train().read_bytes().replace(b"__label__human", b"__label__happy")
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"got .*__label__happy"):
        load_detector(str(path))
    (tmp_path / "other.json").write_text('{"labels": {"human": ["happy"]}}')
    assert load_detector(str(path)).score(TEXTS)[1] > 0.5


def test_a_missing_or_broken_file_is_refused_in_one_line(tmp_path):
    with pytest.raises(ValueError, match="cannot read"):
        load_detector(str(tmp_path / "none.bin"))
    (tmp_path / "page.bin").write_bytes(b"<html>not found</html>")
    with pytest.raises(
        ValueError, match=r"page\.bin: expected fastText's magic number"
    ):
        load_detector(str(tmp_path / "page.bin"))


def test_a_detector_can_be_pickled(model):
    for path in (model(), model(minn=2, maxn=3)):
        detector = load_detector(path)
        again = pickle.loads(pickle.dumps(detector))
        assert np.array_equal(detector.score(TEXTS), again.score(TEXTS), equal_nan=True)


def test_a_class_is_a_detector(module):
    detector = load_detector(f"{module}:LengthDetector")
    assert detector.score(TEXTS).tolist() == pytest.approx([0.75, 0.95, 0, 0.15])
    assert (detector.name, detector.threshold.values) == ("length", (0.25,))
    assert detector.threshold_at(0.01).values == (0.99,)
    assert re.fullmatch("[0-9a-f]{64}", detector.sha256)


def test_the_checksum_of_a_class_follows_its_version(module, monkeypatch):
    before = load_detector(f"{module}:LengthDetector").sha256
    assert load_detector(f"{module}:LengthDetector").sha256 == before
    monkeypatch.setattr(LengthDetector, "version", "3")
    assert load_detector(f"{module}:LengthDetector").sha256 != before


def test_a_class_needs_nothing_but_score(module):
    detector = load_detector(f"{module}:BareDetector")
    assert np.isnan(detector.score(TEXTS)).all()
    assert detector.threshold.values == (0.5,)
    with pytest.raises(ValueError, match=r"rates none, not at 0\.01"):
        detector.threshold_at(0.01)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("WrongDetector", r"expected 2 scores in \[0, 1\] or NaN, got shape \(2,\)"),
        ("NoDetector", r"expected a method score\(column\)"),
        ("Absent", "expected a detector class at some_package:Absent"),
    ],
)
def test_a_class_that_is_no_detector_is_refused(module, name, message):
    with pytest.raises(ValueError, match=message):
        load_detector(f"{module}:{name}")


def test_a_module_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="No module named 'no_such_package'"):
        load_detector("no_such_package.module:Class")


def test_a_missing_shipped_model_is_said(monkeypatch, tmp_path):
    from synthfilter.detection import detector

    monkeypatch.setattr(detector, "DEFAULT_FOLDERS", (tmp_path,))
    with pytest.raises(ValueError, match="expected the shipped detector"):
        default_model_path()
