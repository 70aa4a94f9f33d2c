"""
What a watcher sees of a stop.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from terminable.ctl.address import addressOf
from terminable.ctl.client import SILENCE, Door
from terminable.ctl.outcomes import DONE, Refused
from terminable.ctl.watch import PATIENCE, PAUSE, Watch
from terminable.errors import Unreachable
from tests.ctldoor import CLEAN, CUT_OFF, DRAINING, SLOW, STATUS, FakeDoor, resultOf

#: The successor of the process of L{STATUS}.
NEXT = {**STATUS, "pid": 101}


class Seen:
    """
    A view that remembers.
    """

    wantsStragglers = True

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def status(self, status: Any) -> None:
        self.told.append(("status", (status["pid"], status["phase"])))

    def stragglers(self, connections: Any) -> None:
        self.told.append(("stragglers", connections))

    def note(self, text: str) -> None:
        if text:
            self.told.append(("note", text))

    def report(self, report: Any) -> None:
        self.told.append(("report", report["aborted"]))

    def leave(self) -> None:
        self.told.append(("leave", None))

    def of(self, name: str) -> list[Any]:
        return [value for each, value in self.told if each == name]


class WatchTestCase(SynchronousTestCase):
    """
    Has a watch at work.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.fake = FakeDoor()
        self.fake.answers["GET /connections"] = [(200, {"connections": [SLOW]})]
        self.seen = Seen()
        self.freshened = 0
        self.door = Door(self.clock, addressOf("/run/site.sock"), self.fake.treq)

    def begin(self, view: Any = None) -> list[Any]:
        watch = Watch(self.clock, self.door, view or self.seen, self.fresh)
        self.watching = Deferred.fromCoroutine(watch.run())
        return resultOf(self.watching)

    def fresh(self) -> None:
        self.freshened += 1

    def gone(self) -> None:
        """
        Nobody is there any more.
        """
        self.fake.answers["GET /status"] = [(200, b"")]
        self.fake.answers["GET /events"] = [(200, b"")]


class EndTests(WatchTestCase):
    """
    From the beginning to the end.
    """

    def test_toTheEnd(self) -> None:
        """
        Each status is shown, with the stragglers, then the report, once; the last event is the end
        if nobody serves instead.
        """
        over = self.begin()
        self.fake.tell("status", STATUS)
        self.fake.tell("status", DRAINING)
        self.fake.tell("status", CLEAN)
        self.fake.tell("status", CLEAN)
        self.assertEqual(over, [])
        self.gone()
        self.fake.tell("end", {})
        self.assertEqual(over, [DONE])
        self.assertEqual(
            self.seen.told,
            [
                ("status", (100, "serving")),
                ("stragglers", [SLOW]),
                ("status", (100, "draining")),
                ("stragglers", [SLOW]),
                ("status", (100, "terminated")),
                ("report", 0),
                ("status", (100, "terminated")),
                ("leave", None),
            ],
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lostAfterReport(self) -> None:
        """
        A stream that ends after the report has said everything.
        """
        over = self.begin()
        self.fake.tell("status", CUT_OFF)
        self.gone()
        self.fake.lose()
        self.assertEqual((over, self.seen.of("report")), ([DONE], [1]))

    def test_stillThere(self) -> None:
        """
        A process that lives on after its server is not watched any longer.
        """
        over = self.begin()
        self.fake.tell("status", CLEAN)
        self.fake.answers["GET /status"] = [(200, CLEAN)]
        self.fake.tell("end", {})
        self.assertEqual(over, [DONE])

    def test_nobody(self) -> None:
        """
        If there is no server from the beginning, that is said at once.
        """
        self.gone()
        [failure] = self.begin()
        self.assertIsInstance(failure.value, Unreachable)
        self.assertEqual(self.seen.told, [("leave", None)])

    def test_refused(self) -> None:
        """
        So it is if there are too many watchers.
        """
        self.fake.answers["GET /events"] = [(503, {"error": "enough"})]
        [failure] = self.begin()
        self.assertIsInstance(failure.value, Refused)

    def test_otherEvents(self) -> None:
        """
        What we do not know does not harm us.
        """
        over = self.begin()
        self.fake.tell("weather", {"rain": True})
        self.assertEqual((over, self.seen.told), ([], []))

    def test_cancel(self) -> None:
        """
        ^C leaves nothing behind.
        """
        self.fake.answers["GET /connections"] = [(200, None)]
        self.begin()
        self.fake.tell("status", STATUS)
        self.watching.cancel()
        self.assertEqual(self.seen.told[-1], ("leave", None))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class StragglerTests(WatchTestCase):
    """
    Who is busy.
    """

    def test_asked(self) -> None:
        """
        The ten oldest are asked for, and one question is enough at a time.
        """
        self.fake.answers["GET /connections"] = [(200, None)]
        self.begin()
        self.fake.tell("status", STATUS)
        self.fake.tell("status", STATUS)
        asked = [each for each in self.fake.asked if each[0] == "GET /connections"]
        expected = {"state": "busy", "sort": "age", "limit": "10"}
        self.assertEqual(asked, [("GET /connections", expected, None)])

    def test_noAnswer(self) -> None:
        """
        Without an answer the watch goes on, and asks again.
        """
        self.fake.answers["GET /connections"] = [(500, {})]
        over = self.begin()
        self.fake.tell("status", STATUS)
        self.fake.tell("status", STATUS)
        self.assertEqual(self.fake.names().count("GET /connections"), 2)
        self.assertEqual((over, self.seen.of("stragglers")), ([], []))

    def test_nobodyBusy(self) -> None:
        """
        If nobody is busy there is nothing to ask.
        """
        self.begin()
        self.fake.tell("status", {**STATUS, "busy": 0})
        self.assertNotIn("GET /connections", self.fake.names())

    def test_successorAnswers(self) -> None:
        """
        If the successor answers already, the one that is known of the others is shown.
        """
        self.fake.answers["GET /connections"] = [(200, {"pid": 101, "connections": []})]
        self.begin()
        self.fake.tell("status", DRAINING)
        self.fake.tell("status", {**DRAINING, "oldest": None})
        self.assertEqual(self.seen.of("stragglers"), [[SLOW], []])

    def test_successorNotNamed(self) -> None:
        """
        A list that does not say whose it is belongs to whoever answers then.
        """
        self.fake.answers["GET /connections"] = [(200, {"connections": []})]
        self.fake.answers["GET /status"] = [(200, NEXT)]
        self.begin()
        self.fake.tell("status", DRAINING)
        self.assertEqual(self.seen.of("stragglers"), [[SLOW]])

    def test_sameProcess(self) -> None:
        """
        The process that is watched is believed.
        """
        self.fake.answers["GET /connections"] = [(200, {"pid": 100, "connections": []})]
        self.begin()
        self.fake.tell("status", DRAINING)
        self.assertEqual(self.seen.of("stragglers"), [[]])


class SuccessorTests(WatchTestCase):
    """
    Somebody takes over.
    """

    def test_upgrade(self) -> None:
        """
        After the report of a process its successor is watched.
        """
        over = self.begin()
        self.fake.tell("status", CLEAN)
        self.fake.answers["GET /status"] = [(200, NEXT)]
        self.fake.tell("end", {})
        self.assertEqual((len(self.fake.streams), self.freshened), (2, 1))
        self.fake.tell("status", NEXT)
        self.assertEqual(self.seen.of("note"), ["process 101 has taken over"])
        self.assertEqual(over, [])
        self.fake.tell("status", {**CUT_OFF, "pid": 101})
        self.assertEqual(self.seen.of("report"), [0, 1])
        self.gone()
        self.fake.tell("end", {})
        self.assertEqual(over, [DONE])

    def test_oldAnswers(self) -> None:
        """
        A process that has a successor may still answer itself; that takes some patience.
        """
        over = self.begin()
        self.fake.tell("status", {**CLEAN, "upgrade": "done"})
        self.fake.answers["GET /status"] = [(200, {**CLEAN, "upgrade": "done"}), (200, NEXT)]
        self.fake.tell("end", {})
        self.assertEqual((over, len(self.fake.streams)), ([], 1))
        self.clock.advance(PAUSE)
        self.assertEqual((over, len(self.fake.streams)), ([], 2))

    def test_noPatience(self) -> None:
        """
        There is an end to that.
        """
        over = self.begin()
        self.fake.tell("status", {**CLEAN, "upgrade": "done"})
        self.fake.answers["GET /status"] = [(200, {**CLEAN, "upgrade": "done"})]
        self.fake.tell("end", {})
        self.clock.pump([PAUSE] * int(PATIENCE / PAUSE - 1))
        self.assertEqual(over, [])
        self.clock.advance(PAUSE)
        self.assertEqual(over, [DONE])


class LostTests(WatchTestCase):
    """
    A server that is lost without a word.
    """

    def setUp(self) -> None:
        super().setUp()
        self.over = self.begin()
        self.fake.tell("status", DRAINING)
        self.fake.lose()

    def test_back(self) -> None:
        """
        It is looked for, and watched again when it is there.
        """
        [note] = self.seen.of("note")
        self.assertEqual(note, "lost, looking for it: the server was lost before its report")
        self.clock.advance(PAUSE)
        self.assertEqual(len(self.fake.streams), 2)
        self.fake.tell("status", {**STATUS, "pid": 101})
        self.assertEqual(self.seen.of("note")[1:], ["process 101 has taken over"])

    def test_gone(self) -> None:
        """
        There is an end to that; the last reason is told.
        """
        self.fake.answers["GET /events"] = [(503, {"error": "not now"})]
        self.clock.pump([PAUSE] * int(PATIENCE / PAUSE - 1))
        self.assertEqual(self.over, [])
        self.clock.advance(PAUSE)
        [failure] = self.over
        self.assertEqual(str(failure.value), "not now (503)")
        self.assertEqual(self.seen.told[-1], ("leave", None))

    def test_goneWithoutReason(self) -> None:
        """
        If there is none, it is said what is missing.
        """
        self.fake.answers["GET /events"] = [(200, b"")]
        self.clock.pump([PAUSE] * int(PATIENCE / PAUSE))
        [failure] = self.over
        self.assertEqual(str(failure.value), "the server was lost before its report")

    def test_eachTimeAnew(self) -> None:
        """
        A server that has been heard again has all the time again.
        """
        self.clock.pump([PAUSE] * 3)
        self.fake.tell("status", DRAINING)
        self.clock.advance(PATIENCE - 1)
        self.fake.tell("status", DRAINING)
        self.fake.lose()
        self.assertEqual(self.over, [])
        self.assertEqual(len(self.seen.of("note")), 2)

    def test_silent(self) -> None:
        """
        A server that says nothing any more is lost, too.
        """
        self.clock.advance(PAUSE)
        self.fake.tell("status", DRAINING)
        self.clock.advance(SILENCE)
        self.assertEqual(self.over, [])
        self.assertIn("not a word for 20 s", self.seen.of("note")[-1])
