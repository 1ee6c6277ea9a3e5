"""WARC and WET files as records: pages of the web, and the texts made of them.

A document is a `conversion` record of plain text, as it is, or a `response` that says
200 and holds HTML, of which the main text is taken. All other records are passed over.
The bytes are decompressed here, within limits; warcio reads records, resiliparse HTML.
"""

import importlib.util
import io
import re
import zlib
from collections.abc import Iterator
from typing import Any

from synthfilter.core import schema
from synthfilter.core.errors import UserError
from synthfilter.inputs.formats import (
    WARC,
    CorruptInputError,
    decompressed,
    plain_chunks,
)

INSTALL = "pip install 'synthfilter[warc]'"

# How pages are packed for sending, as files are.
_STREAMS = {"gzip": ".gz", "x-gzip": ".gz", "zstd": ".zst"}
_HTML = ("text/html", "application/xhtml+xml")
# The header of a record, its HTTP header and what is between two records.
_HEADER_BYTES = 4 << 20
# Cost of pages grows with the square of these; no page has so many.
_MAX_DEPTH = 1000
_MAX_OPTIONS = 10_000
_MAX_ATTRIBUTES = 5_000
_PIECE_BYTES = 1 << 16

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]*)")
_LONG_TAG = re.compile(rf"<[a-zA-Z][^>]{{{4 * _MAX_ATTRIBUTES},}}")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_ATTRIBUTE = re.compile(r"[\s/]+[^\s=>/]")
# Elements that hold nothing, or that the next one ends.
_FLAT = frozenset(
    "area base br col embed hr img input link meta param source track wbr p li td tr "
    "th option dt dd body html head".split()
)


def check_readers() -> None:
    """Raises UserError unless what reads WARC files is installed."""
    for name in ("warcio", "resiliparse", "brotli"):
        if importlib.util.find_spec(name) is None:
            raise UserError(
                f"WARC and WET files need {name}, which is not installed; {INSTALL}"
            )


class _Stream:
    """Decompressed bytes as a file, of which only so much may be read as is allowed.

    Attributes:
      allowed: How many bytes may be read.
      records: How many records have begun.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = b""
        self.allowed = _HEADER_BYTES
        self.records = 0

    def read(self, size: int) -> bytes:
        """Returns the next bytes, at most so many; none at the end."""
        if not self._held:
            self._held = next(self._chunks, b"")
        given, self._held = self._held[:size], self._held[size:]
        self.allowed -= len(given)
        if self.allowed < 0:
            raise CorruptInputError(f"a header of more than {_HEADER_BYTES} bytes")
        return given


def read_warc(file: Any, compression: str, max_bytes: int) -> Iterator[tuple[int, Any]]:
    """Yields `(record number, dictionary or ValueError)` for each document.

    Records are counted from 1, those that are passed over included. After one that is
    broken no other can be found.

    Args:
      file: Open, with its bytes as they are.
      compression: ".gz", ".zst" or "".
      max_bytes: A record with more is an error.
    """
    stream = _Stream(plain_chunks(file, compression, WARC))
    try:
        for record in _records(stream):
            found = _read_record(record, max_bytes)
            if found is not None:
                yield stream.records, found
    except CorruptInputError as error:
        yield max(stream.records, 1), ValueError(f"{schema.BROKEN_FILE}{error}")


def _records(stream: _Stream) -> Iterator[Any]:
    """Yields each record with its content still to be read.

    Raises:
      CorruptInputError: something is no record, or shorter than it says.
    """
    from warcio.bufferedreaders import BufferedReader
    from warcio.exceptions import ArchiveLoadFailed
    from warcio.recordloader import ArcWarcRecordLoader
    from warcio.statusandheaders import StatusAndHeadersParserException

    loader = ArcWarcRecordLoader()
    reader = BufferedReader(stream)
    line = reader.readline()
    while line:
        stream.records += 1
        try:
            record = loader.parse_record_stream(reader, line, "warc", True)
        except (ArchiveLoadFailed, StatusAndHeadersParserException, EOFError) as error:
            raise CorruptInputError(f"no WARC record: {_one_line(error)}") from error
        if record.length is None or record.rec_type is None:
            raise CorruptInputError("a record without type or length")
        stream.allowed = record.length + _HEADER_BYTES
        yield record
        while record.raw_stream.read(_PIECE_BYTES):
            pass
        if record.raw_stream.limit:
            raise CorruptInputError(
                f"the file ends {record.raw_stream.limit} bytes before its last record"
            )
        if (line := reader.readline()).strip():
            raise CorruptInputError("a record is longer than it says")
        while line and not line.strip():
            line = reader.readline()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _read_record(record: Any, max_bytes: int) -> Any:
    """Returns the document in a record, or why it cannot be read; None if it has none.

    Args:
      record: Of warcio.
      max_bytes: It may hold.
    """
    if record.rec_type not in ("conversion", "response"):
        return None
    try:
        made = _text_of(record, max_bytes)
    except _UnreadableError as error:
        return ValueError(str(error))
    if made is None:
        return None
    text, content_type, language = made
    header = record.rec_headers.get_header
    found = {
        schema.TEXT: text,
        schema.ID: (header("WARC-Record-ID") or "").strip("<>") or None,
        schema.URL: header("WARC-Target-URI"),
        "date": header("WARC-Date"),
        schema.LANGUAGE: header("WARC-Identified-Content-Language") or language,
        "content_type": content_type,
    }
    if header("WARC-Truncated"):
        found["truncated"] = header("WARC-Truncated")
    return found


class _UnreadableError(Exception):
    """Why the document of a record cannot be read."""


def _text_of(record: Any, max_bytes: int) -> tuple[str, str | None, str | None] | None:
    """Returns text, content type and language of a record; None if it has no text.

    Raises:
      _UnreadableError: it has, and it cannot be read.
    """
    if record.rec_type == "conversion":
        kind = _media_type(record.rec_headers.get_header("Content-Type"))
        if kind != "text/plain":
            return None
        return _decode(_content(record, max_bytes), "utf-8"), kind, None
    http = _http_header(record)
    if http is None or http.get_statuscode() != "200":
        return None
    said = http.get_header("Content-Type")
    known = record.rec_headers.get_header("WARC-Identified-Payload-Type")
    kind = _media_type(said) or _media_type(known)
    if kind not in _HTML:
        return None
    body = _content(record, max_bytes)
    if (http.get_header("Transfer-Encoding") or "").lower() == "chunked":
        body = _unchunked(body)
    encoding = (http.get_header("Content-Encoding") or "").strip().lower()
    if encoding not in ("", "identity"):
        body = _unpacked(body, encoding, max_bytes)
    return _extract(body, said or ""), kind, http.get_header("Content-Language")


def _http_header(record: Any) -> Any:
    """Returns status and header of a response; None if it is none of HTTP."""
    from warcio.statusandheaders import StatusAndHeadersParser

    try:
        return StatusAndHeadersParser(["HTTP/"], verify=False).parse(record.raw_stream)
    except EOFError:
        return None


def _media_type(said: str | None) -> str:
    return (said or "").partition(";")[0].strip().lower()


def _content(record: Any, max_bytes: int) -> bytes:
    """Returns what is left of a record; too much of it is an error."""
    found = record.raw_stream.read(max_bytes + 1)
    if len(found) > max_bytes:
        raise _UnreadableError(f"a record of {record.length} bytes is too long")
    return found


def _unchunked(body: bytes) -> bytes:
    from warcio.bufferedreaders import ChunkedDataReader

    return ChunkedDataReader(io.BytesIO(body)).read()


def _unpacked(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Returns a page as it was before it was sent, within limits.

    Raises:
      _UnreadableError: it is damaged, too long, or packed in an unknown way.
    """
    limit = max_bytes + 1
    try:
        if encoding in _STREAMS:
            parts, size = list[bytes](), 0
            for chunk in decompressed(io.BytesIO(body), _STREAMS[encoding]):
                parts.append(chunk)
                size += len(chunk)
                if size >= limit:
                    break
            found = b"".join(parts)
        elif encoding == "deflate":
            found = _inflated(body, limit)
        elif encoding == "br":
            found = _without_brotli(body, limit)
        else:
            raise _UnreadableError(f"packed in an unknown way: {encoding[:40]!r}")
    except (CorruptInputError, zlib.error) as error:
        raise _UnreadableError(f"damaged content: {error}") from error
    if len(found) > max_bytes:
        raise _UnreadableError(f"more than {max_bytes} bytes when unpacked, too long")
    return found


def _inflated(body: bytes, limit: int) -> bytes:
    # Some servers leave the frame of deflate away.
    framed = len(body) > 1 and int.from_bytes(body[:2], "big") % 31 == 0
    stream = zlib.decompressobj(wbits=15 if framed else -15)
    found = stream.decompress(body, limit)
    if not stream.eof and len(found) < limit:
        raise _UnreadableError("damaged content: it ends early")
    return found


def _without_brotli(body: bytes, limit: int) -> bytes:
    import brotli

    stream = brotli.Decompressor()
    found = [b""]
    try:
        found.append(stream.process(body, output_buffer_limit=_PIECE_BYTES))
        while not stream.is_finished() and sum(map(len, found)) < limit:
            if not found[-1] and stream.can_accept_more_data():
                raise _UnreadableError("damaged content: it ends early")
            found.append(stream.process(b"", output_buffer_limit=_PIECE_BYTES))
    except brotli.error as error:
        raise _UnreadableError(f"damaged content: {error}") from error
    return b"".join(found)


def _extract(body: bytes, content_type: str) -> str:
    """Returns the main text of a page.

    Raises:
      _UnreadableError: it is not in the encoding that it names, or is made to be slow.
    """
    from resiliparse.extract.html2text import extract_plain_text
    from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

    named = _CHARSET.search(content_type)
    if named:
        encoding = map_encoding_to_html5(named[1])
    else:
        encoding = detect_encoding(body, from_html_meta=True)
    page = _decode(body, encoding or "utf-8")
    check_markup(page)
    return extract_plain_text(page, main_content=True, alt_texts=False)


def _decode(body: bytes, encoding: str) -> str:
    """Returns bytes as text, all of them.

    Raises:
      _UnreadableError: some are not in this encoding, or nobody knows it.
    """
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as error:
        raise _UnreadableError(f"invalid {encoding} at byte {error.start}") from error
    except LookupError as error:
        raise _UnreadableError(f"unknown encoding {encoding[:40]!r}") from error


def check_markup(page: str) -> None:
    """Raises _UnreadableError for a page that would take minutes to read."""
    depth = deepest = options = 0
    few = page.count("<") <= min(_MAX_DEPTH, _MAX_OPTIONS)
    for close, name in () if few else _TAG.findall(page):
        name = name.lower()
        options += name == "option"
        if name not in _FLAT:
            depth = max(0, depth - 1) if close else depth + 1
            deepest = max(deepest, depth)
    if deepest > _MAX_DEPTH:
        raise _UnreadableError(f"elements nested more than {_MAX_DEPTH} deep")
    if options > _MAX_OPTIONS:
        raise _UnreadableError(f"more than {_MAX_OPTIONS} options")
    for tag in _LONG_TAG.findall(page):
        if len(_ATTRIBUTE.findall(_QUOTED.sub("", tag))) > _MAX_ATTRIBUTES:
            raise _UnreadableError(f"a tag of more than {_MAX_ATTRIBUTES} attributes")
