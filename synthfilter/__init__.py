"""synthfilter keeps model collapse out of training sets."""

from synthfilter.build import Build
from synthfilter.version import __version__

__all__ = ["Build", "__version__"]
