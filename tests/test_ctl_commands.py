"""
Commands, carried out.
"""

from __future__ import annotations

import io
import json
import os
from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from terminable.ctl.address import addressOf
from terminable.ctl.client import Door
from terminable.ctl.columns import Paper
from terminable.ctl.commands import NO_WORKERS, PAUSE, Session
from terminable.ctl.options import Options
from terminable.ctl.outcomes import DONE, STRAGGLERS, Refused
from terminable.ctl.watch import Screen
from terminable.errors import Unreachable
from tests.ctldoor import (
    CLEAN,
    CUT_OFF,
    DRAINING,
    SLOW,
    STATUS,
    FakeDoor,
    Terminal,
    resultOf,
)

try:
    import rich
except ImportError:
    rich = None  # type: ignore[assignment]

NEXT = {**STATUS, "pid": 101}


class CommandTestCase(SynchronousTestCase):
    """
    Gives commands.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.fake = FakeDoor()
        self.out = io.StringIO()

    def begin(self, *words: str) -> list[Any]:
        options = Options()
        options.parseOptions(["/run/site.sock", *words])
        door = Door(self.clock, options.address, self.fake.treq)
        session = Session(self.clock, door, Paper(self.out, options.json))
        self.working = Deferred.fromCoroutine(session.run(options.command))
        return resultOf(self.working)

    def printed(self, *words: str) -> str:
        """
        What a command prints that is done at once.
        """
        self.out = io.StringIO()
        self.assertEqual(self.begin(*words), [DONE])
        return self.out.getvalue()


class AskingTests(CommandTestCase):
    """
    What only asks.
    """

    def test_status(self) -> None:
        """
        People get names and values, programs what the server said.
        """
        self.assertIn("phase         serving since", self.printed("status"))
        self.assertEqual(json.loads(self.printed("status", "--json")), STATUS)

    def test_connections(self) -> None:
        """
        People get a table; the conditions are sent with the question.
        """
        answer = {"pid": 100, "total": 1, "busy": 1, "idle": 0, "connections": [SLOW]}
        self.fake.answers["GET /connections"] = [(200, answer)]
        printed = self.printed("connections", "--state", "busy")
        self.assertIn("GET /slow", printed)
        self.assertIn("1 of 1 shown; all: 1 busy, 0 idle; process 100\n", printed)
        self.assertEqual(self.fake.asked[-1], ("GET /connections", {"state": "busy"}, None))
        self.assertEqual(json.loads(self.printed("connections", "-j")), answer)

    def test_watch(self) -> None:
        """
        A file gets lines.
        """
        over = self.begin("watch")
        self.fake.tell("status", CLEAN)
        self.fake.answers["GET /status"] = [(200, CLEAN)]
        self.fake.tell("end", {})
        self.assertEqual(over, [DONE])
        self.assertIn("terminated: 2 idle", self.out.getvalue())

    def test_watchLive(self) -> None:
        """
        A terminal gets a picture.
        """
        if rich is None:
            self.skipTest("rich is not installed")
        self.onTerminal()
        made: list[Any] = []
        begin = Screen.__init__

        def remember(screen: Any, *arguments: Any) -> None:
            made.append(screen)
            begin(screen, *arguments)

        self.patch(Screen, "__init__", remember)
        self.begin("watch")
        self.working.cancel()
        self.assertEqual(len(made), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def onTerminal(self) -> None:
        self.out = Terminal()
        terminal = mock.patch.dict(os.environ, {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"})
        terminal.start()
        self.addCleanup(terminal.stop)


class TellingTests(CommandTestCase):
    """
    What changes something.
    """

    def test_each(self) -> None:
        """
        Each is sent as it is, and how the server stands then is shown in a line.
        """
        line = "draining: 1 busy, 12 idle, 24.0 s left: GET /slow from 127.0.0.1:4242, 2.5 s\n"
        for name in ("drain", "terminate", "abort", "suspend", "resume", "upgrade"):
            self.fake.answers[f"POST /{name}"] = [(202, DRAINING)]
            self.assertEqual(self.printed(name), line)
            self.assertEqual(self.fake.asked[-1], (f"POST /{name}", {}, {}))
            self.assertEqual(json.loads(self.printed(name, "--json")), DRAINING)

    def test_body(self) -> None:
        """
        What was typed is sent with it.
        """
        self.fake.answers["POST /drain"] = [(202, STATUS)]
        self.printed("drain", "--id", "7", "--grace", "5")
        self.assertEqual(self.fake.asked[-1][2], {"ids": ["7"], "gracePeriod": 5.0})

    def test_refused(self) -> None:
        """
        A refusal is one.
        """
        self.fake.answers["POST /resume"] = [(409, {"error": "it is serving"})]
        [failure] = self.begin("resume")
        self.assertIsInstance(failure.value, Refused)

    def test_optionNamed(self) -> None:
        """
        Where the server cannot mean what was typed, it is named as it was typed.
        """
        for path, words, said, shown in (
            ("POST /drain", ("drain", "--peer", "x"), "peer: 'x' given", "--peer: 'x' given (400)"),
            ("POST /drain", ("drain", "--id", "x"), "ids: 'x' given", "--id: 'x' given (400)"),
            ("GET /connections", ("connections",), "state: 'x'", "--state: 'x' (400)"),
            ("POST /drain", ("drain",), "body: no JSON", "body: no JSON (400)"),
            ("POST /drain", ("drain",), "peer", "peer (400)"),
        ):
            self.fake.answers[path] = [(400, {"error": said})]
            [failure] = self.begin(*words)
            self.assertEqual(str(failure.value), shown)

    def test_process(self) -> None:
        """
        Who has looked at a process may say which one that was.
        """
        self.fake.answers["POST /drain"] = [(202, STATUS)]
        self.printed("drain", "--id", "7", "--pid", "100")
        self.assertEqual(self.fake.asked[-1][2], {"pid": 100, "ids": ["7"]})
        self.fake.answers["POST /suspend"] = [(409, {"error": "process 101 answers here now"})]
        [failure] = self.begin("suspend", "--pid", "100")
        self.assertEqual(str(failure.value), "process 101 answers here now (409)")


class WaitingTests(CommandTestCase):
    """
    The end of a server, waited for.
    """

    def setUp(self) -> None:
        super().setUp()
        self.fake.answers["POST /terminate"] = [(202, DRAINING)]
        self.fake.answers["POST /abort"] = [(202, DRAINING)]

    def test_askedInTime(self) -> None:
        """
        Nothing is asked for before whatever comes of it would be heard.
        """
        over = self.begin("terminate", "--wait", "--grace", "3")
        self.assertEqual(self.fake.names(), ["GET /events"])
        self.fake.tell("status", STATUS)
        self.assertEqual(
            self.fake.asked[-1], ("POST /terminate", {}, {"pid": 100, "gracePeriod": 3.0})
        )
        self.assertEqual((over, self.out.getvalue()), ([], ""))

    def test_graceful(self) -> None:
        """
        The report is printed at the very end.
        """
        over = self.begin("terminate", "--wait")
        self.fake.tell("status", STATUS)
        self.fake.tell("status", DRAINING)
        self.fake.tell("status", CLEAN)
        self.assertEqual(over, [])
        self.fake.tell("end", {})
        self.assertEqual(over, [DONE])
        self.assertEqual(
            self.out.getvalue(), "terminated: 2 idle, 2 finished, 0 left, 0 aborted after 3.2 s\n"
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stragglers(self) -> None:
        """
        If somebody was aborted, the exit status says so.
        """
        for words in (("terminate", "--wait"), ("abort", "-w", "--json")):
            self.out = io.StringIO()
            over = self.begin(*words)
            self.fake.tell("status", STATUS)
            self.fake.tell("status", CUT_OFF)
            # A stream that breaks off has said everything by then.
            self.fake.lose()
            self.assertEqual(over, [STRAGGLERS])
        self.assertEqual(json.loads(self.out.getvalue()), CUT_OFF)

    def test_lost(self) -> None:
        """
        A server that is lost before its report has not ended as it should.
        """
        over = self.begin("terminate", "--wait")
        self.fake.tell("status", STATUS)
        self.fake.lose()
        [failure] = over
        self.assertEqual(str(failure.value), "the server was lost before its report")
        self.assertIsInstance(failure.value, Unreachable)

    def test_lostAtOnce(self) -> None:
        """
        So it is if it never said a word.
        """
        over = self.begin("terminate", "--wait")
        self.fake.lose()
        self.assertEqual(self.fake.names(), ["GET /events", "POST /terminate"])
        [failure] = over
        self.assertIsInstance(failure.value, Unreachable)

    def test_noStream(self) -> None:
        """
        Where nothing can be heard nothing is asked for.
        """
        self.fake.answers["GET /events"] = [(503, {"error": "enough"})]
        [failure] = self.begin("terminate", "--wait")
        self.assertIsInstance(failure.value, Refused)
        self.assertEqual(self.fake.names(), ["GET /events"])

    def test_refused(self) -> None:
        """
        If the server will not, nothing is waited for.
        """
        self.fake.answers["POST /terminate"] = [(403, {"error": "no"})]
        over = self.begin("terminate", "--wait")
        self.fake.tell("status", STATUS)
        [failure] = over
        self.assertIsInstance(failure.value, Refused)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_endedOverIt(self) -> None:
        """
        A server may end before it has answered; its report says all.
        """
        self.fake.answers["POST /abort"] = [(200, None)]
        over = self.begin("abort", "--wait")
        self.fake.tell("status", STATUS)
        self.fake.tell("status", CLEAN)
        self.fake.lose()
        self.clock.advance(10)
        self.assertEqual(over, [DONE])

    def test_noAnswer(self) -> None:
        """
        Without a report it has not answered.
        """
        self.fake.answers["POST /abort"] = [(200, b"")]
        over = self.begin("abort", "--wait")
        self.fake.tell("status", STATUS)
        [failure] = over
        self.assertIsInstance(failure.value, Unreachable)


class RestartTests(CommandTestCase):
    """
    Workers that are replaced.
    """

    def setUp(self) -> None:
        super().setUp()
        self.fake.answers["GET /status"] = [(200, STATUS)]

    def begins(self, stands: str, *words: str) -> list[Any]:
        self.fake.answers["POST /restart"] = [(202, {**STATUS, "restart": stands})]
        return self.begin("restart", *words)

    def after(self, *stands: str) -> None:
        self.fake.answers["GET /status"] = [(200, {**STATUS, "restart": each}) for each in stands]
        self.clock.pump([PAUSE] * len(stands))

    def test_told(self) -> None:
        """
        Without waiting, one line says how the server stands.
        """
        self.assertEqual(self.begins("under way"), [DONE])
        self.assertEqual(self.fake.names(), ["POST /restart"])

    def test_waits(self) -> None:
        """
        It comes back when all are new; the process that was looked at is meant.
        """
        over = self.begins("under way", "--wait")
        self.after("under way", "under way")
        self.assertEqual(over, [])
        self.after("done")
        self.assertEqual(over, [DONE])
        self.assertEqual(self.out.getvalue(), "all workers are replaced\n")
        self.assertIn(("POST /restart", {}, {"pid": 100}), self.fake.asked)

    def test_json(self) -> None:
        """
        Programs get how it stands.
        """
        self.begins("done", "--wait", "--json")
        self.assertEqual(json.loads(self.out.getvalue()), {**STATUS, "restart": "done"})

    def test_failed(self) -> None:
        """
        A worker that could not be replaced is said.
        """
        over = self.begins("under way", "--wait")
        self.after("failed: it exited with 1")
        self.assertEqual(str(over[0].value), "restart failed: it exited with 1")

    def test_noWorkers(self) -> None:
        """
        Where there are none, it is said what replaces the server.
        """
        for words in ((), ("--wait",)):
            self.fake.answers["POST /restart"] = [(404, {"error": "there is nothing"})]
            over = self.begin("restart", *words)
            self.assertEqual(str(over[0].value), NO_WORKERS)

    def test_refused(self) -> None:
        """
        Any other refusal is told as it is, and that of a server that is not ours.
        """
        self.fake.answers["POST /restart"] = [(409, {"error": "under way"})]
        self.assertEqual(str(self.begin("restart")[0].value), "under way (409)")
        self.fake.answers["POST /restart"] = [(404, {"error": "there is nothing"})]
        self.fake.answers["GET /status"] = [(404, {"error": "what?"})]
        self.assertEqual(str(self.begin("restart")[0].value), "what? (404)")

    def test_within(self) -> None:
        """
        It does not wait for ever.
        """
        over = self.begins("under way", "--wait", "--within", "1")
        self.after(*["under way"] * (int(1 / PAUSE) + 1))
        self.assertEqual(str(over[0].value), "not all are replaced after 1 s")


class UpgradeTests(CommandTestCase):
    """
    A successor, waited for.
    """

    def setUp(self) -> None:
        super().setUp()
        self.fake.answers["POST /upgrade"] = [(202, STATUS)]
        self.fake.answers["GET /status"] = [(200, STATUS)]

    def begins(self, *words: str) -> list[Any]:
        over = self.begin("upgrade", "--wait", *words)
        self.assertEqual(self.fake.names(), ["GET /status", "POST /upgrade"])
        return over

    def after(self, *answers: tuple[int, Any]) -> None:
        self.fake.answers["GET /status"] = list(answers)
        self.clock.pump([PAUSE] * len(answers))

    def test_serves(self) -> None:
        """
        It is there when it serves: another process, and not only a starting one.
        """
        over = self.begins()
        self.after((200, STATUS), (200, b""), (200, {**NEXT, "phase": "starting"}))
        self.assertEqual(over, [])
        self.after((200, NEXT))
        self.assertEqual(over, [DONE])
        self.assertEqual(self.out.getvalue(), "process 101 serves instead of 100\n")
        # Should it not be the one of which was asked before, it is left alone.
        self.assertIn(("POST /upgrade", {}, {"pid": 100}), self.fake.asked)

    def test_json(self) -> None:
        """
        Programs get how it stands.
        """
        self.begins("--json")
        self.after((200, NEXT))
        self.assertEqual(json.loads(self.out.getvalue()), NEXT)

    def test_failed(self) -> None:
        """
        If there will be none, that is said at once.
        """
        over = self.begins()
        self.after((200, {**STATUS, "upgrade": "failed: it exited with 1"}))
        [failure] = over
        self.assertIsInstance(failure.value, Refused)
        line = "upgrade failed: it exited with 1; process 100 goes on"
        self.assertEqual(str(failure.value), line)

    def test_late(self) -> None:
        """
        It is not waited for for ever.
        """
        over = self.begins("--within", "2")
        self.after(*[(200, STATUS)] * 3)
        self.assertEqual(over, [])
        self.after((200, STATUS))
        [failure] = over
        self.assertEqual(str(failure.value), "no successor serves after 2 s")

    def test_refused(self) -> None:
        """
        A refusal is one.
        """
        self.fake.answers["POST /upgrade"] = [(409, {"error": "cannot upgrade while draining"})]
        [failure] = self.begin("upgrade", "--wait")
        self.assertEqual(str(failure.value), "cannot upgrade while draining (409)")


class AddressTests(SynchronousTestCase):
    """
    What stands before a reason.
    """

    def test_path(self) -> None:
        """
        A UNIX socket is named by its path.
        """
        fake, clock = FakeDoor(), Clock()
        fake.answers["GET /status"] = [(200, b"")]
        door = Door(clock, addressOf("/run/site.sock"), fake.treq)
        [failure] = resultOf(Deferred.fromCoroutine(door.get("/status")))
        self.assertEqual(str(failure.value), "/run/site.sock: whoever answers is no admin door")
