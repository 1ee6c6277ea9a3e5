import json

import numpy as np
import pytest

from synthfilter.detection.lengths import Threshold
from synthfilter.detection.linear import Evidence
from synthfilter.detection.settings import DetectorSettings, read_settings


def evidence(logit, tokens, known=None):
    tokens = np.array(tokens)
    known = tokens if known is None else np.array(known)
    return Evidence(np.array(logit, float), tokens, known)


def test_the_defaults_give_the_plain_probability_and_half_as_threshold():
    scores = DetectorSettings().calibrate(evidence([0.0, np.log(3)], [10, 900]))
    assert scores.dtype == np.float32
    assert scores.tolist() == [0.5, 0.75]
    assert DetectorSettings().default_threshold == 0.5


def test_evidence_grows_with_length_up_to_the_cap():
    settings = DetectorSettings(
        length_exponent=0.5, length_cap=100, slope=2, intercept=1
    )
    scores = settings.calibrate(evidence([0.1, 0.1, 0.1], [25, 100, 400]))
    assert np.allclose(scores, 1 / (1 + np.exp([-2.0, -3.0, -3.0])))


def test_documents_without_a_known_token_have_no_score():
    settings = DetectorSettings(length_exponent=0.75)
    scores = settings.calibrate(evidence([1.0, np.nan, np.inf], [3, 0, 2], [0, 0, 1]))
    assert np.isnan(scores).tolist() == [True, True, False]
    assert scores[2] == 1


def test_the_default_threshold_is_that_at_one_percent():
    settings = DetectorSettings(thresholds={0.05: 0.6, 0.01: 0.8})
    assert settings.default_threshold == 0.8
    assert DetectorSettings(threshold=0.3).default_threshold == 0.3


def test_every_field_of_the_json_is_read():
    raw = {
        "name": "mine",
        "sha256": "ab",
        "tokens": "words",
        "canonical": True,
        "length_exponent": 0.75,
        "length_cap": 300,
        "slope": 2,
        "intercept": -1.5,
        "min_tokens": 9,
        "min_known_share": 0.75,
        "min_word_share": 0.45,
        "thresholds": {"0.01": 0.9},
        "thresholds_by_length": {"0.01": {"0": 0.95, "100": 0.85}},
        "threshold": 0.7,
        "labels": {"synthetic": ["gpt"]},
        "measured": "is for people",
    }
    settings = read_settings(json.dumps(raw).encode(), "m.json")
    raw.pop("measured")
    raw["thresholds"] = {0.01: 0.9}
    raw["thresholds_by_length"] = {0.01: {0: 0.95, 100: 0.85}}
    assert settings == DetectorSettings(**raw)


def test_profiles_are_read_and_change_nothing_that_a_score_depends_on():
    raw = {"slope": 2, "profiles": {"a": {"human": {"under 50": "3: 1 0 2"}}}}
    settings = read_settings(json.dumps(raw).encode(), "m.json")
    assert settings.profiles.as_json() == raw.pop("profiles")
    assert settings.profiles.own == (False, False)
    plain = read_settings(json.dumps(raw).encode(), "m.json")
    assert plain.profiles is None
    assert repr(settings) == repr(plain)
    assert settings == plain


def test_a_length_without_a_threshold_of_its_own_has_that_of_all():
    settings = DetectorSettings(
        thresholds={0.05: 0.6, 0.01: 0.8}, thresholds_by_length={0.01: {100: 0.7}}
    )
    found = settings.measured_thresholds
    assert found[0.05] == Threshold.constant(0.6, "the detector's at FPR 0.05")
    assert found[0.01].as_bands() == {"0": 0.8, "100": 0.7}
    assert settings.default_threshold == 0.8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON"),
        ("[" * 100_000, "expected JSON"),
        ("[1]", "a JSON object, got list"),
        ('{"tokens": "letters"}', "tokens must be one of"),
        ('{"tokens": 5}', "tokens: expected a string, got 5"),
        ('{"canonical": 1}', "canonical: expected true or false"),
        ('{"slope": "2"}', "slope: expected a number"),
        ('{"slope": true}', "slope: expected a number"),
        ('{"slope": -1}', "slope must be in"),
        ('{"slope": NaN}', "slope must be a number"),
        ('{"intercept": 1e999}', "intercept must be a number"),
        ('{"length_cap": 0}', "length_cap must be from 1 to"),
        ('{"length_cap": 2.5}', "length_cap: expected a whole number"),
        ('{"thresholds": {"one": 0.5}}', "thresholds: could not convert"),
        ('{"thresholds": {"0.01": 2}}', r"thresholds must be in \[0, 1\]"),
        ('{"thresholds_by_length": [1]}', "expected an object of rate to thresholds"),
        ('{"thresholds_by_length": {"0.01": 1}}', "an object of words to threshold"),
        (
            '{"thresholds_by_length": {"0.01": {"-1": 1}}}',
            "a number of words, got '-1'",
        ),
        (
            '{"thresholds_by_length": {"0.01": {"1": true}}}',
            "expected a number, got True",
        ),
        ('{"thresholds_by_length": {"0.01": {"1": 0.5}}}', "rates that thresholds has"),
        (
            '{"thresholds": {"1e-2": 0}, "thresholds_by_length": {"0.01": {"1": 2}}}',
            r"thresholds_by_length must be in \[0, 1\]",
        ),
        ('{"threshold": 3}', r"threshold must be in \[0, 1\]"),
        ('{"labels": {"bot": ["x"]}}', "labels: expected the keys"),
        ('{"labels": {"human": "x"}}', "labels: expected a list of names"),
        ('{"profiles": [1]}', "profiles: expected an object of sources"),
        ('{"profiles": {"a": {"bot": {}}}}', "profiles: expected one of human"),
    ],
)
def test_a_wrong_json_is_refused_in_one_line(text, message):
    with pytest.raises(ValueError, match=rf"^m\.json: .*{message}") as caught:
        read_settings(text.encode(), "m.json")
    assert "\n" not in str(caught.value)


def test_a_document_without_enough_known_tokens_has_no_score():
    evidence = Evidence(
        logit=np.ones(4),
        tokens=np.array([9, 10, 40, 40]),
        known=np.array([9, 10, 29, 30]),
    )
    settings = DetectorSettings(min_tokens=10, min_known_share=0.75)
    assert np.isnan(settings.calibrate(evidence)).tolist() == [True, False, True, False]
    assert not np.isnan(DetectorSettings().calibrate(evidence)).any()


def test_a_document_of_numbers_and_marks_has_no_score():
    counts = np.array([40, 40, 40])
    evidence = Evidence(np.ones(3), counts, counts, np.array([17, 18, 40]))
    settings = DetectorSettings(min_word_share=0.45)
    assert np.isnan(settings.calibrate(evidence)).tolist() == [True, False, False]
    assert not np.isnan(DetectorSettings().calibrate(evidence)).any()


def test_where_words_were_not_counted_every_token_is_one():
    evidence = Evidence(np.ones(2), np.array([1, 2]), np.array([1, 2]))
    assert evidence.words.tolist() == [1, 2]
    assert DetectorSettings(min_word_share=1.0).is_scorable(evidence).all()


@pytest.mark.parametrize(
    ("field", "value"),
    [("min_tokens", 0), ("min_known_share", 1.5), ("min_word_share", -0.1)],
)
def test_limits_of_what_is_scored_are_checked(field, value):
    with pytest.raises(ValueError, match=field):
        DetectorSettings(**{field: value})
