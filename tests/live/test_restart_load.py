"""
A server that is replaced under load: its clients notice nothing.
"""

from __future__ import annotations

import contextlib
import signal
import ssl
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.restartclients import Load
from benchmarks.restartprocesses import Family, Tail, adoptingOrphans
from benchmarks.restartrelay import Relay
from tests.live.clients import Address
from tests.live.processes import (
    PATIENCE,
    LiveTestCase,
    Server,
    awaitCatching,
    eventually,
    freePort,
)

#: What the old process logs when its successor has taken over; the number is the successor's.
TOOK_OVER = r"upgrade: (\d+) serves now"
#: What the parent of workers logs when all of them have been replaced.
ROLLED = r"rolling restart: done"
#: What they log instead.
FAILED, NOT_ROLLED = r"upgrade failed", r"rolling restart failed"
#: What is logged of each worker when it serves.
READY = " is ready"

WORKERS = 2

#: How many clients each kind of load has; those of an invisible upgrade, their pause and half
#: a round trip, in seconds.
CLIENTS = 8
CROWD, THINK, HALF_TRIP = 100, 0.5, 0.01

#: Seconds of load before and after a restart.
BEFORE, AFTER = 0.5, 0.5


def trusting() -> ssl.SSLContext:
    """
    What a client needs that takes any certificate.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class RestartTestCase(LiveTestCase):
    """
    Starts servers whose successors nobody here has started, and ends these too.
    """

    def setUp(self) -> None:
        stack = contextlib.ExitStack()
        stack.enter_context(adoptingOrphans())
        self.addCleanup(stack.close)

    def serveBoth(self, *options: str, ports: Sequence[int] = ()) -> tuple[Server, list[int]]:
        """
        Serve numbers on a plain port and on one with TLS.

        @param ports: which these are; by default, free ones.
        @return: the server, and both ports.
        """
        plain, secure = ports = list(ports or (freePort(), freePort()))
        pem = self.certificate()
        doors = [
            f"{Address(port=plain).description}:backlog=512",
            f"{Address(port=secure, tls=True).description}:privateKey={pem}:certKey={pem}",
        ]
        words = [word for door in doors for word in ("--port", door)]
        content = ("--class", "benchmarks.resources.Root")
        server = self.start("terminable", *words, *content, *options)
        awaitCatching(server.process.pid, signal.SIGUSR2)
        return server, ports

    def followed(self, server: Server) -> tuple[Family, Tail]:
        """
        The processes that come of a server, and its log from now on.
        """
        family = Family(server.process.pid)
        self.addCleanup(family.end)
        log = Path(f"/proc/{server.process.pid}/fd/1").readlink()
        return family, Tail(log, family)

    def everyKind(self, ports: Sequence[int]) -> dict[str, Load]:
        """
        Put four loads on a server: keep-alive and a new connection each, plain and TLS.
        """
        loads = {}
        for port, tls in zip(ports, (None, trusting()), strict=True):
            for keepAlive in (True, False):
                name = f"{'keep-alive' if keepAlive else 'new'}, {'TLS' if tls else 'plain'}"
                loads[name] = load = Load(port, CLIENTS, keepAlive, tls)
                load.start()
                self.addCleanup(load.stop)
        self.answered(*loads.values())
        time.sleep(BEFORE)
        return loads

    def answered(self, *loads: Load) -> None:
        """
        Return when the last that each of them has seen is an answer.
        """
        last = lambda load: (load.samples or [(0.0, 0.0, "none")])[-1][2]  # noqa: E731
        if not eventually(lambda: not any(map(last, loads))):
            raise AssertionError([last(load) for load in loads])

    def settle(self, loads: dict[str, Load], began: float) -> None:
        """
        Stop the loads; each was answered before and after the restart, and nothing failed.
        """
        time.sleep(AFTER)
        over = time.monotonic()
        for name, load in loads.items():
            load.stop()
            self.assertEqual(load.failures(), {}, name)
            for window in ((0.0, began), (over - AFTER / 2, over)):
                self.assertTrue(load.latencies([window]), (name, window))


class UpgradeTests(RestartTestCase):
    """
    SIGUSR2 and SIGHUP.
    """

    def test_upgrade(self) -> None:
        """
        No request fails while a successor takes over; the old process exits with 0.
        """
        server, ports = self.serveBoth()
        family, tail = self.followed(server)
        loads = self.everyKind(ports)
        began = time.monotonic()
        family.send(server.process.pid, signal.SIGUSR2)
        successor = int(tail.awaitLine(TOOK_OVER, PATIENCE, FAILED)[1])
        server.gone()
        self.assertEqual(server.status, 0, server.log()[-4000:])
        self.settle(loads, began)
        self.assertEqual(family.living(), [successor])
        self.stop(family, successor)

    def test_rollingRestart(self) -> None:
        """
        No request fails while workers are replaced one by one.
        """
        server, ports = self.serveBoth("--workers", str(WORKERS))
        # One that does not serve yet cannot be replaced.
        self.assertTrue(eventually(lambda: server.log().count(READY) == WORKERS))
        family, tail = self.followed(server)
        loads = self.everyKind(ports)
        began = time.monotonic()
        family.send(server.process.pid, signal.SIGHUP)
        tail.awaitLine(ROLLED, PATIENCE, NOT_ROLLED)
        self.settle(loads, began)
        family.send(server.process.pid, signal.SIGTERM)
        server.gone()
        self.assertEqual(family.living(), [])

    def test_invisible(self) -> None:
        """
        Clients at some distance, who pause between their requests, keep their connections
        through an upgrade.
        """
        server, ports = self.serveBoth("--invisible")
        family, tail = self.followed(server)
        relay = Relay(ports[0], HALF_TRIP)
        relay.start()
        self.addCleanup(relay.stop)
        load = Load(relay.port, CROWD, think=THINK)
        load.start()
        self.addCleanup(load.stop)
        time.sleep(2 * THINK)
        began = time.monotonic()
        family.send(server.process.pid, signal.SIGUSR2)
        successor = int(tail.awaitLine(TOOK_OVER, PATIENCE, FAILED)[1])
        server.gone()
        time.sleep(THINK)
        self.settle({"invisible": load}, began)
        self.assertEqual((load.connections, load.told, load.endedIdle), (CROWD, 0, 0))
        self.stop(family, successor)

    def stop(self, family: Family, pid: int) -> None:
        """
        End the last successor.
        """
        family.send(pid, signal.SIGTERM)
        family.awaitEnd(pid, PATIENCE)
        self.assertEqual(family.living(), [])


class StopAndStartTests(RestartTestCase):
    """
    Without a successor, the same clients notice it: they can tell.
    """

    def test_refused(self) -> None:
        """
        Who connects between an end and the next start is refused.
        """
        server, ports = self.serveBoth()
        loads = self.everyKind(ports)
        server.terminate()
        server.gone()
        # Requests to connect that were ignored meanwhile are repeated after a second.
        time.sleep(1.2)
        self.serveBoth(ports=ports)
        self.answered(*loads.values())
        for name, load in loads.items():
            load.stop()
            self.assertGreater(load.failures().get("refused", 0), 0, name)

    def test_lost(self) -> None:
        """
        At some distance, a request may be on its way when its connection is ended for having
        been idle.
        """
        lost: list[dict[str, int]] = []
        # It depends on who is quicker.
        while not any(lost) and len(lost) < 9:
            lost.append(self.lostAtADistance())
        self.assertTrue(lost[-1], lost)

    def lostAtADistance(self) -> dict[str, int]:
        """
        What the clients see of one stop, but for being refused.
        """
        server, ports = self.serveBoth("--idle-grace", "0")
        relay = Relay(ports[0], HALF_TRIP)
        relay.start()
        self.addCleanup(relay.stop)
        load = Load(relay.port, CROWD, think=THINK / 10)
        load.start()
        self.addCleanup(load.stop)
        self.answered(load)
        time.sleep(BEFORE)
        server.terminate()
        server.gone()
        time.sleep(4 * HALF_TRIP)
        load.stop()
        return {why: count for why, count in load.failures().items() if why != "refused"}
