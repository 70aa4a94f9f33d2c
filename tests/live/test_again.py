"""
A stop takes nothing that is not its own: guarantees G10 and G11.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.server import Site
from zope.interface import implementer

from terminable import ITerminationObserver, TerminableService, Terminator
from tests.live.clients import Address, Answer
from tests.live.processes import LiveTestCase, freePort
from tests.live.resources import Root

reactor: Any = _reactor


def get(address: Address, target: str = "/sync") -> Deferred[Answer]:
    """
    Ask from a thread, over a connection that is used once.
    """

    def ask() -> Answer:
        peer = address.connect()
        try:
            return peer.get(target)
        finally:
            peer.close()

    return deferToThread(ask)


@implementer(ITerminationObserver)
class PortsObserver:
    """
    Waits until the ports are gone.
    """

    def __init__(self) -> None:
        self.gone: Deferred[None] = Deferred()

    def phaseChanged(self, old: object, new: object) -> None:
        pass

    def portsClosed(self) -> None:
        self.gone.callback(None)

    def terminated(self, report: object) -> None:
        pass


class AgainTests(TestCase):
    """
    G11: the port is freed as an event of its own, and may be used again at once.
    """

    timeout = 60

    def setUp(self) -> None:
        """
        Somewhere to listen.
        """
        self.address = Address(port=freePort())
        self.endpoint = serverFromString(reactor, self.address.description)

    def terminator(self) -> Terminator:
        """
        One that is ended with the test.
        """
        made = Terminator(reactor, idleGrace=0.1)
        self.addCleanup(made.abort)
        return made

    async def test_sameTerminator(self) -> None:
        """
        The same terminator listens on the same port again, and counts anew.
        """
        terminator = self.terminator()
        for _ in range(3):
            await terminator.listen(self.endpoint, Site(Root()))
            self.assertEqual((await get(self.address)).body, b"sync\n")
            report = await terminator.terminate()
            self.assertEqual((report.opened, report.graceful), (1, True))
            self.assertTrue(await deferToThread(self.address.refuses))

    async def test_whileDraining(self) -> None:
        """
        Another terminator of the same process has the port while the first one is
        still draining.
        """
        first, second, observer = self.terminator(), self.terminator(), PortsObserver()
        first.addObserver(observer)
        await first.listen(self.endpoint, Site(Root()))
        slow = await deferToThread(self.address.connect)
        self.addCleanup(slow.close)
        await deferToThread(slow.ask, "/upload", "POST", "Content-Length: 1\r\n")
        # Who comes later is served: the slow one has been heard.
        await get(self.address)
        report = first.terminate()
        await observer.gone
        await second.listen(self.endpoint, Site(Root()))
        self.assertFalse(report.called)
        self.assertFalse((await get(self.address)).closing)
        slow.send(b"x")
        self.assertTrue((await deferToThread(slow.answer)).closing)
        self.assertEqual((await report).finished, 1)
        self.assertFalse((await get(self.address)).closing)

    async def test_sameService(self) -> None:
        """
        A service that was stopped can be started again.
        """
        service = TerminableService(self.terminator())
        service.listenOn(self.endpoint, Site(Root()))
        for _ in range(2):
            service.startService()
            self.assertEqual((await get(self.address)).body, b"sync\n")
            await service.stopService()
            self.assertTrue(await deferToThread(self.address.refuses))

    async def test_suspendAndResume(self) -> None:
        """
        A port that was away for a while comes back, and nobody was dropped.
        """
        terminator = self.terminator()
        await terminator.listen(self.endpoint, Site(Root()))
        peer = await deferToThread(self.address.connect)
        await deferToThread(peer.get, "/sync")
        await terminator.suspend()
        self.assertTrue(await deferToThread(self.address.refuses))
        self.assertFalse((await deferToThread(peer.get, "/sync")).closing)
        terminator.resume()
        self.assertEqual((await get(self.address)).body, b"sync\n")
        peer.close()

    async def test_signals(self) -> None:
        """
        G10: neither a terminator nor a service touches the signals.
        """
        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
        # The reactor installs its own when it is started; it runs after this.
        await deferLater(reactor, 0)
        before = [signal.getsignal(number) for number in numbers]
        service = TerminableService(self.terminator())
        service.listenOn(self.endpoint, Site(Root()))
        service.startService()
        await get(self.address)
        await service.stopService()
        self.assertEqual([signal.getsignal(number) for number in numbers], before)


#: A program that has a server for a while, and then does something else.
PROGRAM = """
import signal, sys
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import deferLater, react
from twisted.web.server import Site
from terminable import Terminator
from tests.live.clients import Address
from tests.live.resources import Root

async def main(reactor):
    await deferLater(reactor, 0)
    handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    terminator = Terminator(reactor, idleGrace=0.1)
    await terminator.listen(serverFromString(reactor, sys.argv[1]), Site(Root()))
    report = await terminator.terminate()
    assert handlers == [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)]
    await deferLater(reactor, 0.1)
    print("still here:", report)

react(lambda reactor: main(reactor))
"""


class ProgramTests(LiveTestCase):
    """
    G10: the process and the reactor are not ours.
    """

    def test_goesOn(self) -> None:
        """
        After a stop the reactor still runs, and the program goes on as it likes.
        """
        address = Address(port=freePort())
        program = [sys.executable, "-c", PROGRAM, address.description]
        process = self.launch(program=program)
        process.gone()
        self.assertEqual(process.status, 0, process.log())
        self.assertIn("still here: 0 idle, 0 finished, 0 aborted", process.log())
