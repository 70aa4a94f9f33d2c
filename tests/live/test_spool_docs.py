"""
The example of the page on spools: stopped, upgraded, and asked.
"""

from __future__ import annotations

import http.client
import json
import re
import signal
from typing import Any

from tests.live.clients import HOST
from tests.live.processes import ROOT, Server, eventually, freePort
from tests.live.upgrading import UpgradeTestCase

EXAMPLE = ROOT / "docs" / "examples" / "spool.tac"
PAGE = ROOT / "docs" / "howto" / "spool.rst"


class ExampleTests(UpgradeTestCase):
    """
    C{spool.tac}.
    """

    def setUp(self) -> None:
        super().setUp()
        self.path = self.directory() / "orders.db"
        self.port = freePort()

    def example(self) -> Server:
        """
        Start it.
        """
        env = {"SPOOL": str(self.path), "SPOOL_LISTEN": f"tcp:{self.port}:interface={HOST}"}
        return self.begin("--python", str(EXAMPLE), env=env)

    def ask(  # type: ignore[override]
        self, method: str, path: str, body: str | None = None, **headers: str
    ) -> tuple[http.client.HTTPResponse, Any]:
        """
        @return: the answer, and what it says.
        """
        connection = http.client.HTTPConnection(HOST, self.port, timeout=30)
        connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer, json.loads(text)

    def order(self, what: str, **headers: str) -> str:
        """
        @return: where to ask for an order.
        """
        answer, _ = self.ask("POST", "/orders", what, **headers)
        self.assertEqual(answer.status, 202)
        place = answer.getheader("Location")
        assert place is not None
        return place

    def packed(self, *servers: Server) -> list[str]:
        """
        @return: what was packed, in the order of the servers and their logs.
        """
        text = "".join(server.log() for server in servers)
        return re.findall(r"packed (\d+)$", text, re.MULTILINE)

    def state(self, place: str) -> Any:
        """
        @return: how an order stands.
        """
        return self.ask("GET", place)[1]

    def test_page(self) -> None:
        """
        What the page shows of the answers is what is answered.
        """
        self.example()
        answer, told = self.ask("POST", "/orders", "two apples", Spool_Key="alice")
        page = PAGE.read_text()
        shown = re.findall(r"^    ([\w-]+): (.*)$", page, re.MULTILINE)
        self.assertTrue(shown)
        for name, value in shown:
            self.assertEqual(_shape(answer.getheader(name, "")), _shape(value), name)
        place = answer.getheader("Location", "")
        states = {"waiting": _shape(json.dumps(told))}
        self.assertTrue(eventually(lambda: self._see(place, states) == "done"), states)
        for line in re.findall(r'^    (\{"id".*\})$', page, re.MULTILINE):
            self.assertEqual(_shape(line), states[json.loads(line)["state"]])

    def _see(self, place: str, states: dict[str, str]) -> str:
        told = self.state(place)
        states.setdefault(told["state"], _shape(json.dumps(told)))
        return str(told["state"])

    def test_stopped(self) -> None:
        """
        A stop finishes what is in hand, and leaves the rest, which is done when it is started
        again.
        """
        server = self.example()
        places = [self.order(str(number), Spool_Key="k") for number in range(12)]
        server.awaitLog("packed 0")
        server.send(signal.SIGTERM)
        server.gone()
        first = self.packed(server)
        self.assertLess(len(first), 11, server.log())
        self.assertEqual([path.name for path in self.path.parent.iterdir()], ["orders.db"])
        again = self.example()
        self.assertTrue(eventually(lambda: self.state(places[-1])["state"] == "done"))
        self.assertEqual(self.packed(server, again), [str(number) for number in range(12)])
        told = self.state(places[-1])["result"]
        self.assertEqual(told, "packed for k at attempt 1")

    def test_upgraded(self) -> None:
        """
        While the old process finishes what it has in hand, its successor works on the same
        file: everything is done once, in order.
        """
        server = self.example()
        family = self.follow(server)
        places = [self.order(str(number), Spool_Key="k") for number in range(3)]
        server.awaitLog("packed 0")
        pid = self.upgrade(family, server)
        places += [self.order(str(number), Spool_Key="k") for number in range(3, 6)]
        server.gone()
        self.assertTrue(eventually(lambda: self.state(places[-1])["state"] == "done"))
        self.assertEqual(self.packed(server), [str(number) for number in range(6)])
        self.ends(family, pid)


def _shape(text: str) -> str:
    """
    A line without what is different each time.
    """
    return re.sub(r"[0-9a-f]{32}", "ID", text)
