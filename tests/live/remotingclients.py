"""
A client in a process of its own, made of what Twisted has for clients.

    python -m tests.live.remotingclients amp|pb|irc tcp|tls PORT

It does what it is told on its standard input, and tells what comes of it: "ready" when it
is connected (and logged in), "lost" when the connection is over, and the lines of a chat;
for each line C{ID NAME NUMBER} it makes a call, and tells C{ID answered RESULT} or
C{ID failed WHY}.  C{chatter} makes calls one after the other until the connection is over,
and then tells how many came to what.
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

from twisted.cred.credentials import Anonymous
from twisted.internet import reactor as _reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineReceiver
from twisted.spread import pb
from twisted.words.protocols.irc import IRCClient

from tests.live.remotingservers import Consult, Twice, Wait, Waiting, wait

reactor: Any = _reactor

#: Pauses between the calls of somebody who calls one after the other, in seconds.
PAUSE = 0.002


def tell(*words: object) -> None:
    """
    Tell what has happened.
    """
    print(*words, flush=True)


class AMPClient(Waiting):
    """
    @cvar commands: what can be called.
    """

    commands = {"wait": Wait, "twice": Twice, "consult": Consult}  # noqa: RUF012

    def connectionMade(self) -> None:
        super().connectionMade()
        tell("ready")

    def connectionLost(self, reason: Any = connectionDone) -> None:
        super().connectionLost(reason)
        tell("lost")

    def call(self, name: str, number: float) -> Any:
        """
        @return: a Deferred that fires with a number.
        """
        answer = self.callRemote(self.commands[name], seconds=number)
        return answer.addCallback(lambda result: result["result"])


class Mind(pb.Referenceable):
    """
    What the server may call.
    """

    def remote_wait(self, seconds: float) -> Any:
        return wait(seconds)


class PBClient(pb.Broker):
    """
    Logs in.
    """

    avatar: Any = None

    def connectionReady(self) -> None:
        super().connectionReady()
        self.factory.login(Anonymous(), Mind()).addCallback(self.loggedIn)

    def loggedIn(self, avatar: Any) -> None:
        self.avatar = avatar
        tell("ready")

    def connectionLost(self, reason: Any = connectionDone) -> None:
        super().connectionLost(reason)
        tell("lost")

    def call(self, name: str, number: float) -> Any:
        """
        @return: a Deferred that fires with a number.
        """
        return self.avatar.callRemote(name, number)


class ChatClient(IRCClient):
    """
    Joins a room, and tells what is said.
    """

    nickname = "twisted"
    password = "secret"

    def signedOn(self) -> None:
        self.join("room")

    def joined(self, channel: str) -> None:
        tell("ready")

    def privmsg(self, user: str, channel: str, message: str) -> None:
        tell(message)

    def irc_unknown(self, prefix: str, command: str, params: list[str]) -> None:
        tell(command, *params)

    def connectionLost(self, reason: Any = connectionDone) -> None:
        tell("lost")


class Orders(LineReceiver):
    """
    What is to be done.
    """

    delimiter = b"\n"

    def __init__(self, client: Any) -> None:
        self.client = client
        self.outcomes: Counter[str] = Counter()

    def lineReceived(self, line: bytes) -> None:
        words = line.decode().split()
        if words == ["chatter"]:
            self.chatter()
            return
        identity, name, number = words
        answer = self.client.call(name, float(number))
        answer.addCallbacks(
            lambda result: tell(identity, "answered", result),
            lambda why: tell(identity, "failed", why.getErrorMessage()),
        )

    def chatter(self) -> None:
        """
        Call, and call again.
        """
        if not self.client.transport or not self.client.transport.connected:
            tell("chatted", dict(self.outcomes))
            return
        answer = self.client.call("twice", 1.0)
        answer.addCallbacks(self.count, self.countFailure)
        answer.addBoth(lambda _: reactor.callLater(PAUSE, self.chatter))

    def count(self, result: object) -> None:
        self.outcomes["answered"] += 1
        if self.outcomes["answered"] == 1:
            tell("chatting")

    def countFailure(self, why: Any) -> None:
        self.outcomes["refused" if "not begun" in why.getErrorMessage() else "lost"] += 1

    def connectionLost(self, reason: Any = connectionDone) -> None:
        reactor.stop()


def main(kind: str, security: str, port: str) -> None:
    """
    Run one client.
    """
    endpoint: Any = TCP4ClientEndpoint(reactor, "127.0.0.1", int(port))
    if security == "tls":
        endpoint = wrapClientTLS(CertificateOptions(), endpoint)
    if kind == "pb":
        factory: Any = pb.PBClientFactory()
        factory.protocol = PBClient
    else:
        factory = Factory.forProtocol({"amp": AMPClient, "irc": ChatClient}[kind])
    endpoint.connect(factory).addCallback(lambda client: StandardIO(Orders(client)))
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
