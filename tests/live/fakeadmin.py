"""
Stands in for an admin door, where the real one would be hard to bring into a state.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from terminable.admin.answers import HEADERS
from tests.live.clients import HOST
from tests.live.processes import ROOT

PAGE = ROOT / "terminable" / "admin" / "page"

#: The page, by path.
FILES = {
    "/": (PAGE / "index.html", "text/html; charset=utf-8"),
    "/page.css": (PAGE / "page.css", "text/css; charset=utf-8"),
    "/page.js": (PAGE / "page.js", "text/javascript; charset=utf-8"),
    "/words.js": (PAGE / "words.js", "text/javascript; charset=utf-8"),
}

#: A server to which nothing has happened yet.
STATUS: dict[str, Any] = {
    "version": "1.2.3",
    "pid": 100,
    "name": "shop",
    "phase": "serving",
    "since": time.time(),
    "uptime": 60.0,
    "busy": 0,
    "idle": 0,
    "waiting": 0,
    "left": None,
    "deadline": None,
    "oldest": None,
    "generations": [],
    "throttle": {"held": 0, "refused": 0, "disconnected": 0},
    "ports": ["tcp 127.0.0.1:8080"],
    "longestTurn": 0.0,
    "upgrade": None,
    "report": None,
}

#: A connection that does nothing.
CONNECTION: dict[str, Any] = {
    "id": "1",
    "peer": "127.0.0.1:4242",
    "local": "127.0.0.1:8080",
    "protocol": "HTTPChannel",
    "state": "busy",
    "doing": "GET /",
    "age": 1.0,
    "lastReceived": None,
    "lastSent": None,
    "received": None,
    "sent": None,
    "unsent": 0,
    "told": False,
}


class FakeAdmin(ThreadingHTTPServer):
    """
    Tells whatever a test wants it to.

    @ivar status: what C{/status} and C{/events} tell.
    @ivar connections: what C{/connections} tells.
    @ivar refusal: the status with which streams are refused; 0 if they are not.
    @ivar posted: what was posted: paths and bodies.
    @ivar streams: how many streams have begun.
    """

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__((HOST, port), Answering)
        self.status = dict(STATUS)
        self.connections: list[dict[str, Any]] = []
        self.refusal = 0
        self.posted: list[tuple[str, Any]] = []
        self.streams = 0
        self._cut = 0
        self._serving = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self._serving.start()

    @property
    def url(self) -> str:
        """
        Where the page is.
        """
        return f"http://{HOST}:{self.server_address[1]}/"

    def cut(self) -> None:
        """
        End all streams that there are, without a word.
        """
        self._cut += 1

    def news(self) -> Any:
        """
        What a stream tells, again and again until it is cut.
        """
        cut, self.streams = self._cut, self.streams + 1
        while self._cut == cut:
            yield f"event: status\ndata: {json.dumps(self.status)}\n\n".encode()
            time.sleep(0.1)

    def cleanUp(self) -> None:
        """
        Leave nothing behind.
        """
        self.cut()
        self.shutdown()
        self._serving.join()
        self.server_close()


class Answering(BaseHTTPRequestHandler):
    """
    One request.
    """

    server: FakeAdmin

    def do_GET(self) -> None:
        """
        Somebody wants to know.
        """
        path, admin = self.path.partition("?")[0], self.server
        if path in FILES:
            file, kind = FILES[path]
            self._answer(200, file.read_bytes(), kind)
        elif path == "/status":
            self._tell(200, admin.status)
        elif path == "/connections":
            rows = admin.connections
            self._tell(200, {"total": len(rows), "busy": 0, "idle": 0, "connections": rows})
        elif admin.refusal:
            self._tell(admin.refusal, {"error": "too many are watching"})
        else:
            self._head(200, "text/event-stream")
            # The page goes whenever it likes.
            with contextlib.suppress(OSError):
                for event in admin.news():
                    self.wfile.write(event)

    def do_POST(self) -> None:
        """
        Somebody wants something to be done.
        """
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.posted.append((self.path, body))
        self._tell(409, {"error": "this is refused"})

    def _tell(self, code: int, values: Any) -> None:
        self._answer(code, json.dumps(values).encode(), "application/json")

    def _answer(self, code: int, body: bytes, kind: str) -> None:
        self._head(code, kind)
        self.wfile.write(body)

    def _head(self, code: int, kind: str) -> None:
        self.send_response(code)
        for name, value in HEADERS:
            self.send_header(name.decode(), value.decode())
        self.send_header("Content-Type", kind)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """
        Of no interest.
        """
