"""
What the page on rates shows does what it says.
"""

from __future__ import annotations

import re
import socket
import time
import urllib.error
import urllib.request
from email.message import Message

from tests.live.processes import PATIENCE
from tests.live.test_docs import ANYWHERE, ExampleTestCase


class MeteredTests(ExampleTestCase):
    """
    A protocol whose messages are held to a rate.
    """

    def port(self, log: str) -> int:
        """
        Where it listens.
        """
        found = re.search(r"(?:listening|starting) on (\d+)", log)
        assert found is not None
        return int(found[1])

    def test_letters(self) -> None:
        """
        Two at once, the others one after the other, ten in a second.
        """
        server = self.program("metered.py")
        port = self.port(server.awaitLog("ing on "))
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            began = time.monotonic()
            client.sendall(b"abcdef")
            heard = client.recv(2)
            while len(heard) < 6:
                heard += client.recv(6)
        self.assertEqual(heard, b"ABCDEF")
        self.assertBetween(0.35, time.monotonic() - began, 0.6)

    def answers(self, port: int) -> tuple[int, Message]:
        """
        The status and the headers of one request.
        """
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=PATIENCE) as answer:
                return answer.status, answer.headers
        except urllib.error.HTTPError as answer:
            with answer:
                return answer.code, answer.headers

    def test_quota(self) -> None:
        """
        By the command line: who asks too often is told when to come again, over all of its
        connections.
        """
        limit = "messages=6/min:burst=2:per=peer:over=quota"
        server = self.start("-n", "terminable", "--port", ANYWHERE, "--limit", limit)
        port = self.port(server.awaitLog("starting on "))
        self.assertEqual([self.answers(port)[0] for _ in range(2)], [200, 200])
        status, headers = self.answers(port)
        self.assertEqual(status, 429)
        # A token is there after ten seconds; some of them may have gone by.
        self.assertIn(int(headers["Retry-After"]), range(5, 11))
        self.assertEqual(headers["RateLimit-Policy"], '"peer";q=2;w=20')
        self.assertRegex(headers["RateLimit"], r'\A"peer";r=0;t=([5-9]|10)\Z')

    def test_prefix(self) -> None:
        """
        By the prefix.
        """
        inner = f"{ANYWHERE}:limit=messages\\=6/min\\:burst\\=1\\:over\\=disconnect"
        server = self.start("-n", "web", "--listen", f"terminable:{inner}", "--path", ".")
        port = self.port(server.awaitLog("starting on "))
        said = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
            client.sendall(said + said)
            heard = b""
            while data := client.recv(4096):
                heard += data
        self.assertEqual(re.findall(rb"HTTP/1.1 (\d+)", heard), [b"200", b"429"])
        self.assertEqual(heard.count(b"Connection: close"), 1)
