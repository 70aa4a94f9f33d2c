"""
Tests for L{terminable.handover.environment}.
"""

from __future__ import annotations

import builtins
import os
import socket
from pathlib import Path

from terminable.errors import InvalidOption
from terminable.handover import environment
from tests.handingover import HandoverTestCase

SOCKETS = {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"}


class IsForTests(HandoverTestCase):
    """
    For whom sockets are.
    """

    def test_nobody(self) -> None:
        """
        Without a process number there are none, whatever else is said.
        """
        self.assertFalse(environment.isFor({}, 5))
        self.assertFalse(environment.isFor(SOCKETS, 5))

    def test_somebody(self) -> None:
        """
        They are for the process that is named, and for no child of it.
        """
        self.assertTrue(environment.isFor({"LISTEN_PID": "5"}, 5))
        self.assertFalse(environment.isFor({"LISTEN_PID": "5"}, 6))

    def test_wrong(self) -> None:
        """
        What is no process number is refused, and so is another one from whoever hands over.
        """
        for value in ("", "x", "-1", "0", "\u0665", "9" * 5000):
            self.assertRaises(InvalidOption, environment.isFor, {"LISTEN_PID": value}, 5)
        handed = {"TERMINABLE_HANDOVER": "3"}
        self.assertRaises(InvalidOption, environment.isFor, handed, 5)
        self.assertRaises(InvalidOption, environment.isFor, {**handed, "LISTEN_PID": "6"}, 5)
        self.assertTrue(environment.isFor({**handed, "LISTEN_PID": "5"}, 5))


class ListeningTests(HandoverTestCase):
    """
    The sockets, which are looked for from another number on.
    """

    def given(self, *things: int) -> None:
        """
        These are the descriptors, one after the other.
        """
        first = 200
        self.patch(environment, "FIRST", first)
        for number, descriptor in enumerate(things, start=first):
            os.dup2(descriptor, number)
            self.addCleanup(self.closed, number)

    def closed(self, descriptor: int) -> None:
        """
        A descriptor is closed, by whomever.
        """
        try:
            os.close(descriptor)
        except OSError:
            return

    def test_listening(self) -> None:
        """
        They are found in their order, with their names, and are not inherited.
        """
        one, two = self.listener(), self.listener()
        self.given(one.fileno(), two.fileno())
        found = environment.listening({"LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"})
        self.assertEqual([each.name for each in found], ["a", "b"])
        places = [each.socket.getsockname() for each in found]
        self.assertEqual(places, [one.getsockname(), two.getsockname()])
        self.assertFalse(any(each.socket.get_inheritable() for each in found))
        for each in found:
            each.socket.close()

    def test_unnamed(self) -> None:
        """
        Without names they have one in common.
        """
        self.given(self.listener().fileno())
        found = environment.listening({"LISTEN_FDS": "1"})
        self.assertEqual([each.name for each in found], ["unknown"])
        found[0].socket.close()

    def refused(self, environ: dict[str, str], text: str) -> None:
        """
        This is refused for this reason.
        """
        problem = self.assertRaises(InvalidOption, environment.listening, environ)
        self.assertIn(text, str(problem))

    def test_count(self) -> None:
        """
        How many there are is a number, and not a great one.
        """
        for value in ("", "x", "0", "-1", "1025", "9" * 5000):
            self.refused({"LISTEN_FDS": value}, "LISTEN_FDS")

    def test_names(self) -> None:
        """
        There are as many names as sockets.
        """
        self.refused({"LISTEN_FDS": "1", "LISTEN_FDNAMES": "a:b"}, "LISTEN_FDNAMES: 'a:b'")

    def test_wrong(self) -> None:
        """
        What does not listen for streams is refused, by its number and kind.
        """
        datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        deaf = socket.socket()
        file = Path(self.mktemp()).open("w")  # noqa: SIM115 - closed at the end
        for each, text in (
            (datagram, "200 (no stream)"),
            (deaf, "200 (a stream that does not listen)"),
            (file, "200 (no socket)"),
        ):
            self.addCleanup(each.close)
            self.given(each.fileno())
            self.refused(SOCKETS, text)
        self.closed(200)
        self.refused(SOCKETS, "200 (Bad file descriptor)")

    def test_unknowable(self) -> None:
        """
        Where nobody can tell whether a socket listens, a stream will do.
        """
        self.patch(socket, "SO_ACCEPTCONN", None)
        self.given(self.listener().fileno())
        environment.listening(SOCKETS)[0].socket.close()

    def test_inodes(self) -> None:
        """
        What each is called is known by its inode, as far as can be told.
        """
        one = self.listener()
        self.given(one.fileno())
        inode = os.fstat(one.fileno()).st_ino
        self.assertEqual(environment.names(SOCKETS), {inode: "web"})
        self.assertEqual(environment.names({"LISTEN_FDS": "1"}), {inode: "unknown"})
        self.assertEqual(environment.names({"LISTEN_FDS": "2"}), {inode: "unknown"})
        self.assertEqual(environment.names({"LISTEN_FDS": "x"}), {})
        self.assertEqual(environment.names({}), {})


class ChannelTests(HandoverTestCase):
    """
    The channel to whoever hands over.
    """

    def refused(self, value: object) -> None:
        """
        This is no channel.
        """
        environ = {"TERMINABLE_HANDOVER": str(value)}
        self.assertRaises(InvalidOption, environment.channel, environ)

    def test_none(self) -> None:
        """
        There may be none.
        """
        self.assertIsNone(environment.channel({}))

    def test_channel(self) -> None:
        """
        It is a UNIX socket that is not inherited.
        """
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        theirs.set_inheritable(True)
        found = environment.channel({"TERMINABLE_HANDOVER": f"{theirs.detach()}"})
        assert found is not None
        self.addCleanup(found.close)
        self.assertFalse(found.get_inheritable())

    def test_wrong(self) -> None:
        """
        Whatever else is there, or is not, is refused, and left as it is.
        """
        one = self.listener()
        datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(datagram.close)
        for value in ("x", "", 1, one.fileno(), datagram.fileno(), 999):
            self.refused(value)
        os.fstat(one.fileno())
        os.fstat(datagram.fileno())


class StartTests(HandoverTestCase):
    """
    What this process was started with.
    """

    def test_start(self) -> None:
        """
        It is known whatever has become of the environment since.
        """
        name = next(iter(environment._atStart()), "")
        self.patch(os, "environ", {})
        self.assertIn(name, environment._atStart())

    def test_unknown(self) -> None:
        """
        Where the kernel does not tell, nothing is known.
        """

        def fail(*args: object) -> None:
            raise OSError

        self.patch(builtins, "open", fail)
        self.assertEqual(environment._atStart(), {})


class PassedOnTests(HandoverTestCase):
    """
    What children are told.
    """

    def test_passedOn(self) -> None:
        """
        What was said of our own sockets is not; of theirs, all but the process number.
        """
        ours = {"LISTEN_PID": "1", "LISTEN_FDS": "9", "TERMINABLE_HANDOVER": "8", "HOME": "/"}
        self.assertEqual(
            environment.passedOn(ours, ["a", "b"], 5),
            {
                "HOME": "/",
                "LISTEN_FDS": "2",
                "LISTEN_FDNAMES": "a:b",
                "TERMINABLE_HANDOVER": "5",
            },
        )
        self.assertEqual(
            environment.passedOn(ours, [], 3), {"HOME": "/", "TERMINABLE_HANDOVER": "3"}
        )

    def test_forgotten(self) -> None:
        """
        When everything was done nothing is left, but what is not ours.
        """
        environ = {"LISTEN_PID": "1", "TERMINABLE_PIDFILE": "x", "HOME": "/"}
        environment.forget(environ)
        self.assertEqual(environ, {"HOME": "/"})
