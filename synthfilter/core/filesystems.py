"""Which filesystem a path names, and what has to be installed for it."""

import importlib.util

from apache_beam.io.filesystem import FileSystem

from synthfilter.core.errors import UserError

# By scheme: the client that Beam's filesystem calls, and what brings it.
_CLIENTS = {
    "gs": ("google.cloud.storage", "synthfilter[gcp]"),
    "s3": ("boto3", "synthfilter[aws]"),
    "azfs": ("azure.storage.blob", "apache-beam[azure]"),
    "hdfs": ("hdfs", "apache-beam[hadoop]"),
}


def check_filesystem(path: str) -> None:
    """Raises UserError with what to install unless the path's filesystem can be used.

    Beam has no words of its own for that: it fails an assertion, or says nothing of
    what is missing.
    """
    scheme, separator, _ = path.partition("://")
    if not separator:
        return
    if scheme in _CLIENTS:
        client, package = _CLIENTS[scheme]
        if not is_installed(client):
            raise UserError(
                f"{path!r} needs a package that is not installed: "
                f"pip install '{package}'"
            )
    elif scheme not in {known.scheme() for known in FileSystem.get_all_subclasses()}:
        raise UserError(
            f"expected a local path or one that starts with "
            f"{', '.join(f'{name}://' for name in _CLIENTS)}, got {path!r}"
        )


def is_installed(module: str) -> bool:
    """Returns whether a module can be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
