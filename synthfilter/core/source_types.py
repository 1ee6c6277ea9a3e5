"""Words with which standards mark text as machine-written.

What a mark says against its author's interest is believed, unsigned as it is. No mark
says human: to write one costs nothing, and whoever knows it has `--human`, a column
`origin` or a list of hosts to say so.
"""

import re
from typing import Any

import orjson

from synthfilter.core.schema import Says

# Terms of https://cv.iptc.org/newscodes/digitalsourcetype/ by which a generative model
# made all of a work, or a part; `trainedAlgorithmicData` is C2PA's own. Not
# `algorithmicMedia` and `dataDrivenMedia`, which are made without a trained model.
MACHINE_TERMS = (
    "trainedalgorithmicmedia",
    "compositewithtrainedalgorithmicmedia",
    "compositesynthetic",
    "trainedalgorithmicdata",
)

# The keys of metadata that hold such words, in lower case and without separators.
SOURCE_TYPE_KEY = "digitalsourcetype"
LABEL_KEY = "aigc"

# GB 45438-2025: 1 is generated, 2 is declared to be, 3 is only suspected.
_LABELS = ("1", "2")
_LONGEST_VALUE = 10_000


def says_source_type(value: str) -> Says:
    """Returns what a digital source type says: a URI, QCode or bare name.

    IPTC's URIs, schema.org's names (`TrainedAlgorithmicMediaDigitalSource`), QCodes
    (`digsrctype:trainedAlgorithmicMedia`).
    """
    term = re.split(r"[/#:]", value[-200:].strip())[-1].lower()
    machine = term.removesuffix("digitalsource") in MACHINE_TERMS
    return Says.SYNTHETIC if machine else Says.NOTHING


def says_label(value: Any) -> Says:
    """Returns what an implicit label by GB 45438-2025 says: an object, or its JSON."""
    if isinstance(value, str) and len(value) <= _LONGEST_VALUE:
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return Says.NOTHING
    if not isinstance(value, dict):
        return Says.NOTHING
    inner = value.get("AIGC", value)
    label = inner.get("Label") if isinstance(inner, dict) else None
    return Says.SYNTHETIC if str(label).strip() in _LABELS else Says.NOTHING


def plain_key(name: str) -> str:
    """Returns a key as it is compared: `Iptc4xmpExt:Digital_Source_Type` and others."""
    return re.sub(r"[^a-z0-9]", "", name.rsplit(":", 1)[-1].lower())
