"""
Asking workers, none of whom is waited for for long.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.python.failure import Failure
from twisted.web import http

from terminable.handover import channel
from terminable.handover.worker import Worker, WorkerState

#: Seconds that a worker has for an answer.
LIMIT = 1.0

#: How many bytes may be sent with a question: a value in AMP has no more than 65,535.
MOST = 60_000


class Said(NamedTuple):
    """
    What a worker has answered.

    @ivar worker: who it was.
    @ivar code: the HTTP status.
    @ivar value: what there is to it.
    """

    worker: Worker
    code: int
    value: Any


class Heard(NamedTuple):
    """
    What all workers have answered.

    @ivar said: the answers, those of the oldest worker first.
    @ivar missing: the process numbers of those who have not answered.
    """

    said: list[Said]
    missing: list[int]


class Asking:
    """
    Asks workers.

    Each has L{LIMIT} seconds.  One that has let a question wait for longer is not asked the same
    again before it has answered: it counts as missing at once.
    """

    def __init__(self, reactor: Any, workers: Any) -> None:
        """
        @param reactor: provides C{IReactorTime}.
        @param workers: a L{terminable.handover.workers.Workers}.
        """
        self._reactor = reactor
        self._workers = workers
        self._late: WeakKeyDictionary[Worker, Counter[str]] = WeakKeyDictionary()

    def whom(self) -> list[Worker]:
        """
        @return: those who can be asked: they are, or were, ready.
        """
        return [worker for worker in self._workers.living() if worker.wasReady]

    def everybody(
        self, target: str, parse: Callable[[bytes], Any] = json.loads, must: bool = True
    ) -> Deferred[Heard]:
        """
        Ask all of them the same.

        @param target: the path, and what stands behind it.
        @param parse: makes a value of an answer's body.
        @param must: whether an answer with another status than 200 is none.
        @return: fires with what they have said; never fails.
        """
        return self.each(dict.fromkeys(self.whom()), "GET", target, parse, must)

    def each(
        self,
        given: Mapping[Worker, Any],
        method: str,
        target: str,
        parse: Callable[[bytes], Any] = json.loads,
        must: bool = False,
    ) -> Deferred[Heard]:
        """
        The same, of some of them.

        @param given: whom to ask, and what is sent with it.
        """
        asking = [
            self._one(worker, method, target, values, parse) for worker, values in given.items()
        ]
        gathered: Deferred[list[Said | None]] = gatherResults(asking)
        return gathered.addCallback(lambda found: _heard(list(given), found, must))

    def _one(
        self,
        worker: Worker,
        method: str,
        target: str,
        values: Any,
        parse: Callable[[bytes], Any],
    ) -> Deferred[Said | None]:
        path = target.partition("?")[0]
        late = self._late.setdefault(worker, Counter())
        if late[path]:
            return succeed(None)
        result: Deferred[Said | None] = Deferred()

        def expire() -> None:
            late[path] += 1
            result.callback(None)

        def over(said: Any) -> None:
            if call.active():
                call.cancel()
                # Whatever went wrong, there is no answer.
                result.callback(None if isinstance(said, Failure) else said)
            else:
                late[path] -= 1

        call = self._reactor.callLater(LIMIT, expire)
        wanted = call.active
        asking = Deferred.fromCoroutine(_ask(worker, method, target, values, wanted))
        asking.addCallback(lambda said: said._replace(value=parse(said.value))).addBoth(over)
        return result


async def _ask(
    worker: Worker, method: str, target: str, values: Any, wanted: Callable[[], object]
) -> Said:
    """
    @param wanted: tells whether the answer is still of use.
    """
    body = b"" if values is None else json.dumps(values).encode()
    told = {"method": method.encode(), "target": target.encode(), "body": body}
    first = await worker.ask(channel.Ask, **told)
    found = first["piece"]
    while len(found) < first["size"] and wanted():
        more = await worker.ask(channel.More, number=first["number"], offset=len(found))
        if not more["piece"]:
            raise ValueError("the answer ends too early")
        found += more["piece"]
    return Said(worker, first["code"], found)


def _heard(whom: list[Worker], found: list[Said | None], must: bool) -> Heard:
    said = []
    missing = []
    for worker, each in zip(whom, found, strict=True):
        if each is not None and not (must and each.code != http.OK):
            said.append(each)
        elif worker.state is not WorkerState.ENDED and worker.pid is not None:
            missing.append(worker.pid)
    return Heard(said, missing)
