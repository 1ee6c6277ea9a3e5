import datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core.errors import UserError
from synthfilter.core.times import parse_day, parse_times

DAY = datetime.datetime(2022, 11, 30, tzinfo=datetime.timezone.utc)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def milliseconds(**more: int) -> int:
    """The start of 30 November 2022 and so much more."""
    return (DAY + datetime.timedelta(**more) - EPOCH) // datetime.timedelta(
        milliseconds=1
    )


def parsed(*said: str | None) -> list[int | None]:
    return parse_times(pa.array(said, pa.string())).to_pylist()


@pytest.mark.parametrize(
    ("said", "more"),
    [
        ("2022-11-30", {}),
        ("2022-11-30T12:30:45", {"hours": 12, "minutes": 30, "seconds": 45}),
        ("2022-11-30 12:30", {"hours": 12, "minutes": 30}),
        ("2022-11-30 12:00:00.987654", {"hours": 12}),
        ("2022-11-30T12:00:00Z", {"hours": 12}),
        ("2022-11-30 12:00:00 UTC", {"hours": 12}),
        ("2022-11-30T12:00:00+02:00", {"hours": 10}),
        ("2022-11-30T12:00:00-0330", {"hours": 15, "minutes": 30}),
        ("2022-11-30T12:00:00+02", {"hours": 10}),
        (" 2022-11-30 ", {}),
        ("Wed, 30 Nov 2022 10:00:00 +0100", {"hours": 9}),
        ("30 Nov 2022 10:00:00 GMT", {"hours": 10}),
        ("30 Nov 2022", {}),
        ("20221130", {}),
        ("20221130123045", {"hours": 12, "minutes": 30, "seconds": 45}),
        ("1669766400", {}),
        ("1669766400.5", {}),
        ("1669766400123", {"milliseconds": 123}),
        ("1669766400123456", {"milliseconds": 123}),
        ("1669766400123456789", {"milliseconds": 123}),
        ("2022-11", {"days": 1, "milliseconds": -1}),
        ("2022", {"days": 32, "milliseconds": -1}),
    ],
)
def test_a_date_is_read_as_people_write_it(said: str, more: dict[str, int]) -> None:
    assert parsed(said) == [milliseconds(**more)]


@pytest.mark.parametrize(
    "said",
    [
        "",
        "soon",
        "0",
        "1970-01-01",
        "0001-01-01T00:00:00",
        "9999-12-31",
        "2022-02-30",
        "2022-13-01",
        "2022-13",
        "2022-11-30T25:00:00",
        "2022-11-30T12:61:00",
        "2022-11-3x",
        "30 Nil 2022",
        "31 Feb 2022 10:00:00 GMT",
        "12345678901",
        "9999999999999999999",
        "-1669766400",
        "\u0662\u0660\u0662\u0662-11-30",
        "2022-11-30\0",
        "12" * 100_000,
        "v1.2",
    ],
)
def test_what_is_no_date_is_null(said: str) -> None:
    assert parsed(said) == [None]


@given(
    st.datetimes(datetime.datetime(1971, 1, 1), datetime.datetime(2100, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
)
def test_every_moment_comes_back(moment: datetime.datetime, minutes: int) -> None:
    zone = datetime.timezone(datetime.timedelta(minutes=minutes))
    wanted = (moment.replace(tzinfo=zone, microsecond=0) - EPOCH) // (
        datetime.timedelta(milliseconds=1)
    )
    assert parsed(moment.replace(tzinfo=zone).isoformat()) == [wanted]


@given(st.lists(st.none() | st.sampled_from(["2022", "2022-11-30", "1669766400", "x"])))
def test_a_date_is_read_the_same_among_others(said: list[str | None]) -> None:
    assert parsed(*said) == [parsed(each)[0] for each in said]
    assert parse_times(pa.nulls(2, pa.string())).to_pylist() == [None, None]


def test_a_day_is_a_day() -> None:
    assert parse_day("1970-01-02", "human_before") == 86_400_000
    with pytest.raises(UserError, match="a_day expects a day such as 2022-11-30, got"):
        parse_day("soon", "a_day")
