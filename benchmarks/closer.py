"""
The floor: a plain Python loop that ends as many connections as it is told.

Accepts, reads one request from each connection and answers it, waits for
SIGTERM, then shuts down and closes all of them.  Started by C{idle.py}:

    python benchmarks/closer.py PORT COUNT
"""

from __future__ import annotations

import gc
import signal
import socket
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n"


def main() -> None:
    port, count = map(int, sys.argv[1:])
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    with socket.create_server(("127.0.0.1", port), backlog=1024) as listening:
        accepted: list[socket.socket] = []
        while len(accepted) < count:
            connection, _ = listening.accept()
            # The first to connect only looks whether somebody listens.
            if connection.recv(4096):
                connection.sendall(ANSWER)
                accepted.append(connection)
    gc.disable()
    signal.sigwait({signal.SIGTERM})
    for connection in accepted:
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()


main()
