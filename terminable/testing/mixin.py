"""
Real servers in trial's tests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from terminable.testing.dropped import deferNothingDropped
from terminable.testing.live import LiveServer, serve
from terminable.testing.tally import Tally

if TYPE_CHECKING:
    _Base = TestCase
else:
    _Base = object


class TerminableTestMixin(_Base):
    """
    Servers that are ended with the test; for C{twisted.trial.unittest.TestCase}, before it in
    the list of base classes.
    """

    def serve(self, what: Any, **options: Any) -> Deferred[LiveServer]:
        """
        Start a server; when the test is over, it and its connections are ended, also those whose
        clients are in the same reactor.

        @param what: as L{terminable.testing.serve} takes it.
        @param options: of L{terminable.testing.serve}.
        @return: fires with the server when it is listening.
        @raise TypeError: this is none of trial's tests that may wait.
        """
        if not isinstance(self, TestCase):
            raise TypeError(f"{type(self).__name__} is no twisted.trial.unittest.TestCase")
        from twisted.internet import reactor

        return serve(reactor, what, **options).addCallback(self._endLater)

    def _endLater(self, server: LiveServer) -> LiveServer:
        self.addCleanup(server.end)
        return server

    def assertNothingDropped(
        self, where: Any, action: Callable[[], Any], **options: Any
    ) -> Deferred[Tally]:
        """
        Put a load on a server, do something to it, and fail if a request was dropped.

        @param where: as L{terminable.testing.assertNothingDropped} takes it.
        @param action: what is done; may return a Deferred or a coroutine.
        @param options: of L{terminable.testing.assertNothingDropped}.
        @return: fires with what became of all requests.
        """
        result: Deferred[Tally] = deferNothingDropped(where, action, **options)
        return result
