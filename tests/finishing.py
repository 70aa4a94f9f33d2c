"""
Applications behind WebSockets that have something to do before they are closed: what holds
whoever serves them.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from terminable import State, whenDraining
from terminable.policy.schedule import LAST_WORD
from tests.closing import AWAY
from tests.doubles import Boom
from tests.wspeers import TEXT, closing, frame


class ApplicationMixin:
    """
    Applications that have something to do first.
    """

    def test_toldFirst(self: Any) -> None:
        """
        An application that provides C{IDrainer} is told, and has its say.
        """
        call = self.call(polite=True)
        call.application.onDrain = lambda: call.application.say("goodbye")
        call.stop()
        self.assertEqual(call.listen(), ["goodbye", AWAY])
        self.assertAnswers(call)
        self.assertEqual(call.application.drained, 1)

    def test_closesItself(self: Any) -> None:
        """
        It may close in its own words; then there are no others.
        """
        call = self.call(polite=True)
        call.application.onDrain = call.application.close
        call.stop()
        self.assertEqual(call.listen(), [(1000, "")])
        call.send(closing(1000))
        call.leave()
        call.go(0.01)
        self.assertOver(call)
        self.assertEqual(call.application.drained, 1)

    def test_busy(self: Any) -> None:
        """
        While it is busy nothing is closed; closing is its business then.
        """
        call = self.call(polite=True)
        call.application.busy = True
        call.application.onHeard = call.application.say
        call.stop()
        [connection] = call.terminator.connections()
        self.assertIs(connection.state(), State.BUSY)
        call.go(3.0, 0.1)
        call.send(frame(TEXT, b"hello"))
        self.assertEqual(call.listen(), ["hello"])
        call.application.busy = False
        call.application.close()
        self.assertEqual(call.listen(), [(1000, "")])
        call.send(closing(1000))
        call.leave()
        call.go(0.01)
        self.assertOver(call)
        self.assertEqual(call.application.drained, 1)
        self.assertEqual((call.report.finished, call.report.aborted), (1, 0))

    def test_busyAtTheDeadline(self: Any) -> None:
        """
        At the deadline the close frame is the last word.
        """
        call = self.call(polite=True, gracePeriod=3.0, closeCode=1012)
        call.application.busy = True
        call.stop()
        call.go(2.9, 0.1)
        self.assertEqual(call.listen(), [])
        call.go(0.1)
        self.assertEqual(call.listen(), [(1012, "")])
        call.go(LAST_WORD + 0.05)
        call.leave()
        self.assertOver(call)
        [entry] = call.report.entries
        self.assertEqual((entry.doing, entry.told), (f"WebSocket {call.server.path}", "1012"))
        self.assertEqual(call.application.drained, 1)

    def test_leftWhileBusy(self: Any) -> None:
        """
        A client that closes meanwhile is let go at once.
        """
        call = self.call(polite=True)
        call.application.busy = True
        call.stop()
        call.send(closing(1000))
        call.leave()
        self.assertEqual(call.listen(), [(1000, "")])
        self.assertOver(call)

    def test_whenDraining(self: Any) -> None:
        """
        Whoever asked is called when the drain begins, and the close frame waits for what
        the callback returns.
        """
        call = self.call()
        saved: Deferred[None] = Deferred()
        asked = whenDraining(call.application.transport)
        asked.addCallback(lambda _: call.application.say("saving"))
        asked.addCallback(lambda _: saved)
        call.stop()
        self.assertEqual(call.listen(), ["saving"])
        call.go(3.0, 0.1)
        self.assertEqual(call.listen(), [])
        saved.callback(None)
        self.assertEqual(call.listen(), [AWAY])
        self.assertAnswers(call)

    def test_closesWhenDraining(self: Any) -> None:
        """
        Whoever is called may close it too.
        """
        call = self.call()
        asked = whenDraining(call.application.transport)
        asked.addCallback(lambda _: call.application.close())
        call.stop()
        self.assertEqual(call.listen(), [(1000, "")])
        call.send(closing(1000))
        call.leave()
        call.go(0.01)
        self.assertOver(call)

    def test_whenDrainingFails(self: Any) -> None:
        """
        A callback that fails is logged, and puts nothing off.
        """
        call = self.call()
        whenDraining(call.application.transport).addCallback(lambda _: 1 / 0)
        call.stop()
        self.assertEqual(call.listen(), [AWAY])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertAnswers(call)

    def test_whenDrainingAtTheDeadline(self: Any) -> None:
        """
        It is not waited for longer than until the deadline.
        """
        call = self.call(gracePeriod=3.0)
        whenDraining(call.application.transport).addCallback(lambda _: Deferred())
        call.stop()
        call.go(2.9, 0.1)
        self.assertEqual(call.listen(), [])
        call.go(0.1)
        self.assertEqual(call.listen(), [AWAY])
        call.go(LAST_WORD + 0.05)
        call.leave()
        self.assertOver(call)

    def test_brokenApplication(self: Any) -> None:
        """
        If the application fails when it is told, its connection is closed all the same, at
        the end of the idle grace.
        """
        call = self.call(polite=True)

        def fail() -> None:
            raise Boom

        call.application.onDrain = fail
        call.stop()
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.assertEqual(call.listen(), [])
        call.go(1.5)
        self.assertEqual(call.listen(), [AWAY])
        self.assertAnswers(call)
