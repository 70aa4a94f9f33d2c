"""
The account of a server, and those of the drains by choice within it.

Rules:
 - what is chosen has an account of its own beside the server's, from then on until it
   ends; nobody is chosen twice;
 - who ends before the stop of the whole server began is, for the server, one who was
   there before, whatever came of it by choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from terminable.policy.ledger import Entry, Key, Ledger, Outcome


class _Part(Ledger[Key]):
    """
    The account of some.
    """

    def __init__(self, over: Callable[[], object]) -> None:
        super().__init__()
        self._over = over

    def end(
        self, key: Key, unfinished: bool = False, entry: Callable[[], Entry] | None = None
    ) -> Outcome | None:
        """
        See L{Ledger.end}.
        """
        outcome = super().end(key, unfinished, entry)
        if not self.live:
            self._over()
        return outcome


class Accounts(Ledger[Key]):
    """
    A ledger with parts.

    @ivar chosen: how many connections have been in one of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.chosen = 0
        self._parts: dict[Key, _Part[Key]] = {}

    def choose(self, keys: Iterable[Key], now: float, over: Callable[[], object]) -> Ledger[Key]:
        """
        Open an account for some of the live connections.

        @param over: called when the last of them has ended.
        @return: the account, of those who are not in another.
        """
        part: _Part[Key] = _Part(over)
        part.beginStop(now)
        for key in keys:
            if key in self.live and key not in self._parts:
                part.open(key, self.live[key])
                self._parts[key] = part
        self.chosen += part.opened
        return part

    def abandon(self, keys: Iterable[Key]) -> None:
        """
        Wait no longer for some that were chosen, and do not end.
        """
        for key in keys:
            part = self._forget(key)
            if part is not None:
                part.end(key)

    def _forget(self, key: Key) -> _Part[Key] | None:
        return self._parts.pop(key, None)

    def beginStop(self, now: float) -> None:
        """
        The stop was asked for.  Who is being aborted by choice ends in it, and is aborted
        for all.
        """
        news = not self.stopping
        super().beginStop(now)
        for key, part in self._parts.items() if news else ():
            if part.isAborted(key):
                super().sawAbort(key)
            entry = part.entryOf(key)
            if entry is not None:
                super().name(key, entry)

    def sawBusy(self, key: Key) -> None:
        """
        See L{Ledger.sawBusy}.
        """
        super().sawBusy(key)
        if key in self._parts:
            self._parts[key].sawBusy(key)

    def sawAbort(self, key: Key) -> bool:
        """
        See L{Ledger.sawAbort}.
        """
        part = self._parts.get(key)
        if part is None:
            return super().sawAbort(key)
        news = part.sawAbort(key)
        if self.stopping:
            super().sawAbort(key)
        return news

    def isAborted(self, key: Key) -> bool:
        """
        See L{Ledger.isAborted}.
        """
        part = self._parts.get(key)
        return super().isAborted(key) or (part is not None and part.isAborted(key))

    def settle(self, key: Key, outcome: Outcome) -> None:
        """
        See L{Ledger.settle}.
        """
        super().settle(key, outcome)
        if key in self._parts:
            self._parts[key].settle(key, outcome)

    def end(
        self, key: Key, unfinished: bool = False, entry: Callable[[], Entry] | None = None
    ) -> Outcome | None:
        """
        See L{Ledger.end}.
        """
        part = self._forget(key)
        outcome = super().end(key, unfinished, entry)
        if part is not None:
            part.end(key, unfinished, entry)
        return outcome

    def name(self, key: Key, entry: Entry) -> None:
        """
        See L{Ledger.name}.
        """
        part = self._parts.get(key)
        if part is not None:
            part.name(key, entry)
        if part is None or self.stopping:
            super().name(key, entry)
