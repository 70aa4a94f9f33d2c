"""
A successor that is none: it speaks AMP by hand, and does something wrong.

    python fakesuccessor.py FAULT
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable

#: More than any test waits.
LONG = 60.0


def box(**pairs: bytes) -> bytes:
    """
    What AMP puts on the wire.
    """
    words = [word for name, value in pairs.items() for word in (name.encode(), value)]
    return b"".join(len(word).to_bytes(2, "big") + word for word in words) + b"\0\0"


def ready(version: int = 1, listening: bytes = b"terminable") -> bytes:
    """
    The command that says so.
    """
    names = len(listening).to_bytes(2, "big") + listening if listening else b""
    return box(
        _ask=b"1",
        _command=b"Ready",
        version=b"%d" % version,
        pid=b"%d" % os.getpid(),
        listening=names,
    )


def heard(channel: socket.socket, word: bytes) -> bool:
    """
    Wait until a word has come, or the end.

    @return: whether it has.
    """
    got = b""
    while word not in got and (data := channel.recv(4096)):
        got += data
    return word in got


def garbage(channel: socket.socket) -> None:
    """
    Say nonsense.
    """
    channel.sendall(os.urandom(1 << 16))
    time.sleep(LONG)


def noise(channel: socket.socket) -> None:
    """
    Say what looks like AMP, without meaning.
    """
    channel.sendall(box(_ask=b"1", _command=b"Ready", version=b"x") + box(odd=b"1"))
    time.sleep(LONG)


def hang(channel: socket.socket) -> None:
    """
    Say nothing, whatever is asked.
    """
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(LONG)


def version(channel: socket.socket) -> None:
    """
    Speak another version.
    """
    channel.sendall(ready(version=77))
    time.sleep(LONG)


def deaf(channel: socket.socket) -> None:
    """
    Listen on nothing.
    """
    channel.sendall(ready(listening=b""))
    time.sleep(LONG)


def hangup(channel: socket.socket) -> None:
    """
    End the channel, and go on.
    """
    channel.shutdown(socket.SHUT_RDWR)
    channel.close()
    time.sleep(LONG)


def die(channel: socket.socket) -> None:
    """
    End by force before anything was said.
    """
    os.kill(os.getpid(), signal.SIGKILL)


def dieReady(channel: socket.socket) -> None:
    """
    Be ready, and end by force.
    """
    channel.sendall(ready())
    os.kill(os.getpid(), signal.SIGKILL)


def dieAsked(channel: socket.socket) -> None:
    """
    End by force when told to serve.
    """
    channel.sendall(ready())
    heard(channel, b"Serve")
    os.kill(os.getpid(), signal.SIGKILL)


def twice(channel: socket.socket) -> None:
    """
    Be ready, say so again when told to serve, and end.
    """
    channel.sendall(ready())
    heard(channel, b"Serve")
    channel.sendall(ready().replace(b"_ask\0\x011", b"_ask\0\x012"))
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(channel: socket.socket) -> None:
    """
    Be ready, and answer with an error when told to serve.
    """
    channel.sendall(ready())
    heard(channel, b"Serve")
    channel.sendall(box(_error=b"1", _error_code=b"UNKNOWN", _error_description=b"no"))
    time.sleep(LONG)


def fork(channel: socket.socket) -> None:
    """
    Go away, and leave a child that has everything, and goes only when it is told to.
    """
    if os.fork() == 0 and not heard(channel, b"Leave"):
        time.sleep(LONG)


FAULTS: dict[str, Callable[[socket.socket], None]] = {
    found.__name__: found
    for found in (
        garbage,
        noise,
        hang,
        version,
        deaf,
        hangup,
        die,
        dieReady,
        dieAsked,
        twice,
        refuse,
        fork,
    )
}


def main() -> None:
    """
    Do it.
    """
    channel = socket.socket(fileno=int(os.environ["TERMINABLE_HANDOVER"]))
    FAULTS[sys.argv[1]](channel)


if __name__ == "__main__":
    main()
