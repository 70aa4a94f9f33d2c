"""
Servers that admit so many at a time, started by tests.
"""

from __future__ import annotations

import json
import re
import socket
import sys
from typing import Any

from tests.live.clients import TIMEOUT, Peer
from tests.live.processes import LiveTestCase, Server


class AdmissionTestCase(LiveTestCase):
    """
    Starts servers that admit so many at a time.
    """

    def admit(self, kind: str, **settings: Any) -> Server:
        """
        Start one, and find its port.
        """
        env = {"CERTIFICATE": str(self.certificate())} if kind == "tls" else {}
        program = (sys.executable, "-m", "tests.live.admissionservers")
        server = self.launch(kind, json.dumps(settings), program=program, env=env)
        found = re.search(r"listening on (\d+)", server.awaitLog("listening on "))
        assert found is not None
        self.port = int(found[1])
        return server

    def reach(self, source: str = "127.0.0.1") -> Peer:
        """
        Connect from an address of ours.
        """
        sock = socket.create_connection(("127.0.0.1", self.port), TIMEOUT, (source, 0))
        self.addCleanup(sock.close)
        return Peer(sock)

    def end(self, server: Server) -> dict[str, int]:
        """
        Ask it to stop.

        @return: how many were inside at the same time, and ever.
        """
        server.send()
        server.gone()
        found = re.search(r"most (\d+) ever (\d+)", server.log())
        assert found is not None, server.log()
        self.assertNotIn("Traceback", server.log())
        return {"most": int(found[1]), "ever": int(found[2])}
