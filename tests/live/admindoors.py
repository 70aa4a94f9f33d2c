"""
Asking at admin doors of real servers.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from tests.live.clients import Address, Answer, Peer
from tests.live.processes import PATIENCE, LiveTestCase, Server


def ask(door: Address, path: str, method: str = "GET", body: Any = None, **headers: str) -> Answer:
    """
    One question on a connection of its own.
    """
    peer = door.reach()
    if door.tls:
        peer = peer.secure()
    try:
        lines = "".join(f"{name.replace('_', '-')}: {it}\r\n" for name, it in headers.items())
        data = b"" if body is None else json.dumps(body).encode()
        if data:
            lines += "Content-Type: application/json\r\n"
        peer.ask(path, method, lines + "Connection: close\r\n", data)
        return peer.answer()
    finally:
        peer.close()


def status(door: Address) -> Any:
    return json.loads(ask(door, "/status").body)


class Watcher:
    """
    Reads events until there are no more.
    """

    def __init__(self, door: Address) -> None:
        self.events: list[tuple[str, Any]] = []
        self._peer = door.reach()
        self._peer.ask("/events")
        self._peer.until(b"\r\n\r\n")
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        text = b""
        while size := int(self._peer.until(b"\r\n"), 16):
            text += self._peer.exactly(size)
            self._peer.exactly(2)
            *blocks, text = text.split(b"\n\n")
            for block in blocks:
                fields = dict(line.split(": ", 1) for line in block.decode().splitlines())
                if "event" in fields:
                    self.events.append((fields["event"], json.loads(fields["data"])))

    def join(self) -> list[tuple[str, Any]]:
        self._thread.join(PATIENCE)
        self._peer.close()
        return self.events


class DoorTestCase(LiveTestCase):
    """
    Starts servers with a door.
    """

    def door(self) -> Address:
        return Address(path=str(self.directory() / "admin.sock"))

    def served(self, door: Address, *arguments: str) -> tuple[Server, Address]:
        return self.serve("--admin", door.description, *arguments)

    def get(self, site: Address, target: str) -> Peer:
        """
        Ask the server, and do not wait for the answer.
        """
        peer = site.reach()
        peer.ask(target)
        self.addCleanup(peer.close)
        return peer
