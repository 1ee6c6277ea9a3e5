from typing import Any

import pytest

from synthfilter.core.schema import Says
from synthfilter.core.source_types import plain_key, says_label, says_source_type

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


@pytest.mark.parametrize(
    "value",
    [
        IPTC + "trainedAlgorithmicMedia",
        IPTC + "compositeWithTrainedAlgorithmicMedia",
        IPTC + "compositeSynthetic",
        "http://c2pa.org/digitalsourcetype/trainedAlgorithmicData",
        "https://schema.org/TrainedAlgorithmicMediaDigitalSource",
        "CompositeWithTrainedAlgorithmicMediaDigitalSource",
        "digsrctype:trainedAlgorithmicMedia",
        " trainedalgorithmicmedia ",
    ],
)
def test_terms_for_machine_media_say_so(value: str) -> None:
    assert says_source_type(value) is Says.SYNTHETIC


@pytest.mark.parametrize(
    "value",
    [
        "",
        IPTC,
        IPTC + "digitalCreation",
        IPTC + "humanEdits",
        IPTC + "algorithmicMedia",
        "untrainedAlgorithmicMedia",
        "the trainedAlgorithmicMedia term",
        "x" * 1_000_000,
    ],
)
def test_no_other_term_says_anything(value: str) -> None:
    assert says_source_type(value) is Says.NOTHING


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ('{"Label": "1", "ContentProducer": "x"}', Says.SYNTHETIC),
        ({"Label": "1"}, Says.SYNTHETIC),
        ({"Label": 2}, Says.SYNTHETIC),
        ('{"AIGC": {"Label": "1"}}', Says.SYNTHETIC),
        ({"Label": "3"}, Says.NOTHING),
        ({"Label": None}, Says.NOTHING),
        ({"Label": [1]}, Says.NOTHING),
        ({"AIGC": "1"}, Says.NOTHING),
        ({}, Says.NOTHING),
        ("1", Says.NOTHING),
        ("{", Says.NOTHING),
        ("[" * 9000, Says.NOTHING),
        ('"' * 20_000, Says.NOTHING),
        (None, Says.NOTHING),
        (b"{}", Says.NOTHING),
    ],
)
def test_a_label_says_machine_if_it_is_generated_or_declared(
    value: Any, says: Says
) -> None:
    assert says_label(value) is says


@pytest.mark.parametrize(
    "name",
    ["digitalSourceType", "digital_source_type", "Iptc4xmpExt:DigitalSourceType"],
)
def test_keys_are_compared_without_case_and_prefix(name: str) -> None:
    assert plain_key(name) == "digitalsourcetype"
