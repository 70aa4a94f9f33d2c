"""
What every store of a spool does.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from terminable.spool import SpoolFull, State
from terminable.spool.items import newItem
from tests.spooldoubles import SpoolReactor


class StoreTestCase(SynchronousTestCase):
    """
    Has stores on one database.
    """

    #: A moment that is long enough to be seen, in seconds.
    moment = 1.0

    def setUp(self) -> None:
        self.reactor = SpoolReactor()

    def newStore(self) -> Any:
        """
        @return: one more store on the same database.
        """
        raise NotImplementedError

    def passes(self, seconds: float) -> None:
        """
        Let time pass, as the database sees it.
        """
        raise NotImplementedError

    def end(self, store: Any) -> None:
        """
        Have the process of a store end by force.
        """
        raise NotImplementedError

    def started(self, most: int | None = None, deadBlocks: bool = False) -> Any:
        """
        @return: one more store, in use until the test is over.
        """
        store = self.newStore()
        store.start(most, deadBlocks)
        self.addCleanup(self.stop, store)
        return store

    def stop(self, store: Any) -> None:
        """
        Stop a store.
        """
        self.got(store.stop())

    def got(self, asked: Deferred[Any]) -> Any:
        """
        @return: what a Deferred fires with, when everything that can be done is done.
        """
        self.reactor.settle()
        return self.successResultOf(asked)

    def refused(self, asked: Deferred[Any], *errors: Any) -> Any:
        """
        @return: what a Deferred fails with.
        """
        self.reactor.settle()
        return self.failureResultOf(asked, *errors).value

    def record(self, store: Any, *ids: str, key: str | None = None) -> None:
        """
        Record items with these names.
        """
        for id in ids:
            self.got(store.record(newItem(f"payload of {id}", key, id)))

    def taken(self, store: Any) -> Any:
        """
        @return: what can be taken now.
        """
        return self.got(store.take())

    def takenIds(self, store: Any) -> list[str]:
        """
        @return: the names of all items that can be taken now, which are in hand then.
        """
        found = []
        while (taken := self.taken(store)) is not None:
            found.append(taken.item.id)
        return found


class StoreContract:
    """
    What every store does.
    """

    def test_recorded(self) -> None:
        """
        What was recorded is found, with its place.
        """
        store = self.started()
        first = newItem(b"\0\xff", "k", "first", "image/png")
        self.assertEqual(self.got(store.record(first)), first)
        self.record(store, "second")
        found = self.got(store.look("first"))
        self.assertEqual((found.payload, found.key), (b"\0\xff", "k"))
        self.assertEqual((found.contentType, found.state), ("image/png", State.WAITING))
        self.assertEqual((found.attempts, found.due, found.place), (0, 0.0, 1))
        self.assertEqual(self.got(store.look("second")).place, 2)

    def test_unknown(self) -> None:
        """
        What is not there is not found.
        """
        store = self.started()
        self.assertIsNone(self.got(store.look("nothing")))
        self.assertIsNone(self.taken(store))
        self.assertEqual(self.got(store.deadLetters(9)), [])
        self.assertFalse(self.got(store.retryDead("nothing")))
        self.assertFalse(self.got(store.dropDead("nothing")))

    def test_recordedTwice(self) -> None:
        """
        A name stands for one item; what it was recorded as first is told.
        """
        store = self.started(most=1)
        self.record(store, "one")
        found = self.got(store.record(newItem("other", None, "one")))
        self.assertEqual(found.payload, b"payload of one")
        self.assertEqual(self.takenIds(store), ["one"])

    def test_full(self) -> None:
        """
        There is room for so many unfinished items; what is done is none.
        """
        store = self.started(most=2)
        asked = [store.record(newItem("", None, str(n))) for n in range(3)]
        self.got(asked[1])
        self.refused(asked[2], SpoolFull)
        taken = self.taken(store)
        self.refused(store.record(newItem("")), SpoolFull)
        self.got(taken.done(None))
        self.record(store, "again")

    def test_inOrder(self) -> None:
        """
        The oldest is taken first, each once.
        """
        store = self.started()
        self.record(store, "a", "b", "c")
        self.assertEqual(self.takenIds(store), ["a", "b", "c"])

    def test_taken(self) -> None:
        """
        What is in hand is seen to be, and knows that this is its first attempt.
        """
        store = self.started()
        self.record(store, "a", "b")
        taken = self.taken(store)
        self.assertEqual((taken.item.id, taken.item.payload), ("a", b"payload of a"))
        self.assertEqual((taken.item.state, taken.item.attempts), (State.WORKING, 1))
        found = self.got(store.look("a"))
        self.assertEqual((found.state, found.attempts, found.place), (State.WORKING, 1, 0))
        self.assertEqual(self.got(store.look("b")).place, 1)

    def test_done(self) -> None:
        """
        What is done stays done, with its result.
        """
        store = self.started()
        self.record(store, "a")
        self.got(self.taken(store).done(b"\0result"))
        found = self.got(store.look("a"))
        self.assertEqual((found.state, found.result), (State.DONE, b"\0result"))
        self.assertEqual((found.attempts, found.error), (1, ""))
        self.assertIsNone(self.taken(store))

    def test_key(self) -> None:
        """
        One item of a key is in hand at a time, in order; those of other keys and of none go
        on meanwhile.
        """
        store = self.started()
        self.record(store, "k1", "k2", "k3", key="k")
        self.record(store, "j1", key="j")
        self.record(store, "free")
        first = self.taken(store)
        self.assertEqual(first.item.id, "k1")
        self.assertEqual(self.takenIds(store), ["j1", "free"])
        self.got(first.done(None))
        second = self.taken(store)
        self.assertEqual(second.item.id, "k2")
        self.record(store, "k4", key="k")
        self.assertIsNone(self.taken(store))
        self.got(second.done(None))
        self.assertEqual(self.takenIds(store), ["k3"])

    def test_again(self) -> None:
        """
        What failed is tried again when it is due, and holds up the others of its key.
        """
        store = self.started()
        self.record(store, "k1", "k2", key="k")
        self.got(self.taken(store).again("because", self.moment))
        found = self.got(store.look("k1"))
        self.assertEqual((found.state, found.error), (State.WAITING, "because"))
        self.assertTrue(0 < found.due <= self.moment, found)
        self.assertIsNone(self.taken(store))
        self.passes(self.moment * 1.2)
        self.assertEqual(self.got(store.look("k1")).due, 0.0)
        taken = self.taken(store)
        self.assertEqual((taken.item.id, taken.item.attempts), ("k1", 2))
        self.assertEqual(taken.item.error, "because")
        self.got(taken.done(None))
        self.assertEqual(self.got(store.look("k1")).error, "")
        self.assertEqual(self.takenIds(store), ["k2"])

    def test_dead(self) -> None:
        """
        What was given up is listed, and holds up nobody.
        """
        store = self.started()
        self.record(store, "k1", "k2", key="k")
        self.got(self.taken(store).dead("because"))
        (found,) = self.got(store.deadLetters(9))
        self.assertEqual(found, self.got(store.look("k1")))
        self.assertEqual((found.state, found.error), (State.DEAD, "because"))
        self.assertEqual(found.attempts, 1)
        self.assertEqual(self.takenIds(store), ["k2"])

    def test_deadUnbegun(self) -> None:
        """
        An attempt that was none does not count.
        """
        store = self.started()
        self.record(store, "a")
        self.got(self.taken(store).dead("because", begun=False))
        self.assertEqual(self.got(store.look("a")).attempts, 0)

    def test_someDead(self) -> None:
        """
        The dead are told in the order of their end, no more than asked for.
        """
        store = self.started()
        self.record(store, "a", "b", "c")
        for taken in reversed([self.taken(store) for _ in range(3)]):
            self.passes(self.moment / 10)
            self.got(taken.dead(""))
        self.assertEqual([item.id for item in self.got(store.deadLetters(2))], ["c", "b"])
