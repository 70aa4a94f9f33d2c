"""
The programs that the pages on shared limits and on pacing show do what they say.
"""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.error
import urllib.request

from tests.live.processes import Server, environment
from tests.live.redis import RedisTestCase
from tests.live.test_docs import ANYWHERE, EXAMPLES


class SharedLimitsTests(RedisTestCase):
    """
    C{sharedlimits.py}, and C{pacing_patiently.py} as its client.
    """

    def site(self, where: str) -> tuple[Server, str]:
        """
        Start one, and say where it is.
        """
        program = (sys.executable, str(EXAMPLES / "sharedlimits.py"))
        server = self.start(ANYWHERE, where, program=program)
        port = server.awaitLog("listening on ").split()[-1]
        return server, f"http://127.0.0.1:{port}/"

    def get(self, url: str) -> tuple[int, str, str]:
        """
        @return: the status, the text, and how long to wait.
        """
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                return response.status, response.read().decode(), ""
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode(), error.headers["Retry-After"]

    def test_twoProcesses(self) -> None:
        """
        Two processes have one quota; those over it are told when to come, and a client that
        does so is answered.
        """
        where = f"unix://{self.redis().path}"
        first, second = self.site(where), self.site(where)
        began = time.monotonic()
        answers = [self.get(url) for _ in range(5) for url in (first[1], second[1])]
        # Three at once, and two in a second.
        most = 3 + 2 * (time.monotonic() - began) + 1
        self.assertEqual(answers[:3], [(200, "hello\n", "")] * 3)
        refused = [each for each in answers if each[0] != 200]
        self.assertLessEqual(len(answers) - len(refused), most)
        self.assertLessEqual(set(refused), {(429, "too many\n", "1")})
        done = subprocess.run(
            [sys.executable, str(EXAMPLES / "pacing_patiently.py"), second[1]],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertRegex(done.stdout, r"\A200 hello after [\d.]+ s\n\Z")
        for server, _ in (first, second):
            server.send()
            server.gone()
            self.assertEqual(server.status, 0, server.log())
            self.assertNotIn("Traceback", server.log())

    def test_away(self) -> None:
        """
        Without Redis everybody is answered.
        """
        _, url = self.site("redis://127.0.0.1:1/0")
        self.assertEqual([self.get(url)[0] for _ in range(6)], [200] * 6)
