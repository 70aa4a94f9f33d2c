"""
The store in a PostgreSQL database does what every store does, and outlives the server.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar

from twisted.enterprise import adbapi

from terminable.errors import InvalidOption
from terminable.spool import SpoolAway, State, slots, spooled
from terminable.spool.doors import storeOf
from terminable.spool.items import HandLost, newItem
from terminable.spool.postgresql import PostgreSQLStore
from terminable.spool.slots import settings, shown
from terminable.spool.tables import Tables, keyLock
from tests.live.databases import Database, database
from tests.live.processes import LiveTestCase
from tests.spooldoubles import InlinePool
from tests.spooling import StoreContract, StoreTestCase
from tests.spoolsharing import SharedContract


class _Holder(LiveTestCase):
    """
    Has a server for all tests of a class.
    """

    def runTest(self) -> None:
        """
        There is nothing to run.
        """


class ServerTestCase(StoreTestCase):
    """
    Has stores on one server; each test has tables of its own.
    """

    moment = 0.5
    server: ClassVar[Database]
    _count: ClassVar[int] = 0
    _holder: ClassVar[_Holder]

    @classmethod
    def setUpClass(cls) -> None:
        cls._holder = _Holder()
        cls.server = database(cls._holder)

    @classmethod
    def tearDownClass(cls) -> None:
        cls._holder.doCleanups()

    def setUp(self) -> None:
        super().setUp()
        ServerTestCase._count += 1
        self.name = f"spool{self._count}"

    def newStore(self) -> Any:
        return PostgreSQLStore(self.reactor, self.server.address, name=self.name, pool=InlinePool)

    def passes(self, seconds: float) -> None:
        time.sleep(seconds)

    def lines(self, store: Any) -> list[Any]:
        """
        @return: the pools of a store.
        """
        return [store._line._pool, *(slot.line._pool for slot in store._slots)]

    def end(self, store: Any) -> None:
        for pool in self.lines(store):
            pool.connection.close()

    def cut(self, store: Any) -> None:
        """
        Have the server end all connections of a store.
        """
        for pool in self.lines(store):
            if pool.connection is not None:
                pid = pool.connection.info.backend_pid
                self.server.ask(f"SELECT pg_terminate_backend({pid}, 5000)")


class PostgreSQLStoreTests(ServerTestCase, StoreContract, SharedContract):
    """
    L{PostgreSQLStore} does what every store does.
    """


class LostTests(ServerTestCase):
    """
    Connections that are lost.
    """

    def test_desk(self) -> None:
        """
        Who asks does not notice it.
        """
        store = self.started()
        self.record(store, "a")
        self.cut(store)
        self.record(store, "b")
        self.assertEqual(self.takenIds(store), ["a", "b"])

    def test_inHand(self) -> None:
        """
        An item whose connection was lost is given to others, and cannot be finished.
        """
        one, other = self.started(), self.started()
        self.record(one, "a")
        taken = self.taken(one)
        self.cut(one)
        self.refused(taken.done(b"x"), HandLost)
        again = self.taken(other)
        self.assertEqual(again.item.attempts, 2)
        self.got(again.done(b"y"))
        self.assertEqual(self.got(one.look("a")).result, b"y")

    def test_inHandNoticed(self) -> None:
        """
        Also if the connection is new again.
        """
        store = self.started()
        self.record(store, "a")
        taken = self.taken(store)
        self.cut(store)
        self.refused(taken.line.run(lambda db: db.execute("SELECT 1")), SpoolAway)
        self.refused(taken.giveBack(), HandLost)
        self.assertEqual(self.taken(store).item.attempts, 2)

    def test_uncounted(self) -> None:
        """
        An attempt that cannot be counted is none.
        """
        store = self.started()
        self.record(store, "a")

        def fails(db: Any, number: int) -> None:
            db.execute("SELECT nothing")

        self.patch(store._tables, "tried", fails)
        self.refused(store.take(), SpoolAway)
        self.assertEqual(self.got(store.look("a")).state, State.WAITING)
        del store._tables.tried
        self.assertEqual(self.taken(store).item.attempts, 1)

    def test_serverGone(self) -> None:
        """
        A server that is gone is away; when it is back, everything goes on.
        """
        store = self.started()
        self.record(store, "a")
        self.server.stop()
        for _ in range(2):
            self.refused(store.record(newItem("")), SpoolAway)
            self.refused(store.take(), SpoolAway)
        self.assertRaises(InvalidOption, self.newStore().check)
        self.server.start()
        self.assertEqual(self.takenIds(store), ["a"])

    def test_oneFails(self) -> None:
        """
        What the database does not take harms only itself.
        """
        store = self.started()
        good = store.record(newItem("", None, "good"))
        bad = store._ask(lambda db: db.execute("SELECT nothing"))
        self.assertIn("nothing", str(self.refused(bad, SpoolAway)))
        self.got(good)

    def test_mistake(self) -> None:
        """
        A mistake of ours stays one, and leaves no transaction open.
        """
        store = self.started()
        self.refused(store._ask(lambda db: 1 / 0), ZeroDivisionError)
        self.record(store, "a")

    def test_sameMoment(self) -> None:
        """
        Who records what somebody else has recorded in the same moment is told that.
        """
        store, other = self.started(), self.started()
        self.record(other, "a")
        self.got(store.look("b"))
        db = self.lines(store)[0].connection
        real = db.execute
        late = [True]

        class Blind:
            def fetchone(self) -> None:
                return None

        def execute(query: str, *arguments: Any) -> Any:
            if query.startswith("SELECT 1 FROM") and late.pop():
                return Blind()
            return real(query, *arguments)

        self.patch(db, "execute", execute)
        found = self.got(store.record(newItem("other", None, "a")))
        self.assertEqual(found.payload, b"payload of a")


class StartTests(ServerTestCase):
    """
    Databases that can be used, and others.
    """

    def test_together(self) -> None:
        """
        Who starts at the same time waits for who makes the tables.
        """
        stores = [self.started() for _ in range(3)]
        self.record(stores[0], "a")
        self.assertIsNotNone(self.got(stores[2].look("a")))

    def test_otherTable(self) -> None:
        """
        A table of somebody else's is left alone.
        """
        import psycopg

        with psycopg.connect(self.server.address) as db:
            db.execute(f"CREATE TABLE {self.name}_items (x int)")
        problem = self.assertRaises(InvalidOption, self.started)
        self.assertIn("not of this version", str(problem))

    def test_unreachable(self) -> None:
        """
        A server that is not there is named, its password is not.
        """
        address = "postgresql://me:secret@127.0.0.1:1/x"
        problem = self.assertRaises(InvalidOption, spooled, self.reactor, address, str)
        self.assertNotIn("secret", str(problem))
        self.assertIn("postgresql://me:...@127.0.0.1:1/x", str(problem))
        self.assertIn("refused", str(problem))

    def test_badAddress(self) -> None:
        """
        What is no address is named.
        """
        problem = self.assertRaises(
            InvalidOption, spooled, self.reactor, "postgresql://?no=such&password=secret", str
        )
        self.assertNotIn("secret", str(problem))

    def test_badName(self) -> None:
        """
        Names of tables are simple.
        """
        for name in ("", "a; DROP", "A", "1", 7, "x" * 50):
            self.assertRaises(InvalidOption, Tables, name)

    def test_door(self) -> None:
        """
        An address makes this store, and its pools are those of adbapi.
        """
        store: Any = storeOf(self.reactor, self.server.address)
        self.assertEqual(repr(store), "<PostgreSQLStore spool_items>")
        self.assertIs(store._pool, adbapi.ConnectionPool)

    def test_settings(self) -> None:
        """
        What an address says itself is left to it.
        """
        self.assertIn("connect_timeout", settings("postgresql://x"))
        self.assertNotIn("connect_timeout", settings("postgresql://x?connect_timeout=3"))
        self.assertEqual(shown("host=x password=y"), "host=x password=...")

    def test_noDriver(self) -> None:
        """
        Without the driver, what is to be installed is said.
        """
        self.patch(slots, "DRIVER", "nowhere.psycopg")
        problem = self.assertRaises(InvalidOption, storeOf, self.reactor, "postgres://a")
        self.assertIn("txterminable[postgresql]", str(problem))

    def test_locks(self) -> None:
        """
        Keys share a bounded number of locks.
        """
        self.assertLess(max(keyLock(str(number)) for number in range(5000)), 1024)
