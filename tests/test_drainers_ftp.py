"""
The drainer of FTP servers, while nothing is transferred.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.internet.testing import StringTransport
from twisted.protocols import ftp
from zope.interface.verify import verifyObject

from terminable.drainers.ftp import FTPDrainer, watch
from terminable.interfaces import IDrainer, IHintingDrainer
from tests.ftpsession import CONTENT, DONE, FTPTestCase
from tests.wire import Wire


class IdleTests(FTPTestCase):
    """
    Connections on which nothing is in progress.
    """

    def test_itIsRegistered(self) -> None:
        """
        An FTP server has this drainer, which does not live long and has something to say.
        """
        self.assertIsInstance(self.drainer, FTPDrainer)
        self.assertTrue(verifyObject(IHintingDrainer, self.drainer))
        self.assertEqual((self.drainer.silent, self.drainer.lasting), (False, False))
        self.assertEqual(self.drainer.describe(), "")

    def test_drain(self) -> None:
        """
        RFC 959, section 5.4: 421, and the connection is lost; once.
        """
        self.hint()
        self.drainer.drain()
        self.drainer.drain()
        self.assertGone(self.heard())

    def test_nextCommand(self) -> None:
        """
        The next command is answered with 421, and those behind it with nothing.
        """
        for commands in (["PWD"], ["PASV", "QUIT"], ["RNFR big.bin"], [""], ["nonsense"]):
            self.setUp()
            self.hint()
            self.assertGone(self.said(*commands))
            self.assertEqual(self.ports, [])

    def test_quit(self) -> None:
        """
        QUIT is obeyed, and there is no second goodbye.
        """
        self.hint()
        self.assertEqual(self.said("quit"), b"221 Goodbye.\r\n")
        self.assertFalse(self.drainer.isBusy())
        self.drainer.drain()
        self.assertEqual((self.heard(), self.drainer.lastWord(5)), (b"", ""))
        self.assertTrue(self.transport.disconnecting)

    def test_beforeItsFirstByte(self) -> None:
        """
        A connection on which nobody has logged in is ended as well.
        """
        self.server = self.session()
        self.drainer = IDrainer(self.server)
        self.assertFalse(self.drainer.isBusy())
        self.transport = StringTransport()
        self.wrapper.makeConnection(self.transport)
        self.addCleanup(self.server.setTimeout, None)
        self.assertTrue(self.heard().startswith(b"220 "))
        self.hint()
        self.assertGone(self.said("USER anonymous"))

    def test_overAlready(self) -> None:
        """
        Nothing is said on a connection that is over.
        """
        self.hint()
        self.lose()
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual(self.drainer.lastWord(5), "")
        self.assertEqual(self.heard(), b"")


class CommandTests(FTPTestCase):
    """
    Connections with a command in progress that transfers nothing.
    """

    def test_workedOn(self) -> None:
        """
        A command whose answer the application has not given is in progress; it is
        completed, and then the connection is idle.
        """
        self.shell.granting = granting = Deferred()
        self.said("CWD some/where")
        self.assertTrue(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "CWD some/where")
        self.hint()
        self.drainer.drain()
        self.assertEqual((self.heard(), self.transport.disconnecting), (b"", False))
        granting.callback(None)
        self.assertTrue(self.heard().startswith(b"250 "))
        self.assertFalse(self.drainer.isBusy())
        self.assertEqual((self.watch.idled, self.drainer.describe()), (1, ""))
        self.drainer.drain()
        self.assertGone(self.heard())

    def test_behindIt(self) -> None:
        """
        A command that was received behind it is the next, and answered with 421.
        """
        self.shell.granting = granting = Deferred()
        self.said("CWD x", "PWD")
        self.hint()
        granting.callback(None)
        answer, _, rest = self.heard().partition(b"\r\n")
        self.assertTrue(answer.startswith(b"250 "))
        self.assertGone(rest)
        self.assertEqual(self.watch.idled, 0)

    def test_secretsAreNotDescribed(self) -> None:
        """
        Of commands that name no file nothing but their name is told.
        """
        self.assertEqual(watch(self.server).last, ("PASS", ""))

    def test_whatCannotBePrinted(self) -> None:
        """
        Nothing that a client sends spoils a log, or fills it.
        """
        self.shell.granting = Deferred()
        self.said("CWD \xe4\x1b" + "x" * 1000)
        described = self.drainer.describe()
        self.assertTrue(described.startswith(r"CWD \xc3\xa4\x1bxxx"), described)
        self.assertLess(len(described), 250)

    def test_renaming(self) -> None:
        """
        Between RNFR and RNTO something is in progress.
        """
        self.said("RNFR big.bin")
        self.assertTrue(self.drainer.isBusy())
        self.assertEqual(self.drainer.describe(), "RNFR big.bin")
        self.hint()
        self.drainer.drain()
        self.assertTrue(self.said("RNTO other.bin").startswith(b"250 "))
        self.assertTrue(self.files.child("other.bin").exists())
        self.assertEqual(self.watch.idled, 1)
        self.assertGone(self.said("RNFR other.bin"))

    def test_notRenaming(self) -> None:
        """
        What is not RNTO ends the connection, and nothing is renamed.
        """
        self.said("RNFR big.bin")
        self.hint()
        self.assertGone(self.said("NOOP"))

    def test_lastWord(self) -> None:
        """
        At the deadline 421 is said, and what the application comes up with after that is
        not.
        """
        self.shell.granting = granting = Deferred()
        self.said("CWD x")
        self.hint()
        self.assertEqual(self.drainer.lastWord(5), "421")
        granting.callback(None)
        self.assertGone(self.heard())

    def test_noLastWordThatWouldNotLeave(self) -> None:
        """
        Whoever takes nothing is told nothing.
        """
        factory = Factory.forProtocol(ftp.FTP)
        factory.timeOut, factory.welcomeMessage = None, ""  # type: ignore[attr-defined]
        ftp.FTP.timeOut = None
        self.addCleanup(delattr, ftp.FTP, "timeOut")
        wire = Wire(factory, sendBuffer=4096)
        self.addCleanup(wire.close)
        drainer: Any = IDrainer(wire.protocol)
        drainer.hint(self.watch)
        wire.protocol.sendLine(b"x" * 1_000_000)
        wire.pump(0)
        self.assertEqual(drainer.lastWord(5), "")
        self.assertTrue(wire.transport.connected)


class UnwatchedTests(FTPTestCase):
    """
    A connection that was not watched from its beginning.
    """

    def setUp(self) -> None:
        super().setUp()
        self.server = self.session()
        self.connect()

    def test_whatCanBeSeen(self) -> None:
        """
        A transfer is seen, but not what it is about.
        """
        data = self.passive()
        self.assertEqual(self.drainer.describe(), "data connection without a transfer")
        self.said("RETR big.bin")
        self.assertEqual((self.drainer.isBusy(), self.drainer.describe()), (True, ""))
        self.hint()
        self.assertEqual(self.finish(data), CONTENT)
        self.assertEqual(self.heard(), DONE)
        self.assertEqual(self.watch.idled, 1)
        self.assertGone(self.said("PWD"))

    def test_watchedOnce(self) -> None:
        """
        Who is watched already is not watched again.
        """
        self.assertIs(watch(self.server), watch(self.server))
