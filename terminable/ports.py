"""
Listening ports: closed without resetting anybody, and opened again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort, IReactorFDSet
from twisted.logger import Logger

from terminable.slices import BUDGET
from terminable.tracking import internals, sockets, transports
from terminable.tracking.lingering import DONE

_log = Logger()

#: How many connections to accept between two looks at the clock.
_AT_ONCE = 10

#: How long a port may go on accepting what is queued, in seconds: in a storm of new
#: connections, where the kernel cannot be told to refuse them, there is no end of it.
ACCEPTING = 1.0


def listeningPorts(reactor: Any) -> list[tcp.Port]:
    """
    The TCP and UNIX ports on which this process is listening now; none if the
    reactor cannot tell.
    """
    if not IReactorFDSet.providedBy(reactor):
        return []
    return [reader for reader in reactor.getReaders() if isinstance(reader, tcp.Port)]


class Listener:
    """
    One listening port of a terminator.

    @ivar port: the port, which stays the same object when it is closed and opened.
    """

    def __init__(self, port: IListeningPort, reactor: Any) -> None:
        self.port: Any = port
        self._reactor = reactor
        self._own = isinstance(port, tcp.Port)
        self._address: Any = port.getHost()
        self._path: bytes | None = None
        self._held: Any = None
        self._paused = False
        self._closed = False
        self._refusing = False

    @property
    def open(self) -> bool:
        """
        Whether somebody could still be accepted here.
        """
        return bool(self.port.connected) if self._own else not self._closed

    @property
    def closing(self) -> bool:
        """
        Whether somebody else is closing the port right now.
        """
        return bool(self._own and self.port.disconnecting)

    @property
    def suspended(self) -> bool:
        """
        Whether L{resume} would open the port again.
        """
        return self._paused or not self.open

    def refuseNew(self) -> bool:
        """
        Have new connection requests ignored by the kernel while those that have
        begun are completed.

        @return: whether there is any use in waiting for them.
        """
        if not self._own or not self.open or internals.adopted(self.port):
            # A socket that others hold as well is not ours to shut.
            return False
        self._refusing = sockets.refuseNew(self.port.socket)
        return self._refusing

    def acceptNew(self) -> None:
        """
        Undo L{refuseNew}.
        """
        if self._refusing:
            sockets.acceptNew(self.port.socket)

    def acceptQueued(self) -> bool:
        """
        Accept what is waiting, for as long as one turn of the reactor may take.

        @return: whether nobody is waiting any more.
        """
        if not self._own or not self.open:
            return True
        port = self.port
        until = self._reactor.seconds() + BUDGET
        # What is accepted may close the port.
        while self.open and sockets.readable(port.socket):
            if self._reactor.seconds() >= until:
                return False
            port.numberAccepts = _AT_ONCE
            port.doRead()
        return True

    def close(self) -> None:
        """
        Close the port now; who is still queued is reset.

        The factory stays started, so that the connections that live on find what
        it opened (an access log, say), until L{release}.
        """
        if not self.open or self.closing:
            return
        self._hold()
        self._closed = True
        if not self._own:
            closing = maybeDeferred(self.port.stopListening)
            closing.addErrback(
                lambda reason: _log.failure("{port} failed to close", reason, port=self.port)
            )
            return
        if isinstance(self.port, unix.Port):
            self._unlink()
        self.port.connectionLost(DONE)

    def acceptAndClose(self) -> bool:
        """
        L{acceptQueued}, and L{close} in the same turn as the last of them.

        @return: whether the port is closed.
        """
        if self._own and self.open and isinstance(self.port, unix.Port):
            self._unlink()
        if not self.acceptQueued():
            return False
        self.close()
        return True

    def _unlink(self) -> None:
        """
        Take the path of a UNIX socket away, so that nobody else can queue; the
        port itself would remove it only together with the queue.
        """
        name = self._address.name
        if self._path is None and name and not name.startswith(b"\0"):
            # A name in the abstract namespace is left alone when the port closes.
            self._path = internals.exchangePath(self.port, b"\0" + name)
            try:
                os.unlink(self._path)
            except OSError:
                _log.warn("{path} was gone before its port was closed", path=self._path)

    def _hold(self) -> None:
        factory = getattr(self.port, "factory", None)
        self._held = factory
        # Only factories that count their ports can be started twice.
        if factory is not None and hasattr(factory, "numPorts"):
            factory.doStart()

    def release(self) -> None:
        """
        The last connection is gone: the port is as if we had never had it, and its
        factory is stopped.
        """
        transports.detach(self.port)
        self._drop()

    def _drop(self) -> None:
        factory, self._held = self._held, None
        if factory is not None and hasattr(factory, "numPorts"):
            try:
                factory.doStop()
            except BaseException:
                _log.failure("{factory} failed to stop", factory=factory)

    def suspend(self) -> bool:
        """
        Make the port go away for a while, after accepting what is queued.

        A socket that was handed to us (by systemd, say) is still held by whoever
        did so; closing it here would not make the port go away.  It is left alone,
        and those who connect wait in its queue.

        @return: whether it has gone.
        """
        if not self._own:
            self.close()
            return True
        if internals.adopted(self.port):
            self._paused = True
            self.port.stopReading()
            return True
        return self.acceptAndClose()

    def resume(self) -> None:
        """
        Listen again on the same address.

        @raise twisted.internet.error.CannotListenError: somebody else does.
        """
        if self._paused:
            self._paused = False
            self.port.startReading()
            return
        if self._path is not None:
            internals.exchangePath(self.port, self._path)
        elif isinstance(self._address, (IPv4Address, IPv6Address)):
            self.port.port = self._address.port
        self.port.startListening()
        self._path = None
        self._closed = False
        self._drop()


class Ports:
    """
    All listening ports of a terminator.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._listeners: list[Listener] = []
        self._call: Any = None

    def add(self, port: IListeningPort) -> None:
        """
        Take a port that listens.
        """
        self._listeners = [known for known in self._listeners if known.port is not port]
        self._listeners.append(Listener(port, self._reactor))

    def addThoseOf(self, factories: Iterable[Any]) -> None:
        """
        Take the ports of this process that serve one of the factories, be it within
        others (TLS, say).
        """
        known = [listener.port for listener in self._listeners]
        wanted = list(factories)
        for port in listeningPorts(self._reactor) if wanted else ():
            factory: Any = port.factory
            while factory is not None and factory not in wanted:
                factory = getattr(factory, "wrappedFactory", None)
            if factory is not None and port not in known:
                self.add(port)

    @property
    def open(self) -> bool:
        """
        Whether somebody could still be accepted.
        """
        return any(listener.open for listener in self._listeners)

    def closeAll(self, settle: float, done: Callable[[], object]) -> None:
        """
        Close every port without resetting anybody, then call C{done}.

        @param settle: for how many seconds to complete handshakes that have begun,
            where the kernel agrees to let no new ones begin.
        """
        self._each(Listener.acceptAndClose, settle, done)

    def suspendAll(self, settle: float, done: Callable[[], object]) -> None:
        """
        The same, to be undone by L{resumeAll}.
        """
        self._each(Listener.suspend, settle, done)

    def _each(
        self, finish: Callable[[Listener], bool], settle: float, done: Callable[[], object]
    ) -> None:
        self._stopCall()
        pending = [listener for listener in self._listeners if listener.open]
        refused = [listener.refuseNew() for listener in pending]
        wait = settle if any(refused) else 0.0
        until = self._reactor.seconds() + wait + ACCEPTING

        def turn() -> None:
            self._call = None
            while pending and finish(pending[0]):
                del pending[0]
            if pending and self._reactor.seconds() < until:
                self._call = self._reactor.callLater(0, turn)
                return
            for listener in pending:
                listener.close()
            done()

        if wait:
            self._call = self._reactor.callLater(wait, turn)
        else:
            turn()

    def closeNow(self) -> None:
        """
        Close every port; who is queued is reset.
        """
        self._stopCall()
        for listener in self._listeners:
            listener.close()

    def _stopCall(self) -> None:
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()

    def resumeAll(self) -> None:
        """
        Listen again on every port.

        @raise twisted.internet.error.CannotListenError: somebody else has one of
            them; those before it are open again, the others are not.
        """
        self._stopCall()
        for listener in self._listeners:
            if listener.suspended:
                listener.resume()
            else:
                listener.acceptNew()

    def release(self) -> None:
        """
        The last connection is gone: forget the ports, and stop their factories.
        """
        for listener in self._listeners:
            listener.release()
        self._listeners.clear()
