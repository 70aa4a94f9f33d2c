"""
Checks of an application's own.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from terminable.admin.health import LONGEST, Health, healthOf
from terminable.errors import InvalidOption


class HealthTests(SynchronousTestCase):
    """
    What they come to.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.health = Health(self.clock)

    def look(self, live: bool = False) -> dict[str, tuple[bool, str]]:
        found = self.successResultOf(self.health.look(live))
        return {name: tuple(each) for name, each in found.items()}

    def add(self, function: Any, **settings: Any) -> None:
        self.health.addCheck("it", function, **settings)

    def test_none(self) -> None:
        """
        Without checks there is nothing to be wrong.
        """
        self.assertEqual(self.look(), {})

    def test_answers(self) -> None:
        """
        An answer may be given at once or later; a failure is one.
        """
        checks: dict[str, tuple[Any, tuple[bool, str]]] = {
            "yes": (lambda: True, (True, "")),
            "no": (lambda: 0, (False, "it says no")),
            "later": (lambda: succeed(1), (True, "")),
            "raises": (lambda: {}["a"], (False, "KeyError: 'a'")),
            "fails": (lambda: fail(OSError("two\nlines")), (False, "OSError: two lines")),
        }
        for name, (function, _) in checks.items():
            self.health.addCheck(name, function)
        self.assertEqual(self.look(), {name: expected for name, (_, expected) in checks.items()})

    def test_long(self) -> None:
        """
        A detail has a bounded length.
        """
        self.add(lambda: fail(OSError("a" * 1000)))
        self.assertEqual(len(self.look()["it"][1]), LONGEST)

    def test_late(self) -> None:
        """
        No answer in time is a no, and who was asked is told that it is not wanted any more.
        """
        cancelled: list[object] = []
        self.add(lambda: Deferred(cancelled.append), timeLimit=0.5)
        looking = self.health.look(False)
        self.clock.advance(0.4)
        self.assertNoResult(looking)
        self.clock.advance(0.1)
        found = self.successResultOf(looking)["it"]
        self.assertEqual(tuple(found), (False, "it takes longer than 0.5 s"))
        self.assertEqual(len(cancelled), 1)
        # The next time it is asked anew.
        again = self.health.look(False)
        self.assertNoResult(again)
        self.clock.advance(0.5)
        self.assertEqual(len(cancelled), 2)

    def test_heedless(self) -> None:
        """
        One that does not heed this is not asked again before it has answered, and until then it
        is a no at once.
        """
        asked: list[Deferred[bool]] = []

        async def stubborn() -> bool:
            waits: Deferred[bool] = Deferred()
            asked.append(waits)
            try:
                return await waits
            except BaseException:
                further: Deferred[bool] = Deferred()
                asked.append(further)
                return await further

        self.add(lambda: Deferred.fromCoroutine(stubborn()))
        looking = self.health.look(False)
        self.clock.advance(1.0)
        self.assertFalse(self.successResultOf(looking)["it"].ok)
        self.assertEqual(self.look()["it"], (False, "it takes longer than 1 s"))
        self.assertEqual(len(asked), 2)
        asked[1].callback(True)
        again = self.health.look(False)
        asked[2].callback(True)
        self.assertTrue(self.successResultOf(again)["it"].ok)

    def test_once(self) -> None:
        """
        Who asks while an answer is awaited gets the same one.
        """
        asked: list[Deferred[bool]] = []

        def slow() -> Deferred[bool]:
            asked.append(Deferred())
            return asked[-1]

        self.add(slow)
        first, second = self.health.look(False), self.health.look(False)
        self.assertEqual(len(asked), 1)
        asked[0].callback(True)
        self.assertEqual(self.successResultOf(first), self.successResultOf(second))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_together(self) -> None:
        """
        Several are at work at the same time.
        """
        for name in "abc":
            self.health.addCheck(name, Deferred, timeLimit=1.0)
        looking = self.health.look(False)
        self.clock.advance(1.0)
        self.assertEqual(list(self.successResultOf(looking)), ["a", "b", "c"])

    def test_live(self) -> None:
        """
        Only some are asked whether the process lives.
        """
        self.health.addCheck("a", lambda: True)
        self.health.addCheck("b", lambda: True, live=True)
        self.assertEqual(list(self.look(live=True)), ["b"])
        self.assertEqual(list(self.look()), ["a", "b"])

    def test_remove(self) -> None:
        """
        A check may go.
        """
        self.add(lambda: False)
        self.health.removeCheck("it")
        self.assertEqual(self.look(), {})
        self.assertRaises(KeyError, self.health.removeCheck, "it")

    def test_bad(self) -> None:
        """
        What cannot be meant is refused.
        """
        good = {"name": "a", "function": bool, "timeLimit": 1.0}
        for name, value in (
            ("name", ""),
            ("name", "a\nb"),
            ("name", 1),
            ("function", None),
            ("timeLimit", 0),
            ("timeLimit", float("nan")),
            ("timeLimit", float("inf")),
            ("timeLimit", True),
            ("timeLimit", "1"),
        ):
            given: Any = {**good, name: value}
            problem = self.assertRaises(InvalidOption, self.health.addCheck, **given)
            self.assertEqual(problem.option, name)
        self.health.addCheck("a", bool)
        self.assertRaises(InvalidOption, self.health.addCheck, "a", bool)

    def test_ofReactor(self) -> None:
        """
        A process has one of these.
        """
        self.assertIs(healthOf(self.clock), healthOf(self.clock))
        self.assertIsNot(healthOf(self.clock), healthOf(Clock()))
