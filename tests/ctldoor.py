"""
An admin door without a server behind it, and a terminal without people before it.
"""

from __future__ import annotations

import io
import json
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

#: A connection as the admin door tells it.
SLOW = {
    "id": "7",
    "peer": "127.0.0.1:4242",
    "local": "127.0.0.1:8080",
    "protocol": "HTTPChannel",
    "state": "busy",
    "doing": "GET /slow",
    "age": 2.5,
    "lastReceived": 2.4,
    "lastSent": None,
    "received": 80,
    "sent": 1234,
    "unsent": 0,
    "told": False,
}

#: One of a report.
CUT = {**SLOW, "outcome": "aborted", "told": "503", "unsent": 2048}

REPORT = {
    "opened": 5,
    "before": 1,
    "idle": 2,
    "finished": 2,
    "left": 0,
    "aborted": 0,
    "seconds": 3.25,
    "graceful": True,
    "entries": [],
}

#: The same with somebody cut.
CUTTING = {**REPORT, "finished": 1, "aborted": 1, "graceful": False, "entries": [CUT]}

STATUS = {
    "version": "0.1.0",
    "pid": 100,
    "name": "site",
    "phase": "serving",
    "since": 86400.0,
    "uptime": 7500.0,
    "busy": 1,
    "idle": 12,
    "waiting": 0,
    "left": None,
    "deadline": None,
    "oldest": SLOW,
    "generations": [],
    "throttle": {"held": 0, "refused": 0, "disconnected": 0},
    "ports": ["tcp 127.0.0.1:8080"],
    "longestTurn": 0.012,
    "upgrade": None,
    "report": None,
}

DRAINING = {**STATUS, "phase": "draining", "left": 24.0, "ports": []}
TERMINATED = {**STATUS, "phase": "terminated", "busy": 0, "idle": 0, "oldest": None}
CLEAN = {**TERMINATED, "report": REPORT}
CUT_OFF = {**TERMINATED, "report": CUTTING}


class FakeDoor(Resource):
    """
    Answers as it is told to, and remembers what it was asked.

    @ivar answers: by method and path, the HTTP status and the value of the answers still to
        give; the last one is given again and again. The value may be bytes, which are sent as
        they are, or C{None}, for no answer at all.
    @ivar asked: each request: method and path, arguments, body.
    @ivar headers: those of the last one.
    @ivar streams: who listens to events.
    @ivar treq: reaches it.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, list[tuple[int, Any]]] = {"GET /status": [(200, STATUS)]}
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.headers: Any = None
        self.streams: list[Any] = []
        self.treq = StubTreq(self)

    def render(self, request: Any) -> Any:
        """
        See C{IResource}.
        """
        path = request.path.decode()
        what = f"{request.method.decode()} {path}"
        arguments = {name.decode(): value.decode() for name, [value] in request.args.items()}
        body = request.content.read()
        self.asked.append((what, arguments, json.loads(body) if body else None))
        self.headers = request.requestHeaders
        if path == "/events" and "GET /events" not in self.answers:
            self.streams.append(request)
            request.setHeader(b"Content-Type", b"text/event-stream")
            request.write(b": here\n\n")
            return NOT_DONE_YET
        status, value = self._next(what)
        if value is None:
            return NOT_DONE_YET
        request.setResponseCode(status)
        return value if isinstance(value, bytes) else json.dumps(value).encode()

    def _next(self, what: str) -> tuple[int, Any]:
        known = self.answers.get(what)
        if not known:
            return 404, {"error": f"{what}: not here"}
        return known.pop(0) if len(known) > 1 else known[0]

    def names(self) -> list[str]:
        """
        What was asked, in order: methods and paths.
        """
        return [what for what, _, _ in self.asked]

    def tell(self, name: str, value: object) -> None:
        """
        Send an event to the last one who listens.
        """
        self.streams[-1].write(f"event: {name}\ndata: {json.dumps(value)}\n\n".encode())
        self.treq.flush()

    def lose(self) -> None:
        """
        End the stream without a word.
        """
        self.streams[-1].finish()
        self.treq.flush()


class Terminal(io.StringIO):
    """
    Output that people look at.
    """

    def isatty(self) -> bool:
        return True


def resultOf(waiting: Deferred[Any]) -> list[Any]:
    """
    What a Deferred has fired with, in a list; an empty one if it has not.
    """
    found: list[Any] = []
    waiting.addBoth(found.append)
    return found
