"""
One request at the admin door: bounded in size and in time, guarded, answered.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http

from terminable.admin.answers import (
    HEADERS,
    JSON,
    Answer,
    Refused,
    briefly,
    cannotBeMeant,
    raw,
)
from terminable.errors import InvalidOption

if TYPE_CHECKING:
    from terminable.admin.site import AdminSite

#: How long a body may be, in bytes.
MOST = 64 * 1024

_log = Logger()


class Asked(http.Request):
    """
    One request.
    """

    def __init__(self, channel: Any, site: AdminSite) -> None:
        super().__init__(channel)
        self._site = site
        self._visitor = site.visitorOf(channel)
        self._size = 0
        self._over = False
        self._call: Any = None
        self._visitor.asks(self._tooSlow)

    # -- until it is there

    def gotLength(self, length: int | None) -> None:
        """
        The head of the request is there.
        """
        if length is not None and length > MOST:
            self._tooLong()
            # What it does not get is not to be waited for either.
            length = 0
        super().gotLength(length)

    def handleContentChunk(self, data: bytes) -> None:
        """
        A piece of the body is there.
        """
        self._size += len(data)
        if self._size > MOST:
            self._tooLong()
        elif not self._over:
            super().handleContentChunk(data)

    def _tooLong(self) -> None:
        self._cut(Refused(http.REQUEST_ENTITY_TOO_LARGE, f"more than {MOST} bytes of body"))

    def _tooSlow(self) -> None:
        self._cut(Refused(http.REQUEST_TIMEOUT, "the request took too long to come"))

    def _cut(self, refused: Refused) -> None:
        """
        Answer a request that has not come in full, and take no more of it.
        """
        if self._over:
            return
        self._over = True
        self.requestHeaders.removeHeader(b"expect")
        self.channel.persistent = False
        # Whoever does not go by himself has as long as somebody who says nothing.
        self._visitor.waits()
        self.channel.write(raw(refused))
        self.channel.loseConnection()

    # -- when it is there

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """
        The request is there, if it is wanted any more.
        """
        if not self._over:
            super().requestReceived(command, path, version)

    def process(self) -> None:
        """
        It is to be answered.
        """
        self._visitor.hasAsked()
        self.notifyFinish().addErrback(self._gone)
        wait = self._site.pace.wait()
        if wait:
            self._call = self._site.reactor.callLater(wait, self._serve)
        else:
            self._serve()

    def _gone(self, reason: Failure) -> None:
        self._over = True
        if self._call is not None and self._call.active():
            self._call.cancel()

    def _serve(self) -> None:
        self._call = None
        answering: Deferred[Any] = Deferred.fromCoroutine(self._site.serve(self))
        answering.addErrback(refusal, self).addCallback(self._answer)

    def _answer(self, answer: Answer | None) -> None:
        if answer is None or self._over:
            return
        self.begin(answer.code, answer.kind, answer.headers)
        self.setHeader(b"Content-Length", b"%d" % len(answer.body))
        self.write(answer.body)
        self.end()

    def begin(self, code: int, kind: bytes, headers: Any = ()) -> None:
        """
        Say what kind of answer follows.
        """
        self.setResponseCode(code, _PHRASES.get(code))
        for name, value in (*HEADERS, (b"Content-Type", kind), *headers):
            self.setHeader(name, value)
        if self._site.leaving:
            # The next question is for somebody else.
            self.channel.persistent = False
            self.setHeader(b"Connection", b"close")

    def loseNow(self) -> None:
        """
        Nothing of the answer is worth while any more.
        """
        self._visitor.lose()

    def end(self) -> None:
        """
        The answer is complete.
        """
        self._over = True
        transport = self.channel.transport
        self.finish()
        self._site.answered(transport)

    # -- what was asked

    def query(self) -> dict[str, str]:
        """
        @return: what stands behind the question mark.
        @raise Refused: that is no text, or something stands there twice.
        """
        given = {}
        for name, values in self.args.items():
            try:
                [value] = values
                given[name.decode()] = value.decode()
            except ValueError:
                word = briefly(name.decode("utf-8", "replace"))
                raise Refused(
                    http.BAD_REQUEST, f"query: {word} given, expected one value, in UTF-8"
                ) from None
        return given

    def values(self) -> dict[str, Any]:
        """
        @return: the JSON object that was posted; an empty one if nothing was.
        @raise Refused: it is something else.
        """
        content: Any = self.content
        body = content.read()
        if not body:
            return {}
        kind = (self.getHeader(b"content-type") or b"").split(b";")[0].strip().lower()
        if kind != JSON:
            raise Refused(http.UNSUPPORTED_MEDIA_TYPE, "Content-Type: expected application/json")
        try:
            values = json.loads(body, parse_constant=_noNumber, object_pairs_hook=_onceEach)
        except (ValueError, RecursionError) as problem:
            words = " ".join(str(problem).split())
            raise Refused(http.BAD_REQUEST, f"body: no JSON ({words[:200]})") from None
        if not isinstance(values, dict):
            raise Refused(http.BAD_REQUEST, "body: expected an object")
        return values


#: Newer than some versions of Twisted.
_PHRASES = {421: b"Misdirected Request"}


def _noNumber(word: str) -> None:
    raise ValueError(f"{word} is no number")


def _onceEach(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """
    Of two values of the same name, nobody knows which one was meant.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is given twice")
    return found


def refusal(failure: Failure, asked: Any) -> Answer:
    """
    @param asked: what could not be answered.
    @return: what goes wrong, in words.
    """
    problem = failure.value
    if isinstance(problem, Refused):
        return problem.answer()
    if isinstance(problem, InvalidOption):
        return cannotBeMeant(problem).answer()
    _log.failure("{asked} cannot be answered", failure, asked=asked)
    return Refused(http.INTERNAL_SERVER_ERROR, "something is wrong here; see the log").answer()
