"""
Imports go down only, and Twisted's private names stand in one file.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent / "terminable"

#: Each room's floor.  A room may import from its own floor and those below.
FLOORS = {
    "interfaces": 0,
    "errors": 0,
    "events": 0,
    "policy": 1,
    "tracking": 2,
    "drainers": 2,
    "ports": 3,
    "asking": 3,
    "choosing": 3,
    "cutting": 3,
    "draining": 3,
    "gate": 3,
    "generation": 3,
    "generations": 3,
    "goodbyes": 3,
    "handover": 3,
    "listener": 3,
    "machine": 3,
    "roll": 3,
    "parting": 3,
    "slices": 3,
    "admission": 3,
    "pacing": 3,
    "sharing": 3,
    "throttling": 3,
    "terminator": 3,
    "admin": 4,
    "certificates": 4,
    "endpoints": 4,
    "content": 4,
    "apart": 4,
    "controls": 4,
    "hosting": 4,
    "jsonlog": 4,
    "records": 4,
    "reporting": 4,
    "timeline": 4,
    "spool": 4,
    "exitstatus": 4,
    "preflight": 4,
    "notifier": 3,
    "supervising": 4,
    "service": 4,
    "systemd": 4,
    "signals": 4,
    "progress": 4,
    "terminal": 4,
    "demo": 4,
    "ctl": 5,
    "tap": 5,
    "__main__": 5,
    "testing": 6,
}
ROOF = max(FLOORS.values()) + 1

#: What a decision must not know: the network, the time, and who asks.
IMPURE = {"twisted", "zope", "asyncio", "select", "signal", "socket", "threading", "time"}

#: The one file that may touch what Twisted calls private.
INTERNALS = "terminable.tracking.internals"

#: Public, in spite of their names.
SPELLED_PRIVATELY = {"_asdict", "_fields", "_make", "_replace"}


def isPrivate(name: str) -> bool:
    """
    Whether C{name} asks to be left alone.
    """
    return name.startswith("_") and not name.endswith("__")


class Module:
    """
    What the source of one module says of its imports and of private names.
    """

    def __init__(self, name: str, source: str, isPackage: bool = False) -> None:
        self.name = name
        self.package = name if isPackage else name.rpartition(".")[0]
        self.tree = ast.parse(source)
        self.unrun = {
            id(node)
            for test in ast.walk(self.tree)
            if isinstance(test, ast.If) and "TYPE_CHECKING" in ast.unparse(test.test)
            for statement in test.body
            for node in ast.walk(statement)
        }

    @property
    def floor(self) -> int | None:
        """
        The floor this module stands on, C{None} if nobody said.
        """
        return floorOf(self.name)

    def imports(self, *, run: bool = False) -> Iterator[tuple[int, str]]:
        """
        Line and full name of each thing imported, wherever the statement stands.

        @param run: leave out what only the type checker imports.
        """
        for node in ast.walk(self.tree):
            if run and id(node) in self.unrun:
                continue
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    above = self.package.split(".")[: 1 - node.level or None]
                    base = ".".join([*above, *([base] if base else [])])
                yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)

    def outsiders(self) -> set[str]:
        """
        Names bound to other people's modules, Twisted excepted.
        """
        return {
            alias.asname or alias.name.partition(".")[0]
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Import)
            for alias in node.names
            if not alias.name.startswith("twisted")
        }

    def ownPrivates(self) -> set[str]:
        """
        The private names that this module defines.
        """
        own = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                own.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                own.add(node.id)
            elif (
                isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Store)
                and ast.unparse(node.value) == "self"
            ):
                own.add(node.attr)
        return {name for name in own if isPrivate(name)}

    def foreignPrivates(self, ours: set[str]) -> Iterator[tuple[int, str]]:
        """
        Line and text of each use of a private name that is not among C{ours}.
        """
        for line, name in self.imports():
            if name.startswith("twisted.") and any(map(isPrivate, name.split("."))):
                yield line, name
        strangers = self.outsiders()
        allowed = ours | SPELLED_PRIVATELY
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute):
                base, name = ast.unparse(node.value), node.attr
            elif isinstance(node, ast.Call) and isAttributeByName(node):
                base, name = ast.unparse(node.args[0]), ast.literal_eval(node.args[1])
            else:
                continue
            if isPrivate(name) and name not in allowed and base not in strangers:
                yield node.lineno, f"{base}.{name}"


def isAttributeByName(call: ast.Call) -> bool:
    """
    Whether this is C{getattr(x, "name")} or one of its family.
    """
    return (
        ast.unparse(call.func) in {"getattr", "setattr", "hasattr", "delattr"}
        and len(call.args) > 1
        and isinstance(call.args[1], ast.Constant)
    )


def floorOf(name: str) -> int | None:
    """
    The floor of a full name in C{terminable}; the package itself is the roof.
    """
    _, _, inside = name.partition(".")
    return FLOORS.get(inside.partition(".")[0]) if inside else ROOF


def targetFloor(name: str) -> int:
    """
    The floor of what is imported.  A name that is no room is one that the package
    itself exports, and so stands on the roof.
    """
    floor = floorOf(name)
    return ROOF if floor is None else floor


def upward(module: Module) -> list[str]:
    """
    The imports of C{module} that do not go down.
    """
    floor = module.floor
    if floor is None:
        return [f"{module.name} stands on no floor: add its room to FLOORS"]
    return [
        f"{module.name}:{line} (floor {floor}) imports {name} (floor {targetFloor(name)})"
        for line, name in module.imports(run=True)
        if name.partition(".")[0] == "terminable" and targetFloor(name) > floor
    ]


def impure(module: Module) -> list[str]:
    """
    What C{module} imports that no decision may depend on.
    """
    return [
        f"{module.name}:{line} imports {name}"
        for line, name in module.imports()
        if name.partition(".")[0] in IMPURE
    ]


def modules() -> list[Module]:
    """
    The modules of the package, as they are in this checkout.
    """
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        isPackage = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if isPackage else parts)
        found.append(Module(name, path.read_text(encoding="utf-8"), isPackage))
    return found


class FloorTests(SynchronousTestCase):
    """
    The package, read.
    """

    def assertNone(self, complaints: list[str]) -> None:
        """
        Fail with every complaint, a line each.
        """
        if complaints:
            self.fail("\n".join(["", *complaints]))

    def test_importsGoDownOnly(self) -> None:
        """
        No module imports from a floor above its own.
        """
        self.assertNone([line for module in modules() for line in upward(module)])

    def test_decisionsArePure(self) -> None:
        """
        The policy floor knows neither Twisted nor a clock, not even by its types.
        """
        policy = [module for module in modules() if module.floor == FLOORS["policy"]]
        self.assertNone([line for module in policy for line in impure(module)])

    def test_privateNamesStandInOneFile(self) -> None:
        """
        Outside L{INTERNALS}, every private name in use is one that we defined.
        """
        package = modules()
        ours = {name for module in package for name in module.ownPrivates()}
        self.assertNone(
            [
                f"{module.name}:{line} touches {text}"
                for module in package
                if module.name != INTERNALS
                for line, text in module.foreignPrivates(ours)
            ]
        )


class ReadingTests(SynchronousTestCase):
    """
    The reading itself sees what it should.
    """

    def test_upwardIsSeen(self) -> None:
        """
        Absolute, relative, late and nested imports are all read.
        """
        for source in [
            "from terminable.terminator import Terminator",
            "from terminable import terminator",
            "from terminable import Terminator",
            "import terminable.terminator",
            "from ..terminator import Terminator",
            "from .. import terminator",
            "def f():\n    import terminable.terminator",
        ]:
            self.assertEqual(len(upward(Module("terminable.policy.x", source))), 1, source)

    def test_downwardIsFine(self) -> None:
        """
        One's own floor and those below may be imported; for the type checker, any.
        """
        for source in [
            "from terminable.errors import NotServing",
            "from .phases import Phase",
            "from . import phases",
            "if TYPE_CHECKING:\n    from terminable.terminator import Terminator",
        ]:
            self.assertEqual(upward(Module("terminable.policy.x", source)), [], source)

    def test_relativeToThePackage(self) -> None:
        """
        In an C{__init__} one dot is the package itself.
        """
        package = Module("terminable.policy", "from .phases import Phase", isPackage=True)
        self.assertEqual(list(package.imports()), [(1, "terminable.policy.phases.Phase")])

    def test_homelessModule(self) -> None:
        """
        A module that nobody gave a floor is an error.
        """
        self.assertEqual(len(upward(Module("terminable.attic", ""))), 1)

    def test_impurityIsSeen(self) -> None:
        """
        Each name on the list is found however it is imported.
        """
        source = "import time\nfrom twisted.internet import defer\nfrom zope import interface\n"
        self.assertEqual(len(impure(Module("terminable.policy.x", source))), 3)

    def test_foreignPrivatesAreSeen(self) -> None:
        """
        A private name of somebody else is found in imports, attributes and strings.
        """
        for source in [
            "from twisted.web._http2 import H2Connection",
            "from twisted.internet.tcp import _x",
            "import twisted.web._newclient",
            "channel._buffer",
            "channel._buffer = b''",
            "getattr(channel, '_buffer')",
        ]:
            module = Module("terminable.tap", source)
            self.assertEqual(len(list(module.foreignPrivates(module.ownPrivates()))), 1, source)

    def test_ownPrivatesAreFine(self) -> None:
        """
        What we define ourselves we may use, and the standard library's business is
        not this test's.
        """
        source = "import os\nself._x = 1\nother._x\nos._exit(1)\nself.__dict__\n"
        module = Module("terminable.tap", source)
        self.assertEqual(list(module.foreignPrivates(module.ownPrivates())), [])
