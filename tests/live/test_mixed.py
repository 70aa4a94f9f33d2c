"""
One process that speaks five protocols to clients that never pause, and is told to stop:
nothing is lost.
"""

from __future__ import annotations

import json
import time
from typing import Any

from tests.live.clients import Address
from tests.live.mixedclients import (
    Client,
    LineClient,
    MailClient,
    SocketClient,
    StreamClient,
    WebClient,
)
from tests.live.mixedservers import PORTS
from tests.live.processes import (
    PATIENCE,
    ROOT,
    SLACK,
    LiveTestCase,
    Server,
    eventually,
    freePort,
)

#: How often it is all done.
ROUNDS = 5

#: How long the clients hammer before the stop, in seconds.
BEFORE = 0.6

#: What a stop may take at most: nobody should come near the deadline.
SETTINGS = {"idleGrace": 0.5, "gracePeriod": 10.0}

#: How long it all takes at most, in seconds.
ENOUGH = 3.0


class MixedTestCase(LiveTestCase):
    """
    Starts the process.
    """

    def mixed(self, **settings: Any) -> Server:
        """
        Start it.
        """
        self.addresses = {name: Address(port=freePort(), tls=name == "secure") for name in PORTS}
        env = {
            "MIXED_PORTS": " ".join(str(self.addresses[name].port) for name in PORTS),
            "CERTIFICATE": str(self.certificate()),
            "SETTINGS": json.dumps(settings),
        }
        return self.start("--python", str(ROOT / "tests/live/mixedservers.py"), env=env)

    def told(self, server: Server, what: str) -> list[dict[str, Any]]:
        """
        What the process has told of something.
        """
        parts = (line.partition(f"#info] {what} {{") for line in server.log().splitlines())
        return [json.loads("{" + rest) for _, found, rest in parts if found]

    def account(self, server: Server, opened: int) -> dict[str, Any]:
        """
        What the only stop came to; everybody is in there once.
        """
        [account] = self.told(server, "account")
        outcomes = ("before", "idle", "finished", "left", "aborted")
        self.assertEqual(sum(account[outcome] for outcome in outcomes), account["opened"])
        self.assertEqual(account["opened"], opened, account)
        self.assertEqual(len(account["stragglers"]), account["aborted"], account)
        return account


class MixedTests(MixedTestCase):
    """
    All of them at once.
    """

    def crowd(self) -> list[Client]:
        """
        Everybody.
        """
        at = self.addresses
        return [
            *(WebClient(at["web"]) for _ in range(3)),
            *(StreamClient(at["secure"], stubborn) for stubborn in (True, False)),
            *(SocketClient(at["sockets"]) for _ in range(3)),
            *(MailClient(at["mail"], name) for name in ("one", "two", "later")),
            *(LineClient(at["lines"]) for _ in range(2)),
        ]

    def test_nothingIsLost(self) -> None:
        """
        Told to stop while everybody is busy, the process ends once, soon, and without a
        failure; and all that was asked for, or sent, before they were told is answered.
        """
        refused = 0
        for _ in range(ROUNDS):
            server = self.mixed(**SETTINGS)
            clients = self.crowd()
            for client in clients:
                client.start()
            eventually(lambda all_=clients: all(client.opened for client in all_))
            time.sleep(BEFORE)
            server.terminate()
            for client in clients:
                client.join(PATIENCE)
            self.assertLess(server.gone(), ENOUGH + SLACK, server.log())
            self.check(server, clients)
            refused += sum(client.refused for client in clients if isinstance(client, MailClient))
        self.assertGreater(refused, 0)

    def check(self, server: Server, clients: list[Client]) -> None:
        """
        What everybody has seen, and what the server has told, are the same.
        """
        log = server.log()
        for client in clients:
            self.assertIsNone(client.failure, f"{client!r} {client.failure!r}\n{log}")
            self.assertFalse(client.is_alive(), client)
            self.assertGreater(client.done, 0, client)
        self.assertNotIn("Traceback", log)
        self.assertEqual(log.count("terminated: "), 1, log)
        account = self.account(server, sum(client.opened for client in clients))
        self.assertEqual((account["left"], account["aborted"]), (0, 0), server.report())
        sockets = {one["name"]: one for one in self.told(server, "socket")}
        for client in clients:
            if isinstance(client, SocketClient):
                for name, (sent, echoed) in client.sockets.items():
                    self.assertEqual(
                        sockets.pop(name), {"name": name, "before": echoed, "heard": sent}
                    )
            elif isinstance(client, MailClient):
                for recipient in client.taken:
                    self.assertEqual(log.count(f"delivered to {recipient}"), 1, recipient)
                self.assertEqual(log.count(f"delivered to {client.called}"), len(client.taken))
        self.assertEqual(sockets, {})
