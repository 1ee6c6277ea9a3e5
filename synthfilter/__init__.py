"""synthfilter keeps model collapse out of training sets."""

import logging

# Beam warns at import that optional cloud libraries are absent; nobody here asked.
logging.disable(logging.WARNING)
import apache_beam  # noqa: F401

logging.disable(logging.NOTSET)

from synthfilter.build import Build
from synthfilter.core.errors import ShortageError, UserError
from synthfilter.embed import Deduplicate, Mix, Score
from synthfilter.embed_write import WriteShards
from synthfilter.evaluate import Evaluate
from synthfilter.handler import FastTextModelHandler
from synthfilter.local import run_build
from synthfilter.scoring import score_texts
from synthfilter.sweep import Sweep
from synthfilter.version import __version__

__all__ = [
    "Build",
    "Deduplicate",
    "Evaluate",
    "FastTextModelHandler",
    "Mix",
    "Score",
    "ShortageError",
    "Sweep",
    "UserError",
    "WriteShards",
    "__version__",
    "run_build",
    "score_texts",
]
