"""Names of languages: which of them are tags by BCP 47."""

import re

_TAG = re.compile(
    r"(?P<language>[a-z]{2,3})(-(?P<script>[a-z]{4}))?(-(?P<region>[a-z]{2}|\d{3}))?"
    r"(-([a-z0-9]{5,8}|\d[a-z0-9]{3}))*"
)
# Undetermined, several, none, uncoded: no language.
_NO_LANGUAGE = frozenset({"und", "mul", "zxx", "mis"})


def language_tag(name: str) -> str | None:
    """Returns a language's tag as BCP 47 spells it; None for what is no tag.

    `en`, `EN_us` and `zh-Hant` are tags, `english` is none.
    """
    found = _TAG.fullmatch(name.strip().replace("_", "-").lower())
    if found is None or found["language"] in _NO_LANGUAGE:
        return None
    parts = found[0].split("-")
    for i, part in enumerate(parts[1:], start=1):
        if part == found["script"]:
            parts[i] = part.title()
        elif part == found["region"]:
            parts[i] = part.upper()
    return "-".join(parts)
