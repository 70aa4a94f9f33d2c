"""
Clients in a network of their own: ten from addresses of one IPv6 network, and one from another.

Run within a network namespace in which all of these addresses are local; C{SETTINGS} are those of
L{tests.live.admissionservers}.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import time

HOST = "fd00:5:0:1::1"
MANY = [f"fd00:5:0:2::{number:x}" for number in range(1, 11)]
OTHER = "fd00:5:0:3::1"

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def connect(source: str, port: int) -> socket.socket:
    """
    Ask from an address.
    """
    sock = socket.socket(socket.AF_INET6)
    sock.settimeout(10)
    sock.bind((source, 0))
    sock.connect((HOST, port))
    sock.sendall(GET)
    return sock


def main() -> None:
    """
    The first network has two places, whatever its addresses.
    """
    command = [sys.executable, "-m", "tests.live.admissionservers", "http", os.environ["SETTINGS"]]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    lines = iter(server.stdout.readline, "")
    found = next(filter(None, (re.search(r"listening on (\d+)", line) for line in lines)))
    many = [connect(source, int(found[1])) for source in MANY]
    other = connect(OTHER, int(found[1]))
    time.sleep(1.5)
    served = 0
    for each in many:
        each.settimeout(0.0)
        with contextlib.suppress(BlockingIOError):
            served += b" 200 " in each.recv(4096)
    then = "then the other one" if b" 200 " in other.recv(4096) else "and no other"
    print(f"{served} of {len(many)} served, {then}")
    server.terminate()
    for each in (*many, other):
        each.close()
    server.stdout.read()
    server.wait(20)


if __name__ == "__main__":
    main()
