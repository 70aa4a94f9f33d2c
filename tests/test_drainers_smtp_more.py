"""
The drainer for SMTP: the deadline, authentication, and LMTP.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.mail.interfaces import IMessageDelivery
from twisted.mail.smtp import ESMTP

from tests.postoffice import LMTP, EagerLMTP, Plain, Porter
from tests.test_drainers_smtp import CONTINUE, GOODBYE, HELLO, MAIL, RCPT, SMTPTestCase


class LastWordTests(SMTPTestCase):
    """
    The deadline.
    """

    def test_betweenCommands(self) -> None:
        """
        Who hangs between two commands is told.
        """
        self.ask(MAIL)
        self.hint()
        self.assertEqual(self.drainer.lastWord(5), "421")
        self.send(RCPT)
        self.assertGone(GOODBYE)

    def test_inAMessage(self) -> None:
        """
        Who is in the middle of a message is told, and its end is not taken any more.
        """
        self.ask(MAIL, RCPT, b"DATA", b"hello")
        self.hint()
        self.assertEqual(self.drainer.lastWord(5), "421")
        self.send(b".")
        self.protocol.lineReceived(b".")
        self.assertGone(GOODBYE)
        [message] = self.delivery.messages
        self.assertEqual(message.ended, "")
        self.protocol.connectionLost(None)
        self.assertEqual(message.ended, "lost")

    def test_beforeTheAnswer(self) -> None:
        """
        Who waits for the final answer gets the goodbye in its place, and no other.
        """
        [later] = self.waitFor()
        self.ask(MAIL, RCPT, b"DATA", b"hello", b".")
        self.hint()
        self.assertEqual(self.drainer.lastWord(5), "421")
        later.callback(None)
        self.assertGone(GOODBYE)

    def test_unhinted(self) -> None:
        """
        The same if the deadline is the beginning.
        """
        [later] = self.waitFor()
        self.ask(MAIL, RCPT, b"DATA", b"hello", b".")
        self.assertEqual(self.drainer.lastWord(5), "421")
        later.callback(None)
        self.assertGone(GOODBYE)

    def test_tooLate(self) -> None:
        """
        After the goodbye there is no other.
        """
        self.drainer.drain()
        self.assertGone(GOODBYE)

    def test_timeout(self) -> None:
        """
        The protocol's own time limit says the same, and ours is not said again.
        """
        self.hint()
        self.clock.advance(600)
        [said] = self.said()
        self.assertTrue(said.startswith(b"421 mx.example Timeout"))
        self.assertGone()


class AuthenticationTests(SMTPTestCase):
    """
    AUTH of ESMTP.
    """

    hello = b"EHLO client.example"

    def setUp(self) -> None:
        self.begin(ESMTP)
        self.protocol.challengers = {b"PLAIN": Plain}
        self.portal = self.protocol.portal = Porter(IMessageDelivery, self.delivery)

    def test_exchange(self) -> None:
        """
        An exchange is completed; the next command is told.
        """
        self.assertEqual(self.ask(b"AUTH PLAIN"), [b"334 "])
        self.hint()
        self.assertBusy("AUTH")
        self.assertEqual(self.ask(b"AGEAYg=="), [b"235 Authentication successful."])
        self.assertEqual(self.idled, 1)
        self.send(MAIL)
        self.assertGone(GOODBYE)

    def test_abandoned(self) -> None:
        """
        Or abandoned.
        """
        self.ask(b"AUTH PLAIN")
        self.hint()
        self.assertEqual(self.ask(b"*"), [b"501 Authentication aborted"])
        self.assertEqual(self.idled, 1)
        self.assertIdle()

    def test_thinking(self) -> None:
        """
        Whoever asks a database who somebody is gets the time to; what follows waits.
        """
        for lines in ([b"AUTH PLAIN AGEAYg=="], [b"AUTH PLAIN", b"AGEAYg=="]):
            self.setUp()
            later = self.portal.thinking = Deferred()
            self.ask(*lines)
            self.hint()
            self.assertBusy("AUTH, answer pending")
            self.send(MAIL)
            self.assertEqual(self.said(), [])
            later.callback(None)
            self.assertGone(b"235 Authentication successful.", GOODBYE)

    def test_deadline(self) -> None:
        """
        An exchange that hangs is told.
        """
        self.ask(b"AUTH PLAIN")
        self.hint()
        self.assertEqual(self.drainer.lastWord(5), "421")
        self.assertGone(GOODBYE)


class LMTPTests(SMTPTestCase):
    """
    LMTP, which has one answer for each recipient.
    """

    hello = b"LHLO client.example"
    kind: Any = LMTP

    def setUp(self) -> None:
        self.begin(self.kind)

    def toThree(self) -> list[Deferred[Any]]:
        """
        Send a message to three recipients.
        """
        waiting = self.waitFor(3)
        rcpts = [b"RCPT TO:<%d@e.f>" % number for number in range(3)]
        answers = self.ask(MAIL, *rcpts, b"DATA", b"hello", b".")
        self.assertEqual(answers[-1], CONTINUE)
        return waiting

    def test_atOnce(self) -> None:
        """
        A transaction is over with the last of its answers.
        """
        waiting = self.toThree()
        self.hint()
        for later in waiting:
            self.assertBusy("MAIL FROM:<a@b.c> DATA, answer pending")
            later.callback(None)
        self.assertEqual(self.said(), [b"250 Delivered"] * 3)
        self.assertEqual(self.idled, 1)
        self.send(MAIL)
        self.assertGone(GOODBYE)

    def test_someFail(self) -> None:
        """
        The same if some of them are failures; what follows waits for all.
        """
        first, second, third = self.toThree()
        self.hint()
        first.callback(None)
        second.errback(ZeroDivisionError())
        self.send(b"QUIT")
        self.assertEqual(self.said(), [])
        third.callback(None)
        self.assertGone(
            b"250 Delivered", b"450 Not delivered", b"250 Delivered", b"221 See you later"
        )

    def test_lineTooLong(self) -> None:
        """
        A line that is too long is answered once for all recipients.
        """
        self.ask(MAIL, RCPT, RCPT, b"DATA")
        self.hint()
        self.assertEqual(self.ask(b"x" * 20000), [b"500 Line too long"])
        self.assertIdle()

    def test_oneForAllElse(self) -> None:
        """
        Whatever else is asked has one answer, also in several steps.
        """
        for later in self.toThree():
            later.callback(None)
        self.said()
        self.protocol.do_XYZZY = lambda rest: self.protocol.sendCode(334, b"")
        self.assertEqual(self.ask(b"XYZZY"), [b"334 "])
        self.assertBusy("XYZZY, answer pending")
        self.protocol.sendCode(250, b"")
        self.said()
        self.assertIdle()

    def test_noRecipients(self) -> None:
        """
        DATA without recipients is answered once.
        """
        self.ask(MAIL, b"DATA")
        self.hint()
        self.assertBusy("MAIL FROM:<a@b.c> DATA")
        self.ask(b"RSET")
        self.assertIdle()


class EagerLMTPTests(LMTPTests):
    """
    The same with answers that are given as soon as they are known.
    """

    kind = EagerLMTP

    def test_atOnce(self) -> None:
        """
        A transaction is over with the last of its answers.
        """
        waiting = self.toThree()
        self.hint()
        for number, later in enumerate(waiting):
            self.assertBusy("MAIL FROM:<a@b.c> DATA, answer pending")
            self.assertEqual(self.idled, 0)
            later.callback(None)
            self.assertEqual(self.said(), [b"250 Delivered to %d@e.f" % number])
        self.assertEqual(self.idled, 1)
        self.send(MAIL)
        self.assertGone(GOODBYE)

    def test_someFail(self) -> None:
        """
        At the deadline the goodbye stands for those that are missing.
        """
        first, _, third = self.toThree()
        self.hint()
        first.callback(None)
        self.said()
        self.assertEqual(self.drainer.lastWord(5), "421")
        third.callback(None)
        self.assertGone(GOODBYE)


class BothTests(SMTPTestCase):
    """
    A server that speaks both, as its client likes.
    """

    def setUp(self) -> None:
        self.begin(LMTP)
        self.ask(b"LHLO client.example")

    def test_helloAgain(self) -> None:
        """
        A client that speaks SMTP has one answer.
        """
        self.ask(HELLO)
        self.ask(MAIL, RCPT, RCPT, b"DATA")
        self.protocol._messageHandled = lambda _: self.protocol.sendCode(250, b"all")
        self.assertEqual(self.ask(b"."), [b"250 all"])
        self.assertIdle()
