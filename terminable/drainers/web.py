"""
What C{twisted.web} speaks on a connection, whatever that is at the moment.

C{Site} builds a protocol that stands for HTTP/1.1 until ALPN has chosen, for HTTP/2
if it chose that, and for something else altogether after an upgrade.
"""

from __future__ import annotations

from typing import Any

from twisted.python.components import registerAdapter
from twisted.web.http import HTTPChannel
from zope.interface import implementer

from terminable.drainers.http2 import HTTP2Drainer
from terminable.drainers.http11 import HTTP11Drainer
from terminable.drainers.raw import RawDrainer
from terminable.drainers.websocket import WebSocketDrainer
from terminable.interfaces import IDrainer, IDrainWatch, ILastingDrainer
from terminable.tracking import internals

#: When to look first whether an upgrade that was asked for was granted, in seconds, and
#: how seldom at last.
UPGRADE = 0.1
SELDOM = 1.6


def isUpgraded(channel: HTTPChannel) -> bool:
    """
    Whether what the channel receives goes to another protocol: both an upgrade and
    the end of a connection exchange C{dataReceived} on the instance, but only the
    end exchanges C{lineReceived} too.
    """
    return _own(channel, "dataReceived") and not _own(channel, "lineReceived")


def _mayBeUpgraded(channel: HTTPChannel) -> bool:
    """
    Whether a request asks for an upgrade, as far as it was received.
    """
    if channel.requests and internals.httpHandling(channel):
        wishes = channel.requests[0].requestHeaders.getRawHeaders(b"upgrade", ())
        # Some clients ask for HTTP/2 (h2c) with each request; nobody grants it here.
        return any(wish.strip().lower() != b"h2c" for wish in wishes)
    return not internals.httpIdle(channel)


def _upgradedDrainer(channel: HTTPChannel) -> Any:
    speaks = internals.httpUpgraded(channel)
    if isinstance(speaks, WebSocketDrainer):
        # Made by an earlier one of us: it listens since its drain began.
        return speaks
    if internals.isWebSocket(speaks):
        return WebSocketDrainer(channel)
    return RawDrainer(channel, upgraded=True)


def _own(channel: HTTPChannel, name: str) -> bool:
    """
    Whether the instance has another method than its class.  Not by its C{__dict__},
    which Python would have to make first.
    """
    return getattr(getattr(channel, name), "__func__", None) is not getattr(type(channel), name)


@implementer(ILastingDrainer)
class WebDrainer:
    """
    Finds out late what is spoken, and has the right drainer end it.

    @cvar forgetful: see L{RawDrainer<terminable.drainers.raw.RawDrainer>}.
    """

    forgetful = True

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol
        self._watch: Any = None
        self._awaits = False
        self._speaks: Any = None
        self._drainer: Any = None

    def _now(self) -> Any:
        """
        The drainer for what is spoken now.
        """
        channel = internals.httpChannel(self._protocol)
        isHTTP1 = isinstance(channel, HTTPChannel)
        upgraded = isHTTP1 and isUpgraded(channel)
        if self._speaks != (channel, upgraded):
            before, self._speaks = self._speaks, (channel, upgraded)
            if upgraded:
                self._drainer = _upgradedDrainer(channel)
            elif isHTTP1:
                self._drainer = HTTP11Drainer(channel)
            else:
                hinted = before is not None and self._watch is not None
                self._drainer = HTTP2Drainer(channel, fresh=hinted)
            if before is not None and self._watch is not None:
                self._drainer.hint(self._watch)
        return self._drainer

    @property
    def silent(self) -> bool:
        """
        See L{IHintingDrainer.silent}.
        """
        return bool(self._now().silent)

    @property
    def upgraded(self) -> bool:
        """
        Whether HTTP is over on this connection, but the connection is not.
        """
        return bool(self._now().upgraded)

    @property
    def lasting(self) -> bool:
        """
        See L{ILastingDrainer.lasting}.
        """
        return bool(self._now().lasting)

    @property
    def prompt(self) -> bool:
        """
        See L{ILastingDrainer.prompt}.
        """
        return bool(self._now().prompt)

    @property
    def answered(self) -> bool:
        """
        See L{IHintingDrainer.answered}.
        """
        return bool(self._now().answered)

    def isBusy(self) -> bool:
        """
        See L{IDrainer.isBusy}.
        """
        return bool(self._now().isBusy())

    def hint(self, idle: IDrainWatch) -> None:
        """
        See L{IHintingDrainer.hint}.
        """
        self._watch = idle
        self._now().hint(idle)
        if internals.negotiating(self._protocol):
            self._hintAgain()

    def _hintAgain(self) -> None:
        """
        ALPN speaks with the first bytes: look again after them.
        """
        protocol = self._protocol
        received = protocol.dataReceived

        def dataReceived(data: bytes) -> None:
            vars(protocol).pop("dataReceived", None)
            received(data)
            self._now()

        protocol.dataReceived = dataReceived

    def drain(self) -> None:
        """
        See L{IDrainer.drain}.
        """
        drainer = self._now()
        drainer.drain()
        if not drainer.upgraded:
            self._awaitUpgrade()

    def _awaitUpgrade(self, delay: float = 0.0) -> None:
        """
        Nothing tells when a request that is still to come in full asks for an upgrade, or
        an application grants one after some thought.

        @param delay: how long we have waited for this look.
        """
        channel = internals.httpChannel(self._protocol)
        if self._watch is None or not isinstance(channel, HTTPChannel):
            return
        if channel.transport is None or isUpgraded(channel):
            self._watch()
        elif _mayBeUpgraded(channel) and (delay or not self._awaits):
            self._awaits = True
            delay = min(2 * delay, SELDOM) or UPGRADE
            self._watch.later(delay, self._awaitUpgrade, delay)
        elif delay:
            self._awaits = False

    def describe(self) -> str:
        """
        See L{IHintingDrainer.describe}.
        """
        return str(self._now().describe())

    def lastWord(self, retryAfter: int) -> str:
        """
        See L{IHintingDrainer.lastWord}.
        """
        return str(self._now().lastWord(retryAfter))


def register() -> None:
    """
    Make this the drainer of everything that C{twisted.web} builds.
    """
    for spoken in (internals.GENERIC_HTTP.load(), HTTPChannel):
        registerAdapter(WebDrainer, spoken, IDrainer)
