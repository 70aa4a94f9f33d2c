"""
An IMAP session in memory, and its drainer.
"""

from __future__ import annotations

from typing import Any

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.mail.imap4 import IAccount, IMAP4Server, PLAINCredentials
from twisted.trial.unittest import SynchronousTestCase

from terminable.drainers import library
from terminable.interfaces import IDrainer
from tests.imapftp import Account, Box, Watch, inTurns

BYE = b"* BYE server is going down\r\n"


class Realm:
    """
    Everybody has the same mailboxes.
    """

    def __init__(self, account: Account) -> None:
        self.account = account

    def requestAvatar(self, who: object, mind: object, *interfaces: object) -> Any:
        """
        See L{twisted.cred.portal.IRealm}.
        """
        return IAccount, self.account, lambda: None


class IMAPTestCase(SynchronousTestCase):
    """
    A session with a mailbox that is selected.
    """

    def setUp(self) -> None:
        library.load()
        self.clock = Clock()
        self.box = Box()
        self.account = Account("somebody")
        self.account.addMailbox("INBOX", self.box)
        self.server = self.session()
        library.begin(self.server)
        self.connect()

    def session(self) -> Any:
        """
        A server's end.
        """
        server = IMAP4Server({b"PLAIN": PLAINCredentials}, scheduler=inTurns(self.clock))
        server.callLater = self.clock.callLater
        checker = InMemoryUsernamePasswordDatabaseDontUse(me=b"secret")
        server.portal = Portal(Realm(self.account), [checker])
        return server

    def connect(self) -> None:
        """
        Select the mailbox.
        """
        self.transport = StringTransport()
        self.server.makeConnection(self.transport)
        self.drainer: Any = IDrainer(self.server)
        self.watch = Watch(self.clock)
        self.assertFalse(self.drainer.isBusy())
        self.said(b"i1 LOGIN me secret")
        self.assertIn(b"i2 OK", self.said(b"i2 SELECT INBOX"))
        self.assertFalse(self.drainer.isBusy())

    def said(self, *lines: bytes) -> bytes:
        """
        What the server says to some lines.
        """
        for line in lines:
            self.server.dataReceived(line + b"\r\n")
        return self.heard()

    def heard(self) -> bytes:
        """
        What it has said, if all that is to be done at once is done.
        """
        for _ in range(9):
            self.clock.advance(0)
            if self.transport.producer is not None:
                self.transport.producer.resumeProducing()
        heard: bytes = self.transport.value()
        self.transport.clear()
        return heard

    def hint(self) -> None:
        """
        The drain begins.
        """
        self.drainer.hint(self.watch)
        self.assertEqual(self.heard(), b"")

    def assertGone(self, heard: bytes) -> None:
        """
        It was said goodbye, and nothing else, and not in vain.
        """
        self.assertEqual(heard, BYE)
        self.assertTrue(self.transport.disconnecting)
