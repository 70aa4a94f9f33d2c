"""
The last answer arrives: real connections, a real reactor, every way of recording.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.defer import inlineCallbacks
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from tests.answers import readAnswers, request
from tests.scenarios import Client, RecordingWays

SIZE = 2_000_000


class Large(Resource):
    """
    Answers with two million bytes, when told to.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Any] = []

    def render(self, request: Any) -> int:
        """
        Not yet.
        """
        self.waiting.append(request)
        return NOT_DONE_YET

    def finish(self) -> None:
        """
        Now.
        """
        answered = self.waiting.pop()
        answered.write(b"x" * SIZE)
        answered.finish()


class ArrivesMixin(RecordingWays):
    """
    A slow reader whose input is not read, when the stop begins.
    """

    @inlineCallbacks
    def arrives(self: Any, tls: bool) -> Any:
        """
        It gets everything, and then the end.
        """
        large = Large()
        yield self.listen(Site(large), tls)

        def ask(client: Client) -> Client:
            if tls:
                client.startTLS()
            client.send(request("/", "GET", b"", "Connection: close"))
            return client

        client = yield self.talk(ask)
        yield self.until(lambda: large.waiting)

        def read() -> bytes:
            client.send(request("/never") + b"x" * 50_000)
            self.reactorCall(large.finish)
            said = b""
            while True:
                try:
                    more = client.socket.recv(65536)
                except ConnectionError:
                    break
                if not more:
                    break
                said += more
                # Slower than the kernel's buffers are large; far from the deadline.
                time.sleep(0.002)
            return said

        from twisted.internet.threads import deferToThread

        stopped = self.terminator.terminate()
        said = yield deferToThread(read)
        [answer] = readAnswers(said)
        self.assertEqual(len(answer.body), SIZE)
        self.assertTrue(answer.closes)
        client.close()
        report = yield stopped
        self.assertEqual((report.finished, report.aborted), (1, 0), str(report))

    def reactorCall(self, what: Any) -> None:
        """
        Call it in the reactor's thread.
        """
        from tests.scenarios import reactor

        reactor.callFromThread(what)

    def test_plain(self: Any) -> Any:
        """
        Without TLS.
        """
        return self.arrives(False)

    def test_encrypted(self: Any) -> Any:
        """
        Through TLS.
        """
        return self.arrives(True)


class OwnPortArrivesTests(ArrivesMixin, TestCase):
    """
    On a port of ours.
    """

    own = True


class PairArrivesTests(ArrivesMixin, TestCase):
    """
    With a factory that somebody else listens with.
    """

    own = False
