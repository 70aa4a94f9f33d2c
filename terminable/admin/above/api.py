"""
What is answered at the admin door above workers.
"""

from __future__ import annotations

from typing import Any

from twisted.web import http

from terminable.admin import actions
from terminable.admin.above import deeds, openapi, rows
from terminable.admin.above.asking import LIMIT
from terminable.admin.above.whole import Whole
from terminable.admin.answers import Answer, Refused, told
from terminable.admin.api import NO_METRICS, Answering, Api
from terminable.admin.asked import Asked
from terminable.admin.health import Finding
from terminable.admin.watched import SERVING


class WholeApi(Api):
    """
    Answers for all workers.
    """

    acts = deeds.DEEDS
    _watched: Whole

    async def _ready(self, asked: Asked) -> Answer:
        """
        One worker that is ready is enough.
        """
        whole = self._watched
        found: dict[str, Finding] = {}
        if whole.phase == SERVING:
            found = await self._look()
        phase = whole.phase
        status = "ready" if phase == SERVING else phase
        if phase == SERVING and not any(each.ok for each in found.values()):
            status = "failing"
        code = http.OK if status == "ready" else http.SERVICE_UNAVAILABLE
        return told(code, {"status": status, "checks": self._checks(asked, found)})

    async def _look(self) -> dict[str, Finding]:
        """
        @return: what each worker that accepts says of itself.
        """
        serving = self._watched.serving()
        given = dict.fromkeys(serving)
        heard = await self._watched.asking.each(given, "GET", "/ready")
        said = {each.worker: _finding(each.code, each.value) for each in heard.said}
        silent = Finding(False, f"no answer within {LIMIT:g} s")
        return {f"worker {worker.pid}": said.get(worker, silent) for worker in serving}

    async def _connections(self, asked: Asked) -> Answer:
        return await rows.connections(self._watched, asked.query())

    async def _metrics(self, asked: Asked) -> Answer:
        try:
            from terminable.admin.above.metrics import metricsOf
        except ImportError:
            raise Refused(http.NOT_IMPLEMENTED, NO_METRICS) from None
        kind, body = await metricsOf(self._watched)
        return Answer(http.OK, body, kind)

    async def _openapi(self, asked: Asked) -> Answer:
        return told(http.OK, openapi.description())

    def _acting(self, act: Any) -> Answering:
        async def answer(asked: Asked) -> Answer:
            values = asked.values()
            if act is not deeds.drain:
                # One worker may be drained; everything else is about all of them.
                values = actions.forThisProcess(values)
            answer: Answer = await act(self._watched, values)
            return answer

        return answer


def _finding(code: int, told: dict[str, Any]) -> Finding:
    if code == http.OK:
        return Finding(True)
    failing = [
        f"{name}: {each['detail']}" for name, each in told["checks"].items() if not each["ok"]
    ]
    return Finding(False, "; ".join(failing) or str(told["status"]))
