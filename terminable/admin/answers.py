"""
What the admin door answers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from twisted.web import http

from terminable.errors import InvalidOption

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"

#: What every answer carries.  Nothing but our own files is loaded by our page, and nobody
#: shows it in a frame of his (Content Security Policy Level 3, W3C).
HEADERS = (
    (b"Cache-Control", b"no-store"),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Referrer-Policy", b"no-referrer"),
    (
        b"Content-Security-Policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        b"img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    ),
)

Headers = Sequence[tuple[bytes, bytes]]

#: RFC 9110, section 15.5.20; older versions of Twisted have no name for it.
MISDIRECTED = 421


class Answer(NamedTuple):
    """
    One answer.

    @ivar code: the HTTP status.
    @ivar body: all of it.
    @ivar kind: its media type.
    @ivar headers: more headers.
    """

    code: int
    body: bytes
    kind: bytes = JSON
    headers: Headers = ()


class Refused(Exception):
    """
    Somebody is not given what he asks for.

    @ivar code: the HTTP status.
    @ivar reason: why, one line.
    @ivar headers: more headers of the answer.
    """

    def __init__(self, code: int, reason: str, headers: Headers = ()) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason
        self.headers = headers

    def answer(self) -> Answer:
        """
        @return: how he is told.
        """
        return told(self.code, {"error": self.reason}, self.headers)


def told(code: int, values: dict[str, Any], headers: Headers = ()) -> Answer:
    """
    @return: an answer in JSON.
    """
    return Answer(code, json.dumps(values).encode() + b"\n", JSON, headers)


#: How much of what was given is repeated in an answer, in characters.
LONGEST = 200


def briefly(given: object) -> str:
    """
    @return: what was given, on one line that is not long, however long that was.
    """
    text = repr(given)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def cannotBeMeant(problem: InvalidOption) -> Refused:
    """
    @return: how somebody is told that a value of his cannot be meant.
    """
    words = f"{problem.option}: {briefly(problem.value)} given, expected {problem.expected}"
    return Refused(http.BAD_REQUEST, words)


def raw(refused: Refused) -> bytes:
    """
    @return: a whole HTTP/1.1 response, for somebody whose request has not even come in full.
    """
    answer = refused.answer()
    phrase = http.RESPONSES.get(answer.code, b"Refused")
    headers = [
        *HEADERS,
        *answer.headers,
        (b"Content-Type", answer.kind),
        (b"Content-Length", b"%d" % len(answer.body)),
        (b"Connection", b"close"),
    ]
    lines = [b"HTTP/1.1 %d %s" % (answer.code, phrase)]
    lines += [b"%s: %s" % header for header in headers]
    return b"\r\n".join([*lines, b"", answer.body])
