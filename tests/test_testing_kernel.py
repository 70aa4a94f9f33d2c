"""
Sockets that no kernel has, compared with those of the kernel.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from terminable.testing.kernel import MemoryListener, MemorySocket, connect
from terminable.tracking import sockets
from tests.wire import connectedPair

HERE, THERE = ("127.0.0.1", 4242), ("127.0.0.1", 80)

#: What C{abortConnection} sets.
ABORT = (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

Pair = tuple[Any, Any]


def memoryPair(size: int = 65536) -> Pair:
    """
    Two of ours.
    """
    return connect(lambda: 0.0, HERE, THERE, size)


def tried(work: Callable[..., Any], *arguments: Any) -> Any:
    """
    What comes of it, be it an error.
    """
    try:
        return work(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno or 0]


# What one may do with the two ends of a connection, step by step; each returns what was seen.


def talks(here: Any, there: Any) -> Any:
    """
    Something is sent, in pieces, looked at, and read.
    """
    yield tried(there.recv, 10)
    yield here.send(b"hello"), here.send(b""), here.send(memoryview(b" you"))
    yield sockets.unread(there), sockets.unread(here)
    yield there.recv(100, socket.MSG_PEEK), there.recv(3), there.recv(100), tried(there.recv, 1)
    yield sockets.unread(there), sockets.readable(there), sockets.gone(there)


def leaves(here: Any, there: Any) -> Any:
    """
    One leaves in order; the other reads what there is, and then the end.
    """
    here.send(b"bye")
    here.close()
    yield sockets.gone(there), there.recv(100), there.recv(100), there.recv(100)
    yield sockets.gone(there), sockets.readable(there)
    yield there.send(b"too late")
    yield tried(there.recv, 10), sockets.gone(there)


def leavesUnread(here: Any, there: Any) -> Any:
    """
    One leaves without having read everything: a reset, behind what it has said.
    """
    here.send(b"last")
    there.send(b"unread")
    here.close()
    yield sockets.gone(there), tried(there.send, b"x")


def resets(here: Any, there: Any) -> Any:
    """
    One leaves by force; what the other has not read is still there.
    """
    here.send(b"said")
    here.setsockopt(*ABORT)
    here.close()
    yield sockets.gone(there), sockets.readable(there)
    yield tried(there.recv, 2), tried(there.recv, 100), tried(there.recv, 100)


def resetsBare(here: Any, there: Any) -> Any:
    """
    The same when nothing was said.
    """
    here.setsockopt(*ABORT)
    here.close()
    yield tried(there.recv, 100)


def halfCloses(here: Any, there: Any) -> Any:
    """
    One ends its side, and is answered.
    """
    here.send(b"all")
    here.shutdown(socket.SHUT_WR)
    yield tried(here.send, b"more")
    yield there.recv(100), there.recv(100), sockets.gone(there)
    yield there.send(b"answer"), here.recv(100)
    there.shutdown(socket.SHUT_RDWR)
    yield here.recv(100), sockets.gone(here)


def fills(here: Any, there: Any) -> Any:
    """
    One sends until there is no room; then the other reads all of it.
    """
    sent = 0
    while isinstance(more := tried(here.send, b"x" * 100_000), int):
        sent += more
    yield more, sent > 0, sockets.unacknowledged(here) > 0, sockets.notSent(here) > 0
    # What is closed now is sent on all the same, behind the scenes.
    here.shutdown(socket.SHUT_WR)
    read = 0
    there.settimeout(5)
    while data := there.recv(1_000_000):
        read += len(data)
    yield sent - read


def traffic(here: Any, there: Any) -> Any:
    """
    What has passed is counted.
    """
    yield sockets.hasSpoken(there), sockets.traffic(there).received
    here.send(b"hello")
    there.recv(100)
    yield sockets.hasSpoken(there), sockets.hasSpoken(here)
    there.send(b"yes")
    # Of the other end, the kernel counts the handshake too.
    yield sockets.traffic(there).received, sockets.traffic(there).confirmed


def options(here: Any, there: Any) -> Any:
    """
    What Twisted's transports set.
    """
    for level, name in (
        (socket.IPPROTO_TCP, socket.TCP_NODELAY),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    ):
        yield bool(here.getsockopt(level, name))
        here.setsockopt(level, name, 1)
        yield bool(here.getsockopt(level, name))
    yield here.family, here.type, here.getsockname() == there.getpeername()
    with here:
        pass
    yield here.fileno(), tried(here.recv, 1), tried(here.send, b"x")
    here.close()


SCRIPTS = [
    *(talks, leaves, leavesUnread, resets, resetsBare),
    *(halfCloses, fills, traffic, options),
]


class LikeTheKernelTests(SynchronousTestCase):
    """
    Whatever is done, it is seen as it is with sockets of the kernel.
    """

    def real(self) -> Pair:
        """
        Two that the kernel has.
        """
        here, there = connectedPair()
        for each in (here, there):
            self.addCleanup(each.close)
            each.setblocking(False)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        return here, there

    def test_everyScript(self) -> None:
        """
        Step by step.  The kernel may be late with something, but not each time.
        """
        if not sys.platform.startswith("linux"):
            raise SkipTest("it is Linux that is compared with")
        for script in SCRIPTS:
            seen = list(script(*memoryPair()))
            for _ in range(20):
                expected = list(script(*self.real()))
                if seen == expected:
                    break
            self.assertEqual(seen, expected, script.__doc__)


class SocketTests(SynchronousTestCase):
    """
    What cannot be compared, since it is exact only here.
    """

    def test_room(self) -> None:
        """
        So much is with the reader, as much with the sender, and no more.
        """
        here, there = memoryPair(10)
        self.assertEqual((here.send(b"x" * 15), here.send(b"y" * 15)), (10, 10))
        self.assertFalse(here.events() & select.POLLOUT)
        self.assertEqual((sockets.unacknowledged(here), here.unsent), (10, 20))
        self.assertEqual(there.recv(4), b"xxxx")
        self.assertEqual((sockets.unacknowledged(here), here.unsent), (6, 16))
        self.assertTrue(here.events() & select.POLLOUT)
        self.assertEqual(there.recv(10), b"x" * 6 + b"y" * 4)
        self.assertEqual(there.recv(10), b"y" * 6)

    def test_closedWithOutput(self) -> None:
        """
        What was sent is read also after the sender has closed; then comes the end.
        """
        here, there = memoryPair(10)
        here.send(b"x" * 10)
        here.send(b"y" * 10)
        here.close()
        self.assertFalse(there.peerEnded)
        self.assertEqual(
            (there.recv(10), there.recv(10), there.recv(10)), (b"x" * 10, b"y" * 10, b"")
        )

    def test_lostAnswer(self) -> None:
        """
        Who sends to somebody who has closed is reset, and what was on its way is lost: the
        reason why servers linger.
        """
        here, there = memoryPair(10)
        here.send(b"x" * 10)
        here.send(b"y" * 10)
        here.close()
        there.send(b"more")
        self.assertTrue(there.wasReset)
        self.assertEqual(there.recv(100), b"x" * 10)
        self.assertRaises(ConnectionResetError, there.recv, 100)

    def test_events(self) -> None:
        """
        Both sides ended is a hang-up; a reset is an error, too.
        """
        here, there = memoryPair()
        self.assertEqual(there.events(), select.POLLOUT)
        here.shutdown(socket.SHUT_RD)
        self.assertEqual(there.events(), select.POLLOUT)
        here.shutdown(socket.SHUT_WR)
        self.assertFalse(there.events() & select.POLLHUP)
        there.shutdown(socket.SHUT_WR)
        self.assertTrue(there.events() & select.POLLHUP)
        here.setsockopt(*ABORT)
        here.close()
        self.assertTrue(there.events() & select.POLLERR)

    def test_times(self) -> None:
        """
        When something was sent and received last is known by the clock.
        """
        now = [10.0]
        here, there = connect(lambda: now[0], HERE, THERE, 100)
        here.send(b"x")
        now[0] = 12.5
        found = sockets.traffic(there)
        assert found is not None
        self.assertEqual((found.lastReceived, found.lastSent), (2.5, None))
        self.assertEqual(sockets.quiet(there), 2.5)
        self.assertEqual(sockets.roundTrip(there), 0.0)

    def test_otherRequests(self) -> None:
        """
        What else C{ioctl} may be asked is 0.
        """
        here, _ = memoryPair()
        self.assertEqual(here.count(0), 0)

    def test_repr(self) -> None:
        """
        It says where it is.
        """
        self.assertEqual(repr(memoryPair()[0]), "<MemorySocket 127.0.0.1:4242>")

    def test_unknownCalls(self) -> None:
        """
        What is not there fails as with any socket that is closed.
        """
        here, _ = memoryPair()
        self.assertEqual(tried(here.dup), "EBADF")
        self.assertEqual(tried(here.listen), "EBADF")


class ListenerTests(SynchronousTestCase):
    """
    A socket that listens.
    """

    def setUp(self) -> None:
        self.network: dict[Any, MemoryListener] = {}

    def listener(self, port: int = 80, family: int = socket.AF_INET) -> MemoryListener:
        """
        One that listens.
        """
        made = MemoryListener(self.network, family)
        made.bind(("", port))
        made.listen(2)
        return made

    def arrive(self, listener: MemoryListener) -> MemorySocket:
        """
        Somebody connects.
        """
        return listener.arrive(lambda: 0.0, HERE, 100)

    def test_queue(self) -> None:
        """
        Who connects is queued, may send already, and is accepted in turn.
        """
        listener = self.listener()
        self.assertRaises(BlockingIOError, listener.accept)
        self.assertFalse(sockets.readable(listener))
        first, second = self.arrive(listener), self.arrive(listener)
        first.send(b"hello")
        self.assertTrue(sockets.readable(listener))
        self.assertEqual(sockets.queued(listener), 2)
        self.assertRaises(TimeoutError, self.arrive, listener)
        served, address = listener.accept()
        self.assertEqual((served.recv(100), address), (b"hello", HERE))
        listener.accept()[0].send(b"you")
        self.assertEqual(second.recv(100), b"you")

    def test_closes(self) -> None:
        """
        Who is queued when it closes is reset, and its port is free.
        """
        listener = self.listener()
        queued = self.arrive(listener)
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        listener.close()
        self.assertTrue(queued.wasReset)
        self.assertEqual(self.network, {})
        self.listener()

    def test_addresses(self) -> None:
        """
        A port is taken once for each family; port 0 is any that is free.
        """
        self.listener()
        six = self.listener(family=socket.AF_INET6)
        self.assertEqual(six.getsockname(), ("::", 80, 0, 0))
        self.assertEqual(six.family, socket.AF_INET6)
        self.assertRaises(OSError, self.listener)
        self.assertEqual(self.listener(0).getsockname(), ("0.0.0.0", 49152))
        self.assertEqual(self.listener(0).getsockname(), ("0.0.0.0", 49153))

    def test_noFilter(self) -> None:
        """
        Nobody can be kept away but by closing it, and nothing is unread here.
        """
        listener = self.listener()
        self.assertFalse(sockets.refuseNew(listener))
        self.assertEqual(sockets.unread(listener), 0)
