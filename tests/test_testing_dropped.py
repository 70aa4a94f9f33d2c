"""
Requests that are dropped are noticed.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.trial.unittest import SynchronousTestCase, TestCase

from terminable import InvalidOption
from terminable.testing import dropped
from terminable.testing.dropped import (
    Dropped,
    Load,
    NotAnswered,
    assertNothingDropped,
    check,
    deferNothingDropped,
    whereIs,
)
from terminable.testing.tally import Lost, Tally
from tests.scripted import KEEP, OK, Scripted

#: One client, which is silent for most of the time.
ONE: dict[str, Any] = {"keepAlive": 0, "pausing": 1, "fresh": 0, "pause": 0.03, "timeout": 5.0}


class WhereTests(SynchronousTestCase):
    """
    Where a server is, and what it is asked.
    """

    def test_places(self) -> None:
        """
        Addresses in all the forms in which they come.
        """
        place = {"host": "h", "port": 1}
        self.assertEqual(whereIs(("h", 1)), place)
        self.assertEqual(whereIs("h:1"), place)
        self.assertEqual(whereIs("http://h:1/a"), {**place, "targets": ("/a",)})
        self.assertEqual(whereIs(IPv4Address("TCP", "h", 1)), place)
        self.assertEqual(whereIs(UNIXAddress("/a")), {"path": "/a"})
        self.assertEqual(whereIs(Path("/a")), {"path": "/a"})
        self.assertEqual(whereIs(b"/a"), {"path": "/a"})
        server = mock.Mock(spec=["address", "secure"], secure=True)
        server.address = IPv4Address("TCP", "h", 1)
        self.assertEqual(whereIs(server), {**place, "tls": True})

    def test_noPlace(self) -> None:
        """
        Anything else is named in the error.
        """
        for where in (None, 8080, "here", ("h",), UNIXAddress(None)):
            self.assertRaises(InvalidOption, whereIs, where)

    def test_options(self) -> None:
        """
        Options that cannot be meant are named before anything is started.
        """
        for option, value in {
            "clients": 4,
            "fresh": -1,
            "keepAlive": True,
            "pause": float("inf"),
            "timeout": "1",
            "targets": (),
        }.items():
            wrong = self.assertRaises(InvalidOption, Load, ("h", 1), **{option: value})
            self.assertEqual(wrong.option, option)
        self.assertRaises(InvalidOption, Load, ("h", 1), keepAlive=0, pausing=0, fresh=0)

    def test_oneTarget(self) -> None:
        """
        A single target, or header, need not be a list.
        """
        settings = Load(("h", 1), targets="/a", headers="A: b", body=b"c")._settings
        self.assertEqual((settings.targets, settings.headers), (("/a",), ("A: b",)))
        self.assertEqual(settings.body, "c")


class CheckTests(SynchronousTestCase):
    """
    What is a failure.
    """

    lost = Lost(5.0, "fresh", "GET", "/", "cut after 1 bytes", "H", "port 1")
    refused = Lost(4.5, "fresh", "GET", "/", "refused")

    def test_nothing(self) -> None:
        """
        Without a loss there is none.
        """
        tally = Tally({"fresh": 2})
        self.assertIs(check(tally, 4.0), tally)
        self.assertEqual(str(tally), "2 answered, 0 lost, 0 refused")

    def test_told(self) -> None:
        """
        Each request is told, with the time since the action began.
        """
        tally = Tally({"fresh": 2}, [self.lost], 1, [self.refused], 1)
        failure = self.assertRaises(Dropped, check, tally, 4.0)
        self.assertEqual(
            str(failure),
            "requests were dropped (2 answered, 1 lost, 1 refused):\n"
            "  1.000 s: fresh: GET /: cut after 1 bytes, request 1 of port 1, after 'H'\n"
            "  0.500 s: fresh: GET /: refused",
        )
        self.assertEqual([each.at for each in failure.lost], [1.0, 0.5])
        self.assertIs(failure.tally, tally)

    def test_mayRefuse(self) -> None:
        """
        After a plain stop, refused connections are none.
        """
        check(Tally(refused=[self.refused], refusedCount=1), 4.0, mayRefuse=True)

    def test_onlyRefused(self) -> None:
        """
        If nobody was lost but those who were refused, equal ones are one line, and it is said
        what that may be.
        """
        later = replace(self.refused, at=6.0)
        other = replace(later, target="/a")
        tally = Tally({"fresh": 2}, [], 0, [self.refused, later, other], 3)
        failure = self.assertRaises(Dropped, check, tally, 4.0, address="h:1")
        self.assertEqual(
            str(failure),
            "requests were dropped (2 answered, 0 lost, 3 refused): "
            "nobody listened for a while; for a plain stop say mayRefuse=True\n"
            "  0.500 s to 2.000 s: 2 times fresh: GET /: refused at h:1\n"
            "  2.000 s: fresh: GET /a: refused at h:1",
        )
        self.assertEqual(len(failure.lost), 3)

    def test_manyRefused(self) -> None:
        """
        Of many that differ, some are shown.
        """
        refused = [replace(self.refused, target=f"/{each}") for each in range(25)]
        failure = self.assertRaises(Dropped, check, Tally(refused=refused), 4.0)
        self.assertEqual(str(failure).splitlines()[-1], "  and 5 more")
        self.assertEqual(str(failure).splitlines()[1], "  0.500 s: fresh: GET /0: refused")

    def test_address(self) -> None:
        """
        The server is named as people write it.
        """
        for where, expected in (("h:1", "h:1"), (("::1", 2), "[::1]:2"), (Path("/s"), "/s")):
            self.assertEqual(Load(where).address, expected)

    def test_many(self) -> None:
        """
        A failure shows some, and has all of them.
        """
        failure = self.assertRaises(Dropped, check, Tally(lost=[self.lost] * 30), 0.0)
        self.assertEqual(len(failure.lost), 30)
        self.assertTrue(str(failure).endswith("\n  and 10 more"))


class BlockingTests(SynchronousTestCase):
    """
    A load while something is done.
    """

    def test_fine(self) -> None:
        """
        If everything is answered, before, after and meanwhile, nothing fails.
        """
        with Scripted([OK]) as server:
            tally = assertNothingDropped(server.address, lambda: None, **ONE, expect=b"ok")
        # Before, and after.
        self.assertGreaterEqual(tally.total, 2)

    def test_refused(self) -> None:
        """
        A server that is away is noticed, unless it may be.
        """
        with Scripted([OK]) as server:
            failure = self.assertRaises(
                Dropped, assertNothingDropped, server.address, server.refuse, **ONE
            )
            self.assertIn("refused", {each.how for each in failure.lost})
        with Scripted([OK]) as server:
            assertNothingDropped(server.address, server.refuse, mayRefuse=True, **ONE)

    def test_cut(self) -> None:
        """
        So is one that cuts an answer.
        """
        with Scripted([OK]) as server:
            cut = partial(server.turnTo, OK[:-1])
            failure = self.assertRaises(Dropped, assertNothingDropped, server.address, cut, **ONE)
        self.assertEqual({each.how for each in failure.lost}, {f"cut after {len(OK) - 1} bytes"})

    def test_notAnswered(self) -> None:
        """
        Who was not answered before proves nothing.
        """
        with Scripted([b""]) as server:
            error = self.assertRaises(
                NotAnswered, assertNothingDropped, server.address, self.fail, **ONE
            )
            host, port = server.address
        self.assertIn(f"{host}:{port} has not answered the clients before the action", f"{error}")

    def test_actionFails(self) -> None:
        """
        What the action raises is passed on, and the clients are ended.
        """
        with Scripted([OK]) as server:
            self.assertRaises(
                ZeroDivisionError, assertNothingDropped, server.address, lambda: 1 // 0, **ONE
            )

    def test_actionWaits(self) -> None:
        """
        An action that is to be waited for is an error here.
        """
        with Scripted([OK]) as server:
            coroutine = _coroutine()
            self.addCleanup(coroutine.close)
            for result in (succeed(None), coroutine):
                wrong = self.assertRaises(
                    TypeError, assertNothingDropped, server.address, lambda it=result: it, **ONE
                )
                self.assertIn("await deferNothingDropped", str(wrong))

    def test_ownReactor(self) -> None:
        """
        A server that needs the thread that would be blocked is refused.
        """
        server = mock.Mock(needsThisThread=lambda: True)
        self.assertRaises(TypeError, assertNothingDropped, server, self.fail)


async def _coroutine() -> None:
    raise AssertionError("never awaited")


class LoadTests(SynchronousTestCase):
    """
    The process of the clients.
    """

    def load(self, server: Scripted, **options: Any) -> Load:
        """
        One that runs.
        """
        load = Load(server.address, **{**ONE, **options})
        self.addCleanup(load.end)
        return load.start()

    def test_unixSocket(self) -> None:
        """
        A UNIX socket is found wherever the process runs.
        """
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "socket")
            with Scripted([OK], path=str(path)):
                relative = Path(os.path.relpath(path))
                with Load(relative, **ONE) as load:
                    self.assertEqual(load.stop().lost, [])

    def test_ended(self) -> None:
        """
        It may be ended twice, and before it is started.
        """
        load = Load(("127.0.0.1", 1))
        load.end()
        with Scripted([OK]) as server:
            load = self.load(server)
            load.end()
            load.end()

    def test_gone(self) -> None:
        """
        If the process is gone, that is an error.
        """
        with Scripted([OK]) as server:
            load = self.load(server)
            load._process.kill()
            load._process.wait()
            self.assertRaises(EOFError, load.again)

    def test_stuck(self) -> None:
        """
        A process that does not answer is an error, too; and it is ended by force.
        """
        load = Load(("127.0.0.1", 1), **ONE)
        command = ["sleep", "60"]
        pipe = subprocess.PIPE
        load._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, bufsize=0)
        self.assertRaises(TimeoutError, load._line, 0.01)
        self.patch(dropped, "ENDING", 0.01)
        process = load._process
        load.end()
        self.assertIsNotNone(process.returncode)

    def test_stopped(self) -> None:
        """
        A request under way when the load is stopped is waited for.
        """
        with Scripted([OK]) as server:
            load = self.load(server, timeout=0.1)
            server.turnTo(b"", KEEP)
            load.again()
            self.assertEqual({each.how for each in load.stop().lost}, {"timeout after 0 bytes"})


class DeferTests(TestCase):
    """
    The same, beside a reactor that runs.
    """

    timeout = 60

    async def test_waits(self) -> None:
        """
        The action may return a Deferred, or be a coroutine function, and the clients go on
        meanwhile.
        """
        from twisted.internet import reactor

        with Scripted([OK]) as server:
            done: Deferred[None] = Deferred()

            def action() -> Deferred[None]:
                reactor.callLater(0, done.callback, None)  # type: ignore[attr-defined]
                return done

            tally = await deferNothingDropped(server.address, action, **ONE)
            self.assertGreaterEqual(tally.total, 2)

            async def another() -> None:
                server.refuse()

            await deferNothingDropped(
                server.address, another, mayRefuse=True, reactor=reactor, **ONE
            )

    async def test_fails(self) -> None:
        """
        It fails as the action does, or with what was dropped.
        """
        with Scripted([OK]) as server:

            async def action() -> None:
                raise ConnectionLost

            await self.assertFailure(
                deferNothingDropped(server.address, action, **ONE), ConnectionLost
            )
            await self.assertFailure(
                deferNothingDropped(server.address, server.refuse, **ONE), Dropped
            )

    def test_wrongOption(self) -> None:
        """
        An option that cannot be meant is said at once.
        """
        self.assertRaises(InvalidOption, deferNothingDropped, ("h", 1), self.fail, clients=1)
