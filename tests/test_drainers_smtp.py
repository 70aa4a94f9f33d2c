"""
The drainer for SMTP, ESMTP and LMTP.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.mail.smtp import ESMTP, SMTP, SMTPBadSender
from zope.interface.verify import verifyObject

from terminable.drainers import library
from terminable.drainers.smtp import SMTPDrainer, watch
from terminable.interfaces import ILastingDrainer
from tests.dialogues import DialogueTestCase
from tests.postoffice import LMTP, Delivery

GOODBYE = b"421 mx.example Service not available, closing transmission channel"

HELLO = b"HELO client.example"
MAIL = b"MAIL FROM:<a@b.c>"
RCPT = b"RCPT TO:<d@e.f>"

CONTINUE = b"354 Continue"
QUEUED = b"250 Delivery in progress"


class SMTPTestCase(DialogueTestCase):
    """
    A client that has said hello.
    """

    hello = HELLO

    def begin(self, kind: Any = SMTP, watched: bool = True) -> None:
        """
        Connect.
        """
        self.delivery = Delivery()
        protocol = kind()
        protocol.delivery = self.delivery
        protocol.host = b"mx.example"
        protocol.noisy = False
        self.serve(protocol, watched)
        self.ask(self.hello)
        self.assertIdle()

    def setUp(self) -> None:
        self.begin()

    def waitFor(self, count: int = 1) -> list[Deferred[Any]]:
        """
        The next messages have to wait.
        """
        self.delivery.delivering = [Deferred() for _ in range(count)]
        return list(self.delivery.delivering)


class TransactionTests(SMTPTestCase):
    """
    What a client completes.
    """

    def test_theInterface(self) -> None:
        """
        It is the drainer of SMTP and of what extends it.
        """
        for kind in (SMTP, ESMTP, LMTP):
            self.begin(kind)
            self.assertIsInstance(self.drainer, SMTPDrainer)
            self.assertTrue(verifyObject(ILastingDrainer, self.drainer))
            self.assertFalse(self.drainer.silent)
            self.assertFalse(self.drainer.lasting)

    def test_idle(self) -> None:
        """
        Who is idle is told.
        """
        self.hint()
        self.assertIdle()
        self.drainer.drain()
        self.assertGone(GOODBYE)

    def test_nextCommand(self) -> None:
        """
        The next command is answered with the goodbye, whatever it is.
        """
        for command in (HELLO, MAIL, b"RSET", b"NOOP", b"nonsense", b"", b"\xff"):
            self.begin()
            self.hint()
            self.send(command)
            self.assertGone(GOODBYE)

    def test_quit(self) -> None:
        """
        QUIT is answered as ever.
        """
        for command in (b"QUIT", b" quit "):
            self.begin()
            self.hint()
            self.send(command, MAIL)
            self.assertGone(b"221 See you later")

    def test_transaction(self) -> None:
        """
        A transaction that has begun is completed, from any of its steps on; then the next
        command is told.
        """
        text = [b"Subject: x", b"", b"hello", b"MAIL FROM:<no@command>"]
        steps = [MAIL, RCPT, RCPT, b"DATA", *text, b"."]
        said = ["MAIL FROM:<a@b.c>"] + ["MAIL FROM:<a@b.c> RCPT"] * 2
        said += ["MAIL FROM:<a@b.c> DATA"] * 5
        for count, description in enumerate(said, 1):
            self.begin()
            self.ask(*steps[:count])
            self.hint()
            self.assertBusy(description)
            answers = self.ask(*steps[count:])
            self.assertEqual(answers[-1], QUEUED)
            self.assertEqual(self.idled, 1)
            self.assertIdle()
            self.assertEqual(self.delivery.messages[0].lines, text)
            self.send(MAIL)
            self.assertGone(GOODBYE)

    def test_pipelined(self) -> None:
        """
        What is sent behind the end of a transaction is answered with one goodbye
        (RFC 2920).
        """
        self.ask(MAIL, RCPT, b"DATA")
        self.hint()
        self.send(b"hello", b".", MAIL, RCPT, b"DATA")
        self.assertGone(QUEUED, GOODBYE)

    def test_pipelinedAtOnce(self) -> None:
        """
        The same if nothing had begun.
        """
        self.hint()
        self.send(MAIL, RCPT, b"DATA")
        self.assertGone(GOODBYE)
        self.assertEqual(self.delivery.messages, [])

    def test_reset(self) -> None:
        """
        RSET ends a transaction, and so does a new greeting.
        """
        for command in (b"RSET", HELLO):
            self.begin()
            self.ask(MAIL)
            self.hint()
            self.assertEqual(len(self.ask(command)), 1)
            self.assertEqual(self.idled, 1)
            self.assertIdle()
            self.send(MAIL)
            self.assertGone(GOODBYE)

    def test_otherCommands(self) -> None:
        """
        Whatever a client does in the middle of a transaction is answered as ever.
        """
        self.ask(MAIL)
        self.hint()
        [answer] = self.ask(b"XYZZY")
        self.assertTrue(answer.startswith(b"500"))
        self.assertBusy("MAIL FROM:<a@b.c>")

    def test_lineTooLong(self) -> None:
        """
        A line that is too long ends a message.
        """
        self.ask(MAIL, RCPT, b"DATA")
        self.hint()
        self.assertEqual(self.ask(b"x" * 20000), [b"500 Line too long"])
        self.assertEqual(self.idled, 1)
        self.assertIdle()

    def test_delivering(self) -> None:
        """
        A message is in flight until its final answer; what follows it waits.
        """
        for hintFirst in (True, False):
            self.begin()
            [later] = self.waitFor()
            self.ask(MAIL, RCPT, b"DATA", b"hello")
            if hintFirst:
                self.hint()
            self.send(b".")
            if not hintFirst:
                self.hint()
            self.assertBusy("MAIL FROM:<a@b.c> DATA, answer pending")
            self.send(MAIL, RCPT)
            self.assertBusy("MAIL FROM:<a@b.c> DATA, answer pending")
            later.callback(None)
            self.assertGone(QUEUED, GOODBYE)

    def test_deliveredThenIdle(self) -> None:
        """
        If nothing follows it, the end is reported.
        """
        [later] = self.waitFor()
        self.ask(MAIL, RCPT, b"DATA", b"hello", b".")
        self.hint()
        later.callback(None)
        self.assertEqual(self.said(), [QUEUED])
        self.assertEqual(self.idled, 1)
        self.drainer.drain()
        self.assertGone(GOODBYE)

    def test_quitBehindAMessage(self) -> None:
        """
        A client that has said QUIT behind its message gets both answers.
        """
        [later] = self.waitFor()
        self.ask(MAIL, RCPT, b"DATA")
        self.hint()
        self.send(b"hello", b".", b"QUIT")
        self.assertEqual(self.said(), [])
        later.callback(None)
        self.assertGone(QUEUED, b"221 See you later")

    def test_notDelivered(self) -> None:
        """
        A failure ends a transaction too.
        """
        [later] = self.waitFor()
        self.ask(MAIL, RCPT, b"DATA", b"hello", b".")
        self.hint()
        later.errback(ZeroDivisionError())
        self.assertEqual(self.said(), [b"550 Could not send e-mail"])
        self.assertEqual(self.idled, 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_validating(self) -> None:
        """
        A transaction begins with MAIL, before the sender is accepted; what follows waits
        until it is.
        """
        later = self.delivery.validating = Deferred()
        self.send(MAIL)
        self.hint()
        self.assertBusy("MAIL, answer pending")
        self.send(RCPT, b"DATA")
        self.assertEqual(self.said(), [])
        later.callback(None)
        self.assertEqual(len(self.said()), 3)
        self.assertEqual(self.ask(b"."), [QUEUED])
        self.assertEqual(self.idled, 1)

    def test_refused(self) -> None:
        """
        A sender who is refused ends the transaction.
        """
        later = self.delivery.validating = Deferred()
        self.send(MAIL)
        self.hint()
        self.send(RCPT)
        later.errback(SMTPBadSender("a@b.c"))
        refusal, *rest = self.said()
        self.assertTrue(refusal.startswith(b"550 Cannot receive from"))
        self.assertEqual(rest, [GOODBYE])

    def test_recipientsAreNotWaitedFor(self) -> None:
        """
        While there is a sender nothing waits: that is the application's business, as ever.
        """
        self.delivery.validateTo = lambda user: Deferred()  # type: ignore[method-assign]
        self.ask(MAIL, RCPT)
        self.hint()
        self.assertBusy("MAIL FROM:<a@b.c> RCPT, answer pending")
        self.assertEqual(self.ask(b"NOOP"), [b"500 Command not implemented"])

    def test_manyLines(self) -> None:
        """
        An answer of many lines is one, and it may be to a command of which nothing else
        is known.
        """
        self.protocol.do_XYZZY = lambda rest: None
        self.ask(MAIL, RCPT, b"DATA", b".")
        self.send(b"XYZZY")
        self.hint()
        self.assertBusy("XYZZY, answer pending")
        self.protocol.sendLine(b"250-one")
        self.assertTrue(self.drainer.isBusy())
        self.protocol.sendCode(250, b"two\nthree")
        self.said()
        self.assertEqual(self.idled, 1)
        self.assertIdle()

    def test_textualCommands(self) -> None:
        """
        An application may look commands up as texts.
        """
        self.protocol.do_XYZZY = lambda rest: None
        self.protocol.lookupMethod("xyzzy")
        self.assertBusy("XYZZY, answer pending")

    def test_unwatched(self) -> None:
        """
        Of a connection that was not watched from its beginning much is known, and from
        the hint on everything.
        """
        self.begin(watched=False)
        self.ask(MAIL)
        self.assertBusy("MAIL FROM:<a@b.c>")
        self.ask(RCPT, b"DATA")
        self.assertBusy("DATA")
        [later] = self.waitFor()
        self.ask(b".")
        self.assertIdle()
        later.callback(None)
        self.said()
        self.ask(MAIL, RCPT)
        self.hint()
        [later] = self.waitFor()
        self.ask(b"DATA", b".")
        self.assertBusy("MAIL FROM:<a@b.c> DATA, answer pending")
        later.callback(None)
        self.assertEqual(self.said(), [QUEUED])
        self.assertEqual(self.idled, 1)

    def test_watchedOnce(self) -> None:
        """
        Watching again changes nothing.
        """
        self.assertIn(SMTP, library.watched)
        self.assertIs(watch(self.protocol), watch(self.protocol))

    def test_describe(self) -> None:
        """
        Senders are named without harm: those with quoted bytes in them, nobody, and what
        an application makes of them.
        """
        for address, described in (
            (b'"a\x1b\xff"@b', 'MAIL FROM:<"a\\x1b\\xff"@b>'),
            (b"", "MAIL FROM:<>"),
        ):
            self.begin()
            self.ask(b"MAIL FROM:<" + address + b">")
            self.assertBusy(described)
        for sender, described in (("m\xfcller", "m\\xc3\\xbcller"), (b"x\ny", "x\\x0ay")):
            self.begin()
            self.delivery.validateFrom = (  # type: ignore[method-assign]
                lambda helo, origin, sender=sender: sender
            )
            self.ask(MAIL)
            self.assertBusy(f"MAIL FROM:<{described}>")
