"""
In a worker: what the process above asks.
"""

from __future__ import annotations

import io
import itertools
from typing import Any

from twisted.internet.defer import Deferred
from twisted.protocols import amp
from twisted.web import http
from twisted.web.http_headers import Headers

from terminable.admin.answers import Answer
from terminable.admin.api import Api
from terminable.admin.asked import Asked, refusal
from terminable.admin.guard import Guard
from terminable.admin.watched import Watched, watchedOf
from terminable.handover import channel
from terminable.handover.following import takeoverOf

#: How many bytes of an answer go into one message: a report that follows is to find room in the
#: kernel's buffer.
PIECE = 30_000

#: How many long answers are kept for whoever takes them, and for how many seconds.
KEPT = 8
PATIENCE = 5.0


class Question:
    """
    What the process above asks, as a door asks it.

    @ivar method: of HTTP.
    @ivar path: without what stands behind a question mark.
    @ivar requestHeaders: none.
    """

    query = Asked.query
    values = Asked.values

    def __init__(self, method: bytes, target: bytes, body: bytes) -> None:
        self.method = method
        self.path, _, query = target.partition(b"?")
        self.args = http.parse_qs(query, 1)
        self.content = io.BytesIO(body)
        self.requestHeaders = Headers()

    def getHeader(self, name: bytes) -> bytes:
        """
        @return: the one that matters.
        """
        return b"application/json"


class Answering(amp.CommandLocator):
    """
    Answers for one worker.
    """

    def __init__(self, watched: Watched) -> None:
        super().__init__()
        self._api = Api(watched, Guard())
        self._reactor = watched.reactor
        self._numbers = itertools.count(1)
        self._kept: dict[int, bytes] = {}

    @channel.Ask.responder
    def ask(self, method: bytes, target: bytes, body: bytes) -> Deferred[dict[str, Any]]:
        """
        Answer, at least with the beginning.
        """
        question: Any = Question(method, target, body)
        answering: Deferred[Any] = Deferred.fromCoroutine(self._api.serve(question))
        return answering.addErrback(refusal, question).addCallback(self._begin)

    def _begin(self, answer: Answer) -> dict[str, Any]:
        number, body = next(self._numbers), answer.body
        if len(body) > PIECE:
            self._kept[number] = body
            if len(self._kept) > KEPT:
                del self._kept[min(self._kept)]
            self._reactor.callLater(PATIENCE, self._kept.pop, number, None)
        return {"code": answer.code, "number": number, "size": len(body), "piece": body[:PIECE]}

    @channel.More.responder
    def more(self, number: int, offset: int) -> dict[str, bytes]:
        """
        Go on; with nothing if nobody has waited for that for long.
        """
        return {"piece": self._kept.get(number, b"")[max(0, offset) :][:PIECE]}


def answerAbove(reactor: Any, what: Any) -> Watched:
    """
    Have the process above this worker see, and drain, what is served here.  Nothing happens
    where there is none.

    @param what: a L{terminable.Terminator}, or a L{Watched}.
    @return: what is seen.
    """
    watched = watchedOf(reactor, what)
    takeover = takeoverOf(reactor)
    if takeover.worker and takeover.channel is not None:
        takeover.channel.locators.append(Answering(watched))
        takeover.hurried.append(lambda left: watched.terminator.terminate(gracePeriod=left))
    return watched
