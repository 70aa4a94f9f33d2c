"""
Server-sent events: everything that happens to a server, as it happens (HTML Living Standard,
section 9.2).
"""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.web import http
from zope.interface import implementer

from terminable.admin.asked import Asked
from terminable.admin.watched import Watched

#: How many may watch at the same time.
MOST = 100

#: Seconds between two events if nothing happens, during a stop and otherwise.
STOPPING = 1.0
SERVING = 5.0

#: The same while the busy ones are still being counted.
COUNTING = 0.1

#: How many events may wait for a watcher that takes none; with one more, it is dropped.
QUEUE = 16

#: Milliseconds after which a browser connects anew.
_AGAIN = b"retry: 1000\n\n"


def event(name: str, values: dict[str, Any]) -> bytes:
    """
    @return: one event.
    """
    return f"event: {name}\ndata: {json.dumps(values)}\n\n".encode()


@implementer(IPushProducer)
class Watcher:
    """
    Somebody who is told of everything.
    """

    def __init__(self, stream: Stream, asked: Asked) -> None:
        self._stream = stream
        self._asked = asked
        self._waiting: deque[bytes] = deque()
        self._paused = False
        self._over = False

    def begin(self, first: bytes) -> None:
        """
        Say how things stand.
        """
        asked = self._asked
        asked.notifyFinish().addBoth(self._gone)
        asked.begin(http.OK, self._stream.kind)
        asked.registerProducer(self, True)
        asked.write(_AGAIN + first)

    def send(self, news: bytes) -> None:
        """
        One more event.
        """
        if self._over:
            return
        if not self._paused:
            self._asked.write(news)
        elif len(self._waiting) < QUEUE:
            self._waiting.append(news)
        else:
            self.drop()

    def end(self, last: bytes) -> None:
        """
        There will be no more.
        """
        self.send(last)
        if not self._over:
            self.resumeProducing()
            self._asked.unregisterProducer()
            self._asked.end()

    def drop(self) -> None:
        """
        He takes nothing.
        """
        self._over = True
        self._asked.loseNow()

    def _gone(self, result: object) -> None:
        self._over = True
        self._waiting.clear()
        self._stream.forget(self)

    def pauseProducing(self) -> None:
        """
        See C{IPushProducer.pauseProducing}.
        """
        self._paused = True

    def resumeProducing(self) -> None:
        """
        See C{IPushProducer.resumeProducing}.
        """
        self._paused = False
        while self._waiting and not self._paused:
            self._asked.write(self._waiting.popleft())

    def stopProducing(self) -> None:
        """
        See C{IProducer.stopProducing}.
        """
        self._over = True


class Stream:
    """
    All who are told.

    @ivar kind: the media type.
    """

    kind = b"text/event-stream"

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._reactor = watched.reactor
        self._watchers: dict[Watcher, None] = {}
        self._call: Any = None

    def __len__(self) -> int:
        return len(self._watchers)

    def watch(self, asked: Asked) -> bool:
        """
        Tell one more.

        @return: C{False} if too many are told already.
        """
        if len(self._watchers) >= MOST:
            return False
        watcher = Watcher(self, asked)
        self._watchers[watcher] = None
        if len(self._watchers) == 1:
            # Nobody watching, nothing to do.
            self._watched.addListener(self.changed)
            self._next()
        fresh = self._watched.fresh()
        known = fresh.called
        watcher.begin(self._status())
        if not known:
            fresh.addCallback(lambda status: watcher.send(event("status", status)))
        return True

    def forget(self, watcher: Watcher) -> None:
        """
        One less.
        """
        del self._watchers[watcher]
        if not self._watchers:
            self._watched.removeListener(self.changed)
            self._stop()

    def _status(self) -> bytes:
        return event("status", self._watched.status())

    def changed(self) -> None:
        """
        Something has happened: tell everybody.
        """
        self._tell()
        self._next()

    def _next(self) -> None:
        self._stop()
        interval = STOPPING if self._watched.stopping else SERVING
        if self._watched.counting:
            interval = COUNTING
        self._call = self._reactor.callLater(interval, self._tick)

    def _stop(self) -> None:
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()

    def _tick(self) -> None:
        self._next()
        self._tell()

    def _tell(self) -> None:
        self._watched.fresh().addCallback(self._send)

    def _send(self, status: dict[str, Any]) -> None:
        # Made once for all of them.
        news = event("status", status)
        for watcher in list(self._watchers):
            watcher.send(news)

    def end(self) -> None:
        """
        Tell everybody that there will be no more.
        """
        last = self._status() + event("end", {})
        for watcher in list(self._watchers):
            watcher.end(last)
