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
        self.assertLess(len(progress), 5)
