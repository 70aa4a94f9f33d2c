"""
Servers for tests that block.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable
from typing import Any
from unittest import mock

from twisted.internet.defer import succeed
from twisted.trial.unittest import SynchronousTestCase

from terminable.testing import blocking
from terminable.testing.blocking import BlockingServer, ReactorThread


class HandReactor:
    """
    A reactor that runs what it is given, in whatever thread it is run.

    @ivar threads: the names of those in which it was run.
    """

    running = False
    stubborn = False

    def __init__(self) -> None:
        self._calls: queue.Queue[Callable[[], object]] = queue.Queue()
        self.threads: list[str] = []
        self.whenRunning: list[Callable[[], object]] = []
        self.stopped = 0

    def callWhenRunning(self, function: Callable[[], object]) -> None:
        self.whenRunning.append(function)

    def callFromThread(self, function: Callable[..., object], *details: Any, **words: Any) -> None:
        self._calls.put(lambda: function(*details, **words))

    def run(self, installSignalHandlers: bool = True) -> None:
        assert not installSignalHandlers
        self.threads.append(threading.current_thread().name)
        self.running = True
        while self.whenRunning:
            self.whenRunning.pop()()
        while self.running:
            self._calls.get()()

    def crash(self) -> None:
        self.running = self.stubborn

    def stop(self) -> None:
        self.stopped += 1
        self.crash()


class ThreadTests(SynchronousTestCase):
    """
    The reactor's thread.
    """

    def setUp(self) -> None:
        # Other tests run the global reactor in this thread.
        self.patch(blocking, "isInIOThread", lambda: False)
        self.reactor = HandReactor()
        self.thread = ReactorThread(self.reactor)

    def test_call(self) -> None:
        """
        The reactor runs as soon as something is called, which is done in its thread; a
        Deferred is waited for.
        """
        self.assertFalse(self.thread.running)
        self.addCleanup(self.thread.end)
        where = self.thread.call(lambda: succeed(threading.current_thread().name))
        self.assertEqual([where], self.reactor.threads)
        self.assertNotEqual(where, threading.current_thread().name)
        self.assertTrue(self.thread.running)
        self.assertRaises(ZeroDivisionError, self.thread.call, lambda: 1 // 0)

    def test_rest(self) -> None:
        """
        It may rest, and runs again when it is needed.
        """
        self.thread.call(bool)
        self.thread.rest()
        self.thread.rest()
        self.assertFalse(self.reactor.running or self.thread.running)
        self.thread.call(bool)
        self.thread.end()
        self.assertEqual((len(self.reactor.threads), self.reactor.stopped), (2, 1))

    def test_stubborn(self) -> None:
        """
        A reactor that does not stop is an error.
        """
        self.patch(blocking, "PATIENCE", 0.05)
        self.thread.call(bool)
        self.reactor.stubborn = True
        self.assertRaises(RuntimeError, self.thread.end)
        self.reactor.stubborn = False
        self.reactor.callFromThread(self.reactor.crash)

    def test_neverRuns(self) -> None:
        """
        So is one that does not run.
        """
        self.patch(blocking, "PATIENCE", 0.05)
        self.patch(self.reactor, "run", lambda installSignalHandlers: None)
        self.assertRaises(RuntimeError, self.thread.start)

    def test_othersThread(self) -> None:
        """
        A reactor that runs in another thread is used there, and never stopped.
        """
        other = threading.Thread(target=self.reactor.run, args=(False,), name="other")
        other.start()
        while not self.reactor.running:
            pass
        self.assertEqual(self.thread.call(lambda: threading.current_thread().name), "other")
        self.thread.end()
        self.assertTrue(self.reactor.running)
        self.reactor.callFromThread(self.reactor.crash)
        other.join()

    def test_sameThread(self) -> None:
        """
        In the thread in which it runs, nobody may block.
        """
        self.reactor.running = True
        self.patch(blocking, "isInIOThread", lambda: True)
        problem = self.assertRaises(RuntimeError, self.thread.call, bool)
        self.assertIn("serve() of terminable.testing returns a Deferred", str(problem))

    def test_asyncio(self) -> None:
        """
        The asyncio reactor is first run in the main thread, where it may uninstall its signal
        handlers; other threads leave that.
        """
        module = mock.Mock(AsyncioSelectorReactor=HandReactor)
        modules = {"twisted.internet.asyncioreactor": module}
        with mock.patch.dict(sys.modules, modules):
            self.thread.call(bool)
            self.thread.rest()
            self.assertEqual(self.reactor.threads, ["MainThread", "reactor"])
            other = threading.Thread(target=self.thread.call, args=(bool,))
            other.start()
            other.join()
            self.thread.end()
            self.assertEqual(self.reactor.threads, ["MainThread", "reactor", "reactor"])
            module.AsyncioSelectorReactor = str
            self.thread.call(bool)
            self.thread.end()
        with mock.patch.dict(sys.modules):
            sys.modules.pop("twisted.internet.asyncioreactor", None)
            self.thread.call(bool)
            self.thread.end()
        self.assertEqual(self.reactor.threads.count("MainThread"), 1)


class ServerTests(SynchronousTestCase):
    """
    A server that is used from another thread.
    """

    def setUp(self) -> None:
        self.patch(blocking, "isInIOThread", lambda: False)
        self.thread = ReactorThread(HandReactor())
        self.addCleanup(self.thread.end)

    def test_passedOn(self) -> None:
        """
        Whatever is asked is asked of the server, in its thread if that matters.
        """
        inner = mock.Mock()
        inner.terminate.return_value = succeed("terminated")
        inner.abort.return_value = succeed("aborted")
        inner.end.return_value = succeed("ended")
        server = BlockingServer(self.thread, inner)
        for name in ("address", "host", "port", "secure", "certificate", "terminator"):
            self.assertIs(getattr(server, name), getattr(inner, name))
        self.assertIs(server.url("/a"), inner.url.return_value)
        self.assertIs(server.connections(), inner.connections.return_value)
        self.assertEqual(server.terminate(1.0), "terminated")
        inner.terminate.assert_called_with(1.0)
        self.assertEqual((server.abort(), server.end()), ("aborted", "ended"))
        self.assertIs(server.server, inner)

    def test_serve(self) -> None:
        """
        A server is started in the reactor's thread.
        """
        asked: list[Any] = []

        def serve(*details: Any, **options: Any) -> Any:
            asked.append((details, options, threading.current_thread().name))
            return succeed(mock.sentinel.server)

        self.patch(blocking, "serve", serve)
        server = self.thread.serve("what", tls=True)
        self.assertIs(server.server, mock.sentinel.server)
        self.assertEqual(asked, [((self.thread.reactor, "what"), {"tls": True}, "reactor")])
