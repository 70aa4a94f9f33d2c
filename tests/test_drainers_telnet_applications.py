"""
The drainer for Telnet above applications that decide for themselves.
"""

from __future__ import annotations

from typing import Any

from twisted.conch.insults.insults import ServerProtocol
from twisted.conch.telnet import (
    DO,
    DONT,
    ECHO,
    IAC,
    AuthenticatingTelnetProtocol,
    ITelnetProtocol,
    TelnetBootstrapProtocol,
    TelnetProtocol,
)
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.portal import Portal
from twisted.internet.error import ConnectionDone

from terminable.interfaces import IDrainer
from tests.telnets import GOODBYE, Adapted, Bank, ForAdapted, Game, Office, TelnetTestCase


class ApplicationTests(TelnetTestCase):
    """
    L{TelnetDrainer} above applications that decide for themselves.
    """

    def test_theApplicationIsAsked(self) -> None:
        """
        It says when it is busy, and says goodbye.
        """
        bank = self.connect(Bank)
        self.assertFalse(self.drainer.isBusy())
        bank.busy = True
        self.assertTrue(self.drainer.isBusy())
        bank.busy = False
        self.hint()
        self.drainer.drain()
        self.assertEqual(self.untilOver(), b"The bank is closed.\r\n")

    def test_busyWhenTheDrainBegins(self) -> None:
        """
        An application that knows no hint is told when the drain begins if it is busy then,
        and only once; not within the hint.
        """
        bank = self.connect(Bank)
        bank.busy = True
        watching = self.hint()
        self.assertEqual(bank.drained, 0)
        watching.clock.advance(0)
        self.assertEqual(bank.drained, 1)
        self.drainer.drain()
        self.assertEqual(bank.drained, 1)
        self.assertEqual(self.received(), b"")

    def test_idleWhenTheDrainBegins(self) -> None:
        """
        An idle one is told when its idle grace is over.
        """
        bank = self.connect(Bank)
        watching = self.hint()
        watching.clock.advance(0)
        self.assertEqual(bank.drained, 0)

    def test_quiesce(self) -> None:
        """
        With a quiesce time, the drain begins after that.
        """
        bank = self.connect(Bank)
        bank.busy = True
        watching = self.hint(quiesce=3)
        watching.clock.advance(2.9)
        self.assertEqual(bank.drained, 0)
        watching.clock.advance(0.1)
        self.assertEqual(bank.drained, 1)

    def test_hint(self) -> None:
        """
        An application with a hint is given it, and everything else is asked of it too.
        """
        office = self.connect(Office)
        watching = self.hint()
        self.assertIs(office.told, watching)
        self.assertEqual(watching.clock.getDelayedCalls(), [])
        self.assertEqual((self.drainer.silent, self.drainer.answered), (True, True))
        self.assertEqual(self.drainer.describe(), "Office")
        office.busy = True
        self.assertEqual(self.drainer.describe(), "form 27b")

    def test_itsLastWord(self) -> None:
        """
        An application that has a last word says it; we say nothing then.
        """
        office = self.connect(Office)
        office.word = "closed"
        self.assertEqual(self.drainer.lastWord(5), "closed")
        self.assertEqual(self.received(), b"")

    def test_noLastWordOfItsOwn(self) -> None:
        """
        In place of one that has none, the goodbye is said.
        """
        office = self.connect(Office)
        office.busy = True
        self.assertEqual(self.drainer.lastWord(5), "goodbye")
        self.assertEqual(self.untilOver(), GOODBYE)

    def test_adapted(self) -> None:
        """
        A drainer that was registered for the application counts.
        """
        adapted = self.connect(Adapted)
        self.assertTrue(self.drainer.isBusy())
        drainer: Any = IDrainer(adapted)
        self.assertIsInstance(drainer, ForAdapted)

    def test_onATerminal(self) -> None:
        """
        What is on a terminal may say for itself when it is busy, too.
        """
        self.connect(TelnetBootstrapProtocol, ServerProtocol, Game)
        before = self.received()
        self.assertTrue(self.drainer.isBusy())
        self.drainer.drain()
        self.assertEqual(self.received(), before + b"game over")
        self.wire.close()
        # It had asked for options of the terminal's.
        self.flushLoggedErrors(ConnectionDone)

    def test_keptAsLongAsTheApplicationIs(self) -> None:
        """
        A drainer of an application is made once.
        """
        self.connect(Adapted)
        self.assertIs(self.drainer.application, self.drainer.application)

    def test_aFormerApplication(self) -> None:
        """
        After the end of the connection the application can still be asked.
        """
        office = self.connect(Office)
        office.busy = True
        self.hint()
        self.wire.close()
        self.assertEqual(self.drainer.describe(), "form 27b")


class LoginTests(TelnetTestCase):
    """
    L{TelnetDrainer} while the application is exchanged.
    """

    def login(self, application: Any) -> None:
        """
        Somebody logs in.
        """
        self.say(b"alice\r\n" + IAC + DO + ECHO)
        self.say(b"secret\r\n" + IAC + DONT + ECHO)
        self.assertIs(self.telnet.protocol, application)

    def asking(self, application: Any) -> None:
        """
        A server that asks for name and password.
        """

        class Realm:
            def requestAvatar(self, name: bytes, mind: object, *interfaces: object) -> Any:
                return ITelnetProtocol, application, lambda: None

        class Anybody:
            credentialInterfaces = (IUsernamePassword,)

            def requestAvatarId(self, credentials: Any) -> Any:
                return credentials.username

        self.connect(AuthenticatingTelnetProtocol, Portal(Realm(), [Anybody()]))

    def test_whoHasNotLoggedIn(self) -> None:
        """
        Whoever is asked for a name is idle, and gets the goodbye.
        """
        self.asking(Bank())
        self.assertEqual(self.received(), b"Username: ")
        self.hint()
        self.assertFalse(self.drainer.isBusy())
        self.drainer.drain()
        self.assertEqual(self.untilOver(), b"Username: " + GOODBYE)

    def test_loggedInBefore(self) -> None:
        """
        It is the application behind the login that is asked.
        """
        bank = Bank()
        self.asking(bank)
        self.assertIsNone(self.drainer.application)
        self.login(bank)
        bank.busy = True
        self.assertTrue(self.drainer.isBusy())

    def test_loggedInAfterTheHint(self) -> None:
        """
        An application that comes after the hint is given it then.
        """
        office = Office()
        self.asking(office)
        watching = self.hint()
        self.login(office)
        self.drainer.drain()
        self.assertIs(office.told, watching)
        self.assertEqual(office.drained, 1)

    def test_anApplicationWithoutADrainer(self) -> None:
        """
        The goodbye is said in place of one that has none.
        """
        application = TelnetProtocol()
        self.asking(application)
        self.hint()
        self.login(application)
        before = self.received()
        self.drainer.drain()
        self.assertEqual(self.untilOver(), before + GOODBYE)
