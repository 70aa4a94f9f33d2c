"""
Who may come in now, who waits, and who is turned away.

Nothing here reads a clock or knows a socket: connections are keys, their peers are texts,
and the caller says what time it is.  All times are in seconds.

Rules:
 - those inside are never more than the capacity, nor those of one peer than are allowed of
   one, but for whoever was inside before anybody asked (L{Lobby.enter});
 - who waits is admitted in order of arrival within a peer, and the peers take turns;
 - nobody waits while there is a place for him;
 - a full queue is shared: a newcomer takes the place of the youngest of the peer that has
   most of it, if that leaves the other with no fewer than the newcomer's peer has then.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterator
from enum import Enum
from typing import Generic, TypeVar

from terminable.policy.admission import Admission

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

#: Two times that differ by less are the same: the sum of a time and a delay is rounded.
_SAME = 1e-6


class Verdict(Enum):
    """
    What becomes of a connection when it arrives.
    """

    ADMITTED = "admitted"
    WAITS = "waits"
    AWAY = "turned away"


class _Lines(Generic[Key]):
    """
    Those who wait: a line for each peer, the oldest first.
    """

    def __init__(self) -> None:
        self.all: dict[Key, tuple[str, float]] = {}
        self._lines: dict[str, dict[Key, None]] = {}
        # Index: how many of a peer wait; the peers in order of when they came to it.
        self._levels: list[dict[str, None]] = [{}]

    def __len__(self) -> int:
        return len(self.all)

    def of(self, peer: str) -> int:
        """
        How many of a peer wait.
        """
        return len(self._lines.get(peer, ()))

    @property
    def most(self) -> int:
        """
        How many wait of the peer that has most.
        """
        return len(self._levels) - 1

    def add(self, key: Key, peer: str, now: float) -> None:
        """
        One more at the end of the line of its peer.
        """
        self._move(peer, 1)
        self.all[key] = (peer, now)
        self._lines.setdefault(peer, {})[key] = None

    def remove(self, key: Key) -> str:
        """
        One less.

        @return: its peer.
        """
        peer, _ = self.all.pop(key)
        self._move(peer, -1)
        line = self._lines[peer]
        del line[key]
        if not line:
            del self._lines[peer]
        return peer

    def _move(self, peer: str, by: int) -> None:
        count = self.of(peer)
        self._levels[count].pop(peer, None)
        if count + by == len(self._levels):
            self._levels.append({})
        if count + by:
            self._levels[count + by][peer] = None
        while len(self._levels) > 1 and not self._levels[-1]:
            self._levels.pop()

    def first(self, peer: str) -> Key:
        """
        The oldest of a peer.
        """
        return next(iter(self._lines[peer]))

    def youngestOfMost(self) -> Key:
        """
        The youngest of the peer that has most.
        """
        return next(reversed(self._lines[next(iter(self._levels[-1]))]))


class Lobby(Generic[Key]):
    """
    The decisions for one server.
    """

    def __init__(self, settings: Admission) -> None:
        self._settings = settings
        self._inside: dict[Key, tuple[str, float]] = {}
        self._stays: dict[Key, float] = {}
        self._perPeer: Counter[str] = Counter()
        self._lines: _Lines[Key] = _Lines()
        # The peers of whom somebody could be admitted, in order of their turns.
        self._turns: dict[str, None] = {}

    @property
    def inside(self) -> int:
        """
        How many were admitted and are not done.
        """
        return len(self._inside)

    @property
    def waiting(self) -> int:
        """
        How many wait.
        """
        return len(self._lines)

    def waitingOf(self, peer: str) -> int:
        """
        @return: how many of one peer wait.
        """
        return self._lines.of(peer)

    def inTheWay(self) -> Iterator[tuple[Key, float]]:
        """
        Those inside who could make room for somebody who waits, the oldest first, and since
        when each is there.
        """
        anybody = not self._hasPlace
        for key, (peer, since) in self._inside.items():
            if anybody or self._lines.of(peer):
                yield key, since

    @property
    def full(self) -> bool:
        """
        Whether nobody can come in and nobody can wait, whoever comes.
        """
        return self.waiting >= self._settings.queue and self.taken

    @property
    def taken(self) -> bool:
        """
        Whether every place is taken, or will be: those who wait come first.
        """
        return bool(self._turns) or not self._hasPlace

    @property
    def _hasPlace(self) -> bool:
        capacity = self._settings.capacity
        return capacity is None or len(self._inside) < capacity

    def _mayEnter(self, peer: str) -> bool:
        perPeer = self._settings.perPeer
        return perPeer is None or self._perPeer[peer] < perPeer

    # -- they come

    def arrive(self, key: Key, peer: str, now: float) -> tuple[Verdict, Key | None]:
        """
        Somebody comes.

        @param peer: who that counts as.
        @return: what becomes of him, and who has to give up his place in the queue for
            that, if anybody has.
        """
        if not self.taken and self._mayEnter(peer):
            self.enter(key, peer, now)
            return Verdict.ADMITTED, None
        most = self._settings.perPeerQueue
        if most is not None and self._lines.of(peer) >= most:
            return Verdict.AWAY, None
        loser: Key | None = None
        if self.waiting >= self._settings.queue and not self._holds:
            if self._lines.most <= self._lines.of(peer) + 1:
                return Verdict.AWAY, None
            loser = self._lines.youngestOfMost()
            self.left(loser)
        self._lines.add(key, peer, now)
        self._turn(peer)
        return Verdict.WAITS, loser

    @property
    def _holds(self) -> bool:
        """
        Whether those who come although the queue is full are accepted already: there is
        no going back.
        """
        return self._settings.full == "hold" and self.taken

    def enter(self, key: Key, peer: str, now: float) -> None:
        """
        Somebody is inside, whatever the limits say.
        """
        self._inside[key] = (peer, now)
        self._perPeer[peer] += 1
        if self._settings.stay is not None:
            self._stays[key] = now

    def _turn(self, peer: str) -> None:
        """
        Is it to get its turn?
        """
        if self._lines.of(peer) and self._mayEnter(peer):
            self._turns.setdefault(peer)
        else:
            self._turns.pop(peer, None)

    # -- they go

    def left(self, key: Key) -> bool:
        """
        Somebody is done, or has gone before he was admitted.

        @return: whether he was known.
        """
        if key in self._inside:
            peer, _ = self._inside.pop(key)
            self._stays.pop(key, None)
            self._perPeer[peer] -= 1
            if not self._perPeer[peer]:
                del self._perPeer[peer]
        elif key in self._lines.all:
            peer = self._lines.remove(key)
        else:
            return False
        self._turn(peer)
        return True

    def next(self, now: float) -> Key | None:
        """
        Admit somebody.

        @return: who it is, C{None} if there is no place or nobody who may have it.
        """
        if not self._turns or not self._hasPlace:
            return None
        peer = next(iter(self._turns))
        del self._turns[peer]
        key = self._lines.first(peer)
        self._lines.remove(key)
        self.enter(key, peer, now)
        self._turn(peer)
        return key

    # -- time goes by

    def expired(self, now: float) -> list[Key]:
        """
        @return: those who have waited too long; they wait no more.
        """
        over = []
        for key, (_, since) in self._lines.all.items():
            if since + self._wait > now + _SAME:
                break
            over.append(key)
        for key in over:
            self.left(key)
        return over

    def overstayed(self, now: float) -> list[Key]:
        """
        @return: those who have been inside for too long, each once; they stay until they
            have L{left}.
        """
        over = []
        for key, since in self._stays.items():
            if since + self._stay > now + _SAME:
                break
            over.append(key)
        for key in over:
            del self._stays[key]
        return over

    @property
    def _wait(self) -> float:
        return math.inf if self._settings.wait is None else self._settings.wait

    @property
    def _stay(self) -> float:
        return math.inf if self._settings.stay is None else self._settings.stay

    def nextTime(self) -> float | None:
        """
        @return: when somebody will have waited, or stayed, too long; C{None} is never.
        """
        times = [since + self._wait for _, since in self._firstOf(self._lines.all)]
        times += [since + self._stay for since in self._firstOf(self._stays)]
        first = min(times, default=math.inf)
        return None if math.isinf(first) else first

    def _firstOf(self, known: dict[Key, Value]) -> list[Value]:
        return [known[next(iter(known))]] if known else []
