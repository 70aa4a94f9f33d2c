"""
How many requests a stop loses.

50 clients that never retry load a server; it gets SIGTERM; every request that
was written in full to an established connection and got no complete answer is
lost.  A refused connection is not, nor is one that broke before the request
could be written: those are counted as "unsent".

    python benchmarks/lost.py --stops 20 --expect-zero
    python benchmarks/lost.py --server plain        # the clients can fail
"""

from __future__ import annotations

import random
import ssl
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from clients import Client, Incomplete, get
from common import Listen, Server, Stop, Workspace
from figures import Figure, arguments, show, spread


@dataclass(frozen=True)
class Scenario:
    """
    How the clients behave.
    """

    name: str
    keepAlive: bool
    pause: float
    tls: bool


SCENARIOS = [
    Scenario(name + (", TLS" if tls else ""), keepAlive, pause, tls)
    for tls in (False, True)
    for name, keepAlive, pause in (
        ("keep-alive, no pause", True, 0.0),
        ("keep-alive, 5 ms pause", True, 0.005),
        ("new connection each", False, 0.0),
    )
]


@dataclass
class Tally:
    """
    What became of one client's requests.
    """

    answered: int = 0
    lost: int = 0
    unsent: int = 0
    reasons: list[str] = field(default_factory=list)


class Loader(threading.Thread):
    """
    One client: it sends, waits for the answer, and goes on until its connection
    is refused.
    """

    def __init__(
        self, port: int, scenario: Scenario, tls: ssl.SSLContext | None, until: float
    ) -> None:
        super().__init__(daemon=True)
        self.port, self.scenario, self.tls = port, scenario, tls
        self.until = until
        self.tally = Tally()
        self.request = get("/", *([] if scenario.keepAlive else ["Connection: close"]))

    def run(self) -> None:
        while time.monotonic() < self.until:
            try:
                client = Client(self.port, self.tls)
            except ConnectionRefusedError:
                return
            except OSError:
                self.tally.unsent += 1
                continue
            try:
                while self._exchange(client):
                    time.sleep(self.scenario.pause)
            finally:
                client.close()

    def _exchange(self, client: Client) -> bool:
        """
        One request; return whether the connection may be used for another.
        """
        try:
            client.send(self.request)
        except OSError:
            self.tally.unsent += 1
            return False
        try:
            answer = client.answer()
        except Incomplete as reason:
            self.tally.lost += 1
            self.tally.reasons.append(str(reason))
            return False
        self.tally.answered += 1
        return self.scenario.keepAlive and not answer.saysClose


@dataclass
class Outcome:
    """
    What one stop cost.
    """

    lost: int
    unsent: int
    answered: int
    stop: Stop


def stopOnce(options: Any, scenario: Scenario, workspace: Workspace) -> Outcome:
    """
    Start a server, load it, stop it, count.
    """
    listen = Listen(tls=scenario.tls)
    tls = workspace.tlsContext() if scenario.tls else None
    with Server(
        options.server,
        workspace,
        [listen],
        grace=options.grace,
        idleGrace=options.idle_grace,
    ) as server:
        until = time.monotonic() + options.grace + 20.0
        loaders = [Loader(listen.port, scenario, tls, until) for _ in range(options.clients)]
        for loader in loaders:
            loader.start()
        time.sleep(random.uniform(0.5, 1.0))
        server.terminate()
        stop = server.wait(options.grace + 15.0)
        for loader in loaders:
            loader.join(15.0)
    tallies = [loader.tally for loader in loaders]
    return Outcome(
        sum(tally.lost for tally in tallies),
        sum(tally.unsent for tally in tallies),
        sum(tally.answered for tally in tallies),
        stop,
    )


def measure(options: Any) -> dict[str, Any]:
    """
    All scenarios, C{options.stops} stops each.
    """
    result: dict[str, Any] = {"server": options.server, "clients": options.clients}
    workspace = Workspace()
    for scenario in SCENARIOS:
        if options.only and options.only not in scenario.name:
            continue
        outcomes = [stopOnce(options, scenario, workspace) for _ in range(options.stops)]
        result[scenario.name] = {
            "lost": [outcome.lost for outcome in outcomes],
            "unsent": [outcome.unsent for outcome in outcomes],
            "answered": [outcome.answered for outcome in outcomes],
            "exitSeconds": [round(outcome.stop.seconds, 3) for outcome in outcomes],
            "statuses": sorted({outcome.stop.status for outcome in outcomes}),
        }
        if options.verbose:
            print(scenario.name, result[scenario.name], file=sys.stderr)
    return result


def lostInAll(result: dict[str, Any]) -> int:
    """
    How many were lost in all stops of all scenarios.
    """
    return sum(sum(seen["lost"]) for seen in result.values() if isinstance(seen, dict))


def figures(result: dict[str, Any]) -> list[Figure]:
    """
    A line for each scenario.  Of plain Twisted nothing is expected but that it
    loses something: else the clients prove nothing.
    """
    lines = []
    total = lostInAll(result)
    for name, seen in result.items():
        if not isinstance(seen, dict):
            continue
        text = (
            f"{spread(seen['lost'])} of {len(seen['lost'])} stops; "
            f"{sum(seen['answered'])} answered, {sum(seen['unsent'])} unsent, "
            f"exit after {spread(seen['exitSeconds'], 2)} s"
        )
        if result["server"] == "plain":
            lines.append(Figure(f"lost, plain Twisted: {name}", text))
        else:
            lines.append(Figure(f"lost: {name}", text, "0", not any(seen["lost"])))
    if result["server"] == "plain":
        lines.append(Figure("lost, plain Twisted: all", str(total), "> 0", total > 0))
    return lines


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--stops", type=int, default=20)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--grace", type=float, default=10.0)
    parser.add_argument("--idle-grace", type=float)
    parser.add_argument("--only", help="scenarios whose name contains this")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--expect-zero", action="store_true", help="1 if any is lost")
    options = parser.parse_args()
    result = measure(options)
    lines = figures(result)
    show(result, lines, options.json)
    return int(options.expect_zero and lostInAll(result) > 0)


if __name__ == "__main__":
    sys.exit(main())
