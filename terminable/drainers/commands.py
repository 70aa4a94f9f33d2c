"""
What protocols have in common in which the client commands and the server answers, line
by line.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger
from twisted.protocols.basic import FileSender
from zope.interface import implementer

from terminable.drainers.plain import NothingToSay
from terminable.interfaces import IDrainWatch, ILastingDrainer
from terminable.tracking.layers import bottomOf, layers

#: So many commands may wait for the answer to the one before them.
WAITING = 200

_log = Logger()


def stopSending(transport: Any) -> None:
    """
    Have nothing more sent of a file, and close it.  All that its sender would do, told to
    stop, is to have that logged with a traceback.
    """
    producer = getattr(transport, "producer", None)
    if isinstance(producer, FileSender):
        transport.unregisterProducer()
        producer.file.close()


class _Mute:
    """
    Stands in for the transport of a protocol that has nothing more to say.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def write(self, data: bytes) -> None:
        """
        Too late.
        """

    def writeSequence(self, data: Any) -> None:
        """
        Too late.
        """

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Too late.
        """

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


@implementer(ILastingDrainer)
class CommandDrainer(NothingToSay):
    """
    Lets the transaction that is open complete; the next command gets the protocol's
    goodbye for its answer, and ends the connection.

    @cvar word: what the goodbye is called in a report; if it is empty, there is no last
        word at the deadline.
    @cvar entrance: the method of the protocol that is called with each command.
    @ivar protocol: a line receiver.
    @ivar leaving: whether the goodbye was said.
    """

    silent = False
    word = ""
    entrance = "lineReceived"

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.leaving = False
        self._idle: Any = None
        self._received: Any = None
        self._waiting: list[tuple[Any, ...]] = []
        self._looking = False

    def isBusy(self) -> bool:
        """
        Whether a transaction is open.
        """
        raise NotImplementedError  # pragma: no cover

    def goodbye(self) -> None:
        """
        Write the protocol's goodbye.
        """
        raise NotImplementedError  # pragma: no cover

    def permits(self, line: bytes) -> bool:
        """
        Whether a command is still obeyed while no transaction is open; the client's own
        goodbye, in most protocols.
        """
        raise NotImplementedError  # pragma: no cover

    def waits(self) -> bool:
        """
        Whether a command that is received now has to wait for the answer to the one
        before it, because nobody knows yet if a transaction is open after that.
        """
        return False

    @property
    def lost(self) -> bool:
        """
        Whether the connection was told to go, by whomever.
        """
        transport = self.protocol.transport
        found = (transport, *layers(bottomOf(transport))[:-1])
        return any(getattr(layer, "disconnecting", False) for layer in found)

    def hint(self, idle: IDrainWatch) -> None:
        """
        From now on no transaction begins.
        """
        self._idle = idle
        self._received = getattr(self.protocol, self.entrance)
        setattr(self.protocol, self.entrance, self._receive)

    def _receive(self, *command: Any) -> Any:
        if self.leaving or self.lost:
            return None
        if self._waiting or self.waits():
            if len(self._waiting) <= WAITING:
                self._waiting.append(command)
            self.look()
            return None
        return self._obey(command)

    def _obey(self, command: tuple[Any, ...]) -> Any:
        if not self.isBusy() and not self.permits(*command):
            self.leave()
            return None
        looking, self._looking = self._looking, True
        try:
            result = self._received(*command)
        finally:
            self._looking = looking
        self.look()
        return result

    def look(self) -> None:
        """
        Something has happened: have those commands obeyed that were waiting for it, and
        tell if no transaction is open.
        """
        if self._idle is None or self._looking:
            return
        self._looking = True
        try:
            while self._waiting and not (self.lost or self.waits()):
                self._obeyNext()
        finally:
            self._looking = False
        if not (self.leaving or self.lost or self.isBusy()):
            self._idle()

    def _obeyNext(self) -> None:
        if len(self._waiting) > WAITING:
            # There were more, which are gone: its client has to begin again.
            self.leave()
            return
        try:
            self._obey(self._waiting.pop(0))
        except Exception:
            # Not the fault of whoever has just given an answer, and hears of it.
            _log.failure("{protocol} failed", protocol=self.protocol)
            self.leave()

    def drain(self) -> None:
        """
        Say goodbye if no transaction is open.
        """
        if not self.isBusy():
            self.leave()

    def leave(self) -> None:
        """
        Say goodbye, once, and lose the connection; what the application says after that
        is swallowed.
        """
        if self.leaving:
            return
        self.leaving = True
        self._waiting.clear()
        protocol = self.protocol
        try:
            if not self.lost:
                self.goodbye()
        finally:
            transport = protocol.transport
            protocol.transport = _Mute(transport)
            transport.loseConnection()

    def lastWord(self, retryAfter: int) -> str:
        """
        The same goodbye, whatever is in flight.
        """
        if not self.word or self.leaving or self.lost:
            return ""
        self.leave()
        return self.word
