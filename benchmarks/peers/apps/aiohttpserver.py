"""
A server of aiohttp:

    python aiohttpserver.py PORT GRACE KEEP-ALIVE [PEM-FILE]
"""

from __future__ import annotations

import asyncio
import ssl
import sys

from aiohttp import web

BLOCK = bytes(65536)


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="hello\n")


async def echo(request: web.Request) -> web.Response:
    return web.Response(text=request.query["n"] + "\n")


async def slow(request: web.Request) -> web.Response:
    await asyncio.sleep(float(request.query["seconds"]))
    return web.Response(text="slow\n")


async def upload(request: web.Request) -> web.Response:
    return web.Response(text=f"{len(await request.read())}\n")


async def download(request: web.Request) -> web.StreamResponse:
    left = int(request.query["bytes"])
    response = web.StreamResponse()
    response.content_length = left
    await response.prepare(request)
    while left:
        piece = BLOCK[:left]
        left -= len(piece)
        await response.write(piece)
    return response


def main(port: str, grace: str, kept: str, pem: str) -> None:
    application = web.Application()
    application.router.add_get("/", hello)
    for handle in (echo, slow, download):
        application.router.add_get(f"/{handle.__name__}", handle)
    application.router.add_post("/upload", upload)
    context = None
    if pem:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(pem)
    web.run_app(
        application,
        host="127.0.0.1",
        port=int(port),
        backlog=1024,
        shutdown_timeout=float(grace),
        keepalive_timeout=float(kept),
        ssl_context=context,
        access_log=None,
    )


main(*sys.argv[1:])
