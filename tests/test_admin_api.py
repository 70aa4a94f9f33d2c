"""
What is answered at the admin door.
"""

from __future__ import annotations

import os

from twisted.internet.defer import Deferred, succeed

from terminable.admin import visitors
from terminable.admin.guard import Guard
from terminable.handover.following import takeoverOf
from tests.adminasking import TOKEN, AdminTestCase, question


class ProbeTests(AdminTestCase):
    """
    Live, ready, started.
    """

    def test_starting(self) -> None:
        """
        Before a port is open, the process lives, and that is all.
        """
        live = self.get("/live")
        self.assertEqual((live.code, live.json), (200, {"status": "ok", "checks": {}}))
        ready = self.get("/ready")
        self.assertEqual((ready.code, ready.json), (503, {"status": "starting", "checks": {}}))
        startup = self.get("/startup")
        self.assertEqual((startup.code, startup.json), (503, {"status": "starting"}))

    def test_serving(self) -> None:
        """
        With an open port, all is well.
        """
        self.listen()
        self.assertEqual(self.get("/ready").json, {"status": "ready", "checks": {}})
        self.assertEqual(self.get("/ready").code, 200)
        self.assertEqual(self.get("/startup").json, {"status": "started"})
        self.assertEqual(self.get("/startup").code, 200)

    def test_stopping(self) -> None:
        """
        From the first moment of a stop, whatever phase that is in, this server is not ready,
        though it lives and has started.
        """
        self.listen()
        self.connect(busy=True, delay=None)
        self.terminator.terminate()
        seen = [self.get("/ready").json["status"]]
        for _ in range(12):
            self.clock.advance(1.0)
            answer = self.get("/ready")
            self.assertEqual(answer.code, 503)
            seen.append(answer.json["status"])
            self.assertEqual(self.get("/live").code, 200)
            self.assertEqual(self.get("/startup").code, 200)
        self.assertEqual(list(dict.fromkeys(seen)), ["draining", "aborting", "terminated"])

    def test_quiescing(self) -> None:
        """
        While the ports are still open, too.
        """
        self.listen()
        self.terminator.schedule = self.terminator.schedule.changed(quiesce=5.0)
        self.terminator._now.schedule = self.terminator.schedule
        self.terminator.terminate()
        self.assertEqual(self.get("/ready").json["status"], "quiescing")

    def test_startedByStop(self) -> None:
        """
        A server that had clients has started, even if nobody had asked before its stop.
        """
        self.listen()
        self.connect()
        self.terminator.abort()
        self.assertEqual(self.get("/startup").code, 200)

    def test_notStartedByStop(self) -> None:
        """
        One that was told to stop before it listened has not.
        """
        self.terminator.terminate()
        self.assertEqual(self.get("/startup").code, 503)
        self.assertEqual(self.get("/ready").json["status"], "terminated")

    def test_suspended(self) -> None:
        """
        A server whose ports are away is not ready.
        """
        self.listen()
        self.terminator.suspend()
        self.assertEqual(self.get("/ready").json["status"], "suspended")

    def test_handedOver(self) -> None:
        """
        When a successor has the ports, this process is about to drain.
        """
        self.listen()
        takeover = takeoverOf(self.clock)
        takeover.serves(os.getpid() + 1)
        self.assertEqual(self.get("/ready").json["status"], "draining")

    def test_waiting(self) -> None:
        """
        Before the process that this one is to follow has let go, it is starting.
        """
        self.listen()
        takeoverOf(self.clock).waiting = True
        self.assertEqual(self.get("/ready").json["status"], "starting")

    def test_checks(self) -> None:
        """
        A check that fails makes the server not ready, but only those for that purpose make it
        not live.
        """
        self.listen()
        self.health.addCheck("disk", lambda: False)
        self.health.addCheck("loop", lambda: succeed(True), live=True)
        ready = self.get("/ready")
        disk, loop = {"ok": False, "detail": "it says no"}, {"ok": True, "detail": ""}
        self.assertEqual(ready.code, 503)
        self.assertEqual(ready.json, {"status": "failing", "checks": {"disk": disk, "loop": loop}})
        self.assertEqual(self.get("/live").json, {"status": "ok", "checks": {"loop": loop}})
        self.health.addCheck("worse", lambda: 1 / 0, live=True)
        live = self.get("/live")
        self.assertEqual((live.code, live.json["status"]), (503, "failing"))
        self.assertIn("ZeroDivisionError", live.json["checks"]["worse"]["detail"])

    def test_stopDuringCheck(self) -> None:
        """
        A stop that begins while a check is at work is what the answer tells.
        """
        self.listen()
        asked: Deferred[bool] = Deferred()
        self.health.addCheck("slow", lambda: asked)
        talk = self.talk()
        talk.say(question("/ready"))
        self.assertEqual(talk.heard(), b"")
        self.connect(busy=True, delay=None)
        self.terminator.terminate()
        asked.callback(True)
        self.assertIn(b'"status": "draining"', talk.heard())


class SecretTests(AdminTestCase):
    """
    What those are told who do not know the token.
    """

    guard = Guard(TOKEN)

    def test_details(self) -> None:
        """
        That something is wrong, but not what.
        """
        self.listen()
        self.health.addCheck("disk", lambda: 1 / 0)
        told = self.get("/ready").json["checks"]["disk"]
        self.assertEqual(told, {"ok": False, "detail": ""})
        told = self.get("/ready", Authorization=f"Bearer {TOKEN.decode()}").json["checks"]["disk"]
        self.assertIn("ZeroDivisionError", told["detail"])

    def test_closed(self) -> None:
        """
        Everything else wants it, also what is not there.
        """
        for path in ("/status", "/connections", "/metrics", "/events", "/openapi.json", "/nope"):
            answer = self.get(path)
            self.assertEqual((answer.code, answer.headers["www-authenticate"]), (401, "Bearer"))
        for path in ("/terminate", "/abort", "/suspend", "/resume", "/drain", "/upgrade"):
            self.assertEqual(self.post(path, {}).code, 401)
        self.assertEqual(self.left, [])

    def test_open(self) -> None:
        """
        The page asks its reader for the token, so it comes without.
        """
        self.assertEqual(self.get("/").code, 200)

    def test_wrong(self) -> None:
        """
        Another token, another scheme, or half of it will not do.
        """
        for given in (
            "Bearer 0123456789abcdeg",
            "Basic 0123456789abcdef",
            "Bearer",
            "Bearer 01234",
        ):
            self.assertEqual(self.get("/status", Authorization=given).code, 401)
        twice = question("/status").replace(
            b"\r\n\r\n", b"\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n"
        )
        self.assertEqual(self.talk().ask(twice).code, 400)


class RouteTests(AdminTestCase):
    """
    Paths and methods.
    """

    def test_unknown(self) -> None:
        """
        What is not exactly one of the paths is not there.
        """
        for path in (
            "/nope",
            "/status/",
            "//status",
            "/./status",
            "/../status",
            "/page/../status",
            "/%73tatus",
            "/STATUS",
            "/..%2f..%2fetc%2fpasswd",
            "/page.css/../../watched.py",
            "/index.html",
            "/status;a",
            "http://localhost/status",
            "*",
        ):
            self.assertEqual(self.get(path).code, 404, path)

    def test_methods(self) -> None:
        """
        Each path has methods of its own, and names them.
        """
        answer = self.post("/status", {})
        self.assertEqual((answer.code, answer.headers["allow"]), (405, "GET, HEAD"))
        answer = self.get("/terminate")
        self.assertEqual((answer.code, answer.headers["allow"]), (405, "POST"))
        for method in ("OPTIONS", "PUT", "TRACE", "get"):
            self.assertEqual(self.talk().ask(question("/status", method)).code, 405)

    def test_head(self) -> None:
        """
        HEAD has the head of the answer and nothing else, an event stream's too.
        """
        for path in ("/status", "/events", "/live"):
            talk = self.talk()
            talk.say(question(path, "HEAD"))
            head, _, body = talk.heard().partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"HTTP/1.1 200 "), head)
            self.assertEqual(body, b"")
        self.assertEqual(len(self.api.stream), 0)

    def test_headers(self) -> None:
        """
        Every answer says that it is not to be kept, guessed at, framed, or mixed with others'.
        """
        for answer in (self.get("/status"), self.get("/nope"), self.get("/")):
            self.assertEqual(answer.headers["cache-control"], "no-store")
            self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
            self.assertEqual(answer.headers["referrer-policy"], "no-referrer")
            policy = answer.headers["content-security-policy"]
            self.assertIn("default-src 'none'", policy)
            self.assertIn("frame-ancestors 'none'", policy)
            self.assertNotIn("unsafe", policy)

    def test_noAccessLog(self) -> None:
        """
        Nothing is opened or written for those who ask every second.
        """
        self.assertEqual(self.site.logPrefix(), "Admin door")
        self.assertEqual(self.site.acceptableProtocols(), [b"http/1.1"])
        self.site.doStart()
        self.get("/live")
        self.site.doStop()
        self.clock.advance(visitors.SILENT)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_keepAlive(self) -> None:
        """
        One question after the other may be asked.
        """
        talk = self.talk()
        self.assertEqual(talk.ask(question("/live")).code, 200)
        self.assertEqual(talk.ask(question("/nope")).code, 404)
        self.assertEqual(talk.ask(question("/live")).code, 200)
        self.assertTrue(talk.transport.connected)

    def test_leaving(self) -> None:
        """
        When somebody else has the door, the next question is for him.
        """
        self.site.leaving = True
        talk = self.talk()
        self.assertEqual(talk.ask(question("/live")).headers["connection"], "close")
        self.assertFalse(talk.transport.connected)

    def test_failing(self) -> None:
        """
        What goes wrong here is logged, and said in general.
        """
        self.watched.fresh = lambda: 1 / 0  # type: ignore[assignment,return-value]
        answer = self.get("/status")
        self.assertEqual(answer.code, 500)
        self.assertEqual(answer.json, {"error": "something is wrong here; see the log"})
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
