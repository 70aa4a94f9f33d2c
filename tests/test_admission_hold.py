"""
When nobody is accepted: there is no room, or no descriptor.
"""

from __future__ import annotations

import copy
import errno
import os
import resource
import socket
from typing import Any

from twisted.logger import globalLogPublisher

from terminable.admission import doors
from terminable.admission.doors import GuardedSocket
from tests.admitting import AdmissionTestCase


class HoldTests(AdmissionTestCase):
    """
    Nobody is accepted while there is no room.
    """

    def test_exactly(self) -> None:
        """
        No more are accepted than there is room for; the others are served in turn.
        """
        self.serve(capacity=1, queue=2)
        clients = [self.client(b"%d" % number) for number in range(8)]
        self.turn()
        self.assertEqual(len(self.transports()), 3)
        self.assertNotIn(self.port, self.reactor.readers)
        heard = []
        for client in clients:
            self.turn()
            heard.append(client.recv(100))
            client.close()
            self.turn()
        self.assertEqual(heard, [b"hello %d" % number for number in range(8)])
        self.assertIn(self.port, self.reactor.readers)

    def test_withoutQueue(self) -> None:
        """
        The same if nobody may wait here.
        """
        self.serve(capacity=1, queue=0)
        clients = [self.client(b"%d" % number) for number in range(3)]
        for number, client in enumerate(clients):
            self.turn()
            self.assertEqual(len(self.transports()), 1)
            self.assertEqual(client.recv(100), b"hello %d" % number)
            client.close()
            self.turn()

    def test_somebodyElseAccepts(self) -> None:
        """
        Whoever starts the port meanwhile does not get anybody in.
        """
        self.serve(capacity=1, queue=0)
        self.client()
        self.turn()
        self.client()
        self.port.startReading()
        self.turn()
        self.assertEqual(len(self.transports()), 1)
        self.assertNotIn(self.port, self.reactor.readers)

    def test_pausedBySomebodyElse(self) -> None:
        """
        A port that was paused for another reason stays so when there is room.
        """
        self.serve(capacity=1, queue=0)
        first = self.client()
        self.turn()
        (listener,) = self.terminator.ports.listeners
        listener.pause()
        first.close()
        self.turn()
        self.assertNotIn(self.port, self.reactor.readers)
        listener.unpause()
        self.assertIn(self.port, self.reactor.readers)

    def test_pausedBefore(self) -> None:
        """
        A port that does not read is nothing to us.
        """
        self.serve(capacity=1, queue=0)
        self.port.stopReading()
        (listener,) = self.terminator.ports.listeners
        listener.crowd(True)
        listener.crowd(False)
        self.assertNotIn(self.port, self.reactor.readers)
        listener.close()
        listener.crowd(True)
        listener.unpause()
        self.assertNotIn(self.port, self.reactor.readers)

    def test_stop(self) -> None:
        """
        A stop accepts all who wait in the kernel, before it closes the port.
        """
        self.serve(capacity=1, queue=1)
        clients = [self.client() for _ in range(6)]
        self.turn()
        self.assertEqual(len(self.transports()), 2)
        report = self.terminator.terminate()
        self.turn(0.3)
        self.assertEqual(len(self.transports()), 6)
        for client in clients:
            self.turn()
            self.assertEqual(client.recv(100), b"hello ")
            client.close()
            self.turn()
        self.assertEqual(self.successResultOf(report).opened, 6)
        self.assertIs(self.port.factory, self.factory)

    def test_suspended(self) -> None:
        """
        A port that has gone and come back holds as before.
        """
        self.serve(capacity=1, queue=0)
        self.terminator.suspend()
        self.turn(0.3)
        self.terminator.resume()
        self.address = self.port.socket.getsockname()
        self.client()
        self.client()
        self.turn()
        self.assertEqual(len(self.transports()), 1)
        self.assertNotIn(self.port, self.reactor.readers)

    def test_othersPorts(self) -> None:
        """
        Ports of others that listen with a wrapped factory hold too, but for those who are
        accepted in the same turn.
        """
        self.attach = lambda: None  # type: ignore[method-assign]
        self.serve(outer=lambda factory: self.terminator.wrap(factory), capacity=1, queue=1)
        for _ in range(3):
            self.client()
        self.turn()
        self.assertEqual(self.terminator.waiting, 2)
        self.client()
        self.turn()
        self.assertEqual(self.terminator.waiting, 2)

    def test_knownTwice(self) -> None:
        """
        A port that is entered twice asks once.
        """
        self.serve(capacity=1, queue=0)
        guarded = self.port.socket
        self.terminator.ports.add(self.port)
        self.assertIs(self.port.socket, guarded)

    def test_offered(self) -> None:
        """
        A port that was released with its socket kept is another one's, who holds on his own.
        """
        self.serve(capacity=1, queue=0)
        first = self.client()
        self.turn()
        released = self.terminator.release(keep=True)
        self.turn(0.3)
        self.successResultOf(released)
        (kept,) = self.terminator.generations[0].kept
        copy: Any = kept.socket
        self.addCleanup(copy.close)
        self.client()
        served, _ = copy.accept()
        served.close()
        first.close()
        self.turn()
        self.assertIs(self.port.factory, self.factory)


class DescriptorTests(AdmissionTestCase):
    """
    No descriptor is left.
    """

    def limit(self, more: int) -> None:
        """
        Allow so many descriptors more than there are, whatever gaps there are between these.
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        # Of a few, fewer are left to the application.
        while (number := os.dup(0)) < 8 * doors.SPARE + 16:
            self.addCleanup(os.close, number)
        os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (number + more, hard))

    def lift(self) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def test_nothingLeft(self) -> None:
        """
        Nobody is accepted and dropped; a moment later all are served.
        """
        self.serve(capacity=9)
        clients = [self.client() for _ in range(3)]
        self.limit(0)
        self.turn()
        self.assertEqual(len(self.transports()), 0)
        self.assertNotIn(self.port, self.reactor.readers)
        self.turn(0.5)
        # A place becomes free, and there is still no descriptor.
        self.turn(1.0)
        self.assertEqual(len(self.transports()), 0)
        self.lift()
        self.turn(1.1)
        self.assertEqual([client.recv(100) for client in clients], [b"hello "] * 3)

    def test_someAreLeft(self) -> None:
        """
        Some are left to the application.
        """
        self.patch(doors, "SPARE", 3)
        self.serve(capacity=9)
        clients = [self.client() for _ in range(4)]
        self.limit(4)
        self.turn()
        self.assertEqual(len(self.transports()), 2)
        self.turn(1.1)
        self.assertEqual(len(self.transports()), 2)
        self.transports()[0].abortConnection()
        self.turn()
        # There is one more, and that is all.
        self.assertEqual(len(self.transports()), 2)
        self.lift()
        self.turn(1.1)
        self.assertEqual([client.recv(100) for client in clients[1:]], [b"hello "] * 3)

    def test_atTheEnd(self) -> None:
        """
        When a stop finds none for those in the queue, the reactor goes on: somebody may end.
        """
        self.serve(capacity=9)
        clients = [self.client() for _ in range(2)]
        self.limit(0)
        self.terminator.terminate()
        self.turn(0.2)
        self.assertEqual(len(self.transports()), 0)
        self.assertTrue(self.terminator.ports.open)
        self.lift()
        self.turn(0.1)
        self.assertEqual([client.recv(100) for client in clients], [b"hello "] * 2)
        self.assertFalse(self.terminator.ports.open)

    def test_saidOnce(self) -> None:
        """
        It is said once a minute.
        """
        self.serve(capacity=9)
        keeper = self.port.socket._keeper
        seen: list[Any] = []
        globalLogPublisher.addObserver(seen.append)
        self.addCleanup(globalLogPublisher.removeObserver, seen.append)
        for _ in range(2):
            keeper.exhausted(OSError(errno.EMFILE, "Too many open files"))
        self.turn(2)
        self.assertIn(self.port, self.reactor.readers)
        keeper.exhausted(OSError(errno.EMFILE, "Too many open files"))
        texts = [each for each in seen if "no more connections" in each.get("log_format", "")]
        self.assertEqual(len(texts), 1)

    def test_otherErrors(self) -> None:
        """
        Other errors are Twisted's to know.
        """
        self.serve(capacity=9)
        sock = socket.socket()
        self.addCleanup(sock.close)
        deaf = GuardedSocket(sock, self.port.socket._keeper)
        error = self.assertRaises(OSError, deaf.accept)
        self.assertEqual(error.errno, errno.EINVAL)

    def test_closed(self) -> None:
        """
        A socket that has been closed meanwhile has nobody more, and no want of descriptors.
        """
        self.serve(capacity=9)
        keeper = self.port.socket._keeper
        for scarce in (False, True):
            closed = GuardedSocket(socket.socket(), keeper)
            closed.close()
            self.patch(keeper, "scarce", scarce)
            self.assertRaises(BlockingIOError, closed.accept)
        self.assertFalse(keeper.closed)

    def test_copied(self) -> None:
        """
        Whatever somebody does with it: it is one more of what it stands for.
        """
        self.serve(capacity=9)
        sock = self.port.socket
        self.assertIs(copy.copy(sock).plain, sock.plain)

    def test_unlimited(self) -> None:
        """
        There may be no limit.
        """
        self.patch(resource, "getrlimit", lambda which: (-1, -1))
        self.serve(capacity=9)
        client = self.client()
        self.turn()
        self.assertEqual(client.recv(100), b"hello ")
