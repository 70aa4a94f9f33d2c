"""
Listening ports: closed without resetting anybody, and opened again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet import tcp
from twisted.internet.interfaces import IListeningPort, IReactorFDSet

from terminable.handover.offered import OfferedSocket
from terminable.listener import Listener
from terminable.tracking import internals

#: How long a port may go on accepting what is queued, in seconds: in a storm of new
#: connections, where the kernel cannot be told to refuse them, there is no end of it.
ACCEPTING = 1.0

#: How soon to try again, in seconds, when no descriptor was left for them.
STARVING = 0.02


def listeningPorts(reactor: Any) -> list[tcp.Port]:
    """
    The TCP and UNIX ports on which this process is listening now; none if the
    reactor cannot tell.
    """
    if not IReactorFDSet.providedBy(reactor):
        return []
    return [reader for reader in reactor.getReaders() if isinstance(reader, tcp.Port)]


class Ports:
    """
    All listening ports of a terminator.
    """

    def __init__(self, reactor: Any, room: Any = None) -> None:
        """
        @param room: decides when nobody more is to be accepted, if anybody does.
        """
        self._reactor = reactor
        self._room = room
        self._listeners: list[Listener] = []
        self._call: Any = None

    def add(self, port: IListeningPort) -> None:
        """
        Take a port that listens.
        """
        self._listeners = [known for known in self._listeners if known.port is not port]
        self._listeners.append(Listener(port, self._reactor, self._room))

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
                again = STARVING if pending[0].starved else 0.0
                self._call = self._reactor.callLater(again, turn)
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

    @property
    def listeners(self) -> list[Listener]:
        """
        Those whose sockets could be handed to somebody else.
        """
        return [listener for listener in self._listeners if listener.handle is not None]

    def crowd(self, crowded: bool) -> None:
        """
        Accept nobody while there is no room, or accept again.
        """
        for listener in self._listeners:
            listener.crowd(crowded)

    def keep(self) -> list[OfferedSocket]:
        """
        Share all of their sockets with whoever listens there next, in this process.
        """
        offered = []
        try:
            for listener in self.listeners:
                sock = listener.port.socket
                own = not internals.adopted(listener.port)
                offered.append(OfferedSocket(listener.name, sock.dup(), own))
        except OSError:
            # All of them, or none.
            for each in offered:
                each.socket.close()
            raise
        for listener in self.listeners:
            listener.share()
        return offered

    def handOver(self) -> None:
        """
        Somebody else listens on all of their sockets: let go of them.
        """
        for listener in self.listeners:
            listener.share()
            listener.close()

    def release(self) -> None:
        """
        The last connection is gone: forget the ports, and stop their factories.
        """
        for listener in self._listeners:
            listener.release()
        self._listeners.clear()
        if self._room is not None:
            # Nobody waits here any more for a descriptor; others may try at once.
            self._room.doors.again()
            self._room.doors.see()
