"""
The store in a file.
"""

from __future__ import annotations

import glob
import os
import sqlite3
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher

from terminable.errors import InvalidOption
from terminable.spool import SpoolAway, SQLiteStore, State, owners, sqlite
from terminable.spool.items import HandLost, newItem
from tests.spooldoubles import InlineThread
from tests.spooling import StoreContract, StoreTestCase
from tests.spoolsharing import SharedContract


class FileTestCase(StoreTestCase):
    """
    Has stores on one file.
    """

    moment = 10.0

    def setUp(self) -> None:
        super().setUp()
        self.path = self.mktemp()

    def newStore(self) -> Any:
        return SQLiteStore(
            self.reactor, self.path, now=self.reactor.seconds, makeThread=InlineThread
        )

    def passes(self, seconds: float) -> None:
        self.reactor.advance(seconds)

    def end(self, store: Any) -> None:
        # The kernel closes what a process has.
        store._db.close()
        os.close(store.owner._descriptor)

    def files(self) -> list[str]:
        """
        @return: the names of all files of the database, its own excepted.
        """
        return sorted(name[len(self.path) :] for name in glob.glob(f"{self.path}?*"))


class SQLiteStoreTests(FileTestCase, StoreContract, SharedContract):
    """
    L{SQLiteStore} does what every store does.
    """


class OwnerTests(FileTestCase):
    """
    Several processes, one file.
    """

    def test_leavesNothing(self) -> None:
        """
        After a stop there is one file, which is complete.
        """
        store = self.started()
        self.record(store, "a")
        self.assertEqual(len(self.files()), 3, self.files())
        self.stop(store)
        self.assertEqual(self.files(), [])
        self.assertIsNotNone(self.got(self.started().look("a")))

    def test_inHandAtTheStop(self) -> None:
        """
        What is still in hand when a store is stopped waits again.
        """
        store = self.started()
        self.record(store, "a")
        self.taken(store)
        self.stop(store)
        found = self.got(self.started().look("a"))
        self.assertEqual((found.state, found.attempts), (State.WAITING, 1))

    def test_endedAtTheStart(self) -> None:
        """
        Who starts takes over at once what others had in hand that have ended; what these
        have left beside the file is removed.
        """
        one = self.newStore()
        one.start(None, False)
        self.record(one, "a", "b")
        self.assertEqual(self.takenIds(one), ["a", "b"])
        self.end(one)
        logged: list[Any] = []
        globalLogPublisher.addObserver(logged.append)
        self.addCleanup(globalLogPublisher.removeObserver, logged.append)
        store = self.started()
        self.assertIn(2, [event.get("count") for event in logged])
        self.assertEqual(self.takenIds(store), ["a", "b"])
        left = [name for name in self.files() if "-owner-" in name]
        self.assertEqual(left, [f"-owner-{store.owner.name}"])

    def test_halfStarted(self) -> None:
        """
        A file of somebody who ended before it stood in the database is removed, one of
        somebody who lives is not.
        """
        ended, living = owners.Owner(self.path), owners.Owner(self.path)
        os.close(ended._descriptor)
        self.started()
        self.assertNotIn(f"-owner-{ended.name}", self.files())
        self.assertIn(f"-owner-{living.name}", self.files())
        living.leave()

    def test_noFile(self) -> None:
        """
        Who has no file beside the database has ended.
        """
        self.assertTrue(owners.isGone(self.path, "nobody"))

    def test_looksNowAndThen(self) -> None:
        """
        Whether others have ended is asked once a second, not each time; also if the clock is
        set back.
        """
        one, other = self.newStore(), self.started()
        one.start(None, False)
        self.record(one, "a")
        self.taken(one)
        self.end(one)
        self.assertIsNone(self.taken(other))
        self.reactor.rightNow -= 5.0
        self.assertIsNotNone(self.taken(other))

    def test_takenForDead(self) -> None:
        """
        Who was taken for dead is told so, and changes nothing.
        """
        one, other = self.started(), self.started()
        self.record(one, "a")
        taken = self.taken(one)
        os.unlink(f"{self.path}-owner-{one.owner.name}")
        self.passes(2.0)
        self.assertEqual(self.taken(other).item.attempts, 2)
        for asked in (taken.done(b"result"), taken.again("", 0.0), taken.giveBack()):
            self.refused(asked, HandLost)
        self.assertEqual(self.got(other.look("a")).state, State.WORKING)


class StartTests(FileTestCase):
    """
    Files that cannot be used.
    """

    def refuses(self, path: str, reason: str) -> None:
        """
        Neither C{check} nor C{start} accepts a file, and they say why.
        """
        self.path = path
        for start in (self.newStore().check, self.started):
            problem = self.assertRaises(InvalidOption, start)
            self.assertEqual(problem.option, "spool")
            self.assertEqual(problem.value, os.path.abspath(path))
            self.assertIn(reason, str(problem))

    def refusesToStart(self, reason: str) -> None:
        """
        C{start} does not accept a file, leaves it alone, and lets go of it.
        """
        problem = self.assertRaises(InvalidOption, self.started)
        self.assertIn(reason, str(problem))
        self.assertEqual(self.files(), [])

    def test_noDirectory(self) -> None:
        """
        A directory that is not there.
        """
        self.refuses(os.path.join(self.mktemp(), "spool.db"), "no such directory")

    def test_isDirectory(self) -> None:
        """
        A directory is no file.
        """
        os.mkdir(self.path)
        self.refuses(self.path, "Is a directory")

    def test_cannotOpen(self) -> None:
        """
        A file that cannot be made.
        """
        self.path = "x" * 300
        self.refusesToStart("unable to open")

    def test_otherFile(self) -> None:
        """
        A file with something else in it.
        """
        with open(self.path, "w") as file:
            file.write("hello, world; this is no database")
        self.refuses(self.path, "no SQLite database")

    def test_emptyFile(self) -> None:
        """
        An empty file is as good as none.
        """
        open(self.path, "w").close()
        self.record(self.started(), "a")

    def test_broken(self) -> None:
        """
        A file that only begins like a database.
        """
        with open(self.path, "wb") as file:
            file.write(b"SQLite format 3\0" + bytes(2000))
        self.refusesToStart("database")

    def test_otherProgram(self) -> None:
        """
        Another program's database.
        """
        db = sqlite3.connect(self.path)
        db.execute("CREATE TABLE items (x)")
        db.close()
        self.refusesToStart("another program's")

    def test_otherVersion(self) -> None:
        """
        A database of a later version.
        """
        self.stop(self.started())
        db = sqlite3.connect(self.path)
        db.execute("PRAGMA user_version = 9")
        db.close()
        self.refusesToStart("version 9, ours of 1")

    def test_noWriteAheadLog(self) -> None:
        """
        Where there can be no write-ahead log, there is no spool.
        """
        store = self.newStore()
        db = sqlite3.connect(":memory:")
        self.addCleanup(db.close)
        problem = self.assertRaises(ValueError, store._open, db)
        self.assertIn("'memory'", str(problem))

    def test_again(self) -> None:
        """
        A start that failed may be tried again.
        """
        self.path = os.path.join(self.mktemp(), "spool.db")
        self.assertRaises(InvalidOption, self.started)
        os.mkdir(os.path.dirname(self.path))
        self.record(self.started(), "a")

    def test_repr(self) -> None:
        """
        A store says where it is.
        """
        self.assertEqual(repr(self.newStore()), f"<SQLiteStore {os.path.abspath(self.path)}>")


class AskingTests(FileTestCase):
    """
    The thread.
    """

    def test_durable(self) -> None:
        """
        A commit waits for the disk.
        """
        db = self.started()._db
        self.assertEqual(db.execute("PRAGMA synchronous").fetchone(), (2,))
        self.assertEqual(db.execute("PRAGMA journal_mode").fetchone(), ("wal",))

    def test_together(self) -> None:
        """
        What is asked in one turn is one commit.
        """
        store = self.started()
        said: list[str] = []
        store._db.set_trace_callback(said.append)
        for number in range(9):
            store.record(newItem("", None, str(number)))
        self.got(store.take())
        self.assertEqual(said.count("COMMIT"), 1)

    def test_plans(self) -> None:
        """
        However many items there are, taking one is a step in an index, without sorting.
        """
        store = self.started(most=9)
        said: list[str] = []
        store._db.set_trace_callback(said.append)
        self.record(store, "k1", "k2", key="k")
        self.got(self.taken(store).done(None))
        self.got(store.progress())
        store._db.set_trace_callback(None)
        selects = [text for text in said if text.startswith("SELECT") and " items " in text]
        self.assertGreater(len(selects), 8)
        for text in selects:
            for *_, step in store._db.execute(f"EXPLAIN QUERY PLAN {text}").fetchall():
                self.assertNotIn("TEMP B-TREE", step, text)
                if "SCAN" in step:
                    self.assertIn("INDEX", step, text)

    def test_nothingToDo(self) -> None:
        """
        Looking writes nothing, and waits for nobody who writes.
        """
        store = self.started()
        said: list[str] = []
        store._db.set_trace_callback(said.append)
        self.taken(store)
        self.got(store.look("a"))
        self.got(store.progress())
        self.got(store.deadLetters(1))
        self.assertEqual([text for text in said if text.startswith("BEGIN")], [])

    def test_oneFails(self) -> None:
        """
        What the database does not take harms only itself.
        """
        store = self.started()
        good = store.record(newItem("", None, "good"))
        bad = store.ask(lambda db: db.execute("INSERT INTO nowhere VALUES (1)"))
        other = store.record(newItem("", None, "other"))
        self.assertIn("nowhere", str(self.refused(bad, SpoolAway)))
        self.got(good)
        self.got(other)
        self.assertEqual(self.takenIds(store), ["good", "other"])

    def test_diskFull(self) -> None:
        """
        What does not fit on the disk is not recorded, what fits is, and what is in hand waits
        until there is room.
        """
        store = self.started()
        self.record(store, "a")
        taken = self.taken(store)
        (pages,) = store._db.execute("PRAGMA page_count").fetchone()
        store._db.execute(f"PRAGMA max_page_count = {pages}")
        much, little = newItem(bytes(100_000)), newItem(b"", None, "little")
        asked = [store.record(much), store.record(little)]
        self.assertIn("full", str(self.refused(asked[0], SpoolAway)))
        self.got(asked[1])
        self.assertIn("full", str(self.refused(taken.done(bytes(100_000)), SpoolAway)))
        store._db.execute("PRAGMA max_page_count = 100000")
        self.got(taken.done(bytes(100_000)))
        self.assertEqual(self.takenIds(store), ["little"])

    def test_mistake(self) -> None:
        """
        A mistake of ours stays one.
        """
        store = self.started()
        self.refused(store.ask(lambda db: 1 / 0), ZeroDivisionError)
        self.record(store, "a")

    def test_locked(self) -> None:
        """
        If another process does not let go of the file, that is said after a while.
        """
        self.patch(sqlite, "BUSY", 0.01)
        store = self.started()
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        self.assertIn("locked", str(self.refused(store.record(newItem("")), SpoolAway)))
        stopped: Deferred[None] = store.stop()
        self.got(stopped)
        other.execute("ROLLBACK")
        self.assertEqual(self.files(), ["-shm", "-wal"])

    def test_thread(self) -> None:
        """
        The thread is one, and goes with the reactor if nobody stops the store.
        """
        self.assertEqual((sqlite._thread().min, sqlite._thread().max), (1, 1))
        store = self.started()
        self.assertTrue(store._thread.running)
        (end,) = self.reactor.triggers
        end()
        self.assertFalse(store._thread.running)
        self.stop(store)
        self.assertEqual(self.reactor.triggers, [])
