"""
Who is measured, and how they are started and fetched.
"""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import sidebyside
from benchmarks.machine import HOST
from benchmarks.peers import base, install, nginx, registry
from benchmarks.peers.base import Order, Peer

TEXTS = [
    path
    for path in base.PEERS.rglob("*")
    if path.suffix in {".py", ".js", ".go", ".txt", ".json"} and base.FETCHED not in path.parents
]


def peer(name: str, version: str) -> Peer:
    """
    Somebody of that version.
    """
    return Peer(name, lambda: version, lambda order: [name])


class RegistryTests(SynchronousTestCase):
    """
    Who is chosen, and who is there.
    """

    def test_all(self) -> None:
        """
        Without names, everybody is measured.
        """
        self.assertEqual(registry.chosen([]), registry.ALL)

    def test_some(self) -> None:
        """
        Those who are named are measured, in the order of the table.
        """
        found = registry.chosen(["terminable", "nginx"])
        self.assertEqual([each.name for each in found], ["nginx", "terminable"])

    def test_unknown(self) -> None:
        """
        Who is not known is named, and so are those who are.
        """
        reason = self.assertRaises(ValueError, registry.chosen, ["apache"])
        self.assertIn("apache", str(reason))
        self.assertIn("nginx", str(reason))

    def test_installed(self) -> None:
        """
        Who has no version is not installed.
        """
        there, missing = peer("there", "1.0"), peer("missing", "")
        self.assertEqual(
            registry.installed([there, missing]), ([there], {"there": "1.0"}, ["missing"])
        )

    def test_twistedIsThere(self) -> None:
        """
        We and plain Twisted are always measured.
        """
        _, versions, _ = registry.installed(registry.chosen(registry.OURS))
        self.assertEqual(set(versions), set(registry.OURS))

    def test_saidOnce(self) -> None:
        """
        Who is not installed is said once.
        """
        told = io.StringIO()
        self.patch(sys, "stderr", told)
        self.patch(sidebyside, "_said", set())
        sidebyside.tellMissing(["granian", "nginx"])
        sidebyside.tellMissing(["granian"])
        self.assertEqual(told.getvalue(), "not installed: granian\nnot installed: nginx\n")


class CommandTests(SynchronousTestCase):
    """
    How they are started.
    """

    def commands(self, certificate: Path | None = None) -> dict[str, str]:
        """
        The command lines of all, and what is in their configuration, by name.
        """
        directory = Path(self.mktemp())
        directory.mkdir()
        order = Order(directory, 23456, certificate, 7.0)
        found = {}
        for each in [*registry.ALL, *registry.MORE]:
            found[each.name] = " ".join(each.command(order))
        found["nginx"] += nginx.configuration(order)
        return found

    def test_port(self) -> None:
        """
        Everybody listens where it is told to.
        """
        for name, words in self.commands().items():
            self.assertIn("23456", words, name)

    def test_grace(self) -> None:
        """
        Everybody is given the same time, who has such a setting.
        """
        for name, words in self.commands().items():
            if name != "plain Twisted":
                self.assertRegex(words, r"\b7(000|s)?\b", name)

    def test_tls(self) -> None:
        """
        Everybody gets the certificate, and only for TLS.
        """
        pem = Path("somewhere.pem")
        for name, words in self.commands(pem).items():
            self.assertIn(str(pem), words, name)
        for name, words in self.commands().items():
            self.assertNotIn(".pem", words, name)

    def test_workers(self) -> None:
        """
        Who can be replaced only with several workers gets them for that.
        """
        uvicorn = next(each for each in registry.ALL if each.name == "uvicorn")
        assert uvicorn.restartCommand is not None
        order = Order(Path("."), 1)
        self.assertIn("--workers", uvicorn.restartCommand(order))
        self.assertNotIn("--workers", uvicorn.command(order))

    def test_order(self) -> None:
        """
        An order tells an address, and whole seconds.
        """
        order = Order(Path("."), 80, grace=2.0)
        self.assertEqual((order.address, order.seconds), (f"{HOST}:80", "2"))


class VersionTests(SynchronousTestCase):
    """
    What is installed.
    """

    def setUp(self) -> None:
        """
        Nothing was fetched.
        """
        self.fetched = Path(self.mktemp())
        self.patch(base, "FETCHED", self.fetched)

    def test_nothing(self) -> None:
        """
        What was not fetched has no version.
        """
        self.assertEqual(base.pythonVersion("uvicorn")(), "")
        self.assertEqual(base.nodeVersion("stoppable")(), "")
        self.assertEqual(base.said([str(self.fetched / "gohttp"), "version"], "(.*)"), "")

    def test_python(self) -> None:
        """
        A distribution in the environment of the peers is found there.
        """
        told = self.fetched / "venv/lib/python3.99/site-packages/uvicorn-1.2.dist-info/METADATA"
        told.parent.mkdir(parents=True)
        told.write_text("Metadata-Version: 2.1\nName: uvicorn\nVersion: 1.2\n")
        self.assertEqual(base.pythonVersion("uvicorn")(), "1.2")

    def test_node(self) -> None:
        """
        A package for Node has a version if there is Node.
        """
        told = self.fetched / "node_modules/stoppable/package.json"
        told.parent.mkdir(parents=True)
        told.write_text('{"version": "1.1.0"}')
        self.patch(base.shutil, "which", lambda name: "node")
        self.patch(base, "said", lambda command, pattern: "20.1")
        self.assertEqual(base.nodeVersion("stoppable")(), "1.1.0 (Node 20.1)")

    def test_said(self) -> None:
        """
        A version is what a program says, by whatever way.
        """
        self.assertEqual(base.said(["sh", "-c", "echo v1.2 >&2"], r"v([\d.]+)"), "1.2")
        self.assertEqual(base.said(["sh", "-c", "echo nothing"], r"v([\d.]+)"), "")


class FetchingTests(SynchronousTestCase):
    """
    L{install}.
    """

    def test_steps(self) -> None:
        """
        A step that fails is told with its reason, and the others go on.
        """
        self.patch(install, "FETCHED", Path(self.mktemp()))
        done: list[str] = []

        def fail() -> None:
            raise subprocess.CalledProcessError(1, "npm")

        steps = {"npm": fail, "Go": lambda: done.append("Go")}
        self.patch(install, "STEPS", steps)
        problems = install.install()
        self.assertEqual((len(problems), done), (1, ["Go"]))
        self.assertTrue(problems[0].startswith("npm: "))

    def test_pinned(self) -> None:
        """
        What is fetched has an exact version.
        """
        lines = (base.PEERS / "requirements.txt").read_text().splitlines()
        for line in lines:
            self.assertRegex(line, r"^(#.*|[\w-]+==[\d.]+)$")
        described = json.loads((base.PEERS / "package.json").read_text())
        for version in described["dependencies"].values():
            self.assertRegex(version, r"^\d+\.\d+\.\d+$")

    def test_noRegistry(self) -> None:
        """
        No registry is named: whoever fetches has settings for that.
        """
        for path in TEXTS:
            found = re.findall(r"https?://(?!localhost|unix:)|--(?:extra-)?index", path.read_text())
            self.assertEqual(found, [], path.name)

    def test_ignored(self) -> None:
        """
        What was fetched is no part of the repository.
        """
        self.assertIn("/fetched/", (base.PEERS / ".gitignore").read_text())
