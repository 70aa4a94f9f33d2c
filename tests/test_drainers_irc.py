"""
The drainer of IRC servers.
"""

from __future__ import annotations

from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.portal import Portal
from twisted.internet.address import UNIXAddress
from twisted.words.protocols.irc import IRC
from twisted.words.service import InMemoryWordsRealm, IRCFactory
from zope.interface import implementer
from zope.interface.verify import verifyObject

from terminable.drainers.irc import IRCDrainer
from terminable.interfaces import ILastingDrainer
from tests.dialogues import DialogueTestCase

GOODBYE = b"ERROR :Closing Link: 192.168.1.1 (Server is going down)"


@implementer(ICredentialsChecker)
class Trusting:
    """
    Believes everybody.
    """

    credentialInterfaces = (IUsernamePassword,)

    def requestAvatarId(self, credentials: Any) -> Any:
        return credentials.username


def chat() -> IRCFactory:
    """
    A server.
    """
    realm = InMemoryWordsRealm("chat.example")
    realm.createGroupOnRequest = True
    return IRCFactory(realm, Portal(realm, [Trusting()]))


class Patient(IRCDrainer):
    """
    An application's own, which knows what there is to be waited for.
    """

    reason = "Moving house"
    waiting = True

    def isBusy(self) -> bool:
        return self.waiting


class IRCDrainerTests(DialogueTestCase):
    """
    L{IRCDrainer}.
    """

    def setUp(self) -> None:
        self.serve(chat().buildProtocol(None))

    def logIn(self) -> None:
        """
        The client registers.
        """
        self.ask(b"PASS secret", b"NICK alice", b"USER alice 0 * :Alice")

    def test_isRegistered(self) -> None:
        """
        IRC servers have this drainer, which keeps connections that live long.
        """
        self.assertIsInstance(self.drainer, IRCDrainer)
        self.assertTrue(verifyObject(ILastingDrainer, self.drainer))
        self.assertEqual(
            (self.drainer.silent, self.drainer.lasting, self.drainer.prompt), (False, True, False)
        )

    def test_theChatGoesOn(self) -> None:
        """
        Until it is drained, commands are served as ever.
        """
        self.logIn()
        self.hint()
        self.assertEqual(self.ask(b"PING x"), [b":chat.example PONG alice chat.example"])
        self.assertIn(b":alice!alice@chat.example JOIN #room", self.ask(b"JOIN #room"))
        self.assertIdle()
        self.assertEqual(self.idled, 0)

    def test_goodbye(self) -> None:
        """
        When it is drained the client is told that its link is closed, and why.
        """
        self.logIn()
        self.hint()
        self.drainer.drain()
        self.assertGone(GOODBYE)

    def test_whoIsRegisteringIsToldToo(self) -> None:
        """
        It makes no difference if the client has not said who it is, or not in full.
        """
        self.hint()
        self.ask(b"NICK alice")
        self.drainer.drain()
        self.assertGone(GOODBYE)

    def test_nothingAfterTheGoodbye(self) -> None:
        """
        What others do after that is not passed on.
        """
        self.logIn()
        self.hint()
        self.drainer.drain()
        self.protocol.privmsg("bob", "alice", "too late")
        self.assertGone(GOODBYE)

    def test_quit(self) -> None:
        """
        Who quits meanwhile is gone without it.
        """
        self.logIn()
        self.hint()
        self.assertEqual(self.ask(b"QUIT"), [])
        self.assertGone()

    def test_lastWord(self) -> None:
        """
        At the deadline it is told as well, if it was not before.
        """
        self.logIn()
        self.assertEqual(self.drainer.lastWord(5), "ERROR")
        self.assertGone(GOODBYE)

    def test_withoutAHost(self) -> None:
        """
        Who has no address is told the server's name, or, before there is one, that it is
        here.
        """
        self.transport.peerAddr = UNIXAddress(b"/run/chat")
        self.drainer.drain()
        self.assertGone(GOODBYE.replace(b"192.168.1.1", b"chat.example"))
        protocol = self.serve(IRC())
        protocol.hostname = None
        self.transport.peerAddr = UNIXAddress(None)
        self.drainer.drain()
        self.assertGone(GOODBYE.replace(b"192.168.1.1", b"localhost"))

    def test_anApplicationsOwn(self) -> None:
        """
        An application may have its own words, and know what has to be waited for.
        """
        protocol = chat().buildProtocol(None)
        drainer = Patient(protocol)
        drainer.waiting = False
        self.serve(protocol, adapt=lambda protocol: drainer)
        drainer.waiting = True
        self.hint()
        drainer.drain()
        self.assertOpen()
        drainer.look()
        self.assertEqual(self.idled, 0)
        drainer.waiting = False
        drainer.look()
        self.assertEqual(self.idled, 1)
        drainer.drain()
        self.assertGone(GOODBYE.replace(b"Server is going down", b"Moving house"))
