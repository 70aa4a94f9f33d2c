"""
Requests that come again when the server says so.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any

import treq
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from terminable.pacing import settings
from terminable.policy.backoff import Backoff

#: Answers by which a server says that it has done nothing yet, and may say when it will
#: (RFC 6585, section 4; RFC 9110, section 15.6.4).
LATER = (429, 503)

#: What may be sent again whatever has become of it (RFC 9110, section 9.2.2).
IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})


def retryAfter(response: Any, now: float) -> float | None:
    """
    Read how long a server asks to be left alone (RFC 9110, section 10.2.3).

    @param response: of C{twisted.web.client} or C{treq}.
    @param now: the time, in seconds since the epoch.
    @return: seconds, 0 or more; C{None} if it does not say, or nothing that can be understood.
    """
    [text] = response.headers.getRawHeaders(b"retry-after", [b""])[:1]
    word = text.decode("ascii", "replace").strip()
    if word.isdecimal():
        return float(word)
    try:
        date = parsedate_to_datetime(word)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=timezone.utc)
    return max(0.0, date.timestamp() - now)


async def _patiently(
    request: Callable[[], Any], attempts: int, longest: float, idempotent: bool, clock: Any
) -> Any:
    backoff = Backoff()
    while True:
        response = await request()
        attempts -= 1
        again = idempotent or response.request.method.upper() in IDEMPOTENT
        if not attempts or not again or response.code not in LATER:
            return response
        usual = backoff.after(0.0)
        asked = retryAfter(response, clock.seconds())
        wait = usual if asked is None else asked
        if wait > longest:
            return response
        # Read to its end, so that the connection may be used again.
        await treq.collect(response, lambda data: None)
        await deferLater(clock, wait)


def patiently(
    request: Callable[[], Any],
    attempts: int = 5,
    longest: float = 60.0,
    reactor: Any = None,
    idempotent: bool = False,
) -> Deferred[Any]:
    """
    Make a request, and make it again for as long as the server says that it is too early:
    answers 429 and 503.  What it asks for by C{Retry-After} is waited for; if it does not
    say, 0.1 s, and twice as long each time.

    Only requests are repeated that may be (RFC 9110, section 9.2.2): those by GET, HEAD,
    OPTIONS, TRACE, PUT and DELETE.  A connection that fails is not tried again: its error goes
    to the caller.

    @param request: makes one request: C{lambda: treq.get(url)}.
    @param attempts: how many requests to make at most.
    @param longest: what is asked for by a server that wants more seconds than this is not
        waited for.
    @param reactor: by default the one that is installed.
    @param idempotent: whether requests by any method may be repeated.
    @return: fires with the last answer, 429 and 503 included; it fails as C{request} does.
        Cancelling it cancels the request, or the waiting.
    @raise InvalidOption: a setting that cannot be meant.
    """
    attempts = settings.whole("attempts", attempts)
    longest = settings.seconds("longest", longest)
    clock = settings.clockOf(reactor)
    return Deferred.fromCoroutine(_patiently(request, attempts, longest, idempotent, clock))
