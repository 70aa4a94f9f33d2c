"""
The status page, in a browser.
"""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path
from typing import Any

from tests.live.accessible import axe, axeFaults, faults
from tests.live.clients import HOST, Address, Peer
from tests.live.devtools import Page
from tests.live.fakeadmin import CONNECTION, FakeAdmin
from tests.live.processes import LiveTestCase, Server, eventually, freePort
from tests.live.programs import program

#: Those who finish when they are told to, and those who do not.
FINISHING, STRAGGLING = 195, 5

#: How many finish at the same time.
GROUP = 65

STRAGGLER = "GET /later?seconds=600"

TOKEN = "a token of many letters"


class PageTestCase(LiveTestCase):
    """
    Opens status pages.

    @cvar page: in a browser that all tests of a class share.
    """

    page: Page

    @classmethod
    def setUpClass(cls) -> None:
        directory = tempfile.TemporaryDirectory(prefix="live-", ignore_cleanup_errors=True)
        cls.addClassCleanup(directory.cleanup)
        cls.page = Page(program("chromium", "chromium"), Path(directory.name))
        cls.addClassCleanup(cls.page.cleanUp)

    def setUp(self) -> None:
        self.page.looks(1280, 900)
        self.page.complaints.clear()

    def watched(self, *arguments: str, port: int = 0) -> tuple[Server, Address, str]:
        """
        Start a server with an admin door.

        @param port: that of the door.
        @return: the server, where it serves, and where its status page is.
        """
        port = port or freePort()
        door = f"tcp:{port}:interface={HOST}"
        server, address = self.serve("--admin", door, *arguments)
        return server, address, f"http://{HOST}:{port}/"

    def ask(self, address: Address, target: str, **options: Any) -> Peer:
        """
        Somebody who asks for something, and waits.
        """
        peer = address.connect()
        self.addCleanup(peer.close)
        peer.ask(target, **options)
        return peer

    def assertPhase(self, page: Page, phase: str) -> None:
        """
        The page says where the server stands.
        """
        page.awaits(f"document.querySelector('#phase').innerText === '{phase}'")

    def assertNoComplaints(self, page: Page) -> None:
        """
        Nothing has failed, and no policy was broken; that a server has gone is no failure.
        """
        own = [each for each in page.complaints if "ERR_CONNECTION_REFUSED" not in each]
        self.assertEqual(own, [])


class DrainTests(PageTestCase):
    """
    A drain of two hundred busy requests.
    """

    def setUp(self) -> None:
        super().setUp()
        self.server, address, url = self.watched("--grace", "90")
        upload = {"method": "POST", "headers": "Content-Length: 1\r\n"}
        self.finishing = [self.ask(address, "/upload", **upload) for _ in range(FINISHING)]
        for _ in range(STRAGGLING):
            self.ask(address, "/later?seconds=600")
        self.page.open(url)

    def finish(self) -> list[int]:
        """
        Have them finish, group after group.

        @return: the counts that the page has shown meanwhile, without repetitions.
        """
        seen = [FINISHING + STRAGGLING]
        for start in range(0, FINISHING, GROUP):
            for peer in self.finishing[start : start + GROUP]:
                peer.send(b"x")
            self.page.awaits(f"document.querySelector('#busy').innerText < {seen[-1]}")
            while (left := int(self.page.text("#busy"))) > seen[0] - start - GROUP:
                seen += [left] if left != seen[-1] else []
            seen.append(left)
        return seen

    def test_drain(self) -> None:
        """
        The counts fall live, the table names the stragglers, a press on a button ends them,
        and the page says what the stop came to, and that the server has gone.
        """
        page = self.page
        page.awaits(f"document.querySelector('#busy').innerText === '{FINISHING + STRAGGLING}'")
        page.press("[data-dialog=terminateDialog]")
        page.key("Tab")
        page.press("#terminateDialog .danger")
        self.assertPhase(page, "draining")
        page.awaits("document.querySelector('#rowsCaption').innerText.startsWith('50 of 200')")
        seen = self.finish()
        self.assertEqual(seen, sorted(seen, reverse=True))
        self.assertEqual(seen[-1], STRAGGLING)
        self.assertGreaterEqual(len(set(seen)), 4, seen)
        rows = "[...document.querySelectorAll('#rows code')].map(each => each.innerText)"
        page.awaits(f"{rows}.length === {STRAGGLING}")
        self.assertEqual(page.tell(rows), [STRAGGLER] * STRAGGLING)
        self.assertRegex(page.text("#left"), r"\A[5-8]\d s\Z")
        page.press("[data-dialog=abortDialog]")
        self.assertIn(f"Now {STRAGGLING} are busy", page.text("#abortDialog"))
        page.press("#abortDialog .danger")
        self.server.gone()
        page.awaits("!document.querySelector('#gone').hidden")
        self.assertEqual(page.text("#phase"), "gone")
        self.assertIn(f"{FINISHING} finished, 0 idle, 0 left, {STRAGGLING} aborted", self.report)
        self.assertEqual(self.report.count(STRAGGLER), STRAGGLING)
        self.assertNoComplaints(page)
        self.assertNotIn("Traceback", self.server.log())

    @property
    def report(self) -> str:
        """
        What the page tells of the stop.
        """
        return self.page.text("#report")


class AccessibleTests(PageTestCase):
    """
    Eyes, keyboards and screen readers.
    """

    def setUp(self) -> None:
        super().setUp()
        self.server, address, url = self.watched("--grace", "300")
        for seconds in (600, 601):
            self.ask(address, f"/later?seconds={seconds}")
        self.page.open(url)
        self.page.awaits("document.querySelectorAll('#rows tr').length === 2")

    def states(self) -> Any:
        """
        The page in all that it can look like.
        """
        page = self.page
        yield "serving"
        for each in ("terminate", "drain", "end"):
            page.tell(f"document.querySelector('[data-dialog={each}Dialog]').click()")
            yield each
            page.key("Escape")
        page.tell("document.querySelector('summary').click()")
        self.server.send(signal.SIGTERM)
        self.assertPhase(page, "draining")
        yield "draining"
        self.abort()
        yield "gone"

    def abort(self) -> None:
        """
        End the server by nothing but a keyboard; Escape changes nothing.
        """
        page, focused = self.page, "document.activeElement.innerText"
        page.tell("document.activeElement.blur()")
        for _ in range(20):
            page.key("Tab")
            if page.tell(focused) == "Abort…":
                break
        page.key("Enter")
        self.assertEqual(page.tell(focused), "Cancel")
        page.key("Escape")
        self.assertFalse(page.tell("document.querySelector('#abortDialog').open"))
        self.assertEqual(page.tell(focused), "Abort…")
        page.key("Enter")
        page.key("Tab")
        page.key("Enter")
        page.awaits("!document.querySelector('#gone').hidden")
        self.assertIn("gone", page.tell("document.querySelector('#announcement').textContent"))
        self.assertLess(self.server.gone(), 10.0)

    def test_looks(self) -> None:
        """
        All that can be pressed or read has a name and a contrast, dark and light, nothing is
        wider than a phone, axe-core finds nothing at all, and a keyboard is enough.
        """
        script = axe()
        for state in self.states():
            for width, dark in ((360, True), (1280, False), (360, False), (1280, True)):
                self.page.looks(width, 800, dark)
                where = f"{state} {width} {dark}"
                self.assertEqual(faults(self.page), [], where)
                wide = self.page.tell("document.documentElement.scrollWidth")
                self.assertLessEqual(wide, width, where)
                if width == 360:
                    self.assertEqual(axeFaults(self.page, script), [], where)


class ActionTests(PageTestCase):
    """
    What else can be pressed.
    """

    def test_whileServing(self) -> None:
        """
        A connection is ended by its row, whose text is never markup; ports go away and come
        back; what is not possible now says so.
        """
        page = self.page
        _, address, url = self.watched()
        markup = "/later?seconds=600&<img/src='x'/onerror='document.title=1'>"
        odd, other = self.ask(address, markup), self.ask(address, "/later?seconds=601")
        page.open(url)
        page.awaits("document.querySelectorAll('#rows tr').length === 2")
        self.assertEqual(page.text("#rows code"), f"GET {markup}")
        page.press("#rows button")
        self.assertIn(markup, page.text("#endWhat"))
        page.press("#endDialog [name=gracePeriod]")
        page.write("0")
        page.press("#endDialog .strong")
        odd.rest()
        page.awaits("document.querySelectorAll('#rows tr').length === 1")
        page.press("[data-dialog=resumeDialog]")
        self.assertIn("not possible now: serving", page.text("#notice"))
        page.press("#noticeAway")
        page.press("[data-dialog=suspendDialog]")
        page.press("#suspendDialog .strong")
        self.assertPhase(page, "suspended")
        self.assertTrue(address.refuses())
        page.press("[data-dialog=resumeDialog]")
        page.press("#resumeDialog .strong")
        self.assertPhase(page, "serving")
        self.assertFalse(address.refuses())
        self.assertNoComplaints(page)
        other.close()

    def test_token(self) -> None:
        """
        A token is asked for once, and again if it is wrong; the tab keeps it.  When the server
        has gone the page finds the next one, and what the last stop came to stays.
        """
        page = self.page
        file = self.directory() / "token"
        file.write_text(TOKEN.replace(" ", "-"))
        file.chmod(0o600)
        options = ("--admin-token-file", str(file))
        server, _, url = self.watched(*options)
        page.open(url)
        for word in ("wrong", file.read_text()):
            page.awaits("!document.querySelector('#token').hidden")
            page.awaits("document.activeElement.name === 'token'")
            page.write(word)
            page.key("Enter")
        self.assertPhase(page, "serving")
        self.assertTrue(page.tell("document.querySelector('#token').hidden"))
        page.open(f"{url}?again")
        self.assertPhase(page, "serving")
        server.send(signal.SIGTERM)
        page.awaits("!document.querySelector('#gone').hidden")
        self.watched(*options, port=int(url.rstrip("/").rpartition(":")[2]))
        self.assertPhase(page, "serving")
        self.assertIn(f"process {server.process.pid} came to", page.text("#report"))
        self.assertTrue(page.tell("document.querySelector('#gone').hidden"))


class FakeTests(PageTestCase):
    """
    States that are hard to come by.
    """

    def setUp(self) -> None:
        super().setUp()
        self.admin = FakeAdmin()
        self.addCleanup(self.admin.cleanUp)

    def change(self, **values: Any) -> None:
        """
        The server stands otherwise.
        """
        self.admin.status = {**self.admin.status, **values}

    def test_streams(self) -> None:
        """
        HTTP/2 connections tell their streams; numbers that are not known are dashes; what is
        refused is said in the dialog, which stays.
        """
        streams = [{"id": number, "doing": f"GET /{number}"} for number in range(1, 10, 2)]
        told = {"doing": "GET /1", "streams": streams, "told": True}
        self.admin.connections = [{**CONNECTION, **told}]
        self.page.open(self.admin.url)
        row = "document.querySelector('#rows tr')"
        self.page.awaits(f"{row}?.innerText.includes('streams: GET /3, GET /5, GET /7, and more')")
        self.assertIn("asked to end", self.page.text("#rows"))
        self.assertIn("\N{EN DASH}", self.page.text("#rows"))
        self.page.press("[data-dialog=drainDialog]")
        self.page.write("50")
        self.page.press("#drainDialog [name=port]")
        self.page.write("8080")
        self.page.press("#drainDialog .strong")
        self.page.awaits("document.querySelector('#drainDialog .refusal').innerText")
        self.assertEqual(self.page.text("#drainDialog .refusal"), "this is refused")
        posted = {"percent": 50, "port": "8080", "pid": 100}
        self.assertEqual(self.admin.posted, [("/drain", posted)])

    def test_tooMany(self) -> None:
        """
        If too many follow the events, the page asks for the status now and then.
        """
        self.admin.refusal = 503
        self.change(busy=7)
        self.page.open(self.admin.url)
        self.page.awaits("document.querySelector('#busy').innerText === '7'")
        self.page.awaits("document.querySelector('#noticeText').innerText.startsWith('Too many')")

    def test_broken(self) -> None:
        """
        A stream that breaks while the server serves is no end: the page says so, and follows
        the next one.
        """
        self.page.open(self.admin.url)
        self.assertPhase(self.page, "serving")
        port = self.admin.server_address[1]
        self.admin.cleanUp()
        self.page.awaits("document.querySelector('#noticeText').innerText.includes('reached')")
        self.assertEqual(self.page.text("#phase"), "serving")
        other = FakeAdmin(port)
        self.addCleanup(other.cleanUp)
        self.page.awaits("document.querySelector('#notice').hidden")

    def test_upgraded(self) -> None:
        """
        When a successor has the door the page goes there; nothing that was about to be
        confirmed is done to a connection of its.
        """
        self.admin.connections = [CONNECTION]
        self.page.open(self.admin.url)
        self.page.awaits("document.querySelectorAll('#rows tr').length === 1")
        self.page.press("#rows button")
        self.page.tell("document.querySelector('#rows tr').dataset.old = 1")
        self.change(upgrade="done", phase="draining", left=9.0, deadline=9e9)
        self.assertTrue(eventually(lambda: self.admin.streams > 1))
        self.change(upgrade=None, phase="serving", left=None, deadline=None, pid=101, uptime=1)
        self.assertPhase(self.page, "serving")
        self.assertIn("101", self.page.text("#pid"))
        self.assertEqual(self.page.text("#gone"), "")
        self.assertEqual(self.page.text("#endDialog"), "")
        # The successor has a connection of the same name, but it is another one.
        self.page.awaits("document.querySelector('#rows tr:not([data-old])') !== null")
        self.assertEqual(self.admin.posted, [])

    def test_idleGrace(self) -> None:
        """
        The idle grace is told, and drawn, if the server says how long it is.
        """
        now = float(self.page.tell("Date.now() / 1000"))
        self.change(phase="draining", since=now, left=60.0, deadline=now + 60, idleGrace=30.0)
        self.page.open(self.admin.url)
        self.assertPhase(self.page, "draining")
        self.assertRegex(self.page.text("[aria-current=step]"), "; idle ones have (2\\d|30) s")
        self.assertEqual(self.page.tell("document.querySelectorAll('#plot .edge').length"), 1)
