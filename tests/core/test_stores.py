"""Answers of stores, as their clients word them."""

import pytest
from apache_beam.io.aws.clients.s3.messages import S3ClientError
from apache_beam.io.filesystem import BeamIOError

from synthfilter.core.errors import (
    OUR_ERRORS,
    RunnerError,
    StoreDownError,
    StoreError,
    UserError,
    exit_code,
)
from synthfilter.core.stores import ANSWERS, explain, telling
from synthfilter.local import find_cause
from tests.conftest import REPOSITORY

PATH = "s3://b/x.parquet"
LISTED = "An error occurred ({}) when calling the ListObjectsV2 operation: Told."


def refused(message: str, code: int | None = None) -> BeamIOError:
    """Returns what a listing raises, in the wraps of Beam's."""
    inner = BeamIOError("List operation failed", {PATH: S3ClientError(message, code)})
    return BeamIOError("Match operation failed", {PATH: inner})


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (refused("Unable to locate credentials"), "no credentials for S3", 2),
        (refused(LISTED.format("InvalidAccessKeyId"), 403), "are not accepted", 2),
        (refused(LISTED.format("AccessDenied"), 403), "access is denied", 2),
        (refused(LISTED.format("403"), 403), "access is denied", 2),
        (refused(LISTED.format("NoSuchBucket"), 404), "no such bucket", 2),
        (refused(LISTED.format("404"), 404), "no such bucket", 2),
        (refused(LISTED.format("PermanentRedirect"), 301), "another region", 2),
        (refused(LISTED.format("SlowDown"), 503), "busy or out of order", 1),
        (refused("Could not connect to the endpoint URL"), "cannot be reached", 1),
        (BeamIOError("Delete failed", {PATH: 403}), "access is denied", 2),
        (ConnectionResetError("Connection reset by peer"), "cannot be reached", 1),
        (OSError("something else"), "something else", 2),
    ],
)
def test_an_answer_is_one_line_that_says_what_to_do(
    error: Exception, message: str, code: int
) -> None:
    told = explain(error, "list", PATH)
    assert isinstance(told, StoreError)
    assert str(told).startswith(f"cannot list {PATH!r}: ")
    assert message in str(told)
    assert str(told).count("\n") == 0
    assert exit_code(told) == code


def test_an_object_that_is_not_there_is_a_file_that_is_not_there() -> None:
    error = S3ClientError("An error occurred (NoSuchKey) when calling GetObject", 404)
    assert isinstance(explain(error, "read", PATH), FileNotFoundError)


@pytest.mark.parametrize("error", [UserError("wrong"), KeyError("a defect")])
def test_what_no_client_raised_is_left_alone(error: Exception) -> None:
    assert explain(error, "read", PATH) is None
    with pytest.raises(type(error)), telling("read", PATH):
        raise error


def test_errors_of_the_disk_are_left_alone() -> None:
    with pytest.raises(PermissionError), telling("read", "/data/x"):
        raise PermissionError("Permission denied")


def test_a_name_is_not_taken_for_an_answer() -> None:
    told = explain(OSError("cannot parse s3://b/404/503.parquet"), "read", "s3://b/404")
    assert type(told) is StoreError


@pytest.mark.parametrize("kind", OUR_ERRORS)
def test_errors_are_known_by_what_runners_make_of_them(kind: type[Exception]) -> None:
    text = f"synthfilter.core.errors.{kind.__name__}: told [while running 'Write-7']"
    for error in (RuntimeError(f"Traceback\n  File\n{text}"), kind(text[36:])):
        assert type(find_cause(error)) is kind
    assert issubclass(StoreDownError, StoreError)
    assert not issubclass(StoreError, ValueError | OSError | RunnerError)


def test_the_documentation_lists_every_answer() -> None:
    page = (REPOSITORY / "docs/object-stores.md").read_text()
    for answer in ANSWERS:
        assert answer.came in page
        assert answer.advice in page
