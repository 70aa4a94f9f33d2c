"""
Tests for L{terminable.handover.upgrading}.
"""

from __future__ import annotations

import gc
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ReactorNotRunning

from terminable.errors import HandoverFailed, InvalidOption, NotServing, UpgradeRefused
from terminable.handover import moving
from terminable.handover.following import takeoverOf
from terminable.policy.phases import Phase
from tests.doubles import Boom
from tests.upgraded import FakeObserver, UpgradeTestCase


class UpgradeTests(UpgradeTestCase):
    """
    One that succeeds.
    """

    def test_started(self) -> None:
        """
        The successor is started as this process was, with its sockets: those that were given to
        it first.
        """
        self.begin()
        process = self.reactor.processes[0]
        self.assertEqual(process.arguments[-2:], ["sh", "own"])
        given = process.given
        self.assertEqual(given["env"]["LISTEN_FDNAMES"], "a:c:b")
        self.assertEqual(given["childFDs"][3], self.listeners[1].socket.fileno())
        self.assertEqual(given["env"]["TERMINABLE_PIDFILE"], "/run/pid")
        self.assertEqual(given["path"], "/here")

    def test_other(self) -> None:
        """
        It may be another program: that of this upgrade, or of all.
        """
        self.upgrade.command = ["sh", "all"]
        self.upgrade.upgrade()
        self.assertEqual(self.reactor.processes[0].arguments[-1], "all")
        self.reactor.processes[0].end(1)
        self.flushFailed()
        self.begin("sh", "this")
        self.assertEqual(self.reactor.processes[1].arguments[-1], "this")

    def flushFailed(self) -> None:
        """
        An upgrade has failed whose result nobody has.
        """
        self.turns()
        gc.collect()
        self.flushLoggedErrors(HandoverFailed)

    def test_pidfile(self) -> None:
        """
        The pidfile is that which this process was told of, if it was, and there may be none.
        """
        self.own = self.own._replace(pidfile="")
        self.begin()
        self.assertNotIn("TERMINABLE_PIDFILE", self.reactor.processes[0].given["env"])
        self.reactor.processes[0].end(1)
        self.failureResultOf(self.result, HandoverFailed)
        takeoverOf(self.reactor).pidfile = "/run/other"
        self.begin()
        self.assertEqual(self.reactor.processes[1].given["env"]["TERMINABLE_PIDFILE"], "/run/other")

    def test_whole(self) -> None:
        """
        When the successor is ready, nobody is accepted here; when it serves, the ports are let
        go, who observes is told, and this process leaves.
        """
        answer: Deferred[dict[str, object]] = Deferred()
        answers = self.begin()
        answers.answers["Serve"] = answer
        self.turns()
        self.assertEqual(self.told(), [[], [], []])
        self.ready()
        self.turns()
        self.assertEqual(self.told(), [["pause"]] * 3)
        self.assertEqual([each.told for each in self.terminators], [[], []])
        answer.callback({})
        self.turns()
        self.assertEqual(self.successResultOf(self.result), 99)
        self.assertEqual([each.told for each in self.terminators], [["handOver"], ["handOver"]])
        self.assertEqual(self.observer.told, ["begin", 99])
        self.assertEqual((answers.names(), self.reactor.stopped), (["Serve", "Main"], 1))
        self.assertEqual(takeoverOf(self.reactor).serving, 99)
        self.failureResultOf(self.upgrade.upgrade(), UpgradeRefused)
        self.reactor.trigger("before")
        self.assertEqual(self.reactor.processes[0].signals, [])

    def test_observers(self) -> None:
        """
        One that fails harms nobody, nor does a stop that has begun already.
        """

        def boom(*args: object) -> None:
            raise Boom

        other = FakeObserver()
        other.hearing = fail(Boom())
        self.upgrade.observers[:0] = [object(), other]  # type: ignore[list-item]
        self.upgrade.leave = boom
        self.begin()
        self.ready()
        self.turns()
        self.successResultOf(self.result)
        self.assertEqual(self.observer.told, ["begin", 99])
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 2)
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 2)

    def test_stoppedAlready(self) -> None:
        """
        It may be that somebody else has stopped the reactor by then.
        """

        def leave() -> None:
            raise ReactorNotRunning

        self.upgrade.leave = leave
        self.begin()
        self.ready()
        self.turns()
        self.assertEqual(self.successResultOf(self.result), 99)

    def test_invisible(self) -> None:
        """
        If nobody is to notice, the connections of all are moved before it leaves.
        """
        moved: Deferred[str] = Deferred()
        given: list[Any] = []

        def moveAll(reactor: Any, connections: Any, sender: Any, seconds: float) -> Deferred[str]:
            given.append((connections, seconds))
            return moved

        self.patch(moving, "moveAll", moveAll)
        self.upgrade.invisible = 3.0
        self.begin()
        self.ready()
        self.turns()
        self.assertEqual(given, [(["one", "two"] * 2, 3.0)])
        self.assertEqual((self.observer.told, self.reactor.stopped), (["begin", 99], 0))
        self.assertNoResult(self.result)
        moved.callback("four")
        self.turns()
        self.assertEqual(self.reactor.stopped, 1)

    def test_immovable(self) -> None:
        """
        If they cannot be moved, it leaves.
        """
        self.patch(moving, "moveAll", lambda *args: fail(Boom()))
        self.upgrade.invisible = 3.0
        self.begin()
        self.ready()
        self.turns()
        self.assertEqual((self.successResultOf(self.result), self.reactor.stopped), (99, 1))
        self.flushLoggedErrors(Boom)


class RefusedTests(UpgradeTestCase):
    """
    One that does not begin.
    """

    def refused(self, kind: type[Exception]) -> None:
        """
        It does not, for such a reason.
        """
        self.failureResultOf(self.upgrade.upgrade(), kind)
        self.assertEqual(self.reactor.processes, [])

    def test_again(self) -> None:
        """
        There is one at a time.
        """
        self.begin()
        problem = self.failureResultOf(self.upgrade.upgrade(), UpgradeRefused).value
        self.assertIn("under way already", str(problem))
        self.assertEqual(len(self.reactor.processes), 1)

    def test_waiting(self) -> None:
        """
        A process that does not serve yet is followed by nobody.
        """
        takeoverOf(self.reactor).waiting = True
        self.refused(UpgradeRefused)

    def test_notServing(self) -> None:
        """
        Nor is one of which a part does not serve.
        """
        self.terminators[1].phase = Phase.SUSPENDED
        self.refused(NotServing)

    def test_command(self) -> None:
        """
        There must be such a program.
        """
        self.upgrade.command = ["/no/such/program"]
        self.refused(InvalidOption)
        self.upgrade.command = None
        self.begin()

    def test_stopped(self) -> None:
        """
        A stop may begin while the older ones are counted.
        """
        counting: Deferred[int] = Deferred()
        self.patch(takeoverOf(self.reactor), "older", lambda: counting)
        result = self.upgrade.upgrade()
        self.terminators[0].phase = Phase.DRAINING
        counting.callback(0)
        self.failureResultOf(result, NotServing)
        self.assertEqual(self.reactor.processes, [])


class FailedTests(UpgradeTestCase):
    """
    One that comes to nothing.
    """

    def test_ended(self) -> None:
        """
        Nothing has happened if the successor ends, and the next one may be better.
        """
        self.begin()
        self.reactor.processes[0].end(1)
        self.failureResultOf(self.result, HandoverFailed)
        self.assertIsNone(self.upgrade.successor)
        self.assertEqual(self.observer.told, ["begin", "end"])
        self.assertEqual(self.told(), [[], [], []])
        self.begin()
        self.ready()
        self.turns()
        self.assertEqual(self.successResultOf(self.result), 99)

    def test_notServed(self) -> None:
        """
        If it does not come to serve, this process accepts again.
        """
        answers = self.begin()
        answers.answers["Serve"] = Deferred()
        self.ready()
        self.turns()
        self.reactor.processes[0].end(1)
        self.failureResultOf(self.result, HandoverFailed)
        self.assertEqual(self.told(), [["pause", "unpause"]] * 3)
        self.assertEqual([each.told for each in self.terminators], [[], []])

    def test_nothingLeft(self) -> None:
        """
        If there is nothing to hand over any more when it is ready, it is told to end.
        """
        self.begin()
        self.terminators[0].phase = Phase.SUSPENDED
        self.ready()
        self.turns()
        self.failureResultOf(self.result, NotServing)
        self.assertEqual(self.reactor.processes[0].signals, ["TERM"])
        self.assertEqual(self.told(), [[], [], []])

    def test_stopping(self) -> None:
        """
        If this process is told to stop, whoever was to follow ends at once; also one that has
        failed and not ended yet.
        """
        self.upgrade.timeout = 5.0
        self.begin()
        self.reactor.turn(5.0)
        self.failureResultOf(self.result, HandoverFailed)
        self.begin()
        self.reactor.trigger("before")
        signals = [process.signals for process in self.reactor.processes]
        self.assertEqual(signals, [["TERM", "KILL"], ["KILL"]])
        for process in self.reactor.processes:
            process.end(1)
        self.failureResultOf(self.result, HandoverFailed)
