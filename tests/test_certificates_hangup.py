"""
SIGHUP has things done, and certificates renewed.
"""

from __future__ import annotations

import signal
from datetime import timedelta
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from terminable.certificates import aroundHangup, onHangup, renewOnHangup
from tests.certificatefiles import PairTestCase
from tests.doubles import Boom
from tests.live.certificates import pair
from tests.test_signals import SignalReactor

THIRTY = timedelta(days=30)


class HangupTestCase(SynchronousTestCase):
    """
    The signals of a process are replaced by a table of our own.
    """

    def setUp(self) -> None:
        super().setUp()
        self.handlers: dict[int, Any] = {signal.SIGHUP: signal.SIG_DFL}
        self.patch(signal, "getsignal", self.handlers.get)
        self.patch(signal, "signal", self.handlers.__setitem__)
        self.reactor = SignalReactor()
        self.done: list[str] = []

    def note(self, what: str) -> Any:
        """
        What writes something down.
        """
        return lambda: self.done.append(what)

    def hangUp(self) -> None:
        """
        A SIGHUP has come, and the reactor has had a turn.
        """
        self.handlers[signal.SIGHUP](signal.SIGHUP, None)
        queued, self.reactor.queued[:] = list(self.reactor.queued), []
        for call in queued:
            call()


class OnHangupTests(HangupTestCase):
    """
    What is done at SIGHUP.
    """

    def test_later(self) -> None:
        """
        It is done in the reactor's own time.
        """
        onHangup(self.reactor, self.note("one"))
        self.handlers[signal.SIGHUP](signal.SIGHUP, None)
        self.assertEqual(self.done, [])
        self.reactor.queued[0]()
        self.assertEqual(self.done, ["one"])

    def test_several(self) -> None:
        """
        All of it is done, each time, what is the same as well.
        """
        same = self.note("one")
        for call in (same, same, self.note("two")):
            onHangup(self.reactor, call)
        self.hangUp()
        self.hangUp()
        self.assertEqual(self.done, ["one", "one", "two"] * 2)

    def test_undo(self) -> None:
        """
        What was taken back is not done; the signal is given back with the last of it.
        """
        same = self.note("one")
        first, second = onHangup(self.reactor, same), onHangup(self.reactor, same)
        first()
        first()
        self.hangUp()
        self.assertEqual(self.done, ["one"])
        second()
        self.assertEqual(self.handlers[signal.SIGHUP], signal.SIG_DFL)
        onHangup(self.reactor, same)
        self.hangUp()
        self.assertEqual(self.done, ["one", "one"])

    def test_somebodyElses(self) -> None:
        """
        A SIGHUP that is ignored, or that somebody handles, stays so, also when it came to
        that later.
        """
        for theirs in (signal.SIG_IGN, signal.default_int_handler):
            self.handlers[signal.SIGHUP] = theirs
            undo = onHangup(self.reactor, self.note("one"))
            self.assertEqual(self.handlers[signal.SIGHUP], theirs)
            undo()
            self.assertEqual(self.handlers[signal.SIGHUP], theirs)

    def test_notTheMainThread(self) -> None:
        """
        Where signals cannot be handled they are not.
        """

        def refuse(number: int, handler: Any) -> None:
            raise ValueError("signal only works in main thread")

        undo = onHangup(self.reactor, self.note("one"))
        ours = self.handlers[signal.SIGHUP]
        self.patch(signal, "signal", refuse)
        undo()
        self.assertEqual(self.handlers[signal.SIGHUP], ours)
        self.handlers[signal.SIGHUP] = signal.SIG_DFL
        onHangup(self.reactor, self.note("one"))
        self.assertEqual(self.handlers[signal.SIGHUP], signal.SIG_DFL)

    def test_noReactorForThreads(self) -> None:
        """
        A clock cannot be told by a signal; nothing happens.
        """
        onHangup(Clock(), self.note("one"))()
        self.assertEqual(self.handlers[signal.SIGHUP], signal.SIG_DFL)

    def test_failure(self) -> None:
        """
        What goes wrong is logged, and the rest is done.
        """

        def fail() -> None:
            raise Boom()

        onHangup(self.reactor, fail)
        onHangup(self.reactor, self.note("one"))
        aroundHangup(self.reactor, fail, self.note("done"))
        self.hangUp()
        self.assertEqual(self.done, ["one", "done"])
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 2)


class AroundTests(HangupTestCase):
    """
    Who is told of it.
    """

    def test_order(self) -> None:
        """
        One hears of it before anything is done, and when all of it is.
        """
        waiting: Deferred[None] = Deferred()
        onHangup(self.reactor, self.note("one"))
        onHangup(self.reactor, lambda: waiting)
        undo = aroundHangup(self.reactor, self.note("begun"), self.note("done"))
        self.hangUp()
        self.assertEqual(self.done, ["begun", "one"])
        waiting.callback(None)
        self.assertEqual(self.done, ["begun", "one", "done"])
        undo()
        self.hangUp()
        self.assertEqual(self.done, ["begun", "one", "done", "one"])

    def test_meanwhile(self) -> None:
        """
        However many come while it is being done, it is done once more afterwards.
        """
        waiting: list[Deferred[None]] = []

        def work() -> Deferred[None]:
            waiting.append(Deferred())
            return waiting[-1]

        onHangup(self.reactor, work)
        aroundHangup(self.reactor, self.note("begun"), self.note("done"))
        for _ in range(3):
            self.hangUp()
        self.assertEqual((len(waiting), self.done), (1, ["begun"]))
        waiting[0].callback(None)
        self.assertEqual((len(waiting), self.done), (2, ["begun", "done", "begun"]))
        waiting[1].callback(None)
        self.assertEqual((len(waiting), self.done[3:]), (2, ["done"]))


class RenewTests(PairTestCase, HangupTestCase):
    """
    Certificates at SIGHUP.
    """

    def assertSaid(self, text: str) -> None:
        """
        A SIGHUP has one line on the log that says this.
        """
        _, lines = self.logged(self.hangUp)
        self.assertEqual(len(lines), 1, lines)
        self.assertTrue(lines[0].startswith(text), lines[0])

    def test_renewed(self) -> None:
        """
        They are renewed, or the log says why not, each time.
        """
        renewed = self.renewed()
        files = f"{self.crt}, {self.key}"
        undo = renewOnHangup(self.reactor, [renewed])
        self.assertSaid(f"SIGHUP: nothing new in {files}")
        self.write("site.crt", b"")
        self.assertSaid(f"the certificate in use is kept: {self.crt}: is empty")
        self.assertSaid(f"SIGHUP: nothing new in {files}, still not used: {self.crt}: is empty")
        self.put(pair(ends=THIRTY))
        self.assertSaid("now using the certificate in")
        undo()
        self.assertEqual(self.handlers[signal.SIGHUP], signal.SIG_DFL)

    def test_failure(self) -> None:
        """
        One that fails harms no other.
        """
        renewed, broken = self.renewed(), self.renewed()

        def fail() -> bool:
            raise Boom()

        self.patch(broken, "renew", fail)
        self.put(pair(ends=THIRTY))
        renewOnHangup(self.reactor, [broken, renewed])
        self.hangUp()
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.assertFalse(renewed.renew())
        self.assertIsNone(renewed.problem)
