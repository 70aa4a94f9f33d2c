"""
Who is connected, since when, and what came of them.

Rules:
 - a connection is opened once and ended once; everything is counted once, so that
   the totals of a report add up to the connections opened;
 - what came of it is decided when it ends, from the marks it got on the way: an
   abort outweighs everything, then what was settled before, then whether something is
   left unfinished, then whether anything was in flight since the stop began.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Generic, TypeVar

from terminable.policy.phases import Phase

Key = TypeVar("Key", bound=Hashable)

#: How many connections a report names; the others are only counted.
NAMED = 10_000

#: How many of each kind its text shows.
SHOWN = 20


class State(Enum):
    """
    What a live connection is doing.
    """

    OPENING = "opening"
    NEW = "new"
    IDLE = "idle"
    BUSY = "busy"
    UPGRADED = "upgraded"


class Outcome(Enum):
    """
    What came of a connection.
    """

    BEFORE = "before"
    IDLE = "idle"
    FINISHED = "finished"
    LEFT = "left"
    ABORTED = "aborted"


@dataclass(frozen=True)
class Entry:
    """
    One connection in a report.

    @ivar peer: who it was.
    @ivar protocol: the name of the protocol's class, or what the protocol calls itself.
    @ivar doing: what was in flight (C{"GET /export"}), or an empty string.
    @ivar state: what it was doing when we last looked.
    @ivar age: seconds since it was accepted.
    @ivar unsent: bytes that the peer had not yet taken.
    @ivar outcome: what came of it.
    @ivar told: the last word it was given (C{"503"}), or an empty string.
    """

    peer: str
    protocol: str
    doing: str
    state: State
    age: float
    unsent: int
    outcome: Outcome
    told: str = ""

    def withWord(self, told: str) -> Entry:
        """
        The same with the last word that it was given.
        """
        return replace(self, told=told)

    def __str__(self) -> str:
        what = self.doing or f"{self.state.value} {self.protocol}"
        unsent = f", {self.unsent} bytes unsent" if self.unsent else ""
        told = f", told {self.told}" if self.told else ""
        return f"{what} from {self.peer}, {self.age:.1f} s{unsent}{told}"


@dataclass(frozen=True)
class Report:
    """
    What a stop came to.  C{before + idle + finished + left + aborted == opened}.

    @ivar opened: connections since listening began.
    @ivar before: those that had ended when the stop was asked for.
    @ivar idle: those that had nothing in flight from then on.
    @ivar finished: those that had something in flight, and completed it.
    @ivar left: those whose peer went away with something in flight.
    @ivar aborted: stragglers; each is among the C{entries}.
    @ivar seconds: how long the stop took.
    @ivar entries: every connection that did not simply end idle or finished:
        aborted, left, or ended while it was opening or before it ever spoke.
    """

    opened: int
    before: int
    idle: int
    finished: int
    left: int
    aborted: int
    seconds: float
    entries: tuple[Entry, ...]

    @property
    def graceful(self) -> bool:
        """
        Whether nobody had to be aborted.
        """
        return not self.aborted

    @property
    def stragglers(self) -> tuple[Entry, ...]:
        """
        The connections that were aborted.
        """
        return tuple(entry for entry in self.entries if entry.outcome is Outcome.ABORTED)

    def plus(self, other: Report) -> Report:
        """
        One report of both, of a stop that took as long as this one says.
        """
        return Report(
            opened=self.opened + other.opened,
            before=self.before + other.before,
            idle=self.idle + other.idle,
            finished=self.finished + other.finished,
            left=self.left + other.left,
            aborted=self.aborted + other.aborted,
            seconds=self.seconds,
            entries=(self.entries + other.entries)[:NAMED],
        )

    def __str__(self) -> str:
        counts = f"{self.idle} idle, {self.finished} finished"
        if self.left:
            counts += f", {self.left} left"
        counts += f", {self.aborted} aborted after {self.seconds:.1f} s"
        others = [entry for entry in self.entries if entry.outcome is not Outcome.ABORTED]
        named = _named("aborted", list(self.stragglers)) + _named("also ended", others)
        return "; ".join([counts, *named])


def _named(what: str, entries: list[Entry]) -> list[str]:
    if not entries:
        return []
    shown = [str(entry) for entry in entries[:SHOWN]]
    if len(entries) > SHOWN:
        shown.append(f"and {len(entries) - SHOWN} more")
    return [f"{what}: " + " | ".join(shown)]


@dataclass(frozen=True)
class Progress:
    """
    How far a stop is.

    @ivar busy: connections that have, or have had, something in flight and live.
    @ivar idle: the other live connections.
    @ivar left: seconds until the deadline; C{None} if there is none.
    @ivar oldest: of the busy ones that which was opened first.
    @ivar waiting: those that wait to be admitted; they are neither busy nor idle.
    @ivar counting: whether some have not been looked at yet, and are among the idle ones for
        that reason alone.
    """

    phase: Phase
    busy: int
    idle: int
    left: float | None
    oldest: Entry | None
    waiting: int = 0
    counting: bool = False

    def plus(self, other: Progress) -> Progress:
        """
        Both together, in the phase of this one.
        """
        lefts = [left for left in (self.left, other.left) if left is not None]
        busiest = [entry for entry in (self.oldest, other.oldest) if entry is not None]
        oldest = max(busiest, key=lambda entry: entry.age, default=None)
        busy, idle = self.busy + other.busy, self.idle + other.idle
        waiting, counting = self.waiting + other.waiting, self.counting or other.counting
        left = max(lefts, default=None)
        return Progress(self.phase, busy, idle, left, oldest, waiting, counting)

    def __str__(self) -> str:
        text = f"{self.phase.value}: {self.busy} busy, {self.idle} idle"
        if self.counting:
            text = f"{self.phase.value}: {self.busy + self.idle} connections, still being counted"
        if self.waiting:
            text += f", {self.waiting} waiting"
        if self.left is not None:
            text += f", {self.left:.1f} s left"
        return text + (f": {self.oldest}" if self.oldest else "")


@dataclass
class Ledger(Generic[Key]):
    """
    The account of one server, from its first port to its report.

    @ivar live: when each live connection was opened, oldest first.
    @ivar opened: how many there have been.
    """

    live: dict[Key, float] = field(default_factory=dict)
    opened: int = 0
    _began: float | None = None
    _busy: set[Key] = field(default_factory=set)
    _aborted: set[Key] = field(default_factory=set)
    _settled: dict[Key, Outcome] = field(default_factory=dict)
    _totals: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    _entries: dict[int, Entry] = field(default_factory=dict)
    # Where live connections stand in them.
    _places: dict[Key, int] = field(default_factory=dict)
    _named: int = 0

    def __len__(self) -> int:
        return len(self.live)

    def __contains__(self, key: Key) -> bool:
        return key in self.live

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self.live))

    @property
    def busy(self) -> int:
        """
        How many live connections have been busy since the stop began.
        """
        return len(self._busy)

    def busyKeys(self) -> Iterator[Key]:
        """
        Those connections, in no order.
        """
        return iter(self._busy)

    def open(self, key: Key, now: float) -> bool:
        """
        A connection was accepted.

        @return: whether it was not known before.
        """
        if key in self.live:
            return False
        self.live[key] = now
        self.opened += 1
        return True

    @property
    def stopping(self) -> bool:
        """
        Whether the stop was asked for.
        """
        return self._began is not None

    def beginStop(self, now: float) -> None:
        """
        The stop was asked for; a second time changes nothing.
        """
        if self._began is None:
            self._began = now

    def sawBusy(self, key: Key) -> None:
        """
        The connection has something in flight.
        """
        if key in self.live:
            self._busy.add(key)

    def sawAbort(self, key: Key) -> bool:
        """
        The connection is being aborted.

        @return: whether that is news.
        """
        news = key in self.live and key not in self._aborted
        if news:
            self._aborted.add(key)
        return news

    def settle(self, key: Key, outcome: Outcome) -> None:
        """
        What comes of the connection is known before it ends, whatever is seen of it until then;
        but it may yet be aborted.
        """
        if key in self.live:
            self._settled[key] = outcome

    def isAborted(self, key: Key) -> bool:
        """
        Whether the connection is being aborted.
        """
        return key in self._aborted

    def end(
        self, key: Key, unfinished: bool = False, entry: Callable[[], Entry] | None = None
    ) -> Outcome | None:
        """
        The connection has ended.

        @param unfinished: something is still in flight, and never will be complete.
        @param entry: tells what to put into the report in that case.
        @return: what came of it; C{None} if it was not live.
        """
        if key not in self.live:
            return None
        outcome = self._outcome(key, unfinished)
        if outcome is Outcome.LEFT and entry is not None:
            self.name(key, entry())
        place = self._places.pop(key, None)
        if place is not None and self._entries[place].outcome is not outcome:
            # What it was named as did not come true.
            del self._entries[place]
        del self.live[key]
        self._busy.discard(key)
        self._aborted.discard(key)
        self._settled.pop(key, None)
        self._totals[outcome] += 1
        return outcome

    def _outcome(self, key: Key, unfinished: bool) -> Outcome:
        if key in self._aborted:
            return Outcome.ABORTED
        if self._began is None:
            return Outcome.BEFORE
        if key in self._settled:
            return self._settled[key]
        if unfinished:
            return Outcome.LEFT
        return Outcome.FINISHED if key in self._busy else Outcome.IDLE

    def name(self, key: Key, entry: Entry) -> None:
        """
        Put a connection into the report by name, in the place of what was said of it before;
        but of one that is being aborted nothing else is said.
        """
        if self.isAborted(key) and entry.outcome is not Outcome.ABORTED:
            return
        if key not in self._places and key in self.live and len(self._entries) < NAMED:
            self._places[key] = self._named
            self._named += 1
        if key in self._places:
            self._entries[self._places[key]] = entry

    def entryOf(self, key: Key) -> Entry | None:
        """
        By what a live connection is named so far.
        """
        return self._entries[self._places[key]] if key in self._places else None

    def total(self, outcome: Outcome) -> int:
        """
        Of how many connections that came.
        """
        return self._totals[outcome]

    def report(self, now: float) -> Report:
        """
        The account as it stands.
        """
        totals = self._totals
        return Report(
            opened=self.opened,
            before=totals[Outcome.BEFORE],
            idle=totals[Outcome.IDLE],
            finished=totals[Outcome.FINISHED],
            left=totals[Outcome.LEFT],
            aborted=totals[Outcome.ABORTED],
            seconds=0.0 if self._began is None else now - self._began,
            entries=tuple(self._entries.values()),
        )
