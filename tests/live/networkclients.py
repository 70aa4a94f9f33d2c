"""
Clients in a network of their own: ten from addresses of one IPv6 network, and one from another.
All are served; how many at a time, the server knows.

Run within a network namespace in which all of these addresses are local; C{SETTINGS} are those of
L{tests.live.admissionservers}.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys

HOST = "fd00:5:0:1::1"
MANY = [f"fd00:5:0:2::{number:x}" for number in range(1, 11)]
OTHER = "fd00:5:0:3::1"

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def connect(source: str, port: int) -> socket.socket:
    """
    Ask from an address.
    """
    sock = socket.socket(socket.AF_INET6)
    sock.settimeout(20)
    sock.bind((source, 0))
    sock.connect((HOST, port))
    sock.sendall(GET)
    return sock


def main() -> None:
    """
    The first network has two places, whatever its addresses; the other one has its own.
    """
    command = [sys.executable, "-m", "tests.live.admissionservers", "http", os.environ["SETTINGS"]]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    lines = iter(server.stdout.readline, "")
    found = next(filter(None, (re.search(r"listening on (\d+)", line) for line in lines)))
    many = [connect(source, int(found[1])) for source in MANY]
    other = connect(OTHER, int(found[1]))
    served = 0
    for each in (*many, other):
        with each:
            served += b" 200 " in each.recv(4096)
    server.terminate()
    counted = next(filter(None, (re.search(r"most \d+ ever \d+", line) for line in lines)))
    print(f"{served} served, {counted[0]}")
    server.stdout.read()
    server.wait(20)


if __name__ == "__main__":
    main()
