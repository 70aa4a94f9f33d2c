"""
The drainer of IMAP servers, while a command is in progress.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport

from terminable.drainers import library
from terminable.drainers.imap4 import watch
from terminable.interfaces import IDrainer
from tests.doubles import Boom
from tests.imapftp import LETTER
from tests.imapsession import BYE, IMAPTestCase


class BusyTests(IMAPTestCase):
    """
    Sessions with a command in progress.
    """

    def pending(self, line: bytes = b"a FETCH 1 BODY[]") -> Deferred[Any]:
        """
        A command whose mailbox is still working on it.
        """
        self.box.answers.append(Deferred())
        answer = self.box.answers[0]
        self.said(line)
        return answer

    def test_workedOn(self) -> None:
        """
        A command whose answer the application has not given is in progress; it is
        completed, and then the connection is idle.
        """
        answer = self.pending()
        self.assertTrue(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "FETCH (tag a)")
        self.hint()
        self.drainer.drain()
        self.assertEqual((self.heard(), self.transport.disconnecting), (b"", False))
        answer.callback(None)
        heard = self.heard()
        self.assertIn(LETTER, heard)
        self.assertTrue(heard.endswith(b"a OK FETCH completed\r\n"))
        self.assertEqual((self.drainer.isBusy(), self.drainer.describe()), (False, ""))
        self.assertEqual(self.watch.idled, 1)
        self.drainer.drain()
        self.assertGone(self.heard())

    def test_refusedAndFailed(self) -> None:
        """
        A command ends with NO and BAD as well.
        """
        for fails, answer in ((False, b"a NO"), (True, b"a BAD")):
            self.account.selecting = Deferred()
            self.said(b"a SELECT nowhere")
            self.assertTrue(self.drainer.isBusy())
            if fails:
                self.account.selecting.errback(Boom())
            else:
                self.account.selecting.callback(None)
            self.assertTrue(self.heard().startswith(answer))
            self.assertFalse(self.drainer.isBusy())
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)

    def test_twoAtOnce(self) -> None:
        """
        It is idle when the last of several commands is done, in whichever order.
        """
        first = self.pending()
        self.account.selecting = second = Deferred()
        self.said(b"b SELECT INBOX")
        self.hint()
        second.callback(None)
        self.assertIn(b"b OK", self.heard())
        self.assertTrue(self.drainer.isBusy())
        self.assertEqual(self.watch.idled, 0)
        first.callback(None)
        self.assertIn(b"a OK", self.heard())
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.watch.idled, 1)

    def test_mistakes(self) -> None:
        """
        What is answered at once is not in progress, whatever is wrong with it.
        """
        for line in (b"a", b"a NOTHING", b"a FETCH x FLAGS", b"a UID NOOP", b"a NOOP x", b""):
            self.assertIn(b"BAD", self.said(line))
            self.assertFalse(self.drainer.isBusy(), line)

    def test_failures(self) -> None:
        """
        A command whose handling has failed, so that it is answered without its tag, is
        not in progress.
        """
        self.server.mbox = None
        self.assertTrue(self.said(b"a CLOSE").startswith(b"* BAD"))
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)

    def test_uid(self) -> None:
        """
        UID goes with what it is about, and is one command.
        """
        answer = self.pending(b"a UID FETCH 1 BODY[]")
        self.assertEqual(self.drainer.describe(), "UID FETCH (tag a)")
        answer.callback(None)
        self.heard()
        self.assertFalse(self.drainer.isBusy())

    def test_aNewCommandWaits(self) -> None:
        """
        A new command while another is in progress does not begin; when the other is
        done, it is answered with BYE.
        """
        answer = self.pending()
        self.hint()
        self.assertEqual(self.said(b"b FETCH 1 BODY[]"), b"")
        answer.callback(None)
        heard = self.heard()
        self.assertTrue(heard.endswith(b")\r\na OK FETCH completed\r\n" + BYE), heard)
        self.assertNotIn(b"b OK", heard)
        self.assertTrue(self.transport.disconnecting)

    def test_logoutWaits(self) -> None:
        """
        LOGOUT behind a command in progress is obeyed when that is done.
        """
        answer = self.pending()
        self.hint()
        self.said(b"b LOGOUT")
        answer.callback(None)
        heard = self.heard()
        self.assertLess(heard.index(b"a OK"), heard.index(b"* BYE Nice"))
        self.assertTrue(heard.endswith(b"b OK LOGOUT successful\r\n"))

    def test_beingWritten(self) -> None:
        """
        A FETCH is in progress until the whole of it is written.
        """
        self.server.dataReceived(b"a FETCH 1 BODY[]\r\n")
        self.clock.advance(0)
        self.assertIsNotNone(self.transport.producer)
        self.hintInTheMiddle()
        self.assertTrue(self.drainer.isBusy())
        self.drainer.drain()
        heard = self.heard()
        self.assertIn(b"{%d}\r\n%s)\r\na OK" % (len(LETTER), LETTER), heard)
        self.assertFalse(self.drainer.isBusy())

    def hintInTheMiddle(self) -> None:
        """
        The drain begins, and nothing happens.
        """
        self.drainer.hint(self.watch)

    def test_putAside(self) -> None:
        """
        Commands that were put aside during a FETCH before the drain are obeyed after it;
        those that came later are not.
        """
        self.server.dataReceived(b"a FETCH 1 BODY[]\r\nb NOOP\r\nc APPEND INBOX () {5}\r\n")
        self.hintInTheMiddle()
        self.server.dataReceived(b"d NOOP\r\n")
        heard = self.heard()
        self.assertIn(b"a OK FETCH completed\r\nb OK", heard)
        self.assertTrue(heard.endswith(b"+ Ready for 5 octets of data\r\n"), heard)
        heard = self.said(b"hello")
        self.assertTrue(heard.endswith(b"c OK APPEND complete\r\n" + BYE), heard)
        self.assertEqual(self.box.letters[1].content, b"hello")

    def test_putAsideBehindLogout(self) -> None:
        """
        Nothing comes after LOGOUT, although it was put aside as well.
        """
        self.server.dataReceived(b"a FETCH 1 BODY[]\r\nb LOGOUT\r\nc NOOP\r\n")
        self.hintInTheMiddle()
        self.assertTrue(self.heard().endswith(b"b OK LOGOUT successful\r\n"))
        self.assertFalse(self.drainer.isBusy())

    def test_literal(self) -> None:
        """
        A message that is being sent is taken whole, whatever it looks like.
        """
        self.assertTrue(self.said(b"a APPEND INBOX () {16}").startswith(b"+ "))
        self.assertTrue(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "APPEND (tag a)")
        self.hint()
        self.server.dataReceived(b"x NOOP\r\n")
        self.server.dataReceived(b"y LOG")
        self.assertEqual(self.heard(), b"")
        self.assertTrue(self.drainer.isBusy())
        self.server.dataReceived(b"OUT\r\n")
        self.assertEqual(self.heard(), b"* 2 EXISTS\r\na OK APPEND complete\r\n")
        self.assertEqual(self.box.letters[1].content, b"x NOOP\r\ny LOGOUT")
        self.assertGreaterEqual(self.watch.idled, 1)
        self.assertGone(self.said(b"b NOOP"))

    def test_literalsInALine(self) -> None:
        """
        The rest of a line with a literal is no new command, with another one neither.
        """
        self.said(b"a SELECT {5}")
        self.hint()
        self.assertIn(b"a OK [READ-WRITE] SELECT", self.said(b"INBOX"))

    def test_authenticating(self) -> None:
        """
        AUTHENTICATE is completed.
        """
        self.server = self.session()
        library.begin(self.server)
        self.transport = StringTransport()
        self.server.makeConnection(self.transport)
        self.drainer = IDrainer(self.server)
        self.said(b"a AUTHENTICATE PLAIN")
        self.assertEqual(self.drainer.describe(), "AUTHENTICATE (tag a)")
        self.hint()
        self.assertTrue(self.drainer.isBusy())
        response = b64encode(b"\0me\0secret")
        self.assertEqual(self.said(response), b"a OK Authentication successful\r\n")
        self.assertGone(self.said(b"b SELECT INBOX"))

    def test_manyAreNamed(self) -> None:
        """
        Of many commands a few are named, with what can be printed of their tags.
        """
        self.box.answers = [Deferred() for _ in range(5)]
        for tag in (b"a", b"\xe4\x1b", b"c", b"d", b"e"):
            self.said(tag + b" FETCH 1 BODY[]")
        self.assertEqual(
            self.drainer.describe(),
            "FETCH (tag a), FETCH (tag \\xe4\\x1b), FETCH (tag c), 2 more commands",
        )

    def test_tooManyToRemember(self) -> None:
        """
        Commands that are never answered do not fill the memory.
        """
        for number in range(150):
            self.pending(b"%d APPEND INBOX () {1}" % number)
            self.said(b"x")
            del self.box.answers[:]
        self.assertEqual(len(watch(self.server).open), 100)
        self.assertEqual(next(iter(watch(self.server).open)), b"50")

    def test_lastWord(self) -> None:
        """
        At the deadline BYE is said, and what the application comes up with after that is
        not.
        """
        answer = self.pending()
        self.hint()
        self.assertEqual(self.drainer.lastWord(5), "BYE")
        answer.callback(None)
        self.assertGone(self.heard())

    def test_lastWordInALiteral(self) -> None:
        """
        BYE may be said while the client is sending; what it sends is swallowed.
        """
        self.said(b"a APPEND INBOX () {5}")
        self.hint()
        self.assertEqual(self.drainer.lastWord(5), "BYE")
        self.assertGone(self.said(b"hello", b"b NOOP"))
        self.assertEqual(len(self.box.letters), 1)

    def test_noLastWordInAFetch(self) -> None:
        """
        In the middle of an answer BYE would be taken for a part of it.
        """
        self.server.dataReceived(b"a FETCH 1 BODY[]\r\n")
        self.clock.advance(0)
        self.hintInTheMiddle()
        self.assertEqual(self.drainer.lastWord(5), "")
        self.assertFalse(self.transport.disconnecting)
