"""WARC and WET files for tests, written by warcio."""

import io
from typing import Any

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter


class _Writer(WARCWriter):
    """Leaves no temporary files for Python to close."""

    _create_temp_file = staticmethod(io.BytesIO)


class Archive:
    """A file of records, as warcio writes it."""

    def __init__(self, packed: bool = True) -> None:
        self.file = io.BytesIO()
        self._writer = _Writer(self.file, gzip=packed)

    def add(self, kind: str, body: bytes, http: Any = None, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        content_type = named.pop("Content-Type", "")
        self._writer.write_record(
            self._writer.create_warc_record(
                named.pop("url", "https://a.example/"),
                kind,
                payload=io.BytesIO(body),
                http_headers=http,
                warc_headers_dict={"WARC-Date": "2021-02-03T04:05:06Z", **named},
                warc_content_type=content_type,
            )
        )

    def page(self, body: bytes, status: str = "200 OK", **headers: str) -> None:
        pairs = {"Content_Type": "text/html; charset=utf-8", **headers}
        names = [(name.replace("_", "-"), value) for name, value in pairs.items()]
        self.add("response", body, StatusAndHeaders(status, names, "HTTP/1.1"))

    def text(self, body: bytes, **headers: str) -> None:
        self.add("conversion", body, Content_Type="text/plain", **headers)

    def data(self) -> bytes:
        """Returns what was written."""
        return self.file.getvalue()
