"""
Workers: replaced when they end, restarted one by one, more and fewer.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred

from terminable.errors import HandoverFailed, InvalidOption, NotServing, UpgradeRefused
from terminable.handover.worker import ABORTED, DEAF, Worker, WorkerState
from terminable.policy.phases import Phase
from tests.doubles import Boom
from tests.workdoubles import FakeSuccessor
from tests.workpools import LEAVING, READY, SERVING, STARTING, PoolTestCase


class ReplacingTests(PoolTestCase):
    """
    While they serve.
    """

    def test_crash(self) -> None:
        """
        Who ends is replaced, after a wait that grows; others are left alone.
        """
        pool = self.serve()
        self.made[1].exit("badly")
        self.assertEqual(self.states(), [SERVING])
        self.reactor.advance(0.1)
        self.assertEqual((len(self.made), self.states()), (3, [SERVING, STARTING]))
        self.made[2].exit("badly")
        self.reactor.advance(0.1)
        self.assertEqual(len(self.made), 3)
        self.reactor.advance(0.1)
        self.assertEqual(len(self.made), 4)
        self.bring(3)
        self.reactor.advance(30)
        self.made[3].exit("badly")
        self.reactor.advance(0.1)
        self.assertEqual(len(self.made), 5)
        self.assertIs(pool.phase, Phase.SERVING)
        self.assertEqual(self.reactor.stopped, 0)

    def test_watchers(self) -> None:
        """
        Whoever watches is told of each worker; one who fails harms nobody else.
        """
        pool = self.serve(1)
        seen: list[WorkerState] = []

        def see(worker: Worker | None) -> None:
            assert worker is not None
            seen.append(worker.state)

        def fail(worker: Worker | None) -> None:
            raise Boom

        pool.watchers += [fail, see]
        self.made[0].exit("badly")
        self.reactor.advance(0.1)
        self.bring(1)
        self.assertEqual(seen, [WorkerState.ENDED, STARTING, READY, SERVING])
        self.assertEqual((pool.started, pool.replaced), (2, 1))
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 4)

    def test_crashAtStart(self) -> None:
        """
        When one has been ready, another that is not is tried again, for ever.
        """
        pool = self.start()
        self.bring(0)
        for number in range(1, 20):
            self.made[number].exit("badly")
            self.reactor.advance(10)
        self.assertIs(pool.phase, Phase.RELEASED)
        self.bring(20)
        self.assertIs(pool.phase, Phase.SERVING)

    def test_bug(self) -> None:
        """
        What should never happen at a start is logged in full.
        """
        self.serve(1)
        self.made[0].exit()
        self.patch(self.launcher, "impossible", None)
        self.patch(FakeSuccessor, "start", lambda successor: Deferred().callback(7, 8))
        self.reactor.advance(0.1)
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_resize(self) -> None:
        """
        More are started, and those that are too many leave.
        """
        pool = self.serve(1)
        pool.resize(3)
        self.assertEqual((pool.count, len(self.made)), (3, 3))
        self.bring(1)
        pool.resize(1)
        self.assertEqual((self.made[1].left, self.made[2].signals), (True, ["END"]))
        self.assertFalse(self.made[0].left)
        self.made[1].exit()
        self.made[2].exit()
        self.reactor.advance(100)
        self.assertEqual((len(self.made), self.states()), (3, [SERVING]))

    def test_resizeWhileWaiting(self) -> None:
        """
        Nobody is started where nobody is to be any more.
        """
        pool = self.serve(2)
        self.made[1].exit("badly")
        pool.resize(1)
        self.reactor.advance(100)
        self.assertEqual(len(self.made), 2)

    def test_resizeBad(self) -> None:
        """
        What is no number is refused, and everything before they serve or after.
        """
        pool = self.start(1)
        self.assertRaises(NotServing, pool.resize, 2)
        self.bring(0)
        for bad in (0, -1, True, "x", 1.5):
            self.assertRaises(InvalidOption, pool.resize, bad)
        pool.stopService()
        self.assertRaises(NotServing, pool.resize, 2)

    def test_handedOver(self) -> None:
        """
        When somebody else has the sockets, who ends is not replaced.
        """
        pool = self.serve(1)
        pool.ports.handOver()
        self.made[0].exit()
        self.reactor.advance(100)
        self.assertEqual(len(self.made), 1)
        self.failureResultOf(pool.rollingRestart(), NotServing)


class RollingTests(PoolTestCase):
    """
    A rolling restart.
    """

    def test_oneByOne(self) -> None:
        """
        The old one leaves when the new one serves, and only then the next one is started.
        """
        pool = self.serve()
        done = pool.rollingRestart()
        self.assertEqual(len(self.made), 3)
        self.made[2].ready()
        self.assertFalse(self.made[0].left)
        self.made[2].serves()
        self.assertEqual((self.made[0].left, self.made[1].left, len(self.made)), (True, False, 4))
        self.assertNoResult(done)
        self.bring(3)
        self.successResultOf(done)
        self.assertEqual(self.states(), [LEAVING, LEAVING, SERVING, SERVING])
        self.made[0].exit()
        self.made[1].exit()
        self.reactor.advance(100)
        self.assertEqual((len(self.made), self.states()), (4, [SERVING, SERVING]))

    def test_fails(self) -> None:
        """
        A new one that does not serve ends it: the old ones stay.
        """
        pool = self.serve()
        done = pool.rollingRestart()
        self.made[2].exit("badly")
        self.failureResultOf(done, HandoverFailed)
        self.reactor.advance(100)
        self.assertEqual((len(self.made), self.states()), (3, [SERVING, SERVING]))
        again = pool.rollingRestart()
        self.bring(3)
        self.bring(4)
        self.successResultOf(again)

    def test_refused(self) -> None:
        """
        There is one at a time, and none before they serve.
        """
        pool = self.start(1)
        self.failureResultOf(pool.rollingRestart(), NotServing)
        self.bring(0)
        pool.rollingRestart()
        self.failureResultOf(pool.rollingRestart(), UpgradeRefused)

    def test_crashed(self) -> None:
        """
        Where the old one has ended meanwhile, there is one new worker, not two.
        """
        pool = self.serve(1)
        done = pool.rollingRestart()
        self.made[0].exit("badly")
        self.bring(1)
        self.successResultOf(done)
        self.reactor.advance(100)
        self.assertEqual((len(self.made), self.states()), (2, [SERVING]))

    def test_resized(self) -> None:
        """
        The new one for a place that is given up meanwhile leaves; places that are gone are
        passed over.
        """
        pool = self.serve(3)
        done = pool.rollingRestart()
        self.bring(3)
        pool.resize(1)
        self.bring(4)
        self.assertTrue(self.made[4].left)
        self.successResultOf(done)
        self.assertEqual(len(self.made), 5)

    def test_stopped(self) -> None:
        """
        A stop ends it.
        """
        pool = self.serve()
        done = pool.rollingRestart()
        pool.stopService()
        self.reactor.advance(0)
        self.assertEqual(self.made[2].signals, ["END"])
        self.made[2].exit("badly")
        self.failureResultOf(done, NotServing)

    def test_stoppedJustBefore(self) -> None:
        """
        A worker that comes to serve although all end takes nobody's place.
        """
        pool = self.serve(1)
        done = pool.rollingRestart()
        self.made[1].ready()
        pool.stopService()
        self.reactor.advance(0)
        self.made[1].serves()
        self.failureResultOf(done, NotServing)
        self.assertTrue(self.made[1].left)

    def test_bounded(self) -> None:
        """
        Not more than twice as many drain as there are; the oldest is ended then.
        """
        pool = self.serve(1)
        for number in range(1, 4):
            pool.rollingRestart()
            self.bring(number)
        self.reactor.advance(DEAF)
        self.assertEqual([each.signals for each in self.made], [["TERM"], [], [], []])
        self.reactor.advance(ABORTED)
        self.assertEqual([each.signals for each in self.made], [["TERM", "KILL"], [], [], []])
