"""Days and times as data sets write them, in milliseconds since 1970 (UTC)."""

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from synthfilter.core.errors import UserError

_EPOCH = datetime.date(1970, 1, 1)
DAY_MS = 24 * 60 * 60 * 1000
# No document is dated outside; year 1 and the like stand for no date.
_FIRST = np.datetime64("1800-01-01", "ms").astype(np.int64)
_LAST = np.datetime64("2140-01-01", "ms").astype(np.int64)

_CLOCK = r"(?P<clock>\d{2}:\d{2}(?::\d{2})?)(?:[.,]\d+)?"
_ZONE = r" ?(?P<zone>[Zz]|UTC?|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2})?"
_ISO = rf"^\s*(?P<day>\d{{4}}-\d\d-\d\d)(?:[Tt ]{_CLOCK}{_ZONE})?\s*$"
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_MAIL = (
    r"^\s*(?:[A-Za-z]{3}, ?)?(?P<day>\d{1,2}) "
    rf"(?P<month>{'|'.join(_MONTHS)}) (?P<year>\d{{4}})"
    rf"(?: {_CLOCK}{_ZONE})?(?: \([A-Z]+\))?\s*$"
)
_PERIOD = r"^\s*(?P<year>\d{4})(?:-(?P<month>\d\d))?\s*$"
_COMPACT = r"^\s*(?P<year>[12]\d{3})(?P<month>\d\d)(?P<day>\d\d)(?P<clock>\d{6})?\s*$"
_NUMBER = r"^\s*(?P<whole>\d{9,19})(?:\.\d+)?\s*$"
# Seconds since 1970, and finer units: digits to units in a second.
_UNITS = {9: 1, 10: 1, 12: 10**3, 13: 10**3, 15: 10**6, 16: 10**6, 18: 10**9, 19: 10**9}


def parse_day(said: str, option: str) -> int:
    """Returns the start of a day in milliseconds since 1970 (UTC).

    Args:
      said: The day.
      option: Whose value it is, for the message.

    Raises:
      UserError: it is not written as 2022-11-30.
    """
    try:
        day = datetime.date.fromisoformat(said)
    except ValueError as error:
        raise UserError(
            f"{option} expects a day such as 2022-11-30, got {said!r}"
        ) from error
    return (day - _EPOCH).days * DAY_MS


def parse_times(created: pa.Array) -> pa.Array:
    """Returns milliseconds since 1970 (UTC), int64; null for what is no date.

    ISO 8601 days and times with or without a zone (without: UTC), RFC 2822 dates,
    `20221130`, numbers that are seconds since 1970 or milli-, micro- or nanoseconds.
    A year or month alone is its last moment: nothing in it is known to be older. The
    very moment 0 and years before 1800 are what programs write for no date: null.

    Args:
      created: Strings; may hold nulls.
    """
    found = pa.nulls(len(created), pa.int64())
    for read in (_read_iso, _read_mail, _read_compact, _read_number, _read_period):
        left = pc.and_(found.is_null(), created.is_valid())
        if not pc.any(left).as_py():
            break
        found = pc.replace_with_mask(found, left, read(created.filter(left)))
    real = pc.and_(
        pc.and_(pc.greater_equal(found, _FIRST), pc.less(found, _LAST)),
        pc.not_equal(found, 0),
    )
    return pc.if_else(real, found, pa.scalar(None, pa.int64()))


def _read_iso(text: pa.Array) -> pa.Array:
    parts = pc.extract_regex(text, _ISO)
    return _moment(*(parts.field(name) for name in ("day", "clock", "zone")))


def _read_mail(text: pa.Array) -> pa.Array:
    parts = pc.extract_regex(text, _MAIL)
    month = pc.index_in(parts.field("month"), pa.array(_MONTHS))
    month = pc.add(month, 1).cast(pa.string())
    day = _join(parts.field("year"), month, parts.field("day"))
    return _moment(day, parts.field("clock"), parts.field("zone"))


def _read_compact(text: pa.Array) -> pa.Array:
    parts = pc.extract_regex(text, _COMPACT)
    day = _join(*(parts.field(name) for name in ("year", "month", "day")))
    clock = parts.field("clock")
    clock = pc.replace_substring_regex(clock, r"(..)(..)(..)", r"\1:\2:\3")
    return _moment(day, clock, pa.repeat("", len(text)))


def _read_period(text: pa.Array) -> pa.Array:
    parts = pc.extract_regex(text, _PERIOD)
    year, month = parts.field("year"), parts.field("month")
    whole = pc.equal(month, "")
    first = _day(_join(year, pc.if_else(whole, "01", month), pa.repeat("1", len(text))))
    values = first.fill_null(0).to_numpy().astype("datetime64[ms]")
    years = values.astype("datetime64[Y]") + 1
    months = values.astype("datetime64[M]") + 1
    year_only = whole.fill_null(False).to_numpy(False)
    after = np.where(
        year_only, years.astype("datetime64[ms]"), months.astype("datetime64[ms]")
    )
    last = pa.array(after.astype(np.int64) - 1)
    return pc.if_else(first.is_valid(), last, pa.scalar(None, pa.int64()))


def _read_number(text: pa.Array) -> pa.Array:
    whole = pc.extract_regex(text, _NUMBER).field("whole")
    units = pc.utf8_length(whole)
    known = pa.array([*_UNITS], pa.int32())
    unit = pa.array([*_UNITS.values()]).take(pc.index_in(units, known))
    fits = pc.is_in(pc.utf8_slice_codeunits(whole, 0, 1), pa.array([*"123456789"]))
    value = pc.if_else(fits, whole, pa.scalar(None, whole.type)).cast(pa.uint64())
    value = value.cast(pa.int64(), safe=False)
    seconds = pc.divide(value, unit)
    rest = pc.subtract(value, pc.multiply(seconds, unit))
    # Less than a millisecond does not count.
    fine = pc.if_else(pc.greater(unit, 1), pc.divide(pc.multiply(rest, 1000), unit), 0)
    return pc.add(pc.multiply(seconds, 1000), fine)


def _join(year: pa.Array, month: pa.Array, day: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(year, month, day, "-")


def _day(said: pa.Array) -> pa.Array:
    """Returns milliseconds of days; null for those that no calendar has."""
    moment = pc.strptime(said, "%Y-%m-%d", "ms", error_is_null=True)
    # A 30th of February is read as the 2nd of March.
    number = pc.utf8_ltrim(pc.utf8_slice_codeunits(said, 8, 10), "0-")
    same = pc.equal(pc.day(moment).cast(pa.string()), number)
    return pc.if_else(same, moment, pa.scalar(None, moment.type)).cast(pa.int64())


def _moment(day: pa.Array, clock: pa.Array, zone: pa.Array) -> pa.Array:
    """Returns milliseconds of days with a clock and a zone, either may be empty."""
    hour, minute, second = (_number(clock, at) for at in (0, 3, 6))
    real = pc.and_(
        pc.and_(pc.less(hour, 24), pc.less(minute, 60)), pc.less_equal(second, 60)
    )
    zone = pc.replace_substring(zone, ":", "")
    shift = pc.add(pc.multiply(_number(zone, 1), 60), _number(zone, 3))
    east = pc.if_else(pc.starts_with(zone, "-"), pc.negate(shift), shift)
    minutes = pc.subtract(pc.add(pc.multiply(hour, 60), minute), east)
    offset = pc.multiply(pc.add(pc.multiply(minutes, 60), second), 1000)
    total = pc.add(_day(day), offset)
    return pc.if_else(real, total, pa.scalar(None, pa.int64()))


def _number(text: pa.Array, at: int) -> pa.Array:
    """Returns the two digits from there on, int64; 0 where there are none."""
    digits = pc.utf8_slice_codeunits(text, at, at + 2)
    there = pc.match_substring_regex(digits, r"^\d\d$")
    return pc.if_else(there, digits, "0").cast(pa.int64())
