"""
Which drainer is loaded when.
"""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from typing import Any

from twisted.internet.protocol import Protocol
from twisted.trial.unittest import SynchronousTestCase

from terminable.drainers import library
from terminable.drainers.library import GROUP, OURS, Library, begin, published
from tests.doubles import Boom, Plain, World
from tests.live.processes import environment


class LibraryTests(SynchronousTestCase):
    """
    L{Library}, with modules that nobody else has.
    """

    def setUp(self) -> None:
        self.loaded: list[str] = []

    def arrive(self, name: str) -> None:
        """
        A module is imported.
        """
        sys.modules[name] = ModuleType(name)
        self.addCleanup(sys.modules.pop, name, None)

    def library(self, *names: str) -> Library:
        """
        One that knows the drainers of some modules.
        """
        return Library({name: lambda name=name: self.loaded.append(name) for name in names})

    def test_notBefore(self) -> None:
        """
        A drainer is loaded when the module it is for has been imported, once.
        """
        known = self.library("no_such_a", "no_such_b")
        known.load()
        self.assertEqual(self.loaded, [])
        self.arrive("no_such_b")
        known.load()
        known.load()
        self.assertEqual(self.loaded, ["no_such_b"])
        self.arrive("no_such_a")
        known.load()
        self.assertEqual(self.loaded, ["no_such_b", "no_such_a"])

    def test_costsNothing(self) -> None:
        """
        While nothing is imported, nothing is looked for.
        """

        class Counting(dict[str, Any]):
            looks = 0

            def __iter__(self) -> Any:
                self.looks += 1
                return super().__iter__()

        waiting = Counting(no_such_a=None)
        known = Library(waiting)
        for _ in range(3):
            known.load()
        self.assertEqual(waiting.looks, 1)

    def test_broken(self) -> None:
        """
        One that cannot be loaded is logged, once, and costs the others nothing.
        """

        def fail() -> None:
            raise Boom

        known = Library({"no_such_a": fail, "no_such_b": lambda: self.loaded.append("b")})
        for name in ("no_such_a", "no_such_b"):
            self.arrive(name)
        known.load()
        self.arrive("no_such_c")
        known.load()
        self.assertEqual(self.loaded, ["b"])
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)

    def test_loadsAnother(self) -> None:
        """
        If loading one imports what another one is for, that one is loaded too.
        """

        def first() -> None:
            self.arrive("no_such_a")
            self.loaded.append("b")

        known = Library({"no_such_a": lambda: self.loaded.append("a"), "no_such_b": first})
        self.arrive("no_such_b")
        known.load()
        self.assertEqual(self.loaded, ["b", "a"])


class Point:
    """
    An entry point of another package.
    """

    def __init__(self, name: str, load: Any) -> None:
        self.name = name
        self.load = load


class PublishedTests(SynchronousTestCase):
    """
    The drainers that there are.
    """

    def publish(self, *points: Point) -> dict[str, Any]:
        """
        Other packages have some.
        """
        self.groups: list[str] = []

        def entryPoints(group: str) -> list[Point]:
            self.groups.append(group)
            return list(points)

        self.patch(library, "entry_points", entryPoints)
        return published()

    def test_ours(self) -> None:
        """
        Ours are there, each with a function that registers it, which is harmless when the
        library has been loaded before.
        """
        found = self.publish()
        self.assertEqual(sorted(found), sorted(OURS))
        self.assertEqual(self.groups, [GROUP])
        self.assertEqual(GROUP, "terminable.drainers")

    def test_oursRegister(self) -> None:
        """
        Ours are imported and registered when asked for, not before.
        """
        module: Any = ModuleType("terminable.drainers.no_such")
        registered: list[str] = []
        module.register = lambda: registered.append("us")
        self.patch(library, "OURS", {"no_such_a": "no_such"})
        sys.modules[module.__name__] = module
        self.addCleanup(sys.modules.pop, module.__name__)
        found = self.publish()
        self.assertEqual(registered, [])
        found["no_such_a"]()
        self.assertEqual(registered, ["us"])

    def test_theirs(self) -> None:
        """
        Those of other packages are loaded and called when asked for, not before; they win
        over ours.
        """
        registered: list[str] = []
        irc = "twisted.words.protocols.irc"
        found = self.publish(
            Point("no_such_a", lambda: lambda: registered.append("a")),
            Point(irc, lambda: lambda: registered.append("irc")),
        )
        self.assertEqual(sorted(found), sorted([*OURS, "no_such_a"]))
        self.assertEqual(registered, [])
        found[irc]()
        found["no_such_a"]()
        self.assertEqual(registered, ["irc", "a"])

    def test_theirsIsBroken(self) -> None:
        """
        One that cannot even be imported is logged when its library is there.
        """

        def fail() -> None:
            raise ImportError("no_such_b")

        known = Library({"twisted": self.publish(Point("twisted", fail))["twisted"]})
        known.load()
        self.assertEqual(len(self.flushLoggedErrors(ImportError)), 1)

    def test_everyModule(self) -> None:
        """
        Each of ours is there, for a library module that there is.
        """
        program = f"""
import sys
from importlib import import_module
import terminable
ours = {OURS!r}
loaded = [name for name in ours.values() if "terminable.drainers." + name in sys.modules]
assert not loaded, loaded
assert not any(name in sys.modules for name in ours), sorted(sys.modules)
from terminable.drainers import library
for name, module in ours.items():
    import_module(name)
    library.load()
    assert "terminable.drainers." + module in sys.modules, module
"""
        command = [sys.executable, "-W", "ignore", "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, env=environment())
        self.assertEqual((done.returncode, done.stderr), (0, ""))


class Watched(Plain):
    """
    A protocol that has to be watched from its beginning.
    """

    watched = 0


class Special(Watched):
    """
    A kind of it.
    """


class BeginTests(SynchronousTestCase):
    """
    Connections that begin.
    """

    def watch(self, kind: type, watcher: Any) -> None:
        """
        Somebody watches a class.
        """
        library.watched[kind] = watcher
        self.addCleanup(library.watched.pop, kind)

    def test_byClass(self) -> None:
        """
        Whoever watches a class is called with each new instance of it, and of its
        subclasses, and of no other.
        """
        seen: list[Any] = []
        self.watch(Watched, seen.append)
        first, second, other = Watched(), Special(), Protocol()
        for protocol in (first, second, other, None):
            begin(protocol)
        self.assertEqual(seen, [first, second])

    def test_nearest(self) -> None:
        """
        The watcher of a subclass is called in the place of its base class's.
        """
        general: list[Any] = []
        special: list[Any] = []
        self.watch(Watched, general.append)
        self.watch(Special, special.append)
        for protocol in (Watched(), Special()):
            begin(protocol)
        self.assertEqual([type(each) for each in general], [Watched])
        self.assertEqual([type(each) for each in special], [Special])

    def test_nobodyWatches(self) -> None:
        """
        It may be that nobody watches anything.
        """
        self.patch(library, "watched", {})
        begin(Watched())
        world = World(Watched)
        world.connect()
        self.assertEqual(len(world.terminator.connections()), 1)

    def test_beforeItIsConnected(self) -> None:
        """
        It is called before the protocol has its transport, once for each connection.
        """
        seen: list[Any] = []
        self.watch(Watched, lambda protocol: seen.append((protocol, protocol.transport)))
        world = World(Watched)
        world.connect()
        world.connect()
        self.assertEqual(seen, [(each, None) for each in world.factory.protocols])

    def test_failing(self) -> None:
        """
        A watcher that fails is logged, and costs the connection nothing.
        """

        def fail(protocol: Any) -> None:
            raise Boom

        self.watch(Watched, fail)
        world = World(Watched)
        transport = world.connect()
        self.assertEqual(len(self.flushLoggedErrors(Boom)), 1)
        self.assertEqual(len(world.factory.protocols), 1)
        result = world.terminator.terminate()
        world.pass_(1.1)
        self.assertTrue(transport.over)
        self.assertEqual(self.successResultOf(result).idle, 1)
