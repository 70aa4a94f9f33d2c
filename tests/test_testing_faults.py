"""
Faulty clients, seen from a socket that serves them by hand.
"""

from __future__ import annotations

import socket
import threading

from terminable import InvalidOption
from terminable.testing import faults
from tests.handserved import ANSWER, ASK, LIMIT, FaultTestCase


class SilentTests(FaultTestCase):
    """
    Those who say too little.
    """

    def test_silentPeer(self) -> None:
        """
        It says nothing, is called by its address, and sees the end.
        """
        peer, served = self.made(faults.silentPeer)
        host, port = served.getpeername()
        self.assertEqual((peer.name, repr(peer)), (f"{host}:{port}", f"<Faulty {host}:{port}>"))
        self.assertQuiet(served)
        served.close()
        self.assertEqual((peer.end(), peer.rest()), ("closed", b""))

    def test_reset(self) -> None:
        """
        An end by force is told apart, whether it reads or not.
        """
        for reads in (False, True):
            peer, served = self.made(faults.silentPeer)
            self.abort(served)
            if reads:
                self.assertEqual(peer.rest(), b"")
            self.assertEqual(peer.end(), "reset")
            self.assertFalse(peer.readSome())

    def test_notEnded(self) -> None:
        """
        If there is no end, its patience has one.
        """
        peer, served = self.made(faults.silentPeer, limit=0.05)
        self.assertRaises(TimeoutError, peer.end)
        self.assertRaises(TimeoutError, peer.rest)
        served.send(b"x")
        self.assertRaises(TimeoutError, peer.rest)
        self.assertEqual(peer.received, b"x")

    def test_silentTLS(self) -> None:
        """
        It sends no hello, or the beginning of one.
        """
        _, served = self.made(faults.silentTLS)
        self.assertQuiet(served)
        _, served = self.made(faults.silentTLS, 20)
        # A record of a handshake (RFC 8446, section 5.1).
        self.assertEqual(self.heard(served, 20)[:2], b"\x16\x03")
        self.assertQuiet(served)

    def test_halfHeader(self) -> None:
        """
        Its request does not end.
        """
        _, served = self.made(faults.halfHeader)
        self.assertEqual(self.heard(served, len(faults.HALF_HEADER)), faults.HALF_HEADER)
        _, served = self.made(faults.halfHeader, b"GE")
        self.assertEqual(self.heard(served, 2), b"GE")
        self.assertQuiet(served)

    def test_halfBody(self) -> None:
        """
        Its body is announced, and sent in part; then it hears what it is told.
        """
        for options, count in (({}, 50), ({"sent": 7}, 7), ({"sent": 0, "target": "/up"}, 0)):
            peer, served = self.made(faults.halfBody, 100, **options)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += self.heard(served, 1)
            self.assertIn(b"POST " + options.get("target", "/").encode(), head)
            self.assertIn(b"Content-Length: 100\r\n", head)
            self.assertEqual(self.heard(served, count), b"x" * count)
            self.assertQuiet(served)
            served.send(b"HTTP/1.1 408 Late\r\nConnection: close\r\n\r\n")
            served.close()
            peer.rest()
            [answer] = peer.answers()
            self.assertEqual((answer.status, answer.complete), (408, True))

    def test_slowloris(self) -> None:
        """
        It never comes to the end of its headers, and stops when it is closed.
        """
        peer, served = self.made(faults.slowloris, 0.001)
        head = self.heard(served, len(faults.HALF_HEADER) + 44)
        self.assertEqual(head, faults.HALF_HEADER + b"x\r\nX-More: " * 4)
        peer.close()
        peer.close()
        self.assertNotIn(f"faulty {peer.name}", [each.name for each in threading.enumerate()])

    def test_slowlorisIsReset(self) -> None:
        """
        It also stops when the server ends the connection.
        """
        peer, served = self.made(faults.slowloris, 0.001)
        self.abort(served)
        threads = [each for each in threading.enumerate() if each.name == f"faulty {peer.name}"]
        for thread in threads:
            thread.join(LIMIT)
            self.assertFalse(thread.is_alive())

    def test_slowWriter(self) -> None:
        """
        It says everything, byte by byte.
        """
        peer, served = self.made(faults.slowWriter, ASK, 10_000)
        self.assertEqual(self.heard(served, len(ASK)), ASK)
        self.assertQuiet(served)
        served.send(ANSWER)
        served.close()
        self.assertEqual(peer.rest(), ANSWER)


class ReaderTests(FaultTestCase):
    """
    Those who do not read.
    """

    def fill(self, served: socket.socket) -> int:
        """
        Write until there is no room, for a moment.
        """
        written = 0
        served.settimeout(0.1)
        try:
            while True:
                written += served.send(b"x" * 65536)
        except TimeoutError:
            return written

    def test_stuckReader(self) -> None:
        """
        It asks, and reads nothing; it sees all the same when it is reset.
        """
        peer, served = self.made(faults.stuckReader, ASK)
        self.assertEqual(self.heard(served, len(ASK)), ASK)
        self.assertGreater(self.fill(served), 0)
        self.assertEqual(peer.received, b"")
        self.abort(served)
        self.assertEqual((peer.end(), peer.rest()), ("reset", b""))

    def test_window(self) -> None:
        """
        Little is sent to one with a little window.
        """
        _, served = self.made(faults.stuckReader, ASK, None)
        much = self.fill(served)
        _, served = self.made(faults.stuckReader, ASK)
        self.assertLess(self.fill(served), much)

    def test_slowReader(self) -> None:
        """
        It reads by and by, until all is read.
        """
        peer, served = self.made(faults.slowReader, ASK, 100)
        self.heard(served, len(ASK))
        served.send(b"x" * 30)
        served.close()
        thread = next(each for each in threading.enumerate() if each.name.endswith(peer.name))
        thread.join(LIMIT)
        self.assertEqual((peer.received, peer.end()), (b"x" * 30, "closed"))

    def test_untilItsLimit(self) -> None:
        """
        What it does again and again ends with its limit.
        """
        peer, served = self.made(faults.slowloris, 0.001, limit=0.02)
        thread = next(
            (each for each in threading.enumerate() if each.name.endswith(peer.name)), None
        )
        if thread is not None:
            thread.join(LIMIT)
            self.assertFalse(thread.is_alive())
        self.assertTrue(self.heard(served, 1))


class GoingTests(FaultTestCase):
    """
    Those who go.
    """

    def test_reset(self) -> None:
        """
        The server's end is reset.
        """
        faults.reset(self.address)
        self.assertRaises(ConnectionResetError, self.accept().recv, 1)

    def test_resetMidAnswer(self) -> None:
        """
        After so many bytes of the answer, or fewer if it was shorter.
        """
        for after, expected in ((7, ANSWER[:7]), (1000, ANSWER)):
            said: list[bytes] = []

            def ask(after: int = after, said: list[bytes] = said) -> None:
                said.append(faults.resetMidAnswer(self.address, ASK, after))

            thread = threading.Thread(target=ask)
            thread.start()
            served = self.accept()
            self.heard(served, len(ASK))
            served.send(ANSWER)
            if after > 7:
                served.shutdown(socket.SHUT_WR)
            thread.join(LIMIT)
            self.assertEqual(said, [expected])
            self.assertRaises(ConnectionResetError, served.recv, 1)

    def test_leaver(self) -> None:
        """
        It asks and goes, in order.
        """
        faults.leaver(self.address, ASK)
        served = self.accept()
        self.assertEqual(self.heard(served, len(ASK)), ASK)
        self.assertEqual(served.recv(1), b"")

    def test_halfCloser(self) -> None:
        """
        It says that this was all, and gets its answer.
        """
        peer, served = self.made(faults.halfCloser, ASK)
        self.assertEqual((self.heard(served, len(ASK)), served.recv(1)), (ASK, b""))
        served.send(ANSWER)
        served.close()
        peer.rest()
        self.assertEqual([each.body for each in peer.answers()], [b"hello"])

    def test_flood(self) -> None:
        """
        There are many, all gone with the C{with} statement; who was refused is known.
        """
        with faults.flood(self.address, 20, b"x", limit=LIMIT) as flood:
            served = [self.accept() for _ in range(20)]
            self.assertEqual((len(flood.peers), flood.refused), (20, []))
            self.assertEqual({self.heard(each, 1) for each in served}, {b"x"})
        self.assertEqual({each.recv(1) for each in served}, {b""})
        self.listening.close()
        with faults.flood(self.address, 3) as flood:
            self.assertEqual((len(flood.peers), len(flood.refused)), (0, 3))
        self.assertIsInstance(flood.refused[0], ConnectionRefusedError)

    def test_badFlood(self) -> None:
        """
        Nothing is left of one that cannot be meant.
        """
        self.assertRaises(InvalidOption, faults.flood, self.address, 3, window=0)
