"""
Very many WebSocket clients in one process: C{python -m tests.live.wsclients KIND COUNT URL...},
where C{KIND} is C{asyncio}, for the C{websockets} package, or C{autobahn}, for Autobahn on
Twisted.

Says C{ready} when all of them are open and have spoken, and in the end, in one line of JSON,
what each has seen, as a L{Seen}.
"""

from __future__ import annotations

import asyncio
import json
import resource
import ssl
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

#: How many open at the same time.
AT_ONCE = 50


@dataclass
class Seen:
    """
    What one client has seen.

    @ivar url: where it was connected to.
    @ivar messages: all that it was sent.
    @ivar code: that of the close frame.
    @ivar reason: the text in it.
    @ivar clean: whether the connection ended as it should.
    @ivar when: when the close frame came, on the clock of the machine.
    """

    url: str
    messages: list[str] = field(default_factory=list)
    code: int | None = None
    reason: str | None = None
    clean: bool = False
    when: float = 0.0


def raiseLimit() -> None:
    """
    Have this process open as many files as it may.
    """
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def trusting() -> ssl.SSLContext:
    """
    What a client needs that trusts everybody.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def ready() -> None:
    """
    All of them are open.
    """
    print("ready", flush=True)


def done(seen: list[Seen]) -> None:
    """
    All of them are closed.
    """
    print(json.dumps([asdict(each) for each in seen]), flush=True)


async def withWebsockets(urls: list[str]) -> None:
    """
    Clients of the C{websockets} package.
    """
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    gate = asyncio.Semaphore(AT_ONCE)
    context = trusting()

    async def begin(seen: Seen) -> Any:
        async with gate:
            client = await connect(
                seen.url,
                ssl=context if seen.url.startswith("wss:") else None,
                compression=None,
                ping_interval=None,
                open_timeout=60,
                max_queue=None,
            )
            seen.messages.append(str(await client.recv()))
            await client.send("ping")
            seen.messages.append(str(await client.recv()))
        return client

    async def follow(seen: Seen, client: Any) -> None:
        try:
            while True:
                seen.messages.append(await client.recv())
        except ConnectionClosed as end:
            seen.when = time.monotonic()
            if end.rcvd is not None:
                seen.code, seen.reason = end.rcvd.code, end.rcvd.reason
            seen.clean = end.rcvd is not None and end.sent is not None

    all_ = [Seen(url) for url in urls]
    clients = await asyncio.gather(*map(begin, all_))
    ready()
    await asyncio.gather(*map(follow, all_, clients))
    done(all_)


def withAutobahn(urls: list[str]) -> None:
    """
    Clients of Autobahn on Twisted.
    """
    from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
    from twisted.internet import reactor as installed
    from twisted.internet.ssl import CertificateOptions

    reactor: Any = installed
    all_ = [Seen(url) for url in urls]
    waiting = list(all_)
    counts = {"spoken": 0, "over": 0}

    class Client(WebSocketClientProtocol):  # type: ignore[misc]
        seen: Seen

        def onOpen(self) -> None:
            self.sendMessage(b"ping")

        def onMessage(self, payload: bytes, isBinary: bool) -> None:
            self.seen.messages.append(payload.decode())
            if len(self.seen.messages) == 2:
                counts["spoken"] += 1
                begin()
                if counts["spoken"] == len(all_):
                    ready()

        def onCloseFrame(self, code: Any, reasonRaw: Any) -> Any:
            self.seen.when = time.monotonic()
            return super().onCloseFrame(code, reasonRaw)

        def onClose(self, wasClean: bool, code: Any, reason: Any) -> None:
            self.seen.clean, self.seen.code, self.seen.reason = wasClean, code, reason or ""
            counts["over"] += 1
            if counts["over"] == len(all_):
                done(all_)
                reactor.stop()

    def begin() -> None:
        if not waiting:
            return
        seen = waiting.pop()
        factory = WebSocketClientFactory(seen.url, reactor=reactor)
        factory.protocol = lambda: made(seen)
        factory.noisy = False
        # The server loses the connection; we need not be quick.
        factory.setProtocolOptions(serverConnectionDropTimeout=30, openHandshakeTimeout=60)
        if factory.isSecure:
            reactor.connectSSL(factory.host, factory.port, factory, CertificateOptions())
        else:
            reactor.connectTCP(factory.host, factory.port, factory)

    def made(seen: Seen) -> Client:
        client = Client()
        client.seen = seen
        return client

    for _ in range(AT_ONCE):
        begin()
    reactor.run()


def main(kind: str, count: str, *urls: str) -> None:
    """
    Connect, and stay until the end.
    """
    raiseLimit()
    chosen = [urls[number % len(urls)] for number in range(int(count))]
    if kind == "asyncio":
        asyncio.run(withWebsockets(chosen))
    else:
        withAutobahn(chosen)


if __name__ == "__main__":
    main(*sys.argv[1:])
