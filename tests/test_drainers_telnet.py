"""
The drainer for Telnet above applications of which nothing is known.
"""

from __future__ import annotations

from twisted.conch.insults.insults import ServerProtocol, TerminalProtocol
from twisted.conch.telnet import IAC, Telnet, TelnetBootstrapProtocol, TelnetTransport
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from zope.interface.verify import verifyObject

from terminable.drainers import library
from terminable.drainers.telnet import TelnetDrainer
from terminable.interfaces import IDrainer, ILastingDrainer
from tests.telnets import GOODBYE, Shout, TelnetTestCase, Watching
from tests.wire import Wire


class TelnetDrainerTests(TelnetTestCase):
    """
    L{TelnetDrainer} above applications of which nothing is known.
    """

    def test_theInterface(self) -> None:
        """
        Its connections live long, and have something to say even when they are idle.
        """
        self.connect(Shout)
        self.assertTrue(verifyObject(ILastingDrainer, self.drainer))
        self.assertEqual((self.drainer.silent, self.drainer.lasting), (False, True))
        self.assertEqual((self.drainer.prompt, self.drainer.answered), (False, False))

    def test_isRegistered(self) -> None:
        """
        Everything that speaks Telnet has this drainer.
        """
        library.load()
        for protocol in (Telnet(), TelnetTransport(Shout)):
            self.assertIsInstance(IDrainer(protocol), TelnetDrainer)
        self.assertNotIsInstance(IDrainer(Protocol()), TelnetDrainer)

    def test_nothingIsKnown(self) -> None:
        """
        It is never busy, and goes on as before until it is drained.
        """
        self.connect(Shout)
        self.assertFalse(self.drainer.isBusy())
        watching = self.hint()
        self.say(b"hello\r\n")
        self.assertEqual(self.received(), b"HELLO\r\n")
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(watching.clock.getDelayedCalls(), [])

    def test_goodbye(self) -> None:
        """
        The goodbye is a line of text, said once, and then the connection is lost.
        """
        self.connect(Shout)
        self.hint()
        self.drainer.drain()
        self.drainer.drain()
        self.assertEqual(self.untilOver(), GOODBYE)

    def test_aGoodbyeOfOnesOwn(self) -> None:
        """
        Its text can be exchanged.
        """

        class Own(TelnetDrainer):
            goodbye = b"\r\nSo long.\r\n"

        self.connect(Shout)
        Own(self.telnet).drain()
        self.assertEqual(self.untilOver(), b"\r\nSo long.\r\n")

    def test_behindWhatWasWritten(self) -> None:
        """
        What was written and has not left counts as busy, and arrives before the goodbye;
        what the application writes after that does not.
        """
        application = self.connect(Shout)
        application.transport.write(b"x" * 500_000)
        self.assertTrue(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "Shout")
        self.drainer.drain()
        application.transport.write(b"late")
        application.transport.writeSequence([b"l", b"ate"])
        self.assertEqual(self.untilOver(), b"x" * 500_000 + GOODBYE)

    def test_withoutAnApplication(self) -> None:
        """
        A protocol that is the application itself is drained like others.
        """
        self.wire = Wire(Factory.forProtocol(Telnet))
        self.addCleanup(self.wire.close)
        drainer = TelnetDrainer(self.wire.protocol)
        self.assertEqual((drainer.isBusy(), drainer.describe()), (False, ""))
        drainer.hint(Watching())
        drainer.drain()
        self.assertEqual(self.untilOver(), GOODBYE)

    def test_theRawDrainerDoesNotCount(self) -> None:
        """
        Every protocol has the raw drainer, which would say nothing.
        """
        self.connect(Shout)
        self.assertIsNone(self.drainer.application)

    def test_onATerminal(self) -> None:
        """
        What is on a terminal gets the same line.
        """
        self.connect(TelnetBootstrapProtocol, ServerProtocol, TerminalProtocol)
        before = self.received()
        self.assertTrue(before.startswith(IAC))
        self.assertEqual(self.drainer.describe(), "TerminalProtocol")
        self.drainer.drain()
        self.assertEqual(self.untilOver(), before + GOODBYE)
        # It had asked for options of the terminal's.
        self.flushLoggedErrors(ConnectionDone)

    def test_lastWord(self) -> None:
        """
        At the deadline, what is left gets the goodbye if it has had none.
        """
        self.connect(Shout)
        self.assertEqual(self.drainer.lastWord(5), "goodbye")
        self.assertEqual(self.drainer.lastWord(5), "")
        self.assertEqual(self.untilOver(), GOODBYE)

    def test_noLastWordWhileLeaving(self) -> None:
        """
        Who is about to leave is told nothing.
        """
        self.connect(Shout)
        self.telnet.write(b"x" * 500_000)
        self.telnet.loseConnection()
        self.assertEqual(self.drainer.lastWord(5), "")
        self.assertEqual(self.untilOver(), b"x" * 500_000)

    def test_theConnectionIsOver(self) -> None:
        """
        When the connection is over its application can still be named.
        """
        self.connect(Shout)
        self.hint()
        self.assertEqual(self.drainer.describe(), "Shout")
        self.wire.close()
        self.assertIsNone(self.telnet.protocol)
        self.assertEqual(self.drainer.describe(), "Shout")
