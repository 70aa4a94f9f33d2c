"""
What is answered at the admin door, by path and method.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.web import http

from terminable.admin import actions, openapi
from terminable.admin.answers import TEXT, Answer, Refused, told
from terminable.admin.asked import Asked
from terminable.admin.guard import Guard
from terminable.admin.health import Finding
from terminable.admin.listing import Listing, Query
from terminable.admin.stream import Stream
from terminable.admin.watched import SERVING, STARTING, Watched

Answering = Callable[[Asked], Awaitable[Answer | None]]

#: Our page, by path: the file, and its media type.
_PAGE = {
    b"/": ("index.html", b"text/html; charset=utf-8"),
    b"/page.css": ("page.css", b"text/css; charset=utf-8"),
    b"/page.js": ("page.js", b"text/javascript; charset=utf-8"),
    b"/words.js": ("words.js", b"text/javascript; charset=utf-8"),
}

#: What is missing where there are no metrics.
NO_METRICS = "metrics need prometheus_client: pip install 'txterminable[metrics]'"

#: Seconds after which to ask again, where that may help.
_LATER = (b"Retry-After", b"1")


class Api:
    """
    Answers requests.

    @cvar acts: what can be done, by path.
    @ivar guard: who may come.
    @ivar stream: those who want to be told of everything.
    """

    acts = actions.ACTIONS

    def __init__(self, watched: Watched, guard: Guard) -> None:
        self._watched = watched
        self.guard = guard
        self.stream = Stream(watched)
        reads: dict[bytes, Answering] = {
            b"/live": self._live,
            b"/ready": self._ready,
            b"/startup": self._startup,
            b"/status": self._status,
            b"/connections": self._connections,
            b"/metrics": self._metrics,
            b"/events": self._events,
            b"/openapi.json": self._openapi,
            **dict.fromkeys(_PAGE, self._page),
        }
        self._routes: dict[bytes, dict[bytes, Answering]] = {
            path: {b"GET": answer, b"HEAD": answer} for path, answer in reads.items()
        }
        for path, act in self.acts.items():
            self._routes[path] = {b"POST": self._acting(act)}

    async def serve(self, asked: Asked) -> Answer | None:
        """
        @return: the answer; C{None} if it goes on for as long as its reader likes.
        @raise Refused: this is not for whoever asks, or cannot be done.
        @raise terminable.InvalidOption: what was given cannot be meant.
        """
        self.guard.check(asked)
        # Nothing is decoded or taken apart: there are these paths, and no others.
        methods = self._routes.get(asked.path)
        if methods is None:
            raise Refused(http.NOT_FOUND, "there is nothing at this path")
        answer = methods.get(asked.method)
        if answer is None:
            allowed = [(b"Allow", b", ".join(methods))]
            raise Refused(http.NOT_ALLOWED, f"expected {b' or '.join(methods).decode()}", allowed)
        return await answer(asked)

    # -- health

    def _checks(self, asked: Asked, found: dict[str, Finding]) -> dict[str, Any]:
        """
        What went wrong may be a secret; that something did is none.
        """
        inside = self.guard.knows(asked)
        return {
            name: {"ok": each.ok, "detail": each.detail if inside else ""}
            for name, each in found.items()
        }

    async def _live(self, asked: Asked) -> Answer:
        found = await self._watched.health.look(live=True)
        well = all(each.ok for each in found.values())
        code = http.OK if well else http.SERVICE_UNAVAILABLE
        status = "ok" if well else "failing"
        return told(code, {"status": status, "checks": self._checks(asked, found)})

    async def _ready(self, asked: Asked) -> Answer:
        phase = self._watched.phase
        found: dict[str, Finding] = {}
        if phase == SERVING:
            found = await self._watched.health.look(live=False)
            # That has taken a while.
            phase = self._watched.phase
        status = "ready" if phase == SERVING else phase
        if phase == SERVING and not all(each.ok for each in found.values()):
            status = "failing"
        code = http.OK if status == "ready" else http.SERVICE_UNAVAILABLE
        return told(code, {"status": status, "checks": self._checks(asked, found)})

    async def _startup(self, asked: Asked) -> Answer:
        if self._watched.served:
            return told(http.OK, {"status": "started"})
        return told(http.SERVICE_UNAVAILABLE, {"status": STARTING})

    # -- what there is

    async def _status(self, asked: Asked) -> Answer:
        return told(http.OK, await self._watched.fresh())

    async def _connections(self, asked: Asked) -> Answer:
        query = Query(asked.query())
        return await Listing(self._watched, query).answer()

    async def _metrics(self, asked: Asked) -> Answer:
        try:
            from terminable.admin.metrics import counted, metricsOf

            await counted(self._watched)
            kind, body = metricsOf(self._watched)
        except ImportError:
            raise Refused(http.NOT_IMPLEMENTED, NO_METRICS) from None
        return Answer(http.OK, body, kind)

    async def _events(self, asked: Asked) -> Answer | None:
        if asked.method == b"HEAD":
            return Answer(http.OK, b"", self.stream.kind)
        if not self.stream.watch(asked):
            raise Refused(http.SERVICE_UNAVAILABLE, "too many are watching", [_LATER])
        return None

    async def _openapi(self, asked: Asked) -> Answer:
        return told(http.OK, openapi.description())

    async def _page(self, asked: Asked) -> Answer:
        name, kind = _PAGE[asked.path]
        try:
            folder = importlib.resources.files("terminable.admin") / "page"
            return Answer(http.OK, (folder / name).read_bytes(), kind)
        except OSError:
            if asked.path != b"/":
                raise Refused(http.NOT_FOUND, "there is nothing at this path") from None
        status = await self._watched.fresh()
        line = f"{status['phase']}: {status['busy']} busy, {status['idle']} idle\n"
        return Answer(http.OK, line.encode(), TEXT)

    # -- what can be done

    def _acting(self, act: actions.Action) -> Answering:
        async def answer(asked: Asked) -> Answer:
            return await act(self._watched, actions.forThisProcess(asked.values()))

        return answer
