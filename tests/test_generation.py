"""
Generations by real sockets: ports that are freed, and sockets that stay open.

No reactor runs.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from typing import Any
from unittest import skipUnless

from twisted.internet.endpoints import TCP4ServerEndpoint, UNIXServerEndpoint
from twisted.trial.unittest import SynchronousTestCase

from terminable.errors import CannotAttach, NotServing
from terminable.generation import UNSET, Generation
from terminable.handover.offered import offeredTo
from terminable.policy.phases import Phase
from terminable.policy.schedule import Schedule
from terminable.throttling.throttle import Throttle
from terminable.tracking import sockets
from tests.releasing import BindingReactor, SocketTestCase

LINUX = skipUnless(sys.platform.startswith("linux"), "only Linux has these")


class FreeTests(SocketTestCase):
    """
    Ports that are closed.
    """

    def test_again(self) -> None:
        """
        The address is free when the release says so, and not before it has settled; who
        waited in the queue belongs to the old generation.
        """
        self.patch(sockets, "refuseNew", lambda sock: True)
        self.client()
        free = self.terminator.release()
        self.assertNoResult(free)
        self.assertEqual(self.diary.portsGone, 0)
        self.reactor.pump([0.1] * 3)
        generation = self.successResultOf(free)
        self.assertEqual(self.diary.portsGone, 1)
        self.assertEqual(len(generation.connections()), 1)
        again = self.listen()
        self.assertEqual(again.socket.getsockname(), self.address)
        self.client()
        self.turn()
        self.assertEqual(len(self.terminator.connections()), 1)
        self.reactor.pump([0.1] * 300)
        self.assertTrue(again.connected)
        self.assertEqual(len(self.terminator.connections()), 1)
        self.assertTrue(generation.over)

    def test_stoppedWhileItSettles(self) -> None:
        """
        When everything is ended in this time, observers hear of the ports once, when they
        are gone.
        """
        for what, portsGone in (("terminate", 0), ("abort", 1)):
            self.patch(sockets, "refuseNew", lambda sock: True)
            free = self.terminator.release()
            result = getattr(self.terminator, what)()
            self.assertEqual(self.diary.portsGone, portsGone)
            self.reactor.pump([0.1] * 3)
            self.successResultOf(free)
            self.successResultOf(result)
            self.assertEqual(self.diary.portsGone, 1)
            self.diary.portsGone = 0
            self.listen()

    def test_foreignPorts(self) -> None:
        """
        Ports of somebody else that serve a wrapped factory are freed too, and nobody
        touches the next ones that do.
        """
        wrapped = self.terminator.wrap(self.factory)
        theirs = self.reactor.listenTCP(0, wrapped, interface="127.0.0.1")
        self.address = theirs.socket.getsockname()
        generation = self.free(gracePeriod=5)
        self.assertIs(self.terminator.phase, Phase.RELEASED)
        self.assertFalse(theirs.connected)
        self.assertEqual(self.factory.numPorts, 0)
        self.assertTrue(generation.over)
        again = self.reactor.listenTCP(self.address[1], wrapped, interface="127.0.0.1")
        self.assertIs(self.terminator.phase, Phase.SERVING)
        self.client()
        self.turn()
        self.assertEqual(len(self.terminator.connections()), 1)
        self.reactor.pump([0.1] * 100)
        self.assertTrue(again.connected)
        self.terminator.abort()
        self.assertFalse(again.connected)

    def test_attached(self) -> None:
        """
        A port that was attached may be attached to again when its generation is over.
        """
        self.client()
        self.turn()
        free = self.terminator.release()
        self.assertRaises(CannotAttach, self.terminator.attach, self.port)
        self.reactor.pump([0.1] * 15)
        self.successResultOf(free)
        self.port.port = self.address[1]
        self.port.startListening()
        self.terminator.attach(self.port)
        self.client()
        self.turn()
        self.assertEqual(len(self.terminator.connections()), 1)


class KeepTests(SocketTestCase):
    """
    Sockets that stay open for whoever listens there next.
    """

    def keep(self) -> Generation:
        """
        Release at once.
        """
        return self.successResultOf(self.terminator.release(keep=True))

    def test_noGap(self) -> None:
        """
        Nobody is refused in between: who connects then, and who was in the queue, is
        served by the new generation.
        """
        self.client()
        generation = self.keep()
        self.assertFalse(self.port.connected)
        self.client()
        self.listen()
        self.client()
        self.turn()
        self.assertEqual(len(self.terminator.connections()), 3)
        self.assertEqual((generation.connections(), len(generation.kept)), ([], 1))

    def test_manyTimes(self) -> None:
        """
        It may be done again and again; nothing is left open.
        """
        before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
        for number in range(1, 6):
            self.keep()
            self.listen()
            self.client()
            self.turn()
            self.assertEqual(len(self.terminator.connections()), 1)
            self.assertEqual(self.diary.portsGone, number)
        self.terminator.abort()
        self.reactor.pump([0.1] * 15)
        after = len(os.listdir("/proc/self/fd")) if before else 0
        # The clients are still there.
        self.assertLessEqual(after, before + 5)
        self.assertRaises(OSError, self.client)

    def test_otherSocketsStay(self) -> None:
        """
        Who listens elsewhere does not get it; what nobody has listened on again is closed,
        and the log says so.
        """
        generation = self.keep()
        with socket.create_server(("127.0.0.1", 0)) as probe:
            number = probe.getsockname()[1]
        self.endpoint = TCP4ServerEndpoint(self.reactor, number, interface="127.0.0.1")
        other = self.listen()
        self.assertEqual(other.socket.getsockname()[1], number)
        self.client()
        offeredTo(self.reactor).closeRest(generation.kept)
        self.assertRaises(OSError, self.client)
        self.assertTrue(other.connected)

    def test_anyPort(self) -> None:
        """
        A port whose number the kernel has chosen is found again by who asks for any.
        """
        self.endpoint = TCP4ServerEndpoint(self.reactor, 0, interface="127.0.0.1")
        self.keep()
        self.assertEqual(self.listen().socket.getsockname(), self.address)

    def test_unix(self) -> None:
        """
        The path of a UNIX socket stays, and is gone when the last one ends.
        """
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        self.successResultOf(self.terminator.abort())
        self.address = os.path.join(directory, "server.sock")
        self.endpoint = UNIXServerEndpoint(self.reactor, self.address)
        self.port = self.listen()
        for number in (1, 2, 3):
            self.keep()
            self.client()
            self.listen()
            self.client()
            self.turn()
            self.assertEqual(len(self.terminator.connections()), 2, number)
        self.terminator.abort()
        self.reactor.pump([0.1] * 15)
        self.assertEqual(os.listdir(directory), [])

    def test_isOurs(self) -> None:
        """
        A socket that stayed open is as much ours as it was: who listens on it now can
        suspend it, so that it is not there any more.
        """
        self.patch(sockets, "refuseNew", lambda sock: False)
        for _ in range(2):
            self.keep()
            self.listen()
        self.successResultOf(self.terminator.suspend())
        self.assertRaises(OSError, self.client)
        self.terminator.resume()
        self.client()
        self.turn()
        self.assertEqual(len(self.terminator.connections()), 1)

    def test_isNotOurs(self) -> None:
        """
        One that somebody else has as well stays in his hands.
        """
        self.terminator.abort()
        self.reactor.pump([0.1] * 15)
        with socket.create_server(("127.0.0.1", 0)) as theirs:
            theirs.setblocking(False)
            self.address = theirs.getsockname()
            self.port = self.reactor.adoptStreamPort(theirs.fileno(), theirs.family, self.factory)
            self.terminator.attach(self.port)
            self.endpoint = TCP4ServerEndpoint(self.reactor, self.address[1], interface="127.0.0.1")
            self.keep()
            self.listen()
            self.successResultOf(self.terminator.suspend())
            self.client()
            self.terminator.abort()
            self.client()

    def test_modeAndLock(self) -> None:
        """
        A UNIX socket keeps its mode, and the lock of its path.
        """
        directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        path = os.path.join(directory, "server.sock")
        self.terminator.abort()
        self.endpoint = UNIXServerEndpoint(self.reactor, path, mode=0o600, wantPID=1)
        self.listen()
        for _ in range(2):
            self.keep()
            self.listen()
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            self.assertEqual(sorted(os.listdir(directory)), ["server.sock", "server.sock.lock"])
        self.terminator.abort()
        self.reactor.pump([0.1] * 15)
        self.assertEqual(os.listdir(directory), [])

    @LINUX
    def test_abstract(self) -> None:
        """
        One without a file stays as well.
        """
        self.terminator.abort()
        self.address = f"\0terminable-release-{os.getpid()}"
        self.endpoint = UNIXServerEndpoint(self.reactor, self.address)
        self.listen()
        self.keep()
        self.client()
        self.listen()
        self.turn()
        self.assertEqual(len(self.terminator.connections()), 1)

    @LINUX
    def test_acceptsAgain(self) -> None:
        """
        A port that is about to be suspended, and has been told to ignore who is new, does
        not do so any more in the hands of the next one.
        """
        told: list[str] = []
        self.patch(sockets, "refuseNew", lambda sock: told.append("refuse") or True)
        self.patch(sockets, "acceptNew", lambda sock: told.append("accept"))
        suspended = self.terminator.suspend()
        self.keep()
        self.assertEqual(told, ["refuse", "accept"])
        self.successResultOf(suspended)
        self.client()
        self.listen()
        self.turn()
        self.assertEqual(len(self.terminator.connections()), 1)

    def test_nothingToKeep(self) -> None:
        """
        Ports that are suspended already are closed: there is nothing to keep, and nothing
        in the way.
        """
        self.terminator.suspend()
        self.reactor.pump([0.1] * 3)
        self.assertEqual(self.keep().kept, [])
        self.listen()


class GenerationTests(SynchronousTestCase):
    """
    One by itself.
    """

    def setUp(self) -> None:
        self.reactor = BindingReactor()
        self.generation = Generation(
            self.reactor, Schedule(gracePeriod=3), lambda factory: None, Throttle(self.reactor, ())
        )

    def test_own(self) -> None:
        """
        What is not given is called what it is.
        """
        self.assertEqual(repr(UNSET), "<its own>")
        self.assertEqual(repr(self.generation), "<Generation serving, 0 connections>")

    def test_quiesce(self) -> None:
        """
        The time for which it goes on accepting may be another than that of the schedule.
        """
        self.generation.terminate(quiesce=2.0)
        self.assertIs(self.generation.phase, Phase.TERMINATED)

    def test_overOnce(self) -> None:
        """
        It is over when there is a report, until somebody listens again.
        """
        self.assertFalse(self.generation.over)
        report = self.successResultOf(self.generation.terminate())
        self.assertTrue(self.generation.over)
        self.assertIs(self.successResultOf(self.generation.abort()), report)
        self.generation.opened()
        self.assertFalse(self.generation.over)

    def test_waitsForOlder(self) -> None:
        """
        It is not over before those are whose end belongs to its own.
        """
        older = Generation(
            self.reactor, Schedule(), lambda factory: None, Throttle(self.reactor, ())
        )
        self.generation.older = [older]
        result = self.generation.terminate()
        self.assertNoResult(result)
        older.terminate()
        self.generation.look()
        self.successResultOf(result)

    def test_notServing(self) -> None:
        """
        Before anybody listens again there is nothing to suspend, to resume or to choose
        from.
        """
        generation: Any = Generation(
            self.reactor, Schedule(), print, Throttle(self.reactor, ()), Phase.RELEASED
        )
        self.assertRaises(NotServing, generation.suspend)
        self.assertRaises(NotServing, generation.resume)
        self.assertRaises(NotServing, generation.drain, None, None)
