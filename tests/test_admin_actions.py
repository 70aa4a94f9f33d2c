"""
What may be asked for at the admin door.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, ReactorNotRunning
from twisted.internet.interfaces import IReactorCore
from zope.interface import directlyProvides, providedBy

from terminable.admin import actions
from terminable.admin.actions import ACTIONS
from terminable.errors import HandoverFailed, InvalidOption, UpgradeRefused
from terminable.policy.phases import Phase
from tests.adminasking import AdminTestCase, question


class EndTests(AdminTestCase):
    """
    The end, politely or at once.
    """

    def test_terminate(self) -> None:
        """
        The stop begins at once, with the time that was given, and the process is to leave.
        """
        self.listen()
        self.connect(busy=True, delay=None)
        answer = self.post("/terminate", {"gracePeriod": 3})
        self.assertEqual((answer.code, answer.json["phase"]), (202, "draining"))
        self.assertEqual((answer.json["left"], answer.json["busy"]), (3.0, 1))
        self.assertEqual(self.left, ["left"])

    def test_own(self) -> None:
        """
        Without a time, or with none given, it is the server's own.
        """
        for values in (None, {}, {"gracePeriod": None}):
            self.setUp()
            self.listen()
            self.connect(busy=True, delay=None)
            self.assertEqual(self.post("/terminate", values).json["left"], 10.0)

    def test_again(self) -> None:
        """
        A second time can only bring the end forward.
        """
        self.listen()
        self.connect(busy=True, delay=None)
        self.post("/terminate")
        self.assertEqual(self.post("/terminate", {"gracePeriod": 60}).json["left"], 10.0)
        self.assertEqual(self.post("/terminate", {"gracePeriod": 0.5}).json["left"], 0.5)

    def test_noTime(self) -> None:
        """
        What is no time is refused in the words of the option, and nothing happens.
        """
        self.listen()
        for value in (-1, "5", True, [], 10**400, {}):
            answer = self.post("/terminate", {"gracePeriod": value})
            self.assertEqual(answer.code, 400, value)
            self.assertTrue(answer.json["error"].startswith("gracePeriod: "), value)
        self.assertIs(self.terminator.phase, Phase.SERVING)
        self.assertEqual(self.left, [])

    def test_abort(self) -> None:
        """
        At once is now.
        """
        self.listen()
        client = self.connect(busy=True)
        answer = self.post("/abort", {})
        self.assertEqual((answer.code, answer.json["phase"]), (202, "aborting"))
        self.clock.advance(0.1)
        self.assertTrue(client.over)
        self.assertEqual(self.left, ["left"])

    def test_stoppedAlready(self) -> None:
        """
        A reactor that somebody else has stopped in the meantime is no trouble.
        """

        def leave() -> None:
            raise ReactorNotRunning

        self.watched.leave = leave
        self.assertEqual(self.post("/abort").code, 202)

    def test_unknown(self) -> None:
        """
        What nobody knows is not passed over: it might have been meant.
        """
        for path in ("/terminate", "/abort", "/suspend", "/resume", "/drain", "/upgrade"):
            answer = self.post(path, {"gracePerod": 3})
            self.assertEqual(answer.code, 400)
            self.assertIn("'gracePerod' given, expected ", answer.json["error"])
        self.assertEqual(self.left, [])


class PortTests(AdminTestCase):
    """
    Ports that go away and come back.
    """

    def test_suspend(self) -> None:
        """
        The answer comes when they have gone, and when they are back.
        """
        self.listen()
        self.connect()
        answer = self.post("/suspend")
        self.assertEqual((answer.code, answer.json["phase"]), (200, "suspended"))
        self.assertEqual(answer.json["idle"], 1)
        answer = self.post("/resume")
        self.assertEqual((answer.code, answer.json["phase"]), (200, "serving"))

    def test_waits(self) -> None:
        """
        That may take a moment.
        """
        self.listen()
        suspending: Deferred[None] = Deferred()
        self.terminator.suspend = lambda: suspending  # type: ignore[method-assign]
        talk = self.talk()
        talk.say(question("/suspend", "POST"))
        self.assertEqual(talk.heard(), b"")
        suspending.callback(None)
        self.assertIn(b"HTTP/1.1 200 OK", talk.heard())

    def test_notServing(self) -> None:
        """
        During a stop there is nothing to suspend, and without that nothing to resume.
        """
        self.listen()
        answer = self.post("/resume")
        self.assertEqual(
            (answer.code, answer.json), (409, {"error": "cannot resume while serving"})
        )
        self.connect(busy=True, delay=None)
        self.terminator.terminate()
        answer = self.post("/suspend")
        expected = {"error": "cannot suspend while draining"}
        self.assertEqual((answer.code, answer.json), (409, expected))

    def test_taken(self) -> None:
        """
        Somebody else may have the port by now.
        """
        self.listen()
        self.post("/suspend")

        def resume() -> None:
            raise CannotListenError("127.0.0.1", 80, OSError("in use"))

        self.terminator.resume = resume  # type: ignore[method-assign]
        answer = self.post("/resume")
        self.assertEqual(answer.code, 409)
        self.assertIn("in use", answer.json["error"])


class DrainTests(AdminTestCase):
    """
    Some connections.
    """

    def setUp(self) -> None:
        super().setUp()
        self.listen()
        self.clients = [self.connect(port) for port in (1, 2, 3, 4)]

    def lost(self) -> list[bool]:
        self.clock.advance(1.5)
        return [client.over for client in self.clients]

    def test_percent(self) -> None:
        """
        A part of them.
        """
        answer = self.post("/drain", {"percent": 50})
        self.assertEqual((answer.code, answer.json["phase"]), (202, "serving"))
        self.assertEqual(self.lost(), [True, False, True, False])

    def test_all(self) -> None:
        """
        Without a condition, all.
        """
        self.assertEqual(self.post("/drain").code, 202)
        self.assertEqual(self.lost(), [True] * 4)

    def test_age(self) -> None:
        """
        Those who have been there for long.
        """
        self.clock.advance(5.0)
        self.clients.append(self.connect(5))
        self.post("/drain", {"olderThan": 5, "gracePeriod": 2.0, "peer": "127.0.0.0/8", "port": 80})
        self.assertEqual(self.lost(), [True] * 4 + [False])

    def test_names(self) -> None:
        """
        Those that somebody has seen, by their names.
        """
        told = self.get("/connections").json["connections"]
        names = {each["peer"]: each["id"] for each in told}
        wanted = [names["127.0.0.1:2"], names["127.0.0.1:4"], "777"]
        self.post("/drain", {"ids": wanted})
        self.assertEqual(self.lost(), [False, True, False, True])

    def test_bad(self) -> None:
        """
        What cannot be meant is refused, and nobody is drained.
        """
        for values in (
            {"percent": 101},
            {"percent": "50"},
            {"olderThan": -1},
            {"olderThan": "5"},
            {"peer": "somebody"},
            {"peer": 1},
            {"peer": []},
            {"port": 1.5},
            {"port": True},
            {"port": []},
            {"ids": "1"},
            {"ids": [1]},
            {"ids": [None]},
            {"ids": {"1": 1}},
            {"ids": ["1\0"]},
            {"ids": [""]},
            {"ids": ["1" * 101]},
            {"port": 99999999999},
            {"port": 0},
            {"port": -1},
            {"port": 65536},
            {"port": "65536"},
            {"port": "99999999999"},
            {"port": "\0abstract"},
            {"port": "/run/\0"},
            {"port": "\ud800"},
            {"port": ""},
            {"port": "/" * 108},
            {"peer": "10.0.0.1\0"},
            {"percent": True},
            {"percent": -1},
            {"percent": 10**400},
            {"olderThan": 10**400},
            {"olderThan": True},
            {"gracePeriod": -1},
            {"gracePeriod": "1"},
            {"select": "all"},
            {"idleGrace": 1},
        ):
            answer = self.post("/drain", values)
            self.assertEqual(answer.code, 400, values)
            [name] = values
            self.assertRegex(answer.json["error"], rf"\A'?{name}\b.* given, expected .*\Z")
            self.assertLess(len(answer.body), 400)
        self.assertEqual(self.lost(), [False] * 4)

    def test_noNumber(self) -> None:
        """
        What JSON does not know is no JSON; and of two values nobody knows which one is meant.
        """
        bodies = (b'{"percent": NaN}', b'{"percent": -Infinity}', b'{"port": 1, "port": 80}')
        for body in (*bodies, b'{"percent": 1e999}', b'{"gracePeriod": 1e999}'):
            talk = self.talk()
            talk.say(question("/drain", "POST", body, Content_Type="application/json"))
            self.assertIn(b" 400 ", talk.heard())
        self.assertEqual(self.lost(), [False] * 4)

    def test_path(self) -> None:
        """
        A port may be a UNIX socket's path; a number may be spelled.
        """
        self.assertEqual(self.post("/drain", {"port": "/run/other.sock"}).code, 202)
        self.assertEqual(self.lost(), [False] * 4)
        self.assertEqual(self.post("/drain", {"port": "80"}).code, 202)
        self.assertEqual(self.lost(), [True] * 4)

    def test_notServing(self) -> None:
        """
        During a stop all are being drained.
        """
        self.terminator.terminate()
        answer = self.post("/drain", {"percent": 50})
        self.assertEqual(answer.code, 409)
        self.assertIn("cannot drain by choice", answer.json["error"])


class ProcessTests(AdminTestCase):
    """
    Who means a certain process.
    """

    def test_this(self) -> None:
        """
        If that is this one, it is as if nothing had been said.
        """
        self.listen()
        pid = self.get("/status").json["pid"]
        self.connect()
        [row] = self.get("/connections").json["connections"]
        self.assertEqual((pid, row["pid"]), (os.getpid(), os.getpid()))
        self.assertEqual(self.get("/connections").json["pid"], pid)
        self.assertEqual(self.post("/terminate", {"pid": pid}).code, 202)
        self.assertEqual(self.left, ["left"])

    def test_another(self) -> None:
        """
        If another one is meant, nothing is done, whatever was asked for.
        """
        self.listen()
        for path in ACTIONS:
            answer = self.post(path.decode(), {"pid": os.getpid() + 1})
            self.assertEqual(answer.code, 409)
            expected = f"process {os.getpid()} answers here now, not {os.getpid() + 1}"
            self.assertEqual(answer.json["error"], f"{expected}; nothing was done")
        self.assertEqual((self.terminator.phase, self.left), (Phase.SERVING, []))

    def test_none(self) -> None:
        """
        What is no process is refused; null is nothing.
        """
        self.listen()
        for pid in (0, -1, True, "1", 1.5, [], 2**31):
            answer = self.post("/suspend", {"pid": pid})
            self.assertEqual(answer.code, 400)
            self.assertRegex(answer.json["error"], r"\Apid: .* expected the number of a process")
        self.assertEqual(self.post("/suspend", {"pid": None}).code, 200)


class Upgrading:
    """
    Stands in for what has another process follow.
    """

    def __init__(self) -> None:
        self.added: list[Any] = []
        self.result: Deferred[int] = Deferred()

    def add(self, terminator: Any) -> None:
        self.added.append(terminator)

    def upgrade(self) -> Deferred[int]:
        return self.result


class UpgradeTests(AdminTestCase):
    """
    A successor.
    """

    def setUp(self) -> None:
        super().setUp()
        self.listen()
        self.upgrading = Upgrading()
        self.patch(actions, "upgradeOf", lambda reactor: self.upgrading)
        directlyProvides(self.clock, IReactorCore, providedBy(self.clock))

    def test_begun(self) -> None:
        """
        The answer comes when it has begun; nothing but our own command can be started.
        """
        self.assertEqual(self.post("/upgrade", {"command": ["sh"]}).code, 400)
        self.assertEqual(self.upgrading.added, [])
        answer = self.post("/upgrade")
        self.assertEqual(answer.code, 202)
        self.assertEqual(self.upgrading.added, [self.terminator])
        self.upgrading.result.callback(7)

    def test_refused(self) -> None:
        """
        One that cannot begin is refused.
        """
        self.upgrading.result.errback(UpgradeRefused("an upgrade is under way already"))
        answer = self.post("/upgrade")
        expected = {"error": "an upgrade is under way already"}
        self.assertEqual((answer.code, answer.json), (409, expected))

    def test_noProgram(self) -> None:
        """
        So is one for which there is no program: nobody at the door can help that.
        """
        self.upgrading.result.errback(InvalidOption("command", "x", "a program"))
        self.assertEqual(self.post("/upgrade").code, 409)

    def test_broken(self) -> None:
        """
        What nobody has foreseen is logged.
        """
        self.upgrading.result.errback(ZeroDivisionError())
        self.assertEqual(self.post("/upgrade").code, 500)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_failed(self) -> None:
        """
        Why one fails later is told in the status.
        """
        self.post("/upgrade")
        self.upgrading.result.errback(HandoverFailed("it ended\nbadly"))
        self.assertEqual(self.get("/status").json["upgrade"], "failed: it ended badly")

    def test_noProcess(self) -> None:
        """
        A reactor without a run has no process that could be followed.
        """
        directlyProvides(self.clock, *[])
        self.assertEqual(self.post("/upgrade").code, 409)
