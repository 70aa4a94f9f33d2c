"""
What the page on the control command says is so.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from terminable.ctl import outcomes
from terminable.ctl.options import Options
from terminable.ctl.orders import ANSWER, COMMANDS, UPGRADE
from terminable.ctl.screen import STRAGGLERS
from terminable.ctl.views import CONNECTIONS
from terminable.ctl.watch import PATIENCE
from tests.test_docs import OPTION

PAGE = Path(__file__).parent.parent / "docs" / "howto" / "ctl.rst"


class PageTests(SynchronousTestCase):
    """
    The page, read.
    """

    def setUp(self) -> None:
        self.text = PAGE.read_text()
        self.flat = " ".join(self.text.split())

    def test_commandLines(self) -> None:
        """
        Every command line is understood, apart from the files that it names; and there is one for
        each command.
        """
        seen = set()
        for line in re.findall(r"^    python -m terminable ctl (.*)$", self.text, re.M):
            words = shlex.split(line.partition(" --token-file")[0])
            options = Options()
            options.parseOptions(words)
            seen.add(options.command.name)
        self.assertEqual(seen, {kind.name for kind in COMMANDS})

    def test_options(self) -> None:
        """
        It names every option, and no other ones but two.
        """
        usage = "".join(kind().getUsage() for kind in COMMANDS)
        there = set(OPTION.findall(usage)) | set(re.findall(r"--[a-z-]+(?==)", usage))
        told = set(OPTION.findall(self.text))
        self.assertEqual(told - there, {"--admin", "--unix-socket"})
        self.assertEqual(there - told, {"--help", "--version"})

    def test_statuses(self) -> None:
        """
        The exit statuses are those there are.
        """
        told = [int(number) for number in re.findall(r"^(\d+) +\S", self.text, re.M)]
        names = [name for name in vars(outcomes) if name.isupper()]
        self.assertEqual(told, sorted(getattr(outcomes, name) for name in names))

    def test_figures(self) -> None:
        """
        So are the figures.
        """
        self.assertEqual((STRAGGLERS, PATIENCE), (10, 10.0))
        self.assertIn("the ten oldest of those who are busy", self.flat)
        self.assertIn("is looked for for ten seconds", self.flat)
        self.assertIn(f"``--within`` {UPGRADE:g} seconds", self.flat)
        self.assertIn(f"seconds that an answer may take, {ANSWER:g} if nothing", self.flat)

    def test_columns(self) -> None:
        """
        The table has the columns that are shown.
        """
        self.assertIn("  ".join(["ID", "PEER"]), self.text)
        titles = re.search(r"^    (ID .*)$", self.text, re.M)
        assert titles is not None
        self.assertEqual(titles[1].split(), [column.title for column in CONNECTIONS])
