"""
Another process that is given our listening sockets: started, awaited, ended if it is no
good.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.protocols import amp
from twisted.python.failure import Failure

from terminable.errors import HandoverFailed, InvalidOption
from terminable.handover import channel
from terminable.handover.environment import FIRST, passedOn
from terminable.tracking import internals

_log = Logger()

#: Seconds that a process has to end when it is told to, before it is ended.
TERM = 2.0

#: Seconds to wait for the exit status of a process that no longer speaks.
STATUS = 0.5

#: Seconds that a successor which is ready has for its answer that it serves.
ANSWER = 10.0

#: C{LISTEN_PID} is to be the number of the process itself, which is not known before.
_START = ("/bin/sh", "-c", 'LISTEN_PID=$$; export LISTEN_PID; exec "$@"', "sh")


def check(command: Sequence[str]) -> list[str]:
    """
    @return: the command line, as a list.
    @raise InvalidOption: it is none, or there is no such program.
    """
    if isinstance(command, (str, bytes)) or not all(isinstance(word, str) for word in command):
        raise InvalidOption("command", command, "a sequence of words")
    if not command or shutil.which(command[0]) is None:
        what = command[0] if command else command
        raise InvalidOption("command", what, "a program that can be run, and its arguments")
    return list(command)


class _Watch(ProcessProtocol):
    """
    Notices the end of a process.
    """

    def __init__(self, ended: Callable[[Failure], object]) -> None:
        self._ended = ended

    def processExited(self, reason: Failure) -> None:
        """
        See C{IProcessProtocol.processExited}.
        """
        self._ended(reason)


class Successor(amp.CommandLocator):
    """
    A process that takes over, or takes part.

    @ivar pid: its number; C{None} before it was started.
    @ivar channel: what it is spoken to by.
    @ivar serving: whether it accepts.
    @ivar gone: fires with C{None} when the process has ended; once.
    @ivar how: how it has ended, in words; an empty string before.
    """

    def __init__(
        self,
        reactor: Any,
        command: Sequence[str],
        sockets: Sequence[tuple[str, socket.socket]],
        *,
        environ: Mapping[str, str] | None = None,
        path: str | None = None,
        timeout: float = 60.0,
        locators: Sequence[amp.CommandLocator] = (),
    ) -> None:
        """
        @param command: the program and its arguments.
        @param sockets: what it is to listen on, and the names of these.
        @param environ: by default, our own.
        @param path: where it is started; by default, here.
        @param timeout: seconds until it must be ready.
        @param locators: who answers what else it may ask.
        @raise InvalidOption: there is no such command.
        """
        super().__init__()
        self._reactor = reactor
        self._command = check(command)
        self._sockets = list(sockets)
        self._environ = os.environ if environ is None else environ
        self._path = path
        self._timeout = timeout
        self._ready: Deferred[Successor] | None = None
        self._calls: list[Any] = []
        self._process: Any = None
        self._asked = False
        self._ended = False
        self._held: Any = None
        self.pid: int | None = None
        self.serving = False
        self.how = ""
        self.channel = channel.Channel(self._lost, [self, *locators])
        self.gone: Deferred[None] = Deferred()

    def start(self) -> Deferred[Successor]:
        """
        Start it.

        @return: fires with this object when the process is ready to serve, or fails with
            L{HandoverFailed}; then it has been told to end.
        """
        ready = self._ready = Deferred()
        # Before the start: a process may have ended when that returns.
        self._later(self._timeout, self._fail, f"it was not ready within {self._timeout:g} s")
        try:
            ours, theirs = socket.socketpair()
            with ours, theirs:
                ours.setblocking(False)
                # The other end is to hear of our end when this process is gone altogether, not
                # when its reactor has stopped.
                self._held = ours.dup()
                factory = channel.Once(self.channel)
                transport = self._reactor.adoptStreamConnection(
                    ours.fileno(), socket.AF_UNIX, factory
                )
                internals.share(transport)
                # Nobody sends us descriptors: whoever does is not to have us run out of them.
                spoken: Any = self.channel
                spoken.fileDescriptorReceived = self._oddDescriptor
                self._spawn(theirs)
        except OSError as problem:
            # Too many files are open, or there are too many processes.
            self._over(f"it could not be started ({problem})")
        return ready

    def _oddDescriptor(self, descriptor: int) -> None:
        """
        A descriptor came, which nobody has asked for.
        """
        os.close(descriptor)
        transport: Any = self.channel.transport
        if transport is not None:
            transport.abortConnection()

    def _spawn(self, theirs: socket.socket) -> None:
        """
        Start the process, with its end of the channel.
        """
        given = [sock.fileno() for _, sock in self._sockets] + [theirs.fileno()]
        names = [name for name, _ in self._sockets]
        self._process = self._reactor.spawnProcess(
            _Watch(self._exited),
            _START[0],
            [*_START, *self._command],
            passedOn(self._environ, names, FIRST + len(names)),
            self._path,
            childFDs={**_standard(), **dict(enumerate(given, start=FIRST))},
        )
        self.pid = self._process.pid

    def _later(self, seconds: float, work: Callable[..., object], *args: object) -> None:
        self._calls.append(self._reactor.callLater(seconds, work, *args))

    @channel.Ready.responder
    def isReady(self, version: int, pid: int, listening: list[str]) -> dict[str, object]:
        """
        It says that it is ready.
        """
        if version != channel.VERSION:
            self._fail(f"it speaks version {version} of the handover, not {channel.VERSION}")
        elif self._sockets and not listening:
            self._fail("it listens on none of the sockets it was given")
        elif self._ready is not None and not self._asked:
            self.pid = pid
            self._settled().callback(self)
        return {}

    def serve(self) -> Deferred[None]:
        """
        Have it accept.

        @return: fires when it does, or fails with L{HandoverFailed}; then it has been told
            to end.
        """
        serving: Deferred[Successor] = Deferred()
        self._ready = serving
        self._asked = True
        self._later(ANSWER, self._fail, f"it did not serve within {ANSWER:g} s")
        asked = self.channel.callRemote(channel.Serve)
        # What goes wrong with the channel is heard otherwise.
        asked.addCallbacks(lambda _: self._served(), self._lost)
        return serving.addCallback(lambda _: None)

    def _served(self) -> None:
        if self._ready is not None:
            self.serving = True
            self._settled().callback(self)

    def _settled(self) -> Deferred[Successor]:
        ready, self._ready = self._ready, None
        for call in self._calls:
            if call.active():
                call.cancel()
        self._calls.clear()
        assert ready is not None
        return ready

    def _fail(self, why: str) -> None:
        if self._ready is not None:
            ready = self._settled()
            self.end()
            ready.errback(HandoverFailed(why))

    def _lost(self, reason: Failure) -> None:
        """
        The channel is gone, and the process too, or about to be.
        """
        if self._ready is None:
            return
        # If it has ended, how it did says more.
        self._later(STATUS, self._fail, "it closed the channel, or said nonsense on it")

    def _exited(self, reason: Failure) -> None:
        how = "with 0" if reason.check(ProcessDone) else f"badly ({reason.getErrorMessage()})"
        self.how = how
        self._over(f"it ended {how}")

    def _over(self, why: str) -> None:
        self._ended = True
        if self._ready is not None and self.channel.transport is not None:
            # It may have left others behind that still have the channel, and would serve when
            # we seem to be gone.
            self.channel.callRemote(channel.Leave).addErrback(lambda reason: None)
        self._fail(why)
        if self.channel.transport is not None:
            self.channel.transport.loseConnection()
        if self._held is not None:
            self._held.close()
        self.gone.callback(None)

    def end(self) -> None:
        """
        Have the process end: it is asked to, and ended if it does not within a moment.
        """
        self.signal("TERM")
        if not self._ended:
            call = self._reactor.callLater(TERM, self.signal, "KILL")
            self.gone.addCallback(lambda _: call.active() and call.cancel())

    def signal(self, name: str) -> None:
        """
        Send it a signal, unless it has ended.
        """
        if not self._ended and self._process is not None:
            self._process.signalProcess(name)


def _standard() -> dict[int, int]:
    """
    Standard input, output and error, those that there are.
    """
    found = {}
    for descriptor in range(FIRST):
        try:
            os.fstat(descriptor)
        except OSError:
            continue
        found[descriptor] = descriptor
    return found
