"""
An IMAP and an FTP server for C{--factory}.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.cred.checkers import AllowAnonymousAccess, InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.mail.imap4 import IAccount, IMAP4Server
from twisted.protocols.ftp import FTPFactory, FTPShell, IFTPShell
from twisted.python.filepath import FilePath
from zope.interface import implementer

from tests.imapftp import LETTER, Account, Box
from tests.live.resources import afterStop

log = Logger()

#: More than a small window and the server's kernel hold.
MUCH = b"0123456789abcde\n" * 2**18

#: What a directory holds whose listing is even longer.
MANY = [f"{number:0200}" for number in range(30_000)]

#: Where the FTP server's files are.
ROOT = "TERMINABLE_FTP_ROOT"


class SlowBox(Box):
    """
    A mailbox that takes its time, beyond the stop if it takes any.
    """

    def __init__(self, seconds: float | None, *letters: bytes) -> None:
        """
        @param seconds: for how long after the stop it works, or not at all; C{None} is for ever.
        """
        super().__init__(letters)
        self._seconds = seconds

    def _next(self, result: object) -> Any:
        log.info("the mailbox is at work")
        if self._seconds is None:
            return Deferred()
        waiting = afterStop(self._seconds) if self._seconds else succeed(None)
        return waiting.addCallback(lambda _: result)

    def fetch(self, messages: Any, uid: bool) -> Any:
        messages.last = len(self.letters)
        return self._next([(number, self.letters[number - 1]) for number in messages])


class Shell(FTPShell):
    """
    Some files, and a directory of which nothing but a listing exists.
    """

    def list(self, path: Any, keys: Any = ()) -> Any:
        """
        See L{IFTPShell}.
        """
        if path == ["many"]:
            return succeed([(name, ()) for name in MANY])
        return super().list(path, keys)


@implementer(IRealm)
class Realm:
    """
    Everybody's mailboxes and files.
    """

    def __init__(self) -> None:
        self._account = Account("me")
        for name, seconds in (("INBOX", 0.0), ("SLOW", 0.8), ("STUCK", None)):
            self._account.addMailbox(name, SlowBox(seconds, LETTER, MUCH))

    def requestAvatar(self, who: object, mind: object, *interfaces: object) -> Any:
        """
        See L{IRealm}.
        """
        if IAccount in interfaces:
            return IAccount, self._account, lambda: None
        return IFTPShell, Shell(FilePath(os.environ[ROOT])), lambda: None


class IMAPFactory(Factory):
    """
    Builds IMAP servers.
    """

    def buildProtocol(self, address: Any) -> Any:
        protocol = IMAP4Server()
        protocol.factory = self
        checker = InMemoryUsernamePasswordDatabaseDontUse(me=b"secret")
        protocol.portal = Portal(Realm(), [checker])
        return protocol


makeIMAP = IMAPFactory


def makeFTP() -> Any:
    """
    A server of C{ROOT}'s files, for anybody.
    """
    return FTPFactory(Portal(Realm(), [AllowAnonymousAccess()]))
