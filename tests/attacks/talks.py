"""
What is asked for in a conversation, and when.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as some

from tests.attacks.reading import Reply
from tests.attacks.site import answerTo
from tests.test_http11_applications import UPGRADE
from tests.wspeers import TEXT, frame

#: What is answered with 400, or not at all.
INVALID = (
    b"nonsense\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /now/x HTTP/1.1\r\nno field\r\n\r\n",
    b"POST /now/x HTTP/1.1\r\nContent-Length: many\r\n\r\n",
    b"POST /now/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
    b"GET /now/x HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
)


class Request:
    """
    One request.

    @ivar data: as it is written.
    @ivar last: whether nothing behind it is to be answered.
    """

    def __init__(
        self, kind: str, number: int, method: str, body: bytes, how: str, expects: bool
    ) -> None:
        """
        @param how: C{"plain"}, C{"chunked"}, C{"old"} (HTTP/1.0), C{"ends"} (it says
            C{Connection: close}), C{"upgrade"} or C{"invalid"}.
        """
        self.made = (kind, number, method, body, how, expects)
        self.kind, self.how = kind, how
        self.path = f"/{kind}/{number}".encode("ascii")
        self.method = method.encode("ascii")
        self.body = body if method == "POST" else b""
        self.expects = expects and how in ("plain", "chunked") and bool(self.body)
        self.last = how in ("old", "ends", "upgrade", "invalid")
        self.data = self._written(number)

    def _written(self, number: int) -> bytes:
        if self.how == "invalid":
            return INVALID[number % len(INVALID)]
        if self.how == "upgrade":
            self.path, self.method, self.body = b"/socket", b"GET", b""
        version = b"1.0" if self.how == "old" else b"1.1"
        lines = [b"%s %s HTTP/%s" % (self.method, self.path, version), b"Host: here"]
        if self.how == "upgrade":
            lines += [line.encode("ascii") for line in UPGRADE]
        if self.how == "ends":
            lines.append(b"Connection: close")
        if self.expects:
            lines.append(b"Expect: 100-continue")
        body = self.body
        if body and self.how == "chunked":
            lines.append(b"Transfer-Encoding: chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        elif self.method == b"POST":
            lines.append(b"Content-Length: %d" % len(body))
        data = b"\r\n".join([*lines, b"", b""]) + body
        if self.how == "upgrade":
            data += frame(TEXT, b"hello") * (number % 3)
        return data

    def isAnswer(self, reply: Reply) -> bool:
        """
        Whether that may be its answer.
        """
        if self.how == "invalid":
            return reply.status == 400
        if self.how == "upgrade":
            return reply.status == 101
        if self.kind == "fails":
            return reply.status == 500
        return (reply.status, reply.body) == answerTo(self.path, self.method, self.body)

    def __repr__(self) -> str:
        return f"Request{self.made!r}"


@some.composite
def talks(draw: Any) -> list[Request]:
    """
    What one client asks for.
    """
    kinds = ["now", "later", "stream", "sized", "push", "large", "empty", "fails", "stop"]
    hows = some.sampled_from(
        ["plain"] * 6 + ["chunked"] * 3 + ["old", "ends", "upgrade", "invalid"]
    )
    return [
        Request(
            draw(some.sampled_from(kinds)),
            number,
            draw(some.sampled_from(["GET", "POST", "HEAD"])),
            draw(some.binary(min_size=1, max_size=40)),
            draw(hows),
            draw(some.booleans()),
        )
        for number in range(draw(some.integers(1, 5)))
    ]


#: What happens, to whom, and how much of it.
STEPS = some.lists(
    some.tuples(
        some.sampled_from(
            ["send"] * 5
            + ["turn"] * 3
            + ["read", "goOn", "goOn", "pass", "stop", "halfEnd", "leave"]
        ),
        some.integers(0, 1),
        some.integers(1, 300),
    ),
    max_size=60,
)

TIMES = some.fixed_dictionaries(
    {
        "gracePeriod": some.sampled_from([0.0, 0.3, 1.0, 3.0, 3.0]),
        "idleGrace": some.sampled_from([0.0, 0.05, 0.3]),
        "quiesce": some.sampled_from([0.0, 0.0, 0.2]),
        "linger": some.sampled_from([0.2, 1.0]),
    }
)
