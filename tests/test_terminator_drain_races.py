"""
Drains by choice that meet each other, stops, and ports that come and go.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from terminable.errors import NotServing
from terminable.policy.ledger import Outcome, Report
from terminable.policy.schedule import GIVE_UP, LAST_WORD
from terminable.terminator import Terminator
from tests.chosen import DrainTestCase
from tests.doubles import Keeping, PortTestCase


class OverlapTests(DrainTestCase):
    """
    Several at a time.
    """

    def test_nobodyTwice(self) -> None:
        """
        Who is being drained is not chosen again; each report is about its own, and each
        drain has a deadline of its own.
        """
        world = self.serve(3, Keeping, gracePeriod=60)
        first = self.drain(0, 1, gracePeriod=4)
        asked: list[str] = []
        world.terminator.drain(lambda each: asked.append(each.peer))
        self.assertEqual(asked, ["127.0.0.1:2"])
        second = world.terminator.drain(gracePeriod=2)
        third = self.successResultOf(world.terminator.drain())
        world.pass_(2.1)
        self.assertEqual(self.over(), [2])
        self.assertEqual(self.successResultOf(second).opened, 1)
        self.assertNoResult(first)
        world.pass_(2)
        self.assertEqual(self.successResultOf(first).opened, 2)
        self.assertEqual((self.over(), third.opened), ([0, 1, 2], 0))
        self.assertEqual([each.drained for each in self.protocols], [1, 1, 1])

    def test_percentOfTheRest(self) -> None:
        """
        A percentage is taken of those who are not being drained.
        """
        world = self.serve(8, delay=None)
        for expected in ([0, 2, 4, 6], [0, 1, 2, 4, 5, 6], [0, 1, 2, 3, 4, 5, 6]):
            world.terminator.drain(percent=50)
            self.assertEqual(self.told(), expected)

    def test_inTheCallback(self) -> None:
        """
        When one is over, the next may be begun.
        """
        world = self.serve(2)
        results: list[Report] = []
        again: list[Deferred[Report]] = []

        def next_(report: Report) -> None:
            results.append(report)
            again.append(self.drain(1).addCallback(results.append))

        self.drain(0).addCallback(next_)
        world.pass_(2.2)
        self.assertEqual(([each.idle for each in results], self.over()), ([1, 1], [0, 1]))

    def test_fromADrainer(self) -> None:
        """
        A drainer may ask for a drain by itself: of whoever is left.
        """
        world = self.serve(2)
        inner: list[Deferred[Report]] = []
        self.protocols[0].hint = lambda idle: inner.append(world.terminator.drain())
        outer = self.drain(0)
        world.pass_(1.1)
        self.assertEqual(self.successResultOf(outer).idle, 1)
        self.assertEqual(self.successResultOf(inner[0]).idle, 1)


class StopTests(DrainTestCase):
    """
    A stop in the middle of one.
    """

    def test_oneDeadline(self) -> None:
        """
        A stop with an earlier deadline ends the drain too; both reports are right.
        """
        world = self.serve(3)
        for protocol in self.protocols:
            protocol.busy = True
        drained = self.drain(0, 1, gracePeriod=20)
        world.pass_(1)
        self.protocols[0].finish()
        world.pass_(1)
        stopped = world.terminator.terminate(gracePeriod=3)
        self.assertEqual(self.told(), [0, 1, 2])
        world.pass_(3.1)
        report = self.successResultOf(drained)
        self.assertEqual((report.finished, report.aborted, len(report.stragglers)), (1, 1, 1))
        self.assertAlmostEqual(report.seconds, 5.0, places=1)
        report = self.successResultOf(stopped)
        self.assertEqual((report.opened, report.before), (3, 1))
        self.assertEqual((report.aborted, len(report.stragglers)), (2, 2))
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_ownDeadline(self) -> None:
        """
        With a later one, what the drain has promised stays: its own are aborted when it
        says so.
        """
        world = self.serve(2)
        for protocol in self.protocols:
            protocol.busy = True
        drained = self.drain(0, gracePeriod=3)
        world.pass_(1)
        stopped = world.terminator.terminate(gracePeriod=10)
        world.pass_(2.1)
        self.assertEqual(([each.aborted for each in self.transports]), [True, False])
        self.assertEqual(self.successResultOf(drained).aborted, 1)
        self.protocols[1].finish()
        world.clock.advance(0)
        report = self.successResultOf(stopped)
        self.assertEqual((report.finished, report.aborted), (1, 1))
        self.assertEqual([each.peer for each in report.stragglers], ["127.0.0.1:0"])
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_endlessDrain(self) -> None:
        """
        A drain without a deadline gets that of the stop.
        """
        world = self.serve(1)
        self.protocols[0].busy = True
        drained = world.terminator.drain(gracePeriod=None)
        world.pass_(100)
        stopped = world.terminator.terminate(gracePeriod=1)
        world.pass_(1.1)
        for result in (drained, stopped):
            self.assertEqual(self.successResultOf(result).aborted, 1)

    def test_idleGrace(self) -> None:
        """
        Whose idle grace is over by the drain is lost then, also if that of the stop has
        just begun.
        """
        world = self.serve(2)
        drained = self.drain(0)
        world.pass_(0.5)
        stopped = world.terminator.terminate()
        world.pass_(0.6)
        self.assertEqual(self.over(), [0])
        self.assertEqual(self.successResultOf(drained).idle, 1)
        world.pass_(0.5)
        self.assertEqual(self.successResultOf(stopped).idle, 2)

    def test_withinALastWord(self) -> None:
        """
        A stop that begins between somebody's last word and his end counts him as aborted,
        and names him.
        """
        world = self.serve(1)
        self.protocols[0].busy, self.protocols[0].word = True, "503"
        drained = world.terminator.drain(gracePeriod=1)
        world.pass_(1 + LAST_WORD / 2)
        stopped = world.terminator.terminate()
        world.pass_(LAST_WORD)
        for result in (drained, stopped):
            report = self.successResultOf(result)
            self.assertEqual((report.left, report.aborted), (0, 1))
            self.assertEqual([each.told for each in report.entries], ["503"])

    def test_abort(self) -> None:
        """
        An abort ends all at once: the busy ones are named in both reports.
        """
        world = self.serve(4)
        self.protocols[0].busy = self.protocols[2].busy = True
        drained = self.drain(0, 1)
        world.clock.advance(0.5)
        aborted = world.terminator.abort()
        world.pass_(0.02)
        report = self.successResultOf(drained)
        self.assertEqual((report.opened, report.idle, report.aborted), (2, 1, 1))
        report = self.successResultOf(aborted)
        self.assertEqual((report.opened, report.idle, report.aborted), (4, 2, 2))
        peers = [each.peer for each in report.stragglers]
        self.assertEqual(peers, ["127.0.0.1:0", "127.0.0.1:2"])
        self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_abortCutsLastWordsShort(self) -> None:
        """
        Who was having its last word is cut off by an abort.
        """
        world = self.serve(1)
        self.protocols[0].busy, self.protocols[0].word = True, "503"
        drained = world.terminator.drain(gracePeriod=1)
        world.pass_(1 + LAST_WORD / 2)
        self.assertFalse(self.transports[0].disconnecting)
        world.terminator.abort()
        world.clock.advance(0)
        self.assertTrue(self.transports[0].disconnecting)
        world.clock.advance(0)
        self.assertEqual(self.successResultOf(drained).aborted, 1)

    def test_stuck(self) -> None:
        """
        One that does not even end when it is aborted is named wherever it is counted,
        whatever the drain had done to it when the stop began.
        """
        for seconds in (0.5, 1.5, 3):
            for stop in ("terminate", "abort"):
                world = self.serve(1, delay=None, gracePeriod=4)
                self.protocols[0].busy = True
                drained = world.terminator.drain(gracePeriod=1)
                world.pass_(seconds)
                stopped = getattr(world.terminator, stop)()
                world.pass_(4 + LAST_WORD + GIVE_UP + 0.1)
                for result in (drained, stopped):
                    report = self.successResultOf(result)
                    self.assertEqual((report.opened, report.aborted), (1, 1), (seconds, stop))
                    [entry] = report.stragglers
                    self.assertIs(entry.outcome, Outcome.ABORTED)
                self.assertEqual(world.clock.getDelayedCalls(), [])

    def test_again(self) -> None:
        """
        After the stop the terminator may serve again, and drain again.
        """
        world = self.serve(1, delay=None, gracePeriod=1)
        drained = world.terminator.drain()
        stopped = world.terminator.abort()
        world.pass_(3)
        self.assertEqual(self.successResultOf(drained).opened, 1)
        self.successResultOf(stopped)
        world.terminator.wrap(world.factory)
        world.connect()
        self.transports[0].end()
        result = world.terminator.drain()
        world.pass_(1.1)
        self.assertEqual(self.successResultOf(result).idle, 1)


class PortTests(PortTestCase):
    """
    A real port.
    """

    def serve(self) -> Terminator:
        """
        A terminator that has the port, and one connection.
        """
        self.open()
        terminator = Terminator(self.reactor)
        terminator.attach(self.port)
        self.accepted()
        return terminator

    def accepted(self) -> Any:
        """
        One more client, accepted.
        """
        client, before = self.client(), len(self.factory.protocols)
        while len(self.factory.protocols) == before:
            self.reactor.turn()
        return client

    def go(self, seconds: float) -> None:
        """
        Time goes by.
        """
        for _ in range(round(seconds * 100)):
            self.reactor.turn(0.01)

    def test_goesOn(self) -> None:
        """
        While some are drained, and after it, the port accepts and serves.
        """
        terminator = self.serve()
        result = terminator.drain(port=self.port.getHost().port)
        self.accepted()
        self.go(1.1)
        self.assertEqual(self.successResultOf(result).opened, 1)
        self.accepted()
        self.assertEqual(len(terminator.connections()), 2)
        self.assertTrue(self.port.connected)

    def test_connectingMeanwhile(self) -> None:
        """
        Who is in the accept queue when others are chosen is served, and not drained.
        """
        terminator = self.serve()
        self.client()
        result = terminator.drain()
        self.go(1.1)
        self.assertEqual(self.successResultOf(result).opened, 1)
        self.assertEqual(len(terminator.connections()), 1)
        self.assertFalse(self.factory.protocols[1].transport.disconnecting)

    def test_suspendedAndResumed(self) -> None:
        """
        Ports may go away and come back during a drain.
        """
        terminator = self.serve()
        result = terminator.drain()
        gone = terminator.suspend()
        self.go(0.5)
        self.successResultOf(gone)
        self.assertNoResult(result)
        terminator.resume()
        self.accepted()
        self.go(0.6)
        self.assertEqual(self.successResultOf(result).opened, 1)
        self.assertEqual(len(terminator.connections()), 1)

    def test_attached(self) -> None:
        """
        A port that is taken over during a drain brings connections that are not in it.
        """
        terminator = self.serve()
        self.go(0.5)
        result = terminator.drain()
        self.open()
        self.accepted()
        terminator.attach(self.port)
        self.assertEqual(len(terminator.connections()), 2)
        self.go(1.1)
        self.assertEqual(self.successResultOf(result).opened, 1)
        [connection] = terminator.connections()
        self.assertFalse(connection.transport.disconnecting)

    def test_notWhileStopping(self) -> None:
        """
        In the very turn in which a stop begins, it is too late.
        """
        terminator = self.serve()
        terminator.terminate()
        self.assertRaises(NotServing, terminator.drain)
