"""
No request is lost by a stop: guarantees G1 to G5.
"""

from __future__ import annotations

import contextlib
import signal
import time
from itertools import cycle
from pathlib import Path

from terminable.testing import assertNothingDropped
from tests.live.clients import Address, Peer
from tests.live.processes import SLACK, LiveTestCase, Server, freePort


def reached(address: Address) -> None:
    """
    Have the server served somebody who came later.
    """
    peer = address.connect()
    peer.get("/sync")
    peer.close()


class LoadTests(LiveTestCase):
    """
    G1: a request that reached us is answered in full.
    """

    def test_nothingIsLostUnderLoad(self) -> None:
        """
        Clients that keep their connections busy get an answer to everything, and
        learn from the last one that it was the last.
        """
        server, address = self.serve("--idle-grace", "8")
        busy = {"keepAlive": 12, "pausing": 0, "fresh": 0}
        targets = ("/sync", "/later?seconds=0.01")

        def stop() -> None:
            server.terminate()
            self.assertLess(server.gone(), 1.0 + SLACK, server.log())

        where = (address.host, address.port)
        tally = assertNothingDropped(where, stop, mayRefuse=True, targets=targets, **busy)
        self.assertEqual(tally.told, 12)
        self.assertIn(" 0 aborted", server.report())

    def test_pipelinedRequestsAreAnswered(self) -> None:
        """
        Requests that were received together are all answered, and only the last
        answer says that it is the last.
        """
        server, address = self.serve()
        peer = address.connect()
        peer.get("/sync")
        request = "GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        targets = ["/later?stopped=0.4", "/sync", "/later", "/sync"]
        peer.send("".join(map(request.format, targets)).encode())
        server.awaitLog("asked for /later?stopped=0.4")
        server.terminate()
        answers = [peer.answer() for _ in targets]
        self.assertEqual([a.body for a in answers], [b"later\n", b"sync\n"] * 2)
        self.assertEqual([a.closing for a in answers], [False, False, False, True])
        self.assertEqual(peer.rest(), b"")
        peer.close()
        self.assertLess(server.gone(), 1.0 + SLACK)

    def test_uploadIsFinished(self) -> None:
        """
        An upload that has begun is received to its end, and answered.
        """
        server, address = self.serve()
        peer = address.connect()
        peer.send(b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n123")
        reached(address)
        server.terminate()
        time.sleep(0.3)
        peer.send(b"456789")
        answer = peer.answer()
        self.assertEqual((answer.body, answer.closing), (b"9\n", True))
        peer.close()
        self.assertLess(server.gone(), 0.5 + SLACK)

    def test_downloadIsFinished(self) -> None:
        """
        A download by a slow reader arrives whole, and the process leaves right after
        its last byte.
        """
        size, directory, address = 8 * 2**20, self.directory(), Address(port=freePort())
        Path(directory, "big").write_bytes(bytes(range(256)) * (size // 256))
        server = self.start("terminable", "--path", str(directory), "--port", address.description)
        peer = address.connect(window=2**18)
        peer.ask("/big")
        peer.until(b"\r\n\r\n")
        server.terminate()
        body = b""
        while len(body) < size:
            body += peer.exactly(min(2**18, size - len(body)))
            time.sleep(0.012)
        last = time.monotonic()
        self.assertEqual(body, bytes(range(256)) * (size // 256))
        peer.close()
        server.gone()
        self.assertLess(time.monotonic() - last, 0.3 + SLACK, server.log())
        self.assertIn("1 finished, 0 aborted", server.report())


class QueueTests(LiveTestCase):
    """
    G2: closing the port resets nobody.
    """

    def test_thirtyAreWaiting(self) -> None:
        """
        Thirty who had connected and asked before anybody could accept them are
        answered, with the hint.
        """
        server, address = self.serve()
        server.send(signal.SIGSTOP)
        peers = [address.connect() for _ in range(30)]
        for peer, target in zip(peers, cycle(["/sync", "/later"]), strict=False):
            peer.ask(target)
        server.send(signal.SIGTERM)
        server.send(signal.SIGCONT)
        for peer in peers:
            answer = peer.answer()
            self.assertEqual((answer.status, answer.closing), (200, True))
            self.assertEqual(peer.rest(), b"")
            peer.close()
        server.gone()
        self.assertIn("30 finished, 0 aborted", server.report())


class LostTests(LiveTestCase):
    """
    G3: no application code runs for a connection that we already lost.
    """

    def test_requestAfterTheEnd(self) -> None:
        """
        A request on an idle connection that has been ended is not carried out.
        """
        server, address = self.serve("--idle-grace", "0.1")
        idle, busy = address.connect(), address.connect()
        idle.get("/sync?number=1")
        busy.ask("/later?stopped=0.8")
        server.awaitLog("asked for /later")
        server.terminate()
        self.assertEqual(idle.rest(), b"")
        # If not even that is possible, all the better.
        with contextlib.suppress(OSError):
            idle.ask("/sync?number=2")
        self.assertEqual(busy.answer().body, b"later\n")
        busy.close()
        server.gone()
        self.assertNotIn("number=2", server.log())

    def test_requestAfterTheLastAnswer(self) -> None:
        """
        Nor is one that follows the answer which said that it was the last.
        """
        server, address = self.serve()
        peer = address.connect()
        peer.ask("/later?stopped=0.4")
        server.awaitLog("asked for /later")
        server.terminate()
        self.assertTrue(peer.answer().closing)
        with contextlib.suppress(OSError):
            peer.ask("/sync?number=2")
        peer.wasReset()
        server.gone()
        self.assertNotIn("number=2", server.log())


class LastAnswerTests(LiveTestCase):
    """
    G4: the last answer arrives; it is not destroyed by what we did not read.
    """

    size = 2_000_000

    def unread(self, address: Address) -> Peer:
        """
        Ask for much, and send more than anybody is going to read.
        """
        peer = address.connect(window=2**14)
        peer.ask(f"/big?bytes={self.size}")
        peer.send(b"GET /sync?number=2 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        peer.send(b"x" * 50_000)
        return peer

    def readSlowly(self, peer: Peer) -> None:
        """
        Take both answers in about half a second.
        """
        self.assertEqual(int(self._length(peer)), self.size)
        for _ in range(20):
            time.sleep(0.025)
            self.assertEqual(peer.exactly(self.size // 20).strip(b"x"), b"")
        self.assertEqual(peer.answer().body, b"sync\n")
        self.assertEqual(peer.rest(), b"")
        peer.close()

    def _length(self, peer: Peer) -> str:
        head = peer.until(b"\r\n\r\n").decode().lower()
        return head.partition("content-length: ")[2].split("\r\n")[0]

    def test_slowReaderWithUnreadInput(self) -> None:
        """
        An answer of 2,000,000 bytes arrives although unread input is pending.
        """
        server, address = self.serve()
        peer = self.unread(address)
        reached(address)
        server.terminate()
        self.readSlowly(peer)
        self.assertLess(server.gone(), 2.0 + SLACK, server.log())
        self.assertIn(" 0 aborted", server.report())


class HintTests(LiveTestCase):
    """
    G5: the hint goes out with the first answer after the stop began.
    """

    def firstAnswers(self, server: Server, address: Address, target: str) -> None:
        """
        Ask once on a connection that was idle when the stop began.
        """
        peer = address.connect()
        self.assertFalse(peer.get(target).closing)
        server.terminate()
        self.assertTrue(peer.get(target).closing)
        self.assertEqual(peer.rest(), b"")
        peer.close()
        self.assertLess(server.gone(), 0.7 + SLACK, server.log())

    def test_synchronousAnswer(self) -> None:
        """
        Also if the application answered before it returned.
        """
        self.firstAnswers(*self.serve("--idle-grace", "8"), "/sync")

    def test_laterAnswer(self) -> None:
        """
        Also if the application takes its time.
        """
        self.firstAnswers(*self.serve("--idle-grace", "8"), "/later?seconds=0.2")

    def test_quiescing(self) -> None:
        """
        Also while new connections are still accepted, on those as well.
        """
        server, address = self.serve("--quiesce", "2", "--idle-grace", "0.1")
        old = address.connect()
        self.assertFalse(old.get("/sync").closing)
        server.terminate()
        new = address.connect()
        self.assertTrue(old.get("/sync").closing)
        self.assertTrue(new.get("/later").closing)
        old.close()
        new.close()
        self.assertBetween(2.0, server.gone(), 2.4, server.log())
