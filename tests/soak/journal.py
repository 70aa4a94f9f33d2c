"""
What happens in a soak: operations, what clients have lost, and which of it was to be expected.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

#: What the servers are given, in seconds.  Clients pause for less than the idle grace.
GRACE = 20.0
IDLE_GRACE = 3.0

#: A client that has been silent for so much of the idle grace may meet its end: see the limits
#: of G1.
SILENT = 0.8 * IDLE_GRACE

#: For how many seconds a request may lie unread in a server that is busy, before what is in
#: flight for its client is in flight for the server too.
UNREAD = 3.0

#: How much longer than promised a stop may take on a busy machine, in seconds.
SLACK = 8.0

#: What a report adds up.
SUMMANDS = ("before", "idle", "finished", "left", "aborted")

#: How many findings are told in full.
TOLD = 50


@dataclass(frozen=True)
class Loss:
    """
    Something that a client did not get.

    @ivar server: of whom.
    @ivar kind: of client.
    @ivar what: C{lost}, C{refused}, C{wrong}, C{doubled} or C{late}.
    @ivar why: how that was seen.
    @ivar peer: what the server calls the client.
    @ivar number: of the request.
    @ivar opened: when the connection was established.
    @ivar spoke: when something was last sent or received before the request.
    @ivar began: when the request was written, or, if C{refused}, when it was tried to connect.
    @ivar when: when it was noticed.
    @ivar pid: the process that has answered before on this connection; 0 if none has.
    """

    server: str
    kind: str
    what: str
    why: str
    peer: str = ""
    number: int = 0
    opened: float = 0.0
    spoke: float = 0.0
    began: float = 0.0
    when: float = 0.0
    pid: int = 0

    @property
    def raced(self) -> bool:
        """
        Whether the client was silent for so long that no server can help it.
        """
        return self.what == "lost" and self.began - max(self.spoke, self.opened) > SILENT


#: Tells why a loss is to be expected; an empty text if it is not.
Excuse = Callable[[Loss], str]


@dataclass
class Window:
    """
    A time in which something may be lost.

    @ivar server: of whom.
    @ivar began: when that begins.
    @ivar excuse: what may be lost.
    @ivar ended: when that ends.
    """

    server: str
    began: float
    excuse: Excuse
    ended: float = math.inf

    def holds(self, loss: Loss) -> str:
        """
        @return: why the loss is to be expected, or nothing.
        """
        if loss.server != self.server or loss.when < self.began or loss.began > self.ended:
            return ""
        return self.excuse(loss)


def whileAway(loss: Loss) -> str:
    """
    Nobody listens.
    """
    return "nobody listened" if loss.what == "refused" else ""


@dataclass
class Force:
    """
    The end by force of a process: an abort, a deadline, a crash.

    @ivar began: when.
    @ivar named: the peers that its report names; C{None} if it has left none.
    @ivar pid: its number; 0 if it may be anybody's.
    @ivar ended: when it was gone; who has connected later has not lost anything by it.
    """

    began: float
    named: set[str] | None = None
    pid: int = 0
    ended: float = math.inf

    def __call__(self, loss: Loss) -> str:
        """
        @return: why somebody may have lost something by it.
        """
        if loss.what != "lost" or loss.opened > self.ended:
            return ""
        if self.named is None:
            return "was served by who crashed" if loss.pid in (0, self.pid) else ""
        if loss.peer in self.named:
            return "named in the report"
        if loss.began > self.began - UNREAD:
            return "was on its way"
        return ""


class Stragglers:
    """
    Those who had to go at a deadline, and were named.
    """

    def __init__(self, named: set[str]) -> None:
        """
        @param named: what the report calls them.
        """
        self.named = named

    def __call__(self, loss: Loss) -> str:
        """
        See L{Excuse}.
        """
        return "named as straggler" if loss.what == "lost" and loss.peer in self.named else ""


@dataclass
class Findings:
    """
    What should not have happened, and the operations between which it did.

    @ivar directory: where both are written.
    @ivar found: one text for each finding.
    @ivar operations: how many there were, by server and name.
    @ivar excused: how many losses were to be expected, by what they were and why.
    @ivar lost: how many were not, by what they were.
    @ivar cut: whether nothing counts any more.
    @ivar now: the clock, in seconds.
    """

    directory: Path
    found: list[str] = field(default_factory=list)
    operations: Counter[tuple[str, str]] = field(default_factory=Counter)
    excused: Counter[tuple[str, str]] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    cut: bool = False
    now: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._began = self.now()
        self._lock = threading.Lock()
        self._pending: list[Loss] = []
        self._windows: list[Window] = []
        self._deadlines: dict[str, list[float]] = {}
        path = self.directory / "operations.log"
        self._log = path.open("a", encoding="utf-8", buffering=1)

    def write(self, server: str, what: str, **details: Any) -> None:
        """
        Write something into the log of operations.
        """
        words = {"at": round(self.now() - self._began, 3), "server": server, "what": what}
        with self._lock:
            if not self._log.closed:
                self._log.write(json.dumps({**words, **details}, default=str) + "\n")

    def began(self, server: str, operation: str, **details: Any) -> None:
        """
        An operation begins.
        """
        self.operations[server, operation] += 1
        self.write(server, operation, **details)

    def finding(self, server: str, text: str, **details: Any) -> None:
        """
        Something that should not be.
        """
        if self.cut:
            # Where all are being ended by force, everything fails.
            return
        at = self.now() - self._began
        self.write(server, "FINDING", text=text, **details)
        with self._lock:
            self.found.append(f"{at:.1f} s, {server}: {text}")
        if len(self.found) <= TOLD:
            print(f"! {at:.1f} s, {server}: {text}", flush=True)

    def window(self, server: str, excuse: Excuse, began: float | None = None) -> Window:
        """
        From now on, or from then, something may be lost, until the window is ended.
        """
        made = Window(server, self.now() if began is None else began, excuse)
        with self._lock:
            self._windows.append(made)
        return made

    def lose(self, loss: Loss) -> None:
        """
        A client has lost something; it is judged when the operation is over.
        """
        with self._lock:
            self._pending.append(loss)

    def settle(self, server: str) -> None:
        """
        Judge what was lost by the clients of a server; no operation of it is under way.
        """
        with self._lock:
            mine = [loss for loss in self._pending if loss.server == server]
            self._pending = [loss for loss in self._pending if loss.server != server]
            windows = [window for window in self._windows if window.server == server]
        for loss in mine:
            self._judge(loss, windows)

    def _judge(self, loss: Loss, windows: list[Window]) -> None:
        reasons = (window.holds(loss) for window in windows)
        reason = next(filter(None, reasons), "") or ("raced" if loss.raced else "")
        details = asdict(loss)
        for name in ("opened", "spoke", "began", "when"):
            details[name] = round(details[name] - self._began, 3)
        details.pop("server")
        if reason:
            self.excused[loss.what, reason] += 1
            if loss.what == "refused":
                # Too many to be written.
                return
            self.write(loss.server, "expected", reason=reason, loss=details)
        else:
            self.lost[loss.what] += 1
            self.finding(loss.server, f"{loss.kind}: {loss.what}, {loss.why}", loss=details)

    def checkReport(self, server: str, report: dict[str, Any], forced: bool = False) -> None:
        """
        A report adds up, its stop was over in time, and nobody was aborted before.

        @param report: what there is in a L{terminable.Report}.
        @param forced: whether the stop was an abort.
        """
        counts = {name: report[name] for name in ("opened", *SUMMANDS)}
        took = report["seconds"]
        self.write(server, "report", seconds=took, **counts)
        if sum(report[name] for name in SUMMANDS) != report["opened"]:
            self.finding(server, f"a report does not add up: {counts}")
        if took > GRACE + 1.1 + SLACK:
            self.finding(server, f"a stop took {took:.1f} s")
        named = {each["peer"] for each in report["entries"] if each["outcome"] == "aborted"}
        if forced or not report["aborted"]:
            return
        # Clocks count no finer.
        if took < GRACE - 0.0001 and not self._deadlineWithin(server, took):
            text = f"{report['aborted']} were aborted after {took:.1f} s, before the deadline"
            self.finding(server, text, named=sorted(named))
        self.window(server, Stragglers(named), began=0.0)

    def drained(self, server: str) -> None:
        """
        Some connections have a deadline from now on; a stop that begins later does not put it
        off.
        """
        self._deadlines.setdefault(server, []).append(self.now() + GRACE)

    def _deadlineWithin(self, server: str, took: float) -> bool:
        now = self.now()
        deadlines = self._deadlines.get(server, ())
        return any(now - took - SLACK <= deadline <= now for deadline in deadlines)

    def close(self) -> None:
        """
        Write no more into the log.
        """
        self.cut = True
        with self._lock:
            self._log.close()
