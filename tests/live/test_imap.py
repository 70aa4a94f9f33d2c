"""
IMAP servers that are stopped while their clients are in the middle of something.
"""

from __future__ import annotations

import contextlib
import imaplib
from collections.abc import Callable

from tests.imapftp import LETTER
from tests.live.clients import HOST, TIMEOUT, Peer
from tests.live.imapftpservers import MUCH
from tests.live.serving import SHORT, ServingTestCase

BYE = b"* BYE server is going down\r\n"


class IMAPTests(ServingTestCase):
    """
    An IMAP server.
    """

    factory = "makeIMAP"

    def imap(self, box: str = "INBOX") -> imaplib.IMAP4:
        """
        A client with a mailbox.
        """
        client = imaplib.IMAP4(HOST, self.address.port, TIMEOUT)
        self.addCleanup(self.shutDown, client)
        client.login("me", "secret")
        self.assertEqual(client.select(box)[0], "OK")
        return client

    def shutDown(self, client: imaplib.IMAP4) -> None:
        """
        Leave nothing open.
        """
        with contextlib.suppress(OSError):
            client.shutdown()

    def peer(self, box: str = "INBOX", window: int | None = None) -> Peer:
        """
        The same, with everything in our own hands.
        """
        peer = self.address.connect(window)
        self.addCleanup(peer.close)
        peer.send(b"i1 LOGIN me secret\r\ni2 SELECT %s\r\n" % box.encode())
        peer.until(b"\r\ni2 OK")
        peer.until(b"\r\n")
        return peer

    def assertRefused(self, client: imaplib.IMAP4, work: Callable[..., object]) -> None:
        """
        The client is told that this is the end, as something that may be tried again.
        """
        with self.assertRaisesRegex(imaplib.IMAP4.abort, "server is going down"):
            work()
        self.shutDown(client)

    def test_fetchIsAnswered(self) -> None:
        """
        A FETCH in progress is answered; the next command gets BYE.
        """
        server = self.serving()
        client = self.imap("SLOW")
        fetching = self.meanwhile(client.fetch, "1", "(RFC822)")
        server.awaitLog("the mailbox is at work")
        server.terminate()
        status, parts = fetching.result(TIMEOUT)
        self.assertEqual((status, parts[0][1]), ("OK", LETTER))
        self.assertRefused(client, client.noop)
        self.assertFinished(server)

    def test_fetchArrives(self) -> None:
        """
        A message that is on its way to a slow client arrives whole, and then BYE.
        """
        server = self.serving()
        peer = self.peer(window=2**15)
        peer.send(b"a FETCH 2 BODY[]\r\n")
        peer.until(b"{%d}\r\n" % len(MUCH))
        server.terminate()
        server.awaitPortsClosed()
        self.assertEqual(peer.exactly(len(MUCH)), MUCH)
        self.assertEqual(peer.rest(), b")\r\na OK FETCH completed\r\n" + BYE)
        peer.close()
        self.assertFinished(server)

    def test_appendIsTaken(self) -> None:
        """
        A message that a client is sending is taken whole; the next command gets BYE.
        """
        server = self.serving()
        peer = self.peer()
        peer.send(b"a APPEND INBOX (\\Seen) {%d}\r\n" % len(MUCH))
        peer.until(b"\r\n")
        peer.send(MUCH[:1000])
        server.terminate()
        server.awaitPortsClosed()
        peer.send(MUCH[1000:] + b"\r\n")
        self.assertEqual(peer.until(b"\r\n"), b"* 3 EXISTS")
        self.assertEqual(peer.until(b"\r\n"), b"a OK APPEND complete")
        peer.send(b"b FETCH 3 BODY[]\r\n")
        self.assertEqual(peer.rest(), BYE)
        peer.close()
        self.assertFinished(server)

    def test_appendIsAnswered(self) -> None:
        """
        A message that has been sent is put into its mailbox, and its client is told.
        """
        server = self.serving()
        client = self.imap()
        sending = self.meanwhile(client.append, "SLOW", r"(\Seen)", None, LETTER)
        server.awaitLog("the mailbox is at work")
        server.terminate()
        self.assertEqual(sending.result(TIMEOUT)[0], "OK")
        self.assertRefused(client, client.noop)
        self.assertFinished(server)

    def test_logout(self) -> None:
        """
        LOGOUT is still obeyed.
        """
        server = self.serving(idle=8.0)
        client = self.imap()
        server.terminate()
        self.assertEqual(client.logout()[1], [b"Nice talking to you"])
        self.assertFinished(server, "1 idle, 0 finished, 0 aborted")

    def test_idle(self) -> None:
        """
        Who does nothing, or waits for news, gets BYE at the end of the idle grace.
        """
        server = self.serving()
        silent, waiting = self.peer(), self.peer()
        waiting.send(b"a IDLE\r\n")
        self.assertEqual(waiting.until(b"\r\n"), b"+")
        server.terminate()
        self.assertEqual((silent.rest(), waiting.rest()), (BYE, BYE))
        silent.close()
        waiting.close()
        self.assertFinished(server, "2 idle, 0 finished, 0 aborted")

    def test_stragglers(self) -> None:
        """
        A command that is not done at the deadline is named, and its client gets BYE.
        """
        server = self.serving(SHORT)
        client = self.imap("STUCK")
        fetching = self.meanwhile(client.fetch, "1", "(RFC822)")
        server.awaitLog("the mailbox is at work")
        server.terminate()
        self.assertRefused(client, lambda: fetching.result(TIMEOUT))
        self.assertStraggler(server, r"FETCH \(tag \w+\) from [\d.:]+, .*told BYE")

    def test_encrypted(self) -> None:
        """
        All of this holds behind TLS.
        """
        server = self.serving(tls=True)
        silent, fetching = self.peer(), self.peer("SLOW")
        fetching.send(b"a FETCH 1 BODY[]\r\n")
        server.awaitLog("the mailbox is at work")
        server.terminate()
        self.assertEqual(silent.rest(), BYE)
        silent.close()
        self.assertTrue(fetching.rest().endswith(b"a OK FETCH completed\r\n" + BYE))
        fetching.close()
        self.assertFinished(server, "1 idle, 1 finished, 0 aborted")

    def test_stragglersInALiteral(self) -> None:
        """
        So is a client that does not send what it has announced.
        """
        server = self.serving(SHORT)
        peer = self.peer()
        peer.send(b"a APPEND INBOX (\\Seen) {1000}\r\n")
        peer.until(b"\r\n")
        server.terminate()
        self.assertEqual(peer.rest(), BYE)
        self.assertStraggler(server, r"APPEND \(tag a\) from [\d.:]+, .*told BYE")

    def test_stragglersInAFetch(self) -> None:
        """
        A client that does not take its message is cut off, without a word in it.
        """
        server = self.serving(SHORT)
        peer = self.peer(window=2**15)
        peer.send(b"a FETCH 2 BODY[]\r\n")
        peer.until(b"{%d}\r\n" % len(MUCH))
        server.terminate()
        self.assertStraggler(server, r"FETCH \(tag a\) from [\d.:]+, .* s, \d+ bytes unsent$")
        self.assertTrue(peer.wasReset())
