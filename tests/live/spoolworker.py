"""
A process with a spool: it notes what it does, and serves the spool on the web or adds to it.

    python -m tests.live.spoolworker work ADDRESS LOG AT-ONCE [PORT]
    python -m tests.live.spoolworker add ADDRESS COUNT KEYS
"""

from __future__ import annotations

import os
import sys
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater, react
from twisted.python.log import startLogging
from twisted.web.server import Site

from terminable.spool import Item, spooled
from tests.live.clients import HOST

_reactor: Any = reactor


#: So many items of one key follow each other: they would be done at once if nobody saw to it.
RUN = 5


def keyOf(number: int, keys: int) -> str | None:
    """
    The key of an item; each tenth has none.
    """
    return None if number % 10 == 0 else f"k{number // RUN % keys}"


class Notes:
    """
    One file for all processes: who begins and ends what.
    """

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, word: str, item: Item) -> None:
        """
        Write one line.
        """
        line = f"{word} {os.getpid()} {item.payload.decode()} {item.key}\n"
        os.write(self._file, line.encode())

    def work(self, item: Item) -> Any:
        """
        Work that takes a moment.
        """
        self.note("begin", item)
        return deferLater(_reactor, 0.003, self.note, "end", item)


def work(address: str, path: str, atOnce: str, port: str = "") -> None:
    """
    Work until the process is ended.
    """
    settings: dict[str, Any] = {"atOnce": int(atOnce), "poll": 0.05, "attempts": 20}
    startLogging(sys.stdout)
    spool, resource = spooled(_reactor, address, Notes(path).work, **settings)
    spool.startService()
    _reactor.addSystemEventTrigger("before", "shutdown", spool.stopService)
    if port:
        _reactor.listenTCP(int(port), Site(resource), interface=HOST)
    _reactor.run()


async def add(reactor: Any, address: str, count: str, keys: str) -> None:
    """
    Add items, several at a time, and go.
    """
    spool, _ = spooled(reactor, address, None)
    spool.startService()
    numbers = range(int(count))
    for start in range(0, len(numbers), 100):
        some = numbers[start : start + 100]
        await gatherResults([spool.add(str(n), keyOf(n, int(keys)), str(n)) for n in some])
    await spool.stopService()


if __name__ == "__main__":
    if sys.argv[1] == "work":
        work(*sys.argv[2:])
    else:
        react(lambda *words: Deferred.fromCoroutine(add(*words)), sys.argv[2:])
