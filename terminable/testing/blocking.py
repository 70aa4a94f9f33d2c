"""
Real servers for tests that block: the reactor runs in a thread of its own.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from twisted.internet.threads import blockingCallFromThread
from twisted.python.threadable import isInIOThread

from terminable.generation import UNSET
from terminable.policy.ledger import Report
from terminable.terminator import Terminator
from terminable.testing.live import LiveServer, serve
from terminable.tracking.connection import Connection

#: Seconds for what takes a moment.
PATIENCE = 10.0


class ReactorThread:
    """
    Has a reactor run in a thread, when it is needed.  A reactor that runs already in another
    thread is used, and never stopped.
    """

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """
        Whether it runs in a thread of ours.
        """
        return self._thread is not None

    def start(self) -> None:
        """
        Have it run.

        @raise RuntimeError: it runs in this very thread.
        """
        if self.reactor.running:
            if isInIOThread():
                raise RuntimeError(
                    "the reactor runs in this thread: who blocks here would wait in vain; "
                    "serve() of terminable.testing returns a Deferred"
                )
            return
        self._forgetSignals()
        ready = threading.Event()
        self.reactor.callWhenRunning(ready.set)
        self._thread = threading.Thread(
            target=self.reactor.run,
            kwargs={"installSignalHandlers": False},
            name="reactor",
            daemon=True,
        )
        self._thread.start()
        if not ready.wait(PATIENCE):
            raise RuntimeError(f"the reactor does not run after {PATIENCE:g} s")

    def _forgetSignals(self) -> None:
        """
        If the reactor has run in the main thread, Twisted's asyncio reactor uninstalls its
        signal handlers when it is next run, which no other thread may do.
        """
        asyncioReactor = sys.modules.get("twisted.internet.asyncioreactor")
        if asyncioReactor is None or threading.current_thread() is not threading.main_thread():
            return
        if isinstance(self.reactor, asyncioReactor.AsyncioSelectorReactor):
            self.reactor.callWhenRunning(self.reactor.crash)
            self.reactor.run(installSignalHandlers=False)

    def rest(self) -> None:
        """
        Have it run no more, for now: somebody else wants to run it.
        """
        self._leave("crash")

    def end(self) -> None:
        """
        Stop it for good, and its threads.
        """
        self._leave("stop")

    def _leave(self, how: str) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self.reactor.callFromThread(getattr(self.reactor, how))
        thread.join(PATIENCE)
        if thread.is_alive():
            raise RuntimeError(f"the reactor still runs after {PATIENCE:g} s")

    def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """
        Call something in the reactor's thread, and wait for its result, also if that is a
        Deferred.
        """
        self.start()
        return blockingCallFromThread(self.reactor, function, *arguments, **options)

    def serve(self, what: Any, **options: Any) -> BlockingServer:
        """
        Start a server.

        @param what: as L{terminable.testing.serve} takes it.
        @param options: of L{terminable.testing.serve}.
        @return: the server, when it is listening.
        """
        return BlockingServer(self, self.call(serve, self.reactor, what, **options))


class BlockingServer:
    """
    A L{LiveServer} that is used from another thread than that of its reactor.

    @ivar server: that, for what is done in the reactor's thread.
    """

    def __init__(self, thread: ReactorThread, server: LiveServer) -> None:
        self._thread = thread
        self.server = server

    @property
    def address(self) -> Any:
        """
        Where to connect.
        """
        return self.server.address

    @property
    def host(self) -> str:
        """
        The same as a text; an empty one for a UNIX socket.
        """
        return self.server.host

    @property
    def port(self) -> int:
        """
        The number of the first port; 0 for a UNIX socket.
        """
        return self.server.port

    @property
    def secure(self) -> bool:
        """
        Whether it speaks TLS.
        """
        return self.server.secure

    @property
    def certificate(self) -> bytes:
        """
        What clients are to trust, in PEM format, if C{tls=True} has made it.
        """
        return self.server.certificate

    @property
    def terminator(self) -> Terminator:
        """
        What ends it; to be used in the reactor's thread only (L{call}).
        """
        return self.server.terminator

    def url(self, path: str = "/") -> str:
        """
        As L{LiveServer.url}.
        """
        return self.server.url(path)

    def connections(self) -> list[Connection]:
        """
        The live connections, as L{LiveServer.connections}.
        """
        found: list[Connection] = self.call(self.server.connections)
        return found

    def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """
        Call something in the reactor's thread, and wait for its result, also if that is a
        Deferred.
        """
        return self._thread.call(function, *arguments, **options)

    def terminate(self, gracePeriod: float | None = UNSET) -> Report:
        """
        End it politely, as L{LiveServer.terminate}, and return the report when it is over.
        """
        report: Report = self.call(self.server.terminate, gracePeriod)
        return report

    def abort(self) -> Report:
        """
        End it at once, as L{LiveServer.abort}, and return the report when it is over.
        """
        report: Report = self.call(self.server.abort)
        return report

    def end(self) -> Report:
        """
        End it for the end of a test, as L{LiveServer.end}.

        @raise LeftBehind: as there.
        """
        report: Report = self.call(self.server.end)
        return report
