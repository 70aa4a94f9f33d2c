"""
Tests of strangers, with what C{terminable.testing} gives them.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from twisted.web.server import Site

from terminable.testing import Dropped, Load, TerminableTestMixin, assertNothingDropped
from terminable.tracking import sockets
from tests.live.clients import Address
from tests.live.processes import LiveTestCase, Server, eventually, freePort
from tests.live.resources import Root

reactor: Any = _reactor

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

#: What is run in a stranger's folder; nothing is loaded there that was not asked for.
TRIAL = (sys.executable, "-m", "twisted.trial")
PYTEST = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p")
OURS = "terminable.testing.pytestplugin"
ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


class StrangersTestCase(LiveTestCase):
    """
    Runs tests of others.
    """

    def begin(self, folder: Path, *command: str) -> Server:
        """
        Run a command in a copy of a folder.
        """
        copy = self.directory() / "copy"
        shutil.copytree(folder, copy)
        program = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", str(copy)]
        return self.launch(*command, program=program, env=ALONE)

    def said(self, server: Server, status: int) -> str:
        """
        What a command has said that has ended with this status.
        """
        server.gone(60.0)
        log = server.log()
        self.assertEqual(server.status, status, log)
        return log

    def pytest(self, tests: str, *options: str) -> Server:
        """
        Run tests by pytest, with our plugin.
        """
        folder = self.directory()
        (folder / "test_them.py").write_text(textwrap.dedent(tests))
        return self.begin(folder, *PYTEST, OURS, *options)


class ShopTests(StrangersTestCase):
    """
    The examples.
    """

    def test_dirtyAndClean(self) -> None:
        """
        By trial and by pytest, the usual test leaves a dirty reactor, and the others pass.
        """
        folder = EXAMPLES / "dirty-reactor"
        dirty = [
            self.begin(folder, *TRIAL, "test_dirty"),
            self.begin(folder, *PYTEST, OURS, "test_dirty.py"),
        ]
        twisted = ("-p", "pytest_twisted")
        clean = {
            "PASSED (successes=2)": self.begin(folder, *TRIAL, "test_clean"),
            "test_clean.py ..": self.begin(folder, *PYTEST, OURS, "test_clean.py"),
            "test_fixture.py ..": self.begin(folder, *PYTEST, OURS, "test_fixture.py"),
            "test_beside.py ..": self.begin(folder, *PYTEST, OURS, *twisted, "test_beside.py"),
        }
        for server in dirty:
            log = self.said(server, 1)
            self.assertIn("DirtyReactorAggregateError: Reactor was unclean.", log)
            self.assertIn("HTTPConnectionPool._removeConnection(", log)
        for text, server in clean.items():
            self.assertIn(text, self.said(server, 0))

    def test_restart(self) -> None:
        """
        A server is exchanged for another one, and nothing is dropped.
        """
        folder = self.directory() / "folder"
        folder.mkdir()
        shutil.copy(EXAMPLES / "test_restart.py", folder)
        self.said(self.begin(folder, *PYTEST, OURS, "test_restart.py"), 0)


#: Tests of all kinds in one session.
MIXED = """
    import asyncio, urllib.request

    import httpx, pytest
    from twisted.internet.task import deferLater
    from twisted.trial.unittest import TestCase

    from tests.live.resources import Root

    def test_before(terminableServer):
        server = terminableServer(Root(), tls=True)
        assert len(server.connections()) == 0

    class WaitingTests(TestCase):
        async def test_runsTheReactor(self):
            from twisted.internet import reactor
            await deferLater(reactor, 0.01)

    def test_after(terminableServer):
        server = terminableServer(Root())
        assert urllib.request.urlopen(server.url("/sync")).read() == b"sync\\n"

    @pytest.mark.anyio
    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    async def test_inALoop(terminableServer, anyio_backend):
        server = terminableServer(Root(), idleGrace=0.0)
        async with httpx.AsyncClient() as client:
            assert (await client.get(server.url("/sync"))).text == "sync\\n"
            report = await asyncio.to_thread(server.terminate)
        assert report.opened == 1

    class MistakenTests(TestCase):
        @pytest.fixture(autouse=True)
        def ask(self, terminableServer):
            pass

        def test_it(self):
            pass
"""

#: The same with another reactor.
ASYNCIO = """
    import asyncio
    from twisted.internet import asyncioreactor
    asyncioreactor.install(asyncio.new_event_loop())
"""

UNUSED = """
    import sys

    def test_nothing():
        names = {name.partition(".")[0] for name in sys.modules}
        assert not names & {"twisted", "zope", "OpenSSL"}, names
        ours = {name for name in sys.modules if name.startswith("terminable")}
        assert ours == {"terminable", "terminable.testing", "terminable.testing.pytestplugin"}
"""


class PluginTests(StrangersTestCase):
    """
    The plugin for pytest.
    """

    def test_mixed(self) -> None:
        """
        Tests that run the reactor themselves, those that block, and those in a loop of asyncio
        may stand in one session, with either reactor; a mistake is said in one line.
        """
        tests = [MIXED, ASYNCIO + MIXED]
        for server in [self.pytest(each, "-p", "anyio.pytest_plugin") for each in tests]:
            log = self.said(server, 1)
            self.assertIn("4 passed, ", log)
            self.assertIn("1 error", log)
            self.assertIn("a test of trial's runs the reactor itself, and cannot use", log)

    def test_unused(self) -> None:
        """
        Who uses no fixture loads nothing.
        """
        self.said(self.pytest(UNUSED), 0)


class ProcessTests(LiveTestCase):
    """
    Servers in processes of their own.
    """

    def plain(self) -> tuple[Server, Address]:
        """
        A server of plain Twisted.
        """
        address = Address(port=freePort())
        content = ("--class", "tests.live.resources.Root")
        return self.start("web", "--listen", address.description, *content), address

    def test_plainStop(self) -> None:
        """
        A stop of plain Twisted loses what is in flight, and each loss is named.
        """
        server, address = self.plain()
        slow = {"targets": ("/later?seconds=0.05",), "fresh": 0, "mayRefuse": True}

        def stop() -> None:
            server.send()
            server.gone()

        failure = self.assertRaises(
            Dropped, assertNothingDropped, (address.host, address.port), stop, **slow
        )
        self.assertGreater(len(failure.lost), 0)
        for lost in failure.lost:
            self.assertRegex(str(lost), r"GET /later\?seconds=0\.05: (closed without|reset after)")

    def test_stopped(self) -> None:
        """
        A process that stands still does not keep its clients from noticing it.
        """
        server, address = self.plain()
        few = {"keepAlive": 1, "pausing": 0, "fresh": 1, "targets": ("/sync",)}
        with Load((address.host, address.port), timeout=1.0, **few) as load:
            os.kill(server.process.pid, signal.SIGSTOP)
            try:
                load.again()
            finally:
                os.kill(server.process.pid, signal.SIGCONT)
            tally = load.stop()
        self.assertIn("timeout after 0 bytes", {each.how for each in tally.lost})


class InsideTests(TerminableTestMixin, TestCase):
    """
    Servers in this process.
    """

    timeout = 60

    async def test_stopListening(self) -> None:
        """
        C{stopListening} of plain Twisted resets those who wait in the queue.
        """
        port = reactor.listenTCP(0, Site(Root()), interface="127.0.0.1")
        self.addCleanup(port.stopListening)

        async def stop() -> None:
            # Clients go on connecting while nobody accepts.
            port.stopReading()
            while not sockets.readable(port.socket):
                await deferLater(reactor, 0.01)
            await port.stopListening()

        only = {"keepAlive": 0, "pausing": 0, "fresh": 8, "targets": ("/sync",)}
        nothing = self.assertNothingDropped(
            port.getHost(), lambda: Deferred.fromCoroutine(stop()), mayRefuse=True, **only
        )
        failure = await self.assertFailure(nothing, Dropped)
        self.assertIn("reset after 0 bytes", {lost.how for lost in failure.lost})

    async def test_blocked(self) -> None:
        """
        A server that blocks its reactor for longer than its clients wait has lost them.
        """
        server = await self.serve(Root())
        slow = {"targets": ("/sync",), "timeout": 1.0, "keepAlive": 1, "pausing": 0, "fresh": 1}
        nothing = self.assertNothingDropped(server, lambda: time.sleep(1.5), **slow)
        failure = await self.assertFailure(nothing, Dropped)
        self.assertIn("timeout after 0 bytes", {lost.how for lost in failure.lost})

    async def test_manyServers(self) -> None:
        """
        Servers of one test are ended one after the other, with all their clients.
        """
        from treq import get

        for options in ({}, {"endpoint": "tcp:0:interface=127.0.0.1"}, {}):
            server = await self.serve(Root(), **options)
            response = await get(server.url("/sync"))
            self.assertEqual(await response.content(), b"sync\n")
        self.assertTrue(eventually(lambda: server.connections(), 1.0))
