"""
What servers for ASGI serve.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs

BLOCK = bytes(65536)


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """
    One request.
    """
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    asked = {name: values[0] for name, values in parse_qs(scope["query_string"]).items()}
    path = scope["path"]
    if path == "/slow":
        await asyncio.sleep(float(asked[b"seconds"]))
        await _answer(send, b"slow\n")
    elif path == "/echo":
        await _answer(send, asked[b"n"] + b"\n")
    elif path == "/upload":
        await _upload(receive, send)
    elif path == "/download":
        await _download(send, int(asked[b"bytes"]))
    else:
        await _answer(send, b"hello\n")


async def _live(receive: Any, send: Any) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


async def _start(send: Any, size: int) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % size)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def _answer(send: Any, body: bytes) -> None:
    await _start(send, len(body))
    await send({"type": "http.response.body", "body": body})


async def _upload(receive: Any, send: Any) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        more = message.get("more_body", False)
    await _answer(send, b"%d\n" % size)


async def _download(send: Any, left: int) -> None:
    await _start(send, left)
    while left:
        piece = BLOCK[:left]
        left -= len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": bool(left)})
