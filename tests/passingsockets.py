"""
WebSockets of every kind, and what must be so for all of them when they are passed.
"""

from __future__ import annotations

from typing import Any

from autobahn.twisted.websocket import WebSocketServerProtocol
from twisted.internet.task import Clock
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from twisted.web.websocket import WebSocketResource
from zope.interface import implementer, implementer_only

from terminable.handover import movers
from terminable.handover.movable import CannotMove, IMovable, NotNow
from tests.answers import request
from tests.passages import PassageTestCase
from tests.test_http11_applications import UPGRADE
from tests.wspeers import PING, TEXT, frame


def said(*messages: str) -> bytes:
    """
    Messages, as a server sends them.
    """
    return b"".join(frame(TEXT, each.encode(), masked=False) for each in messages)


class Talking:
    """
    Says hello when it is opened, and how many messages there were with each; the state is
    that number.
    """

    name = ""
    count = 0
    onSave: Any = None

    def say(self, message: str) -> None:
        """
        Send a message.
        """
        raise NotImplementedError

    def hear(self, message: str) -> None:
        """
        A message has come.
        """
        self.count += 1
        self.say(f"{self.name}{self.count} {message}")

    def save(self) -> Any:
        return b"%d" % self.count if self.onSave is None else self.onSave()

    def restore(self, state: bytes) -> None:
        self.count = int(state)
        self.say("back")


@implementer(IMovable)
class Twisted(Talking):
    """
    One of C{twisted.web.websocket}.
    """

    transport: Any = None

    def negotiationStarted(self, transport: Any) -> None:
        self.transport = transport

    def negotiationFinished(self) -> None:
        self.say("hello")

    def say(self, message: str) -> None:
        self.transport.sendTextMessage(message)

    def textMessageReceived(self, message: str) -> None:
        self.hear(message)

    def connectionLost(self, reason: Any) -> None:
        pass


@implementer(IMovable)
class Autobahn(Talking, WebSocketServerProtocol):  # type: ignore[misc]
    """
    One of Autobahn.
    """

    slow: Any = None
    left: Any = None

    def onConnect(self, request: Any) -> Any:
        answer = "chat" if "chat" in request.protocols else None
        return answer if self.slow is None else self.slow.addCallback(lambda _: answer)

    def onOpen(self) -> None:
        self.say("hello")

    def say(self, message: str) -> None:
        self.sendMessage(message.encode())

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.hear(payload.decode())

    def onClose(self, wasClean: bool, code: Any, reason: Any) -> None:
        self.left = reason


class Slow(Resource):
    """
    A resource that is rendered after some thought.
    """

    isLeaf = True

    def __init__(self, inner: Resource) -> None:
        super().__init__()
        self.inner = inner
        self.waiting: list[Any] = []

    def render(self, request: Any) -> Any:
        self.waiting.append(lambda: self.inner.render(request))
        return NOT_DONE_YET


class SocketTestCase(PassageTestCase):
    """
    What all of them have in common.
    """

    path = "/"
    headers: tuple[str, ...] = UPGRADE
    autobahn = False

    def setUp(self) -> None:
        self.made: dict[str, Any] = {}
        self.begin(self.factory("a"), self.factory("b"))
        self.open()

    def factory(self, name: str) -> Any:
        """
        What a port listens with.
        """
        inner: Any = type("Inner", (), {"buildProtocol": lambda _, it: self.application(name)})()
        return self.site(WebSocketResource(inner))

    def site(self, resource: Any) -> Site:
        """
        A site with one resource.
        """
        root = Resource()
        root.putChild(b"", resource)
        return Site(root, reactor=Clock())

    def application(self, name: str) -> Any:
        """
        One more.
        """
        self.made[name] = application = Twisted()
        application.name = name
        return application

    def open(self) -> None:
        """
        Shake hands.
        """
        self.socket = self.client()
        head, _, rest = self.ask(
            self.socket, request(self.path, "GET", b"", *self.headers)
        ).partition(b"\r\n\r\n")
        self.assertIn(b"101", head)
        self.assertEqual(rest, said("hello"))

    def test_moves(self) -> None:
        """
        The next message is heard by the other one, which knows the number of the last; the
        handshake and the greeting are not said again.
        """
        self.assertEqual(self.ask(self.socket, frame(TEXT, b"x")), said("a1 x"))
        self.pass_()
        self.assertHere(0, 1)
        self.assertEqual(self.ask(self.socket, frame(TEXT, b"y")), said("back", "b2 y"))

    def test_again(self) -> None:
        """
        It may move again.
        """
        self.pass_()
        self.heard(self.socket)
        [connection] = self.there.connections()
        mover = movers.moverOf(connection.transport)
        mover.check()
        self.assertIn(b"Sec-Websocket-Key".lower(), mover.pack().request.lower())

    def test_ping(self) -> None:
        """
        Pings are answered where it is.
        """
        self.pass_()
        self.heard(self.socket)
        self.assertEqual(self.ask(self.socket, frame(PING, b"?")), b"\x8a\x01?")

    def test_inFrame(self) -> None:
        """
        Half of a frame, or a byte of its head, is in the way.
        """
        whole = frame(TEXT, b"hello")
        for cut in (1, 3, 8):
            self.ask(self.socket, whole[:cut])
            self.assertIn("a message is in flight", self.refused(NotNow))
            self.assertIn(b"hello", self.ask(self.socket, whole[cut:]))

    def test_inMessage(self) -> None:
        """
        So is a part of a fragmented message.
        """
        self.ask(self.socket, frame(TEXT, b"he", final=False))
        self.assertIn("a message is in flight", self.refused(NotNow))
        self.assertEqual(self.ask(self.socket, frame(0, b"llo")), said("a1 hello"))
        self.pass_()

    def test_notNow(self) -> None:
        """
        The application may say so.
        """
        self.made["a"].onSave = lambda: None
        self.assertIn("its application says so", self.refused(NotNow))

    def test_unmovable(self) -> None:
        """
        An application that does not provide L{IMovable} stays.
        """
        unmovable(self.made["a"])
        self.assertIn("does not provide IMovable", self.refused(CannotMove))

    def test_unmovableThere(self) -> None:
        """
        Where no application provides it, it is not taken, and works on here.
        """
        application = self.application

        def other(name: str) -> Any:
            return unmovable(application(name))

        self.application = other  # type: ignore[method-assign]
        self.assertIn("Other does not provide IMovable here", self.refused(CannotMove))
        self.assertEqual(self.ask(self.socket, frame(TEXT, b"y")), said("a1 y"))

    def test_failsThere(self) -> None:
        """
        If it cannot go on there, it works on here.
        """
        self.made["a"].onSave = lambda: b"no number"
        self.assertIn("it has failed here", self.refused(CannotMove))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.ask(self.socket, frame(TEXT, b"y")), said("a1 y"))

    def test_closesThere(self) -> None:
        """
        If the application there loses it at once, it works on here.
        """
        application = self.application

        def other(name: str) -> Any:
            made = application(name)
            made.restore = lambda state: self.lose(made)
            return made

        self.application = other  # type: ignore[method-assign]
        self.assertIn("the application here loses it", self.refused(CannotMove))
        self.assertEqual(self.ask(self.socket, frame(TEXT, b"y")), said("a1 y"))

    def lose(self, made: Any) -> None:
        """
        An application loses its connection.
        """
        made.transport.loseConnection()

    def test_closing(self) -> None:
        """
        Once a closing handshake has begun, it stays.
        """
        [connection] = self.here.connections()
        mover = movers.moverOf(connection.transport)
        self.close()
        error = self.assertRaises(CannotMove, mover.check)
        self.assertIn("closing handshake", str(error))

    def close(self) -> None:
        """
        The application closes.
        """
        self.made["a"].transport.loseConnection()


def unmovable(application: Any) -> Any:
    """
    The same application, of a class that does not provide L{IMovable}.
    """
    application.__class__ = implementer_only()(type("Other", (type(application),), {}))
    return application
