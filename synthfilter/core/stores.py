"""What object stores answer, as one line: what was tried, what came, what to do.

Beam's filesystems hand on what each store's client raises, in words and types of its
own. These are read here; what a client says of its own is kept in the line. Retries are
the clients': by the time that an error comes here, they have given up.
"""

import contextlib
import functools
import io
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from apache_beam.io.filesystems import FileSystems

from synthfilter.core.errors import StoreDownError, StoreError
from synthfilter.core.filesystems import check_filesystem

# Packages whose errors are answers of a store, or the way to it.
_CLIENTS = {
    "apache_beam",
    "azure",
    "boto3",
    "botocore",
    "google",
    "hdfs",
    "requests",
    "s3transfer",
    "urllib3",
}
_SAID_LENGTH = 200
LIST = "list"


class Answer(NamedTuple):
    """A kind of answer.

    Attributes:
      signs: Regular expression for what clients then say.
      came: What it means.
      advice: What to do.
      passes: Whether it may go away by itself.
    """

    signs: str
    came: str
    advice: str
    passes: bool = False


def _status(*codes: int) -> str:
    """Returns a pattern for HTTP codes as clients write them, never as part of a path.

    `403 GET https://` of Google's, `(403)` of Amazon's, `status 403` of deltalake, and
    `: 403}` of a batch of Beam's.
    """
    any_of = "|".join(map(str, codes))
    return (
        rf"\b(?:{any_of}) (?:GET|PUT|POST|PATCH|DELETE|HEAD)\b|\((?:{any_of})\)"
        rf"|\bstatus (?:code )?(?:{any_of})\b|: (?:{any_of})[,}}]"
    )


_NO_BUCKET = Answer(
    r"NoSuchBucket|specified bucket does not exist|InvalidBucketName"
    r"|Invalid bucket name",
    "there is no such bucket",
    "check its name, or make it first",
)
_MISSING = Answer(r"NoSuchKey|No such object|" + _status(404), "it is not there", "")
_DENIED = Answer(
    r"AccessDenied|AllAccessDisabled|AccountProblem|UserProjectMissing|" + _status(403),
    "access is denied",
    "grant what docs/object-stores.md lists",
)
_BUSY = Answer(
    r"SlowDown|Throttling|ServiceUnavailable|InternalError|RequestTimeout\b|"
    + _status(408, 429, 500, 502, 503, 504),
    "the store is busy or out of order, also when asked again",
    "run the same command again to go on",
    passes=True,
)
# The first that fits counts.
ANSWERS = (
    Answer(
        r"Unable to locate credentials|NoCredentials|Partial credentials"
        r"|ProfileNotFound|config profile \(.*\) could not be found"
        r"|CredentialRetrieval|Error when retrieving (?:credentials|token)",
        "no credentials for S3 were found",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    ),
    Answer(
        r"Anonymous c|DefaultCredentialsError",
        "no credentials for Google Cloud were found",
        "run gcloud auth application-default login, or set "
        "GOOGLE_APPLICATION_CREDENTIALS",
    ),
    Answer(
        r"InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken"
        r"|TokenRefreshRequired|RequestTimeTooSkewed|RefreshError|" + _status(401),
        "the credentials are not accepted",
        "renew them, and look at the clock of this machine",
    ),
    Answer(
        r"PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraint|"
        + _status(301),
        "the bucket is in another region",
        "set AWS_DEFAULT_REGION to the bucket's",
    ),
    _NO_BUCKET,
    _DENIED,
    _MISSING,
    _BUSY,
    Answer(
        r"Could not connect|EndpointConnection|Connect(?:ion|Timeout)\w*Error"
        r"|[Tt]imed? ?out|[Cc]onnection (?:reset|aborted|refused|was closed|broken)"
        r"|ReadTimeout|\bSSL|Max retries exceeded|TransportError|IncompleteRead"
        r"|ProxyConnection|Broken pipe|Name or service not known|Failed to resolve",
        "the store cannot be reached, also when asked again",
        "check the network and, if it is set, the endpoint, then run the same command "
        "again to go on",
        passes=True,
    ),
)


@contextlib.contextmanager
def reaching(tried: str, path: str) -> Iterator[None]:
    """As `telling`, after a look whether there is such a store.

    Raises:
      UserError: the path's filesystem is unknown, or its client is not installed.
    """
    check_filesystem(path)
    scheme, _, rest = path.partition("://")
    if scheme == "s3":
        _check_bucket(rest.partition("/")[0])
    with telling(tried, path):
        yield


@contextlib.contextmanager
def telling(tried: str, path: str) -> Iterator[None]:
    """Turns what a store's client raises into one line; local paths are left alone.

    Args:
      tried: A verb, as in "cannot VERB PATH".
      path: What is read or written.

    Raises:
      FileNotFoundError: there is no such object.
      StoreError: the store refused; as StoreDownError, it did not answer.
    """
    try:
        yield
    except Exception as error:
        told = explain(error, tried, path) if "://" in path else None
        if told is None:
            raise
        raise told from error


def explain(error: Exception, tried: str, path: str) -> Exception | None:
    """Returns what to raise in place of a client's error; None if it is not one."""
    package = type(error).__module__.partition(".")[0]
    if isinstance(error, FileNotFoundError) or not (
        isinstance(error, OSError) or package in _CLIENTS
    ):
        return None
    answer, said = _find_answer(error), _first_words(_cause(error))
    if answer is None:
        return StoreError(f"cannot {tried} {path!r}: {said}")
    if answer is _MISSING and tried != LIST:
        return FileNotFoundError(f"{path}: {answer.came}")
    if answer is _MISSING:
        # Where there is nothing, a list is empty.
        answer = _NO_BUCKET
    kind = StoreDownError if answer.passes else StoreError
    return kind(f"cannot {tried} {path!r}: {answer.came} ({said}); {answer.advice}")


def _find_answer(error: Exception) -> Answer | None:
    """Returns the first kind of answer whose signs an error has."""
    cause = _cause(error)
    text = f"{type(error).__name__}: {error}\n{type(cause).__name__}: {cause}"
    return next((found for found in ANSWERS if re.search(found.signs, text)), None)


def _cause(error: Exception) -> Exception:
    """Returns what the first file failed with, of an error about several."""
    causes = [*(getattr(error, "exception_details", None) or {}).values()]
    first = causes[0] if causes else None
    return _cause(first) if isinstance(first, Exception) else error


def _first_words(error: Exception) -> str:
    """Returns the beginning of what a client said, in one line."""
    said = getattr(error, "message", None) or str(error) or type(error).__name__
    return " ".join(str(said).split())[:_SAID_LENGTH]


@functools.lru_cache(maxsize=1024)
def _check_bucket(bucket: str) -> None:
    """Asks a bucket of S3 for one name; what it then says of itself counts.

    Beam takes a bucket that is not there for an empty one, and tries again for ten
    minutes without credentials or with an endpoint that is misspelt. Whether names may
    be listed does not matter here, nor whether the store is busy: Beam asks again.

    Raises:
      StoreError: no bucket, no or wrong credentials, no way to the store.
    """
    from apache_beam.io.aws.clients.s3.boto3_client import Client

    place = f"s3://{bucket}/"
    filesystem: Any = FileSystems.get_filesystem(place)
    try:
        Client(filesystem._options).client.list_objects_v2(Bucket=bucket, MaxKeys=1)
    except Exception as error:
        told = explain(error, "reach", place)
        if told is None:
            raise
        if _find_answer(error) not in (_DENIED, _BUSY):
            raise told from error


def forget_buckets() -> None:
    """Lets buckets be looked at again, with other credentials."""
    _check_bucket.cache_clear()


class StoreFile(io.BufferedIOBase):
    """A file of a store, open for reading, whose errors are one line each."""

    def __init__(self, file: Any, path: str) -> None:
        """Takes the file of Beam's, at its beginning."""
        self._file = file
        self._path = path

    def read(self, size: int | None = -1, /) -> bytes:
        """Returns so many bytes, fewer at the end; all that are left for -1 or None."""
        with telling("read", self._path):
            return self._file.read(-1 if size is None else size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Goes to a place and returns it."""
        with telling("read", self._path):
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Returns the place."""
        return self._file.tell()

    def readable(self) -> bool:
        """Returns True."""
        return True

    def seekable(self) -> bool:
        """Returns whether there is a way back."""
        return self._file.seekable()

    def close(self) -> None:
        """Closes it."""
        if not self.closed:
            self._file.close()
        super().close()
