"""synthfilter keeps model collapse out of training sets."""

import logging

# Beam warns at import that optional cloud libraries are absent; nobody here asked.
logging.disable(logging.WARNING)
import apache_beam  # noqa: E402, F401

logging.disable(logging.NOTSET)

from synthfilter.build import Build  # noqa: E402
from synthfilter.embed import Deduplicate, Mix, Score  # noqa: E402
from synthfilter.embed_write import WriteShards  # noqa: E402
from synthfilter.version import __version__  # noqa: E402

__all__ = ["Build", "Deduplicate", "Mix", "Score", "WriteShards", "__version__"]
