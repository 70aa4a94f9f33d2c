"""
What drainers of line protocols have in common.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineOnlyReceiver
from zope.interface.verify import verifyObject

from terminable.drainers import commands
from terminable.drainers.commands import CommandDrainer
from terminable.drainers.plain import readable
from terminable.interfaces import ILastingDrainer
from tests.dialogues import DialogueTestCase
from tests.wire import TLSPeer, Wire, certificate


class Counter(LineOnlyReceiver):
    """
    Counts between C{begin} and C{end}; says C{later} when it is told to.

    @ivar open: whether it counts.
    @ivar owed: whether it has been asked for something that it says later.
    """

    open = False
    owed = False

    def lineReceived(self, line: bytes) -> None:
        if line == b"fail":
            raise ZeroDivisionError
        if line == b"later":
            self.owed = True
            return
        self.open = line not in (b"end", b"bye")
        self.sendLine(b"ok " + line)
        if line == b"bye":
            self.transport.loseConnection()  # type: ignore[union-attr]


class CounterDrainer(CommandDrainer):
    """
    Its drainer.
    """

    word = "gone"

    def isBusy(self) -> bool:
        return bool(self.protocol.open or self.protocol.owed)

    def waits(self) -> bool:
        return super().waits() or bool(self.protocol.owed)

    def permits(self, line: bytes) -> bool:
        return line == b"bye"

    def goodbye(self) -> None:
        self.protocol.sendLine(b"gone")


class CommandDrainerTests(DialogueTestCase):
    """
    L{CommandDrainer}.
    """

    def setUp(self) -> None:
        self.serve(Counter(), adapt=CounterDrainer)

    def answer(self) -> None:
        """
        Say what was asked for.
        """
        self.protocol.owed = False
        self.protocol.sendLine(b"now")
        self.drainer.look()

    def test_theInterface(self) -> None:
        """
        It has everything that a drainer needs, is not silent, and short-lived.
        """
        self.assertTrue(verifyObject(ILastingDrainer, self.drainer))
        self.assertFalse(self.drainer.silent)
        self.assertFalse(self.drainer.lasting)

    def test_idleIsTold(self) -> None:
        """
        Who is idle is told without having asked, once.
        """
        self.hint()
        self.assertEqual(self.said(), [])
        self.drainer.drain()
        self.assertGone(b"gone")

    def test_nextCommandIsTold(self) -> None:
        """
        The next command is not obeyed, but answered with the goodbye; what stands behind
        it is ignored, even if the transport delivers it.
        """
        self.hint()
        self.send(b"begin", b"more", b"bye")
        self.protocol.lineReceived(b"more")
        self.assertGone(b"gone")
        self.assertEqual(self.idled, 0)

    def test_transactionIsCompleted(self) -> None:
        """
        Every command of an open transaction is obeyed, and its end is reported; then the
        next one is told.
        """
        self.send(b"begin")
        self.hint()
        self.drainer.drain()
        self.assertEqual(self.ask(b"more"), [b"ok begin", b"ok more"])
        self.assertEqual(self.idled, 0)
        self.assertEqual(self.ask(b"end"), [b"ok end"])
        self.assertEqual(self.idled, 1)
        self.assertOpen()
        self.send(b"begin", b"bye")
        self.assertGone(b"gone")

    def test_pipelined(self) -> None:
        """
        The same if all of that is sent at once.
        """
        self.send(b"begin")
        self.hint()
        self.send(b"end", b"begin", b"end", b"bye")
        self.assertGone(b"ok begin", b"ok end", b"gone")

    def test_clientsGoodbye(self) -> None:
        """
        What is permitted is obeyed, and ours is not said after it.
        """
        self.hint()
        self.send(b"bye", b"begin")
        self.protocol.lineReceived(b"begin")
        self.assertGone(b"ok bye")
        self.assertEqual(self.idled, 0)

    def test_lostByTheApplication(self) -> None:
        """
        Nothing is said on a connection that is already lost.
        """
        self.hint()
        self.transport.loseConnection()
        self.drainer.look()
        self.drainer.drain()
        self.assertGone()
        self.assertEqual(self.idled, 0)

    def test_lostInATransaction(self) -> None:
        """
        On a connection that is lost no command is obeyed, even if the transport delivers it.
        """
        self.ask(b"begin")
        self.hint()
        self.transport.loseConnection()
        self.protocol.lineReceived(b"more")
        self.assertGone()

    def test_theTransportDoesNotTell(self) -> None:
        """
        The goodbye is the last word even if the transport does not say that it is lost.
        """
        self.transport.loseConnection = lambda: None
        self.ask(b"begin", b"later")
        self.hint()
        self.send(b"end", b"begin", b"begin")
        self.answer()
        self.send(b"begin", b"bye")
        self.drainer.drain()
        self.assertEqual(self.drainer.lastWord(5), "")
        self.assertEqual(self.said(), [b"now", b"ok end", b"gone"])

    def test_theTransportDoesNotTellAtTheDeadline(self) -> None:
        """
        No command is obeyed after the last word either.
        """
        self.transport.loseConnection = lambda: None
        self.ask(b"begin")
        self.hint()
        self.drainer.lastWord(5)
        self.send(b"end")
        self.assertTrue(self.protocol.open)
        self.assertEqual(self.said(), [b"gone"])

    def test_nothingBeforeTheDrain(self) -> None:
        """
        Before a drain begins nothing is reported.
        """
        self.drainer.look()
        self.assertEqual(self.idled, 0)
        self.assertOpen()

    def test_whatWaits(self) -> None:
        """
        While it is open what an answer will bring, commands wait for it; then each is
        treated as if it came now.
        """
        self.send(b"begin")
        self.hint()
        self.send(b"later", b"more", b"end", b"begin", b"bye")
        self.assertEqual(self.said(), [b"ok begin"])
        self.answer()
        self.assertGone(b"now", b"ok more", b"ok end", b"gone")

    def test_permittedWaits(self) -> None:
        """
        What is permitted waits like all others.
        """
        self.protocol.owed = True
        self.hint()
        self.assertEqual(self.ask(b"bye"), [])
        self.answer()
        self.assertGone(b"now", b"ok bye")

    def test_waitsAgain(self) -> None:
        """
        One that waited can make the others wait.
        """
        self.send(b"begin", b"later")
        self.hint()
        self.send(b"more", b"later", b"end")
        self.said()
        self.answer()
        self.assertEqual(self.said(), [b"now", b"ok more"])
        self.assertEqual(self.idled, 0)
        self.answer()
        self.assertEqual(self.said(), [b"now", b"ok end"])
        self.assertEqual(self.idled, 1)

    def test_notOvertaken(self) -> None:
        """
        A command does not overtake those that wait, even if nobody has looked yet.
        """
        self.ask(b"begin", b"later")
        self.hint()
        self.send(b"one")
        self.protocol.owed = False
        self.assertEqual(self.ask(b"two"), [b"ok one", b"ok two"])

    def test_tooManyWait(self) -> None:
        """
        Somebody who sends too much is told to go, and nothing of it is obeyed; what it
        is waiting for arrives.
        """
        self.patch(commands, "WAITING", 3)
        self.send(b"begin", b"later")
        self.hint()
        self.send(*[b"more"] * 10)
        self.said()
        self.answer()
        self.assertGone(b"now", b"gone")

    def test_asManyAsMayWait(self) -> None:
        """
        One less is not too many.
        """
        self.patch(commands, "WAITING", 3)
        self.send(b"begin", b"later")
        self.hint()
        self.send(*[b"more"] * 3)
        self.said()
        self.answer()
        self.assertEqual(self.said(), [b"now"] + [b"ok more"] * 3)

    def test_oneThatWaitedFails(self) -> None:
        """
        What the application cannot cope with is logged, and ends the connection, and
        whoever has just given an answer does not hear of it.
        """
        self.send(b"begin", b"later")
        self.hint()
        self.send(b"fail", b"more")
        self.said()
        self.answer()
        self.assertGone(b"now", b"gone")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_failing(self) -> None:
        """
        One that need not wait fails as ever.
        """
        self.send(b"begin")
        self.hint()
        self.assertRaises(ZeroDivisionError, self.send, b"fail")

    def test_lastWord(self) -> None:
        """
        At the deadline everybody is told; what the application says after that is
        swallowed, and it can still look at its transport.
        """
        for hinted in (True, False):
            self.setUp()
            self.send(b"begin", b"later")
            if hinted:
                self.hint()
            self.assertEqual(self.drainer.lastWord(5), "gone")
            self.answer()
            transport = self.protocol.transport
            transport.write(b"x")
            transport.writeSequence([b"x"])
            transport.registerProducer(self, True)
            self.assertEqual(transport.getPeer(), self.transport.getPeer())
            self.assertGone(b"ok begin", b"gone")

    def test_noLastWord(self) -> None:
        """
        A drainer without one says nothing.
        """
        self.drainer.word = ""
        self.assertEqual(self.drainer.lastWord(5), "")
        self.assertOpen()

    def test_goodbyeFails(self) -> None:
        """
        An application that cannot say goodbye loses its connection all the same.
        """
        self.protocol.sendLine = None
        self.assertRaises(TypeError, self.drainer.drain)
        self.assertGone()

    def test_readable(self) -> None:
        """
        What a client has sent does no harm in a log.
        """
        self.assertEqual(readable(b"RETR 3"), "RETR 3")
        self.assertEqual(readable(b"a\n\x1b[2J\xff\\"), "a\\x0a\\x1b[2J\\xff\\")
        self.assertEqual(len(readable(b"x" * 5000)), 200)


class StartTLSTests(DialogueTestCase):
    """
    L{CommandDrainer} on a connection that was encrypted under way.
    """

    def test_startTLS(self) -> None:
        """
        The goodbye goes through TLS, and ours is not said after the client's own, though
        the transport does not say that it is being lost.
        """
        for line, answer in ((b"begin", b"gone\r\n"), (b"bye", b"ok bye\r\n")):
            wire = Wire(Factory.forProtocol(Counter))
            self.addCleanup(wire.close)
            protocol: Any = wire.protocol
            drainer = CounterDrainer(protocol)
            drainer.hint(lambda: None)  # type: ignore[arg-type]
            wire.transport.startTLS(certificate().options())
            peer = wire.peer = TLSPeer(wire.peer.socket)
            wire.pumpUntil(lambda peer=peer: peer._shaken)
            peer.send(line + b"\r\nbegin\r\n")
            wire.pumpUntil(lambda peer=peer: peer.notified)
            self.assertTrue(drainer.lost)
            drainer.drain()
            self.assertEqual(peer.received, answer)
