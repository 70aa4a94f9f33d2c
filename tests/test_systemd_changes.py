"""
What systemd is told of a reload, and of another process that takes over.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from terminable.systemd import RETRY
from tests.doubles import Boom
from tests.supervising import ObserverTestCase


class ReloadTests(ObserverTestCase):
    """
    RELOADING=1.
    """

    def setUp(self) -> None:
        self.observe(monotonic=lambda: 12.5)

    BEGINS = "RELOADING=1\nMONOTONIC_USEC=12500000"

    def test_work(self) -> None:
        """
        It begins, is done, and ends, all in this order.
        """
        self.serving()
        said: list[str] = []
        done = self.observer.reloading(lambda: said.extend(self.systemd.heard()))
        self.assertEqual(said, [self.BEGINS])
        self.assertEqual(self.systemd.heard(), ["READY=1"])
        self.assertIsNone(self.successResultOf(done))

    def test_later(self) -> None:
        """
        Work that takes its time is waited for, and its result handed on.
        """
        self.serving()
        work: Deferred[str] = Deferred()
        done = self.observer.reloading(lambda: work)
        self.assertEqual(self.systemd.heard(), [self.BEGINS])
        work.callback("new")
        self.assertEqual(self.systemd.heard(), ["READY=1"])
        self.assertEqual(self.successResultOf(done), "new")

    def test_fails(self) -> None:
        """
        Work that fails is over too, and its failure handed on.
        """
        self.serving()

        def work() -> None:
            raise Boom

        self.failureResultOf(self.observer.reloading(work), Boom)
        self.assertEqual(self.systemd.heard(), [self.BEGINS, "READY=1"])

    def test_several(self) -> None:
        """
        Several at once are over when the last one is.
        """
        self.serving()
        self.observer.beginReload()
        self.observer.beginReload()
        self.observer.endReload()
        self.assertEqual(self.systemd.heard(), [self.BEGINS] * 2)
        self.observer.endReload()
        self.assertEqual(self.systemd.heard(), ["READY=1"])

    def test_beforeReady(self) -> None:
        """
        A reload before we are ready must not make us so.
        """
        self.serve(waits=True)
        self.reactor.run()
        self.observer.reloading(lambda: None)
        self.assertEqual(self.systemd.heard(), [])

    def test_whileStopping(self) -> None:
        """
        A reload that ends while we stop does not say that we are ready.
        """
        self.serving()
        self.observer.beginReload()
        self.shutdown()
        self.observer.endReload()
        self.observer.reloading(lambda: None)
        self.assertEqual(self.systemd.heard(), [self.BEGINS, "STOPPING=1"])


class SuccessorTests(ObserverTestCase):
    """
    MAINPID.
    """

    def test_old(self) -> None:
        """
        The old process names the new one, and says nothing more.
        """
        server = self.serving()
        server.connect()
        self.observer.status("upgrade: 4711 serves now")
        told = self.observer.mainPid(4711)
        self.successResultOf(told)
        self.shutdown()
        server.terminator.terminate()
        self.pass_(3)
        self.assertEqual(self.systemd.heard(), ["STATUS=upgrade: 4711 serves now", "MAINPID=4711"])

    def test_oldHasNoRoom(self) -> None:
        """
        The new process may speak only when systemd has its number.
        """
        self.serving()
        self.systemd.fill()
        told = self.observer.mainPid(4711)
        self.observer.beginReload()
        self.assertNoResult(told)
        self.reactor.advance(RETRY)
        self.assertNoResult(told)
        self.systemd.heard()
        self.reactor.advance(RETRY)
        self.successResultOf(told)
        self.assertEqual(self.systemd.heard(), ["MAINPID=4711"])

    def test_new(self) -> None:
        """
        The new process is silent until it is to speak, and then says what there was to say.
        """
        self.observe(watchdog=4.0)
        self.observer.silence()
        self.serving()
        self.pass_(8)
        self.assertEqual(self.systemd.heard(), [])
        self.observer.speak()
        self.assertEqual(self.systemd.heard(), ["WATCHDOG=1", "READY=1\nSTATUS=serving"])
        self.pass_(2)
        self.assertEqual(self.systemd.heard(), ["WATCHDOG=1"])

    def test_newIsNotReady(self) -> None:
        """
        One that speaks before it serves says so when it does.
        """
        self.observer.silence()
        server = self.serve(waits=True)
        self.reactor.run()
        self.observer.speak()
        self.assertEqual(self.systemd.heard(), [])
        self.observer.ready(server.terminator)
        self.assertEqual(self.systemd.heard(), ["READY=1\nSTATUS=serving"])

    def test_newStops(self) -> None:
        """
        One that was told to stop meanwhile says that, and asks for its time.
        """
        self.observer.silence()
        server = self.serving(gracePeriod=20.0)
        server.connect()
        server.terminator.terminate()
        self.pass_(2)
        self.assertEqual(self.systemd.heard(), [])
        self.observer.speak()
        heard = self.systemd.heard()
        self.assertEqual(heard[:2], ["READY=1\nSTATUS=serving", "STOPPING=1"])
        self.assertIn("EXTEND_TIMEOUT_USEC=23000000", heard)


class NoRoomTests(ObserverTestCase):
    """
    systemd has not read for a while.
    """

    def test_order(self) -> None:
        """
        What must not get lost is sent as soon as there is room, in order.
        """
        self.serve()
        self.systemd.fill()
        self.reactor.run()
        self.shutdown()
        self.reactor.advance(RETRY)
        self.assertEqual(set(self.systemd.heard()), {"X_FULL=1"})
        self.reactor.advance(RETRY)
        self.assertEqual(self.systemd.heard(), ["READY=1\nSTATUS=serving", "STOPPING=1"])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
