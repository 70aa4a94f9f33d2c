"""
FTP servers that are stopped while their clients are in the middle of something.
"""

from __future__ import annotations

import ftplib
import socket

from tests.live.clients import HOST, TIMEOUT, Address, Peer
from tests.live.imapftpservers import MANY, MUCH, ROOT
from tests.live.processes import SLACK, eventually
from tests.live.serving import IDLE, SHORT, ServingTestCase

GOODBYE = "421 Service not available, closing control connection."


class FTPTests(ServingTestCase):
    """
    An FTP server.
    """

    factory = "makeFTP"

    def environment(self) -> dict[str, str]:
        self.files = self.directory()
        (self.files / "big.bin").write_bytes(MUCH)
        return {ROOT: str(self.files)}

    def ftp(self) -> ftplib.FTP:
        """
        A client that has logged in.
        """
        client = ftplib.FTP(timeout=TIMEOUT)
        self.addCleanup(client.close)
        client.connect(HOST, self.address.port)
        client.login()
        client.voidcmd("TYPE I")
        return client

    def data(self, client: ftplib.FTP, window: int | None = None) -> socket.socket:
        """
        A data connection of its own, for whatever it is used for.
        """
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.settimeout(TIMEOUT)
        if window is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        sock.connect(client.makepasv())
        return sock

    def assertRefused(self, client: ftplib.FTP) -> None:
        """
        The next command gets the protocol's goodbye, and then the connection ends.
        """
        with self.assertRaisesRegex(ftplib.error_temp, GOODBYE):
            client.pwd()
        self.assertRaises(EOFError, client.getline)
        client.close()

    def test_download(self) -> None:
        """
        A download by a slow client is completed; the next command gets 421.
        """
        server = self.serving()
        client = self.ftp()
        with self.data(client, 2**15) as data:
            self.assertEqual(client.sendcmd("RETR big.bin")[:3], "125")
            received = data.recv(1000)
            server.terminate()
            server.awaitPortsClosed()
            while chunk := data.recv(2**16):
                received += chunk
        self.assertEqual(len(received), len(MUCH))
        self.assertEqual(received, MUCH)
        self.assertEqual(client.voidresp(), "226 Transfer Complete.")
        self.assertRefused(client)
        self.assertFinished(server)

    def test_passivePortsAreClosed(self) -> None:
        """
        A port for data connections is closed with its control connection, and does not
        wait for those of others.
        """
        server = self.serving()
        leaving, staying = self.ftp(), self.ftp()
        _, port = leaving.makepasv()
        address = Address(port=port)
        address.connect().close()
        with self.data(staying) as data:
            staying.sendcmd("STOR new.bin")
            server.terminate()
            self.assertEqual(leaving.getline(), GOODBYE)
            self.assertRaises(EOFError, leaving.getline)
            leaving.close()

            def closed() -> bool:
                try:
                    return address.refuses()
                except ConnectionResetError:
                    # Just in the moment when Twisted closes it.
                    return False

            self.assertTrue(eventually(closed))
            data.sendall(b"all")
        self.assertEqual(staying.voidresp(), "226 Transfer Complete.")
        self.assertRefused(staying)
        self.assertFinished(server, "0 aborted")

    def test_upload(self) -> None:
        """
        An upload is taken to its end; QUIT is obeyed.
        """
        server = self.serving()
        client = self.ftp()
        with self.data(client) as data:
            client.sendcmd("STOR new.bin")
            data.sendall(MUCH[:1000])
            server.terminate()
            server.awaitPortsClosed()
            data.sendall(MUCH[1000:])
        self.assertEqual(client.voidresp(), "226 Transfer Complete.")
        self.assertEqual((self.files / "new.bin").read_bytes(), MUCH)
        self.assertEqual(client.quit(), "221 Goodbye.")
        self.assertFinished(server)

    def test_theRestIsWaitedFor(self) -> None:
        """
        A server that has said that the transfer is complete stays until its client has
        received all of it, whatever it asks for next.
        """
        server = self.serving()
        client = self.ftp()
        with self.data(client, 2**15) as data:
            client.sendcmd("NLST many")
            self.assertEqual(client.voidresp(), "226 Transfer Complete.")
            server.terminate()
            client.putcmd("QUIT")
            self.assertFalse(eventually(lambda: server.status is not None, 3 * IDLE))
            received = b""
            while chunk := data.recv(2**16):
                received += chunk
        self.assertEqual(received.splitlines(), [name.encode() for name in MANY])
        self.assertEqual(client.voidresp(), "221 Goodbye.")
        client.close()
        self.assertFinished(server)

    def test_aTransferThatIsAboutToBegin(self) -> None:
        """
        Who had a data connection when the stop began may use it, once.
        """
        server = self.serving()
        client = self.ftp()
        with self.data(client) as data:
            self.assertEqual(client.size("big.bin"), len(MUCH))
            server.terminate()
            server.awaitPortsClosed()
            self.assertEqual(client.size("big.bin"), len(MUCH))
            client.sendcmd("RETR big.bin")
            received = b""
            while chunk := data.recv(2**16):
                received += chunk
        self.assertEqual(received, MUCH)
        self.assertEqual(client.voidresp(), "226 Transfer Complete.")
        self.assertRefused(client)
        self.assertFinished(server)

    def test_renaming(self) -> None:
        """
        What was begun with RNFR may be completed.
        """
        server = self.serving()
        client = self.ftp()
        self.assertEqual(client.sendcmd("RNFR big.bin")[:3], "350")
        server.terminate()
        server.awaitPortsClosed()
        self.assertEqual(client.sendcmd("RNTO other.bin")[:3], "250")
        self.assertTrue((self.files / "other.bin").exists())
        self.assertRefused(client)
        self.assertFinished(server)

    def test_idle(self) -> None:
        """
        Who does nothing gets 421 at the end of the idle grace.
        """
        server = self.serving()
        client = self.ftp()
        server.terminate()
        self.assertEqual(client.getline(), GOODBYE)
        self.assertRaises(EOFError, client.getline)
        client.close()
        self.assertFinished(server, "1 idle, 0 finished, 0 aborted")

    def test_stragglers(self) -> None:
        """
        A download that is not done at the deadline is named; its client gets 421, and
        does not take what it has for everything.
        """
        server = self.serving(SHORT)
        client = self.ftp()
        data = self.data(client, 2**15)
        client.sendcmd("RETR big.bin")
        server.terminate()
        self.assertStraggler(server, r"RETR big\.bin from [\d.:]+, .*told 421")
        self.assertEqual(client.getline(), GOODBYE)
        self.assertTrue(Peer(data).wasReset())

    def test_stragglersInAnUpload(self) -> None:
        """
        So is an upload that goes on and on.
        """
        server = self.serving(SHORT)
        client = self.ftp()
        data = self.data(client)
        client.sendcmd("STOR new.bin")
        data.sendall(b"some")
        server.terminate()
        self.assertStraggler(server, r"STOR new\.bin from [\d.:]+, .*told 421")
        self.assertEqual(client.getline(), GOODBYE)
        self.assertTrue(Peer(data).wasReset())

    def test_stragglersWithoutATransfer(self) -> None:
        """
        So is a client that opens a data connection and leaves it at that.
        """
        server = self.serving(SHORT)
        client = self.ftp()
        self.data(client)
        server.terminate()
        self.assertStraggler(server, r"data connection without a transfer from .*told 421")
        self.assertEqual(client.getline(), GOODBYE)

    def test_stragglersThatAreNotTold(self) -> None:
        """
        A second signal cuts everything at once, the transfer too.
        """
        server = self.serving()
        client = self.ftp()
        data = self.data(client, 2**15)
        client.sendcmd("RETR big.bin")
        server.terminate()
        server.awaitPortsClosed()
        server.send()
        self.assertLess(server.gone(), 1.0 + SLACK)
        self.assertRegex(server.report(), r"1 aborted.* RETR big\.bin from ")
        self.assertNotIn("Traceback", server.log())
        self.assertTrue(Peer(data).wasReset())
