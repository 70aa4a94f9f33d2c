"""
Those whose connections are passed to another process, and who must not notice.
"""

from __future__ import annotations

import contextlib
import re
import socket

from tests.attacks.guests import Guest
from tests.passages import get


class Client(Guest):
    """
    Somebody who asks, and keeps what was answered.

    @ivar excused: whether the connection may be over.
    """

    def __init__(self, address: str, web: bool) -> None:
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(address)
        super().__init__(sock)
        self.excused = False
        self.over = False
        self._web = web
        self._asked = 0
        self._heard = b""
        self._rest = b""

    def ask(self, how: str) -> None:
        """
        Send a request, the first byte of one, or the rest of it.
        """
        if self.gone:
            return
        data = self._rest
        if not data or how == "two":
            self._asked += 1
            path = "/later" if how == "later" else f"/{self._asked}"
            data += get(path) if self._web else b"%d\n" % self._asked
        cut = 1 if how == "half" and not self._rest else len(data)
        self._rest = data[cut:]
        self.send(data[:cut])

    def hear(self) -> None:
        """
        Keep what has come.
        """
        with contextlib.suppress(BlockingIOError):
            while not self.gone and not self.over:
                try:
                    data = self.socket.recv(65536)
                except ConnectionError:
                    data = b""
                self._heard += data
                self.over = not data

    def faults(self, complete: bool = False) -> list[str]:
        """
        What is wrong with what was heard.

        @param complete: whether everything must have been answered.
        """
        asked = self._asked - bool(self._rest)
        answers = _pages(self._heard) if self._web else _lines(self._heard)
        if answers is None or len(answers) > asked:
            return [f"asked {asked}, and heard {self._heard!r}"]
        if self.excused or self.gone:
            return []
        if self.over:
            return [f"asked {asked}, and lost after {self._heard!r}"]
        if complete and len(answers) < asked:
            return [f"asked {asked}, and heard only {self._heard!r}"]
        return []


def _pages(heard: bytes) -> list[bytes] | None:
    """
    The answers of a web site, if they are in order.
    """
    found = re.findall(rb"\r\n(?:here|there) (/\d+|late)", heard)
    good = all(each in (b"late", b"/%d" % number) for number, each in enumerate(found, 1))
    return found if good else None


def _lines(heard: bytes) -> list[bytes] | None:
    """
    Answered lines, if each is there once.
    """
    hello, *lines = heard.replace(b"back\n", b"").split(b"\n")
    whole = [re.sub(rb"^t?here", b"", line) for line in lines[:-1]]
    good = all(each == b"%d %d" % (number, number) for number, each in enumerate(whole, 1))
    return whole if good and hello in (b"hello", b"") else None
