"""
A small site on which a polite end can be seen.
"""

from __future__ import annotations

from html import escape
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.web.http import BAD_REQUEST
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

_PAGE = b"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>terminable</title>
<style>body { font: 1rem/1.5 system-ui; max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
:root { color-scheme: light dark }</style>
<h1>terminable</h1>
<p>This server ends without losing a request. Try it: open one of these, then press ^C where
the server runs, and watch both.</p>
<ul>
<li><a href="/slow?seconds=5">/slow?seconds=5</a> answers after five seconds;</li>
<li><a href="/stream?seconds=10&amp;chunks=10">/stream?seconds=10&amp;chunks=10</a> sends ten lines
in ten seconds;</li>
<li><code>/echo</code> sends back what you POST.</li>
</ul>
<p>The first ^C lets answers finish, and shows who is still busy. A second one ends it at once.</p>
</html>
"""

#: Nobody may keep a demonstration busy for longer, in seconds.
_LONGEST = 3600.0
_MOST = 100_000


def _number(request: Request, name: bytes, default: float, most: float) -> float | None:
    """
    A number out of the query; C{None} if it is not one that we would serve.
    """
    try:
        number = float(request.args.get(name, [b"%g" % default])[0])
    except ValueError:
        return None
    return number if 0 <= number <= most else None


def _refuse(request: Request, expected: str) -> bytes:
    request.setResponseCode(BAD_REQUEST)
    request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
    return f"expected {escape(expected)}\n".encode()


class Page(Resource):
    """
    Explains itself.
    """

    def getChild(self, path: bytes, request: Request) -> Resource:
        """
        The page is the root itself.
        """
        return self if not path else super().getChild(path, request)

    def render_GET(self, request: Request) -> bytes:
        """
        Answer with the page.
        """
        return _PAGE


class Slow(Resource):
    """
    Takes its time.
    """

    isLeaf = True

    def __init__(self, reactor: Any) -> None:
        super().__init__()
        self._reactor = reactor

    def render_GET(self, request: Request) -> bytes | int:
        """
        Answer after C{seconds} (1).
        """
        seconds = _number(request, b"seconds", 1, _LONGEST)
        if seconds is None:
            return _refuse(request, "/slow?seconds=NUMBER")
        waiting: Deferred[None] = deferLater(self._reactor, seconds)
        request.notifyFinish().addErrback(lambda reason: waiting.cancel())

        def answer(_: object) -> None:
            request.write(b"done after %g seconds\n" % seconds)
            request.finish()

        waiting.addCallback(answer).addErrback(lambda cancelled: None)
        return NOT_DONE_YET


class Stream(Resource):
    """
    Answers piece by piece.
    """

    isLeaf = True

    def __init__(self, reactor: Any) -> None:
        super().__init__()
        self._reactor = reactor

    def render_GET(self, request: Request) -> bytes | int:
        """
        Send C{chunks} (10) lines in C{seconds} (10).
        """
        seconds = _number(request, b"seconds", 10, _LONGEST)
        chunks = _number(request, b"chunks", 10, _MOST)
        if seconds is None or not chunks or chunks < 1:
            return _refuse(request, "/stream?seconds=NUMBER&chunks=NUMBER")
        count = int(chunks)
        sent: list[int] = []

        def more() -> None:
            sent.append(len(sent) + 1)
            request.write(b"%d of %d\n" % (sent[-1], count))
            if len(sent) >= count:
                loop.stop()

        loop = LoopingCall(more)
        loop.clock = self._reactor
        gone = request.notifyFinish()
        gone.addErrback(lambda reason: loop.stop() if loop.running else None)
        loop.start(seconds / count).addCallback(lambda _: self._finish(request, sent, count))
        return NOT_DONE_YET

    @staticmethod
    def _finish(request: Request, sent: list[int], count: int) -> None:
        if len(sent) >= count:
            request.finish()


class Echo(Resource):
    """
    Says what it hears.
    """

    isLeaf = True

    def render_POST(self, request: Request) -> bytes:
        """
        Answer with the body.
        """
        assert request.content is not None
        request.setHeader(b"Content-Type", b"application/octet-stream")
        body: bytes = request.content.read()
        return body


def demoSite(reactor: Any) -> Resource:
    """
    The root of the demonstration.
    """
    root = Page()
    root.putChild(b"slow", Slow(reactor))
    root.putChild(b"stream", Stream(reactor))
    root.putChild(b"echo", Echo())
    return root
