"""
A load of clients that never retry, and know what became of each request::

    python -m terminable.testing.load 127.0.0.1:8080 --seconds 5

They run in a process of their own, so that a reactor that is blocked, or a server that is
stopped, does not stop them.  Only the standard library is needed.

A request is lost if it was written in full to an established connection, and the connection
ended without a complete answer.  A connection that was ended between two requests is noticed
before the next one is written, as by every client; a request that could not be written in
full on a connection that had served before goes to a new one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, TextIO

from terminable.testing.asking import Crowd
from terminable.testing.tally import Lost, Settings, Tally, since

__all__ = ["Crowd", "Lost", "Settings", "Tally", "addressFrom", "main"]

#: How many of the requests that were lost are shown by hand.
SHOWN = 20


def addressFrom(text: str) -> dict[str, Any]:
    """
    Where a server is.

    @param text: C{host:port}, C{http://host:port}, C{https://host:port}, with or without a path
        behind it, or the path of a UNIX socket.
    @return: C{host} and C{port}, or C{path}; C{tls} and C{targets}, if the text says so; for
        L{Settings}.
    @raise ValueError: it is nothing of this.
    """
    if text.startswith(("/", "./")):
        return {"path": text}
    scheme, _, rest = text.rpartition("://")
    if scheme not in ("", "http", "https"):
        raise ValueError(f"an address of the kind {scheme!r}")
    place, slash, target = rest.partition("/")
    host, colon, port = place.rpartition(":")
    if not colon or "]" in port:
        host, port = place, {"http": "80", "https": "443"}.get(scheme, "")
    if not host or not port.isascii() or not port.isdigit():
        raise ValueError(f"no port in {text!r}")
    found: dict[str, Any] = {"host": host.strip("[]"), "port": int(port)}
    if scheme == "https":
        found["tls"] = True
    if slash:
        found["targets"] = (slash + target,)
    return found


def obey(orders: Iterable[str], out: TextIO) -> None:
    """
    Do what a program says, a line each: L{Settings} as JSON; then C{again} and at last C{stop}.
    The answer to each is a line: the L{Tally} so far, as JSON.
    """
    lines = iter(orders)
    crowd = Crowd(Settings(**json.loads(next(lines))))
    crowd.start()
    tell = (json.dumps(asdict(tally)) for tally in _course(crowd, lines))
    for line in tell:
        out.write(f"{line}\n")
        out.flush()


def _course(crowd: Crowd, lines: Iterable[str]) -> Iterable[Tally]:
    yield crowd.tally()
    for line in lines:
        if line.strip() != "again":
            break
        crowd.again()
        yield crowd.tally()
    # Nothing more to be read: whoever wanted the load has gone.
    crowd.stop()
    yield crowd.tally()


def byHand(options: Any, out: TextIO) -> int:
    """
    Put a load on a server for some seconds, or until ^C, and say what became of it.

    @return: the exit status: 1 if something was lost, or nothing answered; 2 if the address
        cannot be meant.
    """
    try:
        found = addressFrom(options.address)
    except ValueError as problem:
        out.write(f"load: {problem}\n")
        return 2
    names = ("method", "status", "keepAlive", "pausing", "fresh", "pause", "timeout")
    chosen = {name: getattr(options, name) for name in names}
    if options.tls:
        found["tls"] = True
    if options.target:
        found["targets"] = tuple(options.target)
    crowd = Crowd(Settings(**{**chosen, **found}))
    began = time.monotonic()
    with contextlib.suppress(KeyboardInterrupt):
        crowd.start()
        threading.Event().wait(options.seconds)
    crowd.stop()
    return _show(crowd.tally(), began, out)


def _show(tally: Tally, began: float, out: TextIO) -> int:
    out.write(f"{tally}\n")
    for lost in since(began, [*tally.lost, *tally.refused][:SHOWN]):
        out.write(f"{lost}\n")
    return int(tally.lostCount > 0 or not tally.total)


def parser() -> argparse.ArgumentParser:
    """
    @return: what reads the command line.
    """
    made = argparse.ArgumentParser(
        "python -m terminable.testing.load", description="clients that never retry"
    )
    made.add_argument("address", help="host:port, a URL, or the path of a UNIX socket")
    made.add_argument("--tls", action="store_true")
    made.add_argument("--method", default="GET")
    made.add_argument("--target", action="append", help="what to ask for; may be repeated")
    made.add_argument("--status", type=int, help="what answers must have; default: not 5xx")
    counts = {"keepAlive": "--keep-alive", "pausing": "--pausing", "fresh": "--fresh"}
    for name, option in counts.items():
        made.add_argument(option, dest=name, type=int, default=4, help="how many clients")
    made.add_argument("--pause", type=float, default=Settings.pause, help="seconds")
    made.add_argument("--timeout", type=float, default=Settings.timeout, help="seconds")
    made.add_argument("--seconds", type=float, help="for how long; default: until ^C")
    return made


def main(arguments: list[str] | None = None) -> int:
    """
    Do what the command line says.

    @param arguments: those of the process by default; C{--orders} alone has it L{obey} what it
        reads.
    @return: the exit status.
    """
    given = sys.argv[1:] if arguments is None else arguments
    if given == ["--orders"]:
        try:
            obey(sys.stdin, sys.stdout)
        except (BrokenPipeError, KeyboardInterrupt):
            # Nobody wants to know any more, not even what is written at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    return byHand(parser().parse_args(given), sys.stdout)


if __name__ == "__main__":
    raise SystemExit(main())
