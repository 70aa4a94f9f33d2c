"""
What the server has answered, for people.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from terminable.ctl.columns import Column, Paper
from terminable.ctl.words import (
    Told,
    briefly,
    connections,
    counted,
    deed,
    joined,
    named,
    plain,
    reportLines,
    seconds,
    size,
)

#: From how many columns on a terminal is wide.
_WIDE = 110

#: The columns of a list of connections.
CONNECTIONS = (
    Column("ID", right=True),
    Column("PEER", whole=False),
    Column("STATE"),
    Column("AGE", right=True),
    Column("SILENT", right=True),
    Column("RECEIVED", right=True, wanted=_WIDE),
    Column("SENT", right=True, wanted=_WIDE),
    Column("UNSENT", right=True),
    Column("DOING", whole=False),
)


def showStatus(paper: Paper, status: Told) -> None:
    """
    Print how a server stands.
    """
    paper.pairs(statusRows(status))
    if status.get("report"):
        for line in reportLines(status["report"]):
            paper.line(line)


def statusRows(
    status: Told, local: Callable[[float], time.struct_time] = time.localtime
) -> list[tuple[str, str]]:
    """
    @param local: tells the local time of a point in time.
    @return: names and values.
    """
    return list(_statusRows(status, local))


def _statusRows(status: Told, local: Callable[[float], Any]) -> Iterator[tuple[str, str]]:
    yield "server", f"{plain(status.get('name', '-'))}, process {plain(status.get('pid', '-'))}"
    yield "version", plain(status.get("version", "-"))
    phase = plain(status.get("phase", "-"))
    since = status.get("since")
    if isinstance(since, (int, float)):
        phase += time.strftime(" since %Y-%m-%d %H:%M:%S", local(since))
    yield "phase", phase
    yield "up for", seconds(status.get("uptime"))
    counts = [connections(status), counted(status, "waiting")]
    yield "connections", ", ".join(filter(None, counts)) or "-"
    if status.get("left") is not None:
        yield "left", seconds(status["left"])
    if status.get("oldest"):
        yield "oldest", named(status["oldest"])
    for generation in status.get("generations") or ():
        told = f"{plain(generation.get('phase', '-'))}: {counted(generation, 'busy', 'idle')}"
        yield "released", told
    yield from _workerRows(status)
    throttle = status.get("throttle") or {}
    if any(throttle.values()):
        yield "limits", counted(throttle, "held", "refused", "disconnected")
    yield "ports", joined(status.get("ports") or ())
    turn = status.get("longestTurn")
    if isinstance(turn, (int, float)):
        yield "longest turn", f"{turn * 1000:.1f} ms"
    if status.get("upgrade"):
        yield "upgrade", plain(status["upgrade"])


def _workerRows(status: Told) -> Iterator[tuple[str, str]]:
    """
    Who is there, where one door answers for several processes.
    """
    missing = status.get("missing") or ()
    for worker in status.get("workers") or ():
        told = counted(worker, "busy", "idle", "waiting")
        silent = "no answer" if worker.get("pid") in missing else ""
        state = f"{plain(worker.get('pid', '-'))} {plain(worker.get('state', '-'))}"
        yield "worker", ", ".join(filter(None, [state, told, silent]))
    if status.get("restarts"):
        yield "crashed", f"{plain(status['restarts'])}, and replaced"
    if status.get("restart"):
        yield "restart", plain(status["restart"])


def showConnections(paper: Paper, answer: Told) -> None:
    """
    Print a list of connections, and how many there are.
    """
    shown: list[Told] = answer.get("connections") or []
    if shown:
        paper.table(CONNECTIONS, [row for each in shown for row in connectionRows(each)])
    line = f"{len(shown)} of {answer.get('total', len(shown))} shown; all: "
    line += counted(answer, "busy", "idle")
    if answer.get("waiting"):
        line += f", {plain(answer['waiting'])} waiting"
    if answer.get("pid") is not None:
        line += f"; process {plain(answer['pid'])}"
    paper.line(line)


def connectionRows(connection: Told) -> Iterator[tuple[str, ...]]:
    """
    A row for a connection, and one for each of its HTTP/2 streams.
    """
    silent = [
        value
        for name in ("lastReceived", "lastSent")
        if isinstance(value := connection.get(name), (int, float))
    ]
    yield (
        plain(connection.get("id", "-")),
        plain(connection.get("peer", "-")),
        plain(connection.get("state", "-")),
        briefly(connection.get("age")),
        briefly(min(silent, default=None)),
        size(connection.get("received")),
        size(connection.get("sent")),
        size(connection.get("unsent")),
        deed(connection) if connection.get("doing") else plain(connection.get("protocol", "-")),
    )
    for stream in connection.get("streams") or ():
        told = f"{plain(stream.get('id', '-'))}: {plain(stream.get('doing', '-'))}"
        yield ("", "", "", "", "", "", "", "stream", told)
