"""Samples as files that people judge in, and the verdicts in what comes back."""

import base64
import csv
import datetime
import io
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Optional

import orjson
import pyarrow as pa

from synthfilter.core import schema, storage
from synthfilter.core.errors import UserError
from synthfilter.core.uses import HASH_DIGITS, TIME
from synthfilter.core.verdicts import (
    FOCUS,
    FOCUSES,
    GIVEN,
    NOTE,
    PROBABILITY,
    REVIEWER,
    VERDICT,
    VERDICT_NAMES,
)

PAGE_FORMAT = "synthfilter verdicts"
# What goes with a document through any tool and back, in one word that tells a
# reviewer nothing: what is in it would bias them.
SAMPLE = "sample"
_CARRIED = (
    schema.CONTENT_HASH,
    schema.ID,
    schema.BUILD_ID,
    schema.ORIGIN,
    FOCUS,
    PROBABILITY,
)
_ASKED = (VERDICT, REVIEWER, TIME, NOTE)
_ORIGINS = ("human", "synthetic")
# What makes a cell a formula (OWASP, CSV Injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_MAX_CELL = 2**31 - 1

LABEL_STUDIO_CONFIG = """<View>
  <Style>.htx-text { white-space: pre-wrap; }</Style>
  <Header value="Who wrote this text? Reject what nobody should learn from."/>
  <Choices name="verdict" toName="text" choice="single" showInline="true"
           required="true">
    <Choice value="human" hotkey="h"/>
    <Choice value="synthetic" hotkey="s"/>
    <Choice value="reject" hotkey="r"/>
    <Choice value="unsure" hotkey="u"/>
  </Choices>
  <Text name="text" value="$text" valueType="text"/>
  <TextArea name="note" toName="text" rows="2" maxSubmissions="1"
            placeholder="note"/>
</View>
"""

Row = dict[str, Any]


def about_document(document: Mapping[str, Any]) -> Row:
    """Returns what must come back with a verdict on a document."""
    return {name: document[name] for name in _CARRIED}


def pack(document: Mapping[str, Any]) -> str:
    """Returns what must come back with a verdict on a document, as one word."""
    return base64.urlsafe_b64encode(orjson.dumps(about_document(document))).decode()


def unpack(word: str) -> Row:
    """Returns what `pack` was given.

    Raises:
      ValueError: `pack` did not make the word.
    """
    found = orjson.loads(base64.urlsafe_b64decode(word))
    if not isinstance(found, dict) or set(found) != set(_CARRIED):
        raise ValueError("other names")
    return found


def label_studio_tasks(documents: pa.Table) -> bytes:
    """Returns tasks as Label Studio imports them, for `LABEL_STUDIO_CONFIG`."""
    tasks = [
        {"data": {schema.TEXT: row[schema.TEXT], SAMPLE: pack(row)}}
        for row in documents.to_pylist()
    ]
    return orjson.dumps(tasks, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def csv_rows(documents: pa.Table) -> bytes:
    """Returns a table for a spreadsheet, with empty columns for the verdict.

    A text that a spreadsheet would run as a formula begins with an apostrophe instead;
    nobody reads it back.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([schema.CONTENT_HASH, *_ASKED, schema.TEXT, SAMPLE])
    for row in documents.to_pylist():
        text = row[schema.TEXT].replace("\0", "\ufffd")
        text = f"'{text}" if text.startswith(_FORMULA) else text
        writer.writerow([row[schema.CONTENT_HASH], "", "", "", "", text, pack(row)])
    # By its mark a spreadsheet knows UTF-8.
    return out.getvalue().encode("utf-8-sig")


def json_lines(documents: pa.Table) -> bytes:
    """Returns a line for each document, with nulls for the verdict."""
    return b"".join(
        orjson.dumps(
            {
                schema.CONTENT_HASH: row[schema.CONTENT_HASH],
                **dict.fromkeys(_ASKED),
                schema.TEXT: row[schema.TEXT],
                SAMPLE: pack(row),
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
        for row in documents.to_pylist()
    )


def read_verdict_file(path: str, reviewer: Optional[str]) -> tuple[list[Row], int]:
    """Returns the rows of `core.verdicts.GIVEN` in a file, and how many are unjudged.

    Args:
      path: The page's download, JSON lines, CSV, or what Label Studio exports as JSON.
      reviewer: Whose verdicts they are where the file does not say.

    Raises:
      UserError: a line is not as it should be; says which.
    """
    kind = path.rsplit(".", 1)[-1].lower()
    readers = {"csv": _read_csv, "json": _read_json}
    readers |= dict.fromkeys(("jsonl", "ndjson"), _read_lines)
    if kind not in readers:
        raise UserError(f"{path}: expected a .json, .jsonl or .csv file of verdicts")
    data = storage.read_bytes(path)
    rows, unjudged = [], 0
    for place, said in readers[kind](data, path):
        row = check_row(said, place, reviewer)
        if row is None:
            unjudged += 1
        else:
            rows.append(row)
    return rows, unjudged


def _read_csv(data: bytes, path: str) -> Iterator[tuple[str, Row]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 ({error}); save it as CSV UTF-8") from error
    head = text.partition("\n")[0]
    # Spreadsheets write what their language separates lists by.
    separator = max(",;\t", key=head.count)
    limit = csv.field_size_limit(_MAX_CELL)
    try:
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
        missing = {schema.CONTENT_HASH, VERDICT} - set(rows.fieldnames or ())
        if missing:
            raise UserError(f"{path}: no column {', '.join(sorted(missing))}")
        line = rows.line_num + 1
        for row in rows:
            yield f"{path}:{line}", {name: row[name] or None for name in row if name}
            line = rows.line_num + 1
    except csv.Error as error:
        raise UserError(f"{path}:{rows.line_num}: {error}") from error
    finally:
        csv.field_size_limit(limit)


def _read_lines(data: bytes, path: str) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            place = f"{path}:{number}"
            yield place, _as_object(_parse(line, place), place)


def _read_json(data: bytes, path: str) -> Iterator[tuple[str, Row]]:
    found = _parse(data, path)
    if isinstance(found, dict) and found.get("format") == PAGE_FORMAT:
        if found.get("version") != 1 or not isinstance(found.get("verdicts"), list):
            raise UserError(
                f"{path}: verdicts of version {found.get('version')!r}, expected 1; "
                "import them with the synthfilter that made the page"
            )
        found = found["verdicts"]
    if not isinstance(found, list):
        raise UserError(
            f"{path}: expected what the review page downloads, or what Label Studio "
            f"exports as JSON, got {str(found)[:40]!r}"
        )
    for number, entry in enumerate(found, 1):
        place = f"{path}: entry {number}"
        entry = _as_object(entry, place)
        if "annotations" in entry:
            yield from _read_task(entry, place)
        else:
            yield place, entry


def _read_task(task: Row, place: str) -> Iterator[tuple[str, Row]]:
    """Yields what each annotator of a task of Label Studio said."""
    data, annotations = task.get("data"), task["annotations"]
    if not isinstance(data, dict) or not isinstance(annotations, list):
        raise UserError(f"{place}: expected a task of Label Studio, with its data")
    about = {name: data[name] for name in (SAMPLE, *_CARRIED) if name in data}
    if not annotations:
        yield place, about
    for annotation in annotations:
        annotation = _as_object(annotation, place)
        said: dict[str, Any] = {}
        for region in annotation.get("result") or ():
            value = _as_object(_as_object(region, place).get("value"), place)
            given = value.get("choices") or value.get("text") or [None]
            said[str(region.get("from_name"))] = (
                given[0] if isinstance(given, list) else given
            )
        if annotation.get("was_cancelled"):
            said = {}
        yield (
            place,
            {
                **about,
                VERDICT: said.get(VERDICT),
                NOTE: said.get(NOTE),
                REVIEWER: _annotator(annotation.get("completed_by")),
                TIME: annotation.get("updated_at") or annotation.get("created_at"),
            },
        )


def _annotator(who: Any) -> Optional[str]:
    """Returns the name of an annotator: an e-mail address, or their number."""
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    if isinstance(who, int):
        return f"label-studio-{who}"
    return who if isinstance(who, str) else None


def check_row(said: Row, place: str, reviewer: Optional[str]) -> Optional[Row]:
    """Returns what a file says of a document as a row of `core.verdicts.GIVEN`.

    Args:
      said: The names and values in the file.
      place: File and line, for messages.
      reviewer: Whose verdict it is where the file does not say.

    Returns:
      None where there is no verdict.

    Raises:
      UserError: something of it is wrong.
    """
    verdict = str(said.get(VERDICT) or "").strip().lower()
    if not verdict:
        return None
    if verdict not in VERDICT_NAMES:
        expected = ", ".join(sorted(VERDICT_NAMES))
        raise UserError(f"{place}: verdict must be {expected}, got {verdict[:40]!r}")
    row = {**_carried(said, place), VERDICT: verdict}
    digits = str(row[schema.CONTENT_HASH] or "").strip().lower()
    if not re.fullmatch(f"[0-9a-f]{{{HASH_DIGITS}}}", digits):
        raise UserError(
            f"{place}: content_hash must be {HASH_DIGITS} hexadecimal digits, got "
            f"{digits[:40]!r}"
        )
    who = str(said.get(REVIEWER) or reviewer or "").strip()
    if not who:
        raise UserError(f"{place}: nobody is named as reviewer; say --reviewer NAME")
    note = said.get(NOTE)
    row |= {
        schema.CONTENT_HASH: digits,
        REVIEWER: who,
        TIME: _parse_time(said.get(TIME), place),
        NOTE: str(note).strip() or None if note is not None else None,
    }
    _check_carried(row, place)
    return row


def _carried(said: Row, place: str) -> Row:
    """Returns what the file, or the word in it, says of the document itself."""
    found: Row = dict.fromkeys(_CARRIED)
    word = said.get(SAMPLE)
    if word:
        try:
            found = unpack(str(word))
        except ValueError as error:
            raise UserError(
                f"{place}: the column {SAMPLE} was changed; it must stay as it was "
                "exported"
            ) from error
    own = {name: said[name] for name in _CARRIED if said.get(name) is not None}
    content = (found[schema.CONTENT_HASH], own.get(schema.CONTENT_HASH))
    if all(content) and content[0] != str(content[1]).strip().lower():
        raise UserError(
            f"{place}: content_hash {str(content[1])[:40]!r} and {SAMPLE} are of two "
            "documents; rows were mixed up or a cell was changed"
        )
    return found | own


def _check_carried(row: Row, place: str) -> None:
    """Raises UserError unless what is said of the document makes sense."""
    for name, known in ((schema.ORIGIN, _ORIGINS), (FOCUS, FOCUSES)):
        if row[name] is not None and row[name] not in known:
            raise UserError(
                f"{place}: {name} must be one of {', '.join(known)}, got "
                f"{str(row[name])[:40]!r}"
            )
    for name in (schema.ID, schema.BUILD_ID):
        row[name] = None if row[name] is None else str(row[name])
    if row[PROBABILITY] is not None:
        try:
            chance = float(row[PROBABILITY])
        except (TypeError, ValueError):
            chance = 0.0
        if not 0 < chance <= 1:
            raise UserError(
                f"{place}: probability must be above 0 and at most 1, got "
                f"{str(row[PROBABILITY])[:40]!r}"
            )
        row[PROBABILITY] = chance


def _parse_time(said: Any, place: str) -> Optional[datetime.datetime]:
    """Returns a moment in UTC, which one without a zone is in already."""
    if not said:
        return None
    try:
        found = datetime.datetime.fromisoformat(re.sub("[zZ]$", "+00:00", str(said)))
        if found.tzinfo is None:
            return found.replace(tzinfo=datetime.timezone.utc)
        return found.astimezone(datetime.timezone.utc)
    except (ValueError, OverflowError) as error:
        raise UserError(
            f"{place}: time must be as 2026-03-01T12:30:00Z, got {str(said)[:40]!r}"
        ) from error


def _parse(data: bytes, place: str) -> Any:
    try:
        return orjson.loads(data)
    except json.JSONDecodeError as error:
        raise UserError(f"{place}: not JSON: {error}") from error


def _as_object(found: Any, place: str) -> Row:
    if not isinstance(found, dict):
        raise UserError(f"{place}: expected an object, got {str(found)[:40]!r}")
    return found


def as_table(rows: list[Row]) -> pa.Table:
    """Returns rows as a table of `core.verdicts.GIVEN`."""
    return pa.Table.from_pylist(rows, schema=GIVEN)
