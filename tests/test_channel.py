"""
Tests for L{terminable.handover.channel}.
"""

from __future__ import annotations

import socket

from twisted.protocols import amp
from twisted.python.failure import Failure

from terminable.handover.channel import Channel, Leave, Older, Once
from tests.handingover import Answers, HandoverTestCase


class ChannelTests(HandoverTestCase):
    """
    Two processes that speak with each other.
    """

    def setUp(self) -> None:
        super().setUp()
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.lost: list[Failure] = []
        self.answers = Answers()
        self.channel = Channel(self.lost.append, [amp.CommandLocator(), self.answers])
        self.reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, Once(self.channel))
        self.other, _ = self.speak(theirs)

    def test_answered(self) -> None:
        """
        The first of the locators that knows a command answers it.
        """
        self.answers.answers["Older"] = {"count": 3}
        asked = self.other.callRemote(Older)
        self.turns()
        self.assertEqual(self.successResultOf(asked), {"count": 3})

    def test_unknown(self) -> None:
        """
        What none of them knows is an error for whoever asks.
        """
        self.channel.locators.clear()
        failures: list[Failure] = []
        self.other.callRemote(Leave).addErrback(failures.append)
        self.turns()
        self.assertEqual([each.type for each in failures], [amp.UnhandledCommand])

    def test_lost(self) -> None:
        """
        The end of the other one is told, once.
        """
        self.other.transport.abortConnection()
        self.turns()
        self.assertEqual(len(self.lost), 1)
