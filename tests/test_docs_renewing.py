"""
The examples of the page on listening again do what it says; so does a service that restarts.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import CannotListenError

from terminable.errors import NotServing
from terminable.generation import Generation
from terminable.policy.phases import Phase
from terminable.service import TerminableService
from tests.doubles import Boom, MemoryFactory, Plain
from tests.releasing import SocketTestCase
from tests.test_docs import DOCS, blocks


class ExampleTests(SocketTestCase):
    """
    The examples in the prose.
    """

    def run_(self, name: str, *arguments: Any) -> tuple[Deferred[None], io.StringIO]:
        """
        Call what an example defines.

        @return: its result, and what it has printed.
        """
        names: dict[str, Any] = {}
        for block in blocks(DOCS / "howto" / "renewing.rst"):
            exec(block, names)
        printed = io.StringIO()
        with redirect_stdout(printed):
            result = Deferred.fromCoroutine(names[name](*arguments))
            self.reactor.pump([0.1] * 30)
        return result, printed

    def test_exchange(self) -> None:
        """
        The port serves something else.
        """
        other = MemoryFactory(Plain)
        result, _ = self.run_("exchange", self.terminator, self.endpoint, other)
        self.successResultOf(result)
        self.client()
        self.turn()
        self.assertEqual((len(self.factory.protocols), len(other.protocols)), (0, 1))

    def test_exchangeUnnoticed(self) -> None:
        """
        So it does with its socket kept open, and the old one is waited for.
        """
        self.client()
        self.turn()
        other = MemoryFactory(Plain)
        result, printed = self.run_("exchangeUnnoticed", self.terminator, self.endpoint, other)
        self.successResultOf(result)
        self.assertEqual(printed.getvalue(), "0 were answered by the old one\n")
        self.assertTrue(self.terminator.ports.open)

    def test_again(self) -> None:
        """
        A service restarts.
        """
        service = TerminableService(self.terminator)
        service.listenOn(self.endpoint, self.factory)
        result, printed = self.run_("again", service)
        self.successResultOf(result)
        self.assertIn("terminated: 0 busy, 0 idle", printed.getvalue())


class RestartTests(SocketTestCase):
    """
    A service listens anew.
    """

    def setUp(self) -> None:
        super().setUp()
        self.terminator.abort()
        self.service = TerminableService(self.terminator)
        self.service.listenOn(self.endpoint, self.factory)
        self.service.startService()

    def restart(self, **settings: Any) -> Generation:
        """
        Restart it.
        """
        return self.successResultOf(self.service.restart(**settings))

    def test_noGap(self) -> None:
        """
        Who waits in the queue is served by the new generation; who was connected drains.
        """
        self.client()
        self.turn()
        self.client()
        old = self.restart(gracePeriod=7)
        self.turn()
        self.assertEqual(len(old.connections()), 1)
        self.assertEqual(len(self.terminator.connections()), 1)
        self.assertAlmostEqual(old.progress().left or 0.0, 7.0, 1)

    def test_otherPortsAreClosed(self) -> None:
        """
        A port that the service was not given is not open any more.
        """
        other = TCP4ServerEndpoint(self.reactor, 0, interface="127.0.0.1")
        port: Any = self.successResultOf(self.terminator.listen(other, self.factory))
        own, self.address = self.address, port.socket.getsockname()
        self.restart()
        self.assertRaises(OSError, self.client)
        self.address = own
        self.client()

    def test_oneThatFails(self) -> None:
        """
        What cannot be listened on any more is logged, and the others are open.
        """

        async def fail(factory: object) -> None:
            raise CannotListenError("127.0.0.1", 1, Boom())

        failing = TCP4ServerEndpoint(self.reactor, 0, interface="127.0.0.1")
        self.service._wanted.insert(0, (failing, self.factory))
        failing.listen = lambda factory: Deferred.fromCoroutine(  # type: ignore[method-assign]
            fail(factory)
        )
        self.restart()
        self.assertEqual(len(self.flushLoggedErrors(CannotListenError)), 1)
        self.client()
        self.assertIs(self.terminator.phase, Phase.SERVING)

    def test_notServing(self) -> None:
        """
        A service that is stopped cannot be restarted.
        """
        self.service.stopService()
        self.reactor.pump([0.1] * 15)
        self.assertRaises(NotServing, self.service.restart)

    def test_stopped(self) -> None:
        """
        Restarted, it is stopped like any other.
        """
        self.restart()
        stopped = self.service.stopService()
        self.reactor.pump([0.1] * 15)
        self.successResultOf(stopped)
        self.assertRaises(OSError, self.client)
        self.assertEqual(self.factory.numPorts, 0)
