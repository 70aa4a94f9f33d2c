"""
Perspective Broker, as C{twisted.spread} speaks it.

Twisted does not keep the calls that it has not answered.  So each broker is watched from
its beginning: C{proto_message}, C{proto_cachemessage} and C{sendEncoded} are overridden on
the instance.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from twisted.python.components import registerAdapter
from twisted.spread.pb import Broker, CopyableFailure, Error
from zope.interface import implementer

from terminable.drainers import library
from terminable.drainers.calls import CUT, REFUSED, CallDrainer
from terminable.interfaces import IDrainer, ILastingDrainer

#: How calls begin, and what their answers begin with.
_CALLS = (b"message", b"cachemessage")
_ANSWERS = (b"answer", b"error")

#: (what, request ID, object ID, name, whether an answer is wanted, arguments, keywords)
_LENGTH = 7


class Terminating(Error):
    """
    This call was not taken, since the server is going down: it may be made again
    elsewhere.
    """


class Terminated(Error):
    """
    This call was begun, and not done when the deadline came.
    """


class Calls:
    """
    Stands in for some methods of one broker, from its beginning, and keeps the calls that
    are being worked on and whose answer is wanted.

    @ivar pending: C{request ID: name}.
    @ivar send: the broker's own C{sendEncoded}.
    @ivar ended: the drainer that wants to know when one of them is done.
    """

    __slots__ = ("_cacheMessage", "_message", "ended", "pending", "send")

    def __init__(self, broker: Any) -> None:
        self.pending: dict[int, object] = {}
        self.ended: CallDrainer | None = None
        self._message = broker.proto_message
        self._cacheMessage = broker.proto_cachemessage
        self.send = broker.sendEncoded

    def proto_message(
        self, request: Any, target: Any, name: Any, wanted: Any, arguments: Any, keywords: Any
    ) -> None:
        """
        A call to an object of ours.
        """
        # A peer might send anything, but Twisted's send numbers.
        if wanted and type(request) is int:
            self.pending[request] = name
        self._message(request, target, name, wanted, arguments, keywords)

    def proto_cachemessage(
        self, request: Any, target: Any, name: Any, wanted: Any, arguments: Any, keywords: Any
    ) -> None:
        """
        A call to our copy of an object of the peer's.
        """
        if wanted and type(request) is int:
            self.pending[request] = name
        self._cacheMessage(request, target, name, wanted, arguments, keywords)

    def sendEncoded(self, expression: Any) -> None:
        """
        Anything that is sent, answers among it.
        """
        # Before it is sent: whose answer turns out to be one that cannot be sent is done, too.
        if expression[0] in _ANSWERS:
            # Some are not among them: from before, or a strange peer's.
            try:  # noqa: SIM105 - the quickest way, as this is done for each answer
                del self.pending[expression[1]]
            except (KeyError, TypeError):
                pass
            if self.ended is not None:
                self.ended.finished()
        self.send(expression)


def watch(broker: Any) -> None:
    """
    A connection begins: keep its calls.
    """
    if callsOf(broker) is None:
        calls = Calls(broker)
        broker.proto_message = calls.proto_message
        broker.proto_cachemessage = calls.proto_cachemessage
        broker.sendEncoded = calls.sendEncoded


def callsOf(broker: Any) -> Calls | None:
    """
    The calls that were kept, if this one is watched.
    """
    found = getattr(broker.proto_message, "__self__", None)
    return found if isinstance(found, Calls) else None


@implementer(ILastingDrainer)
class PBDrainer(CallDrainer):
    """
    Ends a Perspective Broker connection after its last call.
    """

    def __init__(self, protocol: Any) -> None:
        super().__init__(protocol)
        self._taken: Any = None
        self._resume: Any = None
        self._send: Any = None

    def pending(self) -> Collection[Any]:
        """
        See L{CallDrainer.pending}.
        """
        calls = callsOf(self.protocol)
        return () if calls is None else calls.pending.values()

    def nameOf(self, call: Any) -> object:
        """
        See L{CallDrainer.nameOf}.
        """
        return call

    def outstanding(self) -> int:
        """
        See L{CallDrainer.outstanding}.
        """
        return len(self.protocol.waitingForAnswers or ())

    def receiving(self) -> bool:
        """
        See L{CallDrainer.receiving}.
        """
        return bool(self.protocol.listStack or self.protocol.buffer)

    def received(self) -> Any:
        """
        See L{CallDrainer.received}.
        """
        stack = self.protocol.listStack
        return stack[0][1] if stack else None

    def isBusy(self) -> bool:
        """
        Whether a call is open, something was received in part, or pages are being sent.
        """
        return bool(self.protocol.pageProducers) or super().isBusy()

    def alsoOpen(self) -> list[str]:
        """
        See L{CallDrainer.alsoOpen}.
        """
        return ["sending pages"] * bool(self.protocol.pageProducers) + super().alsoOpen()

    def install(self) -> None:
        """
        See L{CallDrainer.install}.
        """
        broker = self.protocol
        watch(broker)
        calls: Any = callsOf(broker)
        calls.ended = self
        self._taken, self._resume = broker.expressionReceived, broker.resumeProducing
        broker.expressionReceived = self._expressionReceived
        broker.resumeProducing = self._resumeProducing

    def _expressionReceived(self, sexp: Any) -> None:
        if isinstance(sexp, list) and len(sexp) == _LENGTH and sexp[0] in _CALLS:
            # Where no answer is wanted, nobody could be told.
            wanted = sexp[4] and type(sexp[1]) is int
            if self.ending and wanted and sexp is not self.half:
                self.protocol.sendCall(b"error", sexp[1], self._error(Terminating(REFUSED)))
                return
            self.called()
        self._taken(sexp)

    def _error(self, error: Error) -> Any:
        return self.protocol.serialize(CopyableFailure(error))

    def _resumeProducing(self) -> None:
        self._resume()
        self.look()

    def cutShort(self) -> bool:
        """
        See L{CallDrainer.cutShort}.
        """
        calls = callsOf(self.protocol)
        if calls is None or not calls.pending:
            return False
        error = self._error(Terminated(CUT))
        for request in calls.pending:
            calls.send((b"error", request, error))
        self._send = calls.send
        self.protocol.sendEncoded = self._sendEncoded
        return True

    def _sendEncoded(self, expression: Any) -> None:
        if expression[0] not in _ANSWERS:
            self._send(expression)


def register() -> None:
    """
    Make this the drainer of Perspective Broker, and have its connections watched.
    """
    registerAdapter(PBDrainer, Broker, IDrainer)
    library.watched[Broker] = watch
