"""
The programs that the page on pacing shows do what it says.
"""

from __future__ import annotations

import subprocess
import sys

from tests.live.processes import environment
from tests.live.test_docs import EXAMPLES, ExampleTestCase


class PacingTests(ExampleTestCase):
    """
    C{pacing.py}.
    """

    def test_oneByOne(self) -> None:
        """
        All are answered in order, and the progress is shown no more than once a second.
        """
        # On a machine that is busy, five answers may take five seconds.
        self.assertTrue(any(self.shown() < 5 for _ in range(3)))

    def shown(self) -> int:
        """
        Have five numbers squared.

        @return: how often the progress was shown.
        """
        server = self.program("squares.py")
        port = server.awaitLog("listening on ").split()[-1]
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / "pacing.py"), f"tcp:127.0.0.1:{port}", *"34567"],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        *progress, last = done.stdout.splitlines()
        self.assertEqual((last, done.stderr), ("9 16 25 36 49", ""))
        self.assertEqual((progress[0], progress[-1]), ("1 of 5", "5 of 5"))
        return len(progress)
