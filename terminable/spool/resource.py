"""
A spool on the web: whoever posts is told where to ask.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.web import http
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from terminable.errors import InvalidOption
from terminable.spool.items import OCTETS, Item, SpoolAway, SpoolFull, State
from terminable.spool.spool import Spool

_log = Logger()

#: How long a body may be, in bytes, if nobody says.
MOST = 1 << 20

#: A result up to this size, in bytes, stands in the answer itself.
SHOWN = 64 * 1024

#: The longest time, in seconds, after which to ask again.
LATER = 60


#: RFC 9110, section 15.5.21; Twisted has no name for it.
UNPROCESSABLE = 422


_METHODS = (b"GET", b"HEAD", b"POST")


class Refused(Exception):
    """
    A request that cannot be recorded.

    @ivar code: the HTTP status.
    @ivar reason: why, for people.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


def spoolKey(request: Request) -> str | None:
    """
    @return: what the header C{Spool-Key} says; C{None} without it.
    """
    return _header(request, b"spool-key")


def _header(request: Request, name: bytes) -> str | None:
    found = request.getHeader(name)
    try:
        return None if found is None else found.decode()
    except UnicodeDecodeError:
        raise Refused(http.BAD_REQUEST, f"{name.decode()}: no UTF-8") from None


def _idOf(request: Request) -> str | None:
    """
    The name of an item whose client wants it recorded once however often it asks.  Clients
    that sign in differently do not meet.
    """
    given = request.requestHeaders.getRawHeaders(b"idempotency-key")
    if not given:
        return None
    parts = [given[0], request.getHeader(b"authorization") or b""]
    return sha256(b"\0".join(parts)).hexdigest()[:32]


class SpoolResource(Resource):
    """
    A POST is recorded, and answered by 202 when it is on the disk, with the C{Location} where
    to ask for its state; a GET there answers that, as JSON, and one of C{result} below it the
    result as it is.
    """

    isLeaf = True

    def __init__(
        self,
        spool: Spool,
        *,
        mostBytes: int = MOST,
        retryAfter: int = 5,
        keyOf: Callable[[Request], str | None] = spoolKey,
    ) -> None:
        """
        @param mostBytes: how long a body may be; longer ones are answered by 413.
        @param retryAfter: seconds after which a client is asked to come again that was not
            served: the spool is full, or its database away.
        @param keyOf: the key of a request, or C{None}: requests of the same key are done in
            the order in which they were answered.
        @raise InvalidOption: a setting that cannot be meant.
        """
        super().__init__()
        for name, value in (("mostBytes", mostBytes), ("retryAfter", retryAfter)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InvalidOption(name, value, "a whole number, 1 or more")
        if not callable(keyOf):
            raise InvalidOption("keyOf", keyOf, "a function of a request")
        self._spool = spool
        self._mostBytes = mostBytes
        self._retryAfter = retryAfter
        self._keyOf = keyOf

    # -- answering

    def render(self, request: Request) -> int | bytes:
        """
        See C{twisted.web.resource.IResource.render}.
        """
        if request.method in _METHODS:
            answer: int | bytes = super().render(request)
            return answer
        request.setResponseCode(http.NOT_ALLOWED)
        request.setHeader("allow", b", ".join(_METHODS))
        return _json(request, error="POST, or GET")

    def render_POST(self, request: Request) -> int:
        """
        Record the body.
        """
        return self._serve(request, self._record(request))

    def render_GET(self, request: Request) -> int:
        """
        Say how an item stands, or give its result.
        """
        return self._serve(request, self._state(request))

    def _serve(self, request: Request, answer: Any) -> int:
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)
        answered: Deferred[bytes] = Deferred.fromCoroutine(answer)
        answered.addErrback(self._refuse, request)
        answered.addCallback(lambda body: None if gone else _finish(request, body))
        return NOT_DONE_YET

    def _refuse(self, failure: Any, request: Request) -> bytes:
        problem = failure.value
        if isinstance(problem, Refused):
            reason = b"Unprocessable Content" if problem.code == UNPROCESSABLE else None
            request.setResponseCode(problem.code, reason)
            return _json(request, error=problem.reason)
        if isinstance(problem, (SpoolFull, SpoolAway)):
            request.setResponseCode(http.SERVICE_UNAVAILABLE)
            request.setHeader("retry-after", str(self._retryAfter))
            # What a database says of itself is not for everybody.
            full = isinstance(problem, SpoolFull)
            return _json(request, error="the spool is full" if full else "the spool is away")
        _log.failure("{request}", failure, request=request)
        request.setResponseCode(http.INTERNAL_SERVER_ERROR)
        return _json(request, error="something is wrong here")

    # -- recording

    async def _record(self, request: Request) -> bytes:
        payload = self._payload(request)
        kind = _header(request, b"content-type") or OCTETS
        key, id = self._keyOf(request), _idOf(request)
        try:
            item = await self._spool.add(payload, key, id, kind)
        except InvalidOption as problem:
            raise Refused(http.BAD_REQUEST, str(problem)) from None
        if id is not None and not item.sameAs(Item(id, payload, kind, key)):
            raise Refused(UNPROCESSABLE, "another request had this Idempotency-Key")
        request.setResponseCode(http.ACCEPTED)
        request.setHeader("location", _place(request, item.id))
        request.setHeader("retry-after", "1")
        return _json(request, **_told(item))

    def _payload(self, request: Request) -> bytes:
        content: Any = request.content
        payload: bytes = content.read(self._mostBytes + 1)
        if len(payload) > self._mostBytes:
            reason = f"more than {self._mostBytes} bytes"
            raise Refused(http.REQUEST_ENTITY_TOO_LARGE, reason)
        return payload

    # -- telling

    async def _state(self, request: Request) -> bytes:
        id, *rest = [part.decode("latin-1") for part in request.postpath or [b""]]
        item = await self._spool.look(id) if id and id.isprintable() else None
        if item is None or rest not in ([], ["result"]):
            raise Refused(http.NOT_FOUND, "there is no such item")
        if rest:
            return self._result(request, item)
        if item.state in (State.WAITING, State.WORKING):
            request.setHeader("retry-after", str(self._later(item)))
        return _json(request, **_told(item))

    def _result(self, request: Request, item: Item) -> bytes:
        if item.state is not State.DONE:
            raise Refused(http.NOT_FOUND, f"it is {item.state.value}")
        # Nobody is to take it for a page of ours.
        request.setHeader("content-type", OCTETS)
        request.setHeader("x-content-type-options", "nosniff")
        return item.result or b""

    def _later(self, item: Item) -> int:
        """
        Whole seconds after which it may be worth while to ask again.
        """
        rate = self._spool.terms.rate
        wait = max(item.due, item.place / rate if rate else 0.0)
        return max(1, min(math.ceil(wait), LATER))


def _finish(request: Request, body: bytes) -> None:
    request.setHeader("content-length", str(len(body)))
    request.write(body)
    request.finish()


def _json(request: Request, **values: object) -> bytes:
    request.setHeader("content-type", "application/json")
    request.setHeader("cache-control", "no-store")
    return json.dumps(values).encode() + b"\n"


def _place(request: Request, id: str) -> bytes:
    """
    Where to ask for an item: below whatever path this resource stands at.
    """
    above = "".join("/" + quote(part, safe="") for part in request.prepath or [] if part)
    return f"{above}/{quote(id, safe='')}".encode()


def _told(item: Item) -> dict[str, object]:
    """
    What is told about an item.
    """
    told: dict[str, object] = {"id": item.id, "state": item.state.value}
    told["attempts"] = item.attempts
    if item.place:
        told["place"] = item.place
    if item.due:
        told["due"] = round(item.due, 3)
    if item.error:
        told["error"] = item.error
    if item.result is not None:
        told.update(_shown(item.result))
    return told


def _shown(result: bytes) -> dict[str, object]:
    if len(result) <= SHOWN:
        try:
            return {"result": result.decode()}
        except UnicodeDecodeError:
            pass
    return {"bytes": len(result)}
