"""
What may be asked for at the admin door above workers.
"""

from __future__ import annotations

from typing import Any

from twisted.web import http

from terminable.admin import actions
from terminable.admin.above.asking import LIMIT, MOST
from terminable.admin.above.whole import Whole
from terminable.admin.answers import Answer, Refused, told
from terminable.handover.worker import Worker


def _whom(whole: Whole, pid: object) -> list[Worker]:
    """
    @param pid: the number of one worker, or of this process, which stands for all; C{None} if
        nobody has said so.
    @return: the workers whose connections may be drained.
    @raise Refused: there is no such process, or nobody serves.
    """
    serving = whole.serving()
    chosen = [worker for worker in serving if worker.pid == pid and not isinstance(pid, bool)]
    if not chosen:
        actions.forThisProcess({"pid": pid})
        chosen = serving
    if whole.stopping or not chosen:
        raise Refused(http.CONFLICT, f"cannot drain while {whole.phase}")
    return chosen


def _given(values: dict[str, Any], whom: list[Worker]) -> dict[Worker, dict[str, Any]]:
    """
    @return: what each is told; nobody is told of connections that others have.
    """
    ids = values.get("ids")
    if not isinstance(ids, list) or not all(isinstance(id, str) for id in ids):
        # If it cannot be meant, they say so.
        return dict.fromkeys(whom, values)
    given = {}
    for worker in whom:
        begin = f"{worker.pid}-"
        own = [id[len(begin) :] for id in ids if id.startswith(begin)]
        if own:
            given[worker] = {**values, "ids": own}
    return given


async def drain(whole: Whole, values: dict[str, Any]) -> Answer:
    """
    Drain some connections of all workers, or of one.
    """
    rest = dict(values)
    whom = _whom(whole, rest.pop("pid", None))
    given = _given(rest, whom)
    if any(len(told(0, each).body) > MOST for each in given.values()):
        raise Refused(http.REQUEST_ENTITY_TOO_LARGE, f"more than {MOST} bytes for one worker")
    heard = await whole.asking.each(given, "POST", "/drain")
    refused = [said for said in heard.said if said.code != http.ACCEPTED]
    if refused and len(refused) == len(heard.said):
        raise Refused(refused[0].code, str(refused[0].value.get("error")))
    if given and not heard.said:
        raise Refused(http.SERVICE_UNAVAILABLE, f"no worker has answered within {LIMIT:g} s")
    return told(http.ACCEPTED, await whole.fresh())


async def restart(whole: Whole, values: dict[str, Any]) -> Answer:
    """
    Replace the workers one by one, as SIGHUP does.
    """
    actions.only(values)
    actions.mayFail(whole.workers.rollingRestart())
    return told(http.ACCEPTED, await whole.fresh())


#: By path; the others are those of every door.
DEEDS: dict[bytes, Any] = {**actions.ACTIONS, b"/drain": drain, b"/restart": restart}
