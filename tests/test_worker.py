"""
One worker, seen from above.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from terminable.handover import channel, passage
from terminable.handover.worker import ABORTED, DEAF, REPORTS, Worker
from terminable.policy.ledger import Report
from terminable.policy.summary import toText
from tests.workdoubles import FakeLauncher, WorkReactor
from tests.workpools import READY, STARTING

NOTHING = Report(0, 0, 0, 0, 0, 0, 0.0, ())


class WorkerTests(SynchronousTestCase):
    """
    One of them.
    """

    def setUp(self) -> None:
        self.reactor = WorkReactor()
        self.ended: list[Worker] = []
        self.launcher = FakeLauncher()

        def make(locators: Any) -> Any:
            return self.launcher.make([], locators)

        self.worker = Worker(self.reactor, make, self.ended.append)
        self.process = self.launcher.made[0]

    def test_life(self) -> None:
        """
        It says since when it is there, and how it fares.
        """
        worker = self.worker
        self.assertEqual((worker.status(), worker.life), ((None, 0.0, STARTING), 0.0))
        worker.start()
        self.reactor.advance(1)
        self.process.ready()
        self.reactor.advance(2)
        self.assertEqual(worker.status(), (self.process.pid, 0.0, READY))
        self.assertEqual(worker.life, 2.0)
        self.assertEqual(repr(worker), f"<Worker {self.process.pid} ready>")
        self.process.exit()
        self.assertEqual(self.ended, [worker])
        worker.leave()
        worker.abort()
        self.assertFalse(self.process.left)

    def test_broken(self) -> None:
        """
        One that cannot be spoken to is told by a signal.
        """
        self.worker.start()
        self.process.ready()
        self.process.channel.broken = True
        self.worker.leave()
        self.worker.leave()
        self.assertEqual(self.process.signals, ["TERM"])

    def test_abortStarting(self) -> None:
        """
        One that is not ready is ended.
        """
        self.worker.start()
        self.worker.abort()
        self.reactor.advance(DEAF)
        self.assertEqual(self.process.signals, ["END", "TERM"])

    def test_deaf(self) -> None:
        """
        One that does not hear is ended by force.
        """
        self.worker.start()
        self.process.ready()
        self.process.channel.deaf = True
        self.worker.abort()
        self.reactor.advance(ABORTED)
        self.assertEqual(self.process.signals, ["KILL"])

    def test_hurry(self) -> None:
        """
        One that was told to go can be told that there is less time; nobody else is.
        """
        self.worker.hurry(1.0)
        self.worker.start()
        self.process.ready()
        self.worker.hurry(1.0)
        self.worker.leave()
        self.worker.hurry(1.0)
        self.process.channel.broken = True
        self.worker.hurry(0.5)
        self.process.exit()
        self.worker.hurry(0.1)
        self.assertEqual(self.process.channel.hurries, [None, 1.0, 0.5])

    def test_ask(self) -> None:
        """
        It can be asked; one that cannot be spoken to yet fails.
        """
        asked = self.worker.ask(channel.Older)
        self.assertEqual(self.successResultOf(asked), {})
        self.process.channel = None  # type: ignore[assignment]
        self.failureResultOf(self.worker.ask(channel.Older), AttributeError)

    def test_nonsense(self) -> None:
        """
        A report that is none is logged, and does no harm.
        """
        self.assertEqual(self.worker.reported("nonsense"), {})
        self.assertEqual(self.worker.reports, [])

    def test_tooMany(self) -> None:
        """
        One that goes on and on reporting is ended, and its channel cut.
        """
        self.worker.start()
        self.process.ready()
        cut: list[str] = []

        class Transport:
            connected = 1
            disconnecting = False

            def abortConnection(self) -> None:
                self.connected = 0
                cut.append("cut")

        self.process.channel.transport = Transport()
        self.worker.reports.extend([NOTHING] * REPORTS)
        for _ in range(2):
            self.assertEqual(self.worker.reported(toText(NOTHING)), {})
        self.assertEqual((len(self.worker.reports), cut), (REPORTS, ["cut"]))
        self.process.channel.transport = None
        self.assertEqual(self.worker.reported(toText(NOTHING)), {})

    def test_lastWords(self) -> None:
        """
        What it has said is heard, also if its end is noticed before.
        """
        heard: list[Any] = []
        self.process.channel.transport = transport = object()
        self.patch(passage, "hearLastWords", heard.append)
        self.worker.start()
        self.process.ready()
        self.process.exit()
        self.assertEqual(heard, [transport])
