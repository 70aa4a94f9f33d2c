"""
The admin door, seen from outside.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from OpenSSL.SSL import Error as TLSError
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from terminable.ctl.address import Address
from terminable.ctl.events import EventReader
from terminable.ctl.outcomes import Refused
from terminable.errors import Unreachable

#: Seconds without a word after which a stream of events is given up. The server says something
#: every five seconds.
SILENCE = 20.0

T = TypeVar("T")


class Door:
    """
    Asks one admin door.

    What goes wrong is L{Unreachable} if there was no answer that could be understood, and
    L{Refused} if the answer is no.
    """

    def __init__(
        self,
        reactor: Any,
        address: Address,
        client: Any,
        token: str | None = None,
        timeout: float = 10.0,
    ) -> None:
        """
        @param client: makes requests: what has a C{request} like C{treq.client.HTTPClient}.
        @param token: goes with every request.
        @param timeout: how many seconds an answer may take.
        """
        self._reactor = reactor
        self._address = address
        self._client = client
        self._timeout = timeout
        # Browsers cannot send this one to another site without asking it.
        self._headers: Any = {"Accept": "application/json", "X-Terminable": "1"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"

    async def get(self, path: str, parameters: Mapping[str, str] | None = None) -> dict[str, Any]:
        """
        @param parameters: what stands behind the question mark.
        @return: the JSON object that is the answer.
        """
        answer = self._answer("GET", path, params=dict(parameters or {}))
        return await self._inTime(Deferred.fromCoroutine(answer))

    async def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """
        @return: the JSON object that is the answer.
        """
        answer = self._answer("POST", path, json=dict(body))
        return await self._inTime(Deferred.fromCoroutine(answer))

    async def _inTime(self, answer: Deferred[T]) -> T:
        return await answer.addTimeout(self._timeout, self._reactor, self._late)

    def _late(self, result: object, timeout: float) -> Any:
        return Failure(Unreachable(f"{self._address}: no answer in {timeout:g} s"))

    async def _answer(self, method: str, path: str, **what: Any) -> dict[str, Any]:
        response = await self._send(method, path, **what)
        return self._understood(response, await self._content(response))

    async def _content(self, response: Any) -> bytes:
        try:
            content: bytes = await response.content()
        except Exception as problem:
            raise self._unreachable(problem) from problem
        return content

    async def _send(self, method: str, path: str, **what: Any) -> Any:
        try:
            return await self._client.request(
                method,
                self._address.url + path,
                headers=self._headers,
                # Whoever would send us elsewhere is to have neither our token nor our order.
                allow_redirects=False,
                unbuffered=True,
                reactor=self._reactor,
                **what,
            )
        except Exception as problem:
            raise self._unreachable(problem) from problem

    def _understood(self, response: Any, content: bytes) -> dict[str, Any]:
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            answer = None
        if response.code >= HTTPStatus.BAD_REQUEST:
            raise Refused(_reason(response, answer), response.code)
        if not isinstance(answer, dict) or response.code >= HTTPStatus.MULTIPLE_CHOICES:
            raise Unreachable(f"{self._address}: whoever answers is no admin door")
        return answer

    async def events(self, received: Callable[[str, dict[str, Any]], object]) -> None:
        """
        Listen to what the server has to say, until it has said everything.

        @param received: called with the name of each event, and what it tells.
        @raise Unreachable: the connection could not be made, or nothing was heard for
            L{SILENCE} seconds.
        """
        response = await self._inTime(Deferred.fromCoroutine(self._send("GET", "/events")))
        if response.code >= HTTPStatus.MULTIPLE_CHOICES:
            content = await self._inTime(Deferred.fromCoroutine(self._content(response)))
            self._understood(response, content)
        stream = _Stream(self._reactor, received)
        response.deliverBody(stream)
        try:
            await stream.over
        except Unreachable as problem:
            raise Unreachable(f"{self._address}: {problem}") from None

    def _unreachable(self, problem: Exception) -> Unreachable:
        return Unreachable(f"{self._address}: {reasonOf(problem)}")


def _reason(response: Any, answer: object) -> str:
    told = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(told, str) and told:
        return told
    return response.phrase.decode("ascii", "replace") or "refused"


class _Stream(Protocol):
    """
    A stream of events, as it arrives.

    @ivar over: fires when it has ended.
    """

    def __init__(self, reactor: Any, received: Callable[[str, dict[str, Any]], object]) -> None:
        self._reader = EventReader()
        self._received = received
        self._silence = reactor.callLater(SILENCE, self._silent)
        self.over: Deferred[None] = Deferred(self._leave)

    def dataReceived(self, data: bytes) -> None:
        """
        See C{IProtocol}.
        """
        if self.over.called:
            return
        self._silence.reset(SILENCE)
        for name, text in self._reader.feed(data):
            try:
                told = json.loads(text)
            except (ValueError, RecursionError):
                continue
            if isinstance(told, dict) and not self.over.called:
                self._tell(name, told)

    def _tell(self, name: str, told: dict[str, Any]) -> None:
        try:
            self._received(name, told)
        except Exception:
            self._end(Failure())
        if name == "end":
            self._end(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        See C{IProtocol}. How a stream ends says nothing: what it has said does.
        """
        self._end(None)

    def _silent(self) -> None:
        self._end(Failure(Unreachable(f"not a word for {SILENCE:g} s")))

    def _end(self, result: Any) -> None:
        if not self.over.called:
            self.over.callback(result)
            self._leave()

    def _leave(self, _: object = None) -> None:
        if self._silence.active():
            self._silence.cancel()
        transport: Any = self.transport
        transport.loseConnection()


def reasonOf(problem: BaseException) -> str:
    """
    Why there was no answer, in one line.
    """
    reasons = getattr(problem, "reasons", None)
    if reasons:
        return reasonOf(reasons[0].value)
    if isinstance(problem, TLSError):
        # Library, function, reason; the last is the one that people can read.
        told = problem.args[0] if problem.args else ()
        return "TLS: " + ("; ".join(each[-1] for each in told) or "failed")
    if isinstance(problem, ConnectError) and isinstance(problem.osError, int):
        return os.strerror(problem.osError)
    return str(problem).rstrip(".") or type(problem).__name__
