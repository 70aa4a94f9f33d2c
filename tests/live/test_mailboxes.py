"""
Servers of mailboxes that are told to stop, and the clients that everybody has.
"""

from __future__ import annotations

import poplib

from tests.live.clients import HOST, TIMEOUT, Peer
from tests.live.processes import SLACK
from tests.live.test_mail import IDLE, SHORT, MailTestCase


class POP3Tests(MailTestCase):
    """
    POP3.
    """

    factory = "makePOP3"
    goodbye = "-ERR [SYS/TEMP] server is going down\r\n"

    def client(self) -> poplib.POP3:
        """
        A client that is logged in.
        """
        client = poplib.POP3(HOST, self.address.port, timeout=TIMEOUT)
        self.addCleanup(client.close)
        client.user("somebody")
        client.pass_("secret")
        return client

    def loggedIn(self, window: int | None = None) -> Peer:
        """
        The same, written by hand.
        """
        peer = self.address.connect(window)
        self.addCleanup(peer.close)
        peer.until(b"\r\n")
        self.tell(peer, "USER somebody", "PASS secret")
        self.assertEqual((self.answer(peer)[:3], self.answer(peer)[:3]), ("+OK", "+OK"))
        return peer

    def test_nextCommandIsTold(self) -> None:
        """
        What C{poplib} makes of the goodbye is an error with its text.
        """
        server = self.serving(idle=8.0)
        client = self.client()
        server.terminate()
        error = self.assertRaises(poplib.error_proto, client.stat)
        self.assertEqual(f"{error.args[0].decode()}\r\n", self.goodbye)
        client.close()
        self.assertLess(server.gone(), 1 + SLACK)
        self.assertIn("0 aborted", server.report())
        self.assertIn("logged out", server.log())

    def test_idle(self) -> None:
        """
        Who has nothing in flight is told without having asked.
        """
        server = self.serving()
        silent, peer = self.raw(), self.loggedIn()
        server.terminate()
        for it in (silent, peer):
            self.assertEqual(it.rest().decode(), self.goodbye)
            it.close()
        self.assertBetween(IDLE, server.gone(), IDLE + 0.5, server.log())
        self.assertIn("2 idle, 0 finished, 0 aborted", server.report())

    def test_longAnswerIsCompleted(self) -> None:
        """
        Who is receiving a message receives all of it; what was sent behind it gets one
        goodbye.
        """
        server = self.serving()
        peer = self.loggedIn(window=2**15)
        self.tell(peer, "RETR 3", "STAT", "LIST")
        peer.until(b"\r\n")
        server.terminate()
        server.awaitPortsClosed()
        text, dot, rest = peer.rest().partition(b"\r\n.\r\n")
        self.assertEqual(text.count(b"0123456789abcde"), 2**19)
        self.assertEqual((dot, rest.decode()), (b"\r\n.\r\n", self.goodbye))
        peer.close()
        server.gone()
        self.assertIn("1 finished, 0 aborted", server.report())

    def test_commandIsCompleted(self) -> None:
        """
        A message that is being looked for is found; the next command is told.
        """
        server = self.serving()
        peer = self.loggedIn()
        self.tell(peer, "RETR 4")
        server.awaitLog("waiting for later")
        server.terminate()
        self.assertEqual(peer.until(b"\r\n.\r\n"), b"+OK 5\r\nlater")
        self.tell(peer, "RETR 4")
        self.assertEqual(peer.rest().decode(), self.goodbye)
        peer.close()
        server.gone()
        self.assertIn("1 finished, 0 aborted", server.report())

    def test_deletionsAreKept(self) -> None:
        """
        A client that has marked messages goes on until QUIT, and they are deleted.
        """
        server = self.serving()
        client = self.client()
        client.retr(1)
        client.dele(1)
        server.terminate()
        server.awaitPortsClosed()
        self.assertEqual(client.retr(2)[1], [b"two"])
        client.dele(2)
        self.assertEqual(client.quit(), b"+OK ")
        server.gone()
        self.assertIn("1 finished, 0 aborted", server.report())
        self.assertIn("deleted [0, 1]", server.log())

    def test_stragglers(self) -> None:
        """
        Who hangs is named at the deadline, and told unless an answer has begun; marked
        messages are not deleted.
        """
        server = self.serving(SHORT)
        waiting, marked, authenticating = self.loggedIn(), self.loggedIn(), self.raw()
        taking = self.loggedIn(window=2**15)
        self.tell(waiting, "RETR 5")
        self.tell(marked, "DELE 1")
        self.tell(authenticating, "AUTH PLAIN")
        self.tell(taking, "RETR 3")
        self.assertEqual(self.answer(marked)[:3], "+OK")
        self.assertEqual(self.answer(authenticating), "+ ")
        taking.until(b"\r\n")
        server.awaitLog("waiting for never")
        server.terminate()
        self.assertBetween(SHORT, server.gone(), SHORT + 0.3, server.log())
        report = server.report()
        self.assertIn("0 idle, 0 finished, 4 aborted", report)
        for peer, name in (
            (waiting, "RETR 5"),
            (marked, "DELE of 1 without QUIT"),
            (authenticating, "AUTH"),
        ):
            self.assertEqual(peer.rest().decode(), self.goodbye)
            self.assertIn(f"{name} from {peer.name}", report)
        self.assertTrue(taking.wasReset())
        self.assertIn(f"RETR 3 from {taking.name}", report)
        self.assertEqual(report.count("told -ERR"), 3)
        self.assertNotIn("deleted", server.log())
