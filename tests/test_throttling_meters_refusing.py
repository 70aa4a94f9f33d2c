"""
Messages that are refused, and connections that are lost because of them: what holds whatever
the protocol.
"""

from __future__ import annotations

from terminable.throttling.meter import BACKLOG, OFTEN
from tests.doubles import Boom
from tests.metering import Metered, MeterTestCase
from tests.test_throttling_meters import Lines, Ordered, lines


class RefusingTests(MeterTestCase):
    """
    Quota and disconnection.
    """

    def test_quota(self) -> None:
        """
        What is too much is ignored, and the peer is told so.
        """
        for kind in (Lines, Ordered):
            made = self.serve(kind, "messages=10/s:burst=2:over=quota:words=ENOUGH")
            made.send(lines(4))
            self.assertEqual(made.said(), b"+0\r\n+1\r\nENOUGH\r\nENOUGH\r\n")
            made.go(0.11)
            made.send(lines(2, 4))
            self.assertEqual(made.said(), b"+4\r\nENOUGH\r\n")
            self.assertEqual((made.counts.refused, made.counts.held), (3, 0))

    def test_disconnect(self) -> None:
        """
        Who is to go is told, and lost a moment later; nothing is read meanwhile, nor
        handled of what was read.
        """
        for kind in (Lines, Ordered):
            for tls in (False, True):
                made = self.serve(kind, "messages=10/s:burst=2:over=disconnect", tls=tls)
                protocol = made.protocol
                made.send(lines(9))
                self.assertEqual(made.said(), b"+0\r\n+1\r\nQUOTA_EXCEEDED\r\n")
                made.peer.send(lines(9))
                made.go(0.9)
                self.assertEqual((made.said(), protocol.ended), (b"", 0))
                made.go(0.2)
                if tls:
                    self.assertTrue(made.peer.notified)
                    self.assertIsNone(made.peer.over)
                made.leave()
                self.assertEqual((len(protocol.heard), protocol.ended), (2, 1))
                self.assertEqual((made.counts.refused, made.counts.disconnected), (1, 1))

    def test_arrives(self) -> None:
        """
        What one is told arrives, though there is something of hers that nobody has read.
        """
        made = self.serve(Lines, "messages=10/s:burst=1:over=disconnect:warning=0.1")
        made.send(lines(1000))
        made.peer.send(lines(1000))
        made.go(0.5)
        self.assertEqual(made.peer.over, "FIN")

    def test_steps(self) -> None:
        """
        Slow, then refuse, then cut.
        """
        made = self.serve(
            Lines, "messages=10/s:burst=10:over=delay,quota@1,disconnect@2:warning=0.2"
        )
        protocol = made.protocol
        heard = []
        for _ in range(40):
            if not made.peer.over:
                made.peer.send(lines(10))
            made.go(0.1)
            heard.append((len(protocol.heard), made.said().count(b"QUOTA"), protocol.ended))
        self.assertTrue(18 <= heard[8][0] <= 20, heard)
        self.assertEqual(sum(refused for _, refused, _ in heard[:9]), 0)
        self.assertGreater(sum(refused for _, refused, _ in heard[10:20]), 20)
        self.assertEqual(heard[-1][2], 1)
        self.assertEqual(made.counts.disconnected, 1)

    def test_floodWithoutReading(self) -> None:
        """
        Who sends and does not read the refusals is not read any more, and is answered when
        he does.
        """
        for kind in (Lines, Ordered):
            made = self.serve(kind, "messages=10/s:burst=1:over=quota", sendBuffer=4096)
            asked = 0
            for _ in range(400):
                made.peer.send(b"\r\n" * 512)
                asked += 512
                made.wire.pump(0)
                if made.paused:
                    break
            self.assertTrue(made.paused)
            unsent = len(made.transport.dataBuffer) + made.transport._tempDataLen
            self.assertLess(unsent, 2 * BACKLOG)
            made.wire.reactor.advance(OFTEN)
            self.assertTrue(made.paused)
            made.wire.pumpUntil(lambda made=made, asked=asked: self.answered(made) == asked)
            self.assertFalse(made.paused)

    def answered(self, made: Metered) -> int:
        """
        How many answers the client has, a moment later.
        """
        made.clock.advance(OFTEN)
        return int(made.peer.received.count(b"\r\n"))

    def test_cannotTell(self) -> None:
        """
        A protocol that fails to say it has failed.
        """
        made = self.serve(Lines, "messages=10/s:burst=1:over=disconnect")
        protocol = made.protocol

        def fails(line: bytes) -> None:
            raise Boom

        made.send(lines(1))
        protocol.sendLine = fails
        made.send(lines(1))
        made.go(0.1)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.assertEqual(protocol.ended, 1)

    def test_tooManyBytes(self) -> None:
        """
        Who is disconnected for too many bytes is told as well.
        """
        made = self.serve(Lines, "messages=1000/s", "received=100/s:over=disconnect")
        made.send(lines(80))
        self.assertTrue(made.said().endswith(b"QUOTA_EXCEEDED\r\n"))
        made.go(1.1)
        self.assertEqual(made.peer.over, "FIN")

    def test_tooManyBytesFails(self) -> None:
        """
        Somebody who cannot be told goes all the same.
        """
        made = self.serve(Lines, "messages=1000/s", "received=100/s:over=disconnect")
        protocol = made.protocol

        def fails(line: bytes) -> None:
            if b"QUOTA" in line:
                raise Boom

        protocol.sendLine = fails
        made.send(lines(80))
        made.go(0.1)
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.assertEqual(protocol.ended, 1)

    def test_bytesAfterMessages(self) -> None:
        """
        Who is told to go is told once, whatever else is too much.
        """
        made = self.serve(
            Lines, "messages=10/s:burst=1:over=disconnect", "received=100/s:over=disconnect"
        )
        made.send(lines(80))
        made.go(0.5)
        self.assertEqual(made.said().count(b"QUOTA"), 1)
