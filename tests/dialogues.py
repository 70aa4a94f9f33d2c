"""
A line protocol and its drainer in memory, seen from the client.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from terminable.drainers import library
from terminable.interfaces import IDrainer


class DialogueTestCase(SynchronousTestCase):
    """
    One client.

    @ivar protocol: what serves it.
    @ivar drainer: what ends that.
    @ivar idled: how often the drainer has told that its connection is idle.
    """

    def serve(
        self, protocol: Any, watched: bool = True, adapt: Callable[[Any], Any] = IDrainer
    ) -> Any:
        """
        Connect to C{protocol}.

        @param watched: whether it was from its beginning.
        """
        self.clock = Clock()
        self.protocol = protocol
        self.idled = 0
        self.transport = StringTransport()
        protocol.callLater = self.clock.callLater
        library.load()
        if watched:
            library.begin(protocol)
        self.drainer: Any = adapt(protocol)
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "")
        protocol.makeConnection(self.transport)
        self.said()
        return protocol

    def send(self, *lines: bytes) -> None:
        """
        The client sends, all at once.
        """
        self.protocol.dataReceived(b"".join(line + b"\r\n" for line in lines))

    def said(self) -> list[bytes]:
        """
        What the client has been told since the last time.
        """
        lines = self.transport.value().split(b"\r\n")
        self.transport.clear()
        self.assertEqual(lines.pop(), b"")
        return lines

    def ask(self, *lines: bytes) -> list[bytes]:
        """
        The client sends, and is told.
        """
        self.send(*lines)
        return self.said()

    def hint(self) -> None:
        """
        The drain begins.
        """
        self.drainer.hint(self._idle)

    def _idle(self) -> None:
        self.idled += 1

    def assertOpen(self) -> None:
        """
        The connection goes on.
        """
        self.assertFalse(self.transport.disconnecting)

    def assertBusy(self, description: str) -> None:
        """
        Something is in flight, and told does nothing to it.
        """
        self.assertTrue(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), description)
        self.drainer.drain()
        self.assertEqual(self.said(), [])
        self.assertOpen()

    def assertIdle(self) -> None:
        """
        Nothing is in flight.
        """
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "")
        self.assertOpen()

    def assertGone(self, *lines: bytes) -> None:
        """
        The client was told so much, and no more, and the connection is lost.
        """
        self.assertEqual(self.said(), list(lines))
        self.assertTrue(self.transport.disconnecting)
        self.drainer.drain()
        self.assertEqual(self.drainer.lastWord(5), "")
        self.assertEqual(self.said(), [])
