"""
What every store of a spool does with what is over, and with others on the same database.
"""

from __future__ import annotations

from terminable.spool import SpoolAway, State, desk
from terminable.spool.items import newItem


class SharedContract:
    """
    What every store does with what is over, and with others on the same database.
    """

    def test_deadBlocks(self) -> None:
        """
        A dead item holds up its key, if that is wanted, until it has been retried.
        """
        store = self.started(deadBlocks=True)
        self.record(store, "k1", "k2", key="k")
        self.got(self.taken(store).dead(""))
        self.record(store, "k3", key="k")
        self.assertIsNone(self.taken(store))
        self.assertTrue(self.got(store.retryDead("k1")))
        taken = self.taken(store)
        self.assertEqual((taken.item.id, taken.item.attempts), ("k1", 1))
        self.assertEqual(self.takenIds(store), [])
        self.got(taken.done(None))
        self.assertEqual(self.takenIds(store), ["k2"])

    def test_deadBlocksNoMore(self) -> None:
        """
        What a dead item has held up goes on when nobody wants that any more.
        """
        store = self.started(deadBlocks=True)
        self.record(store, "k1", "k2", "k3", key="k")
        self.got(self.taken(store).dead(""))
        self.assertIsNone(self.taken(store))
        self.stop(store)
        self.assertEqual(self.takenIds(self.started()), ["k2"])

    def test_retryDead(self) -> None:
        """
        A dead item that is retried is as if new: behind the others of its key.
        """
        store = self.started()
        self.record(store, "k1", "k2", "k3", key="k")
        self.got(self.taken(store).dead("because"))
        second = self.taken(store)
        self.assertTrue(self.got(store.retryDead("k1")))
        self.assertFalse(self.got(store.retryDead("k1")))
        found = self.got(store.look("k1"))
        self.assertEqual((found.state, found.attempts), (State.WAITING, 0))
        self.assertEqual((found.error, found.place), ("", 2))
        self.assertIsNone(self.taken(store))
        self.got(second.done(None))
        third = self.taken(store)
        self.assertEqual(third.item.id, "k3")
        self.got(third.done(None))
        self.assertEqual(self.takenIds(store), ["k1"])

    def test_retryDeadAlone(self) -> None:
        """
        Without a key it is taken in its turn.
        """
        store = self.started()
        self.record(store, "a", "b")
        self.got(self.taken(store).dead(""))
        self.got(store.retryDead("a"))
        self.assertEqual(self.takenIds(store), ["b", "a"])

    def test_dropDead(self) -> None:
        """
        A dead item that is dropped is gone, and holds up nobody.
        """
        store = self.started(deadBlocks=True)
        self.record(store, "k1", "k2", key="k")
        self.got(self.taken(store).dead(""))
        self.assertTrue(self.got(store.dropDead("k1")))
        self.assertIsNone(self.got(store.look("k1")))
        self.assertEqual(self.takenIds(store), ["k2"])

    def test_giveBack(self) -> None:
        """
        What is given back waits at its place, and the attempt does not count.
        """
        store = self.started()
        self.record(store, "k1", "k2", key="k")
        self.got(self.taken(store).giveBack())
        taken = self.taken(store)
        self.assertEqual((taken.item.id, taken.item.attempts), ("k1", 1))

    def test_progress(self) -> None:
        """
        Everything is counted.
        """
        store = self.started()
        self.assertEqual(str(self.got(store.progress())).split(", oldest")[0], NOTHING)
        self.record(store, "a", "b", "c")
        self.record(store, "k1", "k2", "k3", key="k")
        self.got(self.taken(store).done(None))
        self.got(self.taken(store).dead(""))
        self.taken(store)
        self.passes(self.moment)
        progress = self.got(store.progress())
        self.assertEqual((progress.waiting, progress.working), (3, 1))
        self.assertEqual((progress.done, progress.dead, progress.lastMinute), (1, 1, 1))
        self.assertTrue(self.moment <= progress.oldest < self.moment + 20, progress)

    def test_prune(self) -> None:
        """
        Items that were done long ago are forgotten, and no others.
        """
        store = self.started()
        self.record(store, "a", "b", "c", "d")
        self.got(self.taken(store).done(None))
        self.got(self.taken(store).dead(""))
        self.taken(store)
        self.passes(self.moment)
        self.assertEqual(self.got(store.prune(self.moment * 50)), 0)
        self.assertEqual(self.got(store.prune(self.moment / 2)), 1)
        self.assertIsNone(self.got(store.look("a")))
        for id in "bcd":
            self.assertIsNotNone(self.got(store.look(id)))

    def test_pruneMany(self) -> None:
        """
        However many they are.
        """
        self.patch(desk, "PRUNE", 2)
        store = self.started()
        self.record(store, "a", "b", "c", "d")
        for _ in range(4):
            self.got(self.taken(store).done(None))
        self.assertEqual(self.got(store.prune(0.0)), 4)

    def test_notRunning(self) -> None:
        """
        Nothing can be asked before the start, and after the stop; a stop is one.
        """
        store = self.newStore()
        self.refused(store.record(newItem("")), SpoolAway)
        self.refused(store.take(), SpoolAway)
        self.got(store.stop())
        store.start(None, False)
        self.record(store, "a")
        self.got(store.stop())
        self.refused(store.look("a"), SpoolAway)
        self.got(store.stop())
        store.start(None, False)
        self.assertIsNotNone(self.got(store.look("a")))
        self.got(store.stop())

    def test_stopAnswers(self) -> None:
        """
        What was asked before the stop is answered.
        """
        store = self.started()
        asked = store.record(newItem("", None, "a"))
        self.stop(store)
        self.got(asked)
        self.assertIsNotNone(self.got(self.started().look("a")))

    def test_check(self) -> None:
        """
        A database that can be used is no problem, before the start and after.
        """
        self.newStore().check()
        self.started().check()

    def test_shared(self) -> None:
        """
        What one has in hand is not given to another, nor what comes after it.
        """
        one, other = self.started(), self.started()
        self.record(one, "k1", "k2", key="k")
        self.record(one, "free")
        taken = self.taken(one)
        self.assertEqual(self.takenIds(other), ["free"])
        self.assertEqual(self.got(other.look("k1")).state, State.WORKING)
        self.assertEqual(self.got(other.progress()).working, 2)
        self.record(other, "k3", key="k")
        self.got(taken.done(None))
        self.assertEqual(self.takenIds(other), ["k2"])

    def test_ended(self) -> None:
        """
        What somebody had in hand who was ended by force is given to others, at its place, and
        the attempt counts.
        """
        one, other = self.newStore(), self.started()
        one.start(None, False)
        self.record(one, "k1", "k2", key="k")
        self.taken(one)
        self.assertIsNone(self.taken(other))
        self.end(one)
        self.passes(self.moment * 1.1)
        taken = self.taken(other)
        self.assertEqual((taken.item.id, taken.item.attempts), ("k1", 2))


NOTHING = "0 waiting, 0 working, 0 done, 0 dead"
