"""Licences as data sets name them: SPDX's names and those of the Hugging Face Hub."""

import re
from typing import NamedTuple

from packaging.licenses import (
    InvalidLicenseExpression,
    canonicalize_license_expression,
)

from synthfilter.core.errors import UserError

OTHER = "other"
UNKNOWN = "unknown"

# What https://huggingface.co/docs/hub/repositories-licenses lists; cards with another
# name are refused there.
_HUB = frozenset(
    """
    afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0
    bigcode-openrail-m bigscience-bloom-rail-1.0 bigscience-openrail-m bsd
    bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0
    cc-by-2.5 cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0
    cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0
    cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license
    ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2
    fair-noncommercial-research-license gemma gfdl gpl gpl-2.0 gpl-3.0
    grok2-community h-research intel-research isc lgpl lgpl-2.1 lgpl-3.0 lgpl-lr
    llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 lppl-1.3c mit mpl-2.0 ms-pl ncsa
    odbl odc-by ofl-1.1 openmdw-1.0 openrail openrail++ osl-3.0 other pddl
    postgresql unknown unlicense wtfpl zlib
    """.split()
)
# Where the two name the same licence differently.
_SPDX = {"odbl": "ODbL-1.0", "odc-by": "ODC-By-1.0", "pddl": "PDDL-1.0"}
_ONE_SPDX = r"[A-Za-z0-9][A-Za-z0-9.+-]*"


class License(NamedTuple):
    """A licence.

    Attributes:
      name: As it is shown.
      hub: Its name on the Hugging Face Hub; `other` for what has none there.
      url: Where its text is; None where nobody knows.
    """

    name: str
    hub: str
    url: str | None


def parse_license(said: str, option: str) -> License:
    """Returns the licence of that name or address.

    Args:
      said: A name of SPDX's list or of the Hub's, in any case, or an address.
      option: Whose value it is, for the message.

    Raises:
      UserError: it is neither.
    """
    name = said.strip()
    if re.fullmatch(r"https?://[^\s<>\"\\]+", name):
        return License(name, OTHER, name)
    hub = name.lower()
    spdx = _SPDX.get(hub) or _find_spdx(name)
    if spdx is None and hub not in _HUB:
        raise UserError(
            f"{option} expects an SPDX or Hugging Face licence id such as cc-by-4.0, "
            f"or an address that begins with https://, got {said!r}"
        )
    if hub not in _HUB:
        hub = _hub_name(spdx or name)
    url = None if spdx is None else f"https://spdx.org/licenses/{spdx}.html"
    return License(spdx or hub, hub, url)


def _find_spdx(name: str) -> str | None:
    """Returns the licence's name as SPDX spells it; None if it is not on the list."""
    if not re.fullmatch(_ONE_SPDX, name) or name.lower().startswith("licenseref-"):
        return None
    try:
        return canonicalize_license_expression(name)
    except InvalidLicenseExpression:
        return None


def _hub_name(spdx: str) -> str:
    """Returns the Hub's name for a licence of SPDX's list."""
    known = {theirs: hub for hub, theirs in _SPDX.items()}
    name = re.sub("-(only|or-later)$", "", spdx.lower())
    return known.get(spdx) or (name if name in _HUB else OTHER)
