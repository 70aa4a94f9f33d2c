"""
How an application learns that a connection is to end.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred

from terminable.tracking import internals
from terminable.tracking.layers import bottomOf
from terminable.tracking.transports import recorderOf


def whenDraining(subject: Any) -> Deferred[None]:
    """
    Tell an application that the drain of a connection begins: now is the time to end an
    event stream, to answer a long poll, or to save something.

    If a callback returns a Deferred, the goodbye to a peer whose connection lives long (a
    WebSocket, say) waits for it, until the deadline.  With C{stagger}, each connection has its own
    time.  A callback that fails is logged.

    @param subject: a C{twisted.web} request, over whichever version of HTTP, a protocol, a
        WebSocket's transport, or any other transport.
    @return: fires when the drain begins, at once if it has begun; never if the request, or
        the connection, is over before, or if no L{terminable.Terminator} knows of it.
    @raise TypeError: C{subject} has no connection.
    """
    request: Any = subject if _isRequest(subject) else None
    if request is not None:
        subject = getattr(request, "channel", None)
        if subject is None:
            # It is over.
            return Deferred()
    transport = _transportOf(subject)
    recorder = recorderOf(transport)
    if recorder is None:
        return Deferred()
    asked = recorder.whenDraining(transport)
    if request is not None and not asked.called:
        # A connection may see many requests, and the application only cares for this one.
        request.notifyFinish().addBoth(lambda _: recorder.forget(transport, asked))
    return asked


def _isRequest(subject: Any) -> bool:
    # Nobody has a request who has not loaded what defines it.
    iweb = sys.modules.get("twisted.web.iweb")
    return iweb is not None and bool(iweb.IRequest.providedBy(subject))


def _transportOf(subject: Any) -> Any:
    transport = getattr(subject, "transport", None)
    if transport is None:
        if internals.isStream(subject):
            return bottomOf(internals.streamTransport(subject))
        if not hasattr(subject, "loseConnection"):
            raise TypeError(f"{subject!r} is not connected")
    return bottomOf(subject)
