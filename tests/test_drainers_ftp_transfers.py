"""
The drainer of FTP servers, while something is transferred.
"""

from __future__ import annotations

from twisted.internet.protocol import connectionDone

from tests.ftpsession import CONTENT, DONE, GOODBYE, FTPTestCase
from tests.wire import Wire


class TransferTests(FTPTestCase):
    """
    Connections with a transfer.
    """

    def test_download(self) -> None:
        """
        A download is in progress until its last byte has left.
        """
        data = self.passive()
        self.said("RETR big.bin")
        self.assertEqual(self.drainer.describe(), "RETR big.bin")
        self.hint()
        self.drainer.drain()
        self.assertEqual(self.heard(), b"")
        while data.transport.producer is not None:
            data.transport.producer.resumeProducing()
        self.assertEqual(self.heard(), DONE)
        self.assertTrue(data.transport.disconnecting)
        self.assertTrue(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "RETR big.bin")
        self.assertEqual(self.watch.idled, 0)
        self.end(data)
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.watch.idled, 1)
        self.assertEqual(data.transport.value(), CONTENT)
        self.drainer.drain()
        self.assertGone(self.heard())

    def test_upload(self) -> None:
        """
        An upload is taken to its end.
        """
        data = self.passive()
        self.assertTrue(self.said("STOR new.bin").startswith(b"125 "))
        data.dataReceived(b"first, ")
        self.hint()
        data.dataReceived(b"second")
        self.assertTrue(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "STOR new.bin")
        self.end(data)
        self.assertEqual(self.heard(), DONE)
        self.assertEqual(self.files.child("new.bin").getContent(), b"first, second")
        self.assertGreaterEqual(self.watch.idled, 1)
        self.assertGone(self.said("NOOP"))

    def test_nextCommandWaitsForTheRest(self) -> None:
        """
        To be told that a transfer is complete is not to have it: whoever goes on before
        the data connection is over is answered after that.
        """
        for command, answer in (("PWD", GOODBYE), ("QUIT", b"221 Goodbye.\r\n")):
            self.setUp()
            data = self.passive()
            self.hint()
            self.assertIn(DONE, self.said("LIST"))
            self.assertTrue(data.transport.disconnecting)
            self.assertEqual(self.drainer.describe(), "LIST")
            self.assertEqual(self.said(command, "NOOP"), b"")
            self.assertFalse(self.transport.disconnecting)
            self.assertIn(b"big.bin", self.finish(data))
            self.assertEqual(self.heard(), answer)
            self.assertTrue(self.transport.disconnecting)

    def test_overBeforeTheAnswer(self) -> None:
        """
        A data connection that is over as soon as everything is sent is not waited for.
        """
        data = self.passive()
        self.hint()
        self.server.dataReceived(b"LIST\r\n")
        data.connectionLost(connectionDone)
        self.assertIn(DONE, self.heard())
        self.assertGreaterEqual(self.watch.idled, 1)

    def test_passive(self) -> None:
        """
        A data connection that is open is there for a transfer, which is permitted, with
        what it is prepared with.
        """
        data = self.passive()
        self.assertTrue(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "data connection without a transfer")
        self.hint()
        self.drainer.drain()
        self.assertEqual(self.said("SIZE big.bin"), b"213 %d\r\n" % len(CONTENT))
        self.assertTrue(self.said("type I").startswith(b"200 "))
        self.assertTrue(self.said("retr big.bin").startswith(b"125 "))
        self.assertEqual(self.watch.idled, 0)
        self.assertEqual(self.finish(data), CONTENT)
        self.assertEqual(self.heard(), DONE)
        self.assertGone(self.said("PASV"))

    def test_passiveIsAnsweredOnly(self) -> None:
        """
        After PASV the client is about to connect.
        """
        self.said("PASV")
        self.assertEqual((self.drainer.isBusy(), self.drainer.describe()), (True, "PASV"))
        self.hint()
        data = self.dataConnection(self.ports[0])
        self.assertTrue(self.drainer.isBusy())
        self.assertIn(DONE, self.said("NLST ."))
        self.assertEqual(self.finish(data), b"big.bin\r\n")
        self.assertEqual(self.watch.idled, 1)

    def test_active(self) -> None:
        """
        The same after PORT.
        """
        self.said("TYPE I", "PORT 127,0,0,1,16,0")
        [(host, port, factory, _, _)] = self.reactor.tcpClients
        self.assertEqual((host, port), ("127.0.0.1", 4096))
        self.hint()
        data = self.dataConnection(factory)
        self.assertTrue(self.heard().endswith(b"200 PORT OK\r\n"))
        self.assertTrue(self.said("RETR big.bin").startswith(b"125 "))
        self.assertEqual(self.finish(data), CONTENT)
        self.assertEqual(self.watch.idled, 1)

    def test_anotherDataConnection(self) -> None:
        """
        Whoever has a data connection does not get another one, nor anything else that
        goes without; the connections are lost.
        """
        for command in ("PASV", "EPSV", "PORT 127,0,0,1,16,0", "RNFR big.bin", "DELE big.bin"):
            self.setUp()
            data = self.passive()
            self.hint()
            self.assertGone(self.said(command))
            self.lose()
            self.assertTrue(data.transport.disconnected)
            self.assertEqual(self.ports, [])

    def test_givenUp(self) -> None:
        """
        A client that closes the data connection without a transfer is idle.
        """
        data = self.passive()
        self.hint()
        self.end(data)
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.watch.idled, 1)

    def test_failed(self) -> None:
        """
        A transfer that was refused is over, although its data connection is still open.
        """
        self.passive()
        self.hint()
        self.assertTrue(self.said("RETR nothing").startswith(b"550 "))
        self.assertFalse(self.drainer.isBusy())
        self.assertGreaterEqual(self.watch.idled, 1)
        self.assertGone(self.said("RETR big.bin"))

    def test_oneAfterTheOther(self) -> None:
        """
        Each transfer is known by its own data connection.
        """
        self.said("LIST")
        first = self.passive()
        self.said("LIST")
        self.end(first)
        second = self.passive()
        self.assertTrue(self.drainer.isBusy())
        self.said("LIST")
        self.end(second)
        self.assertFalse(self.drainer.isBusy())

    def test_lastWordInADownload(self) -> None:
        """
        At the deadline 421 is said, and the data connection is cut, so that nobody takes
        what has arrived for everything; nobody logs that.
        """
        data = self.passive()
        self.said("RETR big.bin")
        file = data.transport.producer.file
        self.hint()
        self.assertEqual(self.drainer.lastWord(5), "421")
        self.assertTrue(data.transport.disconnected)
        self.assertIsNone(data.transport.producer)
        self.assertTrue(file.closed)
        self.end(data)
        self.assertGone(self.heard())
        self.lose()
        self.assertEqual((self.heard(), self.ports), (b"", []))

    def test_cutAtOnce(self) -> None:
        """
        A real data connection is reset before anything else can happen: the process may
        be about to end.
        """
        self.said("PASV")
        wire = Wire(self.ports[0])
        self.addCleanup(wire.close)
        self.said("STOR new.bin")
        wire.peer.send(b"some")
        wire.pump()
        self.hint()
        self.assertEqual(self.drainer.lastWord(5), "421")
        self.assertFalse(wire.transport.connected)
        wire.pumpUntil(lambda: wire.peer.over)
        self.assertEqual(wire.peer.over, "RST")
        self.assertEqual(self.files.child("new.bin").getContent(), b"some")
        self.assertGone(self.heard())

    def test_lastWordInAnUpload(self) -> None:
        """
        What Twisted says when an upload is cut is not said.
        """
        data = self.passive()
        self.said("STOR new.bin")
        data.dataReceived(b"some")
        self.hint()
        self.assertEqual(self.drainer.lastWord(5), "421")
        self.end(data)
        self.assertGone(self.heard())

    def test_lastWordForAnotherProducer(self) -> None:
        """
        An application's own producer is told, by whoever else cuts its connection.
        """
        data = self.passive()
        self.said("RETR big.bin")
        data.transport.producer = producer = object()
        self.hint()
        self.drainer.lastWord(5)
        self.assertIs(data.transport.producer, producer)
        self.assertTrue(data.transport.disconnected)

    def test_controlIsLost(self) -> None:
        """
        With the control connection go the passive port and the data connection, and
        nothing is logged, nor scheduled.
        """
        for command in ("RETR big.bin", "STOR new.bin"):
            self.setUp()
            data = self.passive()
            self.said(command)
            self.hint()
            self.assertEqual(len(self.ports), 1)
            self.lose()
            self.assertEqual(self.ports, [])
            self.assertTrue(data.transport.disconnected)
            self.end(data)
            self.assertEqual(self.reactor.getDelayedCalls(), [])
            self.assertEqual(self.watch.idled, 0)

    def test_controlIsLostBeforeTheRest(self) -> None:
        """
        What was sent completely still arrives.
        """
        data = self.passive()
        self.said("LIST")
        self.hint()
        self.lose()
        self.assertTrue(data.transport.disconnecting)
        self.assertFalse(data.transport.disconnected)

    def test_thePortIsClosed(self) -> None:
        """
        A passive port to which nobody came is closed with the control connection.
        """
        self.said("PASV")
        self.hint()
        self.assertEqual(self.drainer.lastWord(5), "421")
        self.assertGone(self.heard())
        self.lose()
        self.assertEqual(self.ports, [])
