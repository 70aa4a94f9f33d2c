"""
The canary for C{twisted.mail}: every private name that we touch still exists, and means
what we take it to mean.
"""

from __future__ import annotations

from twisted.mail.smtp import SMTP, Address

from terminable.tracking import internals
from tests.dialogues import DialogueTestCase
from tests.postoffice import Delivery


class SMTPTests(DialogueTestCase):
    """
    SMTP servers.
    """

    def setUp(self) -> None:
        protocol = SMTP()
        protocol.delivery = Delivery()
        protocol.noisy = False
        self.serve(protocol)

    def test_sender(self) -> None:
        """
        C{_from} is the sender from the answer to MAIL to the one to DATA, or until RSET.
        """
        self.assertIsNone(internals.smtpSender(self.protocol))
        self.ask(b"MAIL FROM:<a@b.c>")
        sender = internals.smtpSender(self.protocol)
        self.assertIsInstance(sender, Address)
        self.assertEqual(bytes(sender), b"a@b.c")
        self.ask(b"RCPT TO:<d@e.f>")
        self.assertIs(internals.smtpSender(self.protocol), sender)
        self.ask(b"DATA")
        self.assertIsNone(internals.smtpSender(self.protocol))
        self.ask(b".", b"MAIL FROM:<a@b.c>", b"RSET")
        self.assertIsNone(internals.smtpSender(self.protocol))

    def test_nobody(self) -> None:
        """
        The sender of a bounce is somebody too.
        """
        self.ask(b"MAIL FROM:<>")
        self.assertTrue(internals.smtpSender(self.protocol))

    def test_recipients(self) -> None:
        """
        C{_to} grows with each recipient, and is empty from DATA on.
        """
        self.ask(b"MAIL FROM:<a@b.c>")
        self.assertEqual(internals.smtpRecipients(self.protocol), 0)
        self.ask(b"RCPT TO:<d@e.f>", b"RCPT TO:<g@e.f>")
        self.assertEqual(internals.smtpRecipients(self.protocol), 2)
        self.ask(b"DATA")
        self.assertEqual(internals.smtpRecipients(self.protocol), 0)
