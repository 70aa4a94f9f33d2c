"""
An admin door without a socket, and what may be asked there.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from twisted.internet.testing import StringTransportWithDisconnection
from twisted.trial.unittest import SynchronousTestCase

from terminable.admin.api import Api
from terminable.admin.guard import Guard
from terminable.admin.health import Health
from terminable.admin.site import AdminSite
from terminable.admin.watched import Watched
from tests.doubles import Hinting, MemoryEndpoint, World

TOKEN = b"0123456789abcdef"


class Response(NamedTuple):
    """
    One answer, taken apart.
    """

    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def parsed(raw: bytes) -> tuple[Response, bytes]:
    """
    @return: the first answer, and what comes after it.
    """
    head, _, rest = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    if headers.get("transfer-encoding") == "chunked":
        return Response(int(first.split()[1]), headers, unchunked(rest)), b""
    length = int(headers.get("content-length", 0))
    return Response(int(first.split()[1]), headers, rest[:length]), rest[length:]


def unchunked(rest: bytes) -> bytes:
    """
    What stands in chunks, as far as they are there.
    """
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        number = int(size, 16)
        body += rest[:number]
        rest = rest[number + 2 :]
    return body


class Wire(StringTransportWithDisconnection):
    """
    A transport of a visitor.
    """

    aborted = False

    def loseConnection(self) -> None:
        if not self.disconnecting:
            self.disconnecting = True
            super().loseConnection()

    def abortConnection(self) -> None:
        self.aborted = True
        self.loseConnection()

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        It has no delay.
        """


class Talk:
    """
    One connection to the door.
    """

    def __init__(self, site: AdminSite) -> None:
        self.transport = Wire()
        self.protocol = site.buildProtocol(None)
        self.transport.protocol = self.protocol
        self.protocol.makeConnection(self.transport)

    def say(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def heard(self) -> bytes:
        heard: bytes = self.transport.value()
        self.transport.clear()
        return heard

    def ask(self, data: bytes) -> Response:
        self.say(data)
        response, rest = parsed(self.heard())
        assert rest == b"", rest
        return response


def question(
    path: str, method: str = "GET", body: bytes = b"", version: str = "1.1", **headers: str
) -> bytes:
    """
    @param headers: with underscores for hyphens; one that is empty is left out.
    """
    given = {"Host": "localhost", **{key.replace("_", "-"): it for key, it in headers.items()}}
    if body:
        given.setdefault("Content-Type", "application/json")
        given.setdefault("Content-Length", str(len(body)))
    lines = [f"{method} {path} HTTP/{version}"]
    lines += [f"{name}: {value}" for name, value in given.items() if value]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class AdminTestCase(SynchronousTestCase):
    """
    A door to a server in memory.
    """

    guard = Guard()

    def setUp(self) -> None:
        self.world = World(Hinting, gracePeriod=10.0, idleGrace=1.0)
        self.clock = self.world.clock
        self.terminator = self.world.terminator
        self.left: list[str] = []
        self.wall = 1000.0
        self.health = Health(self.clock)
        self.watched = Watched(
            self.clock,
            self.terminator,
            health=self.health,
            leave=lambda: self.left.append("left"),
            name="here",
            now=lambda: self.wall + self.clock.seconds(),
        )
        self.addCleanup(self.watched.stop)
        self.api = Api(self.watched, self.guard)
        self.site = AdminSite(self.clock, self.api.serve)
        self.endpoint = MemoryEndpoint(self.clock)

    def listen(self) -> Any:
        """
        Have the server serve.
        """
        self.successResultOf(self.terminator.listen(self.endpoint, self.world.factory))
        assert self.watched.phase == "serving"
        return self.endpoint.ports[-1]

    def connect(self, port: int = 4242, busy: bool = False, delay: float | None = 0.0) -> Any:
        """
        A client of the server comes.
        """
        transport = self.world.connect(delay, port)
        self.world.factory.protocols[-1].busy = busy
        return transport

    def talk(self) -> Talk:
        return Talk(self.site)

    def get(self, path: str, **headers: str) -> Response:
        return self.talk().ask(question(path, **headers))

    def post(self, path: str, values: Any = None, **headers: str) -> Response:
        body = b"" if values is None else json.dumps(values).encode()
        return self.talk().ask(question(path, "POST", body, **headers))
