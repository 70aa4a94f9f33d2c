"""
AMP, the Asynchronous Messaging Protocol of C{twisted.protocols.amp}.

Twisted does not keep the calls that it has not answered.  So each connection is watched
from its beginning: C{dispatchCommand} is overridden on the instance.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.protocols.amp import (
    ANSWER,
    ASK,
    COMMAND,
    ERROR,
    ERROR_CODE,
    ERROR_DESCRIPTION,
    AmpBox,
    BinaryBoxProtocol,
    BoxDispatcher,
    ProtocolSwitched,
)
from twisted.python.components import registerAdapter
from zope.interface import implementer

from terminable.drainers import library
from terminable.drainers.calls import CUT, REFUSED, CallDrainer
from terminable.drainers.plain import fullDrainer
from terminable.drainers.raw import RawDrainer
from terminable.interfaces import IDrainer, IHintingDrainer, ILastingDrainer
from terminable.tracking import internals

#: The error code for a call that was not taken: it may be made again elsewhere.
TERMINATING = b"TERMINATING"

#: The error code for a call that was begun, and not done when the deadline came.
TERMINATED = b"TERMINATED"

#: So many calls may be kept that are over, for each that is not, and at least.
_KEPT = 4


#: A call that was not answered at once: what fires with its answer, the name of the
#: command, and what its answer refers to, if anybody waits for one.
Call = tuple[Deferred[Any], bytes, bytes | None]


class Calls:
    """
    Stands in for C{dispatchCommand} of one connection, from its beginning, and keeps the
    calls that are being worked on.

    To be told of the end of each would cost more than to keep some that are over, so
    that is for the time of a drain.
    """

    __slots__ = ("_dispatch", "_drainer", "_last", "_limit", "_others")

    def __init__(self, dispatch: Any) -> None:
        self._dispatch = dispatch
        self._last: Call | None = None
        self._others: list[Call] = []
        self._limit = _KEPT
        self._drainer: Any = None

    def dispatchCommand(self, box: AmpBox) -> Any:
        """
        Keep the call, unless it was answered at once.
        """
        answer: Deferred[Any] = self._dispatch(box)
        if not answer.called or answer.paused:
            if self._drainer is not None:
                if self._drainer.ending and ASK not in box:
                    # Nobody would know how long to wait for such calls.
                    return answer
                answer.addBoth(self._done)
            last = self._last
            if last is not None and (not last[0].called or last[0].paused):
                # Most clients make one call after the other; this one does not.
                self._keep(last)
            self._last = (answer, box[COMMAND], box.get(ASK))
        return answer

    def _keep(self, call: Call) -> None:
        self._others.append(call)
        if len(self._others) > self._limit:
            self._others = _open(self._others)
            self._limit = max(_KEPT, 2 * len(self._others))

    def pending(self) -> list[Call]:
        """
        The calls that are being worked on, oldest first; the others are forgotten.
        """
        self._others = _open(self._others)
        if self._last is None:
            return self._others
        if not _open([self._last]):
            self._last = None
            return self._others
        return [*self._others, self._last]

    def tell(self, drainer: CallDrainer) -> None:
        """
        From now on C{drainer} is to be told of the end of each call.
        """
        self._drainer = drainer
        for call in self.pending():
            call[0].addBoth(self._done)

    def _done(self, result: Any) -> Any:
        self._drainer.finished()
        return result


def _open(calls: list[Call]) -> list[Call]:
    """
    Those that are still being worked on.
    """
    return [call for call in calls if not call[0].called or call[0].paused]


def dispatcherOf(protocol: Any) -> Any:
    """
    What dispatches the calls of a connection, mostly the protocol itself; C{None} if the
    application does that in its own way.
    """
    # Where a constructor was not called, Twisted does so when the connection is made.
    found = getattr(protocol, "boxReceiver", protocol)
    return found if isinstance(found, BoxDispatcher) else None


def watch(protocol: Any) -> None:
    """
    A connection begins: keep its calls.
    """
    dispatcher: Any = dispatcherOf(protocol)
    if dispatcher is not None and callsOf(dispatcher) is None:
        dispatcher.dispatchCommand = Calls(dispatcher.dispatchCommand).dispatchCommand


def callsOf(dispatcher: Any) -> Calls | None:
    """
    The calls that were kept, if this one is watched.
    """
    found = getattr(dispatcher.dispatchCommand, "__self__", None)
    return found if isinstance(found, Calls) else None


@implementer(ILastingDrainer)
class AMPDrainer(CallDrainer):
    """
    Ends an AMP connection after its last call.

    When C{ProtocolSwitchCommand} has exchanged the protocol, that one's drainer has it.
    """

    def __init__(self, protocol: Any) -> None:
        super().__init__(protocol)
        self._dispatcher = dispatcherOf(protocol)
        self._taken: Any = None
        self._send: Any = None
        self._inner: IHintingDrainer | None = None
        self._handedOver = False

    def pending(self) -> Collection[Any]:
        """
        See L{CallDrainer.pending}.
        """
        calls = callsOf(self._dispatcher)
        return () if calls is None else calls.pending()

    def nameOf(self, call: Any) -> object:
        """
        See L{CallDrainer.nameOf}.
        """
        return call[1]

    def outstanding(self) -> int:
        """
        See L{CallDrainer.outstanding}.
        """
        return internals.ampOutstanding(self._dispatcher)

    def receiving(self) -> bool:
        """
        See L{CallDrainer.receiving}.
        """
        return self.received() is not None or bool(self.protocol.recvd)

    def received(self) -> Any:
        """
        See L{CallDrainer.received}.
        """
        return internals.ampPartialBox(self.protocol)

    def install(self) -> None:
        """
        See L{CallDrainer.install}.
        """
        watch(self.protocol)
        calls: Any = callsOf(self._dispatcher)
        calls.tell(self)
        self._taken = self._dispatcher.ampBoxReceived
        self._dispatcher.ampBoxReceived = self._ampBoxReceived

    def _ampBoxReceived(self, box: AmpBox) -> None:
        if COMMAND in box and ANSWER not in box and ERROR not in box:
            # Without a tag nobody waits for an answer, nor could be told.
            if self.ending and ASK in box and box is not self.half:
                with suppress(ProtocolSwitched, ConnectionLost):
                    self._dispatcher.boxSender.sendBox(errorBox(box[ASK], TERMINATING, REFUSED))
                return
            self.called()
        self._taken(box)

    def cutShort(self) -> bool:
        """
        See L{CallDrainer.cutShort}.
        """
        tags = [tag for _, _, tag in self.pending() if tag is not None]
        sender = self._dispatcher.boxSender
        try:
            for tag in tags:
                sender.sendBox(errorBox(tag, TERMINATED, CUT))
        except (ProtocolSwitched, ConnectionLost):
            return False
        if tags:
            self._send = sender.sendBox
            sender.sendBox = self._sendBox
        return bool(tags)

    def _sendBox(self, box: AmpBox) -> None:
        if ANSWER in box or ERROR in box:
            # Who answers is prepared for that.
            raise ConnectionLost
        self._send(box)

    # -- after a switch

    def _switched(self) -> IHintingDrainer | None:
        """
        The drainer of the protocol that was switched to, if one was.
        """
        inner = self.protocol.innerProtocol
        if inner is not None and self._inner is None:
            self._inner = fullDrainer(drainerOf(self.protocol))
        return self._inner

    def _handOver(self, inner: IHintingDrainer) -> bool:
        """
        Give the hint to the drainer that has taken over, unless it was given.

        @return: whether that was now.
        """
        if self._handedOver or self._idle is None:
            return False
        self._handedOver = True
        inner.hint(self._idle)
        return True

    def look(self) -> None:
        """
        See L{CallDrainer.look}.
        """
        inner = self._switched()
        if inner is None:
            super().look()
        elif self._handOver(inner) and self.ending:
            self._idle.later(0, inner.drain)

    def isBusy(self) -> bool:
        """
        See L{IDrainer.isBusy}.
        """
        inner = self._switched()
        return super().isBusy() if inner is None else bool(inner.isBusy())

    def drain(self) -> None:
        """
        See L{IDrainer.drain}.
        """
        inner = self._switched()
        if inner is None:
            super().drain()
        else:
            self._handOver(inner)
            inner.drain()

    def describe(self) -> str:
        """
        See L{IHintingDrainer.describe}.
        """
        inner = self._switched()
        return super().describe() if inner is None else str(inner.describe())

    def lastWord(self, retryAfter: int) -> str:
        """
        See L{IHintingDrainer.lastWord}.
        """
        inner = self._switched()
        return super().lastWord(retryAfter) if inner is None else str(inner.lastWord(retryAfter))


def errorBox(tag: bytes, code: bytes, description: str) -> AmpBox:
    """
    The answer to a call that has none.
    """
    return AmpBox({ERROR: tag, ERROR_CODE: code, ERROR_DESCRIPTION: description.encode()})


def drainerOf(protocol: Any) -> IDrainer:
    """
    What ends this connection: another drainer if its protocol was switched, or if the
    application dispatches boxes in its own way.
    """
    inner = getattr(protocol, "innerProtocol", None)
    if inner is not None:
        return IDrainer(inner, None) or RawDrainer(inner)
    return RawDrainer(protocol) if dispatcherOf(protocol) is None else AMPDrainer(protocol)


def register() -> None:
    """
    Make this the drainer of AMP connections, and have them watched.
    """
    registerAdapter(drainerOf, BinaryBoxProtocol, IDrainer)
    library.watched[BinaryBoxProtocol] = watch
