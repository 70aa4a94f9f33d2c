"""
How a WebSocket is closed: what holds whoever serves it, with TLS and without.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from terminable import State
from terminable.policy.schedule import LAST_WORD
from tests.wspeers import BYTES, PING, TEXT, Call, Server, closing, frame

#: What a server says that goes down.
AWAY = (1001, "")


#: The same as a frame.
GOODBYE = b"\x88\x02\x03\xe9"


class GoodbyeMixin:
    """
    What a drainer says, asked directly.
    """

    def test_onlyOnce(self: Any) -> None:
        """
        Told again, and at the deadline, it has nothing to add.
        """
        self.begin()
        self.drainer.drain()
        self.drainer.drain()
        self.assertEqual(self.drainer.lastWord(5), "")
        self.assertEqual(self.said(), GOODBYE)
        self.assertFalse(self.transport.disconnecting)

    def test_lastWord(self: Any) -> None:
        """
        The close frame is the last word if it was not said before.
        """
        self.begin()
        self.assertEqual(self.drainer.lastWord(5), "1001")
        self.assertEqual(self.said(), GOODBYE)
        self.assertFalse(self.drainer.isBusy())


class CallTestCase(SynchronousTestCase):
    """
    Calls of one kind of server.
    """

    kind: Any = Server
    tls = False

    def call(self, **options: Any) -> Call:
        """
        One call.
        """
        call = Call(self.kind, self.tls, **options)
        self.addCleanup(call.wire.close)
        return call

    def assertOver(self, call: Call) -> None:
        """
        Nothing is left of it, and nothing was logged that should not be.
        """
        self.assertFalse(call.wire.transport.connected)
        self.assertEqual(len(call.reports), 1)
        self.assertEqual(call.application.lost, 1)
        self.assertEqual(call.clock.getDelayedCalls(), [])
        self.assertEqual(self.flushLoggedErrors(), [])

    def assertAnswers(self, call: Call, code: int = 1001) -> None:
        """
        The client answers the close frame, which is the end without any waiting.
        """
        self.assertFalse(call.ending())
        call.send(closing(code))
        call.leave()
        self.assertOver(call)


class ClosingMixin:
    """
    Polite peers and applications.
    """

    def test_atOnce(self: Any) -> None:
        """
        The close frame comes when the drain begins, not at the end of the idle grace; the
        client's is the end.
        """
        call = self.call(idleGrace=5.0)
        self.assertEqual(call.listen(), [])
        call.stop()
        self.assertEqual(call.listen(), [AWAY])
        self.assertAnswers(call)
        self.assertEqual((call.report.idle, call.report.aborted), (1, 0))
        self.assertLess(call.report.seconds, 0.1)
        self.assertEqual(call.listen(), [])

    def test_words(self: Any) -> None:
        """
        Code and reason are those of the schedule, up to the last byte that fits.
        """
        for code, reason in [(1012, "back soon"), (4000, "\u00e4" * 61 + "!"), (1000, "")]:
            call = self.call(closeCode=code, closeReason=reason)
            call.stop()
            self.assertEqual(call.listen(), [(code, reason)])
            self.assertAnswers(call, code)

    def test_describes(self: Any) -> None:
        """
        A WebSocket is not busy; it is called by what was asked for.
        """
        call = self.call()
        [connection] = call.terminator.connections()
        self.assertIs(connection.state(), State.UPGRADED)
        self.assertEqual(connection.describe(), f"WebSocket {call.server.path}")

    def test_queued(self: Any) -> None:
        """
        What was sent before comes before the close frame.
        """
        call = self.call()
        said = [str(number) * 1000 for number in range(100)]
        for message in said:
            call.application.say(message)
        call.stop()
        self.assertEqual(call.listen(), [*said, AWAY])
        self.assertAnswers(call)

    def test_slowReader(self: Any) -> None:
        """
        So it does if the client takes its time, more than it is given for its answer.
        """
        call = self.call(linger=1.0)
        said = [str(number % 10) * 100_000 for number in range(60)]
        for message in said:
            call.application.say(message)
        call.terminator.terminate().addCallback(call.reports.append)
        for _ in range(30):
            call.wire.pumpUntil(lambda: call.peer.readSome(100_000), 0)
            call.clock.advance(0.1)
        self.assertEqual(call.listen(), [*said, AWAY])
        call.send(closing(1001))
        call.leave()
        self.assertOver(call)
        self.assertEqual(call.report.aborted, 0)

    def test_silent(self: Any) -> None:
        """
        Who does not answer is lost after C{linger} seconds.
        """
        call = self.call(linger=1.5)
        call.stop()
        self.assertEqual(call.listen(), [AWAY])
        call.go(1.4)
        self.assertFalse(call.ending())
        call.go(0.1)
        call.leave()
        self.assertOver(call)
        self.assertEqual((call.report.idle, call.report.aborted), (1, 0))

    def test_waitsForAnswers(self: Any) -> None:
        """
        While an answer is awaited nobody looks whether it has come: there may be ten
        thousand who have to answer.
        """
        call = self.call(linger=5.0)
        call.stop()
        call.go(2.0)
        soon = call.clock.seconds() + 1.0
        self.assertEqual([it for it in call.clock.getDelayedCalls() if it.getTime() < soon], [])

    def test_silentForEver(self: Any) -> None:
        """
        Who does not even notice that is waited for no longer than anybody else.
        """
        call = self.call(linger=1.5)
        call.stop()
        call.go(3.2)
        self.assertOver(call)
        self.assertEqual(call.report.aborted, 0)

    def test_deadlineBeforeLinger(self: Any) -> None:
        """
        The deadline is not put off for an answer.
        """
        call = self.call(gracePeriod=1.0, linger=5.0)
        call.stop()
        self.assertEqual(call.listen(), [AWAY])
        call.go(1.0 + LAST_WORD + 0.05)
        self.assertOver(call)
        self.assertEqual(call.report.aborted, 1)

    def test_noLinger(self: Any) -> None:
        """
        Without lingering nobody waits for an answer.
        """
        call = self.call(linger=0)
        call.stop()
        call.leave()
        self.assertEqual(call.listen(), [AWAY])
        call.go(0.1)
        self.assertOver(call)

    def test_deliveredUntilTheAnswer(self: Any) -> None:
        """
        Messages that the client has sent before it saw the close frame arrive, also one
        whose first half came before it.
        """
        call = self.call()
        call.send(frame(TEXT, b"half ", final=False))
        call.stop()
        self.assertEqual(call.listen(), [AWAY])
        call.send(frame(0, b"whole") + frame(BYTES, b"\x00") + frame(PING, b"?"))
        call.send(frame(TEXT, b"more") + closing(1001) + frame(TEXT, b"too late"))
        self.assertEqual(call.application.heard, ["half whole", b"\x00", "more"])
        call.leave()
        self.assertEqual((call.listen(), call.pongs), ([], 0))
        self.assertOver(call)

    def test_sentTooLate(self: Any) -> None:
        """
        What the application sends after the close frame is thrown away.
        """
        call = self.call()
        call.application.onHeard = call.application.say
        call.stop()
        self.assertEqual(call.listen(), [AWAY])
        call.application.say("too late")
        call.send(frame(TEXT, b"answer this"))
        self.assertEqual(call.application.heard, ["answer this"])
        call.application.close()
        self.assertEqual(call.listen(), [])
        self.assertAnswers(call)

    def test_peerWasFirst(self: Any) -> None:
        """
        If the client has closed before the stop, there is nothing more to say, nor to wait
        for.
        """
        call = self.call()
        call.send(closing(1000))
        self.assertEqual(call.listen(), [(1000, "")])
        call.stop()
        call.send(closing(1000))
        call.leave()
        self.assertEqual(call.listen(), [])
        call.go(0.01)
        self.assertOver(call)

    def test_applicationWasFirst(self: Any) -> None:
        """
        The same if the application has.
        """
        call = self.call()
        call.application.close()
        self.assertEqual(call.listen(), [(1000, "")])
        call.stop()
        call.send(closing(1000))
        call.leave()
        self.assertEqual(call.listen(), [])
        call.go(0.01)
        self.assertOver(call)

    def test_crossing(self: Any) -> None:
        """
        If both close in the same moment, each takes the other's frame for the answer.
        """
        call = self.call()
        call.peer.send(closing(1000))
        call.wire.waitForInput()
        call.stop()
        call.leave()
        self.assertEqual(len(call.listen()), 1)
        call.go(0.01)
        self.assertOver(call)

    def test_quiescing(self: Any) -> None:
        """
        During the quiesce time everything goes on.
        """
        call = self.call(quiesce=1.0)
        call.application.onHeard = call.application.say
        call.stop()
        call.go(0.5)
        call.send(frame(TEXT, b"still here?"))
        self.assertEqual(call.listen(), ["still here?"])
        call.go(0.5)
        self.assertEqual(call.listen(), [AWAY])
        self.assertAnswers(call)

    def test_chosen(self: Any) -> None:
        """
        It is closed in the same way if it was chosen, while the server goes on, with the
        words of that drain.
        """
        call = self.call()
        call.terminator.drain(percent=100, closeCode=1012).addCallback(call.reports.append)
        call.go(0.01)
        self.assertEqual(call.listen(), [(1012, "")])
        call.send(closing(1012))
        call.leave()
        call.go(0.01)
        self.assertEqual(call.report.idle, 1)
        call.terminator.abort()

    def test_chosenAndStopped(self: Any) -> None:
        """
        A stop that begins meanwhile says nothing more.
        """
        call = self.call()
        call.terminator.drain(percent=100, closeCode=1012)
        call.go(0.01)
        call.stop()
        call.go(1.5)
        self.assertEqual(call.listen(), [(1012, "")])
        self.assertAnswers(call, 1012)

    def test_staggered(self: Any) -> None:
        """
        Many are closed one after the other, in all of the time that there is.
        """
        first = self.call(stagger=2.0, idleGrace=0.5)
        calls = [first, *(self.call(beside=first) for _ in range(9))]
        first.stop()
        closed: list[int] = []
        for tenth in range(20):
            for call in calls:
                said = call.listen()
                self.assertIn(said, ([], [AWAY]))
                closed += [tenth] * len(said)
            first.go(0.1)
        self.assertEqual(len(closed), 10)
        self.assertEqual(closed[0], 0)
        self.assertGreater(closed[-1], 15)
        self.assertEqual(len(set(closed)), 10)

    def test_abort(self: Any) -> None:
        """
        An abort has no words.
        """
        call = self.call()
        call.terminator.abort().addCallback(call.reports.append)
        call.leave()
        call.go(0.01)
        self.assertOver(call)
        self.assertEqual(call.listen(), [])
