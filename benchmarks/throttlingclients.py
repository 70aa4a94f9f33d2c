"""
Clients that want more than they get, and measure what that is; they use neither Twisted nor
this package.
"""

from __future__ import annotations

import base64
import hashlib
import os
import selectors
import socket
import ssl
import struct
import time
from dataclasses import dataclass, field

HOST = "127.0.0.1"
_UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n"
)
_MASK = b"\0\0\0\0"

#: How much the kernel is to take at once, in bytes.
BUFFER = 2**15


def frame(words: bytes) -> bytes:
    """
    A binary message of a WebSocket, masked with zeros, which is allowed and cheap.
    """
    size = len(words)
    if size < 126:
        return struct.pack("!BB", 0x82, 0x80 | size) + _MASK + words
    if size < 65536:
        return struct.pack("!BBH", 0x82, 0x80 | 126, size) + _MASK + words
    return struct.pack("!BBQ", 0x82, 0x80 | 127, size) + _MASK + words


def line(words: bytes) -> bytes:
    """
    A line.
    """
    return words + b"\r\n"


@dataclass
class Client:
    """
    One connection.

    @ivar kind: C{lines}, C{websocket} or C{autobahn}, perhaps with C{+tls}.
    @ivar received: how many bytes have come since it was connected.
    @ivar last: when the last of them came, on the monotonic clock.
    """

    kind: str
    port: int
    received: int = 0
    last: float = 0.0
    _out: bytes = b""
    _place: int = 0

    def __post_init__(self) -> None:
        plain = socket.socket()
        plain.settimeout(10)
        # Little in the kernels' buffers: very many clients are one process.
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        plain.connect((HOST, self.port))
        self.socket: socket.socket = plain
        if self.kind.endswith("+tls"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.socket = context.wrap_socket(plain, server_hostname=HOST)
        self.pack = line if self.kind.startswith("lines") else frame
        #: How long an answer of one byte is.
        self.answer = 3
        if self.pack is frame:
            self._upgrade()

    def _upgrade(self) -> None:
        key = base64.b64encode(os.urandom(16))
        self.socket.sendall(_UPGRADE % (b"%s:%d" % (HOST.encode(), self.port), key))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.socket.recv(1)
        assert head.startswith(b"HTTP/1.1 101"), head

    def flood(self, words: bytes) -> None:
        """
        From now on, write as much of this message as is taken.
        """
        self._out = self.pack(words) * (1 + BUFFER // len(words))
        self._place = 0

    def write(self) -> bool:
        """
        Write some of what is taken: others are to read meanwhile.

        @return: whether anything was.
        """
        try:
            self._place += self.socket.send(self._out[self._place :])
        except BlockingIOError:
            return False
        self._place %= len(self._out)
        return True

    def read(self) -> int:
        """
        Read what is there.

        @return: how much that was.
        """
        try:
            size = len(self.socket.recv(2**18))
        except BlockingIOError:
            return 0
        if not size:
            raise ConnectionError("the server has ended the connection")
        self.received += size
        self.last = time.monotonic()
        return size

    def message(self) -> bytes:
        """
        Wait for a message of less than 126 bytes.
        """
        if self.pack is line:
            data = b""
            while not data.endswith(b"\r\n"):
                data += self.socket.recv(1)
            return data[:-2]
        head = self._exactly(2)
        return self._exactly(head[1])

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += self.socket.recv(size - len(data))
        return data


@dataclass
class Rate:
    """
    What some clients have got in a window of time.

    @ivar total: units a second, of all together.
    @ivar least: those of the one that had least.
    @ivar most: those of the one that had most.
    """

    total: float
    least: float = field(default=0.0)
    most: float = field(default=0.0)


def _turn(selector: selectors.BaseSelector, until: float) -> None:
    while (left := until - time.monotonic()) > 0:
        for key, events in selector.select(left):
            if events & selectors.EVENT_READ:
                key.data.read()
            if events & selectors.EVENT_WRITE:
                key.data.write()


def measure(groups: list[list[Client]], before: float, seconds: float) -> list[Rate]:
    """
    Have clients write and read as much as they can, all at the same time.

    @param groups: those that belong together.
    @param before: how long to do so before it counts: until all bursts are spent.
    @param seconds: how long it counts.
    @return: bytes that each group was sent a second.
    """
    selector = selectors.DefaultSelector()
    for client in (client for group in groups for client in group):
        client.socket.setblocking(False)
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if client._out else 0)
        selector.register(client.socket, events, client)
    _turn(selector, time.monotonic() + before)
    # From what came to what came: a clock that starts between two messages is off by one.
    first = {id(client): (client.received, client.last) for group in groups for client in group}
    _turn(selector, time.monotonic() + seconds)
    rates = []
    for group in groups:
        each = []
        for client in group:
            received, since = first[id(client)]
            each.append((client.received - received) / ((client.last - since) or seconds))
        rates.append(Rate(sum(each), min(each), max(each)))
    selector.close()
    return rates


@dataclass
class Upload:
    """
    What became of much that was sent at once.

    @ivar seconds: how long it took.
    @ivar whole: whether all has arrived.
    """

    seconds: float
    whole: bool


def upload(kind: str, port: int, size: int, piece: int) -> Upload:
    """
    Send so many random bytes, in messages of a size, as fast as they are taken, and have
    the server say what it has got.
    """
    client = Client(kind, port)
    summed = hashlib.sha256()
    block = base64.b64encode(os.urandom(piece))[:piece]
    began = time.monotonic()
    sent = 0
    # Who answers is read, by somebody else: answers that pile up are another subject.
    import threading

    answered = threading.Event()
    last: list[bytes] = []

    def listen() -> None:
        while not answered.is_set():
            said = client.message()
            if said != b"+":
                last.append(said)
                answered.set()

    listening = threading.Thread(target=listen, daemon=True)
    listening.start()
    while sent < size:
        words = b"%020d" % sent + block[20:]
        client.socket.sendall(client.pack(words))
        summed.update(words)
        sent += len(words)
    client.socket.sendall(client.pack(b"sum"))
    answered.wait(120)
    took = time.monotonic() - began
    client.socket.close()
    wanted = b"%d %s" % (sent, summed.hexdigest().encode())
    return Upload(took, last == [wanted])
