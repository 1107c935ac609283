"""A web server that gives files, and misbehaves as it is told."""

from __future__ import annotations

import contextlib
import re
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Shown:
    """A file as the server shows it.

    Attributes
    ----------
    content : bytes
    ranges : bool
        Give parts of it when asked.
    etag : str
        What is said of its state; empty: nothing.
    cuts : list of int
        After so many bytes of the answer hang up: the first question, the second, …
    falls_silent : bool
        Keep the connection open where it would be cut.
    says_length : int, optional
        What is said of its length; None: the truth, -1: nothing.
    status : list of int
        Answer the first questions with these, and no file.
    to : str
        Send on to this address.
    kind : str
        Content-Type.
    headers : dict
        Others.
    bytes_a_second : int
        0: as fast as it goes.
    needs_token : str
        Answer 401 without it.
    """

    content: bytes = b""
    ranges: bool = True
    etag: str = '"one"'
    cuts: list[int] = field(default_factory=list)
    falls_silent: bool = False
    says_length: int | None = None
    status: list[int] = field(default_factory=list)
    to: str = ""
    kind: str = "application/octet-stream"
    headers: dict[str, str] = field(default_factory=dict)
    bytes_a_second: int = 0
    needs_token: str = ""


@dataclass(frozen=True)
class Asked:
    """One question that came in."""

    path: str
    headers: dict[str, str]


class Site:
    """Files by path, and all that was asked."""

    def __init__(self) -> None:
        self.files: dict[str, Shown] = {}
        self.asked: list[Asked] = []
        self.url = ""

    def show(self, path: str, content: bytes = b"", **how: Any) -> Shown:
        self.files[path] = Shown(content, **how)
        return self.files[path]

    def show_on_the_hub(self, path: str, content: bytes, *, commit: str = "a" * 40, **how: Any) -> Shown:
        """Show a large file as the hub does: it tells hash and size, and sends one on to where the file lies."""
        stored = f"/stored/{sha256(content).hexdigest()}"
        linked = {
            "X-Linked-ETag": f'"{sha256(content).hexdigest()}"',
            "X-Linked-Size": str(len(content)),
            "X-Repo-Commit": commit,
        }
        token = how.pop("needs_token", "")
        self.show(path, to=f"{self.url}{stored}", headers=linked, needs_token=token)
        return self.show(stored, content, **how)


@contextlib.contextmanager
def serving(tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    """Serve on this machine until the block ends; encrypted where a context is given."""
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": site}))
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = False  # closing waits for them
    site.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, *_words: object) -> None:
        pass

    def do_GET(self) -> None:
        self.site.asked.append(Asked(self.path, dict(self.headers.items())))
        shown = self.site.files.get(self.path.partition("?")[0])
        with contextlib.suppress(ConnectionError):
            if shown is None:
                self._say(404)
            elif shown.needs_token and self.headers.get("Authorization") != f"Bearer {shown.needs_token}":
                self._say(401)
            elif shown.status:
                self._say(shown.status.pop(0))
            elif shown.to:
                self._say(302, {"Location": shown.to} | shown.headers)
            else:
                self._give(shown)

    def _say(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _give(self, shown: Shown) -> None:
        begin = self._begin(shown)
        if begin is not None and begin >= len(shown.content):
            self._say(416, {"Content-Range": f"bytes */{len(shown.content)}"})
            return
        part = shown.content[begin or 0 :]
        self.send_response(200 if begin is None else 206)
        if begin is not None:
            end, whole = len(shown.content) - 1, len(shown.content)
            self.send_header("Content-Range", f"bytes {begin}-{end}/{whole}")
        length = len(part) if shown.says_length is None else shown.says_length
        if length >= 0:
            self.send_header("Content-Length", str(length))
        if shown.etag:
            self.send_header("ETag", shown.etag)
        self.send_header("Content-Type", shown.kind)
        for name, value in shown.headers.items():
            self.send_header(name, value)
        self.end_headers()
        cut = shown.cuts.pop(0) if shown.cuts else len(part)
        self._write(part[:cut], shown.bytes_a_second)
        if shown.falls_silent and cut < len(part):
            self.rfile.read(1)  # until the other side hangs up
        self.close_connection = True

    def _begin(self, shown: Shown) -> int | None:
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if not found or not shown.ranges:
            return None
        if (condition := self.headers.get("If-Range")) and condition != shown.etag:
            return None
        return int(found[1])

    def _write(self, content: bytes, bytes_a_second: int) -> None:
        step = max(1, bytes_a_second // 20) if bytes_a_second else 256 * 1024
        for start in range(0, len(content), step):
            self.wfile.write(content[start : start + step])
            self.wfile.flush()
            if bytes_a_second:
                time.sleep(0.05)
