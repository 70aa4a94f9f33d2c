"""
What becomes of connections that wait to be accepted when the stop begins.

While an application blocks the reactor, 30 clients connect (and over plain TCP
write their request; over TLS they have to wait for the server's hello); then
SIGTERM arrives, all within the block.  How many are answered?

    python benchmarks/acceptqueue.py --stops 5
"""

from __future__ import annotations

import ssl
import sys
import threading
from typing import Any

from benchmarks.clients import Answer, Client, Incomplete, get
from benchmarks.common import Listen, Server, Workspace, acceptQueueLength
from benchmarks.figures import Figure, arguments, exitStatus, show, spread


class Waiter(threading.Thread):
    """
    A client whose connection waits in the accept queue.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        super().__init__(daemon=True)
        self.client = Client(port, tls, handshake=False)
        self.isTls = tls is not None
        self.outcome = "timeout"
        if not self.isTls:
            self.client.send(get())

    def run(self) -> None:
        try:
            if self.isTls:
                self.client.shakeHands()
                self.client.send(get())
            self.outcome = _words(self.client.answer())
        except (Incomplete, OSError) as reason:
            self.outcome = f"lost: {type(reason).__name__} {reason}"
        finally:
            self.client.close()


def _words(answer: Answer) -> str:
    return f"{answer.status}{', close' if answer.saysClose else ''}"


def stopOnce(options: Any, tls: bool, workspace: Workspace) -> dict[str, Any]:
    """
    Block the server, fill its accept queue, stop it.
    """
    listen = Listen(tls=tls, backlog=128)
    context = workspace.tlsContext() if tls else None
    with Server(options.server, workspace, [listen], grace=options.grace) as server:
        blocker = Client(listen.port, context)
        blocker.send(get(f"/block?seconds={options.block}"))
        server.waitForLog("blocking the reactor")
        waiters = [Waiter(listen.port, context) for _ in range(options.clients)]
        queued = acceptQueueLength(listen.port)
        for waiter in waiters:
            waiter.start()
        server.terminate()
        for waiter in waiters:
            waiter.join(options.grace + 10.0)
        try:
            blocked = _words(blocker.answer())
        except Incomplete as reason:
            blocked = f"lost: {reason}"
        stop = server.wait(options.grace + 10.0)
    outcomes = [waiter.outcome for waiter in waiters]
    return {
        "queued": queued,
        "answered": sum(outcome.startswith("200") for outcome in outcomes),
        "outcomes": {text: outcomes.count(text) for text in sorted(set(outcomes))},
        "blocker": blocked,
        "exitSeconds": round(stop.seconds, 3),
        "status": stop.status,
    }


def measure(options: Any) -> dict[str, Any]:
    """
    C{options.stops} stops, over HTTP and over HTTPS.
    """
    workspace = Workspace()
    return {
        "server": options.server,
        "clients": options.clients,
        "HTTP": [stopOnce(options, False, workspace) for _ in range(options.stops)],
        "HTTPS": [stopOnce(options, True, workspace) for _ in range(options.stops)],
    }


def figures(result: dict[str, Any]) -> list[Figure]:
    """
    A line for each of HTTP and HTTPS.
    """
    lines = []
    wanted = result["clients"]
    for name in ("HTTP", "HTTPS"):
        stops = result[name]
        answered = [stop["answered"] for stop in stops]
        # Unless all of them waited in the queue, nothing was shown.
        queued = [wanted if stop["queued"] is None else stop["queued"] for stop in stops]
        lines.append(
            Figure(
                f"accept queue, {name}: answered",
                f"{spread(answered)} of {spread(queued)} waiting, {len(stops)} stops",
                str(wanted),
                min(answered) == wanted and min(queued) == wanted,
            )
        )
    return lines


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--stops", type=int, default=5)
    parser.add_argument("--clients", type=int, default=30)
    parser.add_argument("--block", type=float, default=0.5, help="seconds")
    parser.add_argument("--grace", type=float, default=10.0)
    options = parser.parse_args()
    result = measure(options)
    lines = figures(result)
    show(result, lines, options.json)
    return exitStatus(lines)


if __name__ == "__main__":
    sys.exit(main())
