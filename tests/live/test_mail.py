"""
Mail servers that are told to stop, and the clients that everybody has.
"""

from __future__ import annotations

import smtplib
import ssl

from tests.live.clients import HOST, TIMEOUT, Address, Peer
from tests.live.processes import SLACK, LiveTestCase, Server, freePort

#: The idle grace of these servers, and a grace period that a test can wait for.
IDLE = 0.3
SHORT = 0.6

GOODBYE = "421 mx.example Service not available, closing transmission channel\r\n"

LETTER = b"Subject: x\r\n\r\nhello\r\n"

SENDER, HERE, LATER, NEVER = "a@b.c", "here@d.e", "later@d.e", "never@d.e"


class MailTestCase(LiveTestCase):
    """
    One server.
    """

    factory = ""

    def assertQuiet(self, server: Server) -> None:
        """
        Nobody has logged a failure.
        """
        self.assertNotIn("Traceback", server.log())

    def serving(self, grace: float = 10.0, idle: float = IDLE) -> Server:
        """
        Start it.
        """
        self.address = Address(port=freePort())
        server = self.start(
            "terminable",
            *("--grace", str(grace), "--idle-grace", str(idle)),
            *("--factory", f"tests.live.mailservers.{self.factory}"),
            *("--port", self.address.description),
        )
        self.addCleanup(self.assertQuiet, server)
        return server

    def raw(self, *lines: str) -> Peer:
        """
        A client that is written by hand, has sent some lines, each after the answer to the
        one before, and has been answered.
        """
        peer = self.address.connect()
        self.addCleanup(peer.close)
        peer.until(b"\r\n")
        for line in lines:
            self.tell(peer, line)
            self.answer(peer)
        return peer

    def tell(self, peer: Peer, *lines: str) -> None:
        """
        Send some lines at once.
        """
        peer.send("".join(f"{line}\r\n" for line in lines).encode())

    def answer(self, peer: Peer) -> str:
        """
        The last line of the next answer.
        """
        while (line := peer.until(b"\r\n"))[3:4] == b"-":
            pass
        return line.decode()


class SMTPTests(MailTestCase):
    """
    SMTP and ESMTP.
    """

    factory = "makeSMTP"
    hello = "EHLO x"

    def client(self, *recipients: str) -> smtplib.SMTP:
        """
        A client in the middle of a transaction, if there are recipients.
        """
        client = smtplib.SMTP(HOST, self.address.port, "x", timeout=TIMEOUT)
        self.addCleanup(client.close)
        client.ehlo()
        self.begin(client, *recipients)
        return client

    def begin(self, client: smtplib.SMTP, *recipients: str) -> None:
        """
        Begin a transaction.
        """
        if recipients:
            self.assertEqual(client.mail(SENDER)[0], 250)
        for recipient in recipients:
            self.assertEqual(client.rcpt(recipient)[0], 250)

    def assertTold(self, client: smtplib.SMTP) -> None:
        """
        That one's next command gets the goodbye, and then the connection ends in order.
        """
        code, text = client.mail(SENDER)
        self.assertEqual(f"{code} {text.decode()}\r\n", GOODBYE)
        assert client.file is not None
        self.assertEqual(client.file.read(), b"")

    def test_transactionIsCompleted(self) -> None:
        """
        A client in the middle of a transaction completes it; the next command is told.
        """
        server = self.serving()
        client = self.client(HERE)
        server.terminate()
        server.awaitPortsClosed()
        self.assertEqual(client.data(LETTER)[0], 250)
        self.assertTold(client)
        client.close()
        server.gone()
        self.assertIn("0 idle, 1 finished, 0 aborted", server.report())
        self.assertIn("delivered to here@d.e", server.log())

    def test_finalAnswerIsAwaited(self) -> None:
        """
        A message that is being delivered gets its answer, also long after the idle grace;
        what was sent behind it gets one goodbye.
        """
        server = self.serving()
        peer = self.raw(self.hello, f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{LATER}>", "DATA")
        self.tell(peer, "hello", ".")
        server.awaitLog(f"waiting for {LATER}")
        server.terminate()
        self.tell(peer, "MAIL FROM:<x@y.z>", "RCPT TO:<x@y.z>", "DATA")
        self.assertEqual(peer.until(b"\r\n"), b"250 Delivery in progress")
        self.assertEqual(peer.rest().decode(), GOODBYE)
        peer.close()
        server.gone()
        self.assertIn("1 finished, 0 aborted", server.report())
        self.assertIn("delivered to later@d.e", server.log())

    def test_senderIsAwaited(self) -> None:
        """
        A sender who is being validated when the stop begins has begun a transaction.
        """
        server = self.serving()
        peer = self.raw(self.hello)
        self.tell(peer, f"MAIL FROM:<{LATER}>")
        server.awaitLog(f"waiting for {LATER}")
        server.terminate()
        self.assertEqual(self.answer(peer)[:3], "250")
        for line, code in ((f"RCPT TO:<{HERE}>", "250"), ("DATA", "354"), (".", "250")):
            self.tell(peer, line)
            self.assertEqual(self.answer(peer)[:3], code)
        self.tell(peer, "NOOP")
        self.assertEqual(peer.rest().decode(), GOODBYE)
        peer.close()
        server.gone()
        self.assertIn("1 finished, 0 aborted", server.report())

    def test_idle(self) -> None:
        """
        Who has nothing in flight is told without having asked.
        """
        server = self.serving()
        silent, spoke = self.raw(), self.raw(self.hello)
        server.terminate()
        for peer in (silent, spoke):
            self.assertEqual(peer.rest().decode(), GOODBYE)
            peer.close()
        self.assertBetween(IDLE, server.gone(), IDLE + 0.5, server.log())
        self.assertIn("2 idle, 0 finished, 0 aborted", server.report())

    def test_quit(self) -> None:
        """
        QUIT is answered as ever.
        """
        server = self.serving(idle=8.0)
        client = self.client()
        server.terminate()
        self.assertEqual(client.quit()[0], 221)
        self.assertLess(server.gone(), 1 + SLACK)
        self.assertIn("0 aborted", server.report())

    def test_libraryClient(self) -> None:
        """
        What C{smtplib} makes of it is an error that says to try again.
        """
        server = self.serving()
        client = self.client(HERE)
        server.terminate()
        self.assertEqual(client.data(LETTER)[0], 250)
        error = self.assertRaises(
            smtplib.SMTPSenderRefused, client.sendmail, SENDER, [HERE], LETTER
        )
        self.assertEqual(error.smtp_code, 421)
        server.gone()

    def assertStragglers(self, server: Server, *stragglers: tuple[Peer, str]) -> None:
        """
        At the deadline each of them is told, and named by what it was doing.
        """
        server.terminate()
        self.assertBetween(SHORT, server.gone(), SHORT + 0.3, server.log())
        report = server.report()
        self.assertIn(f"0 idle, 0 finished, {len(stragglers)} aborted", report)
        for peer, name in stragglers:
            self.assertEqual(peer.rest().decode(), GOODBYE)
            self.assertIn(f"{name} from {peer.name}", report)
        self.assertEqual(report.count("told 421"), len(stragglers))

    def test_stragglers(self) -> None:
        """
        Who hangs in the middle of a transaction is told at the deadline, and named.
        """
        server = self.serving(SHORT)
        mail, rcpt = f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{NEVER}>"
        started = self.raw(self.hello, mail, rcpt)
        within = self.raw(self.hello, mail, rcpt, "DATA")
        self.tell(within, "hello")
        delivering = self.raw(self.hello, mail, rcpt, "DATA")
        self.tell(delivering, "hello", ".")
        unknown = self.raw(self.hello)
        self.tell(unknown, "MAIL FROM:<never@a.b>")
        server.awaitLog(f"waiting for {NEVER}")
        server.awaitLog("waiting for never@a.b")
        self.assertStragglers(
            server,
            (started, "MAIL FROM:<a@b.c> RCPT"),
            (within, "MAIL FROM:<a@b.c> DATA"),
            (delivering, "MAIL FROM:<a@b.c> DATA, answer pending"),
            (unknown, "MAIL, answer pending"),
        )


class ESMTPTests(SMTPTests):
    """
    The same after STARTTLS, and AUTH.
    """

    def raw(self, *lines: str) -> Peer:
        if not lines:
            return super().raw()
        peer = super().raw(self.hello, "STARTTLS").secure()
        for line in lines:
            self.tell(peer, line)
            self.answer(peer)
        return peer

    def client(self, *recipients: str) -> smtplib.SMTP:
        client = super().client()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        client.starttls(context=context)
        client.ehlo()
        client.login("somebody", "secret")
        self.begin(client, *recipients)
        return client

    def test_authenticating(self) -> None:
        """
        Who is being authenticated gets to the end of that.
        """
        server = self.serving()
        peer = self.raw(self.hello, "AUTH PLAIN")
        server.terminate()
        self.tell(peer, "AGEAYg==")
        self.assertEqual(self.answer(peer)[:3], "235")
        self.tell(peer, f"MAIL FROM:<{SENDER}>")
        self.assertEqual(peer.rest().decode(), GOODBYE)
        peer.close()
        server.gone()
        self.assertIn("1 finished, 0 aborted", server.report())


class LMTPTests(SMTPTests):
    """
    The same for LMTP.
    """

    factory = "makeLMTP"
    hello = "LHLO x"

    def client(self, *recipients: str) -> smtplib.SMTP:
        client = smtplib.LMTP(HOST, self.address.port, "x")
        self.addCleanup(client.close)
        client.ehlo()
        self.begin(client, *recipients)
        return client

    def test_everyRecipientIsAnswered(self) -> None:
        """
        A client gets one answer for each recipient of its message before it is told.
        """
        server = self.serving()
        client = self.client(HERE, LATER, HERE)
        server.terminate()
        answers = [client.data(LETTER), client.getreply(), client.getreply()]
        self.assertEqual(answers, [(250, b"Delivered")] * 3)
        self.assertTold(client)
        client.close()
        server.gone()
        self.assertIn("1 finished, 0 aborted", server.report())
        self.assertEqual(server.log().count("delivered to"), 3)

    def test_finalAnswerIsAwaited(self) -> None:
        """
        A message that is being delivered gets its answers.
        """
        server = self.serving()
        rcpts = [f"RCPT TO:<{recipient}>" for recipient in (LATER, HERE)]
        peer = self.raw(self.hello, f"MAIL FROM:<{SENDER}>", *rcpts, "DATA")
        self.tell(peer, "hello", ".")
        server.awaitLog(f"waiting for {LATER}")
        server.terminate()
        self.tell(peer, "MAIL FROM:<x@y.z>", "RCPT TO:<x@y.z>", "DATA")
        self.assertEqual(peer.rest().decode(), "250 Delivered\r\n" * 2 + GOODBYE)
        peer.close()
        server.gone()
        self.assertIn("1 finished, 0 aborted", server.report())
