"""
Commands of protocols that answer each in words of their own.
"""

from __future__ import annotations

from typing import Any

from twisted.cred.portal import Portal
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.mail import imap4, pop3, smtp
from twisted.protocols import ftp
from zope.interface import implementer

from terminable.drainers.smtp import watch
from tests.metering import Metered, MeterTestCase

#: The one that is installed.
installed: Any = reactor

WORDS = b"QUOTA_EXCEEDED: try again in 1 s\r\n"


@implementer(smtp.IMessage)
class Letter:
    """
    A mail.
    """

    def __init__(self, lines: list[bytes]) -> None:
        self.lines = lines

    def lineReceived(self, line: bytes) -> None:
        """
        A line of it.
        """
        self.lines.append(line)

    def eomReceived(self) -> Any:
        """
        That was all.
        """
        return succeed(None)

    def connectionLost(self) -> None:
        """
        It will not be complete.
        """


class Post(smtp.ESMTP):
    """
    Takes every mail.
    """

    timeout = None  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.host = b"here"
        self.letter: list[bytes] = []

    def receivedHeader(self, *args: Any) -> bytes:
        """
        None.
        """
        return b""

    def validateFrom(self, helo: Any, origin: Any) -> Any:
        """
        Anybody may send.
        """
        return origin

    def validateTo(self, user: Any) -> Any:
        """
        Everybody lives here.
        """
        return lambda: Letter(self.letter)


class SMTPTests(MeterTestCase):
    """
    C{twisted.mail.smtp}.
    """

    def test_commandsOnly(self) -> None:
        """
        Lines of a mail are not counted, and never refused.
        """
        made = self.serve(Post, "messages=10/s:burst=4:over=quota")
        made.said()
        made.send(b"EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n")
        self.assertIn(b"\r\n354 ", made.said())
        made.send(b"".join(b"line %d\r\n" % number for number in range(50)) + b".\r\n")
        self.assertTrue(made.said().startswith(b"250"))
        self.assertEqual(len(made.protocol.letter), 51)
        made.send(b"RSET\r\n")
        self.assertEqual(made.said(), b"450 4.7.0 " + WORDS)
        made.go(0.2)
        made.send(b"RSET\r\n")
        self.assertTrue(made.said().startswith(b"250"))

    def test_delayed(self) -> None:
        """
        A mail that is sent together with its commands comes in one piece.
        """
        made = self.serve(Post, "messages=10/s:burst=1:over=delay")
        made.send(b"EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\ny\r\n.\r\nRSET\r\n")
        self.assertEqual(made.protocol.letter, [])
        made.go(0.32)
        self.assertEqual(made.protocol.letter, [b"", b"x", b"y"])
        self.assertEqual(made.said().count(b"250 "), 4)
        made.go(0.1)
        self.assertEqual(made.said()[:4], b"250 ")

    def test_answersAreOwed(self) -> None:
        """
        A refusal is the answer to its own command, and not to one that takes its time.
        """
        made = self.serve(Post, "messages=10/s:burst=1:over=quota")
        made.protocol.validateFrom = lambda helo, origin: Deferred()
        made.protocol._helo = (b"me", b"here")
        made.send(b"MAIL FROM:<a@b>\r\nRSET\r\n")
        self.assertIn(b"450 4.7.0", made.said())
        self.assertEqual(watch(made.protocol).owed, 1)

    def test_disconnected(self) -> None:
        """
        Who has to go is told so by 421.
        """
        made = self.serve(Post, "messages=10/s:burst=1:over=disconnect")
        made.send(b"RSET\r\nRSET\r\n")
        self.assertTrue(made.said().endswith(b"421 4.7.0 " + WORDS))
        made.go(1.1)
        self.assertEqual(made.peer.over, "FIN")

    def test_tooManyBytes(self) -> None:
        """
        Also who goes for other reasons.
        """
        made = self.serve(Post, "messages=99/s", "received=10/s:over=disconnect")
        made.send(b"RSET\r\n" * 3)
        self.assertIn(b"421 4.7.0 QUOTA_EXCEEDED", made.said())


class POP3Tests(MeterTestCase):
    """
    C{twisted.mail.pop3}.
    """

    def serveOne(self, *limits: str) -> Metered:
        """
        Somebody with a mailbox.
        """
        made = self.serve(pop3.POP3, *limits)
        made.protocol.timeOut = None
        made.said()
        return made

    def test_refused(self) -> None:
        """
        A command that is too much has failed for a while.
        """
        made = self.serveOne("messages=10/s:burst=1:over=quota")
        made.send(b"CAPA\r\nCAPA\r\n")
        self.assertTrue(made.said().endswith(b"-ERR [SYS/TEMP] " + WORDS))

    def test_loginPasses(self) -> None:
        """
        What is no command is not counted.
        """
        made = self.serveOne("messages=10/s:burst=1:over=quota")
        made.protocol.state = "AUTH"
        heard: list[bytes] = []
        made.protocol.state_AUTH = heard.append
        made.send(b"a\r\nb\r\nc\r\n")
        self.assertEqual(heard, [b"a", b"b", b"c"])

    def test_tooManyBytes(self) -> None:
        """
        Who goes for other reasons is not told: there is no answer to be given.
        """
        made = self.serveOne("messages=99/s", "received=4/s:over=disconnect")
        made.send(b"CA")
        made.send(b"CA")
        made.send(b"PA")
        self.assertEqual(made.said(), b"")
        made.go(1.1)
        self.assertEqual(made.peer.over, "FIN")


class IMAP4Tests(MeterTestCase):
    """
    C{twisted.mail.imap4}.
    """

    def serveOne(self, *limits: str) -> Metered:
        """
        A server.
        """

        def build() -> Any:
            protocol = imap4.IMAP4Server()
            protocol.timeOut = protocol.POSTAUTH_TIMEOUT = None  # type: ignore[assignment]
            return protocol

        made = self.serve(build, *limits)
        made.said()
        return made

    def test_refused(self) -> None:
        """
        A command that is too much is refused by its tag.
        """
        made = self.serveOne("messages=10/s:burst=1:over=quota")
        made.send(b"a CAPABILITY\r\nb CAPABILITY\r\n\r\n")
        said = made.said().splitlines(True)
        self.assertEqual(
            said[-2:], [b"b NO [UNAVAILABLE] " + WORDS, b"* NO [UNAVAILABLE] " + WORDS]
        )

    def test_literals(self) -> None:
        """
        What follows a literal belongs to the command before it.
        """
        made = self.serveOne("messages=10/s:burst=1:over=quota")
        made.send(b"a LOGIN {2}\r\n")
        made.send(b"me {6}\r\n")
        made.send(b"secret\r\n")
        self.assertNotIn(b"UNAVAILABLE", made.said())
        made.send(b"b NOOP\r\n")
        self.assertIn(b"b NO [UNAVAILABLE]", made.said())

    def test_tooManyBytes(self) -> None:
        """
        Who goes for other reasons is told by BYE.
        """
        made = self.serveOne("messages=99/s", "received=4/s:over=disconnect")
        made.send(b"a NOOP\r\n")
        made.send(b"a NOOP\r\n")
        self.assertIn(b"* BYE [UNAVAILABLE] QUOTA_EXCEEDED", made.said())


class FTPTests(MeterTestCase):
    """
    C{twisted.protocols.ftp}.
    """

    def serveOne(self, *limits: str) -> Metered:
        """
        A server.
        """
        self.addCleanup(self.forget, set(installed.getDelayedCalls()))
        factory = ftp.FTPFactory(Portal(None))
        factory.timeOut = None  # type: ignore[assignment]
        made = self.serve(None, *limits, factory=lambda clock: factory)
        made.said()
        return made

    def forget(self, known: set[Any]) -> None:
        """
        It would go on when the reactor that is installed says so: in the middle of another test.
        """
        for call in set(installed.getDelayedCalls()) - known:
            call.cancel()

    def test_refused(self) -> None:
        """
        A command that is too much is refused for a while; who has to go is told by 421.
        """
        for over, code in (("quota", b"450 "), ("disconnect", b"421 ")):
            made = self.serveOne(f"messages=10/s:burst=1:over={over}")
            made.send(b"SYST\r\nSYST\r\n")
            made.protocol.resumeProducing()
            self.assertTrue(made.said().endswith(code + WORDS))

    def test_tooManyBytes(self) -> None:
        """
        Who goes for other reasons is told by 421 as well.
        """
        made = self.serveOne("messages=99/s", "received=4/s:over=disconnect")
        made.send(b"SY")
        made.send(b"STSTST")
        self.assertTrue(made.said().endswith(b"421 " + b"QUOTA_EXCEEDED: try again in 1 s\r\n"))
