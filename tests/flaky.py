"""A way to a server on this machine that fails as often as it is told."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

# Headers of one connection, not of what it carries.
_OF_CONNECTIONS = {
    "connection",
    "transfer-encoding",
    "content-length",
    "server",
    "date",
}
RESET = 0


class Fault(NamedTuple):
    """What goes wrong, as long as there are times left.

    Attributes:
      fits: Says of a method and a path whether it goes wrong.
      status: Of the answer; RESET ends the connection without one.
      body: Of the answer.
      times: How often.
    """

    fits: Callable[[str, str], bool]
    status: int
    body: bytes = b""
    times: int = 10**6


class FlakyWay(ThreadingHTTPServer):
    """Hands requests on to a server, but for those that a fault fits."""

    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = (host, port)
        self.faults: list[Fault] = []
        self.failed: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def next_fault(self, method: str, path: str) -> Fault | None:
        """Returns the fault that fits a request, one of its times used up."""
        with self._lock:
            for place, fault in enumerate(self.faults):
                if fault.times and fault.fits(method, path):
                    self.faults[place] = fault._replace(times=fault.times - 1)
                    self.failed.append((method, path))
                    return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FlakyWay

    def _answer(self) -> None:
        body = self._read_body()
        fault = self.server.next_fault(self.command, self.path)
        if fault is None:
            self._hand_on(body)
        elif fault.status == RESET:
            self.close_connection = True
            self.connection.close()
        else:
            self._send(fault.status, [("Content-Type", "application/json")], fault.body)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do_PATCH = _answer

    def _read_body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pieces = []
        while size := int(self.rfile.readline().strip() or b"0", 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _hand_on(self, body: bytes) -> None:
        behind = http.client.HTTPConnection(*self.server.behind)
        kept = {
            k: v for k, v in self.headers.items() if k.lower() not in _OF_CONNECTIONS
        }
        behind.request(self.command, self.path, body, kept)
        got = behind.getresponse()
        self._send(got.status, got.getheaders(), got.read(), got.headers)
        behind.close()

    def _send(
        self,
        status: int,
        headers: list[tuple[str, str]],
        body: bytes,
        told: http.client.HTTPMessage | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in _OF_CONNECTIONS:
                self.send_header(name, value)
        head = self.command == "HEAD" and told is not None
        size = told.get("Content-Length", "0") if head and told else str(len(body))
        self.send_header("Content-Length", size)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def flaky_way(host: str, port: int) -> Iterator[FlakyWay]:
    """Opens a way to a server."""
    way = FlakyWay(host, port)
    thread = threading.Thread(target=way.serve_forever, daemon=True)
    thread.start()
    try:
        yield way
    finally:
        way.shutdown()
        way.server_close()
        thread.join()
