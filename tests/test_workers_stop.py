"""
Workers: one stop for all, and one report.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from terminable.errors import InvalidOption
from terminable.handover.ending import SPARE
from terminable.handover.verdict import verdict
from terminable.handover.worker import ABORTED, DEAF, Worker
from terminable.policy.ledger import Entry, Outcome, Report, State
from terminable.policy.phases import Phase
from terminable.policy.summary import toText
from terminable.signals import ECHO
from tests.doubles import Diary
from tests.workdoubles import FakeLauncher, WorkReactor, listens
from tests.workpools import PoolTestCase


class StopTests(PoolTestCase):
    """
    One stop for all.
    """

    def test_report(self) -> None:
        """
        All are told at once; there is one report of those that were there.
        """
        pool = self.serve(3)
        pool.resize(2)
        self.made[2].exit(report=Report(9, 9, 0, 0, 0, 0, 0.0, ()))
        done = pool.stopService()
        self.reactor.advance(0)
        self.assertEqual([each.left for each in self.made[:2]], [True, True])
        self.assertFalse(listens(self.address))
        self.made[0].exit(report=Report(3, 1, 1, 1, 0, 0, 9.0, ()))
        self.assertNoResult(done)
        self.reactor.advance(2)
        self.made[1].exit(report=Report(2, 0, 0, 2, 0, 0, 9.0, ()))
        self.successResultOf(done)
        self.assertEqual(self.diary.reports, [Report(5, 1, 1, 3, 0, 0, 2.0, ())])
        self.assertEqual(self.diary.phases, [Phase.SERVING, Phase.DRAINING, Phase.TERMINATED])
        self.assertEqual(self.diary.portsGone, 1)
        self.assertEqual(pool.status(), [])

    def test_progress(self) -> None:
        """
        It says how many have not ended, and how long they have.
        """
        pool = self.serve(2)
        self.assertEqual(str(pool.progress()), "serving: 2 workers, 25.0 s left")
        pool.stopService()
        self.reactor.advance(5)
        self.assertEqual(str(pool.progress()), "draining: 2 workers, 20.0 s left")
        self.made[0].exit()
        self.assertEqual(str(pool.progress()), "draining: 1 worker, 20.0 s left")

    def test_noDeadline(self) -> None:
        """
        Without a deadline nobody is ended by force.
        """
        pool = self.serve(1, gracePeriod=None)
        pool.stopService()
        self.reactor.pump([1000, 1000])
        self.assertEqual(self.made[0].signals, [])
        self.assertEqual(str(pool.progress()), "draining: 1 worker")

    def test_deadline(self) -> None:
        """
        Who has not ended a while after the deadline is ended by force.
        """
        pool = self.serve(1, gracePeriod=10)
        done = pool.stopService()
        self.reactor.pump([0, 10 + SPARE - 0.1])
        self.assertEqual(self.made[0].signals, [])
        self.reactor.advance(0.1)
        self.assertEqual(self.made[0].signals, ["KILL"])
        self.made[0].exit("badly")
        self.successResultOf(done)

    def test_quiesce(self) -> None:
        """
        While workers go on accepting, the sockets stay.
        """
        pool = self.serve(1, quiesce=3)
        done = pool.stopService()
        self.assertTrue(self.made[0].left)
        self.reactor.advance(2.9)
        self.assertTrue(listens(self.address))
        self.reactor.advance(0.1)
        self.assertFalse(listens(self.address))
        self.made[0].exit()
        self.successResultOf(done)

    def test_early(self) -> None:
        """
        Those who are not ready are ended; who would be started is not.
        """
        pool = self.serve(2)
        self.made[0].exit("badly")
        self.reactor.advance(0.1)
        self.made[1].exit("badly")
        done = pool.stopService()
        self.reactor.advance(0)
        self.assertEqual(self.made[2].signals, ["END"])
        self.made[2].exit("badly")
        self.successResultOf(done)
        self.reactor.advance(100)
        self.assertEqual(len(self.made), 3)

    def test_abort(self) -> None:
        """
        To abort is a second signal for each, when it hears it, and force after a while.
        """
        pool = self.serve(1)
        pool.abort()
        self.assertFalse(self.made[0].left)
        done = pool.stopService()
        pool.abort()
        pool.abort()
        self.assertTrue(self.made[0].left)
        self.reactor.advance(DEAF)
        self.assertEqual(self.made[0].signals, ["TERM"])
        self.assertGreater(DEAF, ECHO)
        self.reactor.advance(ABORTED)
        self.assertEqual(self.made[0].signals, ["TERM", "KILL"])
        self.assertIs(pool.phase, Phase.ABORTING)
        self.made[0].exit("badly")
        self.successResultOf(done)

    def test_hurried(self) -> None:
        """
        With a time for the stop, workers are told of it when they are told to go.
        """
        pool = self.serve(1, gracePeriod=10)
        done = pool.terminate(4)
        self.assertEqual((pool.phase, pool.progress().left), (Phase.DRAINING, 4.0))
        self.assertFalse(self.made[0].left)
        self.reactor.advance(0)
        self.assertEqual(self.hurries(), [None, 4.0])
        self.reactor.advance(4 + SPARE)
        self.assertEqual(self.made[0].signals, ["KILL"])
        self.made[0].exit("badly")
        self.successResultOf(done)
        self.successResultOf(pool.terminate())

    def hurries(self) -> list[Any]:
        """
        What the first worker was told of the time that it has, at each time.
        """
        return self.made[0].channel.hurries

    def test_hastened(self) -> None:
        """
        A later call can only bring the deadline forward; everybody is told when it is over.
        """
        pool = self.serve(1, gracePeriod=10)
        over = [pool.terminate(), pool.terminate(20), pool.stopService()]
        self.reactor.advance(1)
        self.assertEqual((pool.progress().left, self.hurries()), (9.0, [None]))
        over.append(pool.terminate(2))
        self.assertEqual((pool.progress().left, self.hurries()), (2.0, [None, 2.0]))
        pool.terminate(3)
        self.assertEqual(self.hurries(), [None, 2.0])
        self.assertRaises(InvalidOption, pool.terminate, -1)
        self.reactor.advance(2 + SPARE)
        self.assertEqual(self.made[0].signals, ["KILL"])
        self.made[0].exit("badly")
        for each in over:
            self.successResultOf(each)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_hastenedBefore(self) -> None:
        """
        Without a deadline, there is one from then on; who is not told to go yet hears of it
        then, and who has ended does not.
        """
        pool = self.serve(2, gracePeriod=None, quiesce=0)
        done = pool.terminate()
        self.assertIsNone(pool.progress().left)
        pool.terminate(5)
        self.assertEqual(self.hurries(), [])
        self.reactor.advance(0)
        self.assertEqual(self.hurries(), [None, 5.0])
        self.made[0].exit()
        pool.terminate(1)
        self.assertEqual(self.hurries(), [None, 5.0])
        self.made[1].exit()
        self.successResultOf(done)

    def test_notReadyHurried(self) -> None:
        """
        Who is not ready is ended, and told nothing.
        """
        pool = self.start(1)
        done = pool.terminate(3)
        self.reactor.advance(0)
        self.assertEqual((self.hurries(), self.made[0].signals), ([], ["END"]))
        self.made[0].exit()
        self.successResultOf(done)

    def test_early_start(self) -> None:
        """
        Who is told to end before the reactor runs starts nobody.
        """
        pool = self.pool(1)
        begin: list[Any] = []
        self.patch(self.reactor, "callWhenRunning", lambda work: begin.append(work))
        pool.startService()
        self.successResultOf(pool.terminate())
        begin[0]()
        self.assertEqual(self.made, [])

    def test_again(self) -> None:
        """
        It may be started again.
        """
        pool = self.serve(1)
        done = pool.stopService()
        self.reactor.advance(0)
        self.made[0].exit()
        self.successResultOf(done)
        pool.startService()
        self.ports = [listener.port for listener in pool.ports.listeners]
        self.bring(1)
        self.assertIs(pool.phase, Phase.SERVING)

    def test_observers(self) -> None:
        """
        An observer that fails harms nobody else; one that was removed hears nothing.
        """
        pool = self.pool(1)
        gone = Diary()
        pool.addObserver(gone)
        pool.removeObserver(gone)
        pool.addObserver(object())  # type: ignore[arg-type]
        other = Diary()
        pool.addObserver(other)
        pool.step(Phase.SERVING)
        self.assertEqual((other.phases, gone.phases), ([Phase.SERVING], []))
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)


class VerdictTests(SynchronousTestCase):
    """
    The sum.
    """

    def test_missing(self) -> None:
        """
        Who has not reported is named, unless there was nothing to report; entries that are
        missing are counted.
        """
        reactor = WorkReactor()
        launcher = FakeLauncher()
        workers = []
        for _ in range(3):
            make: Any = lambda locators: launcher.make([], locators)  # noqa: E731
            workers.append(Worker(reactor, make, lambda worker: None))
            workers[-1].start()
        for process in launcher.made[:2]:
            process.ready()
        entry = Entry("peer", "P", "x" * 70_000, State.BUSY, 1.0, 0, Outcome.ABORTED)
        workers[0].reported(toText(Report(1, 0, 0, 0, 0, 1, 1.0, (entry,))))
        report, text = verdict(workers, 3.0)
        self.assertEqual(report, Report(1, 0, 0, 0, 0, 1, 3.0, ()))
        dead = f"worker {workers[1].pid} ended without a report"
        self.assertEqual(text, f"{report}; {dead}; 1 connections more are not named")
