"""
Tests for L{terminable.handover.successor}.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.defer import Deferred

from terminable.errors import HandoverFailed, InvalidOption
from terminable.handover.channel import VERSION, Ready
from terminable.handover.successor import ANSWER, STATUS, TERM, Successor, check
from tests.handingover import Answers, FakeProcess, HandoverTestCase


class CheckTests(HandoverTestCase):
    """
    What is a command line.
    """

    def test_right(self) -> None:
        """
        A sequence of words is, of which the first is a program.
        """
        self.assertEqual(check(("sh", "-c", "true")), ["sh", "-c", "true"])

    def test_wrong(self) -> None:
        """
        Everything else is not.
        """
        wrong: list[Any] = ["sh", b"sh", [], ["/no/such/program"], ["sh", 1], [b"sh"]]
        for command in wrong:
            self.assertRaises(InvalidOption, check, command)


class SuccessorTestCase(HandoverTestCase):
    """
    Starts one.
    """

    def start(self, *names: str, **options: Any) -> None:
        """
        Start one with a socket for each of these names.
        """
        sockets = [(name, self.listener()) for name in names]
        self.successor = Successor(self.reactor, ["sh", "-x"], sockets, **options)
        self.started = self.successor.start()
        self.process = self.reactor.processes[0]

    def child(self) -> Answers:
        """
        What happens in the process.
        """
        self.spoken, answers = self.speak(self.process.channel)
        return answers

    def ready(self, version: int = VERSION, listening: tuple[str, ...] = ("web",)) -> None:
        """
        The process is ready, as it says.
        """
        said = self.spoken.callRemote(Ready, version=version, pid=99, listening=list(listening))
        said.addErrback(lambda reason: None)
        self.turns()

    def failed(self, deferred: Any, text: str) -> None:
        """
        It has failed, for this reason.
        """
        self.assertIn(text, str(self.failureResultOf(deferred, HandoverFailed).value))


class StartTests(SuccessorTestCase):
    """
    How one is started.
    """

    def test_given(self) -> None:
        """
        It is given the sockets from 3 on, and after them the channel, and told so.
        """
        self.start("a", "b", environ={"HOME": "/", "LISTEN_FDS": "7"}, path="/tmp")
        given = self.process.given
        self.assertEqual(sorted(given["childFDs"]), [0, 1, 2, 3, 4, 5])
        self.assertEqual(given["path"], "/tmp")
        self.assertEqual(
            given["env"],
            {
                "HOME": "/",
                "LISTEN_FDS": "2",
                "LISTEN_FDNAMES": "a:b",
                "TERMINABLE_HANDOVER": "5",
            },
        )
        self.assertEqual(self.process.arguments[-2:], ["sh", "-x"])
        self.assertEqual(self.successor.pid, 4711)

    def test_number(self) -> None:
        """
        C{LISTEN_PID} is the number of the process itself.
        """
        self.start(environ={})
        shell, option, script = self.process.arguments[:3]
        self.assertEqual((shell, option), ("/bin/sh", "-c"))
        self.assertIn("LISTEN_PID=$$", script)
        self.assertEqual(self.process.given["env"], {"TERMINABLE_HANDOVER": "3"})

    def test_own(self) -> None:
        """
        Without an environment it has ours, and of the standard streams those that there are.
        """
        self.patch(os, "environ", {"HOME": "/here"})
        former = os.fstat

        def fstat(descriptor: int) -> os.stat_result:
            if descriptor == 0:
                raise OSError
            return former(descriptor)

        self.patch(os, "fstat", fstat)
        self.start()
        self.assertEqual(self.process.given["env"]["HOME"], "/here")
        self.assertEqual(sorted(self.process.given["childFDs"]), [1, 2, 3])

    def test_impossible(self) -> None:
        """
        A process that cannot be started has failed, and left nothing behind.
        """

        def fail(process: FakeProcess) -> None:
            raise BlockingIOError(11, "too many")

        self.reactor.starting = fail
        self.start("web")
        self.failed(self.started, "it could not be started ([Errno 11] too many)")
        self.turns()
        self.assertIsNone(self.successor.pid)
        self.successResultOf(self.successor.gone)
        self.assertEqual((self.reactor.getReaders(), self.reactor.getDelayedCalls()), ([], []))

    def test_noFiles(self) -> None:
        """
        So has one for which no file can be opened.
        """

        def fail() -> Any:
            raise OSError(24, "too many")

        self.patch(socket, "socketpair", fail)
        successor = Successor(self.reactor, ["sh", "-x"], [])
        self.failed(successor.start(), "it could not be started ([Errno 24] too many)")
        self.successResultOf(successor.gone)
        self.assertEqual((self.reactor.getReaders(), self.reactor.getDelayedCalls()), ([], []))

    def test_oddDescriptors(self) -> None:
        """
        Who sends descriptors is not kept: there is nothing to send.
        """
        self.start("web")
        for _ in range(2):
            descriptor = os.dup(0)
            self.successor.channel.fileDescriptorReceived(descriptor)
            self.assertRaises(OSError, os.fstat, descriptor)
            self.turns()
        self.assertIsNone(self.successor.channel.transport)

    def test_gone(self) -> None:
        """
        One that has ended before we have looked has failed.
        """
        self.reactor.starting = lambda process: process.end(1)
        self.start("web")
        self.failed(self.started, "it ended badly")
        self.turns()
        self.assertEqual(self.process.signals, [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class ReadyTests(SuccessorTestCase):
    """
    Until it is ready.
    """

    def test_ready(self) -> None:
        """
        It says so itself, and which process it is.
        """
        self.start("web")
        self.child()
        self.assertNoResult(self.started)
        self.ready()
        self.assertIs(self.successResultOf(self.started), self.successor)
        self.assertEqual((self.successor.pid, self.successor.serving), (99, False))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_nothingToListenOn(self) -> None:
        """
        One that was given nothing need not listen.
        """
        self.start()
        self.child()
        self.ready(listening=())
        self.successResultOf(self.started)

    def test_late(self) -> None:
        """
        One that takes too long is told to end; what it says then is not heard.
        """
        self.start("web", timeout=5.0)
        self.child()
        self.reactor.turn(4.9)
        self.assertNoResult(self.started)
        self.reactor.turn(0.1)
        self.failed(self.started, "it was not ready within 5 s")
        self.assertEqual(self.process.signals, ["TERM"])
        self.ready()
        self.reactor.turn(TERM)
        self.assertEqual(self.process.signals, ["TERM", "KILL"])

    def test_version(self) -> None:
        """
        One that speaks another version is told to end, and left alone when it has.
        """
        self.start("web")
        self.child()
        self.ready(version=77)
        self.failed(self.started, "it speaks version 77 of the handover, not 1")
        self.process.end()
        self.reactor.turn(TERM)
        self.assertEqual(self.process.signals, ["TERM"])
        self.successResultOf(self.successor.gone)

    def test_listening(self) -> None:
        """
        One that listens on nothing is of no use.
        """
        self.start("web")
        self.child()
        self.ready(listening=())
        self.failed(self.started, "it listens on none of the sockets it was given")

    def test_ended(self) -> None:
        """
        How it has ended is said; who of its own is left is told to leave.
        """
        self.start("web")
        child = self.child()
        self.process.end()
        self.failed(self.started, "it ended with 0")
        self.turns()
        self.assertEqual(child.names(), ["Leave"])
        self.assertEqual(self.process.signals, [])
        self.assertEqual(self.successor.how, "with 0")

    def test_channel(self) -> None:
        """
        The end of the channel is its end; how it has ended says more, if that is soon known.
        """
        self.start("web")
        self.child()
        self.spoken.transport.abortConnection()
        self.turns()
        self.assertNoResult(self.started)
        self.reactor.turn(STATUS)
        self.failed(self.started, "it closed the channel, or said nonsense on it")

    def test_channelThenEnd(self) -> None:
        """
        It is known.
        """
        self.start("web")
        self.child()
        self.spoken.transport.abortConnection()
        self.turns()
        self.process.end(3)
        self.failed(self.started, "it ended badly (A process has ended with a probable error")


class ServeTests(SuccessorTestCase):
    """
    Having one serve that is ready.
    """

    def setUp(self) -> None:
        super().setUp()
        self.start("web")
        self.answers = self.child()
        self.ready()
        self.serving = self.successor.serve()

    def test_served(self) -> None:
        """
        It serves when it has answered.
        """
        self.assertNoResult(self.serving)
        self.turns()
        self.assertIsNone(self.successResultOf(self.serving))
        self.assertTrue(self.successor.serving)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.process.end()
        self.turns()
        self.assertEqual(self.answers.names(), ["Serve"])

    def test_again(self) -> None:
        """
        That it is ready, once more, is no answer.
        """
        answer: Deferred[dict[str, object]] = Deferred()
        self.answers.answers["Serve"] = answer
        self.ready()
        self.assertNoResult(self.serving)
        answer.callback({})
        self.turns()
        self.successResultOf(self.serving)

    def test_late(self) -> None:
        """
        One that does not answer is told to end; an answer that comes then is not heard.
        """
        self.reactor.advance(ANSWER)
        self.failed(self.serving, "it did not serve within 10 s")
        self.assertEqual(self.process.signals, ["TERM"])
        self.turns()
        self.assertFalse(self.successor.serving)

    def test_refused(self) -> None:
        """
        So is one that answers with an error.
        """
        self.answers.answers["Serve"] = ValueError("no")
        self.turns()
        self.reactor.turn(STATUS)
        self.failed(self.serving, "it closed the channel, or said nonsense on it")
        self.flushLoggedErrors(ValueError)

    def test_signalled(self) -> None:
        """
        It is sent signals until it has ended.
        """
        self.turns()
        self.successor.signal("HUP")
        self.process.end()
        self.successor.signal("HUP")
        self.successor.end()
        self.assertEqual(self.process.signals, ["HUP"])


class NotStartedTests(HandoverTestCase):
    """
    One that was not started.
    """

    def test_signal(self) -> None:
        """
        It is sent nothing.
        """
        Successor(self.reactor, ["sh"], []).signal("TERM")
        self.assertEqual(self.reactor.processes, [])
