"""
The words: what a user of C{terminable} may implement.

Only L{IDrainer} is needed to make a protocol say goodbye in its own words; the
rest is for protocols with more to tell, and for those who want to watch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from terminable.policy.ledger import Report
    from terminable.policy.phases import Phase


class IDrainer(Interface):
    """
    How one connection ends politely.

    A protocol may provide this itself, or an adapter from the protocol's class
    or interface may be registered (L{twisted.python.components.registerAdapter}).
    The adapter is made when a stop begins, kept as long as the connection's
    protocol stays the same object, and made anew when it is exchanged.

    An exception raised by any of these methods is logged and costs this
    connection alone: it is aborted at the deadline if it has not ended before.
    """

    def isBusy() -> bool:
        """
        Is something in flight: received in part, being worked on, or answered in
        part?  Must be cheap and without side effects.  A busy connection is given
        until the deadline, an idle one until the end of the idle grace.
        """

    def drain() -> None:
        """
        Say goodbye, take nothing new, and lose the connection as soon as nothing
        is in flight.

        Called once on a drainer that knows only these two methods: for a busy
        connection when the drain begins, for an idle one at the end of its idle grace.
        An L{IHintingDrainer} has its hint from the beginning; it is called at the end
        of the idle grace, for busy and idle connections alike, and again whenever it
        has told that its connection is idle.

        Losing the connection is C{transport.loseConnection()}, as ever: what was
        written before arrives.
        """


class IDrainWatch(Interface):
    """
    What a drainer is given when its drain begins: whom to tell, and whom to ask.
    """

    schedule = Attribute(
        """
        The L{terminable.Schedule} of the drain: how long to wait for a peer, and which
        code to close a WebSocket with.
        """
    )

    def __call__() -> None:
        """
        The connection has become idle without having said goodbye.  May be called at
        any time; L{IDrainer.drain} is called a moment later, never at once.
        """

    def later(seconds: float, work: Callable[..., object], *args: object) -> None:
        """
        Call C{work} after so many seconds, unless the connection is over by then.  An
        exception is logged.
        """


class IHintingDrainer(IDrainer):
    """
    A drainer for protocols that can tell the peer, together with an answer, that
    this answer is the last (HTTP's C{Connection: close}).
    """

    silent = Attribute(
        """
        C{True} if an idle connection has nothing to say before it is lost, so
        that it may be lost without L{IDrainer.drain} being called.
        """
    )

    answered = Attribute(
        """
        Whether anything was answered since the hint.  May be left out: then it is not
        known, and a connection that was idle when the stop began counts as idle.
        """
    )

    def hint(idle: IDrainWatch) -> None:
        """
        From now on, end the connection with its next answer.  Called once, when
        the drain begins (or at the start of the quiesce time), and for connections
        accepted after that before their first byte is read.

        @param idle: to be called each time that the connection has become idle
            without having said goodbye, so that nobody has to poll for it.
        """

    def describe() -> str:
        """
        What is in flight, for people: C{"GET /export"}; an empty string if nothing
        is or if it cannot be told.
        """

    def lastWord(retryAfter: int) -> str:
        """
        The deadline has come: write one last word if the protocol has one for this
        moment (HTTP: 503 or 408).  Must not wait for anything.

        @param retryAfter: seconds after which the peer may try again.
        @return: what was said, in short (C{"503"}); an empty string if nothing was.
        """


class ILastingDrainer(IHintingDrainer):
    """
    A drainer for connections that live long.
    """

    lasting = Attribute(
        """
        C{True} if connections of this kind live long: their goodbyes are spread over
        the C{stagger} time, so that not all peers come back in the same moment.
        """
    )

    prompt = Attribute(
        """
        C{True} if the goodbye is a dialogue in which nothing can get lost (WebSocket's
        close frames): it need not wait for the end of the idle grace.
        """
    )


class ITerminationObserver(Interface):
    """
    Somebody who wants to know how a stop proceeds: logs, metrics, a supervisor.

    An exception in an observer is logged and changes nothing.
    """

    def phaseChanged(old: Phase, new: Phase) -> None:
        """
        The terminator went from one phase to another.
        """

    def portsClosed() -> None:
        """
        All ports are gone and may be listened on by somebody else; connections may
        still be draining.
        """

    def terminated(report: Report) -> None:
        """
        The stop is over.
        """


class ICounted(Interface):
    """
    A protocol whose messages can be counted and held to a rate
    (L{terminable.Limit}).  The one method is all that is needed.

    A protocol with an attribute C{paused}, as Twisted's C{LineReceiver} has it, is paused by
    it while messages are held back; what others have read already is kept for them.  A
    method C{quotaExceeded(seconds)}, if there is one, is called for each message that was
    one too many, to tell the peer when it may go on.
    """

    def eachMessage(message: Callable[..., object]) -> None:
        """
        From now on call C{message(handle, *arguments)} for each message instead of
        C{handle(*arguments)}.  It calls C{handle} when the message may be handled: mostly
        at once, perhaps later, perhaps never.
        """


class IRefusal(Interface):
    """
    How a protocol tells somebody that he cannot be served now.

    Adapted from the I{factory}, or provided by it: the application's protocol is not even
    built.  An exception is logged, and the connection is lost without a word.
    """

    def refusal(addr: object, retryAfter: int) -> object:
        """
        Build a protocol that refuses one connection: that says so, and loses the connection.
        It is cut off if it has not done so after five seconds.

        @param addr: the peer's address.
        @param retryAfter: seconds after which the peer may try again.
        @return: an L{IProtocol<twisted.internet.interfaces.IProtocol>}.
        """
