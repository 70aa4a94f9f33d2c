"""
A process that asks a shared quota as fast as it can, and prints what it got.

    python -m tests.live.redisasker WHERE RATE BURST AWAY FILE SECONDS

It says C{ready} when it is, and begins at the time of day that then stands in the file; that is
asked for as soon as the file is there.  A line of JSON for each tenth of a second: the seconds
since the beginning, how many questions were let through and how many were not, and the longest
that somebody has waited for an answer.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater, react
from twisted.logger import globalLogBeginner, textFileLogObserver

from terminable.sharing import SharedQuota

#: How many questions are under way.
AT_ONCE = 8


class Asker:
    """
    @ivar slots: for each tenth of a second how many went on, how many did not, and the
        longest wait for an answer.
    """

    def __init__(self, quota: SharedQuota, begin: float, end: float) -> None:
        self.quota = quota
        self.begin = begin
        self.end = end
        self.slots: defaultdict[int, list[float]] = defaultdict(lambda: [0, 0, 0.0])

    async def ask(self, reactor: Any) -> None:
        """
        One question after the other.
        """
        while (asked := time.time()) < self.end:
            wait = await self.quota.take("everybody")
            slot = self.slots[int((asked - self.begin) * 10)]
            slot[1 if wait else 0] += 1
            slot[2] = max(slot[2], time.time() - asked)
            if not self.quota.link.connected:
                # Answers come at once now, and nobody else would have a turn.
                await deferLater(reactor, 0.01)


async def main(reactor: Any, where: str, *words: str) -> None:
    """
    All of them.
    """
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    rate, burst, away, file, seconds = words
    quota = SharedQuota(reactor, where, rate, burst, away=away, name=away)
    await quota.start()
    print("ready", flush=True)
    path = Path(file)
    while not path.exists():
        await deferLater(reactor, 0.02)
    begin = float(path.read_text())
    await deferLater(reactor, max(0.0, begin - time.time()))
    asker = Asker(quota, begin, begin + float(seconds))
    await gatherResults([Deferred.fromCoroutine(asker.ask(reactor)) for _ in range(AT_ONCE)])
    quota.stop()
    print(json.dumps({"slots": sorted(asker.slots.items())}), flush=True)


if __name__ == "__main__":
    react(main, sys.argv[1:])
