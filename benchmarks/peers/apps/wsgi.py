"""
What servers for WSGI serve.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs

BLOCK = bytes(65536)


def _download(left: int) -> Iterator[bytes]:
    while left:
        piece = BLOCK[:left]
        left -= len(piece)
        yield piece


def app(environ: dict[str, Any], startResponse: Any) -> Iterable[bytes]:
    """
    One request.
    """
    asked = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    path, body = environ["PATH_INFO"], b"hello\n"
    if path == "/slow":
        time.sleep(float(asked["seconds"]))
        body = b"slow\n"
    elif path == "/echo":
        body = asked["n"].encode("ascii") + b"\n"
    elif path == "/upload":
        body = b"%d\n" % len(environ["wsgi.input"].read())
    elif path == "/download":
        size = int(asked["bytes"])
        startResponse("200 OK", [("Content-Length", str(size))])
        return _download(size)
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    startResponse("200 OK", headers)
    return [body]
