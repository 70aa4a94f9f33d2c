"""
Clients and servers of remote calls, in memory: AMP and Perspective Broker.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.protocols import amp
from twisted.python.failure import Failure
from twisted.spread import pb
from twisted.spread.util import StringPager
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from terminable.drainers import library
from terminable.interfaces import IDrainer, IHintingDrainer
from tests.wire import certificate


class Idle:
    """
    What a drainer is given to tell that its connection is idle.

    @ivar count: how often it has told that.
    @ivar work: what is to be done later.
    """

    def __init__(self) -> None:
        self.count = 0
        self.work: list[Any] = []

    def __call__(self) -> None:
        self.count += 1

    def later(self, seconds: float, work: Any) -> None:
        self.work.append(work)


class DrainTestCase(SynchronousTestCase):
    """
    @ivar idle: what the drainer is given.
    @ivar drainer: the drainer.
    """

    drainer: Any
    idle: Idle

    @property
    def idled(self) -> int:
        """
        How often the drainer has told that its connection is idle.
        """
        return self.idle.count

    def hint(self) -> None:
        """
        A drain begins.
        """
        self.drainer.hint(self.idle)


class Later(amp.Command):
    """
    Answered when the test says so.
    """

    response = ((b"text", amp.Unicode()),)
    errors = {ValueError: b"VALUE"}  # noqa: RUF012 - Twisted reads it from the class


class Now(amp.Command):
    """
    Answered at once.
    """


class Event(amp.Command):
    """
    Not answered at all.
    """

    requiresAnswer = False


class Become(amp.ProtocolSwitchCommand):
    """
    Exchanges the protocol when the test says so.
    """


class Server(amp.AMP):
    """
    @ivar waiting: what has to be fired to answer.
    @ivar seen: the commands that were called.
    """

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self.waiting: list[Deferred[Any]] = []
        self.seen: list[str] = []

    def _wait(self, name: str) -> Deferred[Any]:
        self.seen.append(name)
        self.waiting.append(Deferred())
        return self.waiting[-1]

    @Later.responder
    def later(self) -> Deferred[Any]:
        return self._wait("later")

    @Now.responder
    def now(self) -> dict[str, Any]:
        self.seen.append("now")
        return {}

    @Event.responder
    def event(self) -> Deferred[Any]:
        return self._wait("event")

    @amp.StartTLS.responder
    def startTLS(self) -> dict[str, Any]:
        return {"tls_localCertificate": certificate()}

    @Become.responder
    def become(self) -> Deferred[Any]:
        return self._wait("become")


@implementer(IHintingDrainer)
class Inner(Protocol):
    """
    What is spoken after a switch.
    """

    silent = answered = False
    busy = True
    data = b""
    drained = 0
    told: Any = None

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def isBusy(self) -> bool:
        return self.busy

    def hint(self, idle: Any) -> None:
        assert self.told is None
        self.told = idle

    def drain(self) -> None:
        self.drained += 1

    def describe(self) -> str:
        return "inner"

    def lastWord(self, retryAfter: int) -> str:
        return f"inner {retryAfter}"


class Untouched(amp.AMP):
    """
    Like very old ones, which did not call the constructor.
    """

    def __init__(self) -> None:
        pass


def ask(name: bytes, tag: bytes | None = b"1", **arguments: bytes) -> bytes:
    """
    A call, as it is sent.
    """
    box = amp.AmpBox(_command=name, **arguments)
    if tag is not None:
        box[amp.ASK] = tag
    return bytes(box.serialize())


class AMPTestCase(DrainTestCase):
    """
    An AMP server, its client and its drainer.
    """

    def setUp(self) -> None:
        self.connect(Server())

    def connect(self, protocol: Any, watched: bool = True) -> None:
        """
        A connection begins.
        """
        self.protocol = protocol
        self.idle = Idle()
        library.load()
        if watched:
            library.begin(protocol)
        self.transport = StringTransport()
        protocol.makeConnection(self.transport)
        self.drainer: Any = IDrainer(protocol)

    def send(self, data: bytes) -> None:
        """
        The client sends.
        """
        self.protocol.dataReceived(data)

    def boxes(self) -> list[Any]:
        """
        What was written since the last time.
        """
        data = self.transport.value()
        self.transport.clear()
        return list(amp.parseString(data))

    def answer(self, result: Any = None) -> None:
        """
        The application answers the oldest call.
        """
        self.protocol.waiting.pop(0).callback(result or {"text": "done"})


class Root(pb.Root):
    """
    @ivar waiting: what has to be fired to answer.
    @ivar seen: the methods that were called.
    """

    def __init__(self) -> None:
        self.waiting: list[Deferred[Any]] = []
        self.seen: list[str] = []

    def remote_later(self, *args: Any) -> Deferred[Any]:
        self.seen.append("later")
        self.waiting.append(Deferred())
        return self.waiting[-1]

    def remote_now(self, *args: Any) -> int:
        self.seen.append("now")
        return 42

    def remote_unsendable(self) -> Any:
        return 2**1000

    def remote_fail(self) -> None:
        raise pb.Error("no")

    def remote_keep(self, thing: Any) -> None:
        self.kept = thing

    def remote_pages(self, collector: Any) -> None:
        StringPager(collector, "abcdef", 3)


class Echo(pb.Referenceable):
    """
    An object of the client's.

    @ivar pages: what was sent to it.
    """

    def __init__(self) -> None:
        self.pages: list[Any] = []

    def remote_echo(self, thing: Any) -> Any:
        return thing

    def remote_gotPage(self, page: Any) -> None:
        self.pages.append(page)

    def remote_endedPaging(self) -> None:
        self.pages.append(None)


class Model(pb.Cacheable):
    """
    An object of the client's that the server has a copy of.
    """

    def getStateToCacheAndObserveFor(self, perspective: Any, observer: Any) -> dict[str, Any]:
        self.observer = observer
        return {}


class Copy(pb.RemoteCache):
    """
    That copy.
    """

    def observe_later(self) -> Deferred[Any]:
        self.waiting: Deferred[Any] = Deferred()
        return self.waiting


pb.setUnjellyableForClass(Model, Copy)


class Sink:
    """
    A transport; unlike Twisted's it may be written to while it is being thrown away,
    as references do.
    """

    disconnecting = False

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    def loseConnection(self) -> None:
        self.disconnecting = True

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        pass

    def unregisterProducer(self) -> None:
        pass


class PBTestCase(DrainTestCase):
    """
    A broker, its client and its drainer.
    """

    def setUp(self) -> None:
        self.connect()

    def connect(self, watched: bool = True) -> None:
        """
        A connection begins.
        """
        self.idle = Idle()
        self.root = Root()
        self.server: Any = pb.PBServerFactory(self.root).buildProtocol(None)
        factory = pb.PBClientFactory()
        self.client: Any = factory.buildProtocol(None)
        library.load()
        if watched:
            library.begin(self.server)
        self.transport, self.theirs = Sink(), Sink()
        self.server.makeConnection(self.transport)
        self.client.makeConnection(self.theirs)
        self.pump()
        self.remote: Any = self.successResultOf(factory.getRootObject())
        self.drainer: Any = IDrainer(self.server)

    def pump(self) -> None:
        """
        What was written arrives.
        """
        while self.toServer() or self.toClient():
            pass

    def toServer(self, limit: int | None = None) -> bool:
        """
        The client's output arrives, up to C{limit}.
        """
        return self._move(self.theirs, self.server, limit)

    def toClient(self) -> bool:
        """
        The server's output arrives.
        """
        return self._move(self.transport, self.client, None)

    def _move(self, sink: Sink, target: Any, limit: int | None) -> bool:
        data, sink.data = sink.data[:limit], b"" if limit is None else sink.data[limit:]
        if data:
            target.dataReceived(data)
        return bool(data)

    def call(self, name: str, *args: Any, **keywords: Any) -> Any:
        """
        The client calls, and the server receives that.
        """
        answer = self.remote.callRemote(name, *args, **keywords)
        self.toServer()
        return answer

    def answer(self, result: Any = "done") -> None:
        """
        The application answers the oldest call, and that arrives.
        """
        self.root.waiting.pop(0).callback(result)
        self.pump()

    def lose(self) -> None:
        """
        The connection is over.
        """
        for broker in (self.server, self.client):
            broker.connectionLost(Failure(ConnectionLost()))
