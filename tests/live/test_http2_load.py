"""
HTTP/2 under load: what was taken is answered, at whatever moment the server is stopped.
"""

from __future__ import annotations

import re
import subprocess
import time

from tests.live.clients import Address
from tests.live.processes import PATIENCE, SLACK, Server
from tests.live.programs import program
from tests.live.streamclients import StreamsTestCase

#: How often to stop, each time at another moment.
STOPS = 20

#: What is asked for: answers at once, after a while, and in pieces.
TARGETS = ("sync", "later?seconds=0.02", "pieces?count=3&seconds=0.01")


class LoadTests(StreamsTestCase):
    """
    Connections that always have as many streams open as they may.
    """

    def test_nothingIsLost(self) -> None:
        """
        However often the server is stopped, its application has seen exactly those requests
        that the clients got whole answers to.
        """
        h2load = program("h2load", "nghttp2-client")
        servers = [self.encrypted(wait=False)]
        answered = []
        for number, (server, address) in enumerate(servers):
            server.awaitReady()
            if len(servers) < STOPS:
                # It starts while this one is being stopped.
                servers.append(self.encrypted(wait=False))
            answered.append(self.stopUnderLoad(h2load, number, server, address))
        self.assertEqual(len(answered), STOPS)
        self.assertGreater(min(answered), 0)

    def stopUnderLoad(self, h2load: str, number: int, server: Server, address: Address) -> int:
        """
        Stop a server while it is being asked.

        @return: how many requests were answered.
        """
        connections, streams = 1 + number % 5, (1, 10, 40, 100)[number % 4]
        where = [f"https://127.0.0.1:{address.port}/{target}" for target in TARGETS]
        amount = ("-n", "100000", "-c", str(connections), "-m", str(streams))
        command = [h2load, *amount, *where]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as load:
            server.awaitLog("asked for")
            time.sleep(0.01 * number)
            server.terminate()
            said, _ = load.communicate(timeout=PATIENCE)
        self.assertLess(server.gone(), 3.0 + SLACK, server.log())
        self.assertIn(" 0 aborted", server.report())
        self.assertNotIn("Traceback", server.log())
        taken = self.requests(server)
        # h2load also counts as failed what it never sent.
        succeeded = int(re.findall(r"(\d+) succeeded", said)[0])
        [kinds] = re.findall(r"(\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", said)
        self.assertEqual([int(kind) for kind in kinds], [taken, 0, 0, 0], said)
        self.assertEqual(succeeded, taken, said)
        return taken
