"""
L{Spool}: what it records, and what becomes of items.
"""

from __future__ import annotations

from twisted.application.service import IService
from twisted.internet.defer import Deferred

from terminable.errors import InvalidOption
from terminable.spool import Item, Spool, SpoolAway, SpoolProgress
from terminable.spool.items import HandLost, newItem
from tests.doubles import Boom
from tests.spoolcases import SpoolTestCase


class StartTests(SpoolTestCase):
    """
    The start, and what needs no work.
    """

    def test_service(self) -> None:
        """
        It is a service, whose start opens the store, and whose privileged start only looks
        whether it can be.
        """
        spool = Spool(self.reactor, self.store, self.work, most=7, deadBlocks=True)
        self.assertTrue(IService.providedBy(spool))
        spool.privilegedStartService()
        self.assertEqual(self.store.calls, ["check"])
        spool.startService()
        self.assertEqual(self.store.calls[1:], [("start", 7, True)])

    def test_refused(self) -> None:
        """
        What is no store and no work is named, and so is a setting.
        """
        for name, arguments, settings in [
            ("store", (object(), self.work), {}),
            ("work", (self.store, "work"), {}),
            ("rate", (self.store, self.work), {"rate": 0}),
        ]:
            problem = self.assertRaises(InvalidOption, Spool, self.reactor, *arguments, **settings)
            self.assertEqual(problem.option, name)

    def test_questions(self) -> None:
        """
        The store answers what it is asked.
        """
        spool = self.spool()
        self.store.answer = progress = SpoolProgress(1, 2, 3, 4, 5.0, 6)
        self.assertEqual(self.successResultOf(spool.progress()), progress)
        text = "1 waiting, 2 working, 3 done, 4 dead, oldest 5 s, 6/min"
        self.assertEqual(str(progress), text)
        spool.look("a")
        spool.deadLetters()
        asked = [("progress",), ("look", "a"), ("deadLetters", 1000)]
        self.assertEqual(self.store.calls[1:], asked)

    def test_add(self) -> None:
        """
        What is added is recorded, and looked for at once.
        """
        spool = self.spool()
        self.answer(None)
        self.assertFalse(self.asks())
        self.store.answer = newItem("")
        added = spool.add("x", "k", "a", "text/plain")
        self.assertEqual(self.successResultOf(added), self.store.answer)
        recorded = Item("a", b"x", "text/plain", "k")
        self.assertEqual(self.store.calls[1:], [("record", recorded)])
        self.assertTrue(self.asks())

    def test_addNonsense(self) -> None:
        """
        What cannot be recorded is not.
        """
        self.failureResultOf(self.spool().add(b"", key=""), InvalidOption)
        self.assertEqual(len(self.store.calls), 1)

    def test_dead(self) -> None:
        """
        What the dead have held up is looked for at once.
        """
        spool = self.spool()
        self.store.answer = True
        for change in (spool.retryDead, spool.dropDead):
            self.answer(None)
            self.assertFalse(self.asks())
            self.assertTrue(self.successResultOf(change("a")))
            self.assertTrue(self.asks())
        self.assertEqual(self.store.calls[1:], [("retryDead", "a"), ("dropDead", "a")])

    def test_prunes(self) -> None:
        """
        Old items are forgotten once a minute; if that fails, it is said once.
        """
        self.spool(keepDone=100)
        self.reactor.go(59.0)
        self.assertEqual(len(self.store.calls), 1)
        self.reactor.go(1.0)
        self.assertEqual(self.store.calls[1:], [("prune", 100.0)])
        self.store.answer = SpoolAway("gone")
        self.reactor.go(60.0)
        self.reactor.go(60.0)
        self.assertEqual(len(self.store.calls), 4)
        self.assertEqual(self.levels(), ["warn"])

    def test_recordsOnly(self) -> None:
        """
        Without work nothing is taken; the store that was away is back when it records.
        """
        spool = Spool(self.reactor, self.store, None)
        spool.startService()
        self.store.answer = SpoolAway("gone")
        self.reactor.go(60.0)
        self.failureResultOf(spool.add("x"), SpoolAway)
        self.store.answer = newItem("")
        self.successResultOf(spool.add("x"))
        self.assertEqual(self.store.asked, [])
        self.assertIn("{store} is back", [event["log_format"] for event in self.logged])


class WorkTests(SpoolTestCase):
    """
    What becomes of items.
    """

    def test_done(self) -> None:
        """
        Work gets the item, and its result is recorded.
        """
        self.spool()
        taken = self.give()
        (item, result), *_ = self.working
        self.assertIs(item, taken.item)
        self.assertEqual(taken.said, [])
        result.callback({"a": 1})
        self.assertEqual(taken.said, [("done", b'{"a": 1}')])
        self.assertTrue(self.asks())

    def test_atOnce(self) -> None:
        """
        So many are in hand at once.
        """
        self.spool(atOnce=2)
        self.give()
        self.assertTrue(self.asks())
        self.give()
        self.assertFalse(self.asks())
        self.working[0][1].callback(None)
        self.assertTrue(self.asks())

    def test_plainResult(self) -> None:
        """
        Work need not return a Deferred.
        """
        self.spool(lambda item: "x")
        self.assertEqual(self.give().said, [("done", b"x")])

    def test_failed(self) -> None:
        """
        What fails is tried again, later each time, and given up at last.
        """
        self.spool(self.boom, attempts=3)
        said = [self.give(attempts).said for attempts in (1, 2, 3)]
        self.assertEqual(said[0], [("again", "Boom: no", 1.0)])
        self.assertEqual(said[1], [("again", "Boom: no", 2.0)])
        self.assertEqual(said[2], [("dead", "Boom: no", True)])
        self.assertEqual(self.levels(), ["warn"])

    def boom(self, item: Item) -> None:
        """
        Work that fails.
        """
        raise Boom("no")

    def test_noResult(self) -> None:
        """
        A result that cannot be recorded is an error.
        """
        self.spool(lambda item: object())
        ((word, error, _),) = self.give().said
        self.assertEqual(word, "again")
        self.assertIn("TypeError", error)

    def test_backoff(self) -> None:
        """
        Somebody's own function says when; one that fails, or says nonsense, is logged.
        """
        self.spool(self.boom, backoff=lambda attempts: 7 / (attempts - 2))
        self.assertEqual(self.give(3).said, [("again", "Boom: no", 7.0)])
        self.assertEqual(self.give(2).said, [("again", "Boom: no", 2.0)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.give(1).said, [("again", "Boom: no", 1.0)])
        self.assertEqual(len(self.flushLoggedErrors(InvalidOption)), 1)

    def test_endsItsProcess(self) -> None:
        """
        An item during which the process was ended each time is given up unbegun.
        """
        self.spool(attempts=2)
        ((word, error, begun),) = self.give(3).said
        self.assertEqual((word, begun), ("dead", False))
        self.assertIn("ended each time, 2 times", error)
        self.assertEqual(self.give(3, error="before").said, [("dead", "before", False)])
        self.assertEqual(self.working, [])

    def test_timeLimit(self) -> None:
        """
        An attempt that takes too long is cancelled, and has failed.
        """
        self.spool(timeLimit=3)
        taken = self.give()
        self.reactor.go(2.9)
        self.assertEqual(taken.said, [])
        self.reactor.go(0.2)
        error = "TimeoutError: not done within 3 s"
        self.assertEqual(taken.said, [("again", error, 1.0)])

    def test_withinTheLimit(self) -> None:
        """
        One that does not, is not.
        """
        self.spool(timeLimit=3)
        taken = self.give()
        self.working[0][1].callback(b"x")
        self.reactor.go(5.0)
        self.assertEqual(taken.said, [("done", b"x")])

    def test_justInTime(self) -> None:
        """
        What has its result when it is cancelled is done.
        """
        self.spool(lambda item: Deferred(lambda each: each.callback(b"x")), timeLimit=3)
        taken = self.give()
        self.reactor.go(3.0)
        self.assertEqual(taken.said, [("done", b"x")])

    def test_recordedLater(self) -> None:
        """
        What the store does not take is told it again, until it does.
        """
        self.spool()
        taken = self.give()
        taken.failing = [SpoolAway("full disk"), SpoolAway("full disk")]
        self.working[0][1].callback(b"x")
        self.assertEqual(len(taken.said), 1)
        self.assertFalse(self.asks())
        self.reactor.go(0.1)
        self.reactor.go(0.2)
        self.assertEqual(taken.said, [("done", b"x")] * 3)
        self.assertTrue(self.asks())

    def test_lost(self) -> None:
        """
        An item that is not ours any more is forgotten.
        """
        self.spool()
        taken = self.give()
        taken.failing = [HandLost("gone")]
        self.working[0][1].callback(b"x")
        self.assertEqual(len(taken.said), 1)
        self.assertTrue(self.asks())
        self.assertEqual(self.levels(), ["warn"])

    def test_mistake(self) -> None:
        """
        A store that fails otherwise costs this item, and is logged.
        """
        self.spool()
        taken = self.give()
        taken.failing = [Boom()]
        self.working[0][1].callback(b"x")
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.assertTrue(self.asks())
