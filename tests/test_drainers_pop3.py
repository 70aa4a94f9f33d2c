"""
The drainer for POP3.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, Cooperator
from twisted.mail.pop3 import POP3, IMailbox
from zope.interface.verify import verifyObject

from terminable.drainers import library
from terminable.drainers.pop3 import POP3Drainer, watch
from terminable.interfaces import ILastingDrainer
from tests.dialogues import DialogueTestCase
from tests.postoffice import Box, Plain, Porter

GOODBYE = b"-ERR [SYS/TEMP] server is going down"

LETTER = b"Subject: x\n\nhello\n"

OK = b"+OK "


class POP3TestCase(DialogueTestCase):
    """
    A client that is logged in.
    """

    def begin(self, login: bool = True, watched: bool = True) -> None:
        """
        Connect.
        """
        self.work = Clock()
        cooperator = Cooperator(scheduler=lambda call: self.work.callLater(0, call))
        self.box = Box(*[LETTER] * 3)
        protocol: Any = POP3()
        protocol.portal = self.portal = Porter(IMailbox, self.box)
        protocol.factory = type("Factory", (), {"noisy": False, "challengers": {b"PLAIN": Plain}})
        protocol.schedule = cooperator.coiterate
        self.serve(protocol, watched)
        if login:
            self.assertEqual(self.ask(b"USER a", b"PASS b")[-1], b"+OK Authentication succeeded")
        self.assertIdle()

    def setUp(self) -> None:
        self.begin()

    def finish(self) -> list[bytes]:
        """
        Have everything written that is written bit by bit.
        """
        for _ in range(100):
            self.work.advance(0)
        while self.transport.producer is not None:
            self.transport.producer.resumeProducing()
        return self.said()


class SessionTests(POP3TestCase):
    """
    What a client completes.
    """

    def test_theInterface(self) -> None:
        """
        It is the drainer of POP3.
        """
        self.assertIsInstance(self.drainer, POP3Drainer)
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
        The next command is answered with the goodbye, whatever it is, before and after
        login.
        """
        for login in (True, False):
            for command in (b"STAT", b"NOOP", b"RETR 1", b"USER a", b"nonsense", b"", b"\xff"):
                self.begin(login)
                self.hint()
                self.send(command, command)
                self.assertGone(GOODBYE)

    def test_quit(self) -> None:
        """
        QUIT is answered as ever.
        """
        for command in (b"QUIT", b"quit"):
            self.begin()
            self.hint()
            self.send(command, b"STAT")
            self.assertGone(OK)

    def test_longAnswers(self) -> None:
        """
        An answer that is written bit by bit is completed; then the next command is told.
        """
        for command, last in (
            (b"STAT", OK + b"3 54"),
            (b"LIST", b"."),
            (b"UIDL", b"."),
            (b"RETR 1", b"."),
            (b"TOP 1 1", b"."),
        ):
            self.begin()
            self.send(command)
            self.hint()
            before = self.said()
            self.assertBusy(command.decode())
            self.assertEqual((before + self.finish())[-1], last)
            self.assertTrue(self.idled)
            self.assertIdle()
            self.send(b"NOOP", b"NOOP")
            self.assertGone(GOODBYE)

    def test_pipelined(self) -> None:
        """
        Commands that were sent behind one another are answered with one goodbye, whether
        the drain had begun then or not.
        """
        for before, after in (([b"STAT", b"LIST"], [b"UIDL"]), ([b"STAT"], [b"LIST", b"UIDL"])):
            self.begin()
            self.send(b"RETR 1", *before)
            self.hint()
            self.send(*after)
            self.said()
            self.assertBusy("RETR 1")
            *_, dot, goodbye = self.finish()
            self.assertEqual((dot, goodbye), (b".", GOODBYE))
            self.assertGone()

    def test_quitBehindAnother(self) -> None:
        """
        QUIT that was sent behind another command is obeyed.
        """
        self.send(b"RETR 1", b"QUIT")
        self.hint()
        self.assertEqual(self.finish()[-2:], [b".", OK])
        self.assertGone()

    def test_opening(self) -> None:
        """
        A message that is being looked for is in flight.
        """
        later = self.box.opening = Deferred()
        self.send(b"RETR 2")
        self.hint()
        self.assertBusy("RETR 2")
        later.callback(None)
        self.assertEqual(self.finish()[-1], b".")
        self.assertTrue(self.idled)

    def test_failing(self) -> None:
        """
        A command that fails is over.
        """
        self.send(b"RETR 9")
        self.hint()
        self.assertEqual(self.said(), [b"-ERR Bad message number argument"])
        self.assertIdle()

    def test_applicationFails(self) -> None:
        """
        The same if it is the application that fails.
        """
        later: Deferred[Any] = Deferred()
        self.box.listMessages = lambda i=None: later  # type: ignore[method-assign,assignment]
        self.send(b"STAT")
        self.hint()
        self.assertBusy("STAT")
        later.errback(ZeroDivisionError("oh"))
        self.assertEqual(self.said(), [b"-ERR oh"])
        self.assertTrue(self.idled)
        self.assertIdle()
        self.flushLoggedErrors(ZeroDivisionError)

    def test_unwatched(self) -> None:
        """
        Of a session that was not watched from its beginning it is known whether an answer
        is being given, and from the hint on everything.
        """
        self.begin(watched=False)
        self.send(b"RETR 1", b"LIST")
        self.assertTrue(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "")
        self.hint()
        self.assertEqual(self.finish()[-1], GOODBYE)
        self.begin(watched=False)
        self.send(b"RETR 1")
        self.assertEqual(self.drainer.lastWord(5), "")

    def test_watchedOnce(self) -> None:
        """
        Watching again changes nothing.
        """
        self.assertIn(POP3, library.watched)
        self.assertIs(watch(self.protocol), watch(self.protocol))


class DeletionTests(POP3TestCase):
    """
    Messages that are marked for deletion.
    """

    def test_untilQuit(self) -> None:
        """
        A session in which messages were marked goes on until QUIT, which deletes them.
        """
        self.ask(b"RETR 1", b"DELE 1")
        self.finish()
        self.hint()
        self.assertBusy("DELE of 1 without QUIT")
        self.assertIn(b"hello", self.ask(b"RETR 2", b"DELE 2") + self.finish())
        self.assertBusy("DELE of 2 without QUIT")
        self.send(b"QUIT", b"STAT")
        self.assertFalse(self.drainer.isBusy())
        self.assertGone(OK)
        self.assertEqual(self.box.texts, [b"", b"", LETTER])

    def test_untilReset(self) -> None:
        """
        Or until they are no longer marked.
        """
        self.ask(b"dele 1", b"DELE 2")
        self.hint()
        self.assertBusy("DELE of 2 without QUIT")
        self.assertEqual(self.ask(b"RSET"), [OK])
        self.assertTrue(self.idled)
        self.assertIdle()
        self.send(b"DELE 1")
        self.assertGone(GOODBYE)
        self.assertEqual(self.box.marked, set())

    def test_countedOnce(self) -> None:
        """
        What an application says besides is no other message.
        """
        self.ask(b"DELE 1")
        self.protocol.successResponse(b"really")
        self.said()
        self.assertBusy("DELE of 1 without QUIT")

    def test_notMarked(self) -> None:
        """
        What could not be marked does not count.
        """
        [answer] = self.ask(b"DELE 9")
        self.assertTrue(answer.startswith(b"-ERR"))
        self.flushLoggedErrors(ValueError)
        self.hint()
        self.assertIdle()

    def test_resetFails(self) -> None:
        """
        What is still marked counts.
        """
        self.ask(b"DELE 1")
        self.box.undeleteMessages = lambda: 1 // 0  # type: ignore[method-assign]
        self.assertEqual(self.ask(b"RSET"), [b"-ERR "])
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertBusy("DELE of 1 without QUIT")

    def test_deadline(self) -> None:
        """
        Whoever has not said QUIT at the deadline is told, and nothing is deleted.
        """
        self.ask(b"DELE 1")
        self.hint()
        self.assertEqual(self.drainer.lastWord(5), "-ERR")
        self.send(b"QUIT")
        self.assertGone(GOODBYE)
        self.assertEqual(self.box.texts, [LETTER] * 3)
