"""
What the page on the admin door shows does what it says.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.live.admindoors import DoorTestCase, ask
from tests.live.clients import HOST, Address
from tests.live.processes import SLACK, freePort
from tests.live.test_docs import EXAMPLES, ROOT

PAGE = ROOT / "docs" / "howto" / "admin.rst"


class WatchedTests(DoorTestCase):
    """
    A server with a door and a check.
    """

    def test_watched(self) -> None:
        """
        The check is asked, and the end at the door is the end of the process.
        """
        door = self.door()
        env = {
            "WATCHED_LISTEN": f"tcp:{freePort()}:interface={HOST}",
            "WATCHED_ADMIN": door.description,
        }
        server = self.start("--python", str(EXAMPLES / "watched.tac"), env=env)
        ready = ask(door, "/ready")
        self.assertEqual(ready.status, 200)
        checks = json.loads(ready.body)["checks"]
        self.assertEqual(checks, {"disk": {"ok": True, "detail": ""}})
        self.assertEqual(json.loads(ask(door, "/live").body)["checks"], {})
        self.assertEqual(ask(door, "/terminate", "POST").status, 202)
        server.send(0)
        self.assertLess(server.gone(), 1.0 + SLACK)

    def test_paths(self) -> None:
        """
        Each path of the API has its line, and no other one.
        """
        door = Address(port=freePort())
        self.served(door)
        described = json.loads(ask(door, "/openapi.json").body)["paths"]
        text = PAGE.read_text()
        table = text.partition("What cannot be meant")[0]
        told = set(re.findall(r"``(/[a-z]*)``", table)) | {"/openapi.json"}
        self.assertEqual(told, set(described))
        self.assertTrue(Path(ROOT / "benchmarks" / "admin.py").exists())
