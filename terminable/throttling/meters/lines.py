"""
Lines, and strings with their lengths before them, as C{twisted.protocols.basic} takes
them apart.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from terminable.throttling.charges import Refusal
from terminable.throttling.meter import Meter


class _Held(int):
    """
    As good as C{True}, and not the one that an application writes.
    """


#: What C{paused} is while we have a protocol wait.
HELD: Final = _Held(1)


class StringMeter(Meter):
    """
    Strings of a protocol that takes apart all that it is given: what it may not have yet
    waits here.

    @cvar receives: the method that is called with each.
    @cvar sends: the method that sends one.
    """

    receives = "stringReceived"
    sends = "sendString"

    _stand: Any = None

    def begin(self) -> None:
        """
        Stand before the protocol's method, also when it has another one: it may be exchanged
        with each message, and whenever the application likes.
        """
        self._inside = False
        self._grasp()
        self._take = self.hook(self.protocol, "dataReceived", self._dataReceived)

    def end(self) -> None:
        """
        The connection is over.
        """
        super().end()
        self._stand = None

    def _grasp(self) -> None:
        self._stand = partial(self._received, getattr(self.protocol, self.receives))
        self.hook(self.protocol, self.receives, self._stand)

    def _regrasp(self) -> None:
        if getattr(self.protocol, self.receives) is not self._stand:
            self._grasp()

    def _dataReceived(self, data: bytes) -> Any:
        self._regrasp()
        return self._take(data)

    def _received(self, handle: Any, *message: Any) -> Any:
        if self._inside:
            # It is counted already: somebody stands before us, or calls himself.
            return handle(*message)
        return self.message(self._handle, handle, *message)

    def _handle(self, handle: Any, *message: Any) -> Any:
        self._inside = True
        try:
            return handle(*message)
        finally:
            self._inside = False
            self._regrasp()

    def refuse(self, refusal: Refusal, *message: Any) -> None:
        """
        Send the limit's words.
        """
        self.warn(refusal)

    def warn(self, refusal: Refusal) -> None:
        """
        Send the limit's words.
        """
        getattr(self.protocol, self.sends)(refusal.limit.words.encode())


class LineOnlyMeter(StringMeter):
    """
    Lines of a C{LineOnlyReceiver}.
    """

    receives = "lineReceived"
    sends = "sendLine"


class PausableMeter(StringMeter):
    """
    The same of a protocol that can be told to take nothing more apart, which may change its
    mode with each message.
    """

    def message(self, handle: Any, *message: Any) -> Any:
        """
        There is a message, perhaps because the application has told the protocol to go on
        while we had it wait.
        """
        result = super().message(handle, *message)
        if self._turns:
            self.stop()
        return result

    def stop(self) -> None:
        """
        What was read stays in the protocol's buffer.
        """
        if not getattr(self.protocol, "paused", True):
            self.protocol.paused = HELD

    def go(self) -> None:
        """
        Take it apart now, unless the application has paused the protocol.
        """
        if getattr(self.protocol, "paused", None) is HELD:
            self.protocol.paused = False
            self.protocol.dataReceived(b"")


class LineMeter(PausableMeter):
    """
    Lines of a C{LineReceiver}; what it receives in raw mode are no messages.
    """

    receives = "lineReceived"
    sends = "sendLine"
