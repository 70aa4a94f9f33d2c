"""
The canary for what C{twisted.web} calls private about HTTP/2 and we touch.
"""

from __future__ import annotations

from typing import Any

from twisted.web.http import HTTPChannel
from twisted.web.iweb import IRequest

from terminable.tracking import internals
from tests.answers import Served, request
from tests.frames import HTTP2TestCase


class HTTP2Tests(HTTP2TestCase):
    """
    Streams of C{twisted.web._http2}.
    """

    def stream(self) -> Any:
        """
        One that waits for its answer.
        """
        self.ask(1)
        return self.channel.streams[1]

    def test_streams(self) -> None:
        """
        C{streams} can be exchanged for another dictionary, which is told when a stream is
        opened and when it is gone.
        """
        told: list[tuple[str, int]] = []

        class Telling(dict[int, Any]):
            def __setitem__(self, key: int, value: Any) -> None:
                super().__setitem__(key, value)
                told.append(("opened", key))

            def __delitem__(self, key: int) -> None:
                super().__delitem__(key)
                told.append(("gone", key))

        self.channel.streams = Telling(self.channel.streams)
        self.ask(1, 3)
        self.finish(2)
        self.assertEqual(told, [("opened", 1), ("opened", 3), ("gone", 1), ("gone", 3)])

    def test_streamRequest(self) -> None:
        """
        C{_request} is what the application was given, which knows whether its answer has
        begun.
        """
        stream = self.stream()
        request = internals.streamRequest(stream)
        self.assertIs(request, stream._request)
        self.assertIs(request, self.shop.waiting[0])
        self.assertTrue(IRequest.providedBy(request))
        self.assertFalse(request.startedWriting)
        request.write(b"half an ")
        self.assertTrue(request.startedWriting)

    def test_streamTransport(self) -> None:
        """
        C{_conn} is the connection, whose transport is what everything is written to.
        """
        stream = self.stream()
        self.assertIs(stream._conn, self.channel)
        self.assertIs(internals.streamTransport(stream), self.transport)

    def test_isStream(self) -> None:
        """
        C{_conn} and C{streamID} tell a stream from an HTTP/1.1 channel and from an HTTP/2
        connection; a stream has no transport of its own.
        """
        stream = self.stream()
        self.assertTrue(internals.isStream(stream))
        self.assertIsNone(stream.transport)
        self.assertTrue(internals.isStream(self.shop.waiting[0].channel))
        served = Served()
        served.send(request("/later"))
        self.assertIsInstance(served.resource.waiting[0].channel, HTTPChannel)
        for other in (served.resource.waiting[0].channel, self.channel, self.transport):
            self.assertFalse(internals.isStream(other))

    def test_heldBack(self) -> None:
        """
        C{_consumerBlocked} is there while the transport takes nothing, and
        C{_bufferedControlFrames} holds what could not be written meanwhile.
        """
        self.ask(1)
        self.assertFalse(internals.http2HeldBack(self.channel))
        self.channel.pauseProducing()
        self.assertIsNotNone(self.channel._consumerBlocked)
        self.assertTrue(internals.http2HeldBack(self.channel))
        self.finish()
        self.assertTrue(self.channel._bufferedControlFrames)
        self.channel.resumeProducing()
        self.assertFalse(internals.http2HeldBack(self.channel))
