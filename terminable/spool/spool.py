"""
Work that is recorded first, and done later at a steady rate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from terminable import events
from terminable.errors import InvalidOption
from terminable.policy.backoff import Backoff
from terminable.spool.hand import Hand
from terminable.spool.interfaces import ISpoolStore, ITaken
from terminable.spool.items import OCTETS, Item, SpoolAway, SpoolProgress, newItem
from terminable.spool.pace import Pace
from terminable.spool.terms import Terms

_log = Logger()

#: How often old items are forgotten, in seconds.
PRUNE = 60.0


class Spool(Service):
    """
    Records items, and works them off: each at least once, those of one key in order.

    A service: started, it opens its store and works; stopped, it takes nothing new, finishes
    what is in hand, and leaves the rest recorded.

    @ivar terms: its settings.
    """

    def __init__(
        self,
        reactor: Any,
        store: ISpoolStore,
        work: Callable[[Item], Any] | None,
        **settings: Any,
    ) -> None:
        """
        @param store: where items are recorded: L{terminable.spool.SQLiteStore}, or
            C{PostgreSQLStore} of L{terminable.spool.postgresql}.
        @param work: is called with an L{Item}, in the reactor's thread.  It returns the
            result, or a Deferred that fires with it: nothing, bytes, text, or what has a form
            in JSON.  It may be called again for an item that it has done, if the process was
            ended in that moment.  C{None} only records: others do the work.
        @keyword rate: how many items this process begins in a second at most, as a number
            above 0 or a text such as C{"90/min"}; they begin in even intervals.  By default
            as many as can be done.
        @keyword atOnce: how many items this process has in hand at most; 1 by default.
        @keyword attempts: how often an item is begun until it is given up; 5 by default.  A
            process that is ended by force counts, one that is stopped does not.
        @keyword backoff: a function from the number of attempts that failed to the seconds
            until the next one; by default 1, 2, 4 and so on, to 300.
        @keyword timeLimit: seconds that one attempt may take; then it is cancelled, and has
            failed.  By default there is no limit.
        @keyword keepDone: seconds that done items are remembered, a day by default and a
            minute at least.
        @keyword most: how many unfinished items the store may hold, 100,000 by default;
            C{None} for as many as come.
        @keyword gracePeriod: seconds that a stop waits for what is in hand, 25 by default;
            then it is cancelled, and recorded as not done.
        @keyword deadBlocks: whether a dead item holds up the later ones of its key; by
            default it does not.
        @keyword poll: seconds until an idle process looks for what others have recorded, or
            what has become due; 0.5 by default.
        @raise InvalidOption: a setting that cannot be meant.
        """
        if not ISpoolStore.providedBy(store):
            raise InvalidOption("store", store, "a store such as SQLiteStore(reactor, path)")
        if work is not None and not callable(work):
            raise InvalidOption("work", work, "a function of an item")
        self.terms = Terms(**settings)
        self._reactor = reactor
        self._store = store
        self._work = work
        self._pace = Pace(self.terms.rate)
        self._hands: list[Hand] = []
        self._taking: Deferred[Any] | None = None
        self._call: Any = None
        self._pruning = LoopingCall(self._prune)
        self._pruning.clock = reactor
        self._backoff = Backoff()
        self._away = False

    # -- recording and looking

    def add(
        self,
        payload: bytes | str,
        key: str | None = None,
        id: str | None = None,
        contentType: str = OCTETS,
    ) -> Deferred[Item]:
        """
        Record an item.

        @param payload: bytes, or text, which is recorded as UTF-8.
        @param key: items of the same key are done in the order in which they were added.
        @param id: its name; by default a random one.  If there is an item of this name, it
            stays as it is.
        @param contentType: what the payload is.
        @return: fires with the item when it is on the disk, or with the one that was there.
            Fails with L{InvalidOption} if it cannot be recorded, with
            L{terminable.spool.SpoolFull} if there is no room, with
            L{terminable.spool.SpoolAway} if the database cannot be asked now.
        """
        return Deferred.fromCoroutine(self._add(payload, key, id, contentType))

    async def _add(self, *arguments: Any) -> Item:
        item = await self._store.record(newItem(*arguments))
        self._isBack()
        self._look()
        return item

    def look(self, id: str) -> Deferred[Item | None]:
        """
        @return: fires with an item, and its place if it waits; C{None} if there is none.
        """
        return self._store.look(id)

    def progress(self) -> Deferred[SpoolProgress]:
        """
        @return: fires with how the spool stands, whoever works on it.
        """
        return self._store.progress()

    def deadLetters(self, most: int = 1000) -> Deferred[list[Item]]:
        """
        @return: fires with the items that were given up, the oldest first, but so many at most.
        """
        return self._store.deadLetters(most)

    def retryDead(self, id: str) -> Deferred[bool]:
        """
        Have a dead item wait again, as if it had never been tried.  It goes behind all others
        of its key; if C{deadBlocks}, it keeps its place.

        @return: fires with C{False} if no dead item has this id.
        """
        return Deferred.fromCoroutine(self._change(self._store.retryDead, id))

    def dropDead(self, id: str) -> Deferred[bool]:
        """
        Forget a dead item.

        @return: fires with C{False} if no dead item has this id.
        """
        return Deferred.fromCoroutine(self._change(self._store.dropDead, id))

    async def _change(self, change: Callable[[str], Deferred[bool]], id: str) -> bool:
        changed = await change(id)
        self._look()
        return changed

    # -- starting and working

    def privilegedStartService(self) -> None:
        """
        Look whether the database can be used, before anybody listens.

        @raise InvalidOption: it cannot.
        """
        self._store.check()

    def startService(self) -> None:
        """
        Open the store, which may take seconds, and begin to work.

        @raise InvalidOption: the database cannot be used.
        """
        self._store.start(self.terms.most, self.terms.deadBlocks)
        Service.startService(self)
        self._pruning.start(PRUNE, now=False)
        self._look()

    def _prune(self) -> Deferred[Any]:
        pruned: Deferred[Any] = self._store.prune(self.terms.remembered)
        return pruned.addErrback(self._isAway)

    def _later(self, seconds: float) -> None:
        if self._call is None and self.running:
            self._call = self._reactor.callLater(seconds, self._look)

    def _look(self) -> None:
        """
        Take the next item, if it may begin now.
        """
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
        free = len(self._hands) < self.terms.atOnce
        if not self.running or self._work is None or not free or self._taking is not None:
            return
        wait = self._pace.wait(self._reactor.seconds())
        if wait:
            self._later(wait)
            return
        self._taking = taking = self._store.take()
        taking.addCallbacks(self._took, self._notTaken)

    def _took(self, taken: ITaken | None) -> None:
        self._taking = None
        self._isBack()
        if taken is None:
            self._pace.rest()
            self._later(self.terms.poll)
            return
        assert self._work is not None
        hand = Hand(self._reactor, taken, self._work, self.terms)
        self._hands.append(hand)
        hand.over.addBoth(self._finished, hand)
        if not self.running:
            # It was on its way when the stop began.
            hand.putBack()
            return
        self._pace.began(self._reactor.seconds())
        hand.begin()
        self._look()

    def _finished(self, result: object, hand: Hand) -> None:
        self._hands.remove(hand)
        self._look()

    def _notTaken(self, failure: Failure) -> None:
        self._taking = None
        self._isAway(failure)
        self._later(self._backoff.after(0.0))

    def _isBack(self) -> None:
        if self._away:
            self._away, self._backoff = False, Backoff()
            _log.info("{store} is back", event=events.SPOOL_BACK, store=self._store)

    def _isAway(self, failure: Failure) -> None:
        """
        Say it, the first time.
        """
        if failure.check(SpoolAway) is None:
            _log.failure("{store}", failure, store=self._store)
        elif not self._away:
            reason = failure.getErrorMessage()
            _log.warn(
                "{store} is away: {reason}",
                event=events.SPOOL_AWAY,
                store=self._store,
                reason=reason,
            )
        self._away = True

    # -- stopping

    def stopService(self) -> Deferred[None]:
        """
        Take nothing new, and finish what is in hand.

        @return: fires when it is recorded what became of it, and the store is let go of; not
            much later than the grace period.
        """
        Service.stopService(self)
        self._look()
        if self._pruning.running:
            self._pruning.stop()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        cut = self._reactor.callLater(self.terms.gracePeriod, self._cut)
        if self._taking is not None:
            await DeferredList([self._taking])
        await DeferredList([hand.over for hand in self._hands])
        if cut.active():
            cut.cancel()
        await self._store.stop()

    def _cut(self) -> None:
        for hand in list(self._hands):
            _log.warn(
                "item {id} is not done in time: it stays recorded",
                event=events.SPOOL_LATE,
                id=hand.id,
            )
            hand.cut()
