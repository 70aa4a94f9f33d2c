"""
There is one way to import each public name.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

import terminable
from tests.live.processes import environment

#: What is not loaded before somebody needs it, or what somebody else has to choose.
DEARLY = [
    "OpenSSL",
    "asyncio",
    "autobahn",
    "cryptography",
    "h2",
    "prometheus_client",
    "psycopg",
    "rich",
    "service_identity",
    "treq",
    "twisted",
    "txredisapi",
    "wsproto",
]

NAMES = {
    "Admission",
    "CannotAttach",
    "Connection",
    "Generation",
    "HandoverFailed",
    "ICounted",
    "IDrainWatch",
    "IDrainer",
    "IHintingDrainer",
    "ILastingDrainer",
    "IRefusal",
    "ITerminationObserver",
    "InvalidOption",
    "Limit",
    "NotServing",
    "Outcome",
    "Phase",
    "QueueFull",
    "Report",
    "Schedule",
    "State",
    "TerminableError",
    "TerminableFactory",
    "TerminableProtocol",
    "TerminableService",
    "Terminator",
    "Unreachable",
    "UpgradeRefused",
    "watch",
    "whenDraining",
}


class ExportTests(SynchronousTestCase):
    """
    What C{terminable} exports.
    """

    def test_names(self) -> None:
        """
        The public names are these and no others, each said once.
        """
        self.assertEqual(sorted(terminable.__all__), sorted(NAMES))

    def test_nothingElseIsThere(self) -> None:
        """
        The package's namespace holds nothing else but its own modules.
        """
        there = {
            name
            for name, value in vars(terminable).items()
            if not name.startswith("_") and not isinstance(value, ModuleType)
        }
        self.assertLessEqual(there - {"annotations", "TYPE_CHECKING"}, NAMES)

    def test_sameObject(self) -> None:
        """
        Each public name is the very object that its own module defines.
        """
        for name in terminable.__all__:
            exported = getattr(terminable, name)
            self.assertTrue(exported.__module__.startswith("terminable."), name)
            self.assertIs(getattr(sys.modules[exported.__module__], name), exported)

    def test_dir(self) -> None:
        """
        Whoever lists what is there sees every public name, asked for before or not.
        """
        self.assertLessEqual(NAMES, set(dir(terminable)))
        self.assertIn("__version__", dir(terminable))

    def test_wrongName(self) -> None:
        """
        What is not there is told as by any other module.
        """
        with self.assertRaises(AttributeError) as caught:
            terminable.Terminater  # type: ignore[attr-defined]  # noqa: B018
        said = "module 'terminable' has no attribute 'Terminater'"
        self.assertEqual(str(caught.exception), said)
        with self.assertRaises(ImportError):
            from terminable import Terminater  # type: ignore[attr-defined]  # noqa: F401

    def test_typesAreTheSame(self) -> None:
        """
        A type checker is told the same modules from which names come as are imported.
        """
        source = Path(terminable.__file__).read_text(encoding="utf-8")
        told = {
            alias.name: node.module
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.ImportFrom) and node.module != "importlib"
            for alias in node.names
        }
        del told["annotations"]
        found = {name: getattr(terminable, name).__module__ for name in NAMES}
        self.assertEqual(told, found)

    def test_version(self) -> None:
        """
        The package and the distribution agree on their version.
        """
        self.assertEqual(terminable.__version__, version("txterminable"))


class LoadingTests(SynchronousTestCase):
    """
    What is loaded with C{terminable}, in a process of its own.
    """

    def loaded(self, program: str) -> set[str]:
        """
        @return: the modules that there are after a program.
        """
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            f"{program}\nimport sys\nprint(*sys.modules)",
        ]
        done = subprocess.run(command, capture_output=True, text=True, env=environment())
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return set(done.stdout.split())

    def test_package(self) -> None:
        """
        The package alone loads nothing of others, and none of its own modules.
        """
        loaded = self.loaded("import terminable")
        self.assertEqual(loaded & set(DEARLY), set())
        self.assertEqual([name for name in loaded if name.startswith("terminable.")], [])

    def test_names(self) -> None:
        """
        Whatever is asked for, C{twisted.web} is loaded by those who serve it, the extras by
        those who use them, and the reactor by the application.
        """
        loaded = self.loaded("from terminable import *")
        dearly = {*DEARLY, "twisted.web", "twisted.internet.reactor", "twisted.conch"}
        # Twisted's transports speak TLS, its Deferreds asyncio.
        dearly -= {"OpenSSL", "asyncio", "cryptography", "service_identity", "twisted"}
        self.assertEqual(loaded & dearly, set())

    def test_decisions(self) -> None:
        """
        What needs no network loads nothing of it.
        """
        loaded = self.loaded("from terminable import Admission, Limit, Report, Schedule")
        self.assertEqual(loaded & set(DEARLY), set())

    def test_drainers(self) -> None:
        """
        HTTP is spoken by a process that has loaded C{twisted.web} after us.
        """
        self.loaded(
            """
from twisted.internet.testing import MemoryReactorClock, StringTransport
from terminable import Terminator
terminator = Terminator(MemoryReactorClock())
from twisted.web.resource import Resource
from twisted.web.server import Site
protocol = terminator.wrap(Site(Resource())).buildProtocol(None)
transport = StringTransport()
transport.protocol = protocol
protocol.makeConnection(transport)
[connection] = terminator.connections()
assert type(connection.drainer).__name__ == "WebDrainer", connection.drainer
protocol.connectionLost(None)
"""
        )
